# ruff: noqa: S101 - this module is for tests
"""An adapter under test: what its author tells of it and of its far end, and the two together.

`gateway.sdk.conformance` holds the tests.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

import httpx
import pytest
import respx

from gateway.core.outcome import Misconfigured, Outcome, TryLater, Unsure
from gateway.core.request import EventKind
from gateway.sdk.adapter import Adapter, Amendment, Context, File, Submission, Tracked, WebhookCall
from gateway.sdk.http import NOT_SENT

#: The time that the adapter's clock shows during the tests.
NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
REFERENCE = "TDG-01JD3M7W2K9XQ4ZB"


def file(
    content: bytes = b"\x89PNG\r\n\x1a\n", *, field: str = "photo", filename: str = "photo.png"
) -> File:
    """Return a citizen's file made of `content`."""

    async def pieces() -> AsyncIterator[bytes]:
        yield content

    digest = hashlib.sha256(content).hexdigest()
    return File(field, filename, "image/png", len(content), digest, pieces)


class AdapterUnderTest(ABC):
    """The adapter that a suite tests, and all that the suite must know of it. A subclass that lacks
    what every adapter needs is refused by a sentence that names all of it."""

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

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Valid options, as they stand in a commune's file (secrets already resolved)."""

    @abstractmethod
    def payload(self) -> Mapping[str, Any]:
        """Return what a mapping would render for a submission that the GRU takes."""

    def amend_payload(self, kind: EventKind) -> Mapping[str, Any]:
        """Return what a mapping would render for an event of `kind`."""
        return {}

    def prepare(self, router: respx.MockRouter) -> None:  # noqa: B027 - most have none
        """Routes of calls that come before the one that counts (a token endpoint)."""

    @abstractmethod
    def far_end_accepts(self, router: respx.MockRouter) -> None:
        """Have the GRU take every submission and amendment."""

    @abstractmethod
    def far_end_well(self, router: respx.MockRouter) -> None:
        """Have the GRU answer everything that `check()` asks, with nothing to complain of."""

    def far_end_holds(self, router: respx.MockRouter) -> None:
        """Have the GRU hold `REFERENCE`, as `gru_reference`. Only for `capabilities.find`."""
        pytest.fail("capabilities.find is on: give far_end_holds(), a GRU that holds REFERENCE")

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        """Have the GRU answer searches, and hold nothing of ours. For `find` and `find_amend`."""
        pytest.fail("the adapter finds: give far_end_holds_nothing(), a GRU that holds nothing")

    def unsigned_hook(self) -> WebhookCall:
        """Return a call that does not prove its sender."""
        return WebhookCall("POST", {"content-type": "application/json"}, {}, b"{}")

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
        """Return that submission, as one that is asked about."""
        return (Tracked(REFERENCE, self.gru_reference or REFERENCE, NOW),)

    def build(self, client: httpx.AsyncClient, **options: Any) -> Adapter:
        """Build the adapter of `options()`, some of them replaced."""
        checked = self.adapter_class.Options.model_validate({**self.options(), **options})
        return self.adapter_class(checked, Context("69029", "essai", client, lambda: NOW))

    @asynccontextmanager
    async def built(self, **options: Any) -> AsyncIterator[tuple[Adapter, respx.MockRouter]]:
        """Give an adapter and the router that plays its far end; `prepare` has been called."""
        router = respx.MockRouter(assert_all_called=False)
        self.prepare(router)
        async with httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler)) as client:
            adapter = self.build(client, **options)
            try:
                yield adapter, router
            finally:
                await adapter.aclose()

    def expected(self, kind: type[Exception], idempotent: bool) -> type[Outcome]:
        """Return the outcome of a call that ends in this error of httpx."""
        if issubclass(kind, httpx.InvalidURL | httpx.UnsupportedProtocol):
            return Misconfigured
        if issubclass(kind, NOT_SENT):
            return TryLater
        return TryLater if idempotent else Unsure

    def assert_private(self, value: object) -> None:
        """Assert that a value, and what it says that the far end answered, gives nothing away."""
        text = repr(value) + (getattr(value, "answer", None) or "")
        for word in (*self.secrets, *self.personal):
            assert word not in text, "a secret or a person's data shows"
