"""Checks of `find`, which decides whether a request is sent again."""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.core.outcome import Absent, CannotTell, Finding, Found
from gateway.sdk.httpx_errors import HTTPX_ERRORS, raising
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.playing import answering, playing
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest

#: A reference of ours, other than the one of `far_end_holds`.
OTHER: Final = "TDG-0THERZZZZZZZZZZZ"


def never_tells(finding: Finding) -> bool:
    """Does the finding say that the GRU can never be asked?"""
    return isinstance(finding, CannotTell) and finding.forever


@proves(
    "find.held",
    Tier.SILVER,
    "a request that the GRU holds is found, with its number",
    "une demande que la GRU détient est trouvée, avec son numéro",
    "find",
)
async def held(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        suite.far_end_holds(router)
        finding = await adapter.find(REFERENCE)
        must(finding, Found)
        number = finding.reference if isinstance(finding, Found) else None
        holds(number == suite.gru_reference, f"it is found as {number!r}")


@proves(
    "find.absent",
    Tier.SILVER,
    "a request that the GRU does not hold is absent, or said to be unknowable for ever",
    "une demande absente de la GRU est dite absente, ou impossible à chercher pour toujours",
)
async def absent(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        if not adapter.capabilities.find:
            finding = await adapter.find(REFERENCE)
            holds(never_tells(finding), f"find is off, and it says {finding!r}")
            return
        suite.far_end_holds_nothing(router)
        must(await adapter.find(REFERENCE), Absent)


@proves(
    "find.no_other",
    Tier.SILVER,
    "no other request is taken for ours, though the GRU ignores the filter",
    "aucune autre demande n'est prise pour la nôtre, même si la GRU ignore le filtre",
    "find",
    "http",
)
async def no_other(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        suite.far_end_holds(router)
        router.route().respond(404)  # where the reference is in the address
        finding = await adapter.find(OTHER)
        holds(not isinstance(finding, Found), "another request is taken for ours")


@proves(
    "find.lags",
    Tier.SILVER,
    "a search that lags is asked anew each time: nothing of it is kept",
    "une recherche en retard est refaite chaque fois : rien n'en est gardé",
    "find",
    "http",
)
async def lags(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        prepared = len(router.routes)
        suite.far_end_holds_nothing(router)
        must(await adapter.find(REFERENCE), Absent)
        for route in list(router.routes)[prepared:]:
            router.routes._routes.remove(route)  # noqa: SLF001 - respx names no way to take one away
        suite.far_end_holds(router)
        must(await adapter.find(REFERENCE), Found)


@proves(
    "find.error",
    Tier.SILVER,
    "an error of the line is never taken for absence",
    "une erreur de la ligne n'est jamais prise pour une absence",
    "http",
)
async def error(suite: AdapterUnderTest) -> None:
    async def under(kind: type[Exception]) -> None:
        async with suite.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            finding = await adapter.find(REFERENCE)
            must(finding, CannotTell)
            forever = isinstance(finding, CannotTell) and finding.forever
            holds(forever is not adapter.capabilities.find, f"{kind.__name__} lasts for ever")
            for event in sorted(adapter.capabilities.find_amend):
                told = await adapter.find_amend(suite.amendment(event))
                if not (isinstance(told, Absent) and not told.called):  # sent again, it counts once
                    must(told, CannotTell)

    await asyncio.gather(*map(under, HTTPX_ERRORS))


@proves(
    "find.status",
    Tier.SILVER,
    "a redirect, a refusal or a failure is never taken for absence",
    "une redirection, un refus ou une panne n'est jamais pris pour une absence",
    "http",
)
async def status_is_no_absence(suite: AdapterUnderTest) -> None:
    for status in (302, 400, 401, 403, 408, 429, 500, 502, 503, 504):
        async with suite.built() as (adapter, router):
            router.route().respond(status, text="<html>")
            must(await adapter.find(REFERENCE), CannotTell)


@proves(
    "find.page_with_200",
    Tier.SILVER,
    "a page or half an object with 200 is never taken for absence",
    "une page ou un objet coupé, avec 200, n'est jamais pris pour une absence",
    "find",
    "http",
)
async def page_with_200(suite: AdapterUnderTest) -> None:
    for said in (b"<html><h1>Maintenance", b"{", b""):
        async with playing(suite) as (adapter, far_end):
            far_end.play = answering(200, content=said)
            must(await adapter.find(REFERENCE), CannotTell)
