"""Signing in to the console: by a local account, or at an OpenID provider."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog

from gateway.catalogue.catalogue import ClaimGrant, ConsoleOpenId
from gateway.core.console import Grant, is_account_name, password_fault, strongest
from gateway.core.errors import Rejected
from gateway.flow.console.accounts import mark_of
from gateway.flow.console.passwords import Passwords, is_outdated
from gateway.flow.console.sessions import ConsoleSessions
from gateway.store import console, nonces
from gateway.store.console import LOCAL, ConsoleAccount, PersonalAct
from gateway.telemetry import sparingly
from gateway.wire.signed_tokens import TokenFault

if TYPE_CHECKING:
    from gateway.wire.oidc import OpenIdProvider

log = structlog.get_logger()

#: Failures in a row after which a browser waits, and how long: a hundred guesses take five hours,
#: and no browser that has signed in before waits for the failures of others.
MOST: Final = 5
LOCK: Final = timedelta(minutes=15)
#: A browser is known for so long after it has signed in.
KNOWN: Final = timedelta(days=180)
#: Seconds for signing in at the provider.
SIGN_IN: Final = 600
_LONGEST: Final = 200
_CODE: Final = 4096
_VALUES: Final = 1000

#: word -> (status, French text).
REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "bad_login": (401, "Identifiant ou mot de passe refusé."),
    "bad_setup": (401, "Ce lien a déjà servi, ou n'est plus valable : demandez-en un autre."),
    "foreign_sign_in": (401, "Cette réponse ne correspond à aucune connexion commencée ici."),
    "sign_in_refused": (401, "La connexion n'a pas abouti chez le fournisseur d'identité."),
    "no_role": (403, "Ce compte n'a aucun rôle dans la console : demandez-le à l'exploitation."),
    "provider_fails": (503, "Le fournisseur d'identité ne répond pas comme il doit ; réessayez."),
}


@dataclass(frozen=True, slots=True)
class SignedInPerson:
    """The tokens to give to the browser of somebody who has just signed in: of the session, and
    that by which the browser is known (None: it has one, or needs none)."""

    session: str
    browser: str | None = None


@dataclass(slots=True)
class ConsoleSignIn:
    """`provider` and `openid` are None where local accounts alone sign in."""

    sessions: ConsoleSessions
    passwords: Passwords
    accounts: bool
    callback: str
    openid: ConsoleOpenId | None = None
    provider: OpenIdProvider | None = None

    def refusal(self, word: str, detail: str = "") -> Rejected:
        """Return the refusal to raise; it is logged without identity."""
        status, text = REFUSALS[word]
        sparingly(log.warning, "console.sign_in_refused", word=word, detail=detail)
        return Rejected(status, word, text)

    # --- local accounts -----------------------------------------------------------------------

    async def by_password(self, name: str, password: str, browser: str | None) -> SignedInPerson:
        """Sign in. Whatever is wrong, the refusal says the same, and takes as long. Raises Rejected
        and Unavailable."""
        account, made = await self._proven(name, password, browser)
        if is_outdated(made):
            again = await self.passwords.make(password)
            await self.sessions.store.write(console.rehash, account.name, made, again)
        return await self._in(account.name, account.grant, browser)

    async def change_password(
        self, name: str, former: str, password: str, browser: str | None, place: str
    ) -> SignedInPerson | str:
        """Replace the password of somebody who proves the former one; their sessions end, and one
        is opened. Return the word for what is wrong with the new one instead. Raises Rejected,
        Unavailable."""
        account, made = await self._proven(name, former, browser)
        fault = password_fault(password, account.name)
        if fault:
            return fault
        new, now = await self.passwords.make(password), self.sessions.environment.now()
        told = {"account": account.name}
        act = PersonalAct("console.password_changed", account.name, "console", place, told=told)
        await self.sessions.store.write(
            console.perform,
            lambda connection: console.rehash(connection, account.name, made, new, ends=True),
            act,
            now,
        )
        return await self._in(account.name, account.grant, browser)

    async def _proven(
        self, name: str, password: str, browser: str | None
    ) -> tuple[ConsoleAccount, str]:
        """Return the account whose password this is, and the hash of it. Raises Rejected."""
        store, now = self.sessions.store, self.sessions.environment.now()
        name = name.strip().lower()
        found = None
        if self.accounts and is_account_name(name):
            found = await store.read(console.find_account, name)
        mark, known = mark_of(f"others {name}"), False
        if found is not None and browser and len(browser) <= _LONGEST:
            own = mark_of(f"{browser} {name}")
            known = await store.read(console.is_known_browser, own, name, now)
            mark = own if known else mark
        made = None if found is None or found.disabled else found.password
        fits = len(password) <= _LONGEST and await self.passwords.fits(made, password, known=known)
        # Only now: those who guess together wait for one turn, and the first of them may lock it.
        locked = found is not None and await store.read(console.is_locked, mark, name, now)
        if found is None or made is None or not fits or locked:
            if found is not None and not fits and not locked:
                await store.write(console.count_failure, mark, name, MOST, LOCK, KNOWN, now)
            raise self.refusal("bad_login", "locked" if locked else "")
        return found, made

    async def _in(self, name: str, grant: Grant, browser: str | None) -> SignedInPerson:
        now = self.sessions.environment.now()
        given = browser if browser and len(browser) <= _LONGEST else secrets.token_urlsafe(32)
        mark = mark_of(f"{given} {name}")
        await self.sessions.store.write(console.note_browser, mark, name, KNOWN, now)
        session = await self.sessions.open(LOCAL + name, name, grant)
        return SignedInPerson(session, None if given == browser else given)

    async def account_of(self, link: str) -> str:
        """Return the account of a set-up link that is still good. Raises Rejected, Unavailable."""
        now = self.sessions.environment.now()
        name = await self.sessions.store.read(console.setup_account, mark_of(link), now)
        if name is None or not self.accounts:
            raise self.refusal("bad_setup")
        return name

    async def choose_password(
        self, link: str, password: str, browser: str | None, place: str
    ) -> SignedInPerson | str:
        """Set the password of a set-up link's account, and sign in. Return the word for what is
        wrong with it instead. Raises Rejected, Unavailable."""
        name = await self.account_of(link)
        fault = password_fault(password, name)
        if fault:
            return fault
        made = await self.passwords.make(password)
        store, now = self.sessions.store, self.sessions.environment.now()
        act = PersonalAct("console.password", name, "console", place, told={"account": name})
        mark = mark_of(link)
        done = await store.write(
            console.perform,
            lambda connection: console.set_password(connection, mark, made, now),
            act,
            now,
        )
        if done is None:  # another browser was faster
            raise self.refusal("bad_setup")
        account = await store.read(console.account, name)
        return await self._in(name, account.grant, browser)

    # --- the provider -------------------------------------------------------------------------

    async def begin(self) -> tuple[str, str]:
        """Return the address to sign in at, and the cookie by which its answer is known. Raises
        Rejected."""
        from gateway.wire.oidc import ProviderFault

        ours, provider = self._opened()
        cookie = secrets.token_urlsafe(32)
        try:
            url = await provider.sign_in_url(
                ours.client,
                self.callback,
                _derived(cookie, "state"),
                _derived(cookie, "nonce"),
                _derived(cookie, "verifier"),
            )
        except ProviderFault as fault:
            raise self.refusal("provider_fails", fault.word) from None
        return url, cookie

    async def finish(self, cookie: str | None, answer: Mapping[str, str]) -> SignedInPerson:
        """Take the provider's answer, once. Raises Rejected, Unavailable."""
        from gateway.wire.oidc import ProviderFault

        ours, provider = self._opened()
        if not cookie or len(cookie) > _LONGEST:
            raise self.refusal("foreign_sign_in", "no_cookie")
        state = answer.get("state", "").encode("utf-8", "replace")
        if not hmac.compare_digest(state, _derived(cookie, "state").encode()):
            raise self.refusal("foreign_sign_in", "foreign_state")
        until = self.sessions.environment.now() + timedelta(seconds=SIGN_IN)
        key = f"console state {mark_of(cookie)}"
        if not await self.sessions.store.write(nonces.spend, key, until):
            raise self.refusal("foreign_sign_in", "replayed")
        code = answer.get("code", "")
        try:
            await provider.check_answer(ours.client, answer.get("iss"))
            if not code or "error" in answer or len(code) > _CODE:
                raise self.refusal("sign_in_refused")
            nonce, verifier = _derived(cookie, "nonce"), _derived(cookie, "verifier")
            found = await provider.sign_in(ours.client, code, self.callback, nonce, verifier)
        except TokenFault as fault:
            raise self.refusal("foreign_sign_in", fault.word) from None
        except ProviderFault as fault:
            raise self.refusal("provider_fails", fault.word) from None
        grant = grant_of(found.claims, ours.roles)
        if grant is None:
            raise self.refusal("no_role")
        shown = _shown(found.claims) or found.subject
        return SignedInPerson(await self.sessions.open(f"openid:{found.subject}", shown, grant))

    def _opened(self) -> tuple[ConsoleOpenId, OpenIdProvider]:
        if self.openid is None or self.provider is None:
            raise Rejected(404, "not_found", "Cette adresse n'existe pas.")
        return self.openid, self.provider


def grant_of(claims: Mapping[str, Any], roles: tuple[ClaimGrant, ...]) -> Grant | None:
    """Return what the claims of somebody come to; None where they have no role."""
    return strongest(one.grant for one in roles if one.value in _values(claims, one.claim))


def _values(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the values of a claim. An address counts where the provider has verified it."""
    told = claims.get(name)
    if name == "email" and claims.get("email_verified") is not True:
        return []
    listed = told[:_VALUES] if isinstance(told, list) else [told]
    return [one for one in listed if isinstance(one, str)]


def _shown(claims: Mapping[str, Any]) -> str:
    for name in ("name", "preferred_username", "email"):
        told = claims.get(name)
        if isinstance(told, str) and told.strip() and told.isprintable():
            return told.strip()[:_LONGEST]
    return ""


def _derived(cookie: str, name: str) -> str:
    made = hmac.new(cookie.encode("utf-8", "replace"), name.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
