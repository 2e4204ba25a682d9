"""The cases that a vendor can provoke: one table, in both languages.

Each problem of the contract is also a case: the next call that may meet the problem gets it.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from fastapi import APIRouter

from gateway.core.messages import Language, Message, Messages, Text
from gateway.web.pivot import pivot_router
from gateway.web.pivot_document import pivot_openapi
from gateway.web.pivot_problems import BY_WORD, PivotProblem

#: `event`: a message is sent or offered. `call`: the half-connector's next call meets the case.
#: `time`: the clock is moved on.
Sort = Literal["event", "call", "time"]

# The fact: what the sandbox does. The remedy: what the half-connector has to do.
# fmt: off
say = Messages(
    Text("plain", "an ordinary request", "take it, answer 2xx with your number",
         "une demande ordinaire", "la prendre, répondre 2xx avec votre numéro"),
    Text("emoji", "a request with emoji, some of several characters", "keep them as they are",
         "une demande avec des emojis, dont certains de plusieurs caractères",
         "les garder tels quels"),
    Text("right-to-left", "a request in Arabic and Hebrew", "keep it as it is",
         "une demande en arabe et en hébreu", "la garder telle quelle"),
    Text("long", "a request of 4,000 characters", "keep all of it, or cut it and say so",
         "une demande de 4 000 caractères", "tout garder, ou couper en le disant"),
    Text("markup", "a request with HTML and quotes in its text", "show it as text, run nothing",
         "une demande dont le texte contient du HTML et des guillemets",
         "l'afficher comme du texte, ne rien exécuter"),
    Text("large_file", "a file that goes by a signed link",
         "read it at `url` before `expires_at`, check `sha256`",
         "un fichier remis par un lien signé",
         "le lire à `url` avant `expires_at`, vérifier `sha256`"),
    Text("message", "the citizen writes, once you have taken the request and before you end it",
         "add it to the same request, once",
         "l'usager écrit, une fois la demande prise et avant que vous ne la terminiez",
         "l'ajouter à la même demande, une seule fois"),
    Text("change", "the citizen changes a field, once you have taken the request",
         "change the same request",
         "l'usager modifie un champ, une fois la demande prise", "modifier la même demande"),
    Text("cancellation", "the citizen gives the request up, once you have taken it",
         "close it; answer 2xx",
         "l'usager annule sa demande, une fois prise", "la clore ; répondre 2xx"),
    Text("history", "a request that you took long ago, with three changes told already",
         "read it again in the feed; tell nothing twice",
         "une demande prise il y a longtemps, dont trois changements sont déjà dits",
         "la relire dans le fil ; ne rien redire"),
    Text("erasure", "the person is erased, once you have taken the request",
         "erase what you hold, answer a receipt; afterwards a change gets 410 `erased`",
         "la personne est effacée, une fois la demande prise",
         "effacer ce que vous détenez, répondre un reçu ; un changement reçoit ensuite 410"
         " `erased`"),
    Text("erasure_unknown", "a person is erased whose request you never had",
         "answer 2xx with the receipt `absent`",
         "une personne est effacée dont vous n'avez jamais eu la demande",
         "répondre 2xx avec le reçu `absent`"),
    Text("unknown_event", "an event of a type that you do not know",
         "ignore it, answer 2xx (or `done`): a minor version may add types",
         "un événement d'un type que vous ne connaissez pas",
         "l'ignorer, répondre 2xx (ou `done`) : une version mineure peut en ajouter"),
    Text("unknown_field", "an event with fields and a header that you do not know",
         "take it, ignore them",
         "un événement avec des champs et un en-tête que vous ne connaissez pas",
         "le prendre, les ignorer"),
    Text("other_recipient", "an event, rightly signed, that names another commune",
         "refuse it: 4xx, or `refused`",
         "un événement bien signé qui nomme une autre commune", "le refuser : 4xx, ou `refused`"),
    Text("duplicate", "the same event twice, with the same `webhook-id`",
         "take it once; answer 2xx with the same number",
         "le même événement deux fois, avec le même `webhook-id`",
         "le prendre une fois ; répondre 2xx avec le même numéro"),
    Text("answer_lost", "your answer to the push is lost: it is sent again",
         "take it once; answer 2xx with the same number",
         "votre réponse à l'envoi se perd : il est renvoyé",
         "le prendre une fois ; répondre 2xx avec le même numéro"),
    Text("out_of_order", "the creation is sent again after a later event",
         "answer 2xx, change nothing: its `id` is known",
         "la création est renvoyée après un événement plus récent",
         "répondre 2xx, ne rien changer : son `id` est connu"),
    Text("wrong_signature", "first a push whose signature is false, then the true one",
         "answer 401 to the first, 2xx to the second",
         "d'abord un envoi à la signature fausse, puis le vrai",
         "répondre 401 au premier, 2xx au second"),
    Text("old_timestamp", "first a push signed ten minutes ago, then a fresh one",
         "answer 401 to the first, 2xx to the second",
         "d'abord un envoi signé il y a dix minutes, puis un neuf",
         "répondre 401 au premier, 2xx au second"),
    Text("first_secret", "signed with the current secret alone", "answer 2xx",
         "signé avec le seul secret actuel", "répondre 2xx"),
    Text("second_secret", "signed with the former secret alone, as while it is rotated",
         "answer 2xx as long as you hold both",
         "signé avec le seul ancien secret, comme pendant une rotation",
         "répondre 2xx tant que vous avez les deux"),
    Text("ping", "a signed GET without a body, then one whose signature is false",
         "answer 2xx, then 401",
         "un GET signé sans corps, puis un dont la signature est fausse", "répondre 2xx, puis 401"),
    Text("lease_ends", "what you fetch is left to its lease: the clock moves past it",
         "a late result still counts; what comes again is the same `id`: take it once",
         "ce que vous relevez dépasse son bail : l'horloge avance au-delà",
         "un résultat tardif compte encore ; ce qui revient a le même `id` : le prendre une fois"),
    Text("taken_by_another", "what you fetch passes its lease, and another worker fetches it",
         "your result is `lost`: drop it, the other one tells its own",
         "ce que vous relevez dépasse son bail, et un autre programme le relève",
         "votre résultat est `lost` : l'oublier, l'autre dira le sien"),
    Text("lost_answer", "your next claim or change is taken, but its answer never comes",
         "make the same call again: nothing is lost, nothing is taken twice",
         "votre prochain relevé ou changement est pris, mais sa réponse n'arrive pas",
         "refaire le même appel : rien n'est perdu, rien n'est pris deux fois"),
    Text("slow_answer", "the answer to your next call takes 15 seconds",
         "wait for it: 30 seconds at least",
         "la réponse à votre prochain appel prend 15 secondes",
         "l'attendre : 30 secondes au moins"),
    Text("proxy_page", "a proxy answers your next call: 502, and a page of HTML",
         "read the status first; make the same call again later",
         "un relais répond à votre prochain appel : 502 et une page HTML",
         "lire d'abord le code ; refaire le même appel plus tard"),
    Text("three_days", "three days pass: a request that nobody takes is told of",
         "nothing, if you take what waits",
         "trois jours passent : une demande que personne ne prend est signalée",
         "rien, si vous prenez ce qui attend"),
    Text("nine_days", "nine days pass: it is told of as serious", "the same",
         "neuf jours passent : c'est signalé comme grave", "de même"),
)
_problems = Messages(
    Text("never", "your next call that can meet it is refused: {status} `{word}`",
         "do not make it again as it is: mend it, or tell a person",
         "votre prochain appel qui peut le recevoir est refusé : {status} `{word}`",
         "ne pas le refaire tel quel : le corriger, ou prévenir une personne"),
    Text("after", "your next call that can meet it is refused: {status} `{word}`",
         "make the same call again, when `Retry-After` says",
         "votre prochain appel qui peut le recevoir est refusé : {status} `{word}`",
         "refaire le même appel, quand le dit `Retry-After`"),
    Text("now", "your next call that can meet it is refused: {status} `{word}`",
         "mend what it names, and make the call again at once",
         "votre prochain appel qui peut le recevoir est refusé : {status} `{word}`",
         "corriger ce qu'il nomme, et refaire l'appel tout de suite"),
)
# fmt: on
#: Cases that only a half-connector of this mode can meet.
PUSH: Final = frozenset(
    {
        "duplicate",
        "answer_lost",
        "out_of_order",
        "wrong_signature",
        "old_timestamp",
        "first_secret",
        "second_secret",
        "ping",
    }
)  # fmt: skip
MAILBOX: Final = frozenset({"lease_ends", "taken_by_another", "three_days", "nine_days"})
_CALLS: Final = frozenset({"lost_answer", "slow_answer", "proxy_page"})
_TIMES: Final = frozenset({"three_days", "nine_days"})
#: The pages with the table, and its first line there.
PAGES: Final[Mapping[str, Language]] = {"docs/pivot/sandbox.md": "en", "docs/fr/pivot.md": "fr"}
MARK: Final = "<!-- cases: written by `python -m gateway.sandbox.cases .` -->\n"
#: A problem's word, as the document writes it.
_WORD = re.compile(r"`(\w+)`")


@dataclass(frozen=True, slots=True)
class SandboxCase:
    """A case. `text` says what the sandbox does, and what the half-connector has to do.

    `mode` None: both modes can meet it. `problem` is the one that refuses a call.
    """

    word: str
    sort: Sort
    text: Message
    mode: Literal["push", "mailbox"] | None = None
    problem: PivotProblem | None = None

    def fits(self, mode: str) -> bool:
        """Can a half-connector of this mode meet it?"""
        return self.mode is None or self.mode == mode


@cache
def all_cases() -> Mapping[str, SandboxCase]:
    """Return every case by its word: those of the sandbox, and one for each problem."""
    found = {word: SandboxCase(word, _sort(word), say(word), _mode(word)) for word in say.texts}
    for problem in BY_WORD.values():
        text = _problems(problem.retry, status=problem.status, word=problem.word)
        found[problem.word] = SandboxCase(problem.word, "call", text, None, problem)
    return found


def operations_of(word: str) -> frozenset[str]:
    """Return the operations that may answer this problem, by the document; empty: any of them."""
    return _operations().get(word, frozenset())


@cache
def _operations() -> Mapping[str, frozenset[str]]:
    nobody: Any = None
    router: APIRouter = pivot_router(nobody)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in pivot_openapi(router)["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                for word in _WORD.findall(answer.get("description", "")):
                    found[word].add(operation["operationId"])
    return {word: frozenset(names) for word, names in found.items()}


def cases_page(language: Language) -> str:
    """Return the table of cases for the documentation."""
    head = (
        "| case | mode | what the sandbox does | what your half-connector does |"
        if language == "en"
        else "| cas | mode | ce que fait le bac à sable | ce que fait votre demi-connecteur |"
    )
    both = "both" if language == "en" else "les deux"
    rows = [
        f"| `{one.word}` | {one.mode or both} | {one.text.what(language)}"
        f" | {one.text.remedy(language)} |"
        for one in all_cases().values()
    ]
    return "\n".join([head, "|---|---|---|---|", *rows]) + "\n"


def with_cases(page: str, language: Language) -> str:
    """Return a page with the present table below its mark."""
    head, mark, _ = page.partition(MARK)
    return f"{head}{mark}\n{cases_page(language)}"


def main(folder: Path) -> None:
    """Write the table into the pages of the project in `folder`."""
    for name, language in PAGES.items():
        path = folder / name
        path.write_text(with_cases(path.read_text("utf-8"), language), "utf-8")


def _sort(word: str) -> Sort:
    return "call" if word in _CALLS else "time" if word in _TIMES else "event"


def _mode(word: str) -> Literal["push", "mailbox"] | None:
    return "push" if word in PUSH else "mailbox" if word in MAILBOX else None


if __name__ == "__main__":
    main(Path(sys.argv[1]))
