"""The outcome of a call whose adapter, configuration or data fails: a sending is not taken for a
question, and what may have left is not sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.delivery import Kind
from gateway.core.outcome import (
    Accepted,
    CannotTell,
    ErasureAnswer,
    ErasureResult,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.request import EventKind
from gateway.sdk import Adapter, Amendment, Capabilities, Note, Options, Submission, TookTooLong
from gateway.store.outbox.claiming import Claimed
from gateway.wire.departures import note_departure
from tests.builders import take
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, GRU_A, Rig

Act = Callable[[], Awaitable[None]]
KEPT = ErasureResult.KEPT


def adapter_that(act: Act) -> type[Adapter]:
    """An adapter that does this in each call, and then answers well."""

    class Acting(Adapter):
        kind = "essai"
        Options = Options

        @property
        def capabilities(self) -> Capabilities:
            return Capabilities(find=True, amends=frozenset({EventKind.MESSAGE}))

        async def check(self) -> Sequence[Note]:
            return []

        async def submit(self, submission: Submission) -> Outcome:
            await act()
            return Accepted("1")

        async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
            await act()
            return Found("1")

        async def find_amend(self, amendment: Amendment) -> Finding:
            await act()
            return Found("1")

    return Acting


async def nothing() -> None:
    return


async def sleeps() -> None:
    await asyncio.sleep(60)


def raises(error: Exception, *, left: bool = False) -> Act:
    async def act() -> None:
        if left:
            note_departure()
        raise error

    return act


def a_rig(build_rig: Builder, act: Act) -> Rig:
    return build_rig(
        adapter="essai",
        adapters={"essai": adapter_that(act)},
        mapping=lambda text: text.replace("adapter: rest", "adapter: essai"),
    )


async def both(rig: Rig, change: Callable[[Claimed], Claimed]) -> tuple[Any, Any]:
    """Return the results of sending, and of asking."""
    async with rig.gateway(run=False) as engine:
        await rig.send()
        now = rig.clock()
        (mine,) = await rig.database.write(take, GRU_A, 1, owner="one", now=now, lease=60.0)
        mine = change(mine)
        asked = replace(mine, delivery=replace(mine.delivery, asking=True))
        deliver = engine.lanes.attempts.deliverer.attempt
        return await deliver(mine, 0.05, 0.05), await deliver(asked, 0.05, 0.05)


@pytest.mark.parametrize(
    ("act", "sent", "reason"),
    [
        (sleeps, Unsure, "timeout"),
        (raises(TookTooLong()), TryLater, "took_too_long"),
        (raises(TookTooLong(), left=True), Unsure, "took_too_long"),
        (raises(RuntimeError("Zoé")), Refused, "bug"),
        (raises(RuntimeError("Zoé"), left=True), Unsure, "bug"),
    ],
    ids=["slow", "endless work", "endless work after a call", "bug", "bug after a call"],
)
async def test_an_adapter_that_fails(
    build_rig: Builder, act: Act, sent: type[Outcome], reason: str
) -> None:
    outcome, finding = await both(a_rig(build_rig, act), lambda mine: mine)
    assert (type(outcome), outcome.reason) == (sent, reason)
    assert (type(finding), finding.reason, finding.forever) == (CannotTell, reason, False)
    assert "Zoé" not in outcome.detail + finding.detail


async def test_a_gru_that_is_not_configured_any_more(build_rig: Builder) -> None:
    rig = a_rig(build_rig, nothing)
    outcome, finding = await both(
        rig, lambda mine: replace(mine, request=replace(mine.request, gru="ancien"))
    )
    assert (type(outcome), outcome.reason) == (Misconfigured, "no_route")
    assert (type(finding), finding.reason, finding.forever) == (CannotTell, "no_route", False)


async def test_an_event_that_cannot_be_read(build_rig: Builder) -> None:
    """A creation is asked about by its name alone; of a message nothing can be asked, ever."""
    rig = a_rig(build_rig, nothing)
    outcome, finding = await both(rig, lambda mine: replace(mine, body=None))
    assert (type(outcome), outcome.reason) == (Refused, "undecodable")
    assert finding == Found("1")


async def test_a_message_that_cannot_be_read(build_rig: Builder) -> None:
    def message(mine: Claimed) -> Claimed:
        delivery = replace(mine.delivery, kind=Kind.AMEND)
        return replace(mine, delivery=delivery, event_kind="message", body=None)

    outcome, finding = await both(a_rig(build_rig, nothing), message)
    assert (type(outcome), outcome.reason) == (Refused, "undecodable")
    assert (type(finding), finding.reason, finding.forever) == (CannotTell, "undecodable", True)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (Accepted("9" * 2_000, "l" * 2_000), Accepted("9" * 2_000, "l" * 2_000)),
        (Accepted("9" * 2_001, "http://gru/1"), Accepted(None, "http://gru/1")),
        (Accepted("9", "l" * 2_001), Accepted("9")),
        (Accepted("T-\x001"), Accepted("T-1")),
        (Refused("refused", "é" * 2_001), Refused("refused", "é" * 2_000)),
        (Refused("refused", "deux\x00 mots"), Refused("refused", "deux mots")),
        (
            Accepted(erasure=ErasureAnswer(KEPT, " Code du\x00\n patrimoine ", by="é" * 501)),
            Accepted(erasure=ErasureAnswer(KEPT, "Code du patrimoine", by="é" * 500)),
        ),
    ],
    ids=["all", "its number", "its link", "a zero", "a long word", "a zero in a word", "a ground"],
)
async def test_what_a_far_end_says_is_kept_as_far_as_it_can_be(
    rig: Rig, said: Outcome, kept: Outcome
) -> None:
    """A number that is cut would be another's."""
    async with rig.gateway(run=False) as engine:
        await rig.send()
        now = rig.clock()
        (mine,) = await rig.database.write(take, GRU_A, 1, owner="one", now=now, lease=60.0)
        assert await engine.lanes.attempts.deliverer.cleaned(mine, said) == kept


async def test_a_call_is_told_with_the_release_and_the_mapping_that_make_it(rig: Rig) -> None:
    async with rig.gateway(run=False) as engine:
        _, request = await rig.send()
        sent = (await rig.trace(request)).request
        made_with = engine.lanes.attempts.deliverer.made_with
        assert made_with(sent) == (None, "signalement-anomalie/rest v1")
        engine.far_ends.catalogue = replace(rig.catalogue, releases={BRON: "4d5e"})
        assert made_with(sent) == ("4d5e", "signalement-anomalie/rest v1")
        assert made_with(replace(sent, teleservice="supprimee")) == (None, None)
