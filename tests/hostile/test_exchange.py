"""`gateway.sdk.send` over real sockets: whatever a far end answers costs its own call alone."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from functools import partial

import orjson
import pytest

from gateway.core import reasons
from gateway.ops.stalls import StallMeter
from gateway.sdk import Answer, Outcome, TryLater, Unsure, failure_of, read_xml, send
from gateway.wire.clients import open_client
from tests.hostile.answers import bad_answers, drip, far_end, head, whole
from tests.hostile.bounds import MOST_STALLED, TRIES

BAD = bad_answers()
LIMIT = 5_000_000


def xml(content: bytes, charset: str | None) -> object:
    return read_xml(content)


async def tried(name: str, *, safe: bool) -> tuple[Answer | Outcome, float]:
    """Return the result of the call, and the loop's longest stall meanwhile."""
    read = partial(send, read=xml) if "XML" in name else send
    async with far_end(BAD[name]) as url, open_client(timeout=0.2, connections=1) as client:
        request = client.build_request("POST", url, content=b"{}")
        with StallMeter() as stalls:
            async with asyncio.timeout(20):
                got = await read(client, request, safe=safe, limit=LIMIT)
    return got, stalls.longest


@pytest.mark.parametrize(
    ("name", "safe"),
    [*((name, True) for name in BAD), ("a gzip bomb", False), ("a drip of the body", False)],
)
async def test_a_bad_answer_ends_bounded(name: str, safe: bool) -> None:
    for _ in range(TRIES):
        got, stalled = await tried(name, safe=safe)
        if stalled < MOST_STALLED:
            break
    outcome = failure_of(got, safe=safe) if isinstance(got, Answer) else got
    if name in ("escapes", "no UTF-8"):
        assert outcome is None, "there is nothing wrong with it but its size"
    else:
        assert isinstance(outcome, TryLater if safe else Unsure)
        assert reasons.of(outcome.reason).about is reasons.About.FAR_END
    assert stalled < MOST_STALLED


async def test_memory_stays_within_a_few_times_the_bound() -> None:
    """A GRU that answers without end, plain or gzipped, costs what the bound allows."""
    names = ("a gzip bomb", "an answer without end")
    tracemalloc.start()
    try:
        for name in names:
            async with far_end(BAD[name]) as url, open_client(timeout=5, connections=1) as client:
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                await send(client, client.build_request("GET", url), safe=True, limit=LIMIT)
                peak = tracemalloc.get_traced_memory()[1] - before
                assert peak < 4 * LIMIT, name
    finally:
        tracemalloc.stop()


async def test_an_answer_within_its_bound_costs_a_few_times_its_size() -> None:
    row = {"id": 1, "subject": "Nid de poule", "status": {"name": "Ouvert"}, "notes": "x" * 200}
    answers = {
        "rows": orjson.dumps([row] * 10_000),
        "a file": orjson.dumps([{"id": 1, "content": "A" * 3_000_000}]),
    }
    for name, body in answers.items():
        async with (
            far_end(whole(head(), body)) as url,
            open_client(timeout=5, connections=1) as client,
        ):
            request = client.build_request("GET", url)
            tracemalloc.start()
            try:
                got = await send(client, request, safe=True)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert isinstance(got, Answer)
        assert got.value is not None
        assert peak < 6 * len(body), name


async def test_a_slow_answer_that_gets_on_has_its_time() -> None:
    """20 kB each 50 ms for longer than the call's timeouts: it comes, only slowly."""
    parts = [b"[" + b" " * 20_000] + [b" " * 20_000] * 20 + [b"]"]

    async def pieces() -> AsyncIterator[bytes]:
        yield head()
        for part in parts:
            await asyncio.sleep(0.05)
            yield part

    async with far_end(pieces) as url, open_client(timeout=0.3, connections=1) as client:
        got = await send(client, client.build_request("GET", url), safe=True)
    assert isinstance(got, Answer)
    assert got.value == []


