"""The problems that `/pivot/v1` answers: one table, and the page that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.flow.pivot import PivotFault
from gateway.sdk.pivot_models import MOST_ERRORS

PIVOT = "/pivot/"
#: A problem's `type` is this and its word: it never changes, and leads nowhere.
TYPE = "urn:toodego-gru:pivot:"
PROBLEMS_PAGE = "docs/fr/pivot-problemes.md"

Blame = Literal["yours", "ours", "portal", "nobody"]
Retry = Literal["never", "after", "now"]


@dataclass(frozen=True, slots=True)
class PivotProblem:
    """One kind of problem. `fault`: who can mend it. `retry`: is the same call to be made again,
    at once, after `Retry-After`, or never? `title` and `remedy` are French."""

    word: str
    status: int
    fault: Blame
    retry: Retry
    title: str
    remedy: str

    @property
    def type(self) -> str:
        return TYPE + self.word


# fmt: off
TABLE: tuple[PivotProblem, ...] = (
    PivotProblem("bad_token", 401, "yours", "now", "Jeton absent, faux ou fini",
                 "demander un jeton à /pivot/v1/token, puis refaire l'appel"),
    PivotProblem("bad_link", 403, "yours", "never", "Lien altéré ou fini",
                 "relire l'événement : il porte un lien neuf"),
    PivotProblem("unknown_request", 404, "yours", "never", "Demande inconnue",
                 "vérifier `reference` : la nôtre, `TDG-...`, d'une demande de votre commune"),
    PivotProblem("unknown_file", 404, "yours", "never", "Fichier inconnu",
                 "relire l'événement : ses liens disent ce que la demande contient"),
    PivotProblem("not_found", 404, "yours", "never", "Adresse inconnue",
                 "comparer l'adresse au document OpenAPI"),
    PivotProblem("method_not_allowed", 405, "yours", "never", "Méthode non admise",
                 "comparer la méthode au document OpenAPI"),
    PivotProblem("no_route", 404, "ours", "after", "Démarche retirée",
                 "prévenir la Métropole : la demande est là, sa route n'y est plus"),
    PivotProblem("erased", 410, "nobody", "never", "Personne effacée",
                 "effacer aussi de votre côté ; ne plus rien dire de cette demande"),
    PivotProblem("invalid_body", 400, "yours", "never", "Corps invalide",
                 "corriger le champ que désigne `pointer`"),
    PivotProblem("invalid_query", 400, "yours", "never", "Paramètre invalide",
                 "corriger le paramètre que désigne `pointer`"),
    PivotProblem("slow_body", 408, "yours", "now", "Envoi trop lent",
                 "refaire l'appel, d'un trait"),
    PivotProblem("body_too_large", 413, "yours", "never", "Envoi trop volumineux",
                 "envoyer les documents un par un, chacun sous sa clé"),
    PivotProblem("document_too_large", 413, "yours", "never", "Document trop volumineux",
                 "le réduire, ou le remettre à l'usager autrement"),
    PivotProblem("unreadable_document", 422, "yours", "never", "Document illisible",
                 "l'écrire en Base64"),
    PivotProblem("dangerous_document", 422, "yours", "never", "Document d'un autre type",
                 "annoncer son vrai type, ou ne pas l'envoyer : une page ou un programme n'est pas"
                 " pris sous un autre nom"),
    PivotProblem("infected_document", 422, "yours", "never", "Document infecté",
                 "l'ôter, et chercher d'où vient le virus"),
    PivotProblem("unknown_status", 422, "yours", "never", "État inconnu de la correspondance",
                 "prendre un des états nommés, ou faire ajouter celui-ci au fichier de la commune"),
    PivotProblem("no_mailbox", 409, "yours", "never", "Pas de boîte à relever",
                 "faire passer la commune en `mode: mailbox`, ou attendre les messages"),
    PivotProblem("key_conflict", 409, "yours", "never", "Clé déjà prise",
                 "une clé par changement : en prendre une neuve pour un autre contenu"),
    PivotProblem("bad_range", 416, "yours", "never", "Plage impossible",
                 "demander `bytes=DEBUT-FIN` dans la taille du fichier"),
    PivotProblem("too_many_calls", 429, "yours", "after", "Trop d'appels",
                 "attendre ; pour attendre du nouveau, `wait` de la boîte plutôt que des appels"),
    PivotProblem("unavailable", 503, "ours", "after", "Passerelle momentanément indisponible",
                 "rien n'est perdu : refaire le même appel, avec la même clé"),
    PivotProblem("took_too_long", 503, "ours", "after", "Lecture trop longue",
                 "refaire le même appel plus tard"),
    PivotProblem("release_refused", 503, "ours", "after", "Commune en attente d'une version",
                 "prévenir la Métropole si cela dure"),
    PivotProblem("internal_error", 500, "ours", "after", "Erreur de la passerelle",
                 "refaire le même appel ; si cela dure, donner `correlation` à la Métropole"),
)
# fmt: on
_HEAD = f"""\
# Contrat pivot : le registre des problèmes

Écrit par `python -m gateway.web.pivot_document .`, à partir du code. Toute réponse qui n'est pas
un succès est de la forme de la RFC 9457 (`application/problem+json`). Son `type` est le mot
ci-dessous, précédé de `{TYPE}` : il ne change jamais. `fault` dit qui peut y
remédier, `retry` s'il faut refaire le même appel, `pointer` quel champ est en cause. `errors` dit
toutes les fautes d'un corps à la fois ({MOST_ERRORS} au plus), chacune à son `pointer` : celles de
sa forme d'abord (400), celles de son contenu quand la forme convient (422, 413).

| type | HTTP | ce qui est | qui | refaire | que faire |
|---|---|---|---|---|---|
"""
BY_WORD = {one.word: one for one in TABLE}


def problem_body(
    word: str, status: int, text: str, faults: Sequence[PivotFault], correlation: str
) -> dict[str, object]:
    """Return the body of RFC 9457 for a problem; a word that has no row is one of its sort."""
    kind = BY_WORD.get(word) or BY_WORD["internal_error" if status >= 500 else "invalid_body"]
    return {
        "type": kind.type,
        "title": kind.title,
        "status": status,
        "detail": text,
        "fault": kind.fault,
        "retry": kind.retry,
        "pointer": faults[0].pointer if faults else None,
        "errors": [
            {"type": TYPE + one.word, "detail": one.text, "pointer": one.pointer}
            for one in faults
            if one.pointer is not None
        ],
        "correlation": correlation,
    }


def registry_page() -> str:
    """Return the registry of problems, in French, as it lies in the documentation."""
    faults = {"yours": "vous", "ours": "nous", "portal": "le portail", "nobody": "personne"}
    retries = {"never": "non", "after": "après `Retry-After`", "now": "tout de suite"}
    rows = [
        f"| `{one.word}` | {one.status} | {one.title} | {faults[one.fault]}"
        f" | {retries[one.retry]} | {one.remedy} |"
        for one in TABLE
    ]
    return _HEAD + "\n".join(rows) + "\n"
