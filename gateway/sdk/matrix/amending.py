"""Checks of `amend`, `find_amend` and `erase`."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from gateway.core.outcome import Absent, Accepted, Refused, TryLater, Unsure
from gateway.core.request import EventKind
from gateway.sdk.httpx_errors import HTTPX_ERRORS, raising
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.finding import never_tells
from gateway.sdk.matrix.playing import playing, says
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest

AMENDING: Final = tuple(kind for kind in EventKind if kind is not EventKind.CREATION)


@proves(
    "amend.declared",
    Tier.BRONZE,
    "it takes the events that it declares, and refuses the others",
    "il prend les événements qu'il annonce, et refuse les autres",
)
async def takes_declared(suite: AdapterUnderTest) -> None:
    for event in AMENDING:
        async with suite.built() as (adapter, router):
            suite.far_end_accepts(router)
            outcome = await adapter.amend(suite.amendment(event))
            must(outcome, Accepted if event in adapter.capabilities.amends else Refused)


@proves(
    "amend.lost_reply",
    Tier.BRONZE,
    "a reply to an event that may have been lost is Unsure",
    "une réponse peut-être perdue à un événement est Unsure",
    "amends",
    "http",
)
async def lost_reply(suite: AdapterUnderTest) -> None:
    async def under(kind: type[Exception]) -> None:
        async with suite.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            for event in adapter.capabilities.amends:
                outcome = await adapter.amend(suite.amendment(event))
                must(outcome, suite.expected(kind, suite.idempotent_amend))
                suite.assert_private(outcome)

    await asyncio.gather(*map(under, HTTPX_ERRORS))


@proves(
    "amend.proves_nothing",
    Tier.BRONZE,
    "a redirect, 408, 429 or 5xx to an event proves nothing: Unsure",
    "une redirection, 408, 429 ou 5xx à un événement ne prouve rien : Unsure",
    "amends",
    "http",
)
async def proves_nothing(suite: AdapterUnderTest) -> None:
    for status in (303, 408, 429, 502, 503, 504):
        async with suite.built() as (adapter, router):
            router.route().respond(status, text="<html>")
            for event in adapter.capabilities.amends:
                outcome = await adapter.amend(suite.amendment(event))
                unsure = isinstance(outcome, Unsure)
                holds(unsure is not suite.idempotent_amend, f"HTTP {status}: {outcome!r}")


@proves(
    "amend.sent_once",
    Tier.BRONZE,
    "an event that may have been done is not sent again",
    "un événement peut-être fait n'est pas renvoyé",
    "amends",
    "http",
)
async def sent_once(suite: AdapterUnderTest) -> None:
    if suite.idempotent_amend:
        return
    async with playing(suite) as (adapter, far_end):
        far_end.router.route().mock(side_effect=raising(httpx.ReadTimeout))
        for event in adapter.capabilities.amends:
            far_end.calls.clear()
            await adapter.amend(suite.amendment(event))
            holds(len(far_end.creating) <= 1, f"{event.value} is sent again without asking")


@proves(
    "amend.key_travels",
    Tier.SILVER,
    "the key of an event leaves with it, where the GRU is asked for it afterwards",
    "la clé d'un événement part avec lui, quand la GRU est ensuite interrogée sur elle",
    "find_amend",
    "http",
)
async def key_travels(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        for event in adapter.capabilities.find_amend & adapter.capabilities.amends:
            far_end.calls.clear()
            await adapter.amend(suite.amendment(event))
            sent = any(says(call, "evt-1") for call in far_end.creating)
            holds(sent, f"find_amend is on for {event.value}, and its key does not travel")


@proves(
    "amend.find",
    Tier.SILVER,
    "it tells of an event whether the GRU holds it, or that it can never tell",
    "il dit d'un événement si la GRU le détient, ou qu'il ne peut jamais le dire",
)
async def find_amend(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        known = adapter.capabilities.find_amend
        if known:
            suite.far_end_holds_nothing(router)
        for event in {*adapter.capabilities.amends, EventKind.MESSAGE}:
            finding = await adapter.find_amend(suite.amendment(event))
            right = isinstance(finding, Absent) if event in known else never_tells(finding)
            holds(
                right,
                f"of {event.value}, which is {'on' if event in known else 'off'}: {finding!r}",
            )


@proves(
    "erase.done",
    Tier.GOLD,
    "an erasure is done, or said to be a person's",
    "un effacement est fait, ou dit être l'affaire d'une personne",
)
async def erased(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        if not adapter.capabilities.erase:
            must(await adapter.erase(REFERENCE, suite.gru_reference), Refused)
            return
        suite.far_end_erases(router)
        must(await adapter.erase(REFERENCE, suite.gru_reference), Accepted)


@proves(
    "erase.again",
    Tier.GOLD,
    "what was erased already may be erased again",
    "ce qui est déjà effacé peut l'être encore",
    "erase",
)
async def erased_again(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        suite.far_end_erased(router)
        must(await adapter.erase(REFERENCE, suite.gru_reference), Accepted)


@proves(
    "erase.not_proven",
    Tier.GOLD,
    "an erasure that nothing proves is not told as done",
    "un effacement que rien ne prouve n'est pas dit fait",
    "erase",
    "http",
)
async def erasure_not_proven(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        router.route().mock(side_effect=raising(httpx.ReadTimeout))
        must(await adapter.erase(REFERENCE, suite.gru_reference), TryLater, Unsure)
    for status in (302, 403, 500, 503):
        async with suite.built() as (adapter, router):
            router.route().respond(status)
            outcome = await adapter.erase(REFERENCE, suite.gru_reference)
            holds(not isinstance(outcome, Accepted), f"HTTP {status} counts as erased")
