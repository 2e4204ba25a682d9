"""The suite finds the faults it is there for."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
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


LOST: dict[str, Any] = {"kind": httpx.ReadTimeout}
CASES: list[tuple[Callable[..., Awaitable[None] | None], dict[str, Any]]] = [
    (Suite.test_options_refuse_unknown_keys_at_every_depth, {}),
    (Suite.test_secrets_do_not_show, {}),
    (Suite.test_submit_gives_the_number, {}),
    (Suite.test_submit_answers_with_a_value_under, LOST),
    (Suite.test_submit_is_unsure_after_what_proves_nothing, {"status": 500}),
    (Suite.test_submit_is_unsure_after_what_proves_nothing, {"status": 303}),
    (Suite.test_submit_waits_when_told, {"status": 429}),
    (Suite.test_submit_blames_our_settings, {"status": 403}),
    (Suite.test_submit_reads_an_answer_with_a_header_that_is_no_ascii, {}),
    (Suite.test_a_refusal_tells_nothing_about_the_person, {}),
    (Suite.test_the_far_end_s_words_stay_out_of_details, {"status": 422}),
    (Suite.test_submit_lets_itself_be_cancelled, {}),
    (Suite.test_submit_is_bounded_under, {"name": "1.5 million empty rows"}),
    (Suite.test_submit_is_bounded_under, {"name": "a bomb gzipped twice"}),
    (Suite.test_submit_is_bounded_under, {"name": "a drip"}),
    (Suite.test_statuses_are_bounded_under, {"name": "1.5 million empty rows"}),
    (Suite.test_find_is_bounded_under, {"name": "1.5 million empty rows"}),
    (Suite.test_a_page_in_french_decides_nothing, {"status": 504}),
    (Suite.test_find_tells_what_the_far_end_holds, {"held": True}),
    (Suite.test_find_never_says_absent_under, LOST),
    (Suite.test_find_never_says_absent_on, {"status": 500}),
    (Suite.test_amend_takes_what_it_declares, {"event": EventKind.DOCUMENT}),
    (Suite.test_amend_answers_with_a_value_under, LOST),
    (Suite.test_amend_is_unsure_after_what_proves_nothing, {"status": 504}),
    (Suite.test_statuses_tell_that_the_far_end_failed, LOST),
    (Suite.test_webhook_refuses_an_unproven_sender, {}),
    (Suite.test_check_is_well_and_alters_nothing, {}),
    (Suite.test_check_tells_a_fault_and_its_remedy, {"status": 401}),
    (Suite.test_check_tells_a_fault_under, {"kind": httpx.ConnectError}),
]


@pytest.mark.parametrize(
    ("promise", "given"), CASES, ids=[f"{c[0].__name__}{list(c[1].values())}" for c in CASES]
)
async def test_a_broken_promise_fails(
    promise: Callable[..., Awaitable[None] | None],
    given: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bad_answers, "OVER", 1.0)  # it does not end at all

    async def run() -> None:
        running = promise(Suite(), **given)
        if inspect.isawaitable(running):
            await running

    # A promise may be broken by a wrong value or by an exception that escapes.
    with pytest.raises((AssertionError, pytest.fail.Exception, httpx.HTTPError)):
        await run()


async def test_the_first_hit_that_is_taken_for_ours_fails() -> None:
    with pytest.raises(AssertionError):
        await Hasty().test_find_takes_no_other_request_for_ours()


@pytest.mark.parametrize("said", [b"", b"{", b"<html>"])
async def test_a_success_that_is_told_as_a_refusal_fails(said: bytes) -> None:
    with pytest.raises(AssertionError):
        await Hasty().test_a_success_that_cannot_be_read_is_no_refusal(said)


def test_a_suite_that_lacks_something_says_all_of_it() -> None:
    class Half(AdapterConformance):
        adapter_class = Careless

        def options(self) -> dict[str, Any]:
            return {}

    with pytest.raises(TypeError) as refused:
        Half()  # type: ignore[abstract]
    for lacking in ("far_end_accepts", "far_end_well", "payload"):
        assert lacking in str(refused.value)


def test_what_only_some_adapters_need_is_asked_of_those(respx_mock: respx.MockRouter) -> None:
    with pytest.raises(pytest.fail.Exception, match="give far_end_holds_nothing"):
        Suite().far_end_holds_nothing(respx_mock)
