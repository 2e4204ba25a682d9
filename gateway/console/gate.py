"""The console's door: cookies, sessions, forms that are of our own pages, tokens of programs."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from gateway.console.acting import ActorPlace
from gateway.console.sight import HealthLook, Sight
from gateway.core.console import Reader
from gateway.core.errors import Rejected
from gateway.flow.console.access import ConsoleAccess
from gateway.flow.console.sessions import OpenSession, form_token
from gateway.flow.engine import Engine
from gateway.web.body import read_body
from gateway.web.linking_pages import origin_of
from gateway.web.state import Web, exchange_of

#: Bytes and fields of a form.
_LONGEST_FORM: Final = 64 * 1024
_FIELDS: Final = 400
_ADDRESS: Final = 64


@dataclass(frozen=True, slots=True)
class ConsoleForm:
    """A form of one of our own pages. A field may stand in it several times."""

    fields: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        return next((value for key, value in self.fields if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]

    def values(self) -> dict[str, str]:
        return dict(self.fields)


class NotSignedIn(Exception):
    """A page for those who have signed in."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One per process."""

    web: Web
    access: ConsoleAccess
    look: HealthLook

    @property
    def engine(self) -> Engine:
        return self.web.engine

    @property
    def secure(self) -> bool:
        return self.access.base.startswith("https:")

    # --- cookies ------------------------------------------------------------------------------

    def cookie(self, request: Request, name: str) -> str | None:
        """Return one of our cookies."""
        return request.cookies.get(self._name(name))

    def give(self, answer: Response, name: str, value: str, life: int | None) -> None:
        """Give the browser a cookie: for `life` seconds, or (None) until it is closed."""
        answer.set_cookie(
            self._name(name),
            value,
            max_age=life,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",  # people come by links in mails, and back from their provider
        )

    def _name(self, name: str) -> str:
        return f"__Host-console-{name}" if self.secure else f"console-{name}"

    # --- people -------------------------------------------------------------------------------

    async def session(self, request: Request) -> OpenSession | None:
        """Return the open session of a browser. A page that looks for news by itself keeps none
        open."""
        acts = request.headers.get("hx-request") != "true"
        return await self.access.sessions.read(self.cookie(request, "session"), acts=acts)

    async def person(self, request: Request) -> OpenSession:
        """Return who has signed in. Raises NotSignedIn."""
        found = await self.session(request)
        if found is None:
            raise NotSignedIn
        exchange_of(request.scope).proven = True
        return found

    def sight(self, reader: Reader) -> Sight:
        """Return what a reader may see."""
        return Sight(self.engine, self.look, reader)

    # --- forms --------------------------------------------------------------------------------

    async def form(self, request: Request, token: str | None) -> ConsoleForm:
        """Read a form of a page of ours: the browser says that it comes from there, and it bears
        the proof that only a page for this browser has (`token`). Raises Rejected 403."""
        self._of_this_site(request)
        with self.web.unproven.lease() as lease:
            body = await read_body(request, _LONGEST_FORM, lease)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise _forged()
        try:
            fields = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
        except ValueError:
            raise _forged() from None
        found = ConsoleForm(tuple(fields))
        told = found.get("jeton").encode("utf-8", "replace")
        if not token or not hmac.compare_digest(told, token.encode()):
            raise _forged()
        return found

    async def person_form(self, request: Request) -> tuple[OpenSession, ConsoleForm]:
        """Return who sends a form of a page of theirs. Raises Rejected and NotSignedIn."""
        self._of_this_site(request)
        session = await self.person(request)
        return session, await self.form(request, session.form_token)

    async def spend(self, session: OpenSession, number: str) -> None:
        """Take a numbered form once. Raises Rejected 409 for one that came before."""
        if not await self.access.sessions.spend(session, number[:_ADDRESS]):
            text = "Ce formulaire a déjà été envoyé : rien n'a été fait une seconde fois."
            raise Rejected(409, "replayed_form", text)

    def stranger_token(self, request: Request) -> tuple[str, str | None]:
        """Return the proof for forms of a browser without a session, and the cookie to give it if
        it has none."""
        known = self.cookie(request, "debut")
        cookie = known or secrets.token_urlsafe(32)
        return form_token(cookie), None if known else cookie

    def _of_this_site(self, request: Request) -> None:
        """Raises Rejected for a form of another site: browsers say where each comes from."""
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if site not in (None, "same-origin") or (
            origin is not None and origin != origin_of(self.access.base)
        ):
            raise _forged()

    def note_refusal(self, request: Request, error: Rejected) -> None:
        """Note a refusal that is shown on a page, so that it counts as others do."""
        exchange_of(request.scope).code = error.code

    # --- where from ---------------------------------------------------------------------------

    def place(self, request: Request, way: str) -> ActorPlace:
        """Return from where somebody acts. Nothing is decided by it."""
        address = "" if request.client is None else request.client.host
        if self.access.settings.forwarded:
            told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            address = told if told.isprintable() and told else address
        return ActorPlace(way, address[:_ADDRESS])

    # --- programs -----------------------------------------------------------------------------

    async def program(self, request: Request) -> Reader:
        """Return the program that calls. Raises Rejected 401."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Rejected(401, "no_console_token", "Authorization: Bearer TOKEN is needed.")
        reader = await self.access.program(token.strip())
        exchange_of(request.scope).proven = True
        return reader


def local_address(told: str) -> str:
    """Return an address of the console to go on to; its first page for any other."""
    parts = urlsplit(told)
    fits = told.startswith("/console") and not parts.netloc and not parts.scheme
    plain = told.isascii() and told.isprintable() and "\\" not in told and "//" not in told
    return told if fits and plain and len(told) <= 500 else "/console"


def _forged() -> Rejected:
    text = "Ce formulaire ne vient pas d'une page de la console ouverte dans ce navigateur."
    return Rejected(403, "forged_form", text)


def text_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return query values, bounded."""
    return {name[:80]: value[:500] for name, value in list(values.items())[:40]}


__all__ = ["ConsoleForm", "Gate", "NotSignedIn"]
