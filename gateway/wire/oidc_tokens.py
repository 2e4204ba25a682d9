"""The provider's tokens, judged: ID tokens and logout tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from authlib.oidc.core import CodeIDToken
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from gateway.wire.signed_tokens import Jwk, TokenFault, verify_token

#: Seconds by which two clocks may differ. (Authentic's ID token is good for 30 s.)
LEEWAY: Final = 60
#: Seconds after which an ID token is no answer to a sign-in of now.
OLDEST: Final = 600
#: Characters of a token.
LONGEST: Final = 16_384
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_CLAIM_FAULTS: Final = {
    "iss": "wrong_issuer",
    "aud": "wrong_audience",
    "azp": "wrong_audience",
    "nonce": "wrong_nonce",
    "exp": "expired",
}


@dataclass(frozen=True, slots=True)
class ExpectedToken:
    """The values that a token of the provider must bear."""

    issuer: str
    client_id: str
    algorithms: Sequence[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class IdToken:
    """A verified ID token. `acr` and `claims` are to the letter as told."""

    subject: str
    session: str | None
    acr: str | None
    claims: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogoutNotice:
    """A verified logout token: a `session` or all sessions of a `subject` have ended. `id` may be
    told once."""

    id: str
    subject: str | None
    session: str | None


def read_id_token(
    text: object, keys: Sequence[Jwk], expected: ExpectedToken, *, nonce: str, access_token: str
) -> IdToken:
    """Verify an ID token of the code flow (OpenID Connect Core, 3.1.3.7). Raises TokenFault."""
    verified = verify_token(text, keys, expected.algorithms, LONGEST)
    claims = CodeIDToken(
        verified.claims,
        verified.header,
        _required(expected),
        {"nonce": nonce, "client_id": expected.client_id, "access_token": access_token},
    )
    now = expected.now.timestamp()
    _validated(claims, now)
    if claims["iat"] < now - OLDEST:
        raise TokenFault("expired")
    subject = _text(claims.get("sub"), 255)
    if subject is None:
        raise TokenFault("bad_claims")
    return IdToken(
        subject, _text(claims.get("sid"), 255), _text(claims.get("acr"), 255), verified.claims
    )


def read_logout_token(text: object, keys: Sequence[Jwk], expected: ExpectedToken) -> LogoutNotice:
    """Verify a logout token (OpenID Connect Back-Channel Logout, 2.6). Raises TokenFault."""
    verified = verify_token(text, keys, expected.algorithms, LONGEST)
    claims = verified.claims
    if verified.kind not in ("logout+jwt", "jwt", "") or "nonce" in claims:
        raise TokenFault("bad_claims")
    now = expected.now.timestamp()
    registry = JWTClaimsRegistry(int(now), LEEWAY, **_required(expected))
    try:
        registry.validate(claims)
    except JoseError as error:
        raise _fault(error) from None
    if claims["iat"] < now - OLDEST:
        raise TokenFault("expired")
    events = claims.get("events")
    told = events.get(LOGOUT_EVENT) if isinstance(events, dict) else None
    identity = _text(claims.get("jti"), 255)
    subject, session = _text(claims.get("sub"), 255), _text(claims.get("sid"), 255)
    if not isinstance(told, dict) or identity is None or (subject is None and session is None):
        raise TokenFault("bad_claims")
    return LogoutNotice(identity, subject, session)


def _required(expected: ExpectedToken) -> dict[str, Any]:
    return {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "iat": {"essential": True},
        "exp": {"essential": True},
    }


def _validated(claims: CodeIDToken, now: float) -> None:
    try:
        claims.validate(int(now), LEEWAY)
    except JoseError as error:
        raise _fault(error) from None


def _fault(error: JoseError) -> TokenFault:
    if isinstance(error, ExpiredTokenError):
        return TokenFault("expired")
    claim = error.claim if isinstance(error, ClaimError) else ""
    return TokenFault(_CLAIM_FAULTS.get(claim, "bad_claims"))


def _text(value: object, longest: int) -> str | None:
    fits = isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()
    return str(value) if fits else None


__all__ = [
    "LEEWAY",
    "ExpectedToken",
    "IdToken",
    "LogoutNotice",
    "read_id_token",
    "read_logout_token",
]
