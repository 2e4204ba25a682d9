"""The OAuth2 client of the sdk: one token for all, left when it ends or is turned away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import respx

from gateway.sdk import ClientCredentials, Misconfigured, Outcome, Token, TokenKeeper, TryLater
from gateway.wire.clients import open_client

NOW = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
URL = "https://tokens.exemple.invalid/token"


class Endpoint:
    """Gives what it is told to, once `open` is set."""

    def __init__(self, *given: Token | Outcome) -> None:
        self.given = list(given)
        self.open = asyncio.Event()
        self.asked = 0

    async def fetch(self) -> Token | Outcome:
        self.asked += 1
        await self.open.wait()
        return self.given.pop(0)


async def test_all_who_wait_share_one_fetch_and_what_came_of_it() -> None:
    endpoint = Endpoint(TryLater("no_token", "HTTP 503"), Token("a"))
    keeper = TokenKeeper(endpoint.fetch, lambda: NOW)
    waiting = [asyncio.create_task(keeper.get()) for _ in range(5)]
    await asyncio.sleep(0)
    endpoint.open.set()
    assert await asyncio.gather(*waiting) == [TryLater("no_token", "HTTP 503")] * 5
    assert endpoint.asked == 1
    assert await keeper.get() == Token("a"), "who comes later asks anew"
    assert endpoint.asked == 2


async def test_a_caller_that_gives_up_takes_nobody_along() -> None:
    endpoint = Endpoint(Token("a"))
    keeper = TokenKeeper(endpoint.fetch, lambda: NOW)
    first, second = (asyncio.create_task(keeper.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    endpoint.open.set()
    assert await second == Token("a")
    assert first.cancelled()


async def test_a_token_that_was_turned_away_late_does_not_cost_the_new_one() -> None:
    endpoint = Endpoint(Token("a"), Token("b"))
    endpoint.open.set()
    keeper = TokenKeeper(endpoint.fetch, lambda: NOW)
    await keeper.get()
    keeper.forget("a")
    assert await keeper.get() == Token("b")
    keeper.forget("a")
    assert await keeper.get() == Token("b")
    assert endpoint.asked == 2


@pytest.mark.parametrize(("life", "used"), [(300, 269), (20, 9), (None, 10**8)])
async def test_a_token_is_left_before_it_ends(life: float | None, used: float) -> None:
    now = NOW
    lasting = None if life is None else timedelta(seconds=life)
    endpoint = Endpoint(Token("a", lasting), Token("b", lasting))
    endpoint.open.set()
    keeper = TokenKeeper(endpoint.fetch, lambda: now)
    await keeper.get()
    now += timedelta(seconds=used)
    assert await keeper.get() == Token("a", lasting)
    if life is not None:
        now += timedelta(seconds=2)
        assert await keeper.get() == Token("b", lasting)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(timeout=5, connections=1, transport=httpx.AsyncHTTPTransport()) as one:
        yield one


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {"access_token": "a", "expires_in": "60"}), Token("a", timedelta(seconds=60))),
        ((200, {"access_token": "a", "expires_in": -1}), Token("a")),
        ((200, {"access_token": "a", "expires_in": True}), Token("a")),
        ((200, {"access_token": "a\n"}), "oauth2_refused"),
        ((200, ["a"]), "oauth2_refused"),
        ((200, None), "oauth2_refused"),
        ((401, {"error": "invalid_client"}), "oauth2_refused"),
        ((302, None), "oauth2_refused"),
        ((429, None), "no_token"),
        ((503, None), "no_token"),
    ],
)
@respx.mock
async def test_what_a_token_endpoint_says(
    client: httpx.AsyncClient, answer: tuple[int, Any], told: Token | str
) -> None:
    status, body = answer
    route = respx.post(URL)
    route.respond(status, json=body) if body is not None else route.respond(status)

    asked = ClientCredentials(URL, "id", "mot-de-passe", "s", parameters={"audience": "gru"})
    got = await asked.fetch(client)
    if isinstance(told, Token):
        assert got == told
    else:
        assert isinstance(got, Misconfigured | TryLater)
        assert got.reason == told
    asked_for = route.calls[0].request
    assert asked_for.extensions["timeout"]["read"] == 5, "bounded in time as any call"
    form = dict(httpx.QueryParams(asked_for.content.decode()))
    assert form == {"grant_type": "client_credentials", "scope": "s", "audience": "gru"}
    assert "mot-de-passe" not in repr(asked)
