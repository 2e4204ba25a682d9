"""Work that takes too long is given up for its own request, and takes nothing from the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Semaphore

import pytest

from gateway.core.outcome import TryLater, Unsure
from gateway.sdk import Answer, TookTooLong, beside, failure_of, send, work
from gateway.wire.clients import open_client
from tests.hostile.answers import far_end, head, whole
from tests.web.harness import Gateway, gateway, small
from tests.web.test_events import HOOK, TOKEN

LARGE = 10 * work.SMALL
LIST = b'{"tickets":[' + b",".join([b"{}"] * LARGE) + b"]}"


@pytest.fixture
async def gw(tmp_path: Path, template: Path) -> AsyncIterator[Gateway]:
    async with gateway(tmp_path, template) as running:
        yield running


@contextmanager
def held() -> Iterator[Callable[[], bool]]:
    """Work that does not end before the block."""
    over = threading.Event()
    try:
        yield lambda: over.wait(60)
    finally:
        over.set()


@asynccontextmanager
async def all_at_it(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Every thread is at something that was given up."""
    with held() as endless, monkeypatch.context() as patched:
        patched.setattr(work, "SECONDS", 0.05)
        while work.threads.lingering < work.THREADS:
            with pytest.raises(TookTooLong):
                await beside(LARGE, endless)
        yield
    async with asyncio.timeout(60):
        while work.threads.lingering:  # noqa: ASYNC110 - a thread's end sets no event of the loop
            await asyncio.sleep(0.001)


async def test_it_is_given_up_and_its_thread_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[int] = []
    async with all_at_it(monkeypatch):
        before = work.threads.given_up
        assert await asyncio.to_thread(lambda: "done") == "done", "files and the database go on"
        assert await beside(10, lambda: "done") == "done", "so does what is small"
        with pytest.raises(TookTooLong):
            await beside(LARGE, lambda: begun.append(1))
    assert not begun, "what found no thread is not begun any more"
    assert work.threads.given_up == before + 1
    assert await beside(LARGE, lambda: "done") == "done"


async def test_who_takes_long_takes_a_share_of_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: one GRU had all of them for 20 s, and the others' large pushes were told to wait."""
    threads, begun = work.WorkerThreads(), Semaphore(0)
    with held() as endless:

        def long() -> bool:
            begun.release()
            return endless()

        with work.work_of("gru:69029:outil"):
            theirs = [asyncio.create_task(threads.run(long)) for _ in range(3 * work.THREADS)]
        for _ in range(work.SHARE):
            assert await asyncio.to_thread(begun.acquire, timeout=60)
        for other in ("gru:69266:outil", "toodego ", ""):
            with work.work_of(other):
                assert await threads.run(lambda: "done") == "done"
        assert not begun.acquire(blocking=False), "the rest of theirs waits"
        theirs.pop().cancel()
        monkeypatch.setattr(work, "SECONDS", 0.05)
        with work.work_of("gru:69029:outil"), pytest.raises(TookTooLong):
            await threads.run(long)
    assert all(await asyncio.gather(*theirs)), "each has its turn"


async def test_an_error_of_the_work_itself_is_not_its_time() -> None:
    def fails() -> None:
        raise TimeoutError("of a file")

    with pytest.raises(TimeoutError):
        await beside(LARGE, fails)


async def test_a_push_is_told_to_come_again(gw: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    form = small("8", fields={"commune_raw": "69029", "description": "x" * LARGE})
    async with all_at_it(monkeypatch):
        answer = await gw.push(form)
        assert (answer.status_code, answer.json()["err_code"]) == (503, "took_too_long")
        assert answer.headers["retry-after"] == "30"
        assert (await gw.push(small("7"))).status_code == 201
        counted = await gw.client.get("/ops/metrics")
        assert f"gru_gateway_work_lingering {float(work.THREADS)}" in counted.text
    assert (await gw.push(form)).status_code == 201


async def test_a_webhook_is_told_to_come_again(
    gw: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with all_at_it(monkeypatch):
        answer = await gw.client.post(HOOK, content=b" " * LARGE, headers=TOKEN)
        assert (answer.status_code, answer.json()["code"]) == (503, "took_too_long")


@pytest.mark.parametrize(("safe", "kind"), [(True, TryLater), (False, Unsure)])
async def test_an_answer_is_in_doubt(
    safe: bool, kind: type[TryLater | Unsure], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        all_at_it(monkeypatch),
        far_end(whole(head(), LIST)) as url,
        open_client(timeout=20, connections=1) as client,
    ):
        got = await send(client, client.build_request("POST", url), safe=safe)
    assert isinstance(got, Answer)
    told = failure_of(got, safe=safe)
    assert isinstance(told, kind)
    assert told.reason == "took_too_long"
