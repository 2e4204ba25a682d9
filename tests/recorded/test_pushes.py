"""The gateway's HTTP intake accepts and understands the recorded pushes of w.c.s."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.request import EventKind
from gateway.sdk.publik.signature import sign_url
from gateway.store import requests
from gateway.store.rows import Trace
from gateway.wire.event import read_event
from gateway.wire.formdata import parse_formdata
from tests.recorded.recordings import PORTAL, Exchange, basic, exchange, exchanges, moment
from tests.recorded.table import GATEWAY, replayed
from tests.web.harness import MAPPING, Gateway, gateway

SLUG = "signalement-anomalie"
BRON_KEY = "cle-factice-commune-69029"
VARIABLE_KEY = "cle-factice-par-variable"
ENVIRON = {
    "BRON_KEY": BRON_KEY,
    "SITE_KEY": "cle-factice-wcs-vers-passerelle",
    "PASSWORD": "mot-de-passe-factice",
    "OURS": "cle-inventee",
    "TOKEN": "jeton-invente",
}
#: The second site of the recording, which pushed 8, 9 and 10. Its form had another slug there, and
#: its workflow still called the first one's address.
SECOND = "https://recette.exemple.invalid"
SECOND_SLUG = "signaler-une-anomalie-sur-l-espace-public"
GATEWAY_FILE = """\
data_dir: {data_dir}
public_url: https://passerelle.exemple.invalid/
portals:
  toodego:
    base_url: {portal}
    orig: passerelle.exemple.invalid
    key: env:OURS
    callers:
      - orig: recette.exemple.invalid
        key: env:SITE_KEY
      - username: portail-factice
        password: env:PASSWORD
    teleservices:
      {slug}: {{commune: fields.commune_raw}}
"""
COMMUNE_FILE = """\
commune: "69029"
name: Bron
portal: toodego
key: env:BRON_KEY
gru:
  main:
    adapter: memo
    options: {{token: env:TOKEN}}
routes:
  {slug}: {{gru: main, mapping: {slug}/memo}}
