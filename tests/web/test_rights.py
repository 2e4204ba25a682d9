"""Two communes, every route of the published contract, each with the other's key: nothing comes
out, nothing goes in. A route that is new fails here until it is said how it is called."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import inspect, text

from gateway.store import requests
from tests.web import pivot_town
from tests.web.harness import ENVIRON, MARKER, ORIG, Gateway, bundle, gateway, small

SLUG = "signalement-anomalie"
OURS, THEIRS = "69029", "69266"
SECRET = "Texte-de-Villeurbanne"
THEIR_REF = "300"
#: A number that nobody has named.
FREE_REF = "301"


@dataclass
class Town:
    """A gateway that holds a request of the other commune."""

    gw: Gateway
    id: str
    before: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)

    def rows(self) -> dict[str, set[tuple[Any, ...]]]:
        with self.gw.database.engine.connect() as connection:
            names = inspect(connection).get_table_names()
            return {
                name: {tuple(row) for row in connection.execute(text(f'SELECT * FROM "{name}"'))}
                for name in names
            }

    def foreign_writes(self) -> list[tuple[str, tuple[Any, ...]]]:
        """Return rows that were changed or added and are not of the key's commune."""
        found, now = [], self.rows()
        # Contents are sealed: a row is also known by the request that it is of.
        ours = {OURS} | {str(row[0]) for row in now["request"] if OURS in row}
        for name, after in now.items():
            if name == "nonce":  # a signed call is taken once, whatever comes of it
                continue
            found += [(name, row) for row in self.before[name] - after]
            found += [(name, row) for row in after - self.before[name] if not _is_of(row, ours)]
        return found


def _is_of(row: tuple[Any, ...], names: set[str]) -> bool:
    texts = [value for value in row if isinstance(value, str)]
    return "autre" in texts or any(name in text for name in names for text in texts)


@pytest.fixture
async def town(tmp_path: Path, template: Path) -> AsyncIterator[Town]:
    files = bundle(tmp_path)
    theirs = "config/communes/villeurbanne.yaml"
    files[theirs] = files[theirs].replace("env:TOKEN", "env:THEIR_TOKEN")
    for place, client in ((theirs, "env:THEIRS"), ("config/communes/bron.yaml", "env:OURS")):
        options = {"mode": "mailbox", "client": client, "service": {"name": "Accueil"}}
        desk = json.dumps({"adapter": "pivot", "options": options})
        files[place] = files[place].replace("gru:\n", f"gru:\n  desk: {desk}\n", 1)
    environ = ENVIRON | {"THEIR_TOKEN": "sesame-token-villeurbanne"} | pivot_town.SECRETS
    async with gateway(tmp_path, template, files=files, environ=environ) as gw:
        fields = {"commune_raw": THEIRS, "description": SECRET}
        path = f"/portal/v1/communes/{THEIRS}/teleservices/{SLUG}/requests"
        answer = await gw.push(small(THEIR_REF, fields=fields), path)
        assert answer.status_code == 201
        forms = f"https://{ORIG}/api/forms/{SLUG}"
        gw.portal.get(f"{forms}/{THEIR_REF}/").respond(json={"id": THEIR_REF, "fields": fields})
        gw.portal.get(f"{forms}/{FREE_REF}/").respond(404)
        town = Town(gw, answer.json()["data"]["id"])
        town.before = town.rows()
        yield town


#: Whose key signs: our own commune's, and that of another portal's caller.
KEYS: tuple[dict[str, Any], ...] = (
    {"orig": None, "key": ENVIRON["BRON_KEY"]},
    {"orig": "autre.exemple.invalid", "key": ENVIRON["OTHER_KEY"]},
)


def pushes() -> Iterator[Any]:
    """Yield bodies by which a key's holder may reach or block the other's request."""
    named = {"description": "inventé"}
    for commune in (OURS, THEIRS):
        yield small(THEIR_REF, fields=named | {"commune_raw": commune})
        yield small(
            THEIR_REF,
            fields=named | {"commune_raw": commune},
            extra={"action": "modification", "event": "x"},
        )
    yield {"id": THEIR_REF, "action": "annulation"}


def tellings() -> Iterator[Any]:
    yield {"action": "message", "message": "De la part de Bron", "event": "x"}
    yield {"action": "modification", "fields": {"description": "x", "commune_raw": OURS}}
    yield {"action": "annulation"}


def webhooks(town: Town) -> Iterator[Any]:
    yield {"key": "1", "reference": town.id, "status": "clos"}


