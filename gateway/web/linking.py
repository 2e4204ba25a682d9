"""`/lien`: a citizen links their accounts, sees what is linked, and ends it."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gateway.core.linking import AccountLink
from gateway.flow.link_sessions import SESSION, LinkSession
from gateway.flow.linking import SIGN_IN, LinkDesk
from gateway.web.body import read_body
from gateway.web.linking_pages import (
    STYLE,
    claim_label,
    framed_by,
    origin_of,
    page_headers,
    people_page,
)
from gateway.web.problems import PEOPLE
from gateway.web.state import Web, exchange_of

#: Bytes and fields of a form.
_LONGEST_FORM, _FIELDS = 16_384, 20
_PARIS = ZoneInfo("Europe/Paris")
_LOGO_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def linking_router(web: Web, desk: LinkDesk) -> APIRouter:
    """Return the pages. The fixed addresses come first: `/lien/{insee}` takes any other."""
    router = APIRouter(prefix=PEOPLE, include_in_schema=False)
    use = _Pages(web, desk)
    router.add_api_route("", use.links, methods=["GET"])
    router.add_api_route("/style.css", use.style, methods=["GET"])
    router.add_api_route("/grandlyon-connect.svg", use.glc_logo, methods=["GET"])
    router.add_api_route("/debut", use.begun, methods=["GET"])
    router.add_api_route("/connexion", use.sign_in, methods=["GET"])
    router.add_api_route("/retour", use.signed_in, methods=["GET"])
    router.add_api_route("/accord", use.ask, methods=["GET"])
    router.add_api_route("/accord", use.answer, methods=["POST"])
    router.add_api_route("/detacher", use.unlink, methods=["POST"])
    router.add_api_route("/deconnexion", use.sign_out, methods=["POST"])
    router.add_api_route("/fin-de-session", use.session_ended, methods=["GET"])
    router.add_api_route("/deconnecte", use.signed_out, methods=["GET"])
    router.add_api_route("/{insee}", use.begin, methods=["GET"])
    router.add_api_route("/{insee}", use.begin_by_form, methods=["POST"])
    router.add_api_route("/{insee}/logo.svg", use.logo, methods=["GET"])
    return router


class _Pages:
    """The pages behind the routes."""

    def __init__(self, web: Web, desk: LinkDesk) -> None:
        self.web = web
        self.desk = desk

    # --- a commune's portal sends the citizen ---------------------------------------------------

    async def begin(self, request: Request, insee: str) -> Response:
        return await self._begin(request, insee, request.query_params.get("demande", ""))

    async def begin_by_form(self, request: Request, insee: str) -> Response:
        form = await self._form(request)
        return await self._begin(request, insee, form.get("demande", ""), posted=True)

    async def _begin(
        self, request: Request, insee: str, text: str, *, posted: bool = False
    ) -> Response:
        asked, cookie = await self.desk.begin(insee, text, posted=posted)
        exchange_of(request.scope).proven = True
        # By a redirect: a page that is read again must not bring the same request again. And a
        # form of another site comes without our cookies, which are needed where it came before.
        again = "" if cookie else f"?encore={asked}"
        answer = self._to(f"{self.desk.base}{PEOPLE}/debut{again}")
        if cookie is not None:
            self._give(answer, "debut", cookie, SIGN_IN)
        return answer

    async def begun(self, request: Request) -> Response:
        again = request.query_params.get("encore", "")
        asked = self.desk.begun(self._cookie(request, "debut"), again)
        return self._sign_in_page(asked.commune)

    def _sign_in_page(self, insee: str | None) -> Response:
        glc_logo = f"{PEOPLE}/grandlyon-connect.svg" if self.desk.ours.logo else ""
        if insee is None:
            nobody: dict[str, Any] = {"request": False, "portal": "", "commune": "", "logo": ""}
            return people_page("sign_in", "Mes comptes rattachés", glc_logo=glc_logo, **nobody)
        commune, linking = self.desk.commune(insee)
        return people_page(
            "sign_in",
            "Rattacher votre compte à GrandLyon Connect",
            request=True,
            portal=linking.portal,
            commune=commune.name,
            logo=f"{PEOPLE}/{insee}/logo.svg" if linking.logo else "",
            glc_logo=glc_logo,
        )

    async def logo(self, insee: str) -> Response:
        _, linking = self.desk.commune(insee)
        return self._svg(linking.logo)

    async def glc_logo(self) -> Response:
        return self._svg(self.desk.ours.logo)

    def _svg(self, logo: str | None) -> Response:
        if logo is None:
            raise self.desk.refusal("no_logo")
        headers = page_headers() | {
            "Content-Security-Policy": _LOGO_POLICY,
            "Cache-Control": "public, max-age=3600",
        }
        return Response(logo, headers=headers, media_type="image/svg+xml")

    async def style(self) -> Response:
        headers = page_headers() | {"Cache-Control": "public, max-age=3600"}
        return Response(STYLE, headers=headers, media_type="text/css")

    # --- the citizen signs in -------------------------------------------------------------------

    async def sign_in(self, request: Request) -> Response:
        url, cookie = await self.desk.sign_in(self._cookie(request, "debut"))
        answer = self._to(url)
        self._give(answer, "debut", cookie, SIGN_IN)
        return answer

    async def signed_in(self, request: Request) -> Response:
        session = await self.desk.signed_in(
            self._cookie(request, "debut"), dict(request.query_params)
        )
        # By a redirect: a page that is read again must not bring the same code again.
        answer = self._to(f"{self.desk.base}{PEOPLE}{'/accord' if session.request else ''}")
        self._give(answer, "debut", "", 0)
        self._give(answer, "session", session.token, SESSION)
        return answer

    async def ask(self, request: Request) -> Response:
        session = await self._session(request)
        asked = session.request
        if asked is None:
            return self._to(f"{self.desk.base}{PEOPLE}")
        commune, linking = self.desk.commune(asked.commune)
        return people_page(
            "agree",
            "Rattacher ces deux comptes ?",
            shown_as=session.shown_as,
            portal=linking.portal,
            commune=commune.name,
            label=asked.label,
            claims=[claim_label(name) for name in session.claims],
            replaced=await self.desk.replaced(session) is not None,
            form_token=self._form_token(session),
        )

    async def answer(self, request: Request) -> Response:
        token, form = await self._own_form(request)
        agrees = form.get("choix") == "oui"
        url = await self.desk.answer(token, agrees=agrees)
        title = "Votre accord est donné" if agrees else "Rien n'a été rattaché"
        return self._leaving(title, "Vous retournez sur le portail de votre commune.", url)

    # --- the citizen looks at what is linked ----------------------------------------------------

    async def links(self, request: Request) -> Response:
        session = await self.desk.sessions.read(self._cookie(request, "session"))
        if session is None:
            return self._sign_in_page(None)
        return await self._links_page(session, "")

    async def _links_page(self, session: LinkSession, notice: str) -> Response:
        return people_page(
            "links",
            "Mes comptes rattachés",
            shown_as=session.shown_as,
            notice=notice,
            form_token=self._form_token(session),
            links=[self._shown(one) for one in await self.desk.links(session)],
        )

    def _shown(self, link: AccountLink) -> Mapping[str, str]:
        insee = link.commune
        known = self.desk.far_ends.catalogue.communes.get(insee)
        linking = None if known is None else known.linking
        return {
            "insee": insee,
            "commune": insee if known is None else known.name,
            "portal": "le portail de la commune" if linking is None else linking.portal,
            "linked_on": link.linked_at.astimezone(_PARIS).strftime("%d/%m/%Y"),
        }

    async def unlink(self, request: Request) -> Response:
        token, form = await self._own_form(request)
        session = await self._open(token)
        ended = await self.desk.unlink_own(session, form.get("commune", ""))
        notice = "Le rattachement a pris fin." if ended else "Ce rattachement avait déjà pris fin."
        return await self._links_page(session, notice)

    async def sign_out(self, request: Request) -> Response:
        token, _ = await self._own_form(request)
        session = await self.desk.sessions.read(token)
        if session is None:
            return await self.signed_out()
        url = await self.desk.sign_out(session)
        text = "Votre session est aussi fermée sur GrandLyon Connect."
        return self._leaving("Déconnexion", text, url)

    async def signed_out(self) -> Response:
        text = "Vous êtes déconnecté."
        return people_page("message", "À bientôt", text=text, reference="")

    async def session_ended(self, request: Request) -> Response:
        """The provider, in a frame of its own page, says that a session has ended there."""
        told = request.query_params
        await self.desk.session_ended(told.get("iss", ""), told.get("sid", ""))
        answer = people_page("message", "À bientôt", text="Vous êtes déconnecté.", reference="")
        answer.headers["Content-Security-Policy"] = framed_by(origin_of(self.desk.ours.issuer))
        return answer

    # --- helpers --------------------------------------------------------------------------------

    async def _session(self, request: Request) -> LinkSession:
        session = await self._open(self._cookie(request, "session"))
        exchange_of(request.scope).proven = True
        return session

    async def _open(self, token: str | None) -> LinkSession:
        session = await self.desk.sessions.read(token)
        if session is None:
            raise self.desk.refusal("no_session")
        return session

    async def _own_form(self, request: Request) -> tuple[str, Mapping[str, str]]:
        """Return the session's token, and the fields of a form of its own page. The session may be
        over: forms are sent twice."""
        self._of_this_site(request)
        token = self._cookie(request, "session")
        if not token:
            raise self.desk.refusal("no_session")
        form = await self._form(request)
        told = form.get("jeton", "").encode("utf-8", "replace")
        meant = self.desk.hasher.form_token(self.desk.sessions.mark_of(token))
        if not hmac.compare_digest(told, meant.encode()):
            raise self.desk.refusal("foreign_form")
        exchange_of(request.scope).proven = True
        return token, form

    def _of_this_site(self, request: Request) -> None:
        """Raises Rejected for a form of another site: browsers name the site of each."""
        origin = request.headers.get("origin")
        if origin is not None and origin != origin_of(self.desk.base):
            raise self.desk.refusal("foreign_form")

    async def _form(self, request: Request) -> Mapping[str, str]:
        with self.web.unproven.lease() as lease:
            body = await read_body(request, _LONGEST_FORM, lease)
        try:
            return dict(parse_qsl(body.decode(), max_num_fields=_FIELDS))
        except ValueError:
            raise self.desk.refusal("foreign_form") from None

    def _form_token(self, session: LinkSession) -> str:
        return self.desk.hasher.form_token(session.mark)

    def _leaving(self, title: str, text: str, url: str) -> Response:
        """The session here is over, and the citizen goes on elsewhere."""
        answer = people_page("leaving", title, text=text, url=url)
        self._give(answer, "session", "", 0)
        return answer

    def _to(self, url: str) -> Response:
        return RedirectResponse(url, 303, page_headers())

    def _name(self, name: str) -> str:
        return f"__Host-lien-{name}" if self._secure else f"lien-{name}"

    @property
    def _secure(self) -> bool:
        return self.desk.base.startswith("https:")

    def _cookie(self, request: Request, name: str) -> str | None:
        return request.cookies.get(self._name(name))

    def _give(self, answer: Response, name: str, value: str, life: int) -> None:
        # Lax: the citizen comes back from GLC by a link of another site.
        answer.set_cookie(
            self._name(name),
            value,
            max_age=life,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
