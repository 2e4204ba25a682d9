"""Answers of no gateway: each call of the clients ends with an error that they promise."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from toodego_pivot import PivotClient, PivotError, Unreadable
from toodego_pivot.models import PivotFile

from gateway.sim.server import run_server
from tests.clients.test_clients import PHP, ROOT

TOKEN: dict[str, Any] = {"access_token": "jeton", "token_type": "Bearer", "expires_in": 3600}
PAGE = {"items": [], "last_seq": 0, "more": False}
#: By the name of the case: the token's answer, and that of the call; None: elsewhere.
CASES: dict[str, tuple[bytes | None, bytes | None]] = {
    "deep": (b"[" * 100_000, b""),
    "deep answer": (json.dumps(TOKEN).encode(), b'{"a":' * 50_000),
    "two lines": (json.dumps({**TOKEN, "access_token": "a\r\nX-More: 1"}).encode(), b""),
    "no header": (json.dumps({**TOKEN, "access_token": "é😀"}).encode(), b""),
    "empty": (json.dumps({**TOKEN, "access_token": ""}).encode(), b""),
    "half": (b'{"access_token": "\\ud800", "token_type": "B", "expires_in": 9}', b""),
    "elsewhere": (None, b""),
    "answer elsewhere": (json.dumps(TOKEN).encode(), None),
}
PHP_CALLS = r"""
require $argv[1] . "/clients/php/src/autoload.php";
set_error_handler(static fn (int $n, string $text) => throw new \ErrorException($text));
foreach (array_slice($argv, 3) as $name) {
    try {
        (new Toodego\Pivot\PivotClient("$argv[2]/" . rawurlencode($name), "a", "s"))->events();
        echo "$name: taken\n";
    } catch (Toodego\Pivot\PivotError | Toodego\Pivot\Unreadable) {
    }
}
try {
    Toodego\Pivot\Reading::moment(["at" => "tomorrow"], "at");
    echo "tomorrow: taken\n";
} catch (Toodego\Pivot\Unreadable) {
}
"""


@asynccontextmanager
async def hostile() -> AsyncIterator[tuple[str, list[Request]]]:
    """A server of all cases, each below its name; and the calls that went elsewhere, or bore more
    headers than one."""
    odd = list[Request]()

    async def answer(request: Request) -> Response:
        if request.url.path == "/elsewhere" or "x-more" in request.headers:
            odd.append(request)
        case = CASES.get(request.path_params.get("case", ""), (b"", b""))
        body = case[0 if request.url.path.endswith("/token") else 1]
        return RedirectResponse("/elsewhere", 307) if body is None else Response(body)

    routes = [Route("/{case}/{rest:path}", answer, methods=["GET", "POST"])]
    routes.append(Route("/elsewhere", answer, methods=["GET", "POST"]))
    async with run_server(Starlette(routes=routes)) as at:
        yield at.url, odd


async def test_python_raises_what_it_promises_and_goes_nowhere_else() -> None:
    async with hostile() as (url, odd):
        for name in CASES:
            client = PivotClient(f"{url}/{name.replace(' ', '%20')}", "a", "secret-inventé")
            with pytest.raises((PivotError, Unreadable)) as raised:
                await asyncio.to_thread(client.events)
            assert "secret" not in str(raised.value), name
    assert odd == []


@pytest.mark.skipif(PHP is None, reason="PHP is not installed here")
async def test_php_throws_what_it_promises_and_goes_nowhere_else() -> None:
    async with hostile() as (url, odd):
        words = [str(PHP), "-r", PHP_CALLS, str(ROOT), url, *CASES]
        done = await asyncio.to_thread(subprocess.run, words, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert odd == []


@pytest.mark.parametrize("seconds", [10**400, -5, 0, 60])
async def test_a_token_s_life_is_bounded(seconds: int) -> None:
    told = [json.dumps({**TOKEN, "expires_in": seconds}).encode(), json.dumps(PAGE).encode()]

    async def answer(request: Request) -> Response:
        return Response(told[0 if request.url.path.endswith("/token") else 1])

    routes = [Route("/{rest:path}", answer, methods=["GET", "POST"])]
    async with run_server(Starlette(routes=routes)) as at:
        page = await asyncio.to_thread(PivotClient(at.url, "a", "b").events)
    assert page.items == ()


@pytest.mark.parametrize(
    "url",
    [
        "http://[faux/x",
        "http://hôte.exemple/x",
        "http://" + "a" * 300 + "/",
        "http://\ud800/",
        "http://127.0.0.1:1/é",
        "http://127.0.0.1:1/a\r\nX-More: 1",
        "http://127.0.0.1:99999/",
        "http:///x",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_link_that_is_no_address_is_told_as_that(url: str) -> None:
    file = PivotFile("text/plain", "photo", "a.txt", "0" * 64, 5, url=url)
    with pytest.raises((PivotError, Unreadable)):
        PivotClient("http://127.0.0.1:1", "a", "b").download(file, io.BytesIO())


async def test_an_answer_that_breaks_off_is_asked_for_again() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + json.dumps(TOKEN).encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(PivotError, match="whole") as raised:
            await asyncio.to_thread(PivotClient(url, "a", "b").events)
    assert raised.value.again == 5.0