"""


def bundle(data_dir: Path, portal: str = PORTAL, slug: str = SLUG) -> dict[str, str]:
    return {
        "config/gateway.yaml": GATEWAY_FILE.format(data_dir=data_dir, portal=portal, slug=slug),
        "config/communes/69029.yaml": COMMUNE_FILE.format(slug=slug),
        f"mappings/{slug}/memo.yaml": MAPPING.format(slug=slug),
    }


PUSHES = [
    pytest.param(exchange("01-pushes", number), id=exchange("01-pushes", number).name)
    for number in replayed(GATEWAY, "01-pushes")
]


@dataclass
class Replayer:
    """One gateway, to which recorded calls are made byte for byte."""

    gw: Gateway
    key: str
    portal: str = PORTAL
    slug: str = SLUG
    made: int = field(default=0)

    async def replay(self, one: Exchange) -> httpx.Response:
        received = one.now
        if received is None:
            received = moment("2026-11-26T23:44:14Z")
        self.gw.clock[0] = received
        kept = ("content-type", "accept", "user-agent", "publik-caller-url", "authorization")
        headers = {name: value for name, value in one.headers.items() if name.lower() in kept}
        target = one.target.replace(f"/{SLUG}/", f"/{self.slug}/")
        return await self.gw.client.post(target, content=one.content, headers=headers)

    async def create(self, ref: str, now: Any) -> None:
        """A request that a recorded event is about, whose own creation was not recorded."""
        self.made += 1
        self.gw.clock[0] = now
        body = copy.deepcopy(exchange("01-pushes", 1).body)
        body["id"] = body["internal_id"] = ref
        body["api_url"] = f"{self.portal}/api/forms/{self.slug}/{ref}/"
        body["uuid"] = f"0000000{self.made}-0000-4000-8000-000000000000"
        url = f"/portal/v1/communes/69029/teleservices/{self.slug}/requests"
        signed = sign_url(url, self.key, orig=None, now=now, nonce=f"stand-in-{self.made}")
        answer = await self.gw.client.post(signed, json=body)
        assert answer.status_code == 201, answer.text

    async def trace(self, answer: httpx.Response) -> Trace:
        found = await self.gw.engine.store.read(requests.trace, answer.json()["data"]["id"])
        assert found is not None
        return found


@pytest.fixture
async def replayer(
    request: pytest.FixtureRequest, tmp_path: Path, template: Path
) -> AsyncIterator[Replayer]:
    one: Exchange = request.getfixturevalue("one")
    second = one.number >= 8
    key = VARIABLE_KEY if one.number == 8 else BRON_KEY
    place = (SECOND, SECOND_SLUG) if second else (PORTAL, SLUG)
    files = bundle(tmp_path, *place)
    environ = ENVIRON | {"BRON_KEY": key}
    async with gateway(tmp_path, template, files=files, environ=environ) as gw:
        yield Replayer(gw, key, *place)


#: number -> kind, key and message of the event that it brings.
MEANING: dict[int, tuple[EventKind, str, str | None]] = {
    0: (EventKind.CREATION, "1-17-creation", None),
    1: (EventKind.CREATION, "1-18-creation", None),
    2: (EventKind.MESSAGE, "1-18-message-1", "Où en est-on ? 😱 vite\nDeuxième ligne"),
    3: (EventKind.CHANGE, "1-18-modification-2", None),
    4: (EventKind.CANCELLATION, "1-19-annulation-1", "L'usager annule sa demande."),
    5: (EventKind.MESSAGE, "1-20-message-1", "Pendant la panne"),
    6: (EventKind.MESSAGE, "1-20-message-1", "Pendant la panne"),
    7: (EventKind.MESSAGE, "1-20-message-2", "Message refusé"),
    8: (EventKind.CREATION, "2-5-creation", None),
    9: (EventKind.MESSAGE, "2-5-message-1", "Message signé par le serveur"),
    10: (EventKind.MESSAGE, "2-5-message-2", "Message avec Basic"),
}


@pytest.mark.parametrize("one", PUSHES)
async def test_a_push_is_taken(one: Exchange, replayer: Replayer) -> None:
    assert len(one.content) == int(one.headers["Content-Length"])
    kind, key, message = MEANING[one.number]
    if kind is not EventKind.CREATION:
        ref = "18" if one.number == 3 else one.path.split("/")[-2]
        await replayer.create(ref, one.now or moment("2026-11-26T23:44:14Z"))
    answer = await replayer.replay(one)
    assert answer.status_code == 201, answer.text
    assert answer.json()["err"] == 0
    trace = await replayer.trace(answer)
    event = trace.events[-1]
    assert event.kind == kind
    if kind is EventKind.CHANGE:  # its history tells its instant, by which it is known for ever
        assert re.fullmatch(r"change-[0-9a-f]{16}", event.key)
    elif kind is not EventKind.CREATION:  # there is one, whatever key the workflow gives it
        assert event.key == key
    body = await replayer.gw.engine.store.read(requests.event_body, event.id)
    assert body is not None
    assert body["event"]["message"] == message
    if kind in (EventKind.CREATION, EventKind.CHANGE):
        same = {k: v for k, v in one.body["fields"].items() if not _holds_file(v)}
        assert {k: body["fields"][k] for k in same} == same
    again = await replayer.replay(one)
    if one.now is not None:
        assert again.status_code == 403, "the same signed call is taken once"


async def test_a_form_that_is_pushed_under_the_name_of_another_is_refused(
    tmp_path: Path, template: Path
) -> None:
    one = exchange("01-pushes", 8)
    environ = ENVIRON | {"BRON_KEY": VARIABLE_KEY}
    files = bundle(tmp_path, SECOND)
    async with gateway(tmp_path, template, files=files, environ=environ) as gw:
        answer = await Replayer(gw, VARIABLE_KEY, SECOND).replay(one)
    assert (answer.status_code, answer.json()["err_code"]) == (403, "other_formdata")
    assert f"{SECOND}/api/forms/{SLUG}/5/" in answer.json()["err_desc"]


async def test_the_event_sent_again_after_a_refusal_is_one(tmp_path: Path, template: Path) -> None:
    first, again = exchange("01-pushes", 5), exchange("01-pushes", 6)
    async with gateway(tmp_path, template, files=bundle(tmp_path), environ=ENVIRON) as gw:
        replayer = Replayer(gw, BRON_KEY)
        assert first.now is not None
        await replayer.create("20", first.now)
        assert (await replayer.replay(first)).status_code == 201
        answer = await replayer.replay(again)
        assert answer.status_code == 200
        kinds = [event.kind for event in (await replayer.trace(answer)).events]
        assert kinds == [EventKind.CREATION, EventKind.MESSAGE]


def test_files_of_a_push_are_found() -> None:
    one = exchange("01-pushes", 1)
    found = parse_formdata(one.content, "application/json", limits=DEFAULT_LIMITS)
    names = ["depôt_été 2026.png", "devis _ gravats _.pdf", "canapé.png"]
    assert [file.filename for file in found.files] == names
    kinds = ["image/png", "application/pdf", "image/png"]
    assert [file.content_type for file in found.files] == kinds
    assert [file.content is not None and file.content.size for file in found.files] == [73, 69, 73]
    assert found.user is not None
    assert found.user.uuid == "b1a7c0de00000000000000000000feed"
    assert found.location == (45.7334, 4.9118)
    assert found.receipt_time == moment("2026-11-26T23:35:23+00:00")
    assert read_event(found.extra).kind is EventKind.CREATION
    assert (
        parse_formdata(
            exchange("01-pushes", 0).content, "application/json", limits=DEFAULT_LIMITS
        ).user
        is None
    )


def test_wrong_signatures_of_the_recording_do_not_pass() -> None:
    """The keys of the table are those that sign: no push is taken for want of a check."""
    for one in exchanges("01-pushes"):
        assert one.key is not None or "Authorization" in one.headers
    assert exchange("01-pushes", 10).headers["Authorization"] == basic(
        "portail-factice", "mot-de-passe-factice"
    )


def _holds_file(value: Any) -> bool:
    return '"content_is_base64"' in json.dumps(value)
