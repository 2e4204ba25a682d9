"""The steps of an erasure on SQLite and PostgreSQL, a push and an erasure at once included."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Callable
from datetime import timedelta

import pytest

from gateway.core.delivery import State
from gateway.core.erasure import Brake, Judgement, Phase, ProviderRun
from gateway.core.request import Person
from gateway.store import (
    accepting,
    accounts,
    erasure_agreements,
    erasure_answers,
    erasure_marks,
    erasure_orders,
    erasures,
    requests,
    scrub,
    trail,
)
from gateway.store.engine import Database
from gateway.store.erasure_marks import Remembered
from gateway.store.erasures import DeletionRun
from gateway.store.outbox import leases
from gateway.store.rows import Acceptance, Incoming, Reception
from tests.builders import NOW, incoming, service_request
from tests.store.acts import claim_one, settle, trace
from tests.store.conftest import dialect, store, url  # noqa: F401 - fixtures

ACCOUNT = "b1a7c0de00000000000000000000feed"
MARK = "ab" * 32
DAYS = timedelta(days=30)


def ids() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"id-{next(numbers):06}"


def run_of(*gone: str, positive: bool = True) -> DeletionRun:
    return DeletionRun(
        id="RUN-1",
        source="deletions",
        reading=ProviderRun(frozenset(gone), positive=positive),
        accounts=(ACCOUNT, *(f"other-{n}" for n in range(9))),
        marks={one: MARK if one == ACCOUNT else "cd" * 32 for one in gone},
        cursor="c1",
        brake=Brake(0.5, 20),
        confirm_after=timedelta(hours=6),
        deadline=DAYS,
    )


def hers(ref: str) -> Incoming:
    request = dataclasses.replace(service_request(ref=ref), user=Person("Zoé", None, ACCOUNT))
    return dataclasses.replace(incoming(request), marks=(MARK,))


async def opened(store: Database) -> str:  # noqa: F811
    judged = await store.write(erasures.record_run, run_of(ACCOUNT), ids(), NOW)
    assert isinstance(judged, Judgement)
    assert judged.erase == {ACCOUNT}
    (one,) = await store.read(erasures.in_phases, Phase.OPEN)
    return one


async def test_step_by_step(store: Database) -> None:  # noqa: F811
    accepted = await store.write(accepting.accept, hers("1"))
    assert accepted.request is not None
    request = accepted.request.id
    claimed = await claim_one(store)
    erasure = await opened(store)
    assert await store.read(erasures.known_accounts) == [ACCOUNT]
    assert await store.write(scrub.stop, erasure, NOW) == 1
    assert await store.write(scrub.scrub, erasure, ids(), NOW) is None
    # It settles, and is not tried again.
    assert await settle(store, claimed, State.WAITING, next_at=NOW)
    (submit,) = (await trace(store, request)).deliveries
    assert (submit.state, submit.reason) == (State.DISCARDED, "erased")
    lanes = await store.write(scrub.scrub, erasure, ids(), NOW)
    assert lanes == [submit.lane]
    assert await store.write(scrub.scrub, erasure, ids(), NOW) == []
    assert await store.write(scrub.stop, erasure, NOW) is None
    assert await store.read(erasures.known_accounts) == []
    assert accepted.event_id is not None
    assert await store.read(requests.event_body, accepted.event_id) is None
    assert await store.clean()
    assert await store.write(scrub.erased, erasure, NOW)
    assert not await store.write(scrub.erased, erasure, NOW)
    assert not await store.write(erasure_answers.acknowledge, erasure, NOW)
    erase = await claim_one(store)
    assert (erase.delivery.kind.value, erase.body, erase.attachments) == ("erase", {}, ())
    # It is about somebody erased, and owed all the same.
    assert await store.write(leases.give_back, erase.delivery.id, erase.delivery.fence, NOW)
    erase = await claim_one(store)
    assert await settle(store, erase, State.DONE)
    assert await store.write(erasure_answers.acknowledge, erasure, NOW)
    assert not await store.write(erasure_answers.acknowledge, erasure, NOW)
    (target,) = await store.read(erasures.targets, erasure)
    assert (target.answer, target.acknowledged_by) == ("erased", "gru")
    assert (await store.write(accepting.accept, hers("1"))).reception is Reception.ERASED
    assert (await store.write(accepting.accept, hers("2"))).reception is Reception.ERASED
    again = await store.write(erasures.record_run, run_of(ACCOUNT), ids(), NOW)
    assert isinstance(again, Judgement)
    assert again.erase == frozenset()
    kinds = [entry.kind for entry in await store.read(trail.entries, erasures.STREAM)]
    assert kinds == ["found", "erased", "commune_acknowledged", "closed"]
    assert await store.read(trail.verify, erasures.STREAM) == []


async def test_what_a_ledger_knows_is_erased_again_and_refused(store: Database) -> None:  # noqa: F811
    accepted = await store.write(accepting.accept, hers("1"))
    single = await store.write(accepting.accept, incoming(service_request(ref="7")))
    assert accepted.request is not None
    assert single.request is not None
    mark = "ef" * 32
    marks = {MARK: NOW, mark: NOW}
    found = Remembered(marks, {ACCOUNT: MARK}, {single.request.id: mark})
    assert await store.write(erasure_marks.remember, found, "RUN-9", DAYS, ids(), NOW) == 2
    assert await store.write(erasure_marks.remember, found, "RUN-9", DAYS, ids(), NOW) == 0
    # They may still be withdrawn, so the ledger does not get them from here.
    assert await store.read(erasure_marks.marks) == {}
    for erasure in await store.read(erasures.in_phases, Phase.OPEN):
        await store.write(scrub.scrub, erasure, ids(), NOW)
    name = await store.read(accounts.hashed, ACCOUNT)  # by it a copy of before is known
    assert await store.read(erasure_marks.marks) == marks | {name: NOW}
    assert await store.read(lambda connection: [*erasure_marks.held_requests(connection)]) == []
    for again in (hers("2"), dataclasses.replace(incoming(service_request(ref="8")), mark=mark)):
        assert (await store.write(accepting.accept, again)).reception is Reception.ERASED


async def test_an_erasure_that_is_withdrawn_leaves_no_trace(store: Database) -> None:  # noqa: F811
    accepted = await store.write(accepting.accept, hers("1"))
    assert accepted.request is not None
    erasure = await opened(store)
    await store.write(scrub.stop, erasure, NOW)
    assert await store.write(scrub.reinstate, [ACCOUNT], "RUN-2", NOW) == 1
    assert await store.write(scrub.reinstate, [ACCOUNT], "RUN-2", NOW) == 0
    assert await store.write(scrub.scrub, erasure, ids(), NOW) == []
    claimed = await claim_one(store)
    assert (claimed.request.id, claimed.request.erased_at) == (accepted.request.id, None)
    assert (await store.write(accepting.accept, hers("2"))).reception is Reception.NEW


async def test_a_push_that_slipped_in_is_found_again(store: Database) -> None:  # noqa: F811
    """Its hash could not be told yet, as the key was just being made."""
    await store.write(accepting.accept, hers("1"))
    erasure = await opened(store)
    await store.write(scrub.scrub, erasure, ids(), NOW)
    slipped = dataclasses.replace(hers("2"), marks=())
    assert (await store.write(accepting.accept, slipped)).reception is Reception.NEW
    later = iter(["ERA-2"])
    judged = await store.write(erasures.record_run, run_of(ACCOUNT), lambda: next(later), NOW)
    assert isinstance(judged, Judgement)
    assert judged.erase == {ACCOUNT}
    assert await store.write(scrub.scrub, "ERA-2", ids(), NOW) == []
    assert await store.read(erasures.known_accounts) == []


async def test_held_and_agreed(store: Database) -> None:  # noqa: F811
    await store.write(accepting.accept, hers("1"))
    everybody = run_of(ACCOUNT)
    braked = dataclasses.replace(everybody, brake=Brake(0.01, 20))
    await store.write(erasures.record_run, braked, ids(), NOW)
    assert (await store.read(erasures.counts, NOW)).held == 1
    assert await store.write(erasure_agreements.approve, "RUN-1", "Anne", DAYS, NOW) == (1, 0)
    assert await store.write(erasure_agreements.approve, "RUN-1", "Bob", DAYS, NOW) == (1, 1)
    (one,) = await store.read(erasures.listing)
    assert (one.state, one.first_by, one.second_by) == (Phase.OPEN, "Anne", "Bob")


async def test_who_was_asked_about_is_not_followed_again(store: Database) -> None:  # noqa: F811
    accepted = await store.write(accepting.accept, hers("1"))
    assert accepted.request is not None
    one = accepted.request

    async def followed() -> list[bool]:
        there = (one.portal, one.teleservice, "", 10)
        return [row.followed for row in await store.read(erasure_orders.listed, *there)]

    assert await followed() == [True]
    order = erasure_orders.OpenOrder("RUN-2", "portal", DAYS, "deleted")
    wanted = [erasure_orders.SingleRequest(one.id, "a" * 64)]
    (made,) = await store.write(erasure_orders.open_requests, wanted, order, ids(), NOW)
    assert await followed() == [False]
    assert await store.read(erasures.held_runs) == []
    assert await store.write(erasure_agreements.withdraw, made, "Anne", "faux", NOW) == 1
    assert await followed() == [False]


@pytest.mark.parametrize("n", range(8))
async def test_a_push_and_an_erasure_at_once(store: Database, n: int) -> None:  # noqa: F811
    """Whoever comes first: nothing of her is left, or it is refused."""
    await store.write(accepting.accept, hers("0"))
    pushes = [store.write(accepting.accept, hers(str(i))) for i in range(1, 6)]
    work = [*pushes[: n % 6], opened(store), *pushes[n % 6 :]]
    taken = [one for one in await asyncio.gather(*work) if isinstance(one, Acceptance)]
    assert {one.reception for one in taken} <= {Reception.NEW, Reception.ERASED}
    (erasure,) = await store.read(erasures.in_phases, Phase.OPEN)
    await store.write(scrub.scrub, erasure, ids(), NOW)
    assert await store.read(erasures.known_accounts) == []
    new = [one for one in taken if one.reception is Reception.NEW]
    found = await store.read(erasures.get, erasure)
    assert found is not None
    assert found.requests == 1 + len(new)
