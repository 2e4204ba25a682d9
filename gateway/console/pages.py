"""The console's HTML: French, by templates, without code or style within, under a strict policy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import Response

from gateway.console import words
from gateway.web.problems import TITLES, Problem

CONSOLE: Final = "/console"
_FOLDER = files("gateway.console").joinpath("pages")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: Files that the browser may keep: they change with the program alone.
FILES: Final[Mapping[str, str]] = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "htmx.min.js": "text/javascript",
    "console.js": "text/javascript",
    "htmx.LICENSE.txt": "text/plain",
}


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(lambda name: _FOLDER.joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        day=words.day,
        moment=words.day_and_time,
        second=words.to_the_second,
        lasting=words.lasting,
        sentence=lambda text: text[:1].upper() + text[1:],
        hours=words.hours,
        iso=lambda moment: "" if moment is None else moment.isoformat(),
    )
    made.globals.update(words=words)
    return made


def console_page(name: str, *, status: int = 200, secure: bool = True, **given: Any) -> Response:
    """Render a template. `secure`: browsers shall come by TLS alone from now on."""
    html = _environment().get_template(name).render(**given)
    return Response(html, status, console_headers(secure=secure), media_type="text/html")


def console_headers(*, secure: bool = True) -> dict[str, str]:
    """Return the headers of every answer of the console."""
    found = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # Under `no-referrer` a browser names no origin with a form, and it would be refused.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Vary": "Cookie, HX-Request",
    }
    return found | ({"Strict-Transport-Security": "max-age=31536000"} if secure else {})


def file_page(name: str) -> Response:
    """Return a file of the console's own."""
    body = _FOLDER.joinpath(name).read_text("utf-8")
    headers = console_headers() | {"Cache-Control": "public, max-age=3600"}
    return Response(body, headers=headers, media_type=FILES[name])


def kept_file(name: str, media_type: str, text: str, *, secure: bool = True) -> Response:
    """Return a file that the browser stores and never shows."""
    headers = console_headers(secure=secure)
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(text, headers=headers, media_type=media_type)


def console_problem(problem: Problem, correlation: str) -> Response:
    """Return a failure for people."""
    status = problem.status
    title = TITLES.get(status, ("Erreur", ""))[0]
    answer = console_page(
        "problem.html.j2",
        status=status,
        title=title,
        text=problem.text,
        code=status,
        reference=correlation if status >= 500 else "",
    )
    answer.headers.update(problem.headers)
    return answer


__all__ = ["CONSOLE", "console_headers", "console_page", "console_problem", "file_page"]
