"""Daemons learn from the database: files as they were applied, secrets to be read anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.store import applied, releases, renewals
from gateway.store.engine import Database
from gateway.store.outbox import lanes

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


async def test_a_file_is_recorded_once_and_moves_the_mark(store: Database) -> None:
    mark = await store.read(releases.last_entry)
    assert await store.write(applied.record, {"69001": "a", "69002": "b"}, NOW) == [
        "69001",
        "69002",
    ]
    assert await store.read(applied.files) == {"69001": "a", "69002": "b"}
    moved = await store.read(releases.last_entry)
    assert moved == mark + 2
    assert await store.write(applied.record, {"69001": "a", "69002": "c"}, NOW) == ["69002"]
    assert await store.read(applied.files) == {"69001": "a", "69002": "c"}
    # Nothing changed: no daemon has anything to take.
    await store.write(applied.apply, [], {}, {"69001": "a"}, NOW)
    assert await store.read(releases.last_entry) == moved + 1
    assert await store.read(releases.verify) == []
    (*_, last) = await store.read(releases.entries, "69002")
    assert (last.kind, last.data["sha256"]) == ("set", releases.sha256("c"))


async def test_what_many_lack_is_told_in_whole_lines(store: Database) -> None:
    many = "\n".join(f"{n}.yaml:1: the secret is empty" for n in range(69000, 69400))
    await store.write(renewals.record_answer, "un", "", many, NOW)
    refused = (await store.read(renewals.answers, NOW))["un"].refused
    assert refused is not None
    *lines, last = refused.told().split("\n")
    assert last == "…"
    assert lines == many.split("\n")[: len(lines)]
    assert len(lines) > 50


async def test_two_who_apply_the_same_at_once_are_one_act(store: Database) -> None:
    """Seen: the second was written down as well, and `release undo` went back to what it undid."""
    run = releases.ContractRun("d1", "69001", True, (), NOW, ())
    await store.write(releases.store, "69001", "d1", "{}", NOW)
    await store.write(applied.apply, [run], {"69001": "d1"}, {}, NOW, dev=True)
    mark = await store.read(releases.last_entry)
    await store.write(applied.apply, [run], {"69001": "d1"}, {}, NOW, dev=True)
    assert await store.read(releases.last_entry) == mark
    agreed = releases.Signature("d1", "69001", "A", "DSI", "courriel", "2026-03-01", "", NOW)
    await store.write(releases.sign, [agreed])
    for _ in range(2):
        await store.write(applied.apply, [run], {"69001": "d1"}, {}, NOW)
    acts = [one.kind for one in await store.read(releases.entries, "69001")]
    assert acts.count("applied") == 2, "unsigned, then signed: once each"


async def test_every_daemon_that_is_there_answers(store: Database) -> None:
    assert await store.read(renewals.last_order) == ""
    for owner in ("un", "deux"):
        await store.write(renewals.record_answer, owner, "", None, NOW)
    await store.write(renewals.order, "q", NOW)
    assert await store.read(renewals.last_order) == "q"
    await store.write(renewals.record_answer, "un", "q", "the secret file:/x is empty", NOW)
    found = await store.read(renewals.answers, NOW)
    assert {
        name: (one.asked, one.refused and one.refused.told()) for name, one in found.items()
    } == {
        "un": ("q", "the secret file:/x is empty"),
        "deux": ("", None),
    }
    await store.write(renewals.forget, "deux")
    assert list(await store.read(renewals.answers, NOW)) == ["un"]
    # One that ended without a word is not waited for.
    later = NOW + timedelta(seconds=3 * renewals.BEAT + 1)
    assert await store.read(renewals.answers, later) == {}


async def test_a_far_end_that_answers_ends_no_break_but_the_breaker_s(store: Database) -> None:
    later = NOW + timedelta(minutes=5)
    opened = lanes.LaneMemory("gru:69001:a", breaker="open", probe_at=later, hold_until=later)
    await store.write(lanes.remember, opened)
    await store.write(lanes.probe_now, "gru:69001:a", NOW)
    (known,) = (await store.read(lanes.recall)).values()
    assert (known.probe_at, known.hold_until) == (NOW, later)
    await store.write(lanes.lift, "gru:69001:a", NOW)
    (known,) = (await store.read(lanes.recall)).values()
    assert known.hold_until is None
