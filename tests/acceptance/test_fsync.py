"""The disk refuses to say that it has written: fsync fails under the running process.

SQLite rolls the transaction back, and the next one writes the same pages of its log again, so
that what had been committed before stays so and what comes after is synced anew: no restart is
needed. A PostgreSQL whose log cannot be synced panics and recovers by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.demo.samples import ANOMALY, sample
from tests.acceptance.test_disk import answers
from tests.acceptance.town import Town, open_town, until


@asynccontextmanager
async def failing_fsync(pid: int, log: Path) -> AsyncIterator[None]:
    """Each fsync and fdatasync of the process answers EIO, with nothing written."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace, which makes fsync fail, is not installed")
    tracer = await asyncio.create_subprocess_exec(
        *(strace, "-f", "-q", "-p", str(pid), "-o", str(log)),
        *("-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert tracer.stderr is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.5):  # it says nothing once it is attached
                said = (await tracer.stderr.read(200)).decode()
                pytest.skip(f"this process may not be traced here: {said.strip()}")
        yield
    finally:
        if tracer.returncode is None:
            tracer.send_signal(signal.SIGINT)
            await tracer.wait()


def form(town: Town) -> tuple[str, str]:
    """A citizen sends a form; not pushed yet."""
    item = town.stage.portal.submit_sample(sample(ANOMALY))
    return item.form.slug, item.id


async def refused(town: Town, key: tuple[str, str]) -> httpx.Response:
    answer = await answers(town, key)
    assert answer.status_code == 503, answer.text
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    return answer


async def test_what_was_not_synced_is_not_said_to_be_kept(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        gateway = town.gateway
        await gateway.start()
        town.send(3, 2)
        await until(lambda: all(task.done() for task in town.pushing), "all is taken")
        # These may be on their way as it begins: what they come to cannot be kept for a while.
        town.send(4, 2)
        log = tmp_path / "strace"
        async with failing_fsync(gateway.life.pid, log):
            keys = [form(town) for _ in range(3)]
            for key in keys:
                await refused(town, key)
            await until(lambda: unready(town), "readiness goes off")
            await asyncio.sleep(3)
            assert await gateway.readiness() == 503
            assert gateway.lives
        assert "EIO" in log.read_text()
        await until(lambda: ready(town), "it is ready again, without a restart")
        for key in keys:
            # 200: what the log held after all may have been found to be there. Once, either way.
            assert (await answers(town, key)).status_code in (200, 201)
            town.sent[key] = town.stage.portal.get(*key)
        await town.settle()
        assert len(town.sent) == 14


async def test_what_was_said_to_be_kept_outlives_the_process(tmp_path: Path) -> None:
    """Killed while fsync fails, and started again: each 2xx before it holds."""
    async with open_town(tmp_path) as town:
        gateway = town.gateway
        await gateway.start()
        town.send(4, 2)
        await until(lambda: all(task.done() for task in town.pushing), "all is taken")
        async with failing_fsync(gateway.life.pid, tmp_path / "strace"):
            key = form(town)
            await refused(town, key)
            await gateway.kill()
        await gateway.start()
        assert (await answers(town, key)).status_code in (200, 201)
        town.sent[key] = town.stage.portal.get(*key)
        await town.settle()


async def ready(town: Town) -> bool:
    return await town.gateway.readiness() == 200


async def unready(town: Town) -> bool:
    return await town.gateway.readiness() == 503
