"""The time since which communes are connected, and requests passed over."""

from __future__ import annotations

from datetime import timedelta

from gateway.store import intake
from gateway.store.engine import Database
from tests.builders import NOW

DAY = timedelta(days=1)


async def test_the_first_time_of_a_connection_counts(store: Database) -> None:
    place = ("toodego", "69029", "signalement-anomalie")
    for at in (NOW, NOW + DAY):
        await store.write(intake.record_routes, [place], at)
    since = await store.read(intake.routed_since, "toodego", "signalement-anomalie")
    assert since == {"69029": NOW}
    assert await store.read(intake.routed_since, "toodego", "autre") == {}


async def test_a_clock_that_was_set_back_keeps_nothing_out(store: Database) -> None:
    place = ("toodego", "69029", "signalement-anomalie")
    await store.write(intake.record_routes, [place], NOW + 365 * DAY)
    await store.write(intake.record_routes, [place], NOW)
    since = await store.read(intake.routed_since, "toodego", "signalement-anomalie")
    assert since == {"69029": NOW}


async def test_what_is_passed_over_is_noted_once_with_its_last_reason(store: Database) -> None:
    for n, code in enumerate(("unknown_commune", "no_route")):
        await store.write(intake.pass_over, "toodego", "voirie", "7", code, "69381", NOW + n * DAY)
    (one,) = await store.read(intake.passed_over)
    assert (one.code, one.commune, one.times) == ("no_route", "69381", 2)
    assert (one.first_at, one.at) == (NOW, NOW + DAY)
    (count,) = await store.read(intake.passed_counts)
    assert (count.code, count.count, count.since) == ("no_route", 1, NOW)
    await store.write(intake.remove, "toodego", "voirie", ["7"])
    assert await store.read(intake.passed_over) == []


async def test_no_personal_text_is_kept_as_a_commune(store: Database) -> None:
    await store.write(intake.pass_over, "toodego", "voirie", "7", "no_commune", "Zoé", NOW)
    (one,) = await store.read(intake.passed_over)
    assert one.commune is None
