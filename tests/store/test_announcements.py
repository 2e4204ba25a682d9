"""Announcements on both databases: communes are owed a note each, read it, and learn of its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.core.announcement import AnnouncementKind, AnnouncementState
from gateway.core.errors import Conflict, NotFound
from gateway.store import announcements, incident_notices, trail
from gateway.store.announcements import Announcement
from gateway.store.engine import Database

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BRON, VILLEURBANNE = "69029", "69266"


def planned(name: str = "ANN-1", *, days: int = 5, change: bool = False) -> Announcement:
    return Announcement(
        id=name,
        kind=AnnouncementKind.CHANGE if change else AnnouncementKind.MAINTENANCE,
        title="Mise à jour",
        body="",
        starts_at=NOW + days * DAY,
        ends_at=None if change else NOW + days * DAY + 2 * HOUR,
        notice=3 * DAY,
        announced_at=NOW,
        by="Ana Fictive",
    )


async def told(store: Database, commune: str, at: datetime, name: str = "ANN-1") -> None:
    for note in await store.read(incident_notices.of_incident, name):
        if (note.audience, note.step) == (commune, "announced"):
            await store.write(incident_notices.sent, note, at)


async def test_a_commune_is_told_in_time_by_its_own_note(store: Database) -> None:
    await store.write(announcements.make, planned(), [VILLEURBANNE, BRON])
    due = await store.write(incident_notices.claim, NOW, 10)
    assert [(note.audience, note.step) for note in due] == [
        (BRON, "announced"),
        (VILLEURBANNE, "announced"),
    ]
    last = NOW + 2 * DAY
    await told(store, BRON, last)
    await told(store, VILLEURBANNE, last + timedelta(seconds=1))
    one = await store.read(announcements.get, "ANN-1")
    assert one.last_call == last
    assert [one.told_in_time(c) for c in one.communes] == [True, False]
    # Villeurbanne was read out to on the telephone before its mail went.
    one = await store.write(
        announcements.note_read, "ANN-1", VILLEURBANNE, "Bob Fictif", now=NOW + DAY
    )
    assert [one.told_in_time(c) for c in one.communes] == [True, True]


async def test_the_first_reading_counts(store: Database) -> None:
    await store.write(announcements.make, planned(), [BRON])
    for by, hours in (("lien", 1), ("Bob Fictif", 2)):
        one = await store.write(announcements.note_read, "ANN-1", BRON, by, now=NOW + hours * HOUR)
        assert (one.communes[0].read_by, one.communes[0].read_at) == ("lien", NOW + HOUR)
    for name, commune in (("ANN-1", VILLEURBANNE), ("ANN-2", BRON)):
        with pytest.raises(NotFound):
            await store.write(announcements.note_read, name, commune, "x", now=NOW)
    entries = await store.read(trail.entries, announcements.STREAM)
    assert [entry.kind for entry in entries] == ["announced", "read"]


async def test_who_may_have_been_told_is_told_of_the_end(store: Database) -> None:
    await store.write(announcements.make, planned(), [BRON])
    (claimed,) = await store.write(incident_notices.claim, NOW, 10)
    # We died before its answer was stored: it may have gone.
    await store.write(announcements.make, planned("ANN-2"), [BRON, VILLEURBANNE])
    await store.write(announcements.note_read, "ANN-2", BRON, "lien", now=NOW)
    for name in ("ANN-1", "ANN-2"):
        one = await store.write(announcements.cancel, name, "reportée", "Ana Fictive", now=NOW)
        assert one.state(NOW) is AnnouncementState.CANCELLED
    notes = [
        (note.incident_id, note.audience, note.step)
        for note in await store.write(incident_notices.claim, NOW + HOUR, 10)
    ]
    # Villeurbanne was told of nothing, and is told of no end.
    assert notes == [("ANN-1", BRON, "cancelled"), ("ANN-2", BRON, "cancelled")]
    assert claimed.name == "ann-1.69029.announced.0"
    with pytest.raises(Conflict):
        await store.write(announcements.cancel, "ANN-1", "", "Ana Fictive", now=NOW)


async def test_who_had_nobody_to_be_told_is_told_of_no_end(store: Database) -> None:
    await store.write(announcements.make, planned(), [BRON])
    (claimed,) = await store.write(incident_notices.claim, NOW, 10)
    await store.write(incident_notices.failed, claimed, "no_contact", NOW + HOUR)
    await store.write(announcements.cancel, "ANN-1", "reportée", "Ana Fictive", now=NOW)
    assert await store.write(incident_notices.claim, NOW + DAY, 10) == []


async def test_what_is_over_is_not_cancelled_and_what_runs_ends_early(store: Database) -> None:
    await store.write(announcements.make, planned(), [BRON])
    one = await store.read(announcements.get, "ANN-1")
    begins = one.starts_at
    with pytest.raises(Conflict):
        await store.write(announcements.cancel, "ANN-1", "", "Ana Fictive", now=begins + 2 * HOUR)
    one = await store.write(
        announcements.cancel, "ANN-1", "achevée", "Ana Fictive", now=begins + HOUR
    )
    assert one.until == begins + HOUR
    touched = await store.read(announcements.maintenances, begins, begins + DAY)
    assert [found.id for found in touched] == ["ANN-1"]


async def test_lists_tell_what_comes_and_what_was(store: Database) -> None:
    await store.write(announcements.make, planned("ANN-1", days=5), [BRON])
    await store.write(announcements.make, planned("ANN-2", days=4, change=True), [VILLEURBANNE])
    await store.write(announcements.make, planned("ANN-3", days=40), [BRON])
    later = NOW + 4 * DAY + HOUR

    async def names(**how: Any) -> list[str]:
        found = await store.read(announcements.listed, later, **how)
        return [one.id for one in found]

    assert await names() == ["ANN-1", "ANN-3"]
    assert await names(everything=True) == ["ANN-3", "ANN-1", "ANN-2"]
    assert await names(everything=True, commune=VILLEURBANNE) == ["ANN-2"]
    assert await names(everything=True, limit=1) == ["ANN-3"]
    assert [
        one.id for one in await store.read(announcements.maintenances, NOW, NOW + 30 * DAY)
    ] == ["ANN-1"]
