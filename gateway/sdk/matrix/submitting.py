"""Checks of `submit`: nothing is lost and nothing is sent twice, whatever the far end answers."""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from gateway.core import reasons
from gateway.core.outcome import Accepted, Misconfigured, Refused, TryLater, Unsure
from gateway.sdk.http import NotConnected
from gateway.sdk.httpx_errors import HTTPX_ERRORS, raising
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.playing import Play, answering, playing, says
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest

#: Answers to a taken call, without any content.
UNREADABLE: Final = (b"", b"{", b"<html>", b"null", b"[]")
ELSEWHERE: Final = "ailleurs.exemple.invalid"


@proves(
    "submit.accepted",
    Tier.BRONZE,
    "a request that is taken gives the GRU's number",
    "une demande prise donne le numéro de la GRU",
)
async def accepted(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, router):
        suite.far_end_accepts(router)
        outcome = await adapter.submit(suite.submission())
        must(outcome, Accepted)
        number = outcome.reference if isinstance(outcome, Accepted) else None
        holds(number == suite.gru_reference, f"the number is told as {number!r}")


@proves(
    "submit.reference_travels",
    Tier.BRONZE,
    "our reference leaves with the request, where the adapter says so",
    "notre référence part avec la demande, quand l'adaptateur l'affirme",
    "http",
    "sends_reference",
)
async def reference_travels(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        await adapter.submit(suite.submission())
        sent = any(says(call, REFERENCE) for call in far_end.creating)
        holds(sent, "capabilities.sends_reference is on, and no call bears it")


@proves(
    "submit.lost_reply",
    Tier.BRONZE,
    "a reply that may have been lost is Unsure, an error before that is not",
    "une réponse peut-être perdue est Unsure ; une erreur d'avant l'envoi ne l'est pas",
    "http",
)
async def lost_reply(suite: AdapterUnderTest) -> None:
    async def under(kind: type[Exception]) -> None:
        async with suite.built() as (adapter, router):
            router.route().mock(side_effect=raising(kind))
            outcome = await adapter.submit(suite.submission())
            must(outcome, suite.expected(kind, suite.idempotent_submit))
            suite.assert_private(outcome)

    await asyncio.gather(*map(under, HTTPX_ERRORS))


@proves(
    "submit.sent_once",
    Tier.BRONZE,
    "a creation that may have been done is not sent again",
    "une création peut-être faite n'est pas renvoyée",
    "http",
    "unsafe",
)
async def sent_once(suite: AdapterUnderTest) -> None:
    plays = [raising(httpx.ReadTimeout), raising(httpx.RemoteProtocolError)]
    for status in (408, 500, 502, 503, 504):
        plays.append(lambda _, status=status: httpx.Response(status))  # type: ignore[misc]
    for play in plays:
        async with playing(suite) as (adapter, far_end):
            far_end.router.route().mock(side_effect=play)
            await adapter.submit(suite.submission())
            sent = len(far_end.creating)
            holds(sent <= 1, f"it is sent {sent} times without asking")


@proves(
    "submit.proves_nothing",
    Tier.BRONZE,
    "a redirect, 408, 409, 429 or 5xx proves nothing: Unsure",
    "une redirection, 408, 409, 429 ou 5xx ne prouve rien : Unsure",
    "http",
)
async def proves_nothing(suite: AdapterUnderTest) -> None:
    for status in (301, 302, 303, 307, 408, 429, 500, 502, 503, 504):
        async with suite.built() as (adapter, router):
            headers = {"location": f"https://{ELSEWHERE}/42"} if status < 400 else {}
            router.route().respond(status, headers=headers, text="<html>")
            outcome = await adapter.submit(suite.submission())
            if suite.idempotent_submit:
                must(outcome, TryLater if status >= 400 else Misconfigured)
                continue
            must(outcome, Unsure)
            if isinstance(outcome, Unsure):
                early = outcome.at_work is (status >= 400)
                holds(early, f"HTTP {status}: a proxy gives up before the far end does")


@proves(
    "submit.conflict",
    Tier.BRONZE,
    "a second creation under the same key that the GRU knows already (409) is no refusal",
    "une seconde création sous la même clé, déjà connue (409), n'est pas un refus",
    "http",
    "unsafe",
)
async def conflict(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        await adapter.submit(suite.submission())
        first = list(far_end.creating)
        far_end.play = answering(409, json={"error": "exists"})
        outcome = await adapter.submit(suite.submission())
        must(outcome, Unsure, Accepted)
        second = far_end.creating[len(first) :]
        there = [_address(suite, call) for call in (*first[:1], *second[:1])]
        same = there[:1] == there[1:]
        holds(same, "the same submission goes to another address the second time")


def _address(suite: AdapterUnderTest, call: httpx.Request) -> httpx.URL:
    """Return the address of a call, without its credentials."""
    params = call.url.params
    for name in suite.proof_in_query:
        params = params.remove(name)
    return call.url.copy_with(params=params)


@proves(
    "submit.retry_after_seconds",
    Tier.BRONZE,
    "429 and 503 with Retry-After in seconds are waited for",
    "429 et 503 avec Retry-After en secondes : le délai est tenu",
    "http",
)
async def retry_after_seconds(suite: AdapterUnderTest) -> None:
    for status in (429, 503):
        await _waits(suite, status, {"retry-after": "17"})


@proves(
    "submit.retry_after_date",
    Tier.BRONZE,
    "429 and 503 with Retry-After as a date are waited for",
    "429 et 503 avec Retry-After en date : le délai est tenu",
    "http",
)
async def retry_after_date(suite: AdapterUnderTest) -> None:
    headers = {
        "date": "Mon, 16 Mar 2026 09:30:00 GMT",
        "retry-after": "Mon, 16 Mar 2026 09:30:17 GMT",
    }
    for status in (429, 503):
        await _waits(suite, status, headers)


async def _waits(suite: AdapterUnderTest, status: int, headers: dict[str, str]) -> None:
    async with suite.built() as (adapter, router):
        router.route().respond(status, headers=headers)
        outcome = await adapter.submit(suite.submission())
        must(outcome, TryLater, Unsure)
        if isinstance(outcome, TryLater | Unsure):
            holds(outcome.after == 17.0, f"HTTP {status}: it waits {outcome.after} s, not 17")
            believed = reasons.of(outcome.reason).believed
            holds(believed, f"the reason {outcome.reason} is not believed where nobody is asked")


@proves(
    "submit.settings_blamed",
    Tier.BRONZE,
    "401 and 403 are a setting of ours, not a refusal of the request",
    "401 et 403 sont un réglage de notre côté, pas un refus de la demande",
    "http",
)
async def settings_blamed(suite: AdapterUnderTest) -> None:
    for status in (401, 403):
        async with suite.built() as (adapter, router):
            router.route().respond(status)
            must(await adapter.submit(suite.submission()), Misconfigured)


@proves(
    "submit.unreadable_success",
    Tier.BRONZE,
    "a success that cannot be read (a page with 200, half an object) is no refusal",
    "un succès illisible (une page avec 200, un objet coupé) n'est pas un refus",
    "http",
)
async def unreadable_success(suite: AdapterUnderTest) -> None:
    for said in UNREADABLE:
        async with suite.built() as (adapter, router):
            router.route().respond(201, content=said)
            outcome = await adapter.submit(suite.submission())
            holds(not isinstance(outcome, Refused), f"{said!r} is told as a refusal")
            must(outcome, Accepted, Unsure, *((TryLater,) if suite.idempotent_submit else ()))
            if suite.gru_reference is not None and isinstance(outcome, Accepted):
                given = outcome.reference is None or str(outcome.reference).strip()
                holds(given, f"{said!r} gives the number {outcome.reference!r}")


@proves(
    "submit.error_within_200",
    Tier.BRONZE,
    "an error inside a 200 is not taken for a success",
    "une erreur à l'intérieur d'un 200 n'est pas prise pour un succès",
    "http",
)
async def error_within_200(suite: AdapterUnderTest) -> None:
    if suite.any_success or suite.gru_reference is None:
        return  # any other outcome is right
    for said in ({"error": {"code": 500, "message": "hors service"}}, {"success": False}):
        async with suite.built() as (adapter, router):
            router.route().respond(200, json=said)
            outcome = await adapter.submit(suite.submission())
            holds(not isinstance(outcome, Accepted), "an error inside a 200 counts as done")


@proves(
    "submit.header_not_ascii",
    Tier.SILVER,
    "an answer with a header that is no ASCII is read",
    "une réponse dont un en-tête n'est pas en ASCII est lue",
    "http",
)
async def header_not_ascii(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)

        async def named(request: httpx.Request) -> httpx.Response:
            answer = await far_end.router.async_handler(request)
            answer.headers = httpx.Headers([*answer.headers.raw, (b"x-served-by", b"d\xe9")])
            return answer

        far_end.play = named
        outcome = await adapter.submit(suite.submission())
        must(outcome, Accepted)


@proves(
    "submit.cancelled",
    Tier.BRONZE,
    "a call that is cancelled ends at once, and passes the cancellation on",
    "un appel annulé s'arrête aussitôt, et transmet l'annulation",
    "http",
)
async def cancelled(suite: AdapterUnderTest) -> None:
    async with playing(suite, seconds=60.0) as (adapter, far_end):
        arrived = asyncio.Event()

        async def never(_: httpx.Request) -> httpx.Response:
            arrived.set()
            await asyncio.Event().wait()
            raise AssertionError

        far_end.play = never
        task = asyncio.create_task(adapter.submit(suite.submission()))
        waiting = asyncio.create_task(arrived.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        task.cancel()
        await asyncio.wait({task})
        holds(task.cancelled(), "it goes on after its cancellation, or swallows it")


@proves(
    "submit.token_expired",
    Tier.SILVER,
    "a token that ends midway is fetched anew, and nothing is refused for it",
    "un jeton qui expire en route est redemandé, sans refuser la demande",
    "http",
)
async def token_expired(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        must(await adapter.submit(suite.submission()), Accepted)
        fetched = far_end.before
        must(await adapter.submit(suite.submission()), Accepted)
        kept = 0 < fetched == far_end.before

        async def once(_: httpx.Request) -> httpx.Response:
            far_end.play = None
            return suite.token_refused()

        far_end.play = once
        must(await adapter.submit(suite.submission()), Accepted, Misconfigured)
        far_end.play = None
        must(await adapter.submit(suite.submission()), Accepted)
        holds(not kept or far_end.before > fetched, "a token that is refused is used on and on")


@proves(
    "submit.certificate_expired",
    Tier.SILVER,
    "a certificate that ends midway costs the calls meanwhile, and is told by its name",
    "un certificat qui expire en route ne coûte que les appels de ce temps, et est nommé",
    "http",
)
async def certificate_expired(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        must(await adapter.submit(suite.submission()), Accepted)

        async def refused(request: httpx.Request) -> httpx.Response:
            raise NotConnected("expired", request=request, reason="certificate_expired")

        far_end.play = refused
        outcome = await adapter.submit(suite.submission())
        must(outcome, TryLater)
        reason = outcome.reason if isinstance(outcome, TryLater) else ""
        holds(reason == "certificate_expired", f"it is told as {reason}")
        far_end.play = None
        must(await adapter.submit(suite.submission()), Accepted)


@proves(
    "submit.stays_here",
    Tier.BRONZE,
    "a redirect is followed to no other host: secrets and persons' data stay with the GRU",
    "aucune redirection n'est suivie vers un autre hôte : secrets et données restent à la GRU",
    "http",
)
async def stays_here(suite: AdapterUnderTest) -> None:
    for status in (301, 302, 303, 307, 308):
        async with playing(suite) as (adapter, far_end):
            here = answering(status, headers={"location": f"https://{ELSEWHERE}/ici"})
            there = answering(201, json={"id": "42"})

            async def play(
                request: httpx.Request, here: Play = here, there: Play = there
            ) -> httpx.Response:
                return await (there if request.url.host == ELSEWHERE else here)(request)

            far_end.play = play
            outcome = await adapter.submit(suite.submission())
            holds(not isinstance(outcome, Accepted), f"HTTP {status} counts as done")
            await adapter.find(REFERENCE)
            await adapter.statuses(suite.tracked(), None)
            hosts = {call.url.host for call in far_end.calls}
            holds(ELSEWHERE not in hosts, f"HTTP {status} is followed to another host")


@proves(
    "submit.refused",
    Tier.BRONZE,
    "a request that the GRU will never take (400, 422) is a refusal, and told once",
    "une demande que la GRU ne prendra jamais (400, 422) est un refus, dit une fois",
    "http",
)
async def refused(suite: AdapterUnderTest) -> None:
    for status in (400, 422):
        async with playing(suite) as (adapter, far_end):
            far_end.play = answering(status)
            outcome = await adapter.submit(suite.submission())
            must(outcome, Refused, Misconfigured)
            holds(len(far_end.creating) <= 1, "a refusal is sent again")
