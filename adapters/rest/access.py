"""Authentication at the GRU: fixed headers, an OAuth2 token, or a session."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from pydantic import SecretStr

from adapters.rest.call import Call
from adapters.rest.expression import Json
from adapters.rest.options import (
    Auth,
    BasicAuth,
    BearerAuth,
    HeaderAuth,
    NoAuth,
    OAuth2Auth,
    SessionAuth,
)
from gateway.sdk import (
    Answer,
    ClientCredentials,
    JwtBearer,
    Misconfigured,
    Outcome,
    RefreshToken,
    Token,
    TokenKeeper,
    not_granted,
    sendable,
)

#: Makes a call that has no credentials, with the names that it may read.
LogIn = Callable[[Call, Mapping[str, Json]], Awaitable[Answer | Outcome]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials that a call carries. `token` is the value of `=session`."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)


class Access(ABC):
    """Gets credentials when they are needed. `forget` drops credentials that the GRU refuses."""

    @abstractmethod
    async def credentials(self) -> Credentials | Outcome: ...

    def expired(self, answer: Answer) -> bool:
        return False

    def forget(self, credentials: Credentials) -> None:
        return None


class FixedAccess(Access):
    def __init__(self, headers: Mapping[str, str]) -> None:
        self._credentials = Credentials(headers)

    async def credentials(self) -> Credentials:
        return self._credentials


class TokenAccess(Access):
    """A token that is kept until it ends or is refused."""

    def __init__(
        self, fetch: Callable[[], Awaitable[Token | Outcome]], now: Callable[[], datetime]
    ) -> None:
        self._tokens = TokenKeeper(fetch, now)

    async def credentials(self) -> Credentials | Outcome:
        token = await self._tokens.get()
        if not isinstance(token, Token):
            return token
        return Credentials(self._headers(token.value), token.value)

    def forget(self, credentials: Credentials) -> None:
        if credentials.token is not None:
            self._tokens.forget(credentials.token)

    @abstractmethod
    def _headers(self, token: str) -> Mapping[str, str]: ...


class OAuth2Access(TokenAccess):
    def __init__(
        self, auth: OAuth2Auth, now: Callable[[], datetime], client: httpx.AsyncClient
    ) -> None:
        account = _account(auth)
        super().__init__(lambda: account.fetch(client), now)

    def expired(self, answer: Answer) -> bool:
        return answer.status == 401

    def _headers(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"}


class SessionAccess(TokenAccess):
    """A login call described in the YAML. It is made when needed, and again when the session
    ends."""

    def __init__(
        self,
        auth: SessionAuth,
        now: Callable[[], datetime],
        log_in: LogIn,
        scope: Mapping[str, Json],
    ) -> None:
        super().__init__(self._login, now)
        self._auth = auth
        self._log_in = log_in
        self._scope = scope

    def expired(self, answer: Answer) -> bool:
        rule = self._auth.expired
        if rule.status is not None and answer.status == rule.status and rule.when is None:
            return True
        if rule.when is None or not answer.readable or not truthy(rule.when.read(answer.value)):
            return False
        # With a condition, the default status 401 is one way among two, any other is part of it.
        return rule.status in (None, 401, answer.status)

    def _headers(self, token: str) -> Mapping[str, str]:
        header = self._auth.header
        return {} if header is None else {header: f"{self._auth.prefix}{token}"}

    async def _login(self) -> Token | Outcome:
        answer = await self._log_in(self._auth.login, self._scope)
        if not isinstance(answer, Answer):
            return answer
        fault = not_granted(answer.status, "login_refused")
        if fault is not None:
            return fault
        token = self._auth.token.read(answer.value)
        if isinstance(token, int) and not isinstance(token, bool):
            token = str(token)
        if not isinstance(token, str) or not sendable(token):
            return Misconfigured("login_refused", "the login call gave no token")
        return Token(token, None if self._auth.ttl is None else timedelta(seconds=self._auth.ttl))


def access(
    auth: Auth,
    now: Callable[[], datetime],
    client: httpx.AsyncClient,
    log_in: LogIn,
    scope: Mapping[str, Json],
) -> Access:
    """Return the access that the options describe."""
    match auth:
        case OAuth2Auth():
            return OAuth2Access(auth, now, client)
        case SessionAuth():
            return SessionAccess(auth, now, log_in, scope)
        case _:
            return FixedAccess(fixed_headers(auth))


def fixed_headers(auth: NoAuth | BasicAuth | HeaderAuth | BearerAuth) -> Mapping[str, str]:
    """Return the headers of credentials that do not change."""
    match auth:
        case NoAuth():
            return {}
        case BasicAuth():
            pair = f"{auth.username}:{_clear(auth.password)}".encode()
            return {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        case HeaderAuth():
            return {auth.name: f"{auth.prefix}{_clear(auth.value)}"}
        case BearerAuth():
            return {"Authorization": f"Bearer {_clear(auth.token)}"}


def _account(auth: OAuth2Auth) -> ClientCredentials | RefreshToken | JwtBearer:
    """Return our account at the token endpoint. The options were checked when they were read."""
    secret = None if auth.client_secret is None else _clear(auth.client_secret)
    if auth.grant == "refresh_token" and auth.refresh_token is not None:
        return RefreshToken(
            auth.token_url,
            auth.client_id,
            _clear(auth.refresh_token),
            client_secret=secret,
            scope=auth.scope,
            client_auth=auth.way,
            parameters=auth.parameters,
            kept_in=auth.kept_in,
        )
    if auth.grant == "jwt_bearer" and auth.private_key is not None:
        return JwtBearer(
            auth.token_url,
            issuer=auth.issuer or auth.client_id,
            private_key=_clear(auth.private_key),
            audience=auth.audience or auth.token_url,
            subject=auth.subject,
            algorithm=auth.algorithm,
            key_id=auth.key_id,
            scope=auth.scope,
            parameters=auth.parameters,
            client_id="" if secret is None else auth.client_id,
            client_secret=secret,
            client_auth=auth.way,
        )
    return ClientCredentials(
        auth.token_url, auth.client_id, secret or "", auth.scope, auth.way, auth.parameters
    )


def truthy(value: Json) -> bool:
    """Is the value true for JMESPath? null, false and empty values are not; 0 is."""
    return not (value is None or value is False or value in ("", [], {}))


def _clear(secret: SecretStr) -> str:
    return secret.get_secret_value()
