"""`pivot listen` between the sandbox and a program on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.errors import GatewayError
from gateway.sandbox.files import CLIENT_ID
from gateway.sandbox.http import SandboxApp
from gateway.sandbox.listening import ForwardedMessage, Listener
from tests.sandbox.town import SLUG, URL, Town, open_town

TARGET = "http://demi.exemple.invalid/toodego"


@dataclass
class Listening:
    listener: Listener
    shown: list[ForwardedMessage] = field(default_factory=list)

    async def until(self, reached: Callable[[], bool]) -> None:
        """Run until it is so; then stop as Ctrl-C does."""
        running = asyncio.create_task(self.listener.run())
        async with asyncio.timeout(60):
            while True:
                if reached() or running.done():
                    break
                await asyncio.sleep(0.01)
        self.listener.stop.set()
        await running


@dataclass
class AsProduction(httpx.AsyncBaseTransport):
    """Answers as a gateway does whose commune is in production."""

    inner: httpx.AsyncBaseTransport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self.inner.handle_async_request(request)
        content = (await answer.aread()).replace(b'"test"', b'"production"')
        return httpx.Response(answer.status_code, content=content)


@asynccontextmanager
async def listening(
    town: Town, receive: Callable[[httpx.Request], httpx.Response], **changes: Any
) -> AsyncIterator[Listening]:
    local = httpx.MockTransport(receive)
    async with httpx.AsyncClient(transport=local) as program:
        listener = Listener(
            gateway=town.client,
            local=program,
            base_url=URL,
            client_id=CLIENT_ID,
            client_secret=town.sandbox.secrets.client,
            target=TARGET,
            signing=town.sandbox.secrets.signing,
            show=lambda one: made.shown.append(one),
            away=lambda status, seconds: None,
        )
        for name, value in changes.items():
            setattr(listener, name, value)
        made = Listening(listener)
        yield made


async def test_each_message_is_pushed_once_and_settled_by_the_answer(
    tmp_path: Path, template: Path
) -> None:
    async with open_town(tmp_path, template) as town:
        for _ in range(3):
            await town.provoke("plain", teleservice=SLUG)
        async with listening(town, town.vendor.receive) as one:
            await one.until(lambda: len(one.shown) >= 3)
        assert [(shown.status, shown.result) for shown in one.shown] == [(200, "done")] * 3
        assert len(town.vendor.taken) == 3
        state = (await town.client.get("/sandbox/v1/state")).json()
        assert state["waiting"] == 0  # settled when it was stopped, too
        # A line has no personal data: type, our reference, the answer.
        assert {shown.type for shown in one.shown} == {"request.created"}


async def test_what_the_program_does_not_take_comes_again(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        await town.provoke("plain", teleservice=SLUG)
        answers = [httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(422)]
        async with listening(town, lambda request: answers.pop(0)) as one:
            await one.until(lambda: len(one.shown) == 1)
            assert [shown.result for shown in one.shown] == ["later"]
            town.sandbox.move(30)
        async with listening(town, lambda request: answers.pop(0)) as again:
            await again.until(lambda: len(again.shown) == 1)
        assert [(shown.status, shown.result) for shown in again.shown] == [(422, "refused")]


async def test_a_feed_is_forwarded_and_gone_on_with(tmp_path: Path, template: Path) -> None:
    cursor = tmp_path / "cursor"
    async with open_town(tmp_path, template, push=True) as town:
        await town.provoke("plain", teleservice=SLUG)
        async with listening(town, town.vendor.receive, cursor=cursor) as one:
            await one.until(lambda: cursor.exists())
        first = cursor.read_text()
        await town.provoke("plain", teleservice=SLUG)
        async with listening(town, town.vendor.receive, cursor=cursor) as two:
            await two.until(lambda: cursor.read_text() != first)
        assert [len(listened.shown) for listened in (one, two)] == [1, 1]
        assert one.shown[0].reference != two.shown[0].reference


async def test_real_people_and_wrong_credentials_end_it(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template) as town:
        async with listening(town, town.vendor.receive, client_secret="not-it") as wrong:
            with pytest.raises(GatewayError, match="does not know"):
                await wrong.until(lambda: False)
        await town.provoke("plain", teleservice=SLUG)
        passing = AsProduction(httpx.ASGITransport(SandboxApp(town.sandbox)))
        async with (
            httpx.AsyncClient(transport=passing, base_url=URL) as real,
            listening(town, town.vendor.receive, gateway=real) as one,
        ):
            with pytest.raises(GatewayError, match="real people"):
                await one.until(lambda: False)
        assert one.shown == []
        assert len((await town.claim())["items"]) == 1  # it was given back
