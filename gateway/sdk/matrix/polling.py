"""Checks of `statuses`: the GRU's changes come back whole, once and unaltered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from gateway.core.outcome import Misconfigured, TryLater
from gateway.sdk.adapter import Adapter, Change, Changes
from gateway.sdk.httpx_errors import HTTPX_ERRORS, raising
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.playing import answering, playing
from gateway.sdk.under_test import NOW, REFERENCE, AdapterUnderTest, ToldEntry

#: A family as one emoji; Hebrew; a text with a change of direction.
HOSTILE: Final = "👩‍👩‍👧 שלום ‮été"
#: The doubled hour in Paris, the skipped one, and an hour beside each.
DST: Final = (
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 59, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 1, tzinfo=UTC),
)


async def _polled(
    suite: AdapterUnderTest, *entries: ToldEntry, cursor: str | None = None
) -> list[Change]:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_tells(far_end.router, entries)
        return await _ours(suite, await adapter.statuses(suite.tracked(), cursor))


async def _ours(suite: AdapterUnderTest, changes: Changes) -> list[Change]:
    """Return the changes of our request. Fails for one that is not whole."""
    holds(changes.failure is None, f"a good answer is told as {changes.failure!r}")
    found = []
    for change in changes.items:
        named = change.gru_reference == suite.gru_reference or change.reference == REFERENCE
        holds(named, "a change names neither the GRU's number nor our reference")
        whole = change if change.more is None else await change.more()
        must(whole, Change)
        found += [whole] if isinstance(whole, Change) else []
    return found


@proves(
    "poll.tells",
    Tier.SILVER,
    "a new status comes back, in the GRU's own word",
    "un nouveau statut revient, dans le mot même de la GRU",
    "statuses",
    "http",
)
async def tells(suite: AdapterUnderTest) -> None:
    found = await _polled(suite, ToldEntry(status="en_cours"))
    statuses = [change.status for change in found if change.status is not None]
    holds(statuses == ["en_cours"], f"the status en_cours comes back as {statuses}")


@proves(
    "poll.unknown_status",
    Tier.SILVER,
    "a status that nobody has seen passes as it is: the mapping tells what it means",
    "un statut jamais vu passe tel quel : c'est le fichier de correspondance qui le lit",
    "statuses",
    "http",
)
async def unknown_status(suite: AdapterUnderTest) -> None:
    found = await _polled(suite, ToldEntry(status="jamais_vu_42"))
    holds([change.status for change in found] == ["jamais_vu_42"], "an unknown status is altered")


@proves(
    "poll.error",
    Tier.SILVER,
    "a poll that failed says so, and its cursor does not move past what was not read",
    "une relève manquée le dit, et son curseur ne dépasse pas ce qui n'est pas lu",
    "http",
)
async def error(suite: AdapterUnderTest) -> None:
    async def under(kind: type[Exception]) -> None:
        async with suite.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            await _fails(suite, adapter, None)

    await asyncio.gather(*map(under, HTTPX_ERRORS))


async def _fails(suite: AdapterUnderTest, adapter: Adapter, cursor: str | None) -> None:
    changes = await adapter.statuses(suite.tracked(), cursor)
    holds(list(changes.items) == [], "a poll that failed gives changes")
    if adapter.capabilities.statuses:
        must(changes.failure, TryLater, Misconfigured)
        holds(changes.cursor in (None, cursor), "what was not read would be skipped")


@proves(
    "poll.status",
    Tier.SILVER,
    "a page, a redirect, a refusal or a failure is told as a failed poll",
    "une page, une redirection, un refus ou une panne est une relève manquée",
    "statuses",
    "http",
)
async def failing_status(suite: AdapterUnderTest) -> None:
    plays = [answering(status, text="<html>") for status in (302, 401, 403, 429, 500, 503)]
    for play in (*plays, answering(200, content=b"<html>"), answering(200, content=b"{")):
        async with playing(suite) as (adapter, far_end):
            far_end.play = play
            changes = await adapter.statuses(suite.tracked(), None)
            holds(changes.failure is not None, "a poll that failed does not say so")
            holds(changes.cursor is None, "what was not read would be skipped")


@proves(
    "poll.cursor_stays",
    Tier.SILVER,
    "after a good poll, a failure leaves the cursor where it was",
    "après une bonne relève, une panne laisse le curseur où il était",
    "statuses",
    "http",
)
async def cursor_stays(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_tells(far_end.router, [ToldEntry(status="en_cours")])
        good = await adapter.statuses(suite.tracked(), None)
        holds(good.failure is None, f"a good answer is told as {good.failure!r}")
        for play in (answering(503), answering(200, content=b"<html>")):
            far_end.play = play
            await _fails(suite, adapter, good.cursor)


@proves(
    "poll.list_shifts",
    Tier.GOLD,
    "a list that shifts between two polls loses nothing",
    "une liste qui se décale entre deux relèves ne perd rien",
    "statuses",
    "http",
)
async def list_shifts(suite: AdapterUnderTest) -> None:
    first = ToldEntry(message="Premier mot", key="1", at=NOW - timedelta(minutes=5))
    late = ToldEntry(message="Mot tardif", key="2", at=NOW - timedelta(minutes=5))
    async with playing(suite) as (adapter, far_end):
        prepared = len(far_end.router.routes)
        suite.far_end_tells(far_end.router, [first])
        before = await adapter.statuses(suite.tracked(), None)
        await _ours(suite, before)
        for route in list(far_end.router.routes)[prepared:]:
            far_end.router.routes._routes.remove(route)  # noqa: SLF001 - see find.lags
        suite.far_end_tells(far_end.router, [late, first])
        after = await _ours(suite, await adapter.statuses(suite.tracked(), before.cursor))
        told = [change.message or "" for change in after]
        holds(any("Mot tardif" in one for one in told), "an entry of the same time is skipped")


@proves(
    "poll.repeats",
    Tier.GOLD,
    "what is told twice is known again by its key",
    "ce qui est dit deux fois se reconnaît à sa clé",
    "statuses",
    "http",
)
async def repeats(suite: AdapterUnderTest) -> None:
    entry = ToldEntry(message="Un mot", key="7")
    twice = [[change.key for change in await _polled(suite, entry)] for _ in range(2)]
    holds(twice[0] == twice[1], f"the same entry has the keys {twice}")


@proves(
    "poll.internal_note",
    Tier.GOLD,
    "an internal note stays inside",
    "une note interne reste interne",
    "statuses",
    "http",
)
async def internal_note(suite: AdapterUnderTest) -> None:
    note = "Appelé le voisin, ne pas diffuser"
    found = await _polled(suite, ToldEntry(message=note, public=False))
    shown = [change for change in found if change.public and note in (change.message or "")]
    holds(not shown, "an internal note is told as public")


@proves(
    "poll.own_words",
    Tier.GOLD,
    "our own words that come back are known by their key, or come back as they were",
    "nos propres mots qui reviennent se reconnaissent à leur clé, ou reviennent tels quels",
    "statuses",
    "http",
)
async def own_words_known(suite: AdapterUnderTest) -> None:
    found = await _polled(suite, ToldEntry(message="Bonjour", key="evt-1", by_us=True))
    for change in found:
        known = change.sender_key == "evt-1" or change.message in (None, "", "Bonjour")
        holds(known, "our own words come back altered and without our key")


@proves(
    "poll.hostile_text",
    Tier.GOLD,
    "emoji and writing from right to left come back whole",
    "les émojis et l'écriture de droite à gauche reviennent entiers",
    "statuses",
    "http",
)
async def hostile_text(suite: AdapterUnderTest) -> None:
    found = await _polled(suite, ToldEntry(message=HOSTILE))
    said = " ".join(change.message or "" for change in found)
    for part in ("👩‍👩‍👧", "שלום", "été"):
        holds(part in said, f"{part!r} does not come back: {said!r}")


@proves(
    "poll.times",
    Tier.GOLD,
    "times are aware, and those around a change of the clocks are the moments they name",
    "les heures portent leur fuseau, et autour du changement d'heure ce sont les bonnes",
    "statuses",
    "http",
)
async def times(suite: AdapterUnderTest) -> None:
    for moment in DST:
        entry = ToldEntry(status="en_cours", message="Un mot", at=moment)
        for change in await _polled(suite, entry):
            if change.at is None:
                continue
            holds(change.at.tzinfo is not None, "a time has no offset")
            apart = abs(change.at - moment)
            most = timedelta(0) if suite.tells_offsets else timedelta(hours=1)
            holds(apart <= most, f"{moment.isoformat()} is read as {change.at.isoformat()}")


@proves(
    "poll.cancelled",
    Tier.SILVER,
    "a poll that is cancelled ends at once",
    "une relève annulée s'arrête aussitôt",
    "statuses",
    "http",
)
async def cancelled(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):

        async def gone(_: httpx.Request) -> httpx.Response:
            raise asyncio.CancelledError

        far_end.play = gone
        try:
            await adapter.statuses(suite.tracked(), None)
        except asyncio.CancelledError:
            return
        raise AssertionError("it swallows the cancellation")


def told_of(items: Sequence[Change]) -> list[tuple[str | None, str | None, str | None]]:
    """Return the key, status and text of each change, for comparison."""
    return [(change.key, change.status, change.message) for change in items]
