"""An adapter under test: its author's description of it and of its far end.

The checks are in `gateway.sdk.matrix`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

import httpx

from gateway.core.outcome import Misconfigured, Outcome, TryLater, Unsure
from gateway.core.request import EventKind
from gateway.sdk.adapter import Adapter, Amendment, Context, File, Submission, Tracked, WebhookCall
from gateway.sdk.http import NOT_SENT

if TYPE_CHECKING:
    import respx

#: The time that the adapter's clock shows during the tests.
NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
REFERENCE = "TDG-01JD3M7W2K9XQ4ZB"
#: Methods of HTTP that alter nothing.
SAFE_VERBS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class NotShown(Exception):
    """The suite does not give what a check needs. The text says what to add."""


@dataclass(frozen=True, slots=True)
class ToldEntry:
    """An entry that the GRU gives for the request. `far_end_tells` and `webhook_of` write it in the
    GRU's form.

    `by_us`: we sent it, with `key` as `Amendment.key`. `public` False: it is an internal note.
    """

    status: str | None = None
    message: str | None = None
    at: datetime = NOW
    key: str = "1"
    by_us: bool = False
    public: bool = True


def file(
    content: bytes = b"\x89PNG\r\n\x1a\n", *, field: str = "photo", filename: str = "photo.png"
) -> File:
    """Return a citizen's file with this content."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    digest = hashlib.sha256(content).hexdigest()
    return File(field, filename, "image/png", len(content), digest, pieces)


