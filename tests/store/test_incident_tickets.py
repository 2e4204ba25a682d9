"""Entries that are owed to tickets, on both databases: in order, and claimed by one alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core import incident as rules_of
from gateway.core.alerting import Hearing
from gateway.core.errors import Conflict
from gateway.core.incident import IncidentRules, Party, Symptom, SymptomWord
from gateway.store import (
    alerts,
    incident_acts,
    incident_looks,
    incident_notices,
    incident_tickets,
)
from gateway.store.engine import Database

BEGIN = datetime(2026, 3, 16, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BRON = "69029"
RULES = IncidentRules(ticketing=True, after={}, hearings=(Hearing("salon"),))


async def opened(store: Database, cause: str = "gru:69029:outil") -> str:
    """Open an incident; return its id."""
    symptom = Symptom(cause, SymptomWord.GRU_AWAY, frozenset({BRON}), Party.COMMUNE)
    name = f"INC-{abs(hash(cause)):016d}"[:20]
    seen = rules_of.observe([symptom], RULES)
    await store.write(incident_looks.observe, seen, RULES, lambda: name, BEGIN, complete=False)
    return name


async def test_the_entries_of_an_incident_go_one_after_the_other(store: Database) -> None:
    one = await opened(store)
    await store.write(incident_acts.acknowledge, one, "C. E.", now=BEGIN)
    first = await store.write(incident_tickets.claim_entry, BEGIN)
    assert first is not None
    assert (first.notice.step, first.notice.unsure, first.ticket.taken_at) == (
        "opened",
        False,
        None,
    )
    assert await store.write(incident_tickets.claim_entry, BEGIN) is None
    # Whoever claimed it died: it may have been taken.
    later = BEGIN + incident_tickets.LEASE
    again = await store.write(incident_tickets.claim_entry, later)
    assert again is not None
    assert (again.notice.step, again.notice.unsure, again.notice.attempts) == ("opened", True, 2)
    assert not await store.write(incident_tickets.note_taken, first, later, "7")
    assert await store.write(incident_tickets.note_taken, again, later, "7", "https://x/7")
    second = await store.write(incident_tickets.claim_entry, later)
    assert second is not None
    assert (second.notice.step, second.ticket.number) == ("acknowledged", "7")
    assert second.data["by"] == "C. E."
    await store.write(incident_tickets.put_off, second, "busy", later + MINUTE, unsure=False)
    assert await store.read(incident_tickets.waiting_since) == (1, BEGIN, "busy")
    assert await store.write(incident_tickets.claim_entry, later) is None


async def test_an_entry_is_claimed_once_by_those_who_ask_at_once(store: Database) -> None:
    names = {await opened(store, f"gru:69029:outil{n}") for n in range(4)}
    claims = [store.write(incident_tickets.claim_entry, BEGIN) for _ in range(8)]
    found = [one.notice.incident_id for one in await asyncio.gather(*claims) if one is not None]
    assert len(found) == len(set(found))
    assert set(found) <= names


async def test_a_person_settles_what_the_tool_refuses(store: Database) -> None:
    one = await opened(store)
    await store.write(incident_acts.acknowledge, one, "C. E.", now=BEGIN)
    settle = incident_tickets.settle_by_hand
    claimed = await store.write(incident_tickets.claim_entry, BEGIN)
    assert claimed is not None
    with pytest.raises(Conflict):
        await store.write(settle, one, None, "C. E.", now=BEGIN)
    await store.write(settle, one, "42", "C. E.", now=BEGIN)
    assert not await store.write(incident_tickets.note_taken, claimed, BEGIN, "7")
    ticket = await store.read(incident_tickets.get, one)
    assert ticket is not None
    assert (ticket.number, ticket.taken_at) == ("42", BEGIN)
    await store.write(settle, one, None, "C. E.", now=BEGIN)
    with pytest.raises(Conflict):
        await store.write(settle, one, None, "C. E.", now=BEGIN)


async def test_answers_are_kept_once_and_within_bounds(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incident_tickets, "MOST_ANSWERS", 2)
    one = await opened(store)
    entry = await store.write(incident_tickets.claim_entry, BEGIN)
    assert entry is not None
    await store.write(incident_tickets.note_taken, entry, BEGIN, "7")
    ticket = await store.read(incident_tickets.ticket_named, None, "7")
    assert ticket is not None
    kept = [
        await store.write(incident_tickets.add_answer, ticket, key, BEGIN, f"mot {key}")
        for key in ("a", "a", "b", "c")
    ]
    assert kept == [True, False, True, False]
    assert [a.text for a in await store.read(incident_tickets.answers, one)] == ["mot a", "mot b"]
    over = [
        await store.write(incident_tickets.note_word, ticket, word, BEGIN, over=word == "6")
        for word in ("2", "6", "6", "2")
    ]
    assert over == [False, True, False, False]
    assert await store.read(incident_tickets.numbers) == {one: "7"}
    assert [t.number for t in await store.read(incident_tickets.followed, BEGIN, 5)] == ["7"]


async def test_notes_of_channels_are_claimed_apart_from_tickets(store: Database) -> None:
    one = await opened(store)
    notes = await store.write(incident_notices.claim, BEGIN, 10)
    assert sorted(note.audience for note in notes) == ["#salon", BRON]
    assert await store.read(incident_notices.channels_told, one) == ["#salon"]
    assert await store.read(alerts.untold, BEGIN + MINUTE) == [one]
    for note in notes:
        await store.write(incident_notices.sent, note, BEGIN)
    assert await store.read(alerts.untold, BEGIN + MINUTE) == []


async def test_a_digest_is_owed_once_to_those_for_whom_there_is_something(store: Database) -> None:
    await opened(store)
    now = BEGIN + MINUTE
    for _ in range(2):
        await store.write(alerts.owe_digest, "elus", [BRON, "69266"], "2026-03-16", now)
        await store.write(alerts.owe_monthly_trial, "2026-03", ["", "#salon"], now)
    owed = await store.read(incident_notices.waiting_notes, 50)
    assert sorted((n.audience, n.step) for n in owed if n.step in ("digest", "trial")) == [
        ("", "trial"),
        ("#elus:69029", "digest"),
        ("#salon", "trial"),
    ]
