"""Turns go around fairly, waiting is no failure, and idle connections make room."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.sdk import TryLater, classify_error
from gateway.wire.budget import CallBudget, CallSource, Sockets, Turns, budget, with_turn
from gateway.wire.clients import open_client
from tests.files import names

DESCRIPTORS = Path("/proc/self/fd")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def caller(commune: str, name: str = "a", far_end: str = "gru") -> CallSource:
    return CallSource(commune, far_end, f"{commune} {name}")


class Lane:
    """Has always more to send: takes a turn whenever it is woken, and notes it."""

    def __init__(self, turns: Turns, who: CallSource, order: list[CallSource]) -> None:
        self.turns, self.who, self.order = turns, who, order
        self.have = 0

    def wish(self, wanted: int = 1) -> None:
        self._had(self.turns.acquire(self.who, wanted, self.woken))

    def woken(self) -> None:
        self._had(self.turns.collect(self.who) or 1)

    def _had(self, turns: int) -> None:
        self.have += turns
        self.order += [self.who] * turns

    def over(self) -> None:
        self.have -= 1
        self.turns.give_back(self.who)


def test_turns_go_around_communes_and_not_around_callers() -> None:
    turns = Turns(2)
    order: list[CallSource] = []
    first = Lane(turns, caller("busy", "first"), order)
    first.wish(2)
    waiting = [Lane(turns, caller("busy", name), order) for name in "abcde"]
    waiting += [Lane(turns, caller(commune), order) for commune in ("small", "other")]
    for lane in waiting:
        lane.wish()
    assert turns.waiting == 7
    lanes = [first, *waiting]
    for _ in range(7):
        next(lane for lane in lanes if lane.have).over()
    assert [one.commune for one in order] == [
        *["busy", "busy"],
        *["busy", "small", "other", "busy", "busy", "busy", "busy"],
    ]
    assert turns.waiting == 0


def test_a_far_end_s_bound_holds_back_its_own_callers_alone() -> None:
    turns = Turns(10, {"portal:a": 2})
    order: list[CallSource] = []
    portal = [Lane(turns, caller(f"c{n}", far_end="portal:a"), order) for n in range(4)]
    for lane in portal:
        lane.wish()
    assert turns.under_way == 2
    Lane(turns, caller("c9"), order).wish(4)
    assert turns.under_way == 6, "others go past those who wait for the portal"
    portal[0].over()
    assert portal[2].have == 1
    assert turns.waiting == 1


def test_one_who_goes_leaves_nothing_behind() -> None:
    turns = Turns(1)
    order: list[CallSource] = []
    holder = Lane(turns, caller("a"), order)
    holder.wish()
    gone = Lane(turns, caller("b"), order)
    gone.wish()
    turns.stop_waiting(gone.who)
    holder.over()
    assert (turns.under_way, turns.waiting) == (0, 0)


async def test_a_wait_that_is_cancelled_passes_its_turn_on() -> None:
    turns = Turns(1)
    one, two, three = (caller(name) for name in "abc")
    await turns.wait(one)
    second = asyncio.create_task(turns.wait(two))
    third = asyncio.create_task(turns.wait(three))
    await asyncio.sleep(0)
    turns.give_back(one)  # the second's, who does not know yet
    second.cancel()
    await third
    turns.give_back(three)
    assert (turns.under_way, turns.waiting) == (0, 0)


async def test_of_what_is_open_the_longest_unused_goes_first() -> None:
    sockets = Sockets(4)
    closed: list[int] = []

    async def use(holder: int, calls: int) -> None:
        async def close() -> None:
            closed.append(holder)

        await sockets.using(holder, calls, close)

    await use(1, 1)
    await use(1, 2)
    await use(2, 1)
    sockets.used(1, 0)
    sockets.used(2, 0)
    await use(1, 1)
    assert sockets.open == 3, "a kept connection is used again"
    await use(3, 1)
    await use(4, 1)
    assert closed == [2], "the first has a call under way"
    assert sockets.open == 4


@pytest.mark.parametrize(("files", "calls"), [(64, 4), (256, 24), (1024, 120), (1 << 20, 1024)])
def test_what_may_be_open_is_shared_out(files: int, calls: int) -> None:
    shared = budget(files=files)
    assert shared.turns.most == calls
    assert shared.sockets.most >= 4 * calls
    assert shared.sockets.most <= max(16, files / 2)


# --- over real sockets ----------------------------------------------------------------------


class Slow:
    """Answers each call after a while; how many there were at once, and by whom."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = self.most = 0
        self.connections = 0
        self.served: Counter[str] = Counter()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.now += 1
                self.most = max(self.most, self.now)
                await asyncio.sleep(self.seconds)
                self.now -= 1
                self.served[head.split()[1].decode()] += 1
                writer.write(OK)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections -= 1
            writer.close()


@asynccontextmanager
async def slow(seconds: float) -> AsyncIterator[tuple[Slow, str]]:
    far = Slow(seconds)
    server = await asyncio.start_server(far, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield far, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_waiting_for_a_turn_is_no_part_of_a_call_s_time() -> None:
    shared = CallBudget(Turns(4, {"portal": 2}), Sockets(100))
    async with (
        slow(0.05) as (far, url),
        open_client(timeout=0.5, connections=None, shared=shared, far_end="portal") as client,
    ):
        answers = await asyncio.gather(*(client.get(f"{url}/{n}") for n in range(40)))
        assert {one.status_code for one in answers} == {200}
        assert far.most == 2
        # Who has a turn of a lane's needs no other.
        with with_turn():
            await asyncio.gather(*(client.get(f"{url}/{n}") for n in range(4)))
        assert far.most == 4
    assert shared.turns.under_way == 0


async def test_an_answer_that_nobody_closes_takes_no_turn_for_ever() -> None:
    shared = CallBudget(Turns(1), Sockets(10))
    async with slow(0) as (_, url), open_client(timeout=5, connections=1, shared=shared) as client:
        answer = await client.send(client.build_request("GET", url), stream=True)
        assert shared.turns.under_way == 1
        del answer
        gc.collect()
        assert (await client.get(url)).status_code == 200


@pytest.mark.slow
async def test_hundreds_of_far_ends_share_few_descriptors() -> None:
    """Each keeps a connection for the next call, and together they would have them all."""
    shared = budget(files=256)
    async with slow(0.001) as (_, url), AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                open_client(timeout=5, connections=2, shared=shared, commune=str(n))
            )
            for n in range(300)
        ]
        for _ in range(2):
            answers = await asyncio.gather(*(one.get(url) for one in clients))
            assert {one.status_code for one in answers} == {200}
            open_here = len(names(DESCRIPTORS))
            assert shared.sockets.open <= shared.sockets.most
            # The far end's side of each is in this process as well.
            assert open_here < 2 * shared.sockets.most + 100
    assert shared.sockets.open == 0


async def test_a_machine_without_descriptors_says_nothing_of_the_far_end() -> None:
    async with slow(0) as (_, url), open_client(timeout=5, connections=1) as client:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(map(int, names(DESCRIPTORS)))
        held: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, hard))
        try:
            while True:
                try:
                    held.append(os.dup(0))
                except OSError:
                    break
            with pytest.raises(httpx.PoolTimeout) as told:
                await client.get(url)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in held:
                os.close(one)
        outcome = classify_error(told.value, safe=False)
        assert outcome == TryLater("no_connection", "PoolTimeout")
