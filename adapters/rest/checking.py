"""`check`: what the daemon will ask is asked, and each path that finds nothing is named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from adapters.rest.answers import Statuses
from adapters.rest.blind import blind_paths, needed_paths
from adapters.rest.changes import written
from adapters.rest.exchange import Exchange
from adapters.rest.expression import Json
from adapters.rest.options import RestOptions
from adapters.rest.paging import Pages
from adapters.rest.telling import Teller
from gateway.sdk import Absent, Answer, CannotTell, Change, Finding, Found, Note, TryLater

#: A reference that no request has.
NOBODY = "TDG-0000000000000000"
#: How far back items are looked for, and how many are looked at; some of them with further reads.
SPAN = timedelta(days=30)
SAMPLE, FOLLOWED = 50, 3

Find = Callable[[str], Awaitable[Finding]]


async def check_search(options: RestOptions, find: Find) -> list[Note]:
    """Does the GRU answer a search, and does it look at what it is asked for?"""
    if options.find is None:
        remedy = "décrire `find` : sans lui, chaque réponse perdue attend une personne"
        return [Note("warning", "la GRU ne peut être interrogée par notre référence", remedy)]
    if options.find.method != "GET":
        return [Note("ok", "la recherche n'est pas essayée : ce n'est pas un GET")]
    finding = await find(NOBODY)
    match finding:
        case Absent():
            return [Note("ok", "la recherche par notre référence répond")]
        case Found():
            what = f"recherche : la GRU dit avoir {NOBODY}, qui n'existe pas"
            return [Note("fault", what, "corriger find.match, ou sa requête")]
        case CannotTell(reason, detail):
            return [Note.fault("recherche", TryLater(reason, detail))]


async def check_statuses(
    rules: Statuses, exchange: Exchange, now: Callable[[], datetime]
) -> list[Note]:
    """Is there a list, and does each path find something in what changed lately?"""
    if rules.method != "GET":
        return [Note("ok", "le relevé n'est pas essayé : ce n'est pas un GET")]
    if rules.each:
        remedy = "essayer avec une demande : gru-gateway contract run --live test"
        return [Note("warning", "relevé demande par demande : rien à essayer d'ici", remedy)]
    scope: dict[str, Json] = {"cursor": None, "since": written(rules.since, now() - SPAN)}
    one_page = rules.paging.model_copy(update={"max_pages": 1, "total": None})
    pages = Pages(rules, one_page, rules.list, exchange, scope, "statuses.list")
    listed: list[Json] = []
    async for _, items in pages:
        listed += items[:SAMPLE]
    if pages.failure is not None:
        return [Note.fault("relevé", pages.failure)]
    if pages.passed_over:
        detail = f"{pages.passed_over} item(s) larger than an answer may be"
        return [Note.fault("relevé", TryLater("item_too_large", detail))]
    if not listed:
        remedy = "modifier une demande d'essai dans la GRU, puis recommencer"
        what = "relevé : aucun changement en 30 jours, les chemins ne sont pas éprouvés"
        return [Note("warning", what, remedy)]
    return await _items(rules, exchange, now, listed)


async def _items(
    rules: Statuses, exchange: Exchange, now: Callable[[], datetime], listed: Sequence[Json]
) -> list[Note]:
    notes: list[Note] = []
    items = list(listed)
    if rules.detail is not None or rules.item.also:
        items = items[:FOLLOWED]
    if rules.detail is not None:
        fetched: list[Json] = []
        for item in items:
            answer = await exchange.run(rules.detail, {"item": item}, safe=True)
            if not isinstance(answer, Answer):
                return [Note.fault("relevé, statuses.detail", answer)]
            fetched.append(rules.detail.content.read(answer.value))
        items = fetched
    teller = Teller(rules.item, exchange, now)
    whole: list[Json] = []
    fetching: Change | None = None
    for item in items:
        read = await teller.whole(item)
        if not isinstance(read, list):
            return [Note.fault("relevé, item.also", read)]
        whole += read
        told = await teller.changes(item)
        if isinstance(told, list) and fetching is None:
            fetching = next((one for one in told if one.more is not None), None)
    needed = set(needed_paths(rules.item, whole))
    for path in blind_paths(rules.item, whole):
        what = f"relevé : statuses.item.{path} ne trouve rien dans {len(whole)} élément(s)"
        level, remedy = "warning", "corriger ce chemin, à moins qu'il n'y ait rien à trouver"
        if path in needed:
            level, remedy = "fault", "corriger ce chemin"
        notes.append(Note("fault" if level == "fault" else "warning", what, remedy))
    if fetching is not None and fetching.more is not None:
        rest = await fetching.more()
        if not isinstance(rest, Change):
            notes.append(Note.fault("relevé, lectures complémentaires", rest))
        elif rules.item.notes is not None and not (rest.message or rest.documents):
            text = rules.item.notes.message
            what = (
                f"relevé : statuses.item.notes.message: {text.text if text else ''} ne trouve rien"
            )
            notes.append(Note("warning", what, "corriger ce chemin, s'il y avait là un texte"))
        elif rest.unreadable:
            what = "relevé : un texte ou un fichier annoncé n'a pu être lu"
            remedy = "vérifier `also`, documents.path ou documents.address, et `hosts`"
            notes.append(Note("fault", what, remedy))
    return notes or [Note("ok", f"relevé : {len(whole)} élément(s) lus")]


__all__ = ["check_search", "check_statuses"]
