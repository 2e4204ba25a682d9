"""The callers: signatures, nonces, keys that open one commune, HTTP Basic."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gateway.sdk.publik.signature import sign_url
from gateway.store import intake, requests
from tests.web.harness import BASE, BASIC, ORIG, Gateway, basic, gateway, requests_path, small

BRON = requests_path("69029", "signalement-anomalie")
ANY = requests_path(None, "signalement-anomalie")
VOIRIE = requests_path("69029", "voirie")


def refused(answer: httpx.Response, status: int, code: str) -> None:
    """A French reason, and the branch of its status at w.c.s., which looks at `err` first."""
    body = answer.json()
    assert (answer.status_code, body["err_code"]) == (status, code), body
    assert body["err_class"]
    assert body["err_desc"]
    assert body.keys() == {"err_class", "err_code", "err_desc"}
    assert "x-error-code" not in answer.headers


async def kept(gw: Gateway) -> int:
    return sum((await gw.engine.store.read(requests.counts)).values())


async def test_a_portal_key_opens_all_of_its_portal(gw: Gateway) -> None:
    assert (await gw.push(small("1"))).status_code == 201
    assert (await gw.push(small("2"), ANY)).status_code == 201
    formdata = small("3", fields={"commune_raw": "69266"})
    assert (await gw.push(formdata, ANY)).status_code == 201
    refused(
        await gw.push(small(), requests_path("69123", "signalement-anomalie")),
        404,
        "unknown_commune",
    )


async def test_without_credentials_basic_is_asked_for(gw: Gateway) -> None:
    answer = await gw.client.post(BRON, json=small())
    refused(answer, 401, "no_credentials")
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("signing", "code"),
    [
        ({"key": "sesame-wrong"}, "wrong_signature"),
        ({"orig": "inconnu.exemple.invalid"}, "wrong_signature"),
        ({"orig": None}, "wrong_signature"),
        ({"late": 31}, "stale"),
        ({"late": -31}, "early"),
    ],
)
async def test_a_bad_signature_is_refused(
    gw: Gateway, signing: dict[str, object], code: str
) -> None:
    for path in (BRON, ANY):
        refused(await gw.push(small(), path, **signing), 403, code)
        refused(await gw.get(path + "/7", **signing), 403, code)
    assert await kept(gw) == 0


def _md5(url: str) -> str:
    return url.replace("algo=sha256", "algo=md5")


def _two_origs(url: str) -> str:
    return url.replace("?", f"?orig={ORIG}&", 1)


def _after(url: str) -> str:
    return url + "&algo=sha256"


def _first(url: str) -> str:
    path, _, query = url.partition("?")
    return f"{path}?signature=abc&{query}"


def _alone(url: str) -> str:
    return url.partition("?")[0] + "?signature=abc"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_md5, "bad_algo"),
        (_two_origs, "repeated_parameter"),
        (_after, "text_after_signature"),
        (_first, "bad_signature"),
        (_alone, "bad_signature"),
    ],
)
async def test_a_malformed_signature_is_refused(gw: Gateway, spoil: object, code: str) -> None:
    assert callable(spoil)
    url = spoil(gw.signed(BRON))
    refused(await gw.client.post(url, json=small()), 403, code)
    # Credentials beside it do not heal it.
    refused(await gw.client.post(url, json=small(), headers=BASIC), 403, code)


async def test_a_raw_plus_in_the_signature_is_refused(gw: Gateway) -> None:
    for n in range(200):
        url = gw.signed(BRON, nonce=f"plus{n}")
        if "%2B" in url.partition("signature=")[2]:
            head, mark, value = url.partition("signature=")
            raw = head + mark + value.replace("%2B", "+")
            refused(await gw.client.post(raw, json=small()), 403, "bad_signature")
            assert (await gw.client.post(url, json=small())).status_code == 201
            return
    raise AssertionError("no signature with a plus was made")


async def test_a_nonce_is_good_once_over_a_restart_too(tmp_path: Path) -> None:
    async with gateway(tmp_path) as gw:
        url, asked = gw.signed(BRON), gw.signed(BRON + "/7")
        assert (await gw.client.post(url, json=small())).status_code == 201
        refused(await gw.client.post(url, json=small()), 403, "replayed")
        refused(await gw.client.post(url, json=small("8")), 403, "replayed")
        assert (await gw.client.get(asked)).status_code == 200
        refused(await gw.client.get(asked), 403, "replayed")
    async with gateway(tmp_path) as again:
        refused(await again.client.post(url, json=small()), 403, "replayed")
        refused(await again.client.get(asked), 403, "replayed")
        assert await kept(again) == 1
        # Another sender's nonce of the same name is another nonce.
        other = again.signed(BRON, orig=None, key="1234", nonce=gw.nonces[0])
        assert (await again.client.post(other, json=small())).status_code == 200


async def test_a_communes_key_opens_its_own_commune_alone(gw: Gateway) -> None:
    bron = {"orig": None, "key": "1234"}
    villeurbanne = {"orig": None, "key": "sesame-villeurbanne"}
    elsewhere = small("9", fields={"commune_raw": "69266"})
    assert (await gw.push(small(), VOIRIE, **bron)).status_code == 201
    assert (await gw.push(small(), BRON, **bron)).status_code == 201
    assert (await gw.push(small("8"), ANY, **bron)).status_code == 201
    refused(await gw.push(small(), BRON, **villeurbanne), 403, "wrong_signature")
    refused(await gw.push(elsewhere, ANY, **bron), 403, "other_commune")
    # A request of another commune is as good as unknown, by every way in.
    for path in (BRON, ANY):
        assert (await gw.get(path + "/7", **bron)).status_code == 200
    refused(await gw.get(ANY + "/7", **villeurbanne), 404, "unknown_request")
    theirs = requests_path("69266", "signalement-anomalie")
    refused(await gw.get(theirs + "/7", **villeurbanne), 404, "unknown_request")
    message = {"action": "message", "message": "Bonjour"}
    for path in (theirs, ANY):
        refused(await gw.push(message, path + "/7/events", **villeurbanne), 404, "unknown_request")
    sneaky = small(extra=message, fields={"commune_raw": "69266"})
    refused(await gw.push(sneaky, theirs, **villeurbanne), 404, "unknown_request")
    refused(await gw.push(sneaky, theirs), 404, "unknown_request")
    # The portal itself may: what is said goes to the commune that has the request, without the
    # form, which is for another's eyes. An edit is the form.
    assert (await gw.push(sneaky, ANY)).status_code == 201
    found = await gw.engine.store.read(requests.find, "toodego", "signalement-anomalie", "7")
    assert found is not None
    trace = await gw.engine.store.read(requests.trace, found.id)
    assert trace is not None
    body = await gw.engine.store.read(requests.event_body, trace.events[-1].id)
    assert body is not None
    assert (body["commune"], body["event"]["message"], body["fields"]) == ("69029", "Bonjour", {})
    edit = small(extra={"action": "modification"}, fields={"commune_raw": "69266"})
    for path in (BRON, ANY):
        refused(await gw.push(edit, path), 409, "other_commune")


async def test_what_is_filled_in_for_one_commune_is_not_for_another(gw: Gateway) -> None:
    """A workflow that calls one address for all: the form's field says whose the request is."""
    for code in ("69266", "69999"):
        elsewhere = small("9", fields={"commune_raw": code})
        refused(await gw.push(elsewhere, BRON), 409, "other_commune")
    assert await kept(gw) == 0
    passed = await gw.engine.store.read(intake.passed_over)
    assert [(one.ref, one.commune, one.code) for one in passed] == [("9", "69029", "other_commune")]
    # Where the form names none, or what is no INSEE code, the address counts.
    for ref, fields in (("10", {}), ("11", {"commune_raw": ""}), ("12", {"commune_raw": "Bron"})):
        assert (await gw.push(small(ref, fields=fields), BRON)).status_code == 201


