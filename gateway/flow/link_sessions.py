"""The request of a portal to link accounts, and the session in which that is done."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from gateway.catalogue.catalogue import CommuneLinking
from gateway.core.request import Json
from gateway.flow.environment import Environment
from gateway.flow.links import LinkRegister
from gateway.store import linked
from gateway.store.linked import StoredSession
from gateway.wire.link_tokens import LinkTokenFault, VerifiedToken
from gateway.wire.oidc import SignedIn

#: Seconds for agreeing, and for which an answer is given again to a form that is sent twice.
SESSION: Final = 900
ANSWERED: Final = 60
#: Characters of a session's token, and of a request's id.
_TOKEN: Final = 100
_ID: Final = 128
_KEPT: Final = ("account", "subject", "shown_as", "id_token", "acr", "claims")
#: Characters of what a portal tells: the account's name there, its state, a label for people.
_ACCOUNT, _STATE, _LABEL, _RETURN = 200, 300, 80, 800


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """The request of a commune's portal, verified. `id` is its own (`jti`)."""

    commune: str
    account: str
    return_to: str
    id: str
    state: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class LinkCall:
    """A verified call of a commune's portal. `about`: the request of its own that it names."""

    commune: str
    about: str | None


@dataclass(frozen=True, slots=True)
class LinkSession:
    """A citizen who has signed in. Without a `request` they look at their links alone."""

    mark: str
    token: str = field(repr=False)
    account: str = field(repr=False)
    subject: str = field(repr=False)
    shown_as: str = field(repr=False)
    id_token: str = field(repr=False)
    acr: str | None
    claims: Mapping[str, Json] = field(repr=False)
    request: LinkRequest | None


@dataclass(frozen=True, slots=True)
class LinkSessions:
    """The open sessions, stored sealed; a token that only its browser has opens one."""

    register: LinkRegister
    environment: Environment

    def mark_of(self, token: str) -> str:
        """Return the mark of the session that a token opens, or opened."""
        return self.register.hasher.of_session("token", token)

    async def open(
        self,
        found: SignedIn,
        account: str,
        claims: Mapping[str, Json],
        request: LinkRequest | None,
    ) -> LinkSession:
        """Open a session of whoever signed in. `account` has its normal form, `claims` are what the
        commune of the `request` is given. Raises Unavailable."""
        token = secrets.token_urlsafe(32)
        session = LinkSession(
            mark=self.mark_of(token),
            token=token,
            account=account,
            subject=found.subject,
            shown_as=shown_as(found.claims),
            id_token=found.id_token,
            acr=found.acr,
            claims=claims,
            request=request,
        )
        kept = {name: getattr(session, name) for name in _KEPT}
        kept["request"] = None if request is None else asdict(request)
        stored = self._stored(session, session.mark, kept, SESSION)
        if found.session is not None:
            provider = self.register.hasher.of_session("session", found.session)
            stored = replace(stored, session_mark=provider)
        await self.register.store.write(linked.open_session, stored)
        return session

    async def read(self, token: str | None) -> LinkSession | None:
        """Return an open session; None for none. Raises Unavailable."""
        if not token or len(token) > _TOKEN:
            return None
        mark = self.mark_of(token)
        stored = await self.register.store.read(linked.session, mark, self.environment.now())
        if stored is None:
            return None
        kept = self._opened(stored)
        if kept is None:
            return None
        request = kept.pop("request")
        return LinkSession(
            mark=mark,
            token=token,
            request=None if request is None else LinkRequest(**request),
            **kept,
        )

    def left_of(self, session: LinkSession, told: Mapping[str, Json]) -> StoredSession:
        """Return what is left of a session that has its answer: `told`, and it opens nothing."""
        return self._stored(session, self._given(session.token), told, ANSWERED)

    async def answer_of(self, token: str) -> dict[str, Any] | None:
        """Return the answer that the session of a token has had; None for none, or after a while.
        Raises Unavailable."""
        given, now = self._given(token), self.environment.now()
        store = self.register.store
        stored = await store.write(linked.session_answer, self.mark_of(token), given, now)
        return None if stored is None else self._opened(stored)

    def _given(self, token: str) -> str:
        return self.register.hasher.of_session("answered", token)

    def _stored(
        self, session: LinkSession, mark: str, told: Mapping[str, Json], life: float
    ) -> StoredSession:
        hasher = self.register.hasher
        return StoredSession(
            mark,
            hasher.of_session("subject", session.subject),
            None,
            hasher.of_session("account", session.account),
            self.register.cipher.seal(f"link_session {mark}", told),
            self.environment.now() + timedelta(seconds=life),
        )

    def _opened(self, stored: StoredSession) -> dict[str, Any] | None:
        """Return what a session holds; None for another key's."""
        try:
            return self.register.cipher.unseal(f"link_session {stored.mark}", stored.sealed)
        except ValueError:
            return None


def read_request(insee: str, linking: CommuneLinking, verified: VerifiedToken) -> LinkRequest:
    """Read the verified request of a commune's portal. Raises LinkTokenFault."""
    told = verified.claims
    account = one_line(told.get("account"), _ACCOUNT)
    state = one_line(told.get("state", ""), _STATE)
    label = one_line(told.get("label", ""), _LABEL)
    return_to = one_line(told.get("return_to"), _RETURN)
    # An address would be a name of a person, in an address bar and in logs.
    if not account or "@" in account or state is None or label is None or not return_to:
        raise LinkTokenFault("bad_claims")
    if return_to not in linking.returns:
        raise LinkTokenFault("foreign_return")
    return LinkRequest(insee, account, return_to, verified.id, state, label)


def read_call(insee: str, verified: VerifiedToken) -> LinkCall:
    """Read the verified call of a commune's portal."""
    return LinkCall(insee, one_line(verified.claims.get("in_response_to"), _ID))


def one_line(value: object, longest: int) -> str | None:
    """Return a text of one line; None for anything else."""
    fits = isinstance(value, str) and len(value) <= longest and value.isprintable()
    return str(value) if fits else None


def size_of(claims: Mapping[str, Json]) -> int:
    return len(json.dumps(dict(claims)))


def shown_as(claims: Mapping[str, Any]) -> str:
    """Return the name by which the citizen knows the account that they signed in with."""
    whole = " ".join(str(claims.get(name) or "") for name in ("given_name", "family_name"))
    for shown in (claims.get("name"), whole, claims.get("preferred_username"), claims.get("email")):
        told = one_line(shown, 200)
        if told is not None and told.strip():
            return told.strip()
    return ""
