"""An OpenID provider, as its relying party sees it: discovery, keys, sign-in, logout.

Every call is one bounded exchange. Discovery and keys are kept for a while; a key that is not known
makes the keys be read again, but not more often than once in `AGAIN` seconds, whoever sends tokens.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from gateway.sdk import Answer, Outcome, send
from gateway.wire.oidc_client import OpenIdClient
from gateway.wire.oidc_tokens import (
    ExpectedToken,
    IdToken,
    LogoutNotice,
    read_id_token,
    read_logout_token,
)
from gateway.wire.signed_tokens import Jwk, TokenFault, UnknownKey, public_keys

#: Bytes of one answer.
LARGEST: Final = 256 * 1024
#: The time for which discovery and keys are kept, and between two readings on demand.
KEPT: Final = timedelta(hours=1)
AGAIN: Final = timedelta(seconds=30)
#: Seconds for which an assertion of ours is good.
ASSERTED: Final = 120

_T = TypeVar("_T")


class ProviderFault(Exception):
    """The provider does not answer as it must. `word` says which; no text holds a part
    of what it said."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The provider's addresses. `names_issuer`: its answers to a sign-in bear `iss` (RFC 9207).
    `told` is all that it says of itself."""

    authorization: str
    token: str
    keys: str
    user_info: str | None
    end_session: str | None
    names_issuer: bool
    told: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A citizen who has just signed in. `claims` are those of the ID token and of UserInfo."""

    subject: str
    session: str | None
    acr: str | None
    claims: Mapping[str, Any] = field(repr=False)
    id_token: str = field(repr=False)


