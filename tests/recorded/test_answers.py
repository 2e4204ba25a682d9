"""The gateway's clients understand the recorded answers of w.c.s. and Authentic.

Each recorded answer is given to the call of ours that would have met it. Where the portal refuses a
hook, the client may read the formdata to learn why: it is then given what was recorded of the same
access in the same state.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused, TryLater, Unsure
from gateway.sdk.publik.localtime import parse_local
from gateway.wire.formdata import parse_formdata
from gateway.wire.identity import Outage, ProviderReading
from gateway.wire.identity_call import BasicAccess
from gateway.wire.portal import Page, PortalClient, WholeList
from gateway.wire.spool import SpooledBody
from gateway.wire.synchronization import Synchronization
from tests.recorded.recordings import PORTAL, Exchange, document, exchange, moment
from tests.recorded.table import GATEWAY, replayed

SLUG = "signalement-anomalie"
API = f"{PORTAL}/api/forms/{SLUG}/18/"
PAYLOAD = {"evenement": "e1", "statut": "en_cours", "message": None}


def recorded(topic: str) -> list[Any]:
    numbers = replayed(GATEWAY, topic)
    return [pytest.param(exchange(topic, n), id=exchange(topic, n).name) for n in numbers]


@asynccontextmanager
async def client(answers: Any) -> AsyncIterator[PortalClient]:
    transport = httpx.MockTransport(answers)
    nonces = iter(f"nonce{n}" for n in range(99))
    async with httpx.AsyncClient(transport=transport) as http:
        yield PortalClient(
            PORTAL,
            http,
            orig="passerelle-api",
            key="mot-de-passe-factice-api",
            basic=None,
            now=lambda: datetime(2026, 11, 26, 23, 36, tzinfo=UTC),
            nonce=lambda: next(nonces),
            max_file_bytes=DEFAULT_LIMITS.max_file_bytes,
        )


def refused(outcome: object, status: int) -> bool:
    """Does the outcome say what this HTTP status of a read means?"""
    if status in (401, 403):
        return isinstance(outcome, Misconfigured)
    return isinstance(outcome, Refused)


@pytest.mark.parametrize("one", recorded("02-list"))
async def test_lists(one: Exchange) -> None:
    async with client(one.answer) as portal:
        got = await portal.listing(SLUG, None, 0, 5)
    if one.status != 200:
        assert refused(got, one.status), got
        return
    rows = one.answered["data"] if isinstance(one.answered, dict) else one.answered
    assert isinstance(got, Page)
    assert [row["id"] for row in got.rows] == [row["id"] for row in rows]
    assert got.more is (len(rows) >= 5 or "next" in one.answered)


@pytest.mark.parametrize("one", [p for p in recorded("03-formdata") if p.values[0].method == "GET"])
async def test_formdata(one: Exchange) -> None:
    async with client(one.answer) as portal:
        got = await portal.formdata(API)
    if one.status != 200:
        assert refused(got, one.status), got
        return
    assert isinstance(got, SpooledBody)
    found = parse_formdata(got.text, "application/json", limits=DEFAULT_LIMITS)
    told = one.answered
    assert (found.ref, found.uuid, found.slug) == (told["id"], told["uuid"], SLUG)
    assert found.document == told
    assert found.receipt_time == parse_local(told["receipt_time"])
    if "user" in told:
        assert found.user is not None
        assert found.user.uuid == "b1a7c0de00000000000000000000feed"
    else:
        assert found.user is None


ERASED = "effacement-essai"


def erased(*, lists: bool) -> list[Any]:
    found = [p for p in recorded("10-anonymised") if p.values[0].method == "GET"]
    return [p for p in found if ("/list" in p.values[0].path) is lists]


@pytest.mark.parametrize("one", erased(lists=True))
async def test_what_is_anonymised_is_left_out_of_lists_and_names_nobody(one: Exchange) -> None:
    refs = one.query.get("filter-identifier", [""])[0].split(",")
    longer = "on" in one.query.get("include-anonymised", [])
    async with client(one.answer) as portal:
        got = await (portal.with_anonymised if longer else portal.listed)(ERASED, refs)
    if one.status != 200:
        assert refused(got, one.status), got
        return
    there = frozenset(row["id"] for row in one.answered)
    wiped = frozenset("126") if one.number >= 11 else frozenset()
    assert got == (WholeList(there, wiped) if longer else there)


@pytest.mark.parametrize("one", erased(lists=False))
async def test_what_is_deleted_is_told_by_the_portal_alone(one: Exchange) -> None:
    ref = one.path.split("/")[4]
    async with client(one.answer) as portal:
        assert await portal.is_deleted(ERASED, ref) is (one.status == 404)
    async with client(lambda _: httpx.Response(one.status, text="<p>Not Found</p>")) as portal:
        assert await portal.is_deleted(ERASED, ref) is False


@pytest.mark.parametrize("one", recorded("04-schema"))
async def test_schemas(one: Exchange) -> None:
    async with client(one.answer) as portal:
        got = await portal.schema(SLUG)
    if one.status != 200:
        assert refused(got, one.status), got
        return
    assert isinstance(got, dict)
    assert got == one.answered


#: Topic and number of a hook that was refused -> the read of the formdata that tells why.
BUSY, NO_RIGHT, NO_ROLE = (exchange("03-formdata", n) for n in (22, 18, 6))


def why(one: Exchange) -> Exchange:
    """Return the answer to the same access when it reads the formdata next."""
    if one.status == 404:
        gone = "99999" in one.path or one.topic == "10-anonymised"
        return exchange("03-formdata", 11 if gone else 4)
    if "cours de traitement" in one.answered["err_desc"] or "processing" in str(one.answered):
        return BUSY
    if one.topic == "03-formdata":
        return NO_RIGHT
    if one.key in ("mot-de-passe-factice-sans-role", "cle-factice-api-passerelle"):
        return NO_ROLE
    if one.what.startswith(("the same nonce", "nonce used twice", "GET instead")):
        return exchange("03-formdata", 20)
    # Whatever is wrong with the signature is so in the second call as well.
    return one


#: Kinds of outcome that say the right thing, by what was recorded.
def right(one: Exchange) -> tuple[type[Outcome], ...]:
    if one.status == 200:
        return (Accepted,)
    if one.status == 404:
        return (Refused, Misconfigured, TryLater)
    if one.status == 400:
        return (Refused,)
    if why(one) is BUSY:
        return (TryLater,)
    if "once" in one.what or "again" in one.what or "twice" in one.what:
        return (Unsure, TryLater)
    if one.what.startswith("GET"):
        return (TryLater,)  # which no call of ours is: to us it is a 403 with the right there
    return (Misconfigured,)


def calls() -> list[Any]:
    found = [p for n in ("05-hooks", "03-formdata", "10-anonymised") for p in recorded(n)]
    ones = [p.values[0] for p in found]
    return [
        pytest.param(one, id=one.name)
        for one in ones
        if one.method == "POST" or one.topic == "05-hooks"
    ]


@pytest.mark.parametrize("one", calls())
async def test_hooks_and_jumps(one: Exchange) -> None:
    seen: list[str] = []

    def answers(request: httpx.Request) -> httpx.Response:
        seen.append(request.method)
        return (one if request.method == "POST" else why(one)).answer(request)

    async with client(answers) as portal:
        if "/jump/" in one.path:
            got = await portal.jump(API, "cloture", PAYLOAD)
        else:
            got = await portal.hook(API, "retour_commune", PAYLOAD)
    assert isinstance(got, right(one)), got
    assert seen.count("POST") == 1, "a call that may have been taken is made once"
    if one.status == 404 and "99999" in one.path:
        assert isinstance(got, Refused)
        assert got.reason == "unknown_formdata"


CANARY = "cafe0000000000000000000000000001"


@pytest.mark.parametrize("one", recorded("07-authentic"))
async def test_accounts(one: Exchange) -> None:
    body = one.body if isinstance(one.body, dict) else {}
    known = body.get("known_uuids")
    asked = known if isinstance(known, list) and known else [CANARY]
    access = BasicAccess("passerelle", "mot-de-passe-factice-glc")
    transport = httpx.MockTransport(one.answer)
    async with httpx.AsyncClient(transport=transport) as http:
        source = Synchronization("https://connexion.exemple.invalid", http, access, CANARY)
        got = await source.read(asked, None)
    if one.status != 200:
        assert isinstance(got, Outage), got
        return
    assert isinstance(got, ProviderReading), got
    unknown = set(one.answered["unknown_uuids"])
    assert got.canary_gone is (CANARY in unknown)
    assert got.gone == unknown - {CANARY}


@pytest.mark.parametrize("row", document("09-dst")["rows"], ids=lambda row: row["instant_utc"])
def test_the_nights_when_the_clocks_change(row: dict[str, str]) -> None:
    instant = moment(row["instant_utc"])
    assert moment(row["evolution[0].time"]) == instant
    body = json.dumps({"id": "1", "fields": {}, "receipt_time": row["receipt_time"]}).encode()
    found = parse_formdata(body, "application/json", limits=DEFAULT_LIMITS).receipt_time
    # Of the hour that comes twice, one of both.
    assert found is not None
    assert abs(found - instant) in (timedelta(0), timedelta(hours=1))
    if not row["instant_utc"].startswith("2026-10-25"):
        assert found == instant