async def signed(town: Town, method: str, path: str, bodies: Callable[[], Iterator[Any]]) -> None:
    """A call of the portal's: refused, or taken for a number that nobody has."""
    for body in bodies():
        for key in KEYS:
            url = town.gw.signed(path, **key)
            answer = await town.gw.client.request(method, url, json=body)
            ours = key is KEYS[0] and isinstance(body, dict) and body.get("id") == THEIR_REF
            allowed = (201, 403, 404, 409) if ours and THEIRS not in url else (403, 404)
            assert answer.status_code in allowed, (url, body, answer.text)
            assert_private(town, answer)


async def hooked(town: Town, method: str, path: str) -> None:
    """A GRU's call: refused at the other's address; at our own it changes nothing of theirs."""
    for body in webhooks(town):
        answer = await town.gw.client.request(
            method, path, json=body, headers={"X-Token": ENVIRON["TOKEN"]}
        )
        assert answer.status_code == (204 if OURS in path else 401), answer.text
        assert_private(town, answer)


async def fetched(town: Town, method: str, path: str) -> None:
    """A half-connector's call: at another's number it is as if nobody had it."""
    header = await pivot_town.token(town.gw)
    body = {"key": "1", "status": "done", "public": "De la part de Bron"}
    for proof in ({}, header):
        answer = await town.gw.client.request(
            method, path, json=body if method == "post" else None, headers=proof
        )
        assert answer.status_code in (401, 403, 404), answer.text
        assert answer.status_code != 401 or not proof
        assert_private(town, answer)


async def claimed(town: Town, method: str, path: str) -> None:
    """Our own mailbox holds nothing of theirs, and settles nothing of theirs."""
    header = await pivot_town.token(town.gw)
    settled = [{"token": f"{name}.1.1", "result": "done"} for name in await deliveries(town)]
    for proof in ({}, header):
        answer = await town.gw.client.request(
            method, path, json={"settled": settled}, headers=proof
        )
        assert answer.status_code == (200 if proof else 401), answer.text
        assert_private(town, answer)
        if proof:
            assert answer.json()["items"] == []
            assert {one["outcome"] for one in answer.json()["settled"]} == {"lost"}


async def read_again(town: Town, method: str, path: str) -> None:
    """Our feed has nothing of theirs."""
    for proof in ({}, await pivot_town.token(town.gw)):
        answer = await town.gw.client.request(method, path, headers=proof)
        assert answer.status_code == (200 if proof else 401)
        assert_private(town, answer)


async def deliveries(town: Town) -> list[str]:
    found = await town.gw.database.read(requests.trace, town.id)
    assert found is not None
    return [one.id for one in found.deliveries]


async def asked_for_a_token(town: Town, method: str, path: str) -> None:
    """Our secret gives no token of theirs."""
    form = {"grant_type": "client_credentials", "client_id": f"{THEIRS}.desk"}
    secret = {"client_secret": pivot_town.OURS}
    answer = await town.gw.client.request(method, path, data=form | secret)
    assert answer.status_code == 401
    assert_private(town, answer)


async def told_of_deletions(town: Town, method: str, path: str) -> None:
    """GLC's call: nobody is told of a deletion where GLC is not configured to tell of any."""
    for body in ("", "a.b.c", "eyJhbGciOiJub25lIn0.eyJqdGkiOiIxIn0."):
        headers = {"content-type": "application/secevent+jwt"}
        answer = await town.gw.client.request(method, path, content=body, headers=headers)
        assert answer.status_code == 404, answer.text
        assert_private(town, answer)


async def open_to_all(town: Town, method: str, path: str) -> None:
    """An operator's page: it may be read, and there is nothing personal in it."""
    answer = await town.gw.client.request(method, path)
    assert answer.status_code in (200, 503), answer.text
    assert_private(town, answer)


def assert_private(town: Town, answer: httpx.Response) -> None:
    for secret in (SECRET, MARKER, "zoe@", "GRU-"):
        assert secret not in answer.text
    if "/ops/" not in str(answer.url):
        # What was asked for is known to whoever asked.
        assert town.id not in answer.text.replace(str(answer.url.path), "")


