"""w.c.s.'s own side of the query-string signature.

Sources: w.c.s. `api_utils.py` and `wscalls.py`. This module shares no code with
`gateway.sdk.publik.signature`, so that a mistake there cannot agree with itself here. It keeps
w.c.s.'s habits: a call with an explicit key has no `orig`, `/` stays raw in the value of the
signature, and text after the signature is ignored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from gateway.sim import texts

#: The clock difference that w.c.s. accepts, and how long it remembers a nonce.
WINDOW = timedelta(seconds=30)
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class AccessDenied(Exception):
    """A refusal in w.c.s.'s English. `status` and `code` go into the answer."""

    def __init__(self, description: str, *, status: int = 403, code: str = "access-denied") -> None:
        super().__init__(description)
        self.description = description
        self.status = status
        self.code = code


def _digest(text: str, key: str, algo: str) -> bytes:
    return hmac.new(key.encode(), text.encode(), algo).digest()


def wcs_sign(url: str, key: str, *, orig: str | None, now: datetime, nonce: str) -> str:
    """Return `url`, signed as w.c.s. signs an outgoing call."""
    parts = urlsplit(url)
    pairs = [("orig", orig)] if orig is not None else []
    pairs += [
        ("algo", "sha256"),
        ("timestamp", now.astimezone(UTC).strftime(_STAMP)),
        ("nonce", nonce),
    ]
    query = "&".join(piece for piece in (parts.query, urlencode(pairs)) if piece)
    signature = base64.b64encode(_digest(query, key, "sha256")).decode()
    return parts._replace(query=f"{query}&signature={quote(signature)}").geturl()


def _simplify(nonce: str) -> str:
    text = unicodedata.normalize("NFKD", nonce[:128]).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


class WcsVerifier:
    """Verifies a signed query as w.c.s. does, nonces included."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self.keys = keys
        self._nonces: dict[str, datetime] = {}

    def verify(self, raw_query: str, now: datetime) -> str:
        """Return the `orig` that signed the query. Raises AccessDenied when none did."""
        signed, mark, value = raw_query.partition("&signature=")
        if not mark:
            raise AccessDenied("missing signature")
        given = parse_qs(f"signature={value}").get("signature", [""])[0]
        query = parse_qs(signed, keep_blank_values=True)
        origs = query.get("orig", [])
        if len(origs) != 1:
            raise AccessDenied("Missing/multiple orig field")
        key = self.keys.get(origs[0])
        if key is None:
            raise AccessDenied(texts.ORIG)
        algos = query.get("algo", [])
        if len(algos) != 1:
            raise AccessDenied("Missing/multiple algo field")
        if algos[0] not in hashlib.algorithms_guaranteed or algos[0].startswith("shake"):
            raise AccessDenied("Invalid algo.")
        try:
            expected = _digest(signed, key, algos[0])
            if not hmac.compare_digest(base64.b64decode(given), expected):
                raise AccessDenied(texts.SIGNATURE)
        except ValueError as error:
            raise AccessDenied(texts.SIGNATURE) from error
        self._check_time(query.get("timestamp", []), now)
        if query.get("nonce"):
            self._check_nonce(query["nonce"][0], now)
        return origs[0]

    def _check_time(self, stamps: list[str], now: datetime) -> None:
        if len(stamps) != 1:
            raise AccessDenied("Missing/multiple timestamp field")
        try:
            stamp = datetime.strptime(stamps[0], _STAMP).replace(tzinfo=UTC)
        except ValueError as error:
            raise AccessDenied("invalid timestamp format") from error
        delta = now - stamp
        if abs(delta) > WINDOW:
            side = "past" if delta > timedelta() else "future"
            raise AccessDenied(f"timestamp is more than 30 seconds in the {side}: {abs(delta)}")

    def _check_nonce(self, nonce: str, now: datetime) -> None:
        self._nonces = {name: at for name, at in self._nonces.items() if now - at <= WINDOW}
        name = _simplify(nonce)
        if name in self._nonces:
            raise AccessDenied(texts.NONCE)
        self._nonces[name] = now