async def test_another_portals_key_opens_nothing_here(gw: Gateway) -> None:
    autre = {"orig": "autre.exemple.invalid", "key": "sesame-other"}
    refused(await gw.push(small(), BRON, **autre), 404, "unknown_commune")
    lyon = requests_path("69123", "signalement-anomalie")
    theirs = {"commune_raw": "69123"}
    assert (await gw.push(small(fields=theirs), lyon, **autre)).status_code == 201
    assert (
        await gw.push(small("8", fields=theirs), lyon, orig=None, key="sesame-lyon")
    ).status_code == 201


async def test_http_basic(gw: Gateway) -> None:
    assert (await gw.client.post(BRON, json=small(), headers=BASIC)).status_code == 201
    assert (await gw.client.get(BRON + "/7", headers=BASIC)).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        basic("toodego", "sesame-wrong"),
        basic("inconnu", "sesame-é-password"),
        basic("toodego", ""),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic " + "w6k="},
        {"Authorization": "Bearer abc"},
    ],
)
async def test_bad_basic_credentials_are_all_alike(gw: Gateway, headers: dict[str, str]) -> None:
    answer = await gw.client.post(BRON, json=small(), headers=headers)
    refused(answer, 401, "bad_credentials")
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert await kept(gw) == 0


async def test_what_is_signed_is_the_raw_query(gw: Gateway) -> None:
    url = sign_url(
        f"{BASE}{BRON}?q={quote('Dépôt sauvage')}&x=a%2fb",
        "sesame-push",
        orig=ORIG,
        now=gw.clock[0],
        nonce="brut",
    )
    answer = await gw.client.post(url, json=small())
    assert answer.status_code == 201, answer.text


PORTAL_FORMS = f"https://{ORIG}/api/forms/signalement-anomalie"
PHOTO = {"filename": "a.txt", "content_type": "text/plain"}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"api_url": f"{PORTAL_FORMS}/8/"}, 403, "other_formdata"),
        ({"api_url": f"https://{ORIG}/api/users/1/"}, 403, "other_formdata"),
        ({"api_url": "https://ailleurs.invalid/api/forms/x/7/"}, 400, "foreign_address"),
        ({"photo": f"{PORTAL_FORMS}/8/download?f=1"}, 403, "other_formdata"),
        ({"photo": "https://ailleurs.invalid/a.png"}, 400, "foreign_address"),
    ],
)
async def test_a_key_speaks_for_the_formdata_it_names_alone(
    gw: Gateway, changes: dict[str, str], status: int, code: str
) -> None:
    """Whoever's key it is: in a creation as in a later event."""
    everything = gw.portal.route().respond(200, content=b"bonjour")
    assert (await gw.push(small(api_url=f"{PORTAL_FORMS}/7/"))).status_code == 201
    fields: dict[str, Any] = {"commune_raw": "69029"}
    if "photo" in changes:
        fields |= {"photo": PHOTO | {"url": changes["photo"]}}
    told = small(fields=fields, api_url=changes.get("api_url"))
    for signing in ({}, {"orig": None, "key": "1234"}):
        for path in (BRON, ANY):
            refused(await gw.push(told, path, **signing), status, code)
            event = told | {"extra": {"action": "modification"}}
            refused(await gw.push(event, path + "/7/events", **signing), status, code)
    assert not everything.called
    (found,) = await gw.engine.store.read(requests.listing)
    trace = await gw.engine.store.read(requests.trace, found.id)
    assert trace is not None
    assert (len(trace.events), found.api_url) == (1, f"{PORTAL_FORMS}/7/")
