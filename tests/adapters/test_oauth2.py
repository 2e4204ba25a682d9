"""The OAuth2 client of the sdk: one token for all, left when it ends or is turned away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from gateway.sdk import (
    ClientCredentials,
    JwtBearer,
    Misconfigured,
    Outcome,
    RefreshToken,
    Token,
    TokenKeeper,
    TryLater,
)
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


# --- a person's consent ---------------------------------------------------------------------


def form_of(route: respx.Route, number: int = -1) -> dict[str, str]:
    return dict(httpx.QueryParams(route.calls[number].request.content.decode()))


@respx.mock
async def test_a_refresh_token_that_is_replaced_is_kept(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    route = respx.post(URL).respond(json={"access_token": "a", "refresh_token": "second"})
    kept = tmp_path / "jeton.json"

    def account(first: str = "premier") -> RefreshToken:
        return RefreshToken(URL, "id", first, "mot-de-passe", kept_in=kept)

    assert await account().fetch(client) == Token("a")
    assert form_of(route) == {"grant_type": "refresh_token", "refresh_token": "premier"}
    assert kept.stat().st_mode & 0o777 == 0o600
    route.respond(json={"access_token": "b", "refresh_token": "troisième"})
    again = account()
    await again.fetch(client)
    assert form_of(route)["refresh_token"] == "second", "another process goes on with the newest"
    await again.fetch(client)
    assert form_of(route)["refresh_token"] == "troisième"
    await account("nouveau consentement").fetch(client)
    assert form_of(route)["refresh_token"] == "nouveau consentement"
    assert "premier" not in repr(account())
    assert "troisième" not in repr(again)


@respx.mock
async def test_a_refresh_token_without_a_file_or_a_secret(client: httpx.AsyncClient) -> None:
    route = respx.post(URL).respond(json={"access_token": "a", "refresh_token": "second"})
    account = RefreshToken(URL, "id", "premier", client_auth="none", scope="api")
    await account.fetch(client)
    await account.fetch(client)
    wanted = {"grant_type": "refresh_token", "refresh_token": "second"}
    assert form_of(route) == {**wanted, "scope": "api", "client_id": "id"}
    assert "authorization" not in route.calls[0].request.headers
    route.respond(400, json={"error": "invalid_grant"})
    refused = await account.fetch(client)
    assert isinstance(refused, Misconfigured)
    assert refused.reason == "oauth2_refused"


@respx.mock
async def test_a_refresh_token_that_cannot_be_kept_is_told(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    respx.post(URL).respond(json={"access_token": "a", "refresh_token": "second"})
    account = RefreshToken(URL, "id", "premier", kept_in=tmp_path / "absent" / "jeton.json")
    told = await account.fetch(client)
    assert isinstance(told, Misconfigured)
    assert told.reason == "oauth2_unkept"
    assert "second" not in told.detail


# --- a signed assertion ---------------------------------------------------------------------


def pem() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.PKCS8
    nothing = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, nothing).decode()


@respx.mock
async def test_an_assertion_is_signed_by_our_key(client: httpx.AsyncClient) -> None:
    route = respx.post(URL).respond(json={"access_token": "a"})
    key = pem()
    account = JwtBearer(URL, "toodego", key, URL, "agent@exemple.invalid", "ES256", "k1")
    assert await account.fetch(client) == Token("a")
    form = form_of(route)
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    read = jwt.decode(form["assertion"], ECKey.import_key(key), algorithms=["ES256"])
    assert read.header["kid"] == "k1"
    claims = read.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == (
        "toodego",
        "agent@exemple.invalid",
        URL,
    )
    assert 0 < claims["exp"] - claims["iat"] <= 300
    assert "PRIVATE" not in repr(account)


async def test_a_key_that_is_none_is_told_without_a_word_of_it(client: httpx.AsyncClient) -> None:
    for wrong in ("ceci-est-secret", pem()):
        told = await JwtBearer(URL, "i", wrong, URL).fetch(client)
        assert isinstance(told, Misconfigured)
        assert told.reason == "oauth2_key"
        assert "secret" not in json.dumps([told.reason, told.detail])
