"""People get in, for a while; forms of their own pages are taken."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest

from gateway.core.console import ConsoleRole, granted
from gateway.flow.console import accounts
from gateway.flow.console.sign_in import LOCK, MOST
from gateway.store.console import PersonalAct
from gateway.store.recording import RecordingStore
from tests.console.town import BRON, ORIGIN, TOKENS, VILLEURBANNE, Browser, ConsoleTown, state_of

PASSWORD = "correct cheval pile agrafe"
OTHER_SITE = {"Origin": "https://ailleurs.exemple.invalid", "Sec-Fetch-Site": "cross-site"}


def recording(town: ConsoleTown) -> RecordingStore:
    act = PersonalAct("console.user", "test", "cli", "")
    return RecordingStore(town.gw.database, act, lambda: town.gw.clock[0])


async def add(town: ConsoleTown, name: str, role: ConsoleRole = ConsoleRole.OPERATOR) -> str:
    """Add an account; return the secret of its link."""
    communes = [BRON] if role is ConsoleRole.AGENT else []
    _, secret = await accounts.add_user(recording(town), name, role, communes, town.gw.clock[0])
    return secret


async def choose(browser: Browser, link: str, password: str = PASSWORD) -> int:
    page = await browser.get(f"/console/ouverture?lien={link}")
    if page.status_code != 200:
        return page.status_code
    fields = {"lien": link, "mot_de_passe": password, "encore": password}
    return (await browser.post("/console/ouverture", fields | token_of(page.text))).status_code


def token_of(html: str) -> dict[str, str]:
    found = re.search(r'name="jeton" value="([0-9a-f]+)"', html)
    assert found is not None
    return {"jeton": found[1]}


async def sign_in(browser: Browser, name: str, password: str) -> int:
    page = await browser.get("/console/connexion")
    fields = {"identifiant": name, "mot_de_passe": password, "suite": "/console"}
    return (await browser.post("/console/connexion", fields | token_of(page.text))).status_code


async def test_a_set_up_link_opens_an_account_once_and_for_a_day(town: ConsoleTown) -> None:
    link = await add(town, "amelie")
    async with town.browser() as mine, town.browser() as other:
        assert (await mine.get("/console")).headers[
            "location"
        ] == "/console/connexion?suite=/console"
        assert await choose(mine, link, "court") == 400
        assert await choose(mine, link) == 303
        assert (await mine.get("/console")).status_code == 200
        cookie = next(c for c in mine.client.cookies.jar if c.name == "__Host-console-session")
        assert (cookie.secure, cookie.path, cookie.has_nonstandard_attr("HttpOnly")) == (
            True,
            "/",
            True,
        )
        assert await choose(other, link) == 401
    late = await add(town, "lente")
    town.gw.advance(hours=24, seconds=1)
    async with town.browser() as mine:
        assert await choose(mine, late) == 401
    assert [one.kind for one in await town.told()] == [
        "console.user",
        "console.password",
        "console.user",
    ]


async def test_guessing_elsewhere_locks_nobody_out_of_their_own_browser(town: ConsoleTown) -> None:
    link = await add(town, "amelie")
    async with town.browser() as mine, town.browser() as thief:
        assert await choose(mine, link) == 303
        for _ in range(MOST):
            assert await sign_in(thief, "amelie", "mauvais mot") == 401
        assert await sign_in(thief, "amelie", PASSWORD) == 401  # guessed at last, too late
        del mine.client.cookies["__Host-console-session"]
        assert await sign_in(mine, "amelie", PASSWORD) == 303
        town.gw.advance(seconds=LOCK.total_seconds())
        assert await sign_in(thief, "amelie", PASSWORD) == 303
    assert town.gw.engine.refusals.counts["refused_sign_ins"] == MOST + 1


async def test_an_unknown_name_is_refused_as_a_wrong_password_is(town: ConsoleTown) -> None:
    link = await add(town, "amelie")
    async with town.browser() as mine, town.browser() as other:
        assert await choose(mine, link) == 303
        texts = []
        for name in ("amelie", "personne", "../../etc", ""):
            page = await other.get("/console/connexion")
            fields = {"identifiant": name, "mot_de_passe": "x", "suite": ""} | token_of(page.text)
            answer = await other.post("/console/connexion", fields)
            texts.append((answer.status_code, re.sub("[0-9a-f]{64}", "", answer.text)))
        assert len(set(texts)) == 1


@pytest.mark.parametrize("idle", [True, False])
async def test_a_session_ends_when_idle_and_in_any_case(town: ConsoleTown, idle: bool) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        for _ in range(1 if idle else 30):
            town.gw.advance(minutes=31 if idle else 25)
            last = (await mine.get("/console")).status_code
            if last == 303:
                break
        assert last == 303
        if not idle:
            assert town.gw.clock[0].hour == 5  # ten hours after 19:07


async def test_looking_for_news_keeps_no_session_open(town: ConsoleTown) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        for _ in range(3):
            town.gw.advance(minutes=10)
            last = await mine.get("/console", **{"HX-Request": "true"})
        assert (last.status_code, last.headers.get("hx-refresh")) == (401, "true")


async def test_signing_out_everywhere_ends_each_session_of_the_account(town: ConsoleTown) -> None:
    async with (
        town.browser(ConsoleRole.OPERATOR) as one,
        town.browser(ConsoleRole.OPERATOR) as two,
        town.browser(ConsoleRole.AUDITOR) as other,
    ):
        assert (await one.post("/console/deconnexion", {"partout": "oui"})).status_code == 303
        assert (await two.get("/console")).status_code == 303
        assert (await other.get("/console")).status_code == 200


async def test_what_is_taken_from_an_account_is_gone_at_once(town: ConsoleTown) -> None:
    async with town.browser() as mine:
        assert await choose(mine, await add(town, "amelie")) == 303
        assert (await mine.get("/console")).status_code == 200
        await accounts.disable_user(recording(town), "amelie")
        assert (await mine.get("/console")).status_code == 303
        assert await sign_in(mine, "amelie", PASSWORD) == 401
        _, link = await accounts.reset_user(recording(town), "amelie", town.gw.clock[0])
        assert await choose(mine, link, PASSWORD + "!") == 303


async def test_a_password_is_changed_by_who_knows_it(town: ConsoleTown) -> None:
    async with town.browser() as mine, town.browser() as elsewhere:
        assert await choose(mine, await add(town, "amelie")) == 303
        assert await sign_in(elsewhere, "amelie", PASSWORD) == 303

        async def change(former: str, new: str, again: str = "") -> int:
            page = await mine.get("/console/compte")
            fields = {"actuel": former, "mot_de_passe": new, "encore": again or new}
            return (await mine.post("/console/compte", fields | token_of(page.text))).status_code

        assert await change("faux", PASSWORD + "!") == 400
        assert await change(PASSWORD, "court") == 400
        assert await change(PASSWORD, PASSWORD + "!", "autre") == 400
        assert (await elsewhere.get("/console")).status_code == 200
        assert await change(PASSWORD, PASSWORD + "!") == 303
        assert (await mine.get("/console")).status_code == 200
        assert (await elsewhere.get("/console")).status_code == 303
        assert await sign_in(elsewhere, "amelie", PASSWORD) == 401
    assert (await town.told())[-1].kind == "console.password_changed"


async def test_guesses_made_at_once_are_no_more_than_one_by_one(town: ConsoleTown) -> None:
    link = await add(town, "amelie")
    async with town.browser() as mine, town.browser() as thief:
        assert await choose(mine, link) == 303
        guesses = ["faux"] * MOST + [PASSWORD]
        found = await asyncio.gather(*(sign_in(thief, "amelie", one) for one in guesses))
        assert found == [401] * len(guesses)


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (OTHER_SITE, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "null"}, True),
        (None, False),
        ({}, False),
    ],
)
async def test_forms_of_other_sites_are_refused_and_counted(
    town: ConsoleTown, headers: dict[str, str] | None, token: bool
) -> None:
    which = town.parked[BRON]
    fields = {"cible": which, "motif": "essai", "numero": "1"} | ({} if token else {"jeton": "x"})
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        answer = await mine.post("/console/actes/delivery.discard", fields, headers)
        assert answer.status_code == 403
        assert "<html" in answer.text
    assert await state_of(town, which) == "parked"
    assert town.gw.engine.refusals.counts["forged_forms"] == 1
    assert await town.told() == []


async def test_a_form_is_taken_once(town: ConsoleTown) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        fields = {"cible": town.parked[BRON], "motif": "essai", "numero": "a1"}
        answers = [
            (await mine.post("/console/actes/delivery.discard", fields)).status_code for _ in "ab"
        ]
    assert answers == [200, 409]
    assert len(await town.told()) == 1


async def test_pages_say_what_browsers_may_do(town: ConsoleTown) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine, town.browser() as other:
        for browser, path in (
            (mine, "/console"),
            (mine, "/console/rien"),
            (mine, "/console/communes/00000"),
            (other, "/console/connexion"),
            (other, "/console/fichiers/style.css"),
            (other, "/console"),
        ):
            headers = (await browser.get(path)).headers
            assert "'unsafe" not in headers["content-security-policy"]
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["strict-transport-security"]
            assert headers["x-content-type-options"] == "nosniff"
        assert "no-store" in (await mine.get("/console")).headers["cache-control"]


async def test_a_page_leads_nowhere_else(town: ConsoleTown) -> None:
    async with town.browser(ConsoleRole.OPERATOR) as mine:
        for elsewhere in ("https://ailleurs.exemple.invalid", "//ailleurs", "/console//x", "/lien"):
            answer = await mine.get(f"/console/connexion?suite={elsewhere}")
            assert answer.headers["location"] == "/console"


async def test_programs_come_with_a_token(town: ConsoleTown) -> None:
    store, now = recording(town), town.gw.clock[0]
    _, made = await accounts.add_token(
        store, "robot", ConsoleRole.AUDITOR, [], "test", now, life=timedelta(days=1)
    )
    call = town.gw.client.get

    async def status(token: str, path: str = "/api/v1/today") -> int:
        return (await call(path, headers={"Authorization": f"Bearer {token}"})).status_code

    assert await status(TOKENS["operator"]) == await status(made) == 200
    assert await status("faux") == await status("") == 401
    assert await status(TOKENS["bron"], f"/api/v1/communes/{BRON}") == 200
    assert await status(TOKENS["bron"], f"/api/v1/communes/{VILLEURBANNE}") == 404
    await accounts.remove_token(store, "robot")
    assert await status(made) == 401
    assert town.gw.engine.refusals.counts["refused_sign_ins"] == 2
    async with town.browser(ConsoleRole.OPERATOR) as mine:  # a cookie opens nothing there
        assert (await mine.get("/api/v1/today")).status_code == 401


async def test_a_grant_of_several_is_the_strongest(town: ConsoleTown) -> None:
    assert granted(ConsoleRole.AGENT, []).communes == frozenset()
    async with town.browser(ConsoleRole.AGENT) as mine:
        page = await mine.get("/console")
        assert page.status_code == 200
        assert "Bron" not in page.text
    assert ORIGIN.startswith("https")
