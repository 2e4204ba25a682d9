"""Accounts are linked, from a commune's portal to GLC and back; what must not pass is refused."""

from __future__ import annotations

import asyncio
import base64
import csv
import dataclasses
import io
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from sqlalchemy import text
from structlog.typing import EventDict

from gateway.contracts.register import LINKING, as_csv, register_entries
from gateway.contracts.violation import as_plain_text, violation_notice
from gateway.store import decommission_steps, decommissions, linked
from tests.builders import leaving
from tests.life import ROOT
from tests.web.harness import NOW, small
from tests.web.linking_town import (
    ACCOUNTS,
    BRON,
    HOME,
    KEYS,
    LOGO,
    RETURNS,
    VILLEURBANNE,
    LinkTown,
    left,
    open_town,
)
from tests.web.openid_provider import ACCOUNT, CLIENT, ISSUER, PROFILE, SECRET, SUBJECT


@pytest.fixture
async def town(tmp_path: Path, template: Path) -> AsyncIterator[LinkTown]:
    async with open_town(tmp_path, template) as made:
        yield made


def refused(town: LinkTown, reason: str) -> float:
    """Return the number of refusals for this reason."""
    counted = town.gw.app.state.web.metrics.registry.get_sample_value(
        "gru_gateway_links_refused_total", {"reason": reason}
    )
    return counted or 0.0


def private(logs: list[EventDict], town: LinkTown) -> None:
    """Nothing of anybody is in the log."""
    told = json.dumps(logs, default=str)
    hidden = [SUBJECT, ACCOUNT, *PROFILE.values(), *ACCOUNTS.values(), *KEYS.values()]
    assert [one for one in hidden if one in told] == []


async def rows(town: LinkTown, table: str) -> list[Any]:
    def read(connection: Any) -> list[Any]:
        return list(connection.execute(text(f'SELECT * FROM "{table}"')))

    return await town.gw.database.read(read)


async def sessions(town: LinkTown) -> list[Any]:
    """The sessions that open anything: not what is left of an answered one for a minute."""
    return [row for row in await rows(town, "link_session") if row.session_mark is not None]


# --- the way of a citizen ---------------------------------------------------------------------


async def test_a_citizen_links_and_the_gru_is_told(town: LinkTown, logs: list[EventDict]) -> None:
    begun = await town.begin(label="Famille Fictive")
    assert begun.status_code == 200
    assert "Espace famille" in begun.text
    assert "Se connecter avec GrandLyon Connect" in begun.text
    assert f'src="/lien/{BRON}/logo.svg" alt="Bron"' in begun.text
    assert (await town.browser.get(f"/lien/{BRON}/logo.svg")).text == LOGO
    page = await town.sign_in()
    for shown in ("Zoé Fictive", "Famille Fictive", "votre prénom, votre date de naissance"):
        assert shown in page.text
    assert "prendra sa place" not in page.text
    back = await town.send(page, "/lien/accord", choix="oui")
    answer = town.answer(left(back))
    assert (answer["result"], answer["state"]) == ("linked", "etat-du-portail")
    assert answer["in_response_to"] == "numero-unique-000001"
    assert len(answer["sub"]) == 43
    # It counts once the portal has said that the answer came in the session that asked.
    memo = town.gw.memo()
    async with delivering(town):
        await town.gw.push(small("1", user={"name": "Z", "NameID": [ACCOUNT]}))
        await until(lambda: len(memo.submitted) == 1)
        confirmed = await town.confirm(answer)
        assert confirmed.json() == {
            "identity": answer["sub"],
            "account": "famille-1234",
            "acr": "eidas1",
            "claims": {"given_name": "Zoé", "birthdate": "1990-02-03"},
            "linked_at": "2026-11-23T19:07:20Z",
        }
        again = await town.confirm(answer)
        assert again.json() == confirmed.json()
        await town.gw.push(small("2", user={"name": "Z", "NameID": [ACCOUNT.upper()]}))
        await until(lambda: len(memo.submitted) == 2)
        await town.gw.push(small("3", user={"name": "Y", "NameID": ["cafe" * 8]}))
        await until(lambda: len(memo.submitted) == 3)
    before, linked_one, other = memo.submitted.values()
    told = {"compte": "famille-1234", "niveau": "eidas1", "naissance": "1990-02-03"}
    assert told.items() <= linked_one.items()
    assert told.keys().isdisjoint({*before, *other})
    private(logs, town)
    sealed = str(await rows(town, "account_link"))
    assert all(one not in sealed for one in (SUBJECT, ACCOUNT, "famille-1234", "1990"))


