"""Publik's signed URLs: an HMAC over the raw query string, with a timestamp and a nonce.

The rules are those of w.c.s. (`api_utils.py`), made stricter where w.c.s. is lax: only sha256, no
text after the signature, no ambiguous repeats, a comparison in constant time. Only the query is
signed: path, host, method and body are not, so TLS and the body's own checks guard these.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit

from gateway.core.errors import Rejected

#: The distance of the sender's clock from ours, both ways, the bound included.
WINDOW = timedelta(seconds=30)
#: The time to remember a nonce: a signed URL is valid from -30 s to +30 s.
NONCE_LIFE = 2 * WINDOW
#: Far above what w.c.s. sends, far below what could hurt.
MAX_QUERY = 16_384

_MARK = "&signature="
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: A repeat of one of these could be read in two ways.
_SINGLE = frozenset({"orig", "algo", "timestamp", "nonce", "NameID", "email"})
_PROTOCOL = frozenset({"orig", "algo", "timestamp", "nonce"})


class SignatureFault(Rejected):
    """The call does not prove who sent it. Always 403; `code` is a constant word."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(403, code, text)


@dataclass(frozen=True, slots=True)
class SignedQuery:
    """A query that carries a signature, taken apart and not yet verified.

    `signed_text` is the raw text the signature stands for. `params` are the other parameters,
    decoded; where one is repeated, the first counts.
    """

    signed_text: str
    signature: bytes
    orig: str | None
    algo: str
    timestamp: datetime
    nonce: str | None
    params: Mapping[str, str]