@dataclass(slots=True)
class _Document:
    """A document of the provider: when it was read, and when that was last tried. `word`: why
    there is none."""

    value: Any = None
    at: datetime | None = None
    tried: datetime | None = None
    word: str = "unreachable"
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class OpenIdProvider:
    """Talks to one provider. `client` is bounded by its budget; `now` is aware UTC."""

    def __init__(self, client: httpx.AsyncClient, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now
        self._kept: dict[tuple[str, str], _Document] = {}

    async def metadata(self, ours: OpenIdClient) -> ProviderMetadata:
        """Return the provider's validated metadata. Raises ProviderFault."""
        url = ours.issuer.rstrip("/") + "/.well-known/openid-configuration"
        return await self._document("metadata", url, lambda told: _metadata(told, ours))

    async def keys(self, ours: OpenIdClient) -> tuple[Jwk, ...]:
        """Return the provider's keys. Raises ProviderFault."""
        return await self._document("keys", (await self.metadata(ours)).keys, _keys)

    async def try_client(self, ours: OpenIdClient, redirect_uri: str) -> None:
        """Prove ourselves with a code that is none. Raises ProviderFault where it is not the code
        that is refused."""
        try:
            await self.sign_in(ours, "essai", redirect_uri, "", secrets.token_urlsafe(32))
        except TokenFault as fault:
            if fault.word == "bad_code":
                return
        raise ProviderFault("bad_token_answer")

    async def sign_in_url(
        self, ours: OpenIdClient, redirect_uri: str, state: str, nonce: str, verifier: str
    ) -> str:
        """Return the address at which the citizen signs in. Raises ProviderFault."""
        known = await self.metadata(ours)
        asked = {"acr_values": " ".join(ours.acr_values)} if ours.acr_values else {}
        url: str = prepare_grant_uri(
            known.authorization,
            ours.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=" ".join(ours.scopes),
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **asked,
        )
        return url

    async def check_answer(self, ours: OpenIdClient, issuer: str | None) -> None:
        """Check the `iss` of an answer to a sign-in (RFC 9207). Raises TokenFault and
        ProviderFault."""
        known = await self.metadata(ours)
        if issuer != ours.issuer and (issuer is not None or known.names_issuer):
            raise TokenFault("wrong_issuer")

    async def sign_in(
        self, ours: OpenIdClient, code: str, redirect_uri: str, nonce: str, verifier: str
    ) -> SignedIn:
        """Redeem a code. Raises TokenFault for a token that proves nothing, ProviderFault."""
        known = await self.metadata(ours)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        answer = await self._call(self._token_request(ours, known.token, form), safe=False)
        if answer.status in (400, 401, 403):
            # `invalid_client` is ours to mend; any other word is about this code.
            told = answer.value.get("error") if isinstance(answer.value, dict) else None
            refused = told == "invalid_client" or answer.status != 400
            raise ProviderFault("client_refused") if refused else TokenFault("bad_code")
        granted = _success(answer)
        access, text = granted.get("access_token"), granted.get("id_token")
        kind = granted.get("token_type")
        if not isinstance(access, str) or not isinstance(kind, str) or kind.lower() != "bearer":
            raise ProviderFault("bad_token_answer")
        token = await self._with_keys(
            ours,
            known,
            lambda keys, expected: read_id_token(
                text, keys, expected, nonce=nonce, access_token=access
            ),
        )
        told = await self._user_info(ours, known, access, token)
        claims = {**told, **token.claims}
        return SignedIn(token.subject, token.session, token.acr, claims, str(text))

    async def read_logout(self, ours: OpenIdClient, text: object) -> LogoutNotice:
        """Verify a logout token of the provider. Raises TokenFault and ProviderFault."""
        known = await self.metadata(ours)
        return await self._with_keys(
            ours, known, lambda keys, expected: read_logout_token(text, keys, expected)
        )

    async def logout_url(self, ours: OpenIdClient, id_token: str, after: str) -> str | None:
        """Return the address at which the citizen's session at the provider ends, from which they
        come back to `after`; None where the provider has none. Raises ProviderFault."""
        end = (await self.metadata(ours)).end_session
        if end is None:
            return None
        asked = {"client_id": ours.client_id, "post_logout_redirect_uri": after}
        query = urlencode({"id_token_hint": id_token, **asked})
        return end + ("&" if urlsplit(end).query else "?") + query

    async def _with_keys(
        self, ours: OpenIdClient, known: ProviderMetadata, read: Callable[..., _T]
    ) -> _T:
        """Read a token; with keys that are read anew where none of the kept ones fits."""
        expected = ExpectedToken(ours.issuer, ours.client_id, ours.algorithms, self._now())
        try:
            return read(await self.keys(ours), expected)
        except UnknownKey:
            newer = await self._document("keys", known.keys, _keys, newest=AGAIN)
            return read(newer, expected)

    async def _user_info(
        self, ours: OpenIdClient, known: ProviderMetadata, access: str, token: IdToken
    ) -> Mapping[str, Any]:
        if known.user_info is None or set(ours.scopes) <= {"openid"}:
            return {}
        headers = {"Authorization": f"Bearer {access}", "Accept": "application/json"}
        answer = await self._call(
            lambda: self._client.build_request("GET", known.user_info or "", headers=headers)
        )
        told = _success(answer)
        if told.get("sub") != token.subject:
            raise TokenFault("wrong_subject")
        return told

    def _token_request(
        self, ours: OpenIdClient, url: str, form: Mapping[str, str]
    ) -> Callable[[], httpx.Request]:
        headers = {"Accept": "application/json"}
        secret = ours.secret.get_secret_value()
        told = dict(form)
        match ours.client_auth:
            case "client_secret_basic":
                # Each part is form-encoded first (RFC 6749, 2.3.1).
                pair = f"{quote_plus(ours.client_id)}:{quote_plus(secret)}"
                headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
            case "client_secret_post":
                told |= {"client_id": ours.client_id, "client_secret": secret}
            case "private_key_jwt":
                told |= {"client_id": ours.client_id, "client_assertion": self._assertion(ours)}
                told["client_assertion_type"] = (
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
                )
        return lambda: self._client.build_request("POST", url, headers=headers, data=told)

    def _assertion(self, ours: OpenIdClient) -> str:
        """Return a signed assertion of ours instead of a secret (RFC 7523, 3)."""
        now = int(self._now().timestamp())
        claims = {"iss": ours.client_id, "sub": ours.client_id, "aud": ours.issuer}
        times = {"iat": now, "exp": now + ASSERTED, "jti": secrets.token_urlsafe(16)}
        pem = ours.secret.get_secret_value()
        for kind, algorithm in ((RSAKey, "RS256"), (ECKey, "ES256")):
            try:
                key = kind.import_key(pem)
                return jwt.encode({"alg": algorithm}, claims | times, key, algorithms=[algorithm])
            except Exception:  # noqa: S112 - of two libraries, each with its own; may hold the key
                continue
        raise ProviderFault("bad_private_key")

    async def _document(
        self, kind: str, url: str, read: Callable[[Any], _T], *, newest: timedelta = KEPT
    ) -> _T:
        """Return a document of the provider, read within `newest`. It is not asked for more often
        than once in `AGAIN`; meanwhile, and while the provider fails, what is kept goes on."""
        kept = self._kept.setdefault((kind, url), _Document())
        async with kept.lock:
            now = self._now()
            if not _within(kept.at, now, newest) and not _within(kept.tried, now, AGAIN):
                kept.tried = now
                try:
                    answer = await self._call(lambda: self._client.build_request("GET", url))
                    kept.value, kept.at = read(_success(answer)), now
                except ProviderFault as error:
                    kept.word = error.word
            if kept.at is None:
                raise ProviderFault(kept.word)
            value: _T = kept.value
            return value

    async def _call(self, build: Callable[[], httpx.Request], *, safe: bool = True) -> Answer:
        answer = await send(self._client, build, safe=safe, limit=LARGEST)
        if isinstance(answer, Outcome):
            raise ProviderFault(getattr(answer, "reason", "unreachable"))
        return answer


def _within(then: datetime | None, now: datetime, life: timedelta) -> bool:
    """Is it so recent? A time ahead of now is not: a clock was set."""
    return then is not None and timedelta() <= now - then < life


def _success(answer: Answer) -> dict[str, Any]:
    if answer.status != 200 or answer.problem is not None or not isinstance(answer.value, dict):
        raise ProviderFault("unusable_answer")
    return answer.value


def _metadata(told: dict[str, Any], ours: OpenIdClient) -> ProviderMetadata:
    if told.get("issuer") != ours.issuer:
        raise ProviderFault("wrong_issuer")
    try:
        # Types, required members, and https (or a loopback) for each address.
        OpenIDProviderMetadata(told).validate()
    except (ValueError, TypeError, AttributeError, KeyError):
        raise ProviderFault("bad_metadata") from None
    schemes = ("https",) if ours.issuer.startswith("https:") else ("https", "http")
    addresses = {
        name: _address(told.get(name), schemes, required=name not in _OPTIONAL)
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", *_OPTIONAL)
    }
    challenges = told.get("code_challenge_methods_supported", ["S256"])
    signed = told.get("id_token_signing_alg_values_supported", [])
    if "code" not in told.get("response_types_supported", []) or "S256" not in challenges:
        raise ProviderFault("unsupported_provider")
    if not set(signed) & set(ours.algorithms):
        raise ProviderFault("unsupported_provider")
    return ProviderMetadata(
        addresses["authorization_endpoint"] or "",
        addresses["token_endpoint"] or "",
        addresses["jwks_uri"] or "",
        addresses["userinfo_endpoint"],
        addresses["end_session_endpoint"],
        told.get("authorization_response_iss_parameter_supported") is True,
        told,
    )


_OPTIONAL: Final = ("userinfo_endpoint", "end_session_endpoint")


def _address(told: object, schemes: Sequence[str], *, required: bool) -> str | None:
    if told is None and not required:
        return None
    try:
        parts = urlsplit(told if isinstance(told, str) else "")
    except ValueError:
        raise ProviderFault("bad_metadata") from None
    # In the clear only where the issuer itself is, on a loopback.
    if parts.scheme not in schemes or not parts.hostname or parts.fragment:
        raise ProviderFault("bad_metadata")
    return str(told)


def _keys(told: dict[str, Any]) -> tuple[Jwk, ...]:
    keys = public_keys(told)
    if keys is None:
        raise ProviderFault("bad_keys")
    return keys