class AdapterUnderTest(ABC):
    """The adapter that a suite tests, and everything that the suite must know about it.

    A subclass without a required attribute is refused with a message that names all missing ones.
    """

    #: The adapter under test.
    adapter_class: ClassVar[type[Adapter]]
    #: Every secret in `options()`: none may show in a representation, an outcome or a note.
    secrets: ClassVar[Sequence[str]] = ()
    #: Personal values of `payload()`: none may show in an outcome, nor in the `answer` that goes
    #: with it, even when the far end echoes.
    personal: ClassVar[Sequence[str]] = ()
    #: The number that `far_end_accepts` gives to the request; None where the GRU gives none.
    gru_reference: ClassVar[str | None] = "42"
    #: True when sending the same submission twice cannot make two requests (a PUT under our key).
    idempotent_submit: ClassVar[bool] = False
    #: The same for amendments (a key that the GRU deduplicates on).
    idempotent_amend: ClassVar[bool] = False
    #: False for an adapter that uses no client of httpx: faults of HTTP are not played then, and
    #: the suite's own `built` gives the adapter with its far end.
    speaks_http: ClassVar[bool] = True
    #: True where the contract with the GRU is that any 2xx means taken, whatever it says.
    any_success: ClassVar[bool] = False
    #: True where files are left for the GRU to fetch, by links.
    files_by_link: ClassVar[bool] = False
    #: Parameters of an address that prove a call of ours, and differ each time.
    proof_in_query: ClassVar[frozenset[str]] = frozenset()
    #: False where a call of the GRU proves itself by its address or by a password alone.
    webhook_proves_body: ClassVar[bool] = True
    #: True where the proof of a call of the GRU is a signature over its query.
    webhook_signs_query: ClassVar[bool] = False
    #: False for a GRU whose times name no offset: an hour that comes twice cannot be told apart.
    tells_offsets: ClassVar[bool] = True

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Valid options, as they stand in a commune's file (secrets already resolved)."""

    @abstractmethod
    def payload(self) -> Mapping[str, Any]:
        """Return what a mapping would render for a submission that the GRU accepts."""

    def payload_saying(self, text: str) -> Mapping[str, Any]:
        """Return `payload()` with `text` for the first of `personal`."""
        if not self.personal:
            raise NotShown("name in `personal` a value of payload(), or give payload_saying(text)")
        said: Mapping[str, Any] = _replaced(self.payload(), self.personal[0], text)
        return said

    def amend_payload(self, kind: EventKind) -> Mapping[str, Any]:
        """Return what a mapping would render for an event of `kind`."""
        return {}

    def only_reads(self, request: httpx.Request) -> bool:
        """Does a call alter nothing at the GRU, as the suite has it?"""
        return request.method in SAFE_VERBS

    def prepare(self, router: respx.MockRouter) -> None:  # noqa: B027 - most have none
        """Add the routes of calls that come before the call under test (a token endpoint)."""

    @abstractmethod
    def far_end_accepts(self, router: respx.MockRouter) -> None:
        """Add routes by which the GRU accepts every submission and amendment."""

    @abstractmethod
    def far_end_well(self, router: respx.MockRouter) -> None:
        """Add routes by which the GRU answers every question of `check()` well."""

    def far_end_holds(self, router: respx.MockRouter) -> None:
        """Add routes by which the GRU has `REFERENCE`, as `gru_reference`. Only for
        `capabilities.find`."""
        raise AssertionError(
            "capabilities.find is on: give far_end_holds(), a GRU that holds REFERENCE"
        )

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        """Add routes by which the GRU answers searches and finds nothing of ours. For `find` and
        `find_amend`."""
        raise AssertionError(
            "the adapter finds: give far_end_holds_nothing(), a GRU that holds nothing"
        )

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        """Add routes by which the GRU answers a poll with these entries of the request
        `gru_reference`, in this order. Raise NotShown for an entry that it cannot give (a note
        without text, a message by us)."""
        raise NotShown("give far_end_tells(router, told), a GRU that is polled")

    def only_statuses(self, told: Sequence[ToldEntry]) -> None:
        """Raise NotShown if an entry has more than a status: this GRU gives no texts back."""
        if len(told) != 1 or told[0].status is None or told[0].message is not None:
            raise NotShown("this GRU gives back statuses alone, as the suite has it")

    def webhook_of(self, told: ToldEntry) -> WebhookCall:
        """Return the call by which the GRU reports the entry, with its proof."""
        raise NotShown("give webhook_of(told), a call of the GRU that proves itself")

    def token_refused(self) -> httpx.Response:
        """Return the GRU's answer to a token that has ended."""
        return httpx.Response(401)

    def unsigned_hook(self) -> WebhookCall:
        """Return a call that does not prove its sender."""
        return WebhookCall("POST", {"content-type": "application/json"}, {}, b"{}")

    def far_end_erases(self, router: respx.MockRouter) -> None:
        """Add routes by which the GRU erases what it holds of the request."""
        raise NotShown("give far_end_erases(router), a GRU that erases")

    def far_end_erased(self, router: respx.MockRouter) -> None:
        """Add routes by which the GRU answers an erasure of a request that it has erased before."""
        raise NotShown("give far_end_erased(router), a GRU that has erased it already")

    # --- what tests work with ------------------------------------------------------------------

    def submission(self) -> Submission:
        """Return a submission of `payload` under our reference."""
        return Submission(REFERENCE, self.payload())

    def amendment(self, kind: EventKind) -> Amendment:
        """Return an event of that submission; of a document, with a file."""
        files = (file(),) if kind is EventKind.DOCUMENT else ()
        number = self.gru_reference or REFERENCE
        payload = self.amend_payload(kind)
        return Amendment(REFERENCE, number, "evt-1", kind, payload, "Bonjour", files)

    def tracked(self) -> Sequence[Tracked]:
        """Return the submission as a request to ask about."""
        return (Tracked(REFERENCE, self.gru_reference or REFERENCE, NOW),)

    def build(self, client: httpx.AsyncClient, **options: Any) -> Adapter:
        """Build the adapter with `options()`, some of them replaced."""
        checked = self.adapter_class.Options.model_validate({**self.options(), **options})
        return self.adapter_class(checked, Context("69029", "essai", client, lambda: NOW))

    @asynccontextmanager
    async def built(self, **options: Any) -> AsyncIterator[tuple[Adapter, respx.MockRouter]]:
        """Give an adapter, and the router that stands for its far end. `prepare` has been
        called."""
        from respx import MockRouter  # of those who test alone

        router = MockRouter(assert_all_called=False)
        self.prepare(router)
        async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
            adapter = self.build(client, **options)
            try:
                yield adapter, router
            finally:
                await adapter.aclose()

    def expected(self, kind: type[Exception], idempotent: bool) -> type[Outcome]:
        """Return the outcome of a call that raises this error of httpx."""
        if issubclass(kind, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return Misconfigured
        if issubclass(kind, NOT_SENT):
            return TryLater
        return TryLater if idempotent else Unsure

    def assert_private(self, value: object) -> None:
        """Assert that a value, and the far end's answer within it, reveals no secret and no
        personal data."""
        text = repr(value) + (getattr(value, "answer", None) or "")
        if any(word in text for word in (*self.secrets, *self.personal)):
            raise AssertionError("a secret or a person's data shows")


def _replaced(value: Any, word: str, text: str) -> Any:
    if isinstance(value, Mapping):
        return {key: _replaced(one, word, text) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(one, word, text) for one in value]
    return value.replace(word, text) if isinstance(value, str) else value


__all__ = ["NOW", "REFERENCE", "SAFE_VERBS", "AdapterUnderTest", "NotShown", "ToldEntry", "file"]
