"""Errors to answers: one table, two languages (Publik's envelope, problem details of RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.core.errors import Conflict, NotFound, Rejected, Unavailable
from gateway.flow.announcements import PATH as ANNOUNCEMENTS
from gateway.flow.pivot import PivotFault, PivotRefusal
from gateway.sdk import TookTooLong
from gateway.web import pivot_problems

PORTAL = "/portal/"
OPS = "/ops/"
#: The paths of pages for citizens.
PEOPLE = "/lien"
PROBLEM_TYPE = "application/problem+json"

#: status -> (title in French for the portal's agents, title in English for the rest).
TITLES: dict[int, tuple[str, str]] = {
    400: ("Demande invalide", "Bad request"),
    401: ("Authentification requise", "Unauthorized"),
    403: ("Accès refusé", "Forbidden"),
    404: ("Introuvable", "Not found"),
    405: ("Méthode non admise", "Method not allowed"),
    408: ("Envoi trop lent", "Request timeout"),
    409: ("Conflit", "Conflict"),
    410: ("N'existe plus", "Gone"),
    413: ("Envoi trop volumineux", "Content too large"),
    415: ("Type de contenu non admis", "Unsupported media type"),
    416: ("Plage impossible", "Range not satisfiable"),
    422: ("Contenu refusé", "Unprocessable content"),
    429: ("Trop d'appels", "Too many requests"),
    500: ("Erreur interne", "Internal error"),
    503: ("Service momentanément indisponible", "Service unavailable"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that is not a success. `code` is a constant word, `text` for a reader."""

    status: int
    code: str
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Each thing wrong, of a half-connector's call.
    faults: Sequence[PivotFault] = ()


def problem_of(error: BaseException, correlation: str) -> Problem:
    """Return the answer for an error. An unknown one is told by its `correlation` only."""
    match error:
        case PivotRefusal():
            return Problem(error.status, error.code, error.text, error.headers, error.faults)
        case Rejected():
            later = {"Retry-After": "30"} if error.status == 503 else {}
            return Problem(error.status, error.code, error.text, later)
        case TookTooLong():
            text = "La lecture de cet envoi prend trop de temps ; réessayez."
            return Problem(503, "took_too_long", text, {"Retry-After": str(error.after)})
        case Unavailable():
            text = "La passerelle ne peut rien enregistrer pour l'instant ; réessayez."
            return Problem(503, "unavailable", text, {"Retry-After": str(error.after)})
        case NotFound():
            return Problem(404, "not_found", "Introuvable.")
        case Conflict():
            return Problem(409, "conflict", "L'état actuel ne le permet pas.")
        case HTTPException(status_code=405):
            return Problem(405, "method_not_allowed", "Méthode non admise.", error.headers or {})
        case HTTPException(status_code=404):
            return Problem(404, "not_found", "Cette adresse n'existe pas.")
        case HTTPException():
            return Problem(error.status_code, "http_error", "La requête ne peut être servie.")
        case RequestValidationError() | ClientDisconnect():
            return Problem(400, "invalid_request", "La requête est mal formée.")
    return Problem(500, "internal_error", f"Erreur interne. Référence : {correlation}")


#: Makes the pages of failures below a path, from the problem and its correlation.
ErrorPages = Mapping[str, Callable[[Problem, str], Response]]


def response_of(
    problem: Problem, path: str, correlation: str, pages: ErrorPages | None = None
) -> Response:
    """Return the answer in the form of that part of the surface."""
    for place, page in (pages or {}).items():
        if path == place or path.startswith(place + "/"):
            return page(problem, correlation)
    french, english = TITLES.get(problem.status, ("Erreur", "Error"))
    if path == PEOPLE or path.startswith(PEOPLE + "/"):
        from gateway.web.linking_pages import problem_page  # which needs this module

        return problem_page(problem, correlation)
    if path.startswith(ANNOUNCEMENTS + "/"):
        from gateway.web.linking_pages import problem_page  # which needs this module

        return problem_page(problem, correlation, "announcement_message")
    if path.startswith(PORTAL):
        if problem.status == 401:
            challenge = 'Basic realm="passerelle", charset="UTF-8"'
            problem = replace(problem, headers={"WWW-Authenticate": challenge})
        return _json(
            problem,
            # Without `err`: w.c.s. reads it before the status, and any `err` but 0 takes the
            # workflow's branch for application errors, never that for 4xx or 5xx.
            {"err_class": french, "err_code": problem.code, "err_desc": problem.text},
            "application/json",
        )
    if path.startswith(pivot_problems.PIVOT):
        if problem.status == 401:
            problem = replace(problem, headers={"WWW-Authenticate": 'Bearer realm="pivot"'})
        kind = pivot_problems.BY_WORD.get(problem.code)
        if kind is not None and kind.retry == "after":
            problem = replace(problem, headers={"Retry-After": "30", **problem.headers})
        return _json(
            problem,
            pivot_problems.problem_body(
                problem.code, problem.status, problem.text, problem.faults, correlation
            ),
            PROBLEM_TYPE,
        )
    if problem.status == 401 and path.startswith(OPS):
        problem = replace(problem, headers={"WWW-Authenticate": 'Bearer realm="ops"'})
    return _json(
        problem,
        {
            "type": "about:blank",
            "title": english,
            "status": problem.status,
            "detail": problem.text,
            "code": problem.code,
            "correlation": correlation,
        },
        PROBLEM_TYPE,
    )


def _json(problem: Problem, content: Mapping[str, object], media_type: str) -> Response:
    return Response(
        orjson.dumps(content), problem.status, dict(problem.headers), media_type=media_type
    )