async def test_a_read_is_tried_again_when_the_line_breaks_and_a_write_is_not() -> None:
    calls = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal calls
        calls += 1
        yield head("Content-Length: 10") + b"[]"

    for safe, often, outcome in ((True, 3, TryLater), (False, 1, Unsure)):
        calls = 0
        async with far_end(pieces) as url, open_client(timeout=5, connections=1) as client:
            got = await send(client, client.build_request("GET", url), safe=safe)
        assert (type(got), calls) == (outcome, often)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw", "x-gzip"])
async def test_what_was_asked_for_is_decoded(coding: str) -> None:
    packed = {"gzip": 31, "x-gzip": 31, "deflate": 15, "raw": -15}
    packer = zlib.compressobj(wbits=packed[coding])
    body = packer.compress(b'{"sujet": "d\xc3\xa9j\xc3\xa0"}') + packer.flush()
    named = "deflate" if coding == "raw" else coding
    answer = whole(head(f"Content-Encoding: {named}", "X-Serveur: d\xe9"), body)
    async with far_end(answer) as url, open_client(timeout=5, connections=1) as client:
        got = await send(client, client.build_request("GET", url), safe=True)
    assert isinstance(got, Answer)
    assert (got.value, got.headers["x-serveur"]) == ({"sujet": "déjà"}, "dé")


async def test_a_compressed_file_that_is_cut_is_no_file() -> None:
    body = gzip.compress(b"x" * 100_000)[:-20]
    answer = whole(head("Content-Encoding: gzip"), body)
    async with far_end(answer) as url, open_client(timeout=5, connections=1) as client:
        got = await send(client, client.build_request("GET", url), safe=True, read=None)
    assert isinstance(got, TryLater)
    assert got.reason == "unreadable_answer"


async def test_waiting_for_a_turn_is_no_part_of_a_call() -> None:
    """The one connection is taken for longer than the second call's own time."""
    slow = drip(head(), b" ", 0.02)
    async with far_end(slow) as url, open_client(timeout=0.3, connections=1) as client:
        requests = [client.build_request("GET", url) for _ in range(2)]
        got = await asyncio.gather(*(send(client, one, safe=False) for one in requests))
    assert [type(one) for one in got] == [Unsure] * 2
    assert all(isinstance(one, Unsure) and one.reason == "timeout" for one in got)


async def test_a_timeout_is_that_of_the_whole_call() -> None:
    """Not the gap between two bytes, nor as much again to connect, nor again for each try."""
    loop = asyncio.get_running_loop()
    slow = drip(head(), b" ", 0.02)
    async with far_end(slow) as url, open_client(timeout=0.4, connections=1) as client:
        for safe, outcome in ((True, TryLater), (False, Unsure)):
            begun = loop.time()
            got = await send(client, client.build_request("GET", url), safe=safe)
            assert isinstance(got, outcome)
            assert got.reason == "timeout"
            assert 0.39 < loop.time() - begun < 0.4 + LATE
    cut = 0

    async def breaks() -> AsyncIterator[bytes]:
        nonlocal cut
        cut += 1
        await asyncio.sleep(0.3)
        yield head("Content-Length: 10") + b"[]"

    async with far_end(breaks) as url, open_client(timeout=0.4, connections=1) as client:
        begun = loop.time()
        got = await send(client, client.build_request("GET", url), safe=True)
        assert isinstance(got, TryLater)
        assert (got.reason, cut) == ("timeout", 2)
        assert loop.time() - begun < 0.4 + LATE


#: A loaded machine may come so much later to the end of a call, in seconds.
LATE = 2.0


async def test_who_cannot_be_connected_to_was_sent_nothing() -> None:
    """A far end that takes the connection and never speaks TLS: half of the time, and no doubt."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/"
        async with open_client(timeout=0.4, connections=1) as client:
            begun = loop.time()
            got = await send(client, client.build_request("POST", url, content=b"{}"), safe=False)
            taken = loop.time() - begun
    assert isinstance(got, TryLater), "it was not sent: nothing is unsure"
    assert 0.19 < taken < 0.2 + LATE
