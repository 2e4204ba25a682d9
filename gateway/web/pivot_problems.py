"""The problems that `/pivot/v1` answers: one table, and the page that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.core.messages import Message, Text
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
    at once, after `Retry-After`, or never? `title` and `remedy` are French, as answers are;
    `tell_problem` is both in either language."""

    word: str
    status: int
    fault: Blame
    retry: Retry
    title: str
    remedy: str
    english: str
    cure: str

    @property
    def type(self) -> str:
        return TYPE + self.word


# fmt: off
TABLE: tuple[PivotProblem, ...] = (
    PivotProblem("bad_token", 401, "yours", "now", "Jeton absent, faux ou fini",
                 "demander un jeton à /pivot/v1/token, puis refaire l'appel",
                 "Token missing, wrong or over",
                 "ask for a token at /pivot/v1/token, then make the call again"),
    PivotProblem("bad_link", 403, "yours", "never", "Lien altéré ou fini",
                 "relire l'événement : il porte un lien neuf",
                 "Link altered or over",
                 "read the event again: it bears a new link"),
    PivotProblem("unknown_request", 404, "yours", "never", "Demande inconnue",
                 "vérifier `reference` : la nôtre, `TDG-...`, d'une demande de votre commune",
                 "Unknown request",
                 "check `reference`: ours, `TDG-...`, of a request of your commune"),
    PivotProblem("unknown_file", 404, "yours", "never", "Fichier inconnu",
                 "relire l'événement : ses liens disent ce que la demande contient",
                 "Unknown file",
                 "read the event again: its links say what the request holds"),
    PivotProblem("not_found", 404, "yours", "never", "Adresse inconnue",
                 "comparer l'adresse au document OpenAPI",
                 "Unknown address",
                 "compare the address with the OpenAPI document"),
    PivotProblem("method_not_allowed", 405, "yours", "never", "Méthode non admise",
                 "comparer la méthode au document OpenAPI",
                 "Method not admitted",
                 "compare the method with the OpenAPI document"),
    PivotProblem("no_route", 404, "ours", "after", "Démarche retirée",
                 "prévenir la Métropole : la demande est là, sa route n'y est plus",
                 "Teleservice withdrawn",
                 "tell the Métropole: the request is there, its route is not"),
    PivotProblem("erased", 410, "nobody", "never", "Personne effacée",
                 "effacer aussi de votre côté ; ne plus rien dire de cette demande",
                 "Person erased",
                 "erase on your side, too; tell nothing more of this request"),
    PivotProblem("commune_left", 410, "nobody", "never", "Commune qui n'est plus raccordée",
                 "ne plus appeler : ce qu'il restait à remettre ou à dire a été réglé autrement",
                 "A commune that has left",
                 "call no more: what was left to hand over or to tell was settled otherwise"),
    PivotProblem("invalid_body", 400, "yours", "never", "Corps invalide",
                 "corriger le champ que désigne `pointer`",
                 "Body not valid",
                 "mend the field that `pointer` names"),
    PivotProblem("invalid_query", 400, "yours", "never", "Paramètre invalide",
                 "corriger le paramètre que désigne `pointer`",
                 "Parameter not valid",
                 "mend the parameter that `pointer` names"),
    PivotProblem("slow_body", 408, "yours", "now", "Envoi trop lent",
                 "refaire l'appel, d'un trait",
                 "Body too slow",
                 "make the call again, in one go"),
    PivotProblem("body_too_large", 413, "yours", "never", "Envoi trop volumineux",
                 "envoyer les documents un par un, chacun sous sa clé",
                 "Body too large",
                 "send the documents one by one, each under its own key"),
    PivotProblem("document_too_large", 413, "yours", "never", "Document trop volumineux",
                 "le réduire, ou le remettre à l'usager autrement",
                 "Document too large",
                 "make it smaller, or give it to the citizen otherwise"),
    PivotProblem("unreadable_document", 422, "yours", "never", "Document illisible",
                 "l'écrire en Base64",
                 "Document not readable",
                 "write it in Base64"),
    PivotProblem("dangerous_document", 422, "yours", "never", "Document d'un autre type",
                 "annoncer son vrai type, ou ne pas l'envoyer : une page ou un programme n'est pas"
                 " pris sous un autre nom",
                 "Document of another type",
                 "name its true type, or do not send it: a page or a program is not"
                 " taken under another name"),
    PivotProblem("infected_document", 422, "yours", "never", "Document infecté",
                 "l'ôter, et chercher d'où vient le virus",
                 "Document infected",
                 "take it out, and look where the virus came from"),
    PivotProblem("unknown_status", 422, "yours", "never", "État inconnu de la correspondance",
                 "prendre un des états nommés, ou faire ajouter celui-ci au fichier de la commune",
                 "Status unknown to the mapping",
                 "take one of those that are named, or have this one added to the"
                 " commune's file"),
    PivotProblem("no_mailbox", 409, "yours", "never", "Pas de boîte à relever",
                 "faire passer la commune en `mode: mailbox`, ou attendre les messages",
                 "No mailbox to fetch from",
                 "have the commune set to `mode: mailbox`, or wait for the messages"),
    PivotProblem("key_conflict", 409, "yours", "never", "Clé déjà prise",
                 "une clé par changement : en prendre une neuve pour un autre contenu",
                 "Key already used",
                 "one key per change: take a new one for another content"),
    PivotProblem("bad_range", 416, "yours", "never", "Plage impossible",
                 "demander `bytes=DEBUT-FIN` dans la taille du fichier",
                 "Range not possible",
                 "ask for `bytes=START-END` within the file's size"),
    PivotProblem("too_many_calls", 429, "yours", "after", "Trop d'appels",
                 "attendre ; pour attendre du nouveau, `wait` de la boîte plutôt que des appels",
                 "Too many calls",
                 "wait; to wait for what is new, use the mailbox's `wait` rather than"
                 " calls"),
    PivotProblem("unavailable", 503, "ours", "after", "Passerelle momentanément indisponible",
                 "rien n'est perdu : refaire le même appel, avec la même clé",
                 "Gateway not available for a moment",
                 "nothing is lost: make the same call again, with the same key"),
    PivotProblem("took_too_long", 503, "ours", "after", "Lecture trop longue",
                 "refaire le même appel plus tard",
                 "Reading took too long",
                 "make the same call again later"),
    PivotProblem("release_refused", 503, "ours", "after", "Commune en attente d'une version",
                 "prévenir la Métropole si cela dure",
                 "Commune waits for a release",
                 "tell the Métropole if it lasts"),
    PivotProblem("internal_error", 500, "ours", "after", "Erreur de la passerelle",
                 "refaire le même appel ; si cela dure, donner `correlation` à la Métropole",
                 "Error of the gateway",
                 "make the same call again; if it lasts, give `correlation` to the"
                 " Métropole"),
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


def tell_problem(one: PivotProblem) -> Message:
    """Return a problem's title, and its remedy, in either language."""
    return Message(Text(one.word, one.english, one.cure, one.title, one.remedy))


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
