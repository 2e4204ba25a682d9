"""Verifies the tokens (JWT) that a provider signs, by the keys that it publishes.

Only asymmetric algorithms of an allow-list count, and a key counts only for its own kind. So
neither `none` nor a provider's public key taken for a shared secret proves anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from gateway.sdk import Unreadable, read_json

#: Algorithms that may be allowed.
ASYMMETRIC: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384")
#: Keys of a provider, and values in a token's claims.
MOST_KEYS: Final = 50
VALUES: Final = 2_000
_KINDS: Final[dict[str, tuple[str, type[RSAKey] | type[ECKey]]]] = {
    "RS": ("RSA", RSAKey),
    "PS": ("RSA", RSAKey),
    "ES": ("EC", ECKey),
}
#: Keys that are tried for a token that names none.
_UNNAMED: Final = 5
#: Characters of an RSA modulus of 2048 bits in Base64.
_MODULUS: Final = 342

Jwk = Mapping[str, Any]


class TokenFault(Exception):
    """A token that proves nothing. `word` says which; no text holds a part of the token."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class UnknownKey(TokenFault):
    """None of the known keys made it: the provider may have new ones, under old names too."""


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token with a good signature. Its claims are not judged yet."""

    header: Mapping[str, Any]
    claims: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        """Return its `typ`, in small letters and without `application/`; empty without one."""
        return str(self.header.get("typ") or "").lower().removeprefix("application/")


def public_keys(told: object) -> tuple[Jwk, ...] | None:
    """Return the keys of a key set as a provider publishes it (RFC 7517); None for anything else,
    or for more than `MOST_KEYS`."""
    keys = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        return None
    return tuple(key for key in keys if isinstance(key, dict))


def verify_token(
    text: object, keys: Sequence[Jwk], algorithms: Sequence[str], longest: int
) -> SignedToken:
    """Verify the signature of a token of at most `longest` characters, and nothing else. Raises
    TokenFault (`malformed`, `bad_algorithm`) and UnknownKey (`unknown_key`, `bad_signature`)."""
    if not isinstance(text, str) or not text.isascii() or len(text) > longest:
        raise TokenFault("malformed")
    try:
        header = jws.extract_compact(text.encode()).headers()
    except (JoseError, ValueError):
        raise TokenFault("malformed") from None
    algorithm = header.get("alg")
    if algorithm not in algorithms or algorithm not in ASYMMETRIC:
        raise TokenFault("bad_algorithm")
    kind, key_type = _KINDS[str(algorithm)[:2]]
    payload = None
    for key in _fitting(keys, header, kind):
        try:
            made = key_type.import_key(dict(key))
            signed = jws.deserialize_compact(text, made, algorithms=[str(algorithm)])
        except (JoseError, ValueError, TypeError):
            continue
        payload = signed.payload or b""
        break
    if payload is None:
        raise UnknownKey("bad_signature")
    try:
        claims = read_json(payload, values=VALUES)
    except Unreadable:
        claims = None
    if not isinstance(claims, dict):
        raise TokenFault("malformed")
    return SignedToken(header, claims)


def _fitting(keys: Sequence[Jwk], header: Mapping[str, Any], kind: str) -> Sequence[Jwk]:
    """Return the key that the header means. It need not name one: each of this kind may be meant
    then. (Authentic names none with ES256, and has two while they are exchanged.)"""
    wanted = header.get("kid")
    fitting = [
        key
        for key in keys
        if key.get("kty") == kind
        and key.get("use", "sig") == "sig"
        and key.get("alg", header["alg"]) == header["alg"]
        and wanted in (None, key.get("kid"))
        and (kind != "RSA" or len(str(key.get("n", ""))) >= _MODULUS)
    ]
    if not fitting or (wanted is not None and len(fitting) > 1) or len(fitting) > _UNNAMED:
        raise UnknownKey("unknown_key")
    return fitting


__all__ = [
    "ASYMMETRIC",
    "MOST_KEYS",
    "Jwk",
    "SignedToken",
    "TokenFault",
    "UnknownKey",
    "public_keys",
    "verify_token",
]
