"""Checks of what an adapter declares, and of `check()`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydantic import ValidationError

from gateway.sdk.adapter import Note
from gateway.sdk.httpx_errors import HTTPX_ERRORS, raising
from gateway.sdk.matrix.checks import Tier, holds, proves
from gateway.sdk.options import Options
from gateway.sdk.secrets import unread_secret
from gateway.sdk.under_test import AdapterUnderTest
from gateway.sdk.version import sdk_fits


@proves(
    "declared.adapter",
    Tier.BRONZE,
    "it has a kind, options, and an SDK version that fits",
    "il a un genre, des options, et une version du SDK qui convient",
)
async def declares_itself(suite: AdapterUnderTest) -> None:
    kind = suite.adapter_class.kind
    holds(kind == kind.strip().lower() != "", f"its kind is {kind!r}")
    holds(sdk_fits(suite.adapter_class.sdk), f"it is made for SDK {suite.adapter_class.sdk}")
    holds(issubclass(suite.adapter_class.Options, Options), "its Options are none of the SDK")


@proves(
    "declared.unknown_options",
    Tier.BRONZE,
    "an unknown option is refused, at every depth",
    "une option inconnue est refusée, à toute profondeur",
)
async def unknown_options(suite: AdapterUnderTest) -> None:
    checked = suite.adapter_class.Options
    checked.model_validate(suite.options())
    try:
        checked.model_validate({**suite.options(), "no_such_option": 1})
    except ValidationError:
        pass
    else:
        raise AssertionError("an unknown option is taken")
    schema = checked.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        if "properties" in part:
            refused = part.get("additionalProperties") is False
            holds(refused, f"unknown keys are taken in {part.get('title')}")


@proves(
    "declared.secrets_hidden",
    Tier.BRONZE,
    "its representation and its options show no secret",
    "ni sa représentation ni ses options ne montrent un secret",
)
async def secrets_hidden(suite: AdapterUnderTest) -> None:
    field = unread_secret(suite.adapter_class.Options)
    holds(field is None, f"the option {field} is a SecretStr: declare it as gateway.sdk.Secret")
    async with suite.built() as (adapter, _):
        suite.assert_private(adapter)
        suite.assert_private(adapter.options)
        suite.assert_private(adapter.options.model_dump_json())


@proves(
    "declared.constant",
    Tier.BRONZE,
    "what it can do is the same before and after its calls, and it may be closed twice",
    "ses capacités sont les mêmes avant et après ses appels, et il peut être fermé deux fois",
)
async def constant(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        before = adapter.capabilities
        suite.far_end_accepts(router)
        await adapter.submit(suite.submission())
        holds(adapter.capabilities == before, "its capabilities changed by a call")
        await adapter.aclose()


@proves(
    "check.alters_nothing",
    Tier.BRONZE,
    "check() finds a good far end well, and only reads",
    "check() trouve bon un système bien réglé, et ne fait que lire",
)
async def alters_nothing(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        prepared = list(router.routes)
        suite.far_end_well(router)
        notes = await adapter.check()
        holds(notes, "check() says nothing")
        faults = [note for note in notes if note.level == "fault"]
        holds(not faults, f"check() finds a fault: {faults!r}"[:300])
        suite.assert_private(notes)
        for route in router.routes:
            for call in route.calls:
                reads = route in prepared or suite.only_reads(call.request)
                holds(reads, f"check() makes a {call.request.method}")


@proves(
    "check.tells_status",
    Tier.SILVER,
    "check() tells a fault and its remedy where the far end refuses or fails",
    "check() dit le défaut et le remède quand le système refuse ou échoue",
    "http",
)
async def tells_status(suite: AdapterUnderTest) -> None:
    for status in (401, 404, 500):
        async with suite.built() as (adapter, router):
            router.route().respond(status)
            _has_fault(suite, await adapter.check(), f"HTTP {status}")


@proves(
    "check.tells_error",
    Tier.SILVER,
    "check() tells a fault and its remedy where the far end cannot be reached",
    "check() dit le défaut et le remède quand le système est injoignable",
    "http",
)
async def tells_error(suite: AdapterUnderTest) -> None:
    async def under(kind: type[Exception]) -> None:
        async with suite.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            _has_fault(suite, await adapter.check(), kind.__name__)

    await asyncio.gather(*map(under, HTTPX_ERRORS))


def _has_fault(suite: AdapterUnderTest, notes: Sequence[Note], under: str) -> None:
    faults = [note for note in notes if note.level == "fault"]
    holds(faults, f"check() tells no fault under {under}")
    told = all(note.said.remedy() and note.said.remedy("fr") for note in faults)
    holds(told, f"check() tells no remedy, or not in both languages, under {under}")
    suite.assert_private(notes)