@asynccontextmanager
async def delivering(town: LinkTown) -> AsyncIterator[None]:
    """Send what waits for Bron's GRU."""
    lanes = town.gw.engine.lanes
    work = asyncio.create_task(lanes.run(["gru:69029:main"]))
    try:
        yield
    finally:
        await lanes.stop(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - of what others do
            await asyncio.sleep(0.002)


async def test_two_communes_never_learn_each_others_citizens(town: LinkTown) -> None:
    bron, villeurbanne = await town.link(BRON), await town.link(VILLEURBANNE)
    assert bron != villeurbanne
    marks = [(row.account_mark, row.portal_mark) for row in await rows(town, "account_link")]
    assert len({one for pair in marks for one in pair}) == 4
    listed = (await town.call("GET", VILLEURBANNE)).json()
    assert [one["identity"] for one in listed["links"]] == [villeurbanne]
    # The other commune's name of a citizen leads nowhere.
    foreign = {"sub": bron, "in_response_to": "numero-unique-000001"}
    assert (await town.confirm(foreign, VILLEURBANNE)).status_code == 404
    assert (await town.call("DELETE", VILLEURBANNE, f"/{bron}")).status_code == 204
    assert [one["identity"] for one in (await town.call("GET")).json()["links"]] == [bron]


async def test_who_does_not_agree_goes_back_with_a_refusal(town: LinkTown) -> None:
    await town.begin()
    page = await town.sign_in()
    back = await town.send(page, "/lien/accord", choix="non")
    answer = town.answer(left(back))
    assert answer["result"] == "refused"
    assert "sub" not in answer
    assert await rows(town, "account_link") == []
    assert await sessions(town) == []
    assert (await town.send(page, "/lien/accord", choix="oui")).status_code == 403


async def test_a_form_that_is_sent_twice_has_the_same_answer_twice(town: LinkTown) -> None:
    """A double click: the browser hears the second answer alone, and the first is lost."""
    await town.begin()
    page = await town.sign_in()
    assert "lien-session" in str(town.browser.cookies)
    kept = town.session
    first = left(await town.send(page, "/lien/accord", choix="oui"))
    town.keep(kept)
    assert left(await town.send(page, "/lien/accord", choix="oui")) == first
    town.keep(kept)
    assert (await town.send(page, "/lien/accord", choix="non")).status_code == 403, "another word"
    town.keep(kept)
    assert (await town.browser.get("/lien/accord")).status_code == 403, "it opens nothing else"
    assert (await town.send(page, "/lien/detacher", commune=BRON)).status_code == 403
    town.gw.advance(seconds=61)
    assert (await town.send(page, "/lien/accord", choix="oui")).status_code == 403
    again = await town.send(page, "/lien/deconnexion")
    assert (again.status_code, "Vous êtes déconnecté." in again.text) == (200, True)
    assert len(await rows(town, "account_link")) == 1


async def test_two_that_send_at_the_same_moment_get_one_answer(town: LinkTown) -> None:
    await town.begin()
    page = await town.sign_in()
    kept = {"Cookie": f"__Host-lien-session={town.session}", "Origin": HOME}
    token = re.search(r'name="jeton" value="([^"]+)"', page.text)
    assert token is not None
    form = {"jeton": token[1], "choix": "oui"}
    answers = await asyncio.gather(
        *(town.gw.client.post("/lien/accord", data=form, headers=kept) for _ in range(4))
    )
    assert len({left(one) for one in answers}) == 1


async def test_a_page_that_is_read_again_goes_on(town: LinkTown) -> None:
    """F5, the back button, and two clicks at the portal: the browser sends its form again."""
    asked = town.request()
    first = await town.bring(asked)
    again = await town.bring(asked)
    assert (again.status_code, again.text) == (200, first.text)
    assert (await town.browser.get("/lien/debut")).text == first.text
    await town.browser.get("/lien/connexion")
    assert (await town.bring(asked)).text == first.text
    assert (await town.sign_in()).status_code == 200
    for cookie in ("", "x"):
        town.browser.cookies.clear()
        if cookie:
            town.browser.cookies.set("__Host-lien-debut", cookie, "passerelle.exemple.invalid")
        assert (await town.bring(asked)).status_code == 403
        assert (await town.browser.get("/lien/debut")).status_code == 400
    await town.begin(account="une-autre")
    assert (await town.bring(asked)).status_code == 403
    assert refused(town, "replayed_request") == 3


async def test_two_tabs_never_agree_to_what_they_do_not_show(town: LinkTown) -> None:
    await town.begin(BRON)
    first = await town.sign_in()
    await town.begin(VILLEURBANNE)
    second = await town.sign_in()
    assert "Portail citoyen" in second.text
    assert (await town.send(first, "/lien/accord", choix="oui")).status_code == 403
    assert left(await town.send(second, "/lien/accord", choix="oui")).startswith(
        RETURNS[VILLEURBANNE]
    )


async def test_a_cookie_is_never_so_large_that_browsers_drop_it(town: LinkTown) -> None:
    wide = {"account": "𝟙" * 200, "state": "𝟙" * 300, "label": "𝟙" * 80, "jti": "j" * 128}
    answer = await town.begin(**wide)
    assert (answer.status_code, refused(town, "bad_request")) == (403, 1)
    plain = {"account": "a" * 200, "state": "s" * 300, "label": "é" * 80}
    assert (await town.begin(**plain)).status_code == 200
    await town.browser.get("/lien/connexion")
    for cookie in town.browser.cookies.jar:
        assert len(cookie.name) + len(cookie.value or "") < 4096
    page = await town.sign_in()
    assert page.status_code == 200


async def test_another_account_of_the_portal_takes_the_place_once_it_is_confirmed(
    town: LinkTown,
) -> None:
    identity = await town.link()
    await town.begin(account="famille-5678")
    page = await town.sign_in()
    assert "prendra sa place" in page.text
    agreed = town.answer(left(await town.send(page, "/lien/accord", choix="oui")))
    assert agreed["sub"] == identity
    listed = (await town.call("GET")).json()["links"]
    assert [one["account"] for one in listed] == ["famille-1234"]
    await town.confirm(agreed)
    listed = (await town.call("GET")).json()["links"]
    assert [one["account"] for one in listed] == ["famille-5678"]


async def test_what_is_never_confirmed_is_dropped(town: LinkTown) -> None:
    agreed = await town.agree()
    assert (await town.call("GET")).json()["links"] == []
    town.gw.advance(hours=2)
    await town.gw.database.write(linked.forget, town.gw.clock[0])
    assert (await town.confirm(agreed)).status_code == 404


async def test_a_slipped_request_is_not_confirmed_by_another_s_confirmation(town: LinkTown) -> None:
    """Somebody gets the citizen to agree to a link with a stranger's account; then their portal
    confirms again what it had confirmed, as it may."""
    own = await town.agree()
    assert (await town.confirm(own)).status_code == 200
    slipped = await town.agree(account="celui-du-voleur")
    assert slipped["sub"] == own["sub"]
    again = await town.confirm(own)
    assert (again.status_code, again.json()["account"]) == (200, "famille-1234")
    bare = await town.call("PUT", rest=f"/{own['sub']}")
    assert (bare.status_code, refused(town, "bad_call")) == (401, 1), "it names no request"
    odd = {"sub": own["sub"], "in_response_to": "x" * 200}
    assert (await town.confirm(odd)).status_code == 401
    (listed,) = (await town.call("GET")).json()["links"]
    assert listed["account"] == "famille-1234"
    # The other way round: what was slipped takes the place of what waits, and is not meant.
    await town.call("DELETE", rest=f"/{own['sub']}")
    waits = await town.agree()
    await town.agree(account="celui-du-voleur")
    assert (await town.confirm(waits)).status_code == 404
    assert (await town.call("GET")).json()["links"] == []


async def test_the_citizen_sees_and_ends_their_links_and_leaves(town: LinkTown) -> None:
    await town.link(BRON)
    await town.link(VILLEURBANNE)
    start = await town.browser.get("/lien")
    assert "Se connecter avec GrandLyon Connect" in start.text
    page = await town.sign_in()
    assert "Espace famille" in page.text
    assert "Portail citoyen" in page.text
    page = await town.send(page, "/lien/detacher", commune=BRON)
    assert "Le rattachement a pris fin." in page.text
    assert "Espace famille" not in page.text
    assert (await town.call("GET", BRON)).json()["links"] == []
    assert len((await town.call("GET", VILLEURBANNE)).json()["links"]) == 1
    gone = left(await town.send(page, "/lien/deconnexion"))
    assert gone.startswith(f"{ISSUER}session/end?id_token_hint=")
    assert "post_logout_redirect_uri=https%3A%2F%2Fpasserelle" in gone
    assert await sessions(town) == []
    assert (await town.browser.get("/lien/deconnecte")).status_code == 200


async def test_the_commune_lists_by_pages_and_ends_a_link(
    town: LinkTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.linking_api.MOST", 1)
    identities = set()
    for n in range(2):
        town.provider.subject = f"sub-{n}"
        town.provider.claims["uuid"] = f"{n:032x}"
        identities.add(await town.link(account=f"famille-{n}"))
    first = (await town.call("GET")).json()
    place = "/linking/v1/communes/69029"
    token = town.token(BRON, "link-call+jwt", place)
    second = await town.gw.client.get(
        f"{place}/links?after={first['next']}", headers={"Authorization": f"Bearer {token}"}
    )
    found = [*first["links"], *second.json()["links"]]
    assert {one["identity"] for one in found} == identities
    for identity in identities:
        one = await town.call("GET", rest=f"/{identity}")
        assert one.json() in found
        # Another commune's portal is told nothing of it.
        assert (await town.call("GET", VILLEURBANNE, f"/{identity}")).status_code == 404
        assert (await town.call("DELETE", rest=f"/{identity}")).status_code == 204
    assert (await town.call("GET")).json() == {"links": [], "next": None}


# --- what is refused: the commune's request ---------------------------------------------------


REQUESTS: dict[str, tuple[dict[str, Any], str, int]] = {
    "another commune's key": ({"key": KEYS[VILLEURBANNE]}, "bad_request", 403),
    "another commune's name": ({"iss": VILLEURBANNE}, "bad_request", 403),
    "for another commune": ({"aud": f"{HOME}/lien/{VILLEURBANNE}"}, "bad_request", 403),
    "another return": ({"return_to": RETURNS[VILLEURBANNE]}, "foreign_return", 403),
    "a longer return": ({"return_to": RETURNS[BRON] + "&x=1"}, "foreign_return", 403),
    "too old": ({"iat": 1, "exp": 200}, "expired_request", 403),
    "good for too long": ({"exp": 4102444800}, "bad_request", 403),
    "no number": ({"jti": None}, "bad_request", 403),
    "an address as account": ({"account": "zoe@exemple.invalid"}, "bad_request", 403),
    "no account": ({"account": None}, "bad_request", 403),
    "an object as account": ({"account": {"a": 1}}, "bad_request", 403),
    "an endless account": ({"account": "a" * 201}, "bad_request", 403),
    "two lines": ({"label": "a\nb"}, "bad_request", 403),
}


async def test_a_request_that_proves_nothing_is_refused_and_counted(
    town: LinkTown, logs: list[EventDict]
) -> None:
    for case, (changed, reason, status) in REQUESTS.items():
        before = refused(town, reason)
        answer = await town.begin(**changed)
        assert answer.status_code == status, case
        assert answer.headers["content-type"].startswith("text/html")
        assert "set-cookie" not in answer.headers
        assert refused(town, reason) == before + 1, case
    assert any(one["event"] == "linking.refused" for one in logs)
    private(logs, town)


async def test_a_request_is_good_once_and_its_label_comes_by_a_form(town: LinkTown) -> None:
    token = town.request()
    first = await town.browser.get(f"/lien/{BRON}", params={"demande": token})
    assert first.headers["location"] == f"{HOME}/lien/debut", "out of the address bar"
    second = await town.gw.client.get(f"/lien/{BRON}", params={"demande": token})
    elsewhere = await town.gw.client.get(second.headers["location"])
    assert elsewhere.status_code == 403, "in another browser"
    assert "déjà servi" in elsewhere.text
    labelled = town.request(label="Zoé")
    answer = await town.browser.get(f"/lien/{BRON}", params={"demande": labelled})
    assert answer.status_code == 400
    assert refused(town, "replayed_request") == 1


async def test_an_answer_or_a_call_is_no_request(town: LinkTown) -> None:
    for kind in ("link-answer+jwt", "link-call+jwt", "JWT"):
        token = town.token(BRON, kind, f"/lien/{BRON}", account="a", return_to=RETURNS[BRON])
        answer = await town.browser.post(f"/lien/{BRON}", data={"demande": token})
        assert answer.status_code == 403
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"link-request+jwt"}').rstrip(b"=")
    body = token.split(".")[1]
    for odd in (f"{none.decode()}.{body}.", "a.b.c", "é", "x" * 9000, ""):
        answer = await town.browser.post(f"/lien/{BRON}", data={"demande": odd})
        assert answer.status_code == 403
    assert (await town.browser.post("/lien/69256", data={})).status_code == 404
    assert (await town.browser.post("/lien/00000", data={})).status_code == 404


async def test_either_of_two_keys_proves_a_portal(town: LinkTown) -> None:
    catalogue = town.gw.engine.far_ends.catalogue
    bron = catalogue.communes[BRON]
    assert bron.linking is not None
    other = catalogue.communes[VILLEURBANNE].linking
    assert other is not None
    both = dataclasses.replace(bron.linking, keys=(*other.keys, *bron.linking.keys))
    communes = {**catalogue.communes, BRON: dataclasses.replace(bron, linking=both)}
    town.gw.engine.far_ends.catalogue = dataclasses.replace(catalogue, communes=communes)
    for key in (KEYS[BRON], KEYS[VILLEURBANNE]):
        assert (await town.begin(key=key)).status_code == 200


# --- what is refused: the provider's answer ---------------------------------------------------

ANSWERS: dict[str, tuple[dict[str, Any], str]] = {
    "wrong issuer": ({"changed": {"iss": "https://autre.exemple.invalid/"}}, "bad_token"),
    "issuer without its slash": ({"changed": {"iss": ISSUER.rstrip("/")}}, "bad_token"),
    "wrong audience": ({"changed": {"aud": "autre"}}, "bad_token"),
    "two audiences and no azp": ({"changed": {"aud": [CLIENT, "autre"]}}, "bad_token"),
    "for another party": ({"changed": {"aud": [CLIENT, "x"], "azp": "x"}}, "bad_token"),
    "expired": ({"changed": {"exp": 1000}}, "bad_token"),
    "no end": ({"changed": {"exp": None}}, "bad_token"),
    "an end that is no number": ({"changed": {"exp": "demain"}}, "bad_token"),
    "from the future": ({"changed": {"iat": 4102444800, "exp": 4102444900}}, "bad_token"),
    "from long ago": ({"changed": {"iat": 1000}}, "bad_token"),
    "wrong nonce": ({"changed": {"nonce": "autre"}}, "bad_token"),
    "no nonce": ({"changed": {"nonce": None}}, "bad_token"),
    "wrong access token": ({"changed": {"at_hash": "AAAA"}}, "bad_token"),
    "no subject": ({"changed": {"sub": None}}, "bad_token"),
    "unsigned": ({"header": {"alg": "none"}}, "bad_token"),
    "another's key": ({"key": ECKey.generate_key("P-256")}, "bad_token"),
    "an unknown key": ({"header": {"kid": "nouvelle"}}, "bad_token"),
    "issuer of the answer": ({"issuer_in_answer": "https://autre.exemple.invalid/"}, "bad_token"),
    "no issuer of the answer": ({"issuer_in_answer": None}, "bad_token"),
    "no account": ({"changed": {"uuid": 7}}, "no_account"),
    "provider down": ({"down": True}, "provider_fails"),
}


async def test_an_answer_that_proves_nothing_is_refused_and_counted(
    town: LinkTown, logs: list[EventDict]
) -> None:
    good = dataclasses.replace(town.provider)
    for case, (changed, reason) in ANSWERS.items():
        before = refused(town, reason)
        await town.begin()
        sent = await town.browser.get("/lien/connexion")
        for name, value in changed.items():
            setattr(town.provider, name, value)
        back = await town.browser.get(town.provider.signed_in(sent.headers["location"]))
        assert back.status_code == (403 if reason == "bad_token" else 503), case
        assert back.headers["content-type"].startswith("text/html")
        assert refused(town, reason) == before + 1, case
        for name in changed:
            setattr(town.provider, name, getattr(good, name))
    assert await sessions(town) == []
    private(logs, town)
    assert (await town.agree())["result"] == "linked", "or else the refusals would say nothing"


async def test_a_public_key_is_no_shared_secret(town: LinkTown) -> None:
    public = town.provider.keys[0].as_dict(private=False)
    town.provider.header = {"alg": "HS256"}
    for secret in (json.dumps(public).encode(), SECRET.encode()):
        town.provider.key = secret
        await town.begin()
        back = await town.sign_in()
        assert back.status_code == 403
    assert refused(town, "bad_token") == 2


async def test_as_a_running_authentic_answers(town: LinkTown) -> None:
    """No `kid` with ES256 while two keys are exchanged, no `at_hash`, `iss` in answers that its
    discovery does not announce, and none in a refusal."""
    sim = town.provider
    sim.keys = [sim.new_key(), *sim.keys]
    sim.header, sim.changed, sim.acr = {"kid": None}, {"at_hash": None}, "1"
    sim.metadata = {
        "authorization_response_iss_parameter_supported": None,
        "frontchannel_logout_supported": True,
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "ES256"],
        "response_types_supported": ["code", "token", "token id_token"],
    }
    sim.claims |= {"iss": ISSUER, "email": ""}
    identity = await town.link()
    (one,) = (await town.call("GET")).json()["links"]
    assert (one["identity"], one["acr"]) == (identity, "1")
    await town.begin()
    sent = (await town.browser.get("/lien/connexion")).headers["location"]
    told = {"error": "access_denied", "state": parse_qs(urlsplit(sent).query)["state"][0]}
    back = await town.browser.get("/lien/retour", params=told)
    assert (back.status_code, refused(town, "sign_in_refused")) == (403, 1)


