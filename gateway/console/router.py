"""The console's routes: a page for each view, two for each act, and the way in and out."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.console import acting
from gateway.console.gate import Gate, NotSignedIn, local_address, text_values
from gateway.console.pages import (
    CONSOLE,
    FILES,
    console_headers,
    console_page,
    file_page,
    kept_file,
)
from gateway.console.views import VIEWS
from gateway.console.views.view import ConsoleFile, View
from gateway.core.errors import Rejected
from gateway.flow.console.sessions import OpenSession
from gateway.flow.console.sign_in import KNOWN, SIGN_IN, SignedInPerson
from gateway.web.problems import Problem

_FAULTS: Final = {
    "password_short": "Le mot de passe a au moins 12 caractères.",
    "password_long": "Le mot de passe a 128 caractères au plus.",
    "password_easy": "Ce mot de passe se devine : il lui faut 6 caractères différents, sans votre"
    " identifiant.",
    "password_differs": "Les deux saisies diffèrent.",
}
Handler = Callable[[Request], Awaitable[Response]]


def console_router(gate: Gate) -> APIRouter:
    """Return `/console/...`."""
    router = APIRouter(prefix=CONSOLE, include_in_schema=False)
    use = _Console(gate)

    def add(path: str, handler: Handler, *methods: str) -> None:
        router.add_api_route(path, _for_people(handler), methods=list(methods or ("GET",)))

    for name in FILES:
        add(f"/fichiers/{name}", _file(name))
    add("/accessibilite", use.accessibility_page)
    add("/connexion", use.sign_in_page)
    add("/connexion", use.sign_in, "POST")
    add("/fournisseur", use.to_provider)
    add("/retour", use.from_provider)
    add("/ouverture", use.setup_page)
    add("/ouverture", use.setup, "POST")
    add("/compte", use.account_page)
    add("/compte", use.change_password, "POST")
    add("/deconnexion", use.sign_out, "POST")
    add("/actes/{act}", use.act_page)
    add("/actes/{act}", use.act, "POST")
    for view in VIEWS:
        add(view.path, use.page_of(view))
    return router


def _for_people(handler: Handler) -> Handler:
    """Lead to the sign-in who has not signed in. A page that looks for news is read anew."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except NotSignedIn:
            if request.headers.get("hx-request") == "true":
                return Response(None, 401, console_headers() | {"HX-Refresh": "true"})
            here = request.url.path
            after = f"?{request.url.query}" if request.url.query else ""
            back = quote(local_address(here + after) if request.method == "GET" else CONSOLE)
            return RedirectResponse(f"{CONSOLE}/connexion?suite={back}", 303, console_headers())

    return handle


def _file(name: str) -> Handler:
    async def handle(request: Request) -> Response:
        return file_page(name)

    return handle