def sign_url(
    url: str,
    key: str,
    *,
    orig: str | None,
    now: datetime,
    nonce: str,
    extra: Mapping[str, str] | None = None,
) -> str:
    """Sign the URL: orig, `extra` (NameID or email), algo, timestamp, nonce and signature are
    added.

    `now` is aware. The query already there is kept as it is written. Sign again for each attempt.
    Raises ValueError for a URL that is signed already or cannot be taken apart.
    """
    parts = urlsplit(url)
    if parts.query.startswith("signature=") or _MARK in parts.query:
        raise ValueError("this URL is signed already")
    added: list[tuple[str, str]] = [] if orig is None else [("orig", orig)]
    added += (extra or {}).items()
    added += [
        ("algo", "sha256"),
        ("timestamp", now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("nonce", nonce),
    ]
    text = (parts.query + "&" if parts.query else "") + urlencode(added)
    value = quote(base64.b64encode(_mac(text, key)).decode("ascii"), safe="")
    return urlunsplit(parts._replace(query=text + _MARK + value))


def parse_signed(raw_query: str) -> SignedQuery | None:
    """Take a raw query string apart; None when it carries no signature at all.

    Raises SignatureFault for whatever is signed in a way that w.c.s. does not produce, and for
    every query that is too long. The text is never decoded and encoded again: what is verified is
    what was sent.
    """
    if len(raw_query) > MAX_QUERY:
        raise SignatureFault("query_too_long", "La chaîne de requête est trop longue.")
    signed_text, mark, raw_signature = raw_query.partition(_MARK)
    if not mark:
        if any(unquote_plus(p.partition("=")[0]) == "signature" for p in raw_query.split("&")):
            raise SignatureFault("bad_signature", "La signature est mal placée.")
        return None
    if "&" in raw_signature:
        raise SignatureFault("text_after_signature", "La signature doit être le dernier paramètre.")
    _check_text(raw_query)
    pairs = [_pair(p) for p in signed_text.split("&") if p]
    params: dict[str, str] = {}
    for name, value in pairs:
        if name in params and name in _SINGLE:
            raise SignatureFault("repeated_parameter", "Un paramètre signé est répété.")
        if name == "signature":
            raise SignatureFault("bad_signature", "La signature est mal placée.")
        params.setdefault(name, value)
    if params.get("orig") == "":
        raise SignatureFault("bad_orig", "Le paramètre orig est vide.")
    if params.get("algo") != "sha256":
        raise SignatureFault("bad_algo", "Seul l'algorithme sha256 est accepté.")
    return SignedQuery(
        signed_text=signed_text,
        signature=_signature(raw_signature),
        orig=params.get("orig"),
        algo=params["algo"],
        timestamp=_timestamp(params.get("timestamp", "")),
        # An empty nonce protects from nothing: it is none.
        nonce=params.get("nonce") or None,
        params={n: v for n, v in params.items() if n not in _PROTOCOL},
    )


def verify_query(signed: SignedQuery, keys: Iterable[str], now: datetime) -> None:
    """Return when one of `keys` made the signature, at most 30 s from `now` (aware); raise if not.

    Raises SignatureFault. Every key is tried whatever the others gave, in constant time each; an
    empty key never counts. Whether the nonce was used before is the caller's to ask.
    """
    good = False
    for key in keys:
        good |= bool(key) and hmac.compare_digest(_mac(signed.signed_text, key), signed.signature)
    if not good:
        raise SignatureFault("wrong_signature", "La signature n'est pas valable.")
    drift = now - signed.timestamp
    if drift > WINDOW:
        raise SignatureFault("stale", "L'appel a été signé il y a plus de 30 secondes.")
    if drift < -WINDOW:
        raise SignatureFault("early", "L'appel est daté de plus de 30 secondes dans le futur.")


def nonce_key(nonce: str) -> str:
    """Return the part of a nonce to remember: cut to 128 characters and made a slug, as w.c.s.
    does.

    A nonce of which nothing remains is remembered by its hash, lest all of them look the same.
    """
    cut = nonce[:128]
    if cut.isascii() and cut.isalnum():
        return cut.lower()
    plain = unicodedata.normalize("NFKD", cut.replace("/", "-")).encode("ascii", "ignore").decode()
    slug = re.sub(r"[\s'-]+", "-", re.sub(r"[^\w\s'-]", "", plain).strip().lower())
    if slug.strip("-"):
        return slug
    return hashlib.sha256(cut.encode("utf-8", "surrogatepass")).hexdigest()


def _mac(text: str, key: str) -> bytes:
    # surrogatepass: a server may hand over undecodable bytes as surrogates; these never verify.
    # Not hmac.digest: it lets go of the interpreter, and waits to have it back, for microseconds.
    made = hmac.new(key.encode("utf-8"), text.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return made.digest()


def _pair(raw: str) -> tuple[str, str]:
    name, _, value = raw.partition("=")
    return _decoded(name), _decoded(value)


def _check_text(raw: str) -> None:
    if not raw.isascii() or not raw.isprintable() or _BROKEN_ESCAPE.search(raw):
        raise SignatureFault("bad_query", "La chaîne de requête est mal encodée.")


def _decoded(raw: str) -> str:
    if "%" not in raw and "+" not in raw:
        return raw
    try:
        text = unquote_plus(raw, errors="strict")
    except UnicodeDecodeError:
        raise SignatureFault("bad_query", "La chaîne de requête est mal encodée.") from None
    # A designer may send a text of several lines; other control characters have no business here.
    # A printable text has none, which is quickly asked.
    if not text.isprintable() and any(
        unicodedata.category(c) == "Cc" and c not in "\t\r\n" for c in text
    ):
        raise SignatureFault("bad_query", "La chaîne de requête est mal encodée.")
    return text


def _signature(raw: str) -> bytes:
    # unquote_plus, as a form parser does: a raw `+` becomes a space and fails here.
    try:
        value = base64.b64decode(_decoded(raw), validate=True)
    except (binascii.Error, ValueError):
        raise SignatureFault("bad_signature", "La signature n'est pas en Base64.") from None
    if len(value) != hashlib.sha256().digest_size:
        raise SignatureFault("bad_signature", "La signature n'a pas la bonne longueur.")
    return value


def _timestamp(text: str) -> datetime:
    # fromisoformat alone would take other forms as well.
    if not _TIMESTAMP.fullmatch(text):
        raise SignatureFault("bad_timestamp", "L'horodatage manque ou est mal formé.")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise SignatureFault("bad_timestamp", "L'horodatage manque ou est mal formé.") from None


__all__ = [
    "NONCE_LIFE",
    "WINDOW",
    "SignatureFault",
    "SignedQuery",
    "nonce_key",
    "parse_signed",
    "sign_url",
    "verify_query",
]
