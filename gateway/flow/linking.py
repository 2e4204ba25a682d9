"""Links a citizen's account at GLC with the one at their commune's own portal.

The portal sends the citizen with a signed request. The citizen signs in at GLC and agrees, and goes
back with a signed answer. The portal then confirms by a signed call of its own: from that moment
the link counts. So a request that was slipped to somebody else links nothing, as the portal sees
the answer come in another session than its own.

Until the citizen has signed in, everything lies in a sealed cookie of theirs, and nothing here.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import structlog

from gateway.catalogue.catalogue import Commune, CommuneLinking
from gateway.core.account import normal_account
from gateway.core.errors import Rejected
from gateway.core.linking import AccountLink, LinkHasher
from gateway.core.request import Json
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.far_ends import FarEnds
from gateway.flow.link_sessions import (
    LinkCall,
    LinkRequest,
    LinkSession,
    LinkSessions,
    read_call,
    read_request,
    size_of,
)
from gateway.flow.linking_texts import REFUSALS
from gateway.flow.links import LinkRegister
from gateway.flow.observer import Observer
from gateway.store import linked, nonces
from gateway.store.linked import StoredLink
from gateway.telemetry import sparingly
from gateway.wire.link_tokens import (
    LinkToken,
    LinkTokenFault,
    VerifiedToken,
    make_link_token,
    open_cookie,
    read_link_token,
    seal_cookie,
)
from gateway.wire.oidc import OpenIdProvider, ProviderFault, SignedIn
from gateway.wire.oidc_client import OpenIdClient
from gateway.wire.signed_tokens import TokenFault

log = structlog.get_logger()

#: Seconds for signing in.
SIGN_IN: Final = 600
#: Characters of the claims that a commune is given, of a code of the provider, and of the cookie of
#: a request. (Browsers drop a cookie of more than 4,096, and three secrets are yet to come.)
_CLAIMS = 4096
_CODE = 4096
_BEGUN = 3500


class LinkDesk:
    """Serves citizens, communes' portals and the provider. One per process."""

    def __init__(
        self,
        far_ends: FarEnds,
        provider: OpenIdProvider,
        register: LinkRegister,
        environment: Environment,
        erased: AccountHasher,
        observer: Observer,
    ) -> None:
        self.far_ends = far_ends
        self.register = register
        self.sessions = LinkSessions(register, environment)
        self._provider = provider
        self._environment = environment
        self._erased = erased
        self._observer = observer

    @property
    def ours(self) -> OpenIdClient:
        """Our registration at GLC, as it is configured now."""
        glc = self.far_ends.catalogue.settings.glc
        if glc is None or glc.openid is None:
            raise AssertionError("a desk is opened where this is configured")
        return glc.openid

    @property
    def base(self) -> str:
        """Our own address."""
        return self.far_ends.catalogue.settings.public_url.rstrip("/")

    @property
    def hasher(self) -> LinkHasher:
        return self.register.hasher

    def refusal(self, word: str, commune: str = "", detail: str = "") -> Rejected:
        """Return the refusal to raise; it is logged without identity, and counted."""
        status, text = REFUSALS[word]
        self._observer.link_refused(word)
        sparingly(log.warning, "linking.refused", word=word, commune=commune, detail=detail)
        return Rejected(status, word, text)

    # --- the commune's request ----------------------------------------------------------------

    def commune(self, insee: str) -> tuple[Commune, CommuneLinking]:
        """Return a commune with its settings for links. Raises Rejected 404, 410."""
        if self.far_ends.departures.is_closed(insee):
            self._observer.departed("link")
            raise self.refusal("commune_left", insee)
        found = self.far_ends.catalogue.communes.get(insee)
        if found is None or found.linking is None:
            raise self.refusal("no_linking")
        return found, found.linking

    async def begin(self, insee: str, text: str, *, posted: bool) -> tuple[str, str | None]:
        """Verify the request of a commune's portal; return its id, and the cookie to give.

        `posted`: it came by a form, not in an address. None instead of a cookie: it came before,
        and is good for the browser alone that brought it then. Raises Rejected, Unavailable."""
        commune, linking = self.commune(insee)
        place = f"{self.base}/lien/{insee}"
        try:
            verified = self._read(text, LinkToken.REQUEST, commune, linking, place)
        except LinkTokenFault as fault:
            word = "expired_request" if fault.word == "expired" else "bad_request"
            raise self.refusal(word, insee, fault.word) from None
        try:
            request = read_request(insee, linking, verified)
        except LinkTokenFault as fault:
            word = "foreign_return" if fault.word == "foreign_return" else "bad_request"
            raise self.refusal(word, insee, fault.word) from None
        if request.label and not posted:
            raise self.refusal("personal_in_address", insee)
        made = self._cookie({"request": asdict(request)})
        if len(made) > _BEGUN:
            raise self.refusal("bad_request", insee, "too_long")
        if not await self._spend(f"link request {insee} {verified.id}", verified.until):
            return request.id, None
        self._observer.link_moved("begun")
        return request.id, made

    # --- the citizen signs in -----------------------------------------------------------------

    def begun(self, cookie: str | None, again: str) -> LinkRequest:
        """Return the request that a cookie holds. `again`: the id of one that came twice, which it
        must be then; else empty. Raises Rejected."""
        told = self._opened(cookie)
        if told is None or "request" not in told:
            raise self.refusal("replayed_request" if again else "not_begun")
        request = LinkRequest(**told["request"])
        if again and request.id != again:
            raise self.refusal("replayed_request", request.commune)
        return request

    async def sign_in(self, cookie: str | None) -> tuple[str, str]:
        """Return the address at GLC to sign in at, and the cookie to give. Without a request in
        `cookie`, the citizen wants to see their links. Raises Rejected."""
        told = dict(self._opened(cookie) or {})
        secrets_of = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        try:
            url = await self._provider.sign_in_url(self.ours, self._callback, **secrets_of)
        except ProviderFault as fault:
            raise self._provider_fails(fault) from None
        kept = {"request": told["request"]} if "request" in told else {}
        return url, self._cookie({**kept, **secrets_of})

    async def signed_in(self, cookie: str | None, answer: Mapping[str, str]) -> LinkSession:
        """Take the provider's answer, once, and open a session. Raises Rejected, Unavailable."""
        told = self._opened(cookie)
        if told is None or "state" not in told:
            raise self.refusal("not_begun")
        request = LinkRequest(**told["request"]) if "request" in told else None
        insee = "" if request is None else request.commune
        if not hmac.compare_digest(answer.get("state", "").encode(), told["state"].encode()):
            raise self.refusal("foreign_state", insee)
        until = self._environment.now().timestamp() + SIGN_IN
        if not await self._spend(f"link state {told['state']}", until):
            raise self.refusal("replayed_answer", insee)
        try:
            await self._provider.check_answer(self.ours, answer.get("iss"))
            if "code" not in answer or "error" in answer:
                raise self.refusal("sign_in_refused", insee)
            if len(answer["code"]) > _CODE:
                raise TokenFault("bad_code")
            found = await self._provider.sign_in(
                self.ours, answer["code"], self._callback, told["nonce"], told["verifier"]
            )
        except TokenFault as fault:
            raise self.refusal("bad_token", insee, fault.word) from None
        except ProviderFault as fault:
            raise self._provider_fails(fault) from None
        return await self._open(found, request)

    async def _open(self, found: SignedIn, request: LinkRequest | None) -> LinkSession:
        account = found.claims.get(self.ours.account_claim)
        if self.ours.account_claim == "sub":
            account = found.subject
        if not isinstance(account, str) or not 0 < len(account) <= 255:
            raise self.refusal("no_account")
        wanted: Sequence[str] = ()
        if request is not None:
            wanted = self.commune(request.commune)[1].claims
        claims = {name: found.claims[name] for name in wanted if name in found.claims}
        if size_of(claims) > _CLAIMS:
            raise self._provider_fails(ProviderFault("claims_too_large"))
        session = await self.sessions.open(found, normal_account(account), claims, request)
        self._observer.link_moved("signed_in")
        return session

    # --- the citizen agrees, looks, unlinks, leaves -------------------------------------------

    async def replaced(self, session: LinkSession) -> AccountLink | None:
        """Return the link with another account of the same portal that agreeing would replace.
        Raises Unavailable."""
        request = session.request
        if request is None:
            return None
        found = await self.register.find(request.commune, session.account)
        return None if found is None or found.account == request.account else found

    async def answer(self, token: str, *, agrees: bool) -> str:
        """Return the address at the commune's portal to go back to, for the session of `token`. If
        the citizen `agrees`, the link waits there for the portal's confirmation. A form that was
        sent twice has the same answer twice. Raises Rejected, Unavailable."""
        session = await self.sessions.read(token)
        url = None if session is None else await self._answer(session, agrees=agrees)
        return await self._answered(token, agrees=agrees) if url is None else url

    async def _answer(self, session: LinkSession, *, agrees: bool) -> str | None:
        """Answer, once; None where the session is over meanwhile."""
        request = session.request
        if request is None:
            raise self.refusal("no_session")
        commune, linking = self.commune(request.commune)
        if request.return_to not in linking.returns:
            raise self.refusal("foreign_return", request.commune)
        now = self._environment.now()
        told: dict[str, Json] = {"in_response_to": request.id, "result": "refused"}
        link: StoredLink | None = None
        if agrees:
            identity = self.hasher.identity(request.commune, self.ours.issuer, session.subject)
            made = AccountLink(
                request.commune, identity, request.account, now, session.acr, session.claims
            )
            link = self.register.stored(made, session.account, request.id)
            told |= {"result": "linked", "sub": identity}
        if request.state:
            told["state"] = request.state
        key = linking.keys[0].get_secret_value()
        answer = make_link_token(LinkToken.ANSWER, key, self.base, commune.insee, now, told)
        mark = "&" if urlsplit(request.return_to).query else "?"
        url = f"{request.return_to}{mark}{urlencode({'reponse': answer})}"
        done = await self.register.store.write(
            linked.answer,
            session.mark,
            self.sessions.left_of(session, {"agrees": agrees, "url": url}),
            link,
            self._erased.hashes_of(session.account),
        )
        if done is False:
            raise self.refusal("erased_account", request.commune)
        if done:
            self._observer.link_moved("agreed" if agrees else "declined")
        return url if done else None

    async def _answered(self, token: str, *, agrees: bool) -> str:
        told = await self.sessions.answer_of(token)
        if told is None or told["agrees"] is not agrees:
            raise self.refusal("no_session")
        url: str = told["url"]
        return url

    async def links(self, session: LinkSession) -> list[AccountLink]:
        """Return the citizen's own links. Raises Unavailable."""
        return await self.register.of_account(session.account)

    async def unlink_own(self, session: LinkSession, insee: str) -> int:
        """Drop the citizen's link with a commune; return how many. Raises Unavailable."""
        own = [one for one in await self.links(session) if one.commune == insee]
        count = 0
        for one in own:
            count += await self.register.unlink(insee, identity=one.identity)
        self._observer.link_moved("unlinked_by_citizen")
        return count

    async def sign_out(self, session: LinkSession) -> str:
        """End the session here; return where it ends at GLC. Raises Unavailable."""
        await self.register.store.write(linked.close_session, session.mark)
        after = f"{self.base}/lien/deconnecte"
        try:
            return await self._provider.logout_url(self.ours, session.id_token, after) or after
        except ProviderFault:
            return after

    # --- the provider and the communes call ---------------------------------------------------

    async def logged_out(self, text: str) -> int:
        """Take a logout token of the provider (back-channel logout): end the sessions that it
        names, and nothing else. Raises Rejected 400, Unavailable."""
        try:
            notice = await self._provider.read_logout(self.ours, text)
        except TokenFault as fault:
            raise self.refusal("bad_logout", detail=fault.word) from None
        except ProviderFault as fault:
            raise self._provider_fails(fault) from None
        hasher = self.hasher
        ended = await self.register.store.write(
            linked.close_sessions,
            f"link logout {notice.id}",
            self._environment.now() + timedelta(hours=1),
            None if notice.subject is None else hasher.of_session("subject", notice.subject),
            None if notice.session is None else hasher.of_session("session", notice.session),
        )
        if ended is None:
            raise self.refusal("bad_logout", detail="replayed")
        self._observer.link_moved("logged_out")
        return ended

    async def session_ended(self, issuer: str, session: str) -> None:
        """End the sessions of a session at the provider (front-channel logout, which Authentic has
        alone). Nothing is signed; who knows the session's name can end it, and nothing else.
        Raises Rejected 400, Unavailable."""
        if issuer != self.ours.issuer or not 0 < len(session) <= 255:
            raise self.refusal("bad_logout", detail="wrong_issuer" if session else "no_session")
        mark = self.hasher.of_session("session", session)
        if await self.register.store.write(linked.end_session, mark):
            self._observer.link_moved("logged_out")

    async def caller(self, insee: str, authorization: str) -> LinkCall:
        """Return the commune that a signed call of its portal speaks for, and the request that it
        is about, if it is about one. Raises Rejected 401 and 404, Unavailable."""
        commune, linking = self.commune(insee)
        kind, _, text = authorization.partition(" ")
        place = f"{self.base}/linking/v1/communes/{insee}"
        try:
            if kind.lower() != "bearer":
                raise LinkTokenFault("no_token")
            verified = self._read(text.strip(), LinkToken.CALL, commune, linking, place)
        except LinkTokenFault as fault:
            raise self.refusal("bad_call", insee, fault.word) from None
        if not await self._spend(f"link call {insee} {verified.id}", verified.until):
            raise self.refusal("bad_call", insee, "replayed")
        return read_call(commune.insee, verified)

    async def confirm(self, call: LinkCall, identity: str) -> AccountLink:
        """Let the link count that answers the request which the portal names: the answer to that
        one came in the session that had asked. Raises Rejected 401 and 404, Unavailable."""
        if not call.about:
            raise self.refusal("bad_call", call.commune, "no_request")
        found = await self.register.confirm(call.commune, identity, call.about)
        if found is None:
            raise self.refusal("no_link", call.commune)
        self._observer.link_moved("confirmed")
        return found

    async def unlink(self, insee: str, identity: str) -> None:
        """Drop a link, as its commune's portal says; there may be none. Raises Unavailable."""
        await self.register.unlink(insee, identity=identity)
        self._observer.link_moved("unlinked_by_commune")

    # --- helpers ------------------------------------------------------------------------------

    @property
    def _callback(self) -> str:
        return f"{self.base}/lien/retour"

    def _read(
        self, text: str, kind: LinkToken, commune: Commune, linking: CommuneLinking, place: str
    ) -> VerifiedToken:
        keys = [key.get_secret_value() for key in linking.keys]
        return read_link_token(text, kind, keys, commune.insee, place, self._environment.now())

    async def _spend(self, key: str, until: float) -> bool:
        now = self._environment.now()
        ends = now + timedelta(seconds=max(0.0, until - now.timestamp()))
        return await self.register.store.write(nonces.spend, key, ends)

    def _cookie(self, told: Mapping[str, Json]) -> str:
        return seal_cookie(self.hasher.cookie_key, told, self._environment.now(), SIGN_IN)

    def _opened(self, cookie: str | None) -> Mapping[str, Any] | None:
        if not cookie:
            return None
        return open_cookie(self.hasher.cookie_key, cookie, self._environment.now())

    def _provider_fails(self, fault: ProviderFault) -> Rejected:
        return self.refusal("provider_fails", detail=fault.word)