async def test_new_keys_are_read_and_not_more_often_than_they_must(town: LinkTown) -> None:
    await town.agree()
    town.provider.keys = [town.provider.new_key()]  # rotated
    town.gw.advance(seconds=31)
    await town.agree()
    before = town.provider.calls.count("/jwks")
    town.provider.header = {"kid": "inconnue"}
    for _ in range(3):
        await town.begin()
        assert (await town.sign_in()).status_code == 403
    assert town.provider.calls.count("/jwks") == before
    assert town.provider.calls.count("/.well-known/openid-configuration") == 1


async def test_a_provider_that_says_odd_things_of_itself_is_not_used(town: LinkTown) -> None:
    town.provider.metadata = {"issuer": "https://autre.exemple.invalid/"}
    await town.begin()
    for _ in range(2):
        answer = await town.browser.get("/lien/connexion")
        assert answer.status_code == 503
    assert refused(town, "provider_fails") == 2
    assert len(town.provider.calls) == 1, "not asked again at once"


async def test_an_answer_counts_for_its_own_browser_and_once(town: LinkTown) -> None:
    await town.begin()
    sent = await town.browser.get("/lien/connexion")
    place = town.provider.signed_in(sent.headers["location"])
    transport = httpx.ASGITransport(town.gw.app)
    async with httpx.AsyncClient(transport=transport, base_url=HOME) as other:
        assert (await other.get(place)).status_code == 400
        form = {"demande": town.request(account="d-un-autre")}
        await other.post(f"/lien/{BRON}", data=form)
        await other.get("/lien/connexion")
        foreign = await other.get(place)
        assert foreign.status_code == 403
        assert refused(town, "foreign_state") == 1
    cookie = town.browser.cookies.get("__Host-lien-debut")
    assert (await town.browser.get(place)).status_code == 303
    again = await town.browser.get(place, headers={"Cookie": f"__Host-lien-debut={cookie}"})
    assert again.status_code in (400, 403)
    assert town.provider.calls.count("/token") == 1


