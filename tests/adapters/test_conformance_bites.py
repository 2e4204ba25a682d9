"""The suite finds the faults it is there for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import respx
from pydantic import ConfigDict

from gateway.sdk import (
    Absent,
    Accepted,
    Adapter,
    Amendment,
    Capabilities,
    Changes,
    EventKind,
    Finding,
    Found,
    Note,
    Options,
    Outcome,
    Refused,
    Submission,
    Tracked,
    TryLater,
    WebhookCall,
    bad_answers,
)
from gateway.sdk.conformance import REFERENCE, AdapterConformance
from gateway.sdk.matrix import CHECKS, CheckState, run_check
from gateway.sdk.under_test import AdapterUnderTest

URL = "https://gru.exemple.invalid/r"


class LooseOptions(Options):
    model_config = ConfigDict(extra="allow", frozen=True)
    key: str = "cle-de-test"


class Careless(Adapter):
    """Breaks every promise that can be broken quietly."""

    kind = "careless"
    Options = LooseOptions

    @property
    def capabilities(self) -> Capabilities:
        events = frozenset({EventKind.MESSAGE})
        return Capabilities(find=True, find_amend=events, statuses=True, amends=events)

    async def check(self) -> Sequence[Note]:
        await self.context.client.post(URL)
        return [Note("ok", "cle-de-test")]

    async def submit(self, submission: Submission) -> Outcome:
        try:
            response = await self.context.client.post(URL, json=dict(submission.payload))
        except BaseException:
            return TryLater("anything")
        return Accepted() if response.is_success else Refused("x", response.text)

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        return Absent()

    async def amend(self, amendment: Amendment) -> Outcome:
        return await self.submit(Submission(amendment.reference, {}))

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        return Changes(cursor="later")

    async def webhook(self, hook: WebhookCall) -> Changes:
        return Changes()


class Suite(AdapterConformance):
    adapter_class = Careless
    secrets = ("cle-de-test",)
    personal = ("Zoé",)

    def options(self) -> dict[str, Any]:
        return {"key": "cle-de-test"}

    def payload(self) -> Mapping[str, Any]:
        return {"first_name": "Zoé"}

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        router.post(URL).respond(200)

    def far_end_well(self, router: respx.MockRouter) -> None:
        router.post(URL).respond(200)

    def far_end_holds(self, router: respx.MockRouter) -> None:
        router.route().respond(200)


class HastyAdapter(Careless):
    """Takes the first hit for ours, and what it cannot read for a refusal."""

    async def submit(self, submission: Submission) -> Outcome:
        response = await self.context.client.post(URL, json=dict(submission.payload))
        try:
            return Accepted(str(response.json()["id"]))
        except ValueError:
            return Refused("unreadable", "")

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        response = await self.context.client.get(URL, params={"ref": reference})
        return Found(str(response.json()["tickets"][0]["id"]))


class Hasty(Suite):
    adapter_class = HastyAdapter

    def far_end_holds(self, router: respx.MockRouter) -> None:
        router.get(URL).respond(json={"tickets": [{"id": "42", "ref": REFERENCE}]})


#: What the careless adapter breaks.
BROKEN = (
    "declared.unknown_options",
    "declared.secrets_hidden",
    "check.alters_nothing",
    "check.tells_status",
    "check.tells_error",
    "submit.accepted",
    "submit.lost_reply",
    "submit.proves_nothing",
    "submit.retry_after_seconds",
    "submit.settings_blamed",
    "submit.cancelled",
    "private.refusal",
    "private.answer",
    "find.held",
    "find.error",
    "find.status",
    "find.page_with_200",
    "amend.declared",
    "amend.lost_reply",
    "amend.proves_nothing",
    "poll.error",
    "poll.status",
    "webhook.unproven",
    "answer.bomb_twice",
    "answer.dripped",
    "answer.page_in_french",
    "wire.committed_then_dropped",
    "wire.silent",
)


async def state_of(name: str, suite: AdapterUnderTest) -> CheckState:
    return (await run_check(CHECKS[name], suite)).state


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_promise_fails(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_answers, "OVER", 1.0)  # it does not end at all
    assert await state_of(name, Suite()) is CheckState.FAILED


async def test_the_first_hit_that_is_taken_for_ours_fails() -> None:
    assert await state_of("find.no_other", Hasty()) is CheckState.FAILED


async def test_a_success_that_is_told_as_a_refusal_fails() -> None:
    assert await state_of("submit.unreadable_success", Hasty()) is CheckState.FAILED


def test_a_suite_that_lacks_something_says_all_of_it() -> None:
    class Half(AdapterConformance):
        adapter_class = Careless

        def options(self) -> dict[str, Any]:
            return {}

    with pytest.raises(TypeError) as refused:
        Half()  # type: ignore[abstract]
    for lacking in ("far_end_accepts", "far_end_well", "payload"):
        assert lacking in str(refused.value)


async def test_what_only_some_adapters_need_is_asked_of_those() -> None:
    result = await run_check(CHECKS["find.absent"], Suite())
    assert result.state is CheckState.FAILED
    assert "give far_end_holds_nothing" in result.detail


async def test_what_a_suite_does_not_give_is_not_shown() -> None:
    result = await run_check(CHECKS["poll.tells"], Suite())
    assert result.state is CheckState.NOT_SHOWN
    assert "give far_end_tells" in result.detail
