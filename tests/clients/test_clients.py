"""The generated clients: as the document has them, and at work with the daemon's own routes."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from examples.half_connector import answer_to, desk_of
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from toodego_pivot import PivotClient, Problem
from toodego_pivot.models import PivotChange, PivotEvent, PivotFile, PivotStatus

from clients.generate.__main__ import generated
from gateway.sim.faults import ABORT
from gateway.sim.server import Running, run_server
from gateway.store import requests
from tests.web.harness import Gateway
from tests.web.pivot_town import OURS, SIGNING, THEIRS, URL, filed, pivot_town

ROOT = Path(__file__).resolve().parents[2]
PHP = shutil.which("php")
BRON, VILLEURBANNE = "69029", "69266"
SECRETS = {BRON: OURS, VILLEURBANNE: THEIRS}


def test_the_clients_are_as_the_document_makes_them() -> None:
    for name, text in generated(ROOT).items():
        found = (ROOT / name).read_text("utf-8")
        assert found == text, f"{name}: run `python -m clients.generate .`"


@asynccontextmanager
async def served(folder: Path, template: Path) -> AsyncIterator[tuple[Gateway, Running]]:
    """Our side on a socket, at the hour of the day: a half-connector has a clock of its own."""
    async with pivot_town(folder, template) as gw:
        gw.clock[0] = datetime.now(UTC)
        running = asyncio.create_task(gw.engine.lanes.run(gw.engine.lane_names()))
        async with run_server(gw.app) as at:
            yield gw, at
        running.cancel()
        await asyncio.wait([running])


def environ(at: Running, insee: str, folder: Path) -> dict[str, str]:
    return {
        "PIVOT_BASE_URL": at.url,
        "PIVOT_CLIENT_ID": f"{insee}.desk",
        "PIVOT_CLIENT_SECRET": SECRETS[insee],
        "PIVOT_SIGNING_SECRETS": SIGNING,
        "PIVOT_COMMUNE": insee,
        "PIVOT_ENVIRONMENT": "production",
        "PIVOT_MEMORY": str(folder / "memory"),
        "PIVOT_PAUSE": "0.02",
    }


async def until(holds: Callable[[], object], what: str) -> None:
    for _ in range(3000):
        found = holds()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"this did not come: {what}")


async def told(gw: Gateway, reference: str) -> bool:
    """Has the citizen been told, and is the commune's number known?"""
    trace = await gw.database.read(requests.trace, reference)
    assert trace is not None
    statuses = [one.status for one in trace.events if one.origin == "gru"]
    return statuses == ["accepted"] and trace.request.gru_reference == "T-1"


async def test_the_python_example_fetches_and_tells(tmp_path: Path, template: Path) -> None:
    async with served(tmp_path, template) as (gw, at):
        reference = await filed(gw, VILLEURBANNE)
        desk = desk_of(environ(at, VILLEURBANNE, tmp_path))
        assert await asyncio.to_thread(desk.fetch) == 1
        assert await asyncio.to_thread(desk.fetch) == 1, "the result is told"
        assert await asyncio.to_thread(desk.fetch) == 0
        assert await asyncio.to_thread(desk.tell_changes) is None
        assert await told(gw, reference)
        await known_and_refused(desk.client, reference)


async def known_and_refused(client: PivotClient, reference: str) -> None:
    same = PivotChange(key="T-1-accepted", status=PivotStatus.ACCEPTED)
    assert (await asyncio.to_thread(client.tell_change, reference, same)).known
    other = PivotChange(key="T-1-accepted", status=PivotStatus.DONE)
    with pytest.raises(Problem, match="key_conflict") as refused:
        await asyncio.to_thread(client.tell_change, reference, other)
    assert refused.value.again is None
    page = await asyncio.to_thread(client.events)
    assert [one.taken for one in page.items] == [True]
    assert isinstance(page.items[0].event, PivotEvent)