PORTAL = "/portal/v1/communes/{insee}/teleservices/{slug}/requests"
ANY = "/portal/v1/teleservices/{slug}/requests"
HOOK = "/gru/v1/communes/{insee}/webhooks/{adapter}"
#: Every operation, and how it is called on the other's behalf.
CALLED: dict[tuple[str, str], Any] = {
    ("post", PORTAL): partial(signed, bodies=pushes),
    ("post", ANY): partial(signed, bodies=pushes),
    ("post", PORTAL + "/{ref}/events"): partial(signed, bodies=tellings),
    ("post", ANY + "/{ref}/events"): partial(signed, bodies=tellings),
    ("get", PORTAL + "/{ref}"): partial(signed, bodies=lambda: iter([None])),
    ("get", ANY + "/{ref}"): partial(signed, bodies=lambda: iter([None])),
    ("post", HOOK): hooked,
    ("put", HOOK): hooked,
    ("get", HOOK): hooked,
    ("post", "/pivot/v1/token"): asked_for_a_token,
    ("post", "/pivot/v1/requests/{reference}/changes"): fetched,
    ("post", "/pivot/v1/mailbox/claim"): claimed,
    ("get", "/pivot/v1/events"): read_again,
    ("get", "/pivot/v1/requests/{reference}/files/{sha256}"): fetched,
    ("head", "/pivot/v1/requests/{reference}/files/{sha256}"): fetched,
    ("post", "/glc/events"): told_of_deletions,
    ("get", "/ops/live"): open_to_all,
    ("get", "/ops/ready"): open_to_all,
    ("get", "/ops/health"): open_to_all,
    ("get", "/ops/metrics"): open_to_all,
    ("get", "/ops/communes/{insee}"): open_to_all,
    ("get", "/ops/incidents"): open_to_all,
    ("get", "/ops/requests/{id}/why"): open_to_all,
}


async def test_every_route_of_the_contract_is_here(town: Town) -> None:
    contract = town.gw.app.openapi()
    published = {(method, path) for path, one in contract["paths"].items() for method in one}
    assert published == CALLED.keys(), "say in CALLED how it is called with another's key"


@pytest.mark.parametrize("operation", CALLED, ids=lambda one: f"{one[0]} {one[1]}")
async def test_anothers_key_reads_nothing_and_writes_nothing(
    town: Town, operation: tuple[str, str]
) -> None:
    method, template = operation
    for insee in (OURS, THEIRS) if "{insee}" in template else ("",):
        for ref in (THEIR_REF, town.id) if "{ref}" in template else ("",):
            named = {"insee": insee, "slug": SLUG, "ref": ref, "adapter": "main", "id": town.id}
            path = template.format(**named, reference=town.id, sha256="0" * 64)
            await CALLED[operation](town, method, path)
    assert town.foreign_writes() == []
    found = json.dumps(sorted(map(str, town.rows()["request"])))
    assert found.count(THEIR_REF) >= 1


def _told(answer: httpx.Response) -> Any:
    """Return an answer without the number asked about and the request's own names."""
    found = answer.json()
    text = json.dumps([answer.status_code, found]).replace(FREE_REF, THEIR_REF)
    ours = found.get("data") or {}
    for name in (ours.get("id"), ours.get("status_at")):
        text = text.replace(name, "…") if name else text
    return json.loads(text)


async def test_anothers_number_is_answered_as_one_that_nobody_has(town: Town) -> None:
    """Every route that names a formdata answers so, before and after a key has pushed to it."""
    places = [place.format(insee=OURS, slug=SLUG) for place in (PORTAL, ANY)]
    said: dict[str, list[Any]] = {THEIR_REF: [], FREE_REF: []}
    calls: list[tuple[str, str, Any]] = []
    for place in places:
        asked = [("get", place + "/{ref}", None)]
        asked += [("post", place + "/{ref}/events", one) for one in tellings()]
        asked += [("post", place, one) for one in pushes() if one.get("action") or "extra" in one]
        calls += asked
        for description in ("inventé", "inventé", "autre"):
            fields = {"commune_raw": OURS, "description": description}
            calls.append(("post", place, small(THEIR_REF, fields=fields)))
        calls += asked
    for method, path, body in calls:
        for ref, answers in said.items():
            named = None if body is None else json.loads(json.dumps(body).replace(THEIR_REF, ref))
            url = town.gw.signed(path.format(ref=ref), **KEYS[0])
            answer = await town.gw.client.request(method, url, json=named)
            answers.append((method, path, body, _told(answer)))
            if answer.status_code in (200, 201):
                mine = answer.json()["data"]["id"]
                url = town.gw.signed(path.partition("/{ref}")[0] + f"/{mine}", **KEYS[0])
                assert (await town.gw.client.get(url)).status_code == 200
    assert said[THEIR_REF] == said[FREE_REF]
    statuses = {told[0] for *_, told in said[THEIR_REF]}
    assert {200, 201, 404, 409} <= statuses, "or else the answers would say nothing"
    assert town.foreign_writes() == []
