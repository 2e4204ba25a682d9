# ruff: noqa: S101 - this module is tests
"""The promises of every adapter, as tests: subclass `AdapterConformance` beside your adapter.

It needs pytest, pytest-asyncio and respx, and is imported by tests only. Name the subclass
`Test...`, say how to build the adapter and how its far end answers; every promise of
`gateway.sdk.adapter` is then tested::

    class TestMyGru(AdapterConformance):
        adapter_class = MyAdapter
        secrets = ("cle-de-test",)

        def options(self):
            return {"endpoint": "https://gru.exemple.invalid", "key": "cle-de-test"}

        def payload(self):
            return {"subject": "Nid de poule"}

        def far_end_accepts(self, router):
            router.post("https://gru.exemple.invalid/requests").respond(201, json={"id": "42"})

        def far_end_well(self, router):
            router.get("https://gru.exemple.invalid/ping").respond(204)

The adapter's client is bound to a respx router of its own: nothing is patched, and a call that no
route was planned for fails the test.

For readable failures, call `pytest.register_assert_rewrite("gateway.sdk.conformance")` in a
conftest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from pydantic import ValidationError

from gateway.core import reasons
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.request import EventKind
from gateway.sdk.adapter import SDK_VERSION, Note, Options
from gateway.sdk.bad_answers import BadAnswers
from gateway.sdk.httpx_errors import HTTPX_ERRORS, raising
from gateway.sdk.secrets import unread_secret
from gateway.sdk.under_test import NOW, REFERENCE, file

AMENDING = tuple(kind for kind in EventKind if kind is not EventKind.CREATION)
SAFE_VERBS = frozenset({"GET", "HEAD", "OPTIONS"})

each_httpx_error = pytest.mark.parametrize("kind", HTTPX_ERRORS, ids=lambda kind: kind.__name__)


#: Another reference of ours than the one that `far_end_holds` is about.
OTHER = "TDG-0THERZZZZZZZZZZZ"
#: Answers to a call that was taken, which say nothing.
UNREADABLE = (b"", b"{", b"<html>", b"null", b"[]")


def _never_tells(finding: Finding) -> bool:
    return isinstance(finding, CannotTell) and finding.forever


class AdapterConformance(BadAnswers):
    """The suite: subclass it, and give what `AdapterUnderTest` asks for."""

    # --- declaration --------------------------------------------------------------------------

    def test_it_is_declared_as_an_adapter(self) -> None:
        kind = self.adapter_class.kind
        assert kind == kind.strip().lower() != ""
        assert self.adapter_class.sdk == SDK_VERSION
        assert issubclass(self.adapter_class.Options, Options)

    def test_options_refuse_unknown_keys_at_every_depth(self) -> None:
        checked = self.adapter_class.Options
        checked.model_validate(self.options())
        with pytest.raises(ValidationError):
            checked.model_validate({**self.options(), "no_such_option": 1})
        schema = checked.model_json_schema()
        for part in (schema, *schema.get("$defs", {}).values()):
            if "properties" in part:
                assert part.get("additionalProperties") is False, part.get("title")

    @pytest.mark.asyncio
    async def test_secrets_do_not_show(self) -> None:
        assert unread_secret(self.adapter_class.Options) is None
        async with self.built() as (adapter, _):
            self.assert_private(adapter)
            self.assert_private(adapter.options)
            self.assert_private(adapter.options.model_dump_json())

    # --- submit -------------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_submit_gives_the_number(self) -> None:
        async with self.built() as (adapter, router):
            self.far_end_accepts(router)
            outcome = await adapter.submit(self.submission())
            assert isinstance(outcome, Accepted)
            assert outcome.reference == self.gru_reference

    @pytest.mark.asyncio
    @each_httpx_error
    async def test_submit_answers_with_a_value_under(self, kind: type[Exception]) -> None:
        """A reply that may have been lost is `Unsure`: trying again could make a duplicate."""
        async with self.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            outcome = await adapter.submit(self.submission())
            assert type(outcome) is self.expected(kind, self.idempotent_submit)
            self.assert_private(outcome)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 408, 429, 500, 502, 503, 504])
    async def test_submit_is_unsure_after_what_proves_nothing(self, status: int) -> None:
        """The far end, or a proxy before it, may answer so once it has taken what was sent."""
        async with self.built() as (adapter, router):
            headers = {"location": "https://ailleurs.exemple.invalid/42"} if status < 400 else {}
            router.route().respond(status, headers=headers, text="<html>")
            outcome = await adapter.submit(self.submission())
            if self.idempotent_submit:
                assert isinstance(outcome, TryLater if status >= 400 else Misconfigured)
                return
            assert isinstance(outcome, Unsure)
            assert outcome.at_work is (status >= 400), "a proxy gives up before the far end does"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [429, 503])
    async def test_submit_waits_when_told(self, status: int) -> None:
        async with self.built() as (adapter, router):
            router.route().respond(status, headers={"retry-after": "17"})
            outcome = await adapter.submit(self.submission())
            assert isinstance(outcome, TryLater | Unsure)
            assert outcome.after == 17.0
            assert reasons.of(outcome.reason).believed, "where nobody can be asked, this is taken"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [401, 403])
    async def test_submit_blames_our_settings(self, status: int) -> None:
        async with self.built() as (adapter, router):
            router.route().respond(status)
            assert isinstance(await adapter.submit(self.submission()), Misconfigured)

    @pytest.mark.asyncio
    async def test_submit_reads_an_answer_with_a_header_that_is_no_ascii(self) -> None:
        async with self.built() as (_, router):
            self.far_end_accepts(router)
            answers = router.async_handler

            async def named(request: httpx.Request) -> httpx.Response:
                answer = await answers(request)
                answer.headers = httpx.Headers([*answer.headers.raw, (b"x-served-by", b"d\xe9")])
                return answer

            async with httpx.AsyncClient(transport=httpx.MockTransport(named)) as client:
                outcome = await self.build(client).submit(self.submission())
            assert isinstance(outcome, Accepted)
            assert outcome.reference == self.gru_reference

    @pytest.mark.asyncio
    async def test_a_refusal_tells_nothing_about_the_person(self) -> None:
        """The far end sends back what it received, as some do in their error texts."""

        def echo(request: httpx.Request) -> httpx.Response:
            words = " ".join((*self.personal, *self.secrets))
            return httpx.Response(422, text=words + request.content.decode("latin-1"))

        async with self.built() as (adapter, router):
            router.route().mock(side_effect=echo)
            outcome = await adapter.submit(self.submission())
            assert isinstance(outcome, Refused | Misconfigured)
            self.assert_private(outcome)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500, 503])
    async def test_the_far_end_s_words_stay_out_of_details(self, status: int) -> None:
        """Details are logged and kept; what the far end said is `answer`, shown on demand."""
        said = "paroles du serveur"
        row = {"code": status, "description": said, "message": said, "error": said}
        for how in ({"json": [row]}, {"json": row}, {"text": f"<h1>{said}</h1>"}):
            async with self.built() as (adapter, router):
                router.route().respond(status, **how)
                outcome = await adapter.submit(self.submission())
                assert not isinstance(outcome, Accepted)
                assert said not in repr(outcome)
                if router.calls:
                    assert said in (outcome.answer or ""), "give the outcome to `sdk.answered`"

    @pytest.mark.asyncio
    @pytest.mark.parametrize("said", UNREADABLE, ids=repr)
    async def test_a_success_that_cannot_be_read_is_no_refusal(self, said: bytes) -> None:
        """It was taken, and what number it has is asked: who is told that it was refused sends it
        again."""
        async with self.built() as (adapter, router):
            router.route().respond(201, content=said)
            outcome = await adapter.submit(self.submission())
            assert not isinstance(outcome, Refused)
            assert self.idempotent_submit or isinstance(outcome, Accepted | Unsure)

    @pytest.mark.asyncio
    async def test_submit_lets_itself_be_cancelled(self) -> None:
        async with self.built() as (adapter, router):
            router.route().mock(side_effect=raising(asyncio.CancelledError))
            with pytest.raises(asyncio.CancelledError):
                await adapter.submit(self.submission())

    # --- find ---------------------------------------------------------------------------------

    @pytest.mark.asyncio
    @pytest.mark.parametrize("held", [True, False])
    async def test_find_tells_what_the_far_end_holds(self, held: bool) -> None:
        async with self.built() as (adapter, router):
            if not adapter.capabilities.find:
                assert _never_tells(await adapter.find(REFERENCE))
                return
            (self.far_end_holds if held else self.far_end_holds_nothing)(router)
            finding = await adapter.find(REFERENCE)
            assert isinstance(finding, Found if held else Absent)
            if isinstance(finding, Found):
                assert finding.reference == self.gru_reference

    @pytest.mark.asyncio
    async def test_find_takes_no_other_request_for_ours(self) -> None:
        """A far end may not know the filter that it is asked with, and give what it has."""
        async with self.built() as (adapter, router):
            if not adapter.capabilities.find:
                return
            self.far_end_holds(router)
            router.route().respond(404)  # where the reference is in the address
            assert not isinstance(await adapter.find(OTHER), Found)

    @pytest.mark.asyncio
    @each_httpx_error
    async def test_find_never_says_absent_under(self, kind: type[Exception]) -> None:
        async with self.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            finding = await adapter.find(REFERENCE)
            assert isinstance(finding, CannotTell)
            assert finding.forever is not adapter.capabilities.find

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [302, 400, 401, 403, 408, 429, 500, 502, 503, 504])
    async def test_find_never_says_absent_on(self, status: int) -> None:
        async with self.built() as (adapter, router):
            router.route().respond(status, text="<html>")
            assert isinstance(await adapter.find(REFERENCE), CannotTell)

    # --- amend --------------------------------------------------------------------------------

    @pytest.mark.asyncio
    @pytest.mark.parametrize("event", AMENDING, ids=lambda event: event.value)
    async def test_amend_takes_what_it_declares(self, event: EventKind) -> None:
        async with self.built() as (adapter, router):
            self.far_end_accepts(router)
            outcome = await adapter.amend(self.amendment(event))
            declared = event in adapter.capabilities.amends
            assert isinstance(outcome, Accepted if declared else Refused)

    @pytest.mark.asyncio
    @each_httpx_error
    async def test_amend_answers_with_a_value_under(self, kind: type[Exception]) -> None:
        async with self.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            for event in adapter.capabilities.amends:
                outcome = await adapter.amend(self.amendment(event))
                assert type(outcome) is self.expected(kind, self.idempotent_amend)
                self.assert_private(outcome)

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [303, 408, 429, 502, 503, 504])
    async def test_amend_is_unsure_after_what_proves_nothing(self, status: int) -> None:
        async with self.built() as (adapter, router):
            router.route().respond(status, text="<html>")
            for event in adapter.capabilities.amends:
                outcome = await adapter.amend(self.amendment(event))
                assert isinstance(outcome, Unsure) is not self.idempotent_amend

    @pytest.mark.asyncio
    async def test_find_amend_keeps_to_its_capability(self) -> None:
        async with self.built() as (adapter, router):
            known = adapter.capabilities.find_amend
            if known:
                self.far_end_holds_nothing(router)
            for event in {*adapter.capabilities.amends, EventKind.MESSAGE}:
                finding = await adapter.find_amend(self.amendment(event))
                assert isinstance(finding, Absent) if event in known else _never_tells(finding)

    # --- statuses and webhooks ----------------------------------------------------------------

    @pytest.mark.asyncio
    @each_httpx_error
    async def test_statuses_tell_that_the_far_end_failed(self, kind: type[Exception]) -> None:
        async with self.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            changes = await adapter.statuses(self.tracked(), None)
            assert list(changes.items) == []
            if adapter.capabilities.statuses:
                assert isinstance(changes.failure, TryLater | Misconfigured)
                assert changes.cursor is None, "what was not read would be skipped"

    @pytest.mark.asyncio
    async def test_webhook_refuses_an_unproven_sender(self) -> None:
        async with self.built() as (adapter, _):
            changes = await adapter.webhook(self.unsigned_hook())
            assert isinstance(changes.failure, Refused)
            assert list(changes.items) == []

    # --- check --------------------------------------------------------------------------------

    @pytest.mark.asyncio
    async def test_check_is_well_and_alters_nothing(self) -> None:
        async with self.built() as (adapter, router):
            prepared = list(router.routes)
            self.far_end_well(router)
            notes = await adapter.check()
            assert notes
            assert [note for note in notes if note.level == "fault"] == []
            self.assert_private(notes)
            for route in router.routes:
                for call in route.calls:
                    assert route in prepared or call.request.method in SAFE_VERBS

    @pytest.mark.asyncio
    @pytest.mark.parametrize("status", [401, 404, 500])
    async def test_check_tells_a_fault_and_its_remedy(self, status: int) -> None:
        async with self.built() as (adapter, router):
            router.route().respond(status)
            self._has_fault(await adapter.check())

    @pytest.mark.asyncio
    @each_httpx_error
    async def test_check_tells_a_fault_under(self, kind: type[Exception]) -> None:
        async with self.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            self._has_fault(await adapter.check())

    def _has_fault(self, notes: Sequence[Note]) -> None:
        faults = [note for note in notes if note.level == "fault"]
        assert faults
        assert all(note.said.remedy() and note.said.remedy("fr") for note in faults)
        self.assert_private(notes)


__all__ = [
    "AMENDING",
    "HTTPX_ERRORS",
    "NOW",
    "REFERENCE",
    "SAFE_VERBS",
    "AdapterConformance",
    "file",
    "raising",
]
