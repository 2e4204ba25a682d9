"""The sandbox over HTTP: the gateway's `/pivot/v1`, the sandbox's own calls, and its page."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.core.errors import Conflict, GatewayError, NotFound
from gateway.core.messages import Language
from gateway.sandbox.acts import FiledRequest
from gateway.sandbox.cases import SandboxCase, all_cases
from gateway.sandbox.exchanges import MOST, ShownPart, VendorExchange
from gateway.sandbox.files import CLIENT_ID
from gateway.sandbox.sandbox import Sandbox
from gateway.sandbox.texts import say
from gateway.sdk import LARGE, Unreadable, beside, read_json

#: Bytes of a call to the sandbox itself.
MOST_BYTES = 64 * 1024
#: Requests that the page shows.
_SHOWN = 20
_KINDS = ("message", "change", "cancellation", "erasure")
_MOVES = ((60, "minute"), (3600, "hour"), (86_400, "day"), (3 * 86_400, "days"), (777_600, "week"))
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:;"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" a browser sends a form without its origin, and we would refuse it.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SECONDS = re.compile(r"[0-9]{1,10}\Z")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PAGES = files("gateway.sandbox").joinpath("page")


class MalformedCall(Exception):
    """A malformed call to the sandbox. `word` names its text."""

    def __init__(self, word: str, status: int = 400) -> None:
        super().__init__(word)
        self.word, self.status = word, status


@dataclass(frozen=True, slots=True)
class PageNotice:
    """The notice at the top of the page; `kind` is `well` or `failed`."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class CaseGroup:
    """Cases under one heading."""

    label: str
    cases: tuple[SandboxCase, ...]


