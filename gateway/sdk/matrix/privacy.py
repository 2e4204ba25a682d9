"""Checks that no secret and no personal data shows, or stays in memory."""

from __future__ import annotations

import asyncio
import gc
import io
import logging  # noqa: TID251 - what an adapter logs by whatever means
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import httpx
import structlog

from gateway.core.outcome import Accepted, Misconfigured, Refused
from gateway.sdk.adapter import Adapter, Context, Submission
from gateway.sdk.httpx_errors import raising
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.playing import PlayedFarEnd, answering, playing, says, together
from gateway.sdk.under_test import REFERENCE, AdapterUnderTest

#: Objects searched for texts that an instance has kept, at most.
LOOKED_AT = 50_000


def _echo(suite: AdapterUnderTest) -> Any:
    """Make a far end that echoes what it received, as some do in error texts."""

    async def play(request: httpx.Request) -> httpx.Response:
        words = " ".join((*suite.personal, *suite.secrets))
        return httpx.Response(422, text=words + request.content.decode("latin-1"))

    return play


@proves(
    "private.refusal",
    Tier.BRONZE,
    "a refusal that quotes the request tells nothing of the person",
    "un refus qui cite la demande ne dit rien de la personne",
    "http",
)
async def refusal(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        far_end.play = _echo(suite)
        outcome = await adapter.submit(suite.submission())
        must(outcome, Refused, Misconfigured)
        suite.assert_private(outcome)


@proves(
    "private.answer",
    Tier.SILVER,
    "the far end's own words are kept beside the outcome, and out of its detail",
    "les mots du système sont gardés à côté du résultat, hors de son détail",
    "http",
)
async def answer_apart(suite: AdapterUnderTest) -> None:
    said = "paroles du serveur"
    for status in (400, 401, 404, 409, 422, 500, 503):
        row = {"code": status, "description": said, "message": said, "error": said}
        for how in ({"json": [row]}, {"json": row}, {"text": f"<h1>{said}</h1>"}):
            async with playing(suite) as (adapter, far_end):
                far_end.play = answering(status, **how)
                outcome = await adapter.submit(suite.submission())
                holds(not isinstance(outcome, Accepted), f"HTTP {status} counts as done")
                holds(said not in repr(outcome), f"HTTP {status}: its words are in the detail")
                if far_end.calls:
                    kept = said in (getattr(outcome, "answer", None) or "")
                    holds(kept, f"HTTP {status}: give the outcome to gateway.sdk.answered")


@proves(
    "private.logs",
    Tier.BRONZE,
    "nothing of a person and no secret is logged or printed",
    "rien d'une personne et aucun secret n'est journalisé ni affiché",
)
async def logs(suite: AdapterUnderTest) -> None:
    with _heard() as heard:
        for play in (None, _echo(suite), _raising):
            async with playing(suite) as (adapter, far_end):
                if play is None:
                    suite.far_end_accepts(far_end.router)
                far_end.play = play if suite.speaks_http else None
                await _all_calls(suite, adapter)
    text = heard.getvalue()
    for word in (*suite.secrets, *suite.personal):
        holds(word not in text, "a secret or a person's data is logged")


async def _raising(request: httpx.Request) -> httpx.Response:
    return raising(httpx.ReadTimeout)(request)


async def _all_calls(suite: AdapterUnderTest, adapter: Adapter) -> None:
    await adapter.submit(suite.submission())
    for kind in adapter.capabilities.amends:
        await adapter.amend(suite.amendment(kind))
    for call in (
        lambda: adapter.webhook(suite.unsigned_hook()),
        lambda: adapter.find(REFERENCE) if suite.speaks_http else asyncio.sleep(0),
    ):
        try:
            await call()
        except LookupError:  # pragma: no cover - a suite without such routes
            continue
        except AssertionError:
            continue  # no route was planned for it


@contextmanager
def _heard() -> Iterator[io.StringIO]:
    """Capture what is printed, and what structlog or the standard library logs."""
    heard = io.StringIO()

    class _Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not record.name.startswith(("httpx", "httpcore", "asyncio")):
                heard.write(record.getMessage() + "\n")

    handler, root = _Hearing(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with (
            structlog.testing.capture_logs() as entries,
            redirect_stdout(heard),
            redirect_stderr(heard),
        ):
            yield heard
        heard.write(repr(entries))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


@proves(
    "private.addresses",
    Tier.SILVER,
    "nothing of a person stands in an address, where proxies log it",
    "rien d'une personne ne figure dans une adresse, que les serveurs journalisent",
    "http",
)
async def addresses(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        await adapter.submit(suite.submission())
        for call in far_end.calls:
            bare = httpx.Request("GET", call.url)
            for word in suite.personal:
                holds(not says(bare, word), "a person's data stands in an address")


@proves(
    "private.kept",
    Tier.BRONZE,
    "nothing of a request stays in the adapter once its call is over",
    "rien d'une demande ne reste dans l'adaptateur après l'appel",
    "http",
)
async def kept(suite: AdapterUnderTest) -> None:
    async with playing(suite) as (adapter, far_end):
        for status in (None, 422, 500):
            if status is None:
                suite.far_end_accepts(far_end.router)
            else:
                far_end.play = answering(status)
            await adapter.submit(suite.submission())
        for text in _texts_held(adapter):
            for word in (REFERENCE, *suite.personal):
                holds(word not in text, "the adapter keeps what a request held")


def _texts_held(adapter: Adapter) -> Iterator[str]:
    """Yield the texts that an adapter holds, without those of its context and its options."""
    skipped = (type, types.ModuleType, types.FunctionType, types.CodeType, Context, httpx.Client)
    seen = {id(adapter.context), id(adapter.options), id(adapter.context.client)}
    waiting: list[Any] = [getattr(adapter, "__dict__", {})]
    while waiting and len(seen) < LOOKED_AT:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, skipped):
            continue
        seen.add(id(one))
        if isinstance(one, str):
            yield one
        elif isinstance(one, bytes | bytearray):
            yield one.decode("utf-8", "replace")
        elif not isinstance(one, int | float | asyncio.AbstractEventLoop):
            waiting += gc.get_referents(one)


@proves(
    "submit.apart",
    Tier.BRONZE,
    "two requests at once do not mix",
    "deux demandes en même temps ne se mélangent pas",
    "http",
)
async def apart(suite: AdapterUnderTest) -> None:
    words = ("Alphonsine", "Berthilde")
    async with playing(suite) as (adapter, far_end):
        suite.far_end_accepts(far_end.router)
        await _both(suite, adapter, far_end, words)
        for call in far_end.creating:
            own = [word for word in words if says(call, word)]
            references = [one for one in (REFERENCE, _OTHER) if says(call, one)]
            holds(len(own) <= 1 and len(references) <= 1, "a call bears two requests")
            if own and references:
                same = words.index(own[0]) == (REFERENCE, _OTHER).index(references[0])
                holds(same, "a request leaves under the reference of another")
        sent = {word for word in words for call in far_end.creating if says(call, word)}
        holds(len(sent) == len(words), "of two requests at once, one does not leave")


_OTHER = "TDG-0SECOND00000000Z"


async def _both(
    suite: AdapterUnderTest, adapter: Adapter, far_end: PlayedFarEnd, words: tuple[str, str]
) -> None:
    arrived, here = asyncio.Event(), list[int]()

    async def play(request: httpx.Request) -> httpx.Response:
        await together(2, arrived, here)
        return await far_end.router.async_handler(request)

    far_end.play = play
    payloads: list[Mapping[str, Any]] = [suite.payload_saying(word) for word in words]
    submissions = [
        Submission(one, payload) for one, payload in zip((REFERENCE, _OTHER), payloads, strict=True)
    ]
    await asyncio.gather(*map(adapter.submit, submissions))