async def test_a_cookie_is_ours_and_ends(town: LinkTown) -> None:
    await town.begin()
    town.gw.advance(minutes=11)
    sent = await town.browser.get("/lien/connexion")
    assert sent.status_code == 303, "begins to look at links alone"
    page = await town.browser.get(town.provider.signed_in(sent.headers["location"]))
    assert page.headers["location"].endswith("/lien")
    town.browser.cookies.clear()
    for odd in ("a.b.c.d.e", "é".encode().hex(), "x" * 9000):
        answer = await town.browser.get(
            "/lien/retour?state=x&code=y", headers={"Cookie": f"__Host-lien-debut={odd}"}
        )
        assert answer.status_code == 400


async def test_forms_of_other_sites_do_nothing(town: LinkTown) -> None:
    await town.link()
    await town.browser.get("/lien")
    page = await town.sign_in()
    elsewhere = {"Origin": "https://ailleurs.exemple.invalid"}
    for path, form in (
        ("/lien/detacher", {"commune": BRON}),
        ("/lien/deconnexion", {}),
        ("/lien/accord", {"choix": "oui"}),
    ):
        answer = await town.browser.post(path, data=form)
        assert answer.status_code == 403, "no token"
        answer = await town.browser.post(path, data=form, headers=elsewhere)
        assert answer.status_code == 403
    assert len((await town.call("GET")).json()["links"]) == 1
    assert "jeton" in page.text