class SandboxApp:
    """The ASGI application. It answers under the names in `hosts`, and refuses other sites' pages.

    So a foreign name that resolves to this machine opens nothing.
    """

    def __init__(self, sandbox: Sandbox, hosts: frozenset[str] = frozenset()) -> None:
        self.sandbox = sandbox
        own = urlsplit(sandbox.options.public_url).hostname or ""
        self._hosts = _LOOPBACK | hosts | {own}
        html = (_PAGES / "sandbox.html.j2").read_text("utf-8")
        made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        self._page = made.from_string(html)
        self._css = (_PAGES / "sandbox.css").read_text("utf-8")
        self._own: ASGIApp = Starlette(
            routes=[
                Route("/", self._show),
                Route("/sandbox/style.css", self._style),
                Route("/sandbox/act", self._guarded(self._act), methods=["POST"]),
                Route("/sandbox/v1/state", self._state),
                Route("/sandbox/v1/exchanges", self._exchanges),
                Route("/sandbox/v1/requests", self._guarded(self._request), methods=["POST"]),
                Route(
                    "/sandbox/v1/requests/{reference}/acts",
                    self._guarded(self._request_act),
                    methods=["POST"],
                ),
                Route("/sandbox/v1/clock", self._guarded(self._clock), methods=["POST"]),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if not self._is_ours(Headers(scope=scope), scope["method"]):
            answer = JSONResponse({"detail": say("elsewhere").told()}, 403)
            await answer(scope, receive, send)
        elif scope["path"].startswith("/pivot/"):
            await self.sandbox.gate(scope, receive, send)
        else:
            await self._own(scope, receive, send)

    def _is_ours(self, headers: Headers, method: str) -> bool:
        """Does a call name this host, and is it from none of other sites' pages?"""
        host = headers.get("host", "")
        origin = headers.get("origin")
        try:
            if urlsplit(f"//{host}").hostname not in self._hosts:
                return False
            return method in ("GET", "HEAD") or origin is None or urlsplit(origin).netloc == host
        except ValueError:  # no host at all, such as half an IPv6 address
            return False

    # --- calls --------------------------------------------------------------------------------

    def _guarded(
        self, call: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            lang = language_of(request)
            try:
                return await call(request)
            except MalformedCall as error:
                return _refused(error.status, say(error.word).told(lang))
            except NotFound as error:
                status, text = 404, error.said.told(lang)
            except Conflict as error:
                status, text = 409, error.said.told(lang)
            except GatewayError as error:
                status, text = 500, error.said.told(lang)
            except ClientDisconnect:
                return _refused(400, say("not_json").told(lang))
            if request.url.path == "/sandbox/act":
                return await self._rendered(request, PageNotice("failed", text), status)
            return _refused(status, text)

        return guarded

    async def _request(self, request: Request) -> Response:
        told = await _read_object(request)
        words = {name: told.get(name) for name in ("teleservice", "text")}
        if any(not isinstance(one, str | None) or len(one or "") > 5000 for one in words.values()):
            raise MalformedCall("not_json")
        case = str(told.get("case", "plain"))[:100]
        filed = await self.sandbox.perform(case, words["teleservice"], words["text"])
        reference = None if filed is None else filed.reference
        return JSONResponse({"case": case, "reference": reference}, 201)

    async def _request_act(self, request: Request) -> Response:
        told = await _read_object(request)
        kind = str(told.get("kind", ""))[:100]
        await self.sandbox.act(request.path_params["reference"], kind)
        return JSONResponse({"kind": kind}, 202)

    async def _clock(self, request: Request) -> Response:
        self._move((await _read_object(request)).get("seconds"))
        return JSONResponse({"now": self.sandbox.clock.now().isoformat()})

    def _move(self, seconds: object) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise MalformedCall("odd_seconds", 422)
        try:
            self.sandbox.move(float(seconds))
        except (ValueError, OverflowError):
            raise MalformedCall("odd_seconds", 422) from None

    async def _act(self, request: Request) -> Response:
        """Do what a button of the page says."""
        told = await _read_form(request)
        if "seconds" in told:
            self._move(int(told["seconds"]) if _SECONDS.match(told["seconds"]) else None)
            done = "moved"
        elif "kind" in told:
            await self.sandbox.act(told.get("reference", ""), told["kind"])
            done = "acted"
        else:
            done = told.get("case", "")
            await self.sandbox.perform(done, told.get("teleservice") or None)
        return RedirectResponse(f"/?done={done}", 303)

    async def _state(self, request: Request) -> Response:
        sandbox = self.sandbox
        waiting, late = await sandbox.waiting()
        return JSONResponse(
            {
                "mode": sandbox.mode,
                "client_id": CLIENT_ID,
                "now": sandbox.clock.now().isoformat(),
                "speed": sandbox.clock.speed,
                "waiting": waiting,
                "late_days": late,
                "armed": [one.word for one in sandbox.gate.armed],
                "teleservices": list(sandbox.teleservices),
                "requests": [
                    {
                        "reference": one.reference,
                        "teleservice": one.teleservice,
                        "case": one.case,
                        "citizen_sees": sandbox.acts.status_at_portal(one),
                    }
                    for one in sandbox.requests
                ],
                "acts": [
                    {
                        "reference": one.filed.reference,
                        "kind": one.kind,
                        "comes": comes,
                        "why": one.why.what(language_of(request)),
                        "todo": one.why.remedy(language_of(request)),
                    }
                    for acts, comes in ((sandbox.acts.waiting, True), (sandbox.acts.never, False))
                    for one in acts
                ],
                "cases": {
                    one.word: {"mode": one.mode, "does": one.text.what(), "todo": one.text.remedy()}
                    for one in all_cases().values()
                },
            }
        )

    async def _exchanges(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        first = int(after) if after.isascii() and after.isdigit() and len(after) < 12 else 0
        lang = language_of(request)
        rows = [_as_json(one, lang) for one in self.sandbox.ledger.exchanges if one.number > first]
        return JSONResponse({"exchanges": rows})

    # --- the page -----------------------------------------------------------------------------

    async def _style(self, request: Request) -> Response:
        return Response(self._css, media_type="text/css", headers=_HEADERS)

    async def _show(self, request: Request) -> Response:
        done, lang = request.query_params.get("done", ""), language_of(request)
        notice = None
        if done in all_cases():
            what = f"{done}: {all_cases()[done].text.what(lang)}"
            notice = PageNotice("well", say("page_done", what=what).what(lang))
        elif done in ("moved", "acted"):
            notice = PageNotice("well", say(f"page_{done}").what(lang))
        return await self._rendered(request, notice, 200)

    async def _rendered(self, request: Request, notice: PageNotice | None, status: int) -> Response:
        lang, sandbox = language_of(request), self.sandbox
        waiting, late = await sandbox.waiting()

        def text(word: str, **given: Any) -> str:
            return say(word, **given).what(lang)

        render = partial(
            self._page.render,
            lang=lang,
            t=text,
            sandbox=sandbox,
            armed=tuple(sandbox.gate.armed),
            exchanges=tuple(sandbox.ledger.exchanges),
            filed=len(sandbox.requests),
            notice=notice,
            client_id=CLIENT_ID,
            now=sandbox.clock.now(),
            speed=f"{sandbox.clock.speed:g}",
            waiting=waiting,
            late=late,
            groups=_groups(lang, sandbox.mode),
            chosen=request.query_params.get("done", ""),
            requests=[
                {"filed": one, "status": sandbox.acts.status_at_portal(one)}
                for one in _newest(sandbox.requests)
            ],
            acts=[*sandbox.acts.never, *sandbox.acts.waiting[:_SHOWN]],
            kinds=_KINDS,
            moves=_MOVES,
            most=MOST,
        )
        html = await beside(LARGE + 1, render)
        headers = {**_HEADERS, "Content-Language": lang, "Vary": "Accept-Language"}
        return Response(html, status, headers, "text/html; charset=utf-8")


def language_of(request: Request) -> Language:
    """Return the reader's language: French, unless the browser prefers English."""
    wanted = request.headers.get("accept-language", "")[:200].lower()
    ranked = []
    for n, part in enumerate(wanted.split(",")[:20]):
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            weight = 0.0
        ranked.append((-weight, n, name[:2]))
    for _, _, name in sorted(ranked):
        if name in ("fr", "en"):
            return "en" if name == "en" else "fr"
    return "fr"


def _groups(lang: Language, mode: str) -> list[CaseGroup]:
    fitting = [one for one in all_cases().values() if one.fits(mode)]
    sorts: Mapping[str, Callable[[SandboxCase], bool]] = {
        "group_event": lambda one: one.sort == "event",
        "group_call": lambda one: one.sort == "call" and one.problem is None,
        "group_problem": lambda one: one.problem is not None,
        "group_time": lambda one: one.sort == "time",
    }
    return [
        CaseGroup(say(label).what(lang), tuple(filter(belongs, fitting)))
        for label, belongs in sorts.items()
    ]


def _newest(requests: list[FiledRequest]) -> list[FiledRequest]:
    return requests[: -_SHOWN - 1 : -1]


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"detail": text}, status)


async def _body(request: Request) -> bytes:
    raw = b""
    async for piece in request.stream():
        raw += piece
        if len(raw) > MOST_BYTES:
            raise MalformedCall("not_json", 413)
    return raw


async def _read_form(request: Request) -> dict[str, str]:
    raw = await _body(request)
    try:
        return dict(parse_qsl(raw.decode("latin-1"), max_num_fields=20))
    except ValueError:
        raise MalformedCall("not_form") from None


async def _read_object(request: Request) -> dict[str, Any]:
    raw = await _body(request)
    try:
        told = read_json(raw) if raw.strip() else {}
    except Unreadable:
        raise MalformedCall("not_json") from None
    if not isinstance(told, dict):
        raise MalformedCall("not_json")
    return told


def _as_json(one: VendorExchange, lang: Language) -> dict[str, Any]:
    def half_of(part: ShownPart | None) -> dict[str, Any] | None:
        if part is None:
            return None
        return {"first": part.first, "headers": part.headers, "body": part.body, "cut": part.cut}

    return {
        "number": one.number,
        "at": one.at.isoformat(),
        "outgoing": one.outgoing,
        "status": one.status,
        "verdict": one.verdict.value,
        "case": one.case,
        "expected": None if one.expected is None else one.expected.what(lang),
        "why": None if one.why is None else one.why.told(lang),
        "request": half_of(one.request),
        "answer": half_of(one.answer),
    }
