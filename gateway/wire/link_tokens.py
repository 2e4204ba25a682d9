"""Signed messages between a commune's portal and the gateway: requests, calls and answers.

Each is a JWT under the secret that both share (HS256). Its `typ` says what it is for, so an answer
of ours is no request of theirs. It is good for minutes, and once.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from joserfc import jwe, jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from gateway.core.request import Json

#: Characters of a token, and seconds for which it may be good at most.
LONGEST: Final = 8192
LIFE: Final = 300
#: Seconds by which two clocks may differ.
LEEWAY: Final = 60
_NUMBER_ONCE: Final = re.compile(r"[A-Za-z0-9_-]{16,128}\Z")
_SEALED: Final = {"alg": "dir", "enc": "A256GCM"}
_REGISTRY: Final = jwe.JWERegistry(algorithms=[*_SEALED.values()])


class LinkToken(StrEnum):
    """The kinds of message, as their `typ` names them."""

    REQUEST = "link-request+jwt"
    CALL = "link-call+jwt"
    ANSWER = "link-answer+jwt"


class LinkTokenFault(Exception):
    """A message that proves nothing. `word` says which."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A message whose signature, parties and times are right. `id` may come once before `until`,
    in seconds since 1970."""

    id: str
    until: float
    claims: Mapping[str, Json]


def read_link_token(
    text: str, kind: LinkToken, keys: Sequence[str], issuer: str, audience: str, now: datetime
) -> VerifiedToken:
    """Verify a message of `issuer`, by one of its secrets. Raises LinkTokenFault."""
    if not text.isascii() or len(text) > LONGEST:
        raise LinkTokenFault("malformed")
    try:
        header = jws.extract_compact(text.encode()).headers()
    except (JoseError, ValueError):
        raise LinkTokenFault("malformed") from None
    if header.get("alg") != "HS256":
        raise LinkTokenFault("bad_algorithm")
    claims = _claims(text, keys)
    if str(header.get("typ", "")).lower().removeprefix("application/") != kind.value:
        raise LinkTokenFault("wrong_kind")
    if claims.get("iss") != issuer or claims.get("aud") not in (audience, [audience]):
        raise LinkTokenFault("wrong_audience" if claims.get("iss") == issuer else "wrong_issuer")
    issued, ends = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
    number = claims.get("jti")
    if issued is None or ends is None or not 0 < ends - issued <= LIFE:
        raise LinkTokenFault("bad_times")
    if issued > now.timestamp() + LEEWAY:
        raise LinkTokenFault("not_yet")
    if ends <= now.timestamp() - LEEWAY:
        raise LinkTokenFault("expired")
    if not isinstance(number, str) or not _NUMBER_ONCE.match(number):
        raise LinkTokenFault("bad_jti")
    return VerifiedToken(number, ends + LEEWAY, claims)


def make_link_token(
    kind: LinkToken, key: str, issuer: str, audience: str, now: datetime, claims: Mapping[str, Json]
) -> str:
    """Return a signed message, good for `LIFE` seconds."""
    issued = int(now.timestamp())
    said = {"iss": issuer, "aud": audience, "iat": issued, "exp": issued + LIFE}
    said |= {"jti": secrets.token_urlsafe(16), **claims}
    header = {"alg": "HS256", "typ": kind.value}
    return jwt.encode(header, said, OctKey.import_key(key), algorithms=["HS256"])


def seal_cookie(key: bytes, claims: Mapping[str, Json], now: datetime, life: int) -> str:
    """Return values that only we can read and make, good for `life` seconds (JWE, A256GCM)."""
    said = {**claims, "exp": int(now.timestamp()) + life}
    return jwt.encode(_SEALED, said, OctKey.import_key(key), registry=_REGISTRY)


def open_cookie(key: bytes, text: str, now: datetime) -> Mapping[str, Json] | None:
    """Return the values of a sealed cookie; None for one that is not ours, or over."""
    if not text.isascii() or len(text) > LONGEST:
        return None
    try:
        claims = jwt.decode(text, OctKey.import_key(key), registry=_REGISTRY).claims
    except (JoseError, ValueError):
        return None
    ends = _seconds(claims.get("exp"))
    return claims if ends is not None and ends > now.timestamp() else None


def _claims(text: str, keys: Sequence[str]) -> dict[str, Any]:
    for key in keys:
        try:
            return jwt.decode(text, OctKey.import_key(key), algorithms=["HS256"]).claims
        except (JoseError, ValueError):
            continue
    raise LinkTokenFault("bad_signature")


def _seconds(told: object) -> float | None:
    whole = isinstance(told, int | float) and not isinstance(told, bool) and abs(told) < 1e12
    return float(told) if whole and isinstance(told, int | float) else None
