"""An unsafe call is sent again only on proof that nothing was done; all else is asked about."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import httpx
import pytest

from gateway.core.delivery import Kind, State
from gateway.sdk import (
    Absent,
    Accepted,
    Adapter,
    Capabilities,
    EventKind,
    Finding,
    Found,
    Note,
    Options,
    Outcome,
    Submission,
    Unsure,
)
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import operator
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, Rig
from tests.flow.scripted import Script

POST = FaultCondition(method="POST", path="/api/tickets", first=1)
HOOK = FaultCondition(path="/hooks/", first=1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 408, 409, 429, 500, 502, 503, 504])
async def test_what_a_gru_took_is_one_ticket_whatever_it_answered(rig: Rig, status: int) -> None:
    rig.gru.faults.answer_after(status, POST, location="/api/tickets/1", retry_after=60)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.advance(61)
        done = await rig.state(request, State.DONE)
    assert done.reason == "found"
    assert len(rig.gru.by_external_id(request)) == 1


@pytest.mark.parametrize("status", [303, 408, 429, 503, 504])
async def test_a_message_that_a_gru_took_is_there_once_whatever_it_answered(
    rig: Rig, status: int
) -> None:
    """It can be asked for messages, though not for every kind of event."""
    when = FaultCondition(method="POST", path="/comments", first=1)
    rig.gru.faults.answer_after(status, when, retry_after=60)
    async with rig.gateway():
        item, request = await rig.send()
        await rig.rest(request)
        await rig.push(item, action="message", evenement="m1", message="Toujours rien ?")
        await rig.state(request, State.UNSURE, Kind.AMEND)
        rig.advance(61)
        done = await rig.state(request, State.DONE, Kind.AMEND)
    assert done.reason == "found"
    assert len(rig.ticket(request).comments) == 1


@pytest.mark.parametrize("status", [303, 408, 429, 503, 504])
async def test_what_the_portal_took_is_told_once_whatever_it_answered(
    rig: Rig, status: int
) -> None:
    rig.portal.faults.answer_after(status, HOOK)
    async with rig.gateway():
        item, request = await rig.send()
        await rig.state(request, State.UNSURE, Kind.REPORT)
        rig.advance(21)
        await rig.state(request, State.DONE, Kind.REPORT)
    assert len(rig.told(item)) == 1


async def test_what_was_not_taken_is_sent_again_after_the_question(rig: Rig) -> None:
    rig.gru.faults.fail(503, when=POST)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.advance(21)
        await rig.state(request, State.DONE)
    assert [method for method, _ in rig.line.calls] == ["POST", "GET", "POST"]


@pytest.mark.parametrize(
    ("status", "believed"), [(429, True), (503, True), (504, False), (303, False), (500, False)]
)
async def test_a_gru_that_cannot_be_asked_is_believed_when_it_had_no_time(
    build_rig: Builder, status: int, believed: bool
) -> None:
    """Retry-After and all; of anything else a person is asked."""
    rig = build_rig(options={"find": None})
    rig.gru.faults.fail(status, retry_after=90, when=POST)
    async with rig.gateway():
        _, request = await rig.send()
        unsure = await rig.state(request, State.UNSURE)
        assert unsure.next_at == rig.clock() + timedelta(seconds=90)
        rig.advance(91)
        await rig.state(request, State.DONE if believed else State.QUESTION)
    assert rig.line.count("POST", "/api/tickets") == (2 if believed else 1)


async def test_an_integrator_who_knows_better_says_so(build_rig: Builder) -> None:
    rule = {"status": 500, "outcome": "later", "reason": "verrou"}
    rig = build_rig(options={"errors": [rule]})
    rig.gru.faults.fail(500, when=POST)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.failed(request, "verrou")
        rig.advance(6)
        await rig.state(request, State.DONE)
    assert rig.line.count("GET") == 0


class Buggy(Adapter):
    """Fails by an error of its own, before or after its call has left."""

    kind = "essai"
    Options = Options
    held: list[str]
    after: bool
    can_find: bool

    @property
    def capabilities(self) -> Capabilities:
        events = frozenset({EventKind.MESSAGE})
        known = events if self.can_find else frozenset()
        return Capabilities(find=self.can_find, find_amend=known, amends=events)

    async def check(self) -> Sequence[Note]:
        return []

    async def submit(self, submission: Submission) -> Outcome:
        if self.after:
            await self.context.client.post("http://gru.invalid/api/tickets", json={})
            self.held.append(submission.reference)
        return Accepted(dict[str, str]()["number"])

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        if not self.can_find:
            return await super().find(reference, gru_reference)
        return Found("7") if reference in self.held else Absent()


def buggy(build_rig: Builder, *, after: bool, can_find: bool = True) -> Rig:
    kind = type("Essai", (Buggy,), {"after": after, "can_find": can_find, "held": []})
    return build_rig(
        adapter="essai",
        adapters={"essai": kind},
        mapping=lambda text: text.replace("adapter: rest", "adapter: essai"),
    )


async def test_a_bug_after_the_call_left_is_asked_about(build_rig: Builder) -> None:
    rig = buggy(build_rig, after=True)
    async with rig.gateway():
        _, request = await rig.send()
        unsure = await rig.state(request, State.UNSURE)
        assert (unsure.reason, unsure.sent_at) == ("bug", rig.clock())
        # At the adapter's own line.
        assert unsure.detail.startswith("KeyError at tests.flow.test_proof:")
        rig.advance(21)
        assert (await rig.state(request, State.DONE)).reason == "found"
    assert rig.line.count("POST") == 1


async def test_a_bug_before_anything_left_waits_for_a_person(build_rig: Builder) -> None:
    rig = buggy(build_rig, after=False)
    async with rig.gateway():
        _, request = await rig.send()
        parked = await rig.state(request, State.PARKED)
    assert (parked.reason, parked.sent_at) == ("bug", None)


async def test_after_a_bug_nobody_else_can_tell_of_a_person_is_asked(build_rig: Builder) -> None:
    rig = buggy(build_rig, after=True, can_find=False)
    async with rig.gateway():
        _, request = await rig.send()
        await rig.state(request, State.UNSURE)
        rig.advance(21)
        await rig.state(request, State.QUESTION)


@pytest.mark.parametrize("there", [True, False])
async def test_a_replay_asks_first(rig: Rig, there: bool) -> None:
    """A GRU that refused what it had kept: what a person sends again is not sent again."""
    if there:
        rig.gru.faults.answer_after(422, POST)
    else:
        rig.gru.faults.fail(422, when=POST)
    async with rig.gateway() as engine:
        _, request = await rig.send()
        parked = await rig.state(request, State.PARKED)
        asked = await rig.database.write(operator.replay, parked.id, rig.clock())
        assert (asked.state, asked.reason) == (State.UNSURE, "replayed")
        engine.lanes.wake(GRU_A)
        await rig.state(request, State.DONE)
    assert len(rig.gru.by_external_id(request)) == 1
    assert rig.line.count("POST", "/api/tickets") == (1 if there else 2)


async def test_a_replay_of_what_was_refused_is_sent_where_nobody_can_be_asked(
    build_rig: Builder,
) -> None:
    rig = build_rig(options={"find": None})
    rig.gru.faults.fail(422, when=POST)
    async with rig.gateway() as engine:
        _, request = await rig.send()
        parked = await rig.state(request, State.PARKED)
        await rig.database.write(operator.replay, parked.id, rig.clock())
        engine.lanes.wake(GRU_A)
        await rig.state(request, State.DONE)


async def test_a_replay_of_what_called_nobody_asks_nobody(rig: Rig) -> None:
    async with rig.gateway():
        _, request = await rig.send(volume_m3="un texte")
        parked = await rig.state(request, State.PARKED)
        replayed = await rig.database.write(operator.replay, parked.id, rig.clock())
    assert (parked.reason, replayed.state) == ("unmappable", State.WAITING)
    assert rig.line.calls == []


async def test_a_search_that_lags_is_asked_until_it_may_be_believed(build_rig: Builder) -> None:
    """The ticket is there at once, and in the index 200 s later."""
    rig = build_rig(options={"find": {"settle": "5m"}})
    rig.gru.faults.cut_after(POST)
    hidden = asyncio.Event()
    inner = rig.line.inner

    class Index(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.method == "GET" and not hidden.is_set():
                return httpx.Response(200, json={"tickets": []})
            return await inner.handle_async_request(request)

    def asked(times: int) -> bool:
        return rig.line.count("GET") == times

    rig.line.inner = Index()
    async with rig.gateway():
        _, request = await rig.send()
        sent = rig.clock()
        await rig.state(request, State.UNSURE)
        for n in (1, 2):
            due = (await rig.the(request)).next_at
            rig.advance((due - rig.clock()).total_seconds())
            await rig.until(partial(asked, n))
            unsure = await rig.failed(request, "no_answer")
            assert (unsure.state, unsure.sent_at) == (State.UNSURE, sent)
        hidden.set()
        rig.advance(140)
        await rig.state(request, State.DONE)
    assert len(rig.gru.by_external_id(request)) == 1


@pytest.mark.parametrize("detail", ["ReadTimeout", "le serveur n'a pas répondu en 20 s", ""])
async def test_the_words_of_an_adapter_decide_nothing(
    scripted: Rig, script: Script, detail: str
) -> None:
    """A timeout told in French is asked about when one told in English is."""
    script.outcomes = [Unsure("no_answer", detail)]
    async with scripted.gateway():
        _, request = await scripted.send()
        unsure = await scripted.state(request, State.UNSURE)
    assert (unsure.next_at - scripted.clock()).total_seconds() == scripted.gru_config.lane.timeout