async def test_the_python_example_is_pushed_to(tmp_path: Path, template: Path) -> None:
    async with served(tmp_path, template) as (gw, at):
        desk = desk_of(environ(at, BRON, tmp_path))

        async def receive(request: httpx.Request) -> httpx.Response:
            answer = await asyncio.to_thread(
                answer_to, desk, [SIGNING], dict(request.headers), request.read()
            )
            return httpx.Response(answer.status, json=answer.body)

        gw.portal.post(URL).mock(side_effect=receive)
        gw.portal.route().mock(side_effect=lambda request: httpx.Response(403))
        reference = await filed(gw, BRON)
        await until(lambda: gone(gw, reference), "the number")
        assert await asyncio.to_thread(desk.tell_changes) is None
        assert await told(gw, reference)


async def gone(gw: Gateway, reference: str) -> bool:
    trace = await gw.database.read(requests.trace, reference)
    return trace is not None and trace.request.gru_reference is not None


async def test_a_file_is_read_on_where_it_broke_and_proven(tmp_path: Path) -> None:
    content, asked = os.urandom(100_000), list[str | None]()

    async def broken(request: Request) -> Response:
        asked.append(request.headers.get("range"))
        begin = int((asked[-1] or "bytes=0-")[6:-1])

        async def pieces() -> AsyncIterator[bytes]:
            yield content[begin : begin + 40_000]
            if begin == 0:
                request.scope["extensions"][ABORT]()
            yield content[begin + 40_000 :]

        headers = {"Content-Length": str(len(content) - begin)}
        return StreamingResponse(pieces(), 206 if begin else 200, headers)

    async with run_server(Starlette(routes=[Route("/f", broken)])) as at:
        client = PivotClient(at.url, "x", "y")
        file = PivotFile(
            field="photo",
            filename="p.bin",
            content_type="application/octet-stream",
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            url=f"{at.url}/f",
        )
        into = io.BytesIO()
        await asyncio.to_thread(client.download, file, into)
        assert into.getvalue() == content
        assert asked[0] is None
        assert asked[-1] not in (None, "bytes=0-")


@asynccontextmanager
async def php(*arguments: str, **settings: str) -> AsyncIterator[None]:
    """A program of the PHP example, until the block ends."""
    assert PHP is not None
    place = ROOT / "clients/php/examples"
    process = await asyncio.create_subprocess_exec(
        PHP, *arguments, cwd=place, env={**os.environ, **settings}, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield
        assert process.returncode is None, "it ended by itself"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@pytest.mark.skipif(PHP is None, reason="PHP is not installed here")
async def test_the_php_example_fetches_and_tells(tmp_path: Path, template: Path) -> None:
    async with served(tmp_path, template) as (gw, at):
        reference = await filed(gw, VILLEURBANNE)
        async with php("work.php", "mailbox", **environ(at, VILLEURBANNE, tmp_path)):
            await until(lambda: told(gw, reference), "what the example tells")


@pytest.mark.skipif(PHP is None, reason="PHP is not installed here")
async def test_the_php_example_is_pushed_to(tmp_path: Path, template: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    async with served(tmp_path, template) as (gw, at), httpx.AsyncClient() as client:

        async def forward(request: httpx.Request) -> httpx.Response:
            headers = {n: v for n, v in request.headers.items() if n != "host"}
            url = f"http://{address}/push.php"
            answer = await client.post(url, content=request.read(), headers=headers)
            return httpx.Response(answer.status_code, json=answer.json())

        gw.portal.post(URL).mock(side_effect=forward)
        gw.portal.route().mock(side_effect=lambda request: httpx.Response(403))
        settings = environ(at, BRON, tmp_path)
        async with php("-S", address, "push.php", **settings), php("work.php", **settings):
            await until(lambda: listens(address), "PHP's own server")
            reference = await filed(gw, BRON)
            await until(lambda: told(gw, reference), "what the example tells")


async def listens(address: str) -> bool:
    host, port = address.split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
