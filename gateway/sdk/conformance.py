"""The promises of every adapter under pytest: subclass `AdapterConformance` beside your adapter.

It needs pytest, pytest-asyncio and respx, and is imported by tests only. Name the subclass
`Test...`, say how to build the adapter and how its far end answers; every check of
`gateway.sdk.matrix` is then a test::

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
route was planned for fails the test. A check that needs more of the suite than it gives is skipped,
with what to add; a check that does not apply passes.
"""

from __future__ import annotations

import pytest

from gateway.sdk.httpx_errors import HTTPX_ERRORS, raising
from gateway.sdk.matrix import CHECKS, MatrixCheck
from gateway.sdk.matrix.amending import AMENDING
from gateway.sdk.matrix.checks import applies
from gateway.sdk.matrix.playing import SAFE_VERBS
from gateway.sdk.under_test import (
    NOW,
    REFERENCE,
    AdapterUnderTest,
    NotShown,
    ToldEntry,
    file,
)


class AdapterConformance(AdapterUnderTest):
    """The suite. Subclass it, and give everything that `AdapterUnderTest` asks for."""

    @pytest.mark.asyncio
    @pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
    async def test_the_matrix(self, check: MatrixCheck) -> None:
        """The check holds, does not apply, or is not shown."""
        if not await applies(check, self):
            return
        try:
            await check.run(self)
        except NotShown as told:
            pytest.skip(str(told))


__all__ = [
    "AMENDING",
    "HTTPX_ERRORS",
    "NOW",
    "REFERENCE",
    "SAFE_VERBS",
    "AdapterConformance",
    "NotShown",
    "ToldEntry",
    "file",
    "raising",
]