async def test_pages_run_nothing_and_are_kept_by_nobody(town: LinkTown) -> None:
    await town.begin(label="<script>alert(1)</script>")
    page = await town.sign_in()
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    policy = page.headers["content-security-policy"]
    assert policy.startswith(
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
    )
    assert "unsafe" not in policy
    assert "style=" not in page.text
    assert page.headers["cache-control"] == "no-store"
    for cookie in town.browser.cookies.jar:
        assert cookie.secure
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.path == "/"
    style = await town.browser.get("/lien/style.css")
    assert style.headers["content-type"].startswith("text/css")


# --- what is refused: calls -------------------------------------------------------------------


async def test_a_call_that_proves_nothing_is_refused(town: LinkTown) -> None:
    for n, changed in enumerate(CALLS, 1):
        answer = await town.call("GET", **changed)
        assert answer.status_code == 401, changed
        assert refused(town, "bad_call") == n


CALLS: list[dict[str, Any]] = [
    {"key": KEYS[VILLEURBANNE]},
    {"iss": VILLEURBANNE},
    {"aud": f"{HOME}/linking/v1/communes/{VILLEURBANNE}"},
    {"aud": f"{HOME}/lien/{BRON}"},
    {"iat": 1, "exp": 200},
    {"jti": "court"},
]


