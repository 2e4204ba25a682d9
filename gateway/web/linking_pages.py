"""The pages for people: French, without script, under a strict policy for contents."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import Response

from gateway.web.problems import TITLES, Problem

_FOLDER = files("gateway.web").joinpath("pages")
_PAGES = Environment(
    loader=FunctionLoader(lambda name: _FOLDER.joinpath(name).read_text("utf-8")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
STYLE: Final = _FOLDER.joinpath("style.css").read_text("utf-8")
#: Forms lead to ourselves alone. Browsers hold all that a form's answer redirects to against it,
#: and nobody knows where GLC or a portal goes on to: the page `leaving` leads there.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors "
)
_PORTS: Final = {"http": 80, "https": 443}
#: The claims that GLC may give of a citizen, in the citizen's words.
_CLAIMS: Final = {
    "given_name": "votre prénom",
    "family_name": "votre nom",
    "name": "votre nom complet",
    "preferred_username": "votre nom d'usage",
    "email": "votre adresse électronique",
    "email_verified": "si votre adresse électronique est vérifiée",
    "birthdate": "votre date de naissance",
    "gender": "votre sexe",
    "birthplace": "votre lieu de naissance",
    "birthcountry": "votre pays de naissance",
    "phone_number": "votre numéro de téléphone",
    "address": "votre adresse",
}


def claim_label(name: str) -> str:
    """Return what a claim is, for its citizen."""
    return _CLAIMS.get(name, f"« {name} »")


def people_page(name: str, title: str, *, status: int = 200, **given: Any) -> Response:
    """Render a page."""
    html = _PAGES.get_template(f"{name}.html.j2").render(title=title, **given)
    return Response(html, status, page_headers(), media_type="text/html")


def page_headers() -> dict[str, str]:
    """Return the headers of every page."""
    return {
        "Content-Security-Policy": framed_by("'none'"),
        "X-Content-Type-Options": "nosniff",
        # Under `no-referrer` a browser names no origin with a form, and it would be refused.
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def framed_by(origin: str) -> str:
    """Return the policy for contents of a page that `origin` alone may show in a frame."""
    return _POLICY + origin


def problem_page(problem: Problem, correlation: str, name: str = "message") -> Response:
    """Return a failure for people, by the page of this name."""
    title = TITLES.get(problem.status, ("Erreur", ""))[0]
    reference = correlation if problem.status >= 500 else ""
    answer = people_page(name, title, status=problem.status, text=problem.text, reference=reference)
    for name, value in problem.headers.items():
        answer.headers[name] = value
    return answer


def origin_of(address: str) -> str:
    """Return the origin of an address, as browsers name it: in small letters, without the port that
    its scheme has anyhow."""
    parts = urlsplit(address)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in (None, _PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
