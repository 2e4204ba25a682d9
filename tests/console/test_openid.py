"""Signing in at an OpenID provider, and all that may be wrong with its answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.console.town import BRON, ORIGIN, VILLEURBANNE, Browser, ConsoleTown, console_town
from tests.web.openid_provider import CLIENT, ISSUER, OpenIdSim

OPENID = f"""\
  openid:
    issuer: {ISSUER}
    client_id: {CLIENT}
    client_secret: env:CONSOLE_SECRET
    label: Compte de la Métropole
    roles:
      - {{claim: groups, value: exploitation, role: operator}}
      - {{claim: groups, value: audit, role: auditor}}
      - {{claim: email, value: camille@bron.exemple.invalid, role: agent, communes: ["69029"]}}
"""
CAMILLE = {"email": "camille@bron.exemple.invalid", "email_verified": True, "name": "Camille F."}


@pytest.fixture
async def town(tmp_path: Path, template: Path) -> AsyncIterator[ConsoleTown]:
    async with console_town(tmp_path, template, more=OPENID) as running:
        yield running


@pytest.fixture
def provider(town: ConsoleTown) -> OpenIdSim:
    found = OpenIdSim(lambda: town.gw.clock[0], claims=CAMILLE | {"groups": ["autre"]})
    found.install(town.gw.portal)
    return found


async def begin(browser: Browser) -> str:
    sent = await browser.get("/console/fournisseur")
    assert sent.status_code == 303, sent.text
    return str(sent.headers["location"])


async def come_back(browser: Browser, provider: OpenIdSim) -> int:
    back = provider.signed_in(await begin(browser))
    assert back.startswith(f"{ORIGIN}/console/retour?")
    return (await browser.get(back)).status_code


async def test_people_come_from_their_provider_with_its_roles(
    town: ConsoleTown, provider: OpenIdSim
) -> None:
    async with town.browser() as mine:
        assert "Compte de la Métropole" in (await mine.get("/console/connexion")).text
        assert await come_back(mine, provider) == 303
        page = await mine.get("/console")
        assert "Camille F." in page.text
        assert "agent de commune" in page.text
        assert (await mine.get(f"/console/communes/{BRON}")).status_code == 200
        assert (await mine.get(f"/console/communes/{VILLEURBANNE}")).status_code == 404
    provider.claims["groups"] = ["exploitation", "audit"]
    async with town.browser() as mine:
        assert await come_back(mine, provider) == 303
        assert (await mine.get(f"/console/communes/{VILLEURBANNE}")).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        CAMILLE | {"email_verified": False},
        CAMILLE | {"email_verified": "true"},
        {"email": ["camille@bron.exemple.invalid"], "groups": {"exploitation": True}},
        {"groups": "exploitation-bis"},
        {},
    ],
)
async def test_who_has_no_role_does_not_get_in(
    town: ConsoleTown, provider: OpenIdSim, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    async with town.browser() as mine:
        assert await come_back(mine, provider) == 403
        assert (await mine.get("/console")).status_code == 303


def _another(url: str, **changed: str) -> str:
    parts = urlsplit(url)
    told = {name: one[0] for name, one in parse_qs(parts.query).items()} | changed
    return f"{parts.path}?{urlencode({k: v for k, v in told.items() if v})}"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda url: _another(url, state="autre"), 401),
        (lambda url: _another(url, state=""), 401),
        (lambda url: _another(url, code="volé"), 401),
        (lambda url: _another(url, iss="https://autre.exemple.invalid/"), 401),
        (lambda url: _another(url, error="access_denied", code=""), 401),
        (lambda url: "/console/retour", 401),
    ],
)
async def test_a_forged_answer_opens_nothing(
    town: ConsoleTown, provider: OpenIdSim, change: Callable[[str], str], status: int
) -> None:
    async with town.browser() as mine:
        back = provider.signed_in(await begin(mine))
        assert (await mine.get(change(back))).status_code == status
        assert (await mine.get("/console")).status_code == 303


async def test_an_answer_is_good_once_and_in_one_browser(
    town: ConsoleTown, provider: OpenIdSim
) -> None:
    async with town.browser() as mine, town.browser() as thief:
        back = provider.signed_in(await begin(mine))
        await begin(thief)
        assert (await thief.get(back)).status_code == 401
        cookie = mine.client.cookies["__Host-console-fournisseur"]
        assert (await mine.get(back)).status_code == 303
        mine.client.cookies.set("__Host-console-fournisseur", cookie)
        assert (await mine.get(back)).status_code == 401
    assert town.gw.engine.refusals.counts["refused_sign_ins"] == 2


@pytest.mark.parametrize(
    "wrong",
    [{"nonce": "autre"}, {"aud": "autre"}, {"iss": "https://autre.exemple.invalid/"}, {"exp": 1}],
)
async def test_a_token_for_somebody_else_opens_nothing(
    town: ConsoleTown, provider: OpenIdSim, wrong: dict[str, Any]
) -> None:
    provider.changed = wrong
    async with town.browser() as mine:
        assert await come_back(mine, provider) == 401


async def test_a_provider_that_is_away_is_said(town: ConsoleTown, provider: OpenIdSim) -> None:
    provider.down = True
    async with town.browser() as mine:
        answer = await mine.get("/console/fournisseur")
        assert answer.status_code == 503
        assert "fournisseur d" in answer.text
        assert (await mine.get("/console/connexion")).status_code == 200