async def test_a_call_is_good_once(town: LinkTown) -> None:
    place = "/linking/v1/communes/69029"
    token = town.token(BRON, "link-call+jwt", place)
    headers = {"Authorization": f"Bearer {token}"}
    assert (await town.gw.client.get(f"{place}/links", headers=headers)).status_code == 200
    assert (await town.gw.client.get(f"{place}/links", headers=headers)).status_code == 401
    assert (await town.gw.client.get(f"{place}/links")).status_code == 401


# --- logout, deletion, FranceConnect ----------------------------------------------------------


async def test_the_provider_ends_a_session_in_a_frame_of_its_own(town: LinkTown) -> None:
    """Front-channel logout: Authentic has no other."""
    await town.link()
    await town.browser.get("/lien")
    await town.sign_in()
    gone = "/lien/fin-de-session"
    for odd in ({}, {"iss": ISSUER}, {"iss": "https://autre.exemple.invalid/", "sid": "session-1"}):
        answer = await town.gw.client.get(gone, params=odd)
        assert answer.status_code == 400
    other = await town.gw.client.get(gone, params={"iss": ISSUER, "sid": "session-2"})
    assert other.status_code == 200
    assert await town.desk.sessions.read(town.session) is not None
    answer = await town.gw.client.get(gone, params={"iss": ISSUER, "sid": "session-1"})
    policy = answer.headers["content-security-policy"]
    assert policy.endswith(" frame-ancestors https://glc.exemple.invalid")
    assert await town.desk.sessions.read(town.session) is None
    assert len((await town.call("GET")).json()["links"]) == 1, "a logout is no deletion"


async def test_glc_s_logo_stands_beside_the_commune_s(town: LinkTown) -> None:
    """As its charter asks; without a file its name stands on the button alone."""
    begun = await town.begin()
    assert begun.text.index(f'src="/lien/{BRON}/logo.svg"') < begun.text.index(
        'src="/lien/grandlyon-connect.svg" alt="GrandLyon Connect"'
    )
    assert begun.text.index("grandlyon-connect.svg") < begun.text.index('class="glc"')
    logo = await town.browser.get("/lien/grandlyon-connect.svg")
    assert (logo.text, logo.headers["content-type"]) == (LOGO, "image/svg+xml")
    assert "sandbox" in logo.headers["content-security-policy"]
    assert (await town.browser.get(f"/lien/{VILLEURBANNE}/logo.svg")).status_code == 404