class _Console:
    """The pages behind the routes."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    # --- views --------------------------------------------------------------------------------

    def page_of(self, view: View) -> Handler:
        async def handle(request: Request) -> Response:
            session = await self.gate.person(request)
            if not view.allows(session.reader.role):
                raise Rejected(403, "not_allowed", "Votre rôle ne donne pas accès à cette page.")
            query = text_values(request.query_params) | text_values(request.path_params)
            data = await view.load(self.gate.sight(session.reader), query)
            if isinstance(data, ConsoleFile):
                return kept_file(data.name, data.media_type, data.text, secure=self.gate.secure)
            title = getattr(data, "title", "") or view.title
            return self._page(request, session, view.template, title, view, data=data, query=query)

        return handle

    def _page(
        self,
        request: Request,
        session: OpenSession,
        template: str,
        title: str,
        view: View | None = None,
        *,
        status: int = 200,
        **given: Any,
    ) -> Response:
        role = session.reader.role
        stopped = request.query_params.get("fige") == "1"
        return console_page(
            template,
            status=status,
            secure=self.gate.secure,
            title=title,
            view=view,
            menu=[one for one in VIEWS if one.menu and one.allows(role)],
            acts={act.name: act for act in acting.ACTS.values() if act.allows(role)},
            live=0 if view is None or stopped else view.live,
            stopped=stopped,
            here=local_address(request.url.path),
            poll=local_address(f"{request.url.path}?{request.url.query}".rstrip("?")),
            reader=session.reader,
            form_token=session.form_token,
            now=self.gate.engine.environment.now(),
            **given,
        )

    # --- acts ---------------------------------------------------------------------------------

    async def act_page(self, request: Request) -> Response:
        """Say what the act would do, and ask for what it needs. Changes nothing."""
        session = await self.gate.person(request)
        sight = self.gate.sight(session.reader)
        act = acting.act_named(request.path_params["act"], sight)
        targets = request.query_params.getlist("cible")
        lines = await acting.foresee(act, sight, targets)
        return self._page(
            request,
            session,
            "act.html.j2",
            act.title,
            act=act,
            lines=lines,
            back=local_address(request.query_params.get("retour", CONSOLE)),
            number=secrets.token_urlsafe(16),
            fault="",
            because="",
            values={},
        )

    async def act(self, request: Request) -> Response:
        session, form = await self.gate.person_form(request)
        sight = self.gate.sight(session.reader)
        act = acting.act_named(request.path_params["act"], sight)
        targets, back = form.all("cible"), local_address(form.get("retour"))
        try:
            acting.check(act, form.get("motif"), form.values())
        except Rejected as error:
            lines = await acting.foresee(act, sight, targets)
            given: dict[str, Any] = {"act": act, "lines": lines, "back": back, "fault": error.text}
            given |= {"number": form.get("numero"), "because": form.get("motif")}
            given["values"] = form.values()
            return self._page(request, session, "act.html.j2", act.title, status=400, **given)
        await self.gate.spend(session, form.get("numero"))
        place = self.gate.place(request, "console")
        done = await acting.perform(act, sight, place, targets, form.get("motif"), form.values())
        return self._page(
            request, session, "acted.html.j2", act.title, act=act, lines=done, back=back
        )

    async def accessibility_page(self, request: Request) -> Response:
        """The declaration that the law asks for: for everybody."""
        contact = self.gate.access.settings.contact
        title = "Déclaration d'accessibilité"
        secure = self.gate.secure
        return console_page("accessibility.html.j2", secure=secure, title=title, contact=contact)

    # --- in and out ---------------------------------------------------------------------------

    async def sign_in_page(self, request: Request) -> Response:
        if await self.gate.session(request) is not None:
            return self._to(local_address(request.query_params.get("suite", CONSOLE)))
        return self._sign_in_page(request, request.query_params.get("suite", ""))

    def _sign_in_page(
        self, request: Request, after: str, problem: Problem | None = None
    ) -> Response:
        token, cookie = self.gate.stranger_token(request)
        openid = self.gate.access.settings.openid
        answer = console_page(
            "sign_in.html.j2",
            status=200 if problem is None else problem.status,
            secure=self.gate.secure,
            title="Connexion à la console",
            accounts=self.gate.access.settings.accounts,
            provider="" if openid is None else openid.label,
            fault="" if problem is None else problem.text,
            form_token=token,
            after=local_address(after),
        )
        if cookie is not None:
            self.gate.give(answer, "debut", cookie, None)
        return answer

    async def sign_in(self, request: Request) -> Response:
        form = await self._stranger_form(request)
        browser = self.gate.cookie(request, "navigateur")
        try:
            found = await self.gate.access.sign_in.by_password(
                form.get("identifiant"), form.get("mot_de_passe"), browser
            )
        except Rejected as error:
            self.gate.note_refusal(request, error)
            problem = Problem(error.status, error.code, error.text)
            return self._sign_in_page(request, form.get("suite"), problem)
        return self._signed_in(found, local_address(form.get("suite")))

    async def to_provider(self, request: Request) -> Response:
        url, cookie = await self.gate.access.sign_in.begin()
        answer = RedirectResponse(url, 303, console_headers(secure=self.gate.secure))
        self.gate.give(answer, "fournisseur", cookie, SIGN_IN)
        return answer

    async def from_provider(self, request: Request) -> Response:
        told = text_values({k: v for k, v in request.query_params.items() if k != "code"})
        told |= {"code": request.query_params.get("code", "")}
        cookie = self.gate.cookie(request, "fournisseur")
        found = await self.gate.access.sign_in.finish(cookie, told)
        answer = self._signed_in(found, CONSOLE)
        self.gate.give(answer, "fournisseur", "", 0)
        return answer

    async def setup_page(self, request: Request) -> Response:
        link = request.query_params.get("lien", "")
        name = await self.gate.access.sign_in.account_of(link)
        return self._setup_page(request, link, name, "")

    def _setup_page(self, request: Request, link: str, name: str, fault: str) -> Response:
        token, cookie = self.gate.stranger_token(request)
        answer = console_page(
            "setup.html.j2",
            status=400 if fault else 200,
            secure=self.gate.secure,
            title="Choisir votre mot de passe",
            account=name,
            link=link,
            fault=_FAULTS.get(fault, ""),
            form_token=token,
        )
        if cookie is not None:
            self.gate.give(answer, "debut", cookie, None)
        return answer

    async def setup(self, request: Request) -> Response:
        form = await self._stranger_form(request)
        link, password = form.get("lien"), form.get("mot_de_passe")
        sign_in, place = self.gate.access.sign_in, self.gate.place(request, "console")
        fault = "" if password == form.get("encore") else "password_differs"
        if not fault:
            browser = self.gate.cookie(request, "navigateur")
            found = await sign_in.choose_password(link, password, browser, place.address)
            if isinstance(found, SignedInPerson):
                return self._signed_in(found, CONSOLE)
            fault = found
        return self._setup_page(request, link, await sign_in.account_of(link), fault)

    async def account_page(self, request: Request) -> Response:
        return self._account_page(request, await self.gate.person(request), "")

    def _account_page(self, request: Request, session: OpenSession, fault: str) -> Response:
        local = session.reader.account.startswith("local:")
        title, status = "Mon compte", 400 if fault else 200
        given: dict[str, Any] = {"status": status, "local": local, "fault": fault}
        return self._page(request, session, "account.html.j2", title, **given)

    async def change_password(self, request: Request) -> Response:
        session, form = await self.gate.person_form(request)
        kind, _, name = session.reader.account.partition(":")
        password, browser = form.get("mot_de_passe"), self.gate.cookie(request, "navigateur")
        if kind != "local":
            raise Rejected(403, "not_allowed", "Le mot de passe de ce compte est ailleurs.")
        if password != form.get("encore"):
            return self._account_page(request, session, _FAULTS["password_differs"])
        try:
            found = await self.gate.access.sign_in.change_password(
                name, form.get("actuel"), password, browser, self.gate.place(request, "").address
            )
        except Rejected as error:
            self.gate.note_refusal(request, error)
            return self._account_page(request, session, "Le mot de passe actuel est refusé.")
        if isinstance(found, SignedInPerson):
            return self._signed_in(found, CONSOLE)
        return self._account_page(request, session, _FAULTS[found])

    async def sign_out(self, request: Request) -> Response:
        session, form = await self.gate.person_form(request)
        everywhere = form.get("partout") == "oui"
        await self.gate.access.sessions.end(session, everywhere=everywhere)
        answer = self._to(f"{CONSOLE}/connexion")
        self.gate.give(answer, "session", "", 0)
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    async def _stranger_form(self, request: Request) -> Any:
        cookie = self.gate.cookie(request, "debut")
        token = None if cookie is None else self.gate.stranger_token(request)[0]
        return await self.gate.form(request, token)

    def _signed_in(self, found: SignedInPerson, after: str) -> Response:
        answer = self._to(after)
        self.gate.give(answer, "session", found.session, None)
        self.gate.give(answer, "debut", "", 0)
        if found.browser is not None:
            life = int(KNOWN.total_seconds())
            self.gate.give(answer, "navigateur", found.browser, life)
        return answer

    def _to(self, address: str) -> Response:
        return RedirectResponse(address, 303, console_headers(secure=self.gate.secure))
