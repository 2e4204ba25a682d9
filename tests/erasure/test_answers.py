"""Communes' answers stand in the ledger and in the certificate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.contracts.erasure_page import certificate
from gateway.core.delivery import Kind, State
from gateway.core.erasure import Phase
from gateway.core.outcome import Accepted, ErasureAnswer, ErasureResult, Misconfigured, Outcome
from gateway.flow import operator
from gateway.flow.erase import with_ground
from gateway.flow.erasure_reminders import NAME, ErasureReminders
from gateway.ops.health import health
from gateway.store import cursors, erasure_answers, erasures, trail
from tests.erasure.conftest import ERASE, Build
from tests.erasure.following import MARKER, Following, uuid
from tests.flow.rig import BRON

UNTIL = datetime(2036, 12, 31, tzinfo=UTC)


async def told(world: Following) -> str:
    """Erase one person, whose commune must answer; return the erasure."""
    await world.people(3)
    request = await world.send(uuid(9), marker=MARKER)
    await world.rig.rest(request)
    world.provider.delete(uuid(9))
    await world.found_gone()
    await world.rig.engine.eraser.advance()
    return (await world.the()).id


async def test_a_commune_that_keeps_says_why_and_that_is_an_end(follow: Build) -> None:
    erase = ERASE["erase"] | {"answer": "any", "means": "anonymised"}
    world = follow(options={"erase": erase})
    rig = world.rig
    async with rig.gateway():
        erasure = await told(world)
        await world.erased()
        (target,) = await world.targets(erasure)
        assert (target.answer, target.acknowledged_by) == ("anonymised", "gru")
        entries = await rig.database.read(trail.entries, erasures.STREAM)
        (said,) = [one for one in entries if one.kind == "commune_acknowledged"]
        assert said.data["answers"] == {"anonymised": 1}
        found = await world.the()
        page = certificate(found, await world.targets(erasure), rig.clock())
        assert ("anonymisée" in page, MARKER in page, uuid(9) in page) == (True, False, False)


async def test_a_person_says_what_the_commune_keeps(follow: Build) -> None:
    world = follow(options={})
    rig = world.rig
    async with rig.gateway() as engine:
        erasure = await told(world)
        await rig.until(lambda: _any_todo(world))
        (todo,) = await rig.database.read(erasure_answers.todo)
        assert (todo.erasure_id, todo.commune, todo.reason) == (erasure, BRON, "erase_by_hand")
        assert todo.gru_reference is not None
        assert await rig.database.read(erasure_answers.todo, "69266") == []
        (target,) = await world.targets(erasure)
        assert target.answer is None, "nobody has said that it is erased"
        kept = ErasureAnswer(ErasureResult.KEPT, "Code du patrimoine, L212-2", UNTIL, "Mme Fictive")
        done = await operator.done_by_hand(
            rig.database, erasure, BRON, "Agent Fictif", rig.clock(), answer=kept
        )
        assert done == 1
        await engine.eraser.advance()
        await world.erased()
        (target,) = await world.targets(erasure)
        assert (target.answer, target.ground, target.until, target.decided_by) == (
            "kept",
            "Code du patrimoine, L212-2",
            UNTIL,
            "Mme Fictive",
        )
        found = await world.the()
        assert found.state is Phase.CLOSED
        entries = await rig.database.read(trail.entries, erasures.STREAM)
        (said,) = [one for one in entries if one.kind == "commune_acknowledged"]
        assert (said.data["answers"], said.data["kept_until"]) == ({"kept": 1}, UNTIL.isoformat())
        page = certificate(found, [target], rig.clock())
        for word in ("Certificat d'effacement", "conservée", "L212-2", "31 décembre 2036"):
            assert word in page.replace("&#39;", "'"), word
        assert await rig.database.read(erasure_answers.todo) == []


@pytest.mark.parametrize(
    ("end", "kept"),
    [
        (UNTIL, UNTIL),
        (datetime.max.replace(tzinfo=UTC), None),
        (datetime.min.replace(tzinfo=UTC), None),
        (datetime(2036, 12, 31), None),
    ],
)
def test_an_end_that_no_calendar_of_ours_has_is_none(end: datetime, kept: datetime | None) -> None:
    told = Accepted(erasure=ErasureAnswer(ErasureResult.KEPT, "DUA", end))
    outcome = with_ground(told)
    assert isinstance(outcome, Accepted)
    assert outcome.erasure == ErasureAnswer(ErasureResult.KEPT, "DUA", kept)


async def _any_todo(world: Following) -> bool:
    await world.rig.engine.eraser.advance()
    return bool(await world.rig.database.read(erasure_answers.todo))


class Relay:
    def __init__(self) -> None:
        self.notes: list[tuple[Any, ...]] = []
        self.answer: Outcome = Accepted()

    async def send(self, *note: Any) -> Outcome:
        if isinstance(self.answer, Accepted):
            self.notes.append(note)
        return self.answer


async def test_who_must_erase_is_reminded_at_once_before_and_after_the_deadline(
    follow: Build,
) -> None:
    world = follow(options={})
    rig = world.rig
    async with rig.gateway() as engine:
        erasure = await told(world)
        await rig.until(lambda: _any_todo(world))
        relay = Relay()
        _contact(engine, {"dpo": "dpo@bron.exemple", "technical": "dsi@bron.exemple"})
        reminders = ErasureReminders(rig.database, engine.far_ends, engine.environment, relay.send)
        counts = []
        for _ in range(46):
            await reminders.remind()
            await reminders.remind()
            counts.append(len(relay.notes))
            rig.clock.now += timedelta(days=1)
        assert [counts.index(n) for n in (1, 2, 3, 4, 5)] == [0, 23, 30, 37, 44]
        recipients, subject, text, _ = relay.notes[0]
        assert recipients == ["dpo@bron.exemple"]
        assert "1 demande à effacer" in subject
        (todo,) = await rig.database.read(erasure_answers.todo)
        assert (erasure in text, todo.gru_reference in text, MARKER in text) == (True, True, False)
        assert "dépassée" in relay.notes[-1][1]
        # Nobody could be told: health says so, and it is tried again.
        relay.answer = Misconfigured("access_denied")
        rig.clock.now += timedelta(days=7)
        await reminders.remind()
        shown = (await health(engine, started_at=rig.clock(), ready=True)).timers
        assert [one.failure for name, one in shown.items() if name.startswith(NAME)] == [
            "access_denied"
        ]
        await operator.done_by_hand(rig.database, erasure, BRON, "Agent Fictif", rig.clock())
        await reminders.remind()
        known = await rig.database.read(cursors.get_all)
        assert [name for name in known if name.startswith(NAME)] == []


def _contact(engine: Any, contacts: dict[str, str]) -> None:
    import dataclasses

    catalogue = engine.far_ends.catalogue
    communes = dict(catalogue.communes)
    communes[BRON] = dataclasses.replace(communes[BRON], contacts=contacts)
    engine.far_ends.catalogue = dataclasses.replace(catalogue, communes=communes)


@pytest.mark.parametrize("answer", [None, ErasureAnswer(ErasureResult.ABSENT)])
async def test_each_request_may_have_its_own_answer(
    follow: Build, answer: ErasureAnswer | None
) -> None:
    world = follow(options={})
    rig = world.rig
    async with rig.gateway():
        await world.people(3)
        mine = [await world.send(uuid(9)) for _ in range(2)]
        await rig.rest(*mine)
        world.provider.delete(uuid(9))
        await world.found_gone()
        await rig.engine.eraser.advance()
        await rig.until(lambda: _parked(world, *mine))
        erasure = (await world.the()).id
        first, second = mine
        for request, told_ in ((first, answer), (second, ErasureAnswer(ErasureResult.ANONYMISED))):
            await operator.done_by_hand(
                rig.database, erasure, BRON, "A. F.", rig.clock(), answer=told_, request=request
            )
        await world.erased()
        answers = {one.request_id: one.answer for one in await world.targets(erasure)}
        assert answers == {first: "absent" if answer else "erased", second: "anonymised"}


async def _parked(world: Following, *mine: str) -> bool:
    await world.rig.engine.eraser.advance()
    found = [await world.rig.deliveries(one, Kind.ERASE) for one in mine]
    return [one.state for some in found for one in some] == [State.PARKED] * len(mine)