async def test_the_provider_ends_sessions_and_nothing_else(town: LinkTown) -> None:
    await town.link()
    await town.browser.get("/lien")
    await town.sign_in()
    assert len(await sessions(town)) == 1
    place = "/linking/v1/backchannel-logout"
    token = town.provider.logout_token()
    answer = await town.gw.client.post(place, data={"logout_token": token})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert await sessions(town) == []
    assert len((await town.call("GET")).json()["links"]) == 1, "a logout is no deletion"
    again = await town.gw.client.post(place, data={"logout_token": token})
    assert (again.status_code, again.json()) == (400, {"error": "invalid_request"})


LOGOUTS: list[dict[str, Any]] = [
    {"iss": "https://autre.exemple.invalid/"},
    {"aud": "autre"},
    {"exp": 1000},
    {"exp": None},
    {"iat": 1000},
    {"jti": None},
    {"events": None},
    {"events": {"autre": {}}},
    {"events": {"http://schemas.openid.net/event/backchannel-logout": 1}},
    {"nonce": "n"},
    {"sub": None, "sid": None},
]


async def test_a_logout_token_that_proves_nothing_is_refused(town: LinkTown) -> None:
    tokens = [town.provider.logout_token(**changed) for changed in LOGOUTS]
    for n, token in enumerate([*tokens, town.provider.id_token("n"), "", "a.b.c"], 1):
        answer = await town.gw.client.post(
            "/linking/v1/backchannel-logout", data={"logout_token": token}
        )
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"}), n
        assert refused(town, "bad_logout") == n


async def test_links_go_with_the_account_and_it_cannot_link_again(town: LinkTown) -> None:
    await town.link(BRON)
    await town.link(VILLEURBANNE)
    await town.browser.get("/lien")
    await town.sign_in()
    register = town.desk.register
    assert await register.accounts() == {ACCOUNT}
    watch = town.gw.engine.identity
    assert watch is not None
    # No request of theirs is here: the links alone make the account known.
    town.provider.gone = [ACCOUNT]
    poll = await watch.poll()
    assert (poll.known, poll.opened) == (1, 1)
    await town.gw.engine.eraser.advance()
    assert await rows(town, "account_link") == []
    assert await rows(town, "link_session") == []
    await town.begin()
    page = await town.sign_in()
    answer = await town.send(page, "/lien/accord", choix="oui")
    assert answer.status_code == 410
    assert await rows(town, "account_link") == []


async def test_franceconnect_that_is_unlinked_is_no_deletion(town: LinkTown) -> None:
    """The level and the claims are to the letter as told; without them the link goes on."""
    acr = "https://eidas.europa.eu/loa/substantial"
    town.provider.acr = acr
    town.provider.claims["birthdate"] = "1990-00-00"
    identity = await town.link()
    (one,) = (await town.call("GET")).json()["links"]
    assert one["acr"] == acr
    assert one["claims"]["birthdate"] == "1990-00-00"
    town.provider.acr = None
    town.provider.claims = {"uuid": ACCOUNT}
    await town.browser.get("/lien")
    page = await town.sign_in()
    assert "Espace famille" in page.text
    (after,) = (await town.call("GET")).json()["links"]
    assert after == one
    watch = town.gw.engine.identity
    assert watch is not None
    poll = await watch.poll()
    assert (poll.known, poll.opened, poll.suspects) == (1, 0, 0)
    assert identity == one["identity"]


async def test_claims_pass_unharmed_whatever_they_are(town: LinkTown) -> None:
    """FranceConnect's identity, as GLC hands it on: none is made a text, rounded or left out."""
    told: dict[str, Any] = {
        "birthcountry": "99100",
        "birthplace": "",
        "email_verified": False,
        "address": {"formatted": "1 rue de l'Épée\n69500 Bron", "lines": ["1", None]},
        "given_name_array": ["Zoé", "Éléonore"],
        "preferred_username": None,
        "score": 0.1,
        "number": 12345678901234567,
    }
    catalogue = town.gw.engine.far_ends.catalogue
    bron = catalogue.communes[BRON]
    assert bron.linking is not None
    linking = dataclasses.replace(bron.linking, claims=(*told, "not_told"))
    communes = {**catalogue.communes, BRON: dataclasses.replace(bron, linking=linking)}
    town.gw.engine.far_ends.catalogue = dataclasses.replace(catalogue, communes=communes)
    town.provider.claims |= told
    await town.link()
    (one,) = (await town.call("GET")).json()["links"]
    assert one["claims"] == told
    document = await town.desk.register.document(BRON, ACCOUNT)
    assert document is not None
    assert document["claims"] == told


