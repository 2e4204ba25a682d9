"""The simulated w.c.s. on a real socket."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.sdk.publik.signature import parse_signed, sign_url, verify_query
from gateway.sim.portal import Callout, SimulatedPortal
from gateway.sim.server import run_server
from gateway.sim.workflow import WorkflowStatus
from gateway.sim.wscall import AnswerClass
from gateway.wire.formdata import parse_formdata

SAMPLES = Path(__file__).parent.parent / "samples"
ORIG, KEY = "connecteur", "cle-partagée"
ZOE = {
    "id": 1,
    "name": "Zoé Fictive-Exemple",
    "email": "zoe.fictive@exemple.invalid",
    "NameID": ["b1a7c0de00000000000000000000feed"],
}
_nonces = (f"n{n}" for n in itertools.count())


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Caller:
    """Signs every call as the gateway does."""

    def __init__(self, portal: SimulatedPortal, url: str, client: httpx.AsyncClient) -> None:
        self.portal, self.url, self.client = portal, url, client

    def sign(self, path: str, orig: str = ORIG, key: str = KEY) -> str:
        now = self.portal.clock()
        return sign_url(self.url + path, key, orig=orig, now=now, nonce=next(_nonces))

    async def get(self, path: str) -> Any:
        answer = await self.client.get(self.sign(path))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        return await self.client.post(self.sign(path), json=body)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def far(clock: Clock) -> AsyncIterator[Caller]:
    portal = SimulatedPortal(keys={ORIG: KEY}, clock=clock)
    async with run_server(portal.app) as running, httpx.AsyncClient() as client:
        portal.base_url = running.url
        yield Caller(portal, running.url, client)


async def test_access(far: Caller, clock: Clock) -> None:
    far.portal.submit("voirie", {"rue": "rue de l’Été"}, ZOE)
    path = "/api/forms/voirie/list"
    unsigned = await far.client.get(far.url + path)
    assert (unsigned.status_code, unsigned.json()["err_code"]) == (401, "access-unauthorized")
    signed = far.sign(path)
    assert (await far.client.get(signed)).status_code == 200
    again = await far.client.get(signed)
    assert (again.status_code, again.json()["err_desc"]) == (403, "Nonce déjà utilisé.")
    late = far.sign(path)
    clock.now += timedelta(seconds=31)
    assert (await far.client.get(late)).json()["err_code"] == "access-denied"
    wrong = await far.client.get(far.sign(path, key="fausse"))
    assert (wrong.status_code, wrong.json()["err_desc"]) == (403, "Signature invalide.")
    assert (await far.client.get(far.url + path, auth=(ORIG, KEY))).status_code == 200
    assert (await far.client.get(far.url + path, auth=(ORIG, "non"))).status_code == 401
    assert (await far.client.get(far.sign("/api/forms/inconnu/list"))).status_code == 404


async def test_a_role_is_asked_for_one_formdata_and_not_for_the_list(far: Caller) -> None:
    far.portal.submit("voirie", {}, ZOE)
    far.portal.forms["voirie"].closed_to = frozenset({ORIG})
    far.portal.submit("ouvert", {}, ZOE)
    await far.get("/api/forms/voirie/list?full=on")
    one = await far.client.get(far.sign("/api/forms/voirie/1/"))
    assert (one.status_code, one.json()["err_desc"]) == (403, "Rôles insuffisants.")
    hook = await far.post("/api/forms/voirie/1/hooks/retour_commune/", {})
    assert (hook.status_code, hook.json()["err_desc"]) == (403, "Rôles insuffisants.")
    await far.get("/api/forms/ouvert/1/")
    far.portal.roleless = frozenset({ORIG})
    assert (await far.client.get(far.sign("/api/forms/ouvert/1/"))).status_code == 403
    assert "user" not in await far.get("/api/forms/voirie/1/?anonymise")


@pytest.mark.parametrize("name", ["signalement-anomalie", "inscription-scolaire"])
async def test_samples_come_back_as_they_were(far: Caller, name: str) -> None:
    sample = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    item = far.portal.submit_sample(sample, keep_id=True)
    read = await far.get(f"/api/forms/{name}/{sample['id']}/")
    assert read["display_id"] == sample["display_id"]
    assert read["user"] == sample["user"]
    assert read["fields"].keys() == sample["fields"].keys()
    assert "actions" not in read
    read = await far.get(f"/api/forms/{name}/{sample['id']}/?include-actions=on")
    assert {k for k in read["actions"] if k.startswith("global-action:")} == {
        k for k in sample["actions"] if k.startswith("global-action:")
    }
    pushed = item.document(far.portal.base_url, push=True)
    assert pushed["actions"] == {}, "nobody in particular may do anything"
    # The gateway's own reader takes what the simulator writes.
    parse_formdata(json.dumps(pushed).encode(), "application/json", limits=DEFAULT_LIMITS)


async def test_files_have_content_in_single_reads_only_and_can_be_fetched(far: Caller) -> None:
    files = {"photo": ("été.png", "image/png", b"\x89PNG")}
    far.portal.submit("voirie", {"rue": "x"}, ZOE, files=files)
    photo = (await far.get("/api/forms/voirie/1/"))["fields"]["photo"]
    assert base64.b64decode(photo["content"]) == b"\x89PNG"
    bare = await far.get("/api/forms/voirie/1/?include-files-content=off")
    assert "content" not in bare["fields"]["photo"]
    listed = (await far.get("/api/forms/voirie/list?full=on"))[0]["fields"]["photo"]
    assert "content" not in listed
    query = listed["url"].partition("?")[2]
    got = await far.client.get(far.sign(f"/api/forms/voirie/1/download?{query}"))
    assert (got.content, got.headers["content-type"]) == (b"\x89PNG", "image/png")


async def test_times_are_naive_and_offsets_differ_between_push_and_pull(far: Caller) -> None:
    item = far.portal.submit("voirie", {})
    read = await far.get("/api/forms/voirie/1/")
    pushed = item.document(far.url, push=True)
    assert read["receipt_time"] == pushed["receipt_time"] == "2026-03-12T09:00:00"
    assert read["evolution"][0]["time"].endswith("+00:00")
    assert pushed["evolution"][0]["time"].endswith("+01:00")


async def test_lists(far: Caller, clock: Clock) -> None:
    for n in range(5):
        clock.now += timedelta(minutes=1)
        far.portal.submit("voirie", {"rue": f"rue {n}", "quartier": "nord" if n < 2 else "sud"})
    ids = [row["id"] for row in await far.get("/api/forms/voirie/list")]
    assert ids == ["5", "4", "3", "2", "1"]
    assert "fields" not in (await far.get("/api/forms/voirie/list"))[0]
    page = await far.get("/api/forms/voirie/list?response_type=dict&order_by=id&limit=2&offset=2")
    assert ([row["id"] for row in page["data"]], page["count"]) == (["3", "4"], 5)
    assert "offset=4" in page["next"]
    assert "offset=0" in page["previous"]
    nord = await far.get("/api/forms/voirie/list/?filter-quartier=nord")
    assert {row["id"] for row in nord} == {"1", "2"}
    assert (await far.client.get(far.sign("/api/forms/voirie/list?filter-x=1"))).status_code == 400
    far.portal.move("voirie", "2", "terminee")
    done = await far.get("/api/forms/voirie/list?filter=done")
    assert [row["id"] for row in done] == ["2"]


async def test_mtime_filter_is_inclusive_blind_to_silent_edits_and_ignores_bad_dates(
    far: Caller, clock: Clock
) -> None:
    far.portal.submit("voirie", {"rue": "a"})
    clock.now += timedelta(hours=1)
    far.portal.submit("voirie", {"rue": "b"})
    far.portal.edit("voirie", "1", {"rue": "changée"})
    path = "/api/forms/voirie/list?filter-start-mtime=on&filter-start-mtime-value="
    assert [row["id"] for row in await far.get(path + "2026-03-12T10:00:00")] == ["2"]
    assert len(await far.get(path + "2026-03-12T09:00:00")) == 2
    assert await far.get(path + "2026-03-12T10:00:01") == []
    assert len(await far.get(path + "hier")) == 2
    far.portal.say("voirie", "1", "bonjour")
    assert len(await far.get(path + "2026-03-12T10:00:00")) == 2


async def test_a_hook_is_executed_each_time_it_is_posted_and_writes_once(far: Caller) -> None:
    item = far.portal.submit("voirie", {}, ZOE)
    item.workflow_fields["bo_a_transmettre"] = "2026-03-12T09:00:00+0100"
    body = {
        "evenement": "e1",
        "statut": "en_cours",
        "message": "Une équipe <passe>",
        "document_attendu": "e1-document",
        "document_nom": "avis n°1.pdf",
    }
    path = "/api/forms/voirie/1/hooks"
    for _ in range(2):
        answer = await far.post(f"{path}/retour_commune/", body)
        assert answer.json() == {"err": 0}
    assert far.portal.events("voirie", "1") == [body, body]
    headers = {"Content-Type": "application/pdf", "filename": "avis no1.pdf"}
    for _ in range(2):
        url = far.sign(f"{path}/document_commune/")
        answer = await far.client.put(url, content=b"%PDF", headers=headers)
        assert answer.json() == {"err": 0}
    read = await far.get("/api/forms/voirie/1/")
    assert read["workflow"]["data"]["retour_commune"] == body
    assert "document_commune" not in read["workflow"]["data"], "nothing of a file stays there"
    assert read["workflow"]["status"]["id"] == "encours"
    assert read["workflow"]["fields"]["bo_retours_traites"].split() == ["e1", "e1-document"]
    # What it wrote stands with the entry that was last, which is not the status that it led to.
    parts = [part for entry in read["evolution"] for part in entry.get("parts", [])]
    assert read["evolution"][0]["parts"] == parts[:1]
    assert "Une équipe &lt;passe&gt;" in parts[0]["content"]
    (document,) = (part for part in parts if part["type"] == "workflow-attachment")
    assert document["filename"] == "avis n_1.pdf"
    assert base64.b64decode(document["content"]) == b"%PDF"
    statuses = [one.get("status") for one in read["evolution"]]
    assert statuses == ["envoi", "aiguillage", "encours"]
    missing = await far.post(f"{path}/autre/", body)
    assert (missing.status_code, missing.json()["err_code"]) == (404, "not-found")
    wrong = await far.client.get(far.sign(f"{path}/retour_commune/"))
    assert wrong.status_code == 403


async def test_a_killed_worker_leaves_the_mark_until_an_hourly_job(
    far: Caller, clock: Clock
) -> None:
    item = far.portal.submit("voirie", {}, ZOE)
    hook = item.form.hook("retour_commune")
    far.portal.kill_at = hook.actions[2].id
    body = {"evenement": "e1", "statut": "en_cours", "message": "Bonjour"}
    path = "/api/forms/voirie/1/hooks/retour_commune/"
    with pytest.raises(httpx.RemoteProtocolError):
        await far.post(path, body)
    read = await far.get("/api/forms/voirie/1/")
    assert read["workflow"]["data"]["retour_commune"] == body, "stored before any action"
    assert read["workflow"]["fields"]["bo_retours_traites"] is None
    assert "parts" not in read["evolution"][0], "nothing had stored the message"
    assert far.portal.events("voirie", "1") == []
    for hours in (0, 1):  # 8:00; the job of 9:00 finds it one hour old, not older
        clock.now += timedelta(hours=hours)
        assert (await far.post(path, body)).status_code == 403
    clock.now += timedelta(hours=1)
    assert (await far.post(path, body)).status_code == 200
    read = await far.get("/api/forms/voirie/1/")
    assert read["workflow"]["fields"]["bo_retours_traites"].split() == ["e1"]


async def test_processing_refuses_for_a_while(far: Caller, clock: Clock) -> None:
    far.portal.submit("voirie", {})
    far.portal.process("voirie", "1", 5)
    path = "/api/forms/voirie/1/hooks/retour_commune/"
    busy = await far.post(path, {})
    assert busy.status_code == 403
    assert busy.json()["err_desc"] == "Actions en cours de traitement sur ce formulaire."
    assert far.portal.events("voirie", "1") == []
    clock.now += timedelta(seconds=5)
    assert (await far.post(path, {})).status_code == 200


async def test_a_jump_works_only_in_its_status(far: Caller) -> None:
    statuses = [
        WorkflowStatus("new", "Nouvelle", jumps={"pris": "vu"}),
        WorkflowStatus("vu", "Vue", endpoint=True),
    ]
    far.portal.define("voirie", statuses=statuses)
    far.portal.submit("voirie", {})
    path = "/api/forms/voirie/1/jump/trigger/pris/"
    first = await far.post(path, {"couleur": "bleu"})
    assert first.json() == {"err": 0, "url": None}
    assert (await far.post(path, {"couleur": "bleu"})).status_code == 404
    read = await far.get("/api/forms/voirie/1/")
    assert read["workflow"]["status"] | {"id": "vu", "endpoint": True} == read["workflow"]["status"]
    assert read["workflow"]["data"]["couleur"] == "bleu"


async def test_schema_follows_renamed_and_removed_fields(far: Caller) -> None:
    far.portal.submit("voirie", {"rue": "x", "rue_raw": "1", "urgent": True})
    schema = await far.get("/api/formdefs/voirie/schema")
    assert [(f["varname"], f["type"]) for f in schema["fields"]] == [
        ("rue", "item"),
        ("urgent", "bool"),
    ]
    assert schema["workflow"]["statuses"][0]["id"] == "envoi"
    far.portal.forms["voirie"].rename_field("rue", "voie")
    far.portal.forms["voirie"].remove_field("urgent")
    schema = await far.get("/api/formdefs/voirie/schema")
    assert [f["varname"] for f in schema["fields"]] == ["voie"]
    assert [f["slug"] for f in (await far.get("/api/formdefs/"))["data"]] == ["voirie"]


async def test_push_is_signed_judged_stored_and_renumbers(far: Caller, clock: Clock) -> None:
    seen: list[tuple[Request, Any]] = []

    async def take(request: Request) -> Response:
        seen.append((request, await request.json()))
        return JSONResponse({"err": 0, "data": {"id": "TDG-1", "display_id": "TDG-1"}})

    ours = Starlette(routes=[Route("/push", take, methods=["POST"])])
    item = far.portal.submit("voirie", {"rue": "x"}, ZOE)
    async with run_server(ours) as running:
        url = f"{running.url}/push?a=1"
        verdict = await far.portal.push("1", url, "1234", extra={"commune": "69029"}, name="gw")
    assert verdict.judgement is AnswerClass.OK
    request, body = seen[0]
    signed = parse_signed(request.url.query)
    assert signed is not None
    verify_query(signed, ["1234"], clock())
    assert signed.orig is None
    assert request.headers["user-agent"].startswith("w.c.s.")
    assert request.headers["publik-caller-url"] == item.backoffice_url(far.url)
    assert body["extra"] == {"commune": "69029"}
    assert item.display_id == "TDG-1"
    assert item.workflow_data["gw_response"]["data"]["id"] == "TDG-1"
    assert item.workflow_data["gw_status"] == 200


async def test_push_to_nobody_is_a_network_error_and_stops(far: Caller) -> None:
    async with run_server(Starlette()) as running:
        gone = running.url
    far.portal.callout = Callout(f"{gone}/push", "1234")
    far.portal.submit("voirie", {})
    verdict = await far.portal.push("1")
    assert verdict.judgement is AnswerClass.NETWORK_ERROR
    assert not verdict.goes_on
    item = far.portal.get("voirie", "1")
    assert "passerelle_status" not in item.workflow_data
    assert "passerelle_connection_error" in item.workflow_data
    assert item.status == "envoi", "where it waits to be sent again"


async def test_anonymised_formdata_leave_the_lists(far: Caller) -> None:
    far.portal.submit("voirie", {"rue": "x"}, ZOE)
    far.portal.anonymise("voirie", "1")
    assert await far.get("/api/forms/voirie/list") == []
    assert len(await far.get("/api/forms/voirie/list?include-anonymised=on")) == 1
    assert "user" not in await far.get("/api/forms/voirie/1/")


async def test_driven_from_another_process(far: Caller) -> None:
    async def control(action: str, body: Any) -> Any:
        return (await far.client.post(f"{far.url}/_sim/{action}", json=body)).json()

    made = await control("submit", {"slug": "voirie", "fields": {"rue": "x"}, "user": ZOE})
    assert made["id"] == "1"
    gone = await control("push", {"id": "1", "url": "http://127.0.0.1:1/push", "key": "k"})
    assert gone["judgement"] == "network_error"
    await control("move", {"slug": "voirie", "id": "1", "status": "encours"})
    state = (await far.client.get(f"{far.url}/_sim/state")).json()
    assert state["formdata"][0]["status"] == "encours"
    assert state["pushes"][0]["judgement"] == "network_error"
    wrong = await far.client.post(f"{far.url}/_sim/push", json={"id": "9"})
    assert wrong.status_code == 400
