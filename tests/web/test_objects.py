"""An object store that fails: what the portal is answered, and what operators see."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, func, select

from gateway.catalogue.catalogue import AttachmentStore
from gateway.core.content import InMemory
from gateway.core.errors import Unavailable
from gateway.core.sealing import TAG
from gateway.flow.attachments import EVERY, RETRY
from gateway.store import sealed
from gateway.store.object_gc import UNDER_WAY
from gateway.store.tables import ATTACHMENT, BLOB, DELIVERY, EVENT, NONCE, REQUEST
from tests.web.harness import Gateway, gateway, small
from tests.web.test_senders import BRON

PNG = b"\x89PNG\r\n\x1a\n" + b"image inventee"


@pytest.fixture
async def stored(tmp_path: Path, template: Path, share: Path) -> AsyncIterator[Gateway]:
    """A gateway whose files lie in `share`."""
    store = AttachmentStore(f"file://{share}", {}, True)
    async with gateway(tmp_path, template, store) as running:
        yield running


def with_photo(ref: str = "7", content: bytes = PNG) -> dict[str, Any]:
    photo = {
        "filename": "photo.png",
        "content_type": "image/png",
        "content": base64.b64encode(content).decode(),
        "content_is_base64": True,
    }
    formdata = small(ref)
    return formdata | {"fields": formdata["fields"] | {"photo": photo}}


def objects(share: Path) -> list[bytes]:
    return [path.read_bytes() for path in share.rglob("*") if path.is_file()]


def take_away(share: Path) -> None:
    share.rename(share.with_name("away"))


def bring_back(share: Path) -> None:
    share.with_name("away").rename(share)


async def health(gw: Gateway) -> tuple[str, Mapping[str, Any]]:
    """The whole in a word, and the part of the attachments."""
    answer = await gw.client.get("/ops/health")
    assert answer.status_code == 200
    return answer.json()["status"], answer.json()["attachments"]


def _address(connection: Connection, sha256: str) -> str:
    request = connection.execute(select(REQUEST.c.id).where(REQUEST.c.ref == "7")).scalar_one()
    return sealed.address(connection, request, sha256)


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


async def test_a_push_that_cannot_be_kept_is_not_accepted(stored: Gateway, share: Path) -> None:
    signed = stored.signed(BRON)
    take_away(share)
    for call in (signed, stored.signed(BRON)):
        answer = await stored.client.post(call, json=with_photo())
        assert answer.status_code == 503, answer.text
        assert 0 < int(answer.headers["Retry-After"]) <= 600
        assert "err" not in answer.json()  # so that w.c.s. looks at the status
    for table in (REQUEST, EVENT, DELIVERY, ATTACHMENT, BLOB, NONCE):
        assert await stored.database.read(_count, table) == 0, table.name
    # Those without files can be kept, so it goes on taking requests.
    assert (await stored.client.get("/ops/ready")).status_code == 200
    assert (await stored.push(small("8"))).status_code == 201
    bring_back(share)
    answer = await stored.client.post(signed, json=with_photo())  # its nonce is not spent
    assert answer.status_code == 201, answer.text
    (lies,) = objects(share)
    assert (len(lies), PNG in lies) == (len(PNG) + TAG, False)
    again = await stored.push(with_photo())
    assert (again.status_code, again.json()["data"]["created"]) == (200, False)


async def test_health_tells_how_the_store_stands(stored: Gateway, share: Path) -> None:
    well = {"state": "ok", "detail": "", "since": None, "doomed": 0}
    assert await health(stored) == ("ok", well)
    take_away(share)
    assert await health(stored) == ("ok", well), "it asks nothing of a store that has not failed"
    assert (await stored.push(with_photo())).status_code == 503
    since = stored.clock[0].isoformat().replace("+00:00", "Z")
    stored.advance(seconds=5)
    assert (await stored.push(with_photo("8"))).status_code == 503
    ill = {"state": "degraded", "detail": "does not answer: put", "since": since, "doomed": 0}
    assert await health(stored) == ("degraded", ill)
    bring_back(share)
    assert (await health(stored))[1] == ill, "it is not tried at every look"
    assert (await stored.push(with_photo())).status_code == 201
    assert await health(stored) == ("ok", well)


async def test_a_store_that_works_again_is_not_blamed_for_long(
    stored: Gateway, share: Path
) -> None:
    take_away(share)
    assert (await stored.push(with_photo())).status_code == 503
    stored.advance(seconds=RETRY + 1)
    status, part = await health(stored)  # tried, in vain
    assert (status, part["since"]) == ("degraded", "2026-11-23T19:07:20Z")
    bring_back(share)
    assert (await health(stored))[0] == "degraded"
    stored.advance(seconds=RETRY + 1)
    assert (await health(stored))[0] == "ok"
    assert objects(share) == [], "a trial leaves nothing"


async def test_what_waits_to_be_deleted_is_counted(stored: Gateway, share: Path) -> None:
    assert (await stored.push(with_photo())).status_code == 201
    other = await stored.push(with_photo(content=PNG + b"2"))
    assert other.status_code == 409
    assert (await health(stored))[1]["doomed"] == 1
    take_away(share)
    assert await stored.engine.attachments.sweep() == 0
    status, part = await health(stored)
    assert (status, part["detail"]) == ("degraded", "does not answer: delete")
    # What was being put as it failed counts when it is past its time.
    assert (await stored.push(with_photo("8", PNG + b"3"))).status_code == 503
    assert (await health(stored))[1]["doomed"] == 1
    stored.advance(seconds=UNDER_WAY / timedelta(seconds=1) + EVERY)
    assert (await health(stored))[1]["doomed"] == 2
    bring_back(share)
    assert await stored.engine.attachments.sweep() == 2
    stored.advance(seconds=RETRY + 1)
    assert (await health(stored))[1] == {"state": "ok", "detail": "", "since": None, "doomed": 0}


async def metrics(gw: Gateway) -> dict[str, float]:
    """Return the metrics of the object store."""
    answer = await gw.client.get("/ops/metrics")
    lines = [line.split() for line in answer.text.splitlines() if "gru_gateway_attachment" in line]
    return {
        line[0]: float(line[1]) for line in lines if line[0] != "#" and "created" not in line[0]
    }


async def test_metrics_count_its_faults_and_what_is_to_go(stored: Gateway, share: Path) -> None:
    doomed = "gru_gateway_attachments_doomed"
    failed = 'gru_gateway_attachment_failures_total{{operation="{}"}}'.format
    assert await metrics(stored) == {doomed: 0}
    assert (await stored.push(with_photo())).status_code == 201
    assert (await stored.push(with_photo(content=PNG + b"2"))).status_code == 409
    assert await metrics(stored) == {doomed: 1}
    take_away(share)
    for ref in ("8", "9"):
        assert (await stored.push(with_photo(ref, PNG + b"3"))).status_code == 503
    assert await stored.engine.attachments.sweep() == 0
    address = await stored.database.read(_address, InMemory(PNG).sha256)
    with pytest.raises(Unavailable):
        await stored.engine.attachments.readable([address])
    faults = {failed("put"): 2, failed("delete"): 1, failed("read"): 1}
    assert await metrics(stored) == {doomed: 1} | faults
    bring_back(share)
    assert await stored.engine.attachments.sweep() == 1
    assert await metrics(stored) == {doomed: 0} | faults


async def test_without_a_store_there_is_nothing_to_tell(gw: Gateway) -> None:
    assert (await gw.push(with_photo())).status_code == 201
    assert await health(gw) == ("ok", None)