async def test_the_registers_name_what_a_portal_is_given(town: LinkTown) -> None:
    await town.link()
    catalogue = town.gw.engine.far_ends.catalogue
    entries = register_entries(catalogue)
    mine = [one for one in entries if one.teleservice == LINKING]
    assert [one.insee for one in mine] == [BRON, VILLEURBANNE]
    bron = mine[0]
    assert bron.basis.startswith("Consentement")
    assert [line.targets[0] for line in bron.lines] == [
        *("sub", "account", "acr", "claims.given_name", "claims.birthdate"),
    ]
    assert "Espace famille" in bron.recipients
    rows = list(csv.DictReader(io.StringIO(as_csv(entries).removeprefix("\ufeff")), delimiter=";"))
    assert all(None not in row and None not in row.values() for row in rows)
    assert {row["Traitement"] for row in rows} >= {LINKING}
    now = town.gw.clock[0]
    times = (now - timedelta(days=1), now + timedelta(days=1), now, now)
    notice = await violation_notice(town.gw.database, catalogue, *times, None)
    assert notice.links == {BRON: 1}
    assert "Comptes rattachés (par commune) : 69029 : 1" in as_plain_text(notice)
    private([{"text": as_plain_text(notice) + as_csv(entries)}], town)


async def test_a_commune_that_leaves_takes_its_links_along(town: LinkTown) -> None:
    await town.link(BRON)
    await town.link(VILLEURBANNE)
    register = town.desk.register
    assert await town.gw.database.write(register.drop_commune, BRON) == 1
    assert [one.commune for one in await register.of_account(ACCOUNT)] == [VILLEURBANNE]


async def test_a_commune_that_leaves_refuses_citizens_and_its_portal(
    town: LinkTown, logs: list[EventDict]
) -> None:
    """Whoever is half way is told so, in French, and nothing is linked."""
    await town.link(BRON)
    await town.link(VILLEURBANNE)
    begun = await town.begin()
    page = await town.sign_in()
    assert (begun.status_code, page.status_code) == (200, 200)
    now = town.gw.clock[0]
    await town.gw.database.write(decommissions.announce, leaving(announced_at=now, stop_at=now))
    await town.gw.engine.decommissioner.advance()
    await town.gw.engine.follow_departures(1)
    before = refused(town, "commune_left")
    answers = [
        await town.send(page, "/lien/accord", choix="oui"),
        await town.browser.get("/lien/accord"),
        await town.browser.get("/lien/debut"),
        await town.bring(town.request()),
        await town.browser.get(f"/lien/{BRON}/logo.svg"),
        await town.call("GET"),
    ]
    assert [one.status_code for one in answers] == [410, 410, 400, 410, 410, 410]
    assert "plus raccordée" in answers[0].text
    assert refused(town, "commune_left") == before + 5
    assert await town.desk.register.of_identity(BRON, "autre") is None
    private(logs, town)
    # What is linked elsewhere goes on, and the citizen sees and ends what is left of this one.
    await town.link(VILLEURBANNE)
    listed = await town.browser.get("/lien")
    assert listed.status_code == 200
    # GLC's polls still ask about whoever is linked, until the commune's data are deleted.
    assert await town.desk.register.accounts() == {ACCOUNT}
    one = await town.gw.database.read(decommissions.current, BRON)
    assert one is not None
    await town.gw.database.write(decommission_steps.delete_rest, one)
    assert await town.desk.register.accounts() == {ACCOUNT}, "of the other commune"
    await town.gw.database.write(town.desk.register.drop_commune, VILLEURBANNE)
    assert await town.desk.register.accounts() == frozenset()


async def test_the_vendors_page_shows_what_works(town: LinkTown) -> None:
    """The Python of docs/fr/rattachement.md, up to where a portal's own code begins."""
    page = (ROOT / "docs/fr/rattachement.md").read_text("utf-8")
    code = page.partition("```python\n")[2].partition("# 1. La page")[0]
    for before, here in (
        ('"https://PASSERELLE"', repr(HOME)),
        ('b"..."', repr(KEYS[BRON].encode())),
        ("time.time()", str(NOW.timestamp())),
    ):
        assert before in code
        code = code.replace(before, here)
    shown: dict[str, Any] = {}
    exec(code, shown)
    claims = {"account": "famille-1234", "return_to": RETURNS[BRON], "state": "s", "label": "Zoé"}
    asked, number = shown["signed"]("link-request+jwt", f"/lien/{BRON}", **claims)
    await town.browser.post(f"/lien/{BRON}", data={"demande": asked})
    url = left(await town.send(await town.sign_in(), "/lien/accord", choix="oui"))
    token = parse_qs(urlsplit(url).query)["reponse"][0]
    told = shown["answer"](token)
    assert (told["in_response_to"], told["state"], told["result"]) == (number, "s", "linked")
    for odd in ("x", token[:-2] + "AA", asked):
        with pytest.raises(ValueError, match="réponse"):
            shown["answer"](odd)
    about = {"in_response_to": number}
    call, _ = shown["signed"]("link-call+jwt", f"/linking/v1/communes/{BRON}", **about)
    place = f"/linking/v1/communes/{BRON}/links/{told['sub']}"
    confirmed = await town.gw.client.put(place, headers={"Authorization": f"Bearer {call}"})
    assert confirmed.status_code == 200
