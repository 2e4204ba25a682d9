"""Invariant 1: what is answered for is on disk, once, and what is refused leaves no trace."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.delivery import State
from gateway.core.errors import Rejected
from gateway.core.ids import REFERENCE
from gateway.store import requests
from gateway.store.rows import Acceptance, Reception
from gateway.wire.formdata import parse_formdata
from tests.flow.rig import BRON, SLUG, Died, Rig, request_id
from tests.intake import take_in


def rows(folder: Path, table: str) -> int:
    """Counted by another connection, as a process started after this one's death would see it."""
    with sqlite3.connect(folder / "gateway.db") as connection:
        (number,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return int(number)


async def test_a_request_is_on_disk_when_receive_returns(rig: Rig, tmp_path: Path) -> None:
    async with rig.gateway(run=False):
        accepted = await rig.push(rig.submit())
        assert accepted.reception is Reception.NEW
        assert REFERENCE.fullmatch(request_id(accepted))
        assert [rows(tmp_path, t) for t in ("request", "event", "delivery")] == [1, 1, 1]


async def test_the_same_again_is_same_and_another_content_a_conflict(rig: Rig) -> None:
    async with rig.gateway(run=False):
        item = rig.submit()
        first = await rig.push(item)
        rig.portal.say(SLUG, item.id, "Bonjour")  # the history is not what the citizen sent
        again = await rig.push(item)
        assert (again.reception, request_id(again)) == (Reception.SAME, request_id(first))
        rig.portal.edit(SLUG, item.id, {"description": "Autre chose."})
        changed = await rig.push(item)
        assert (changed.reception, request_id(changed)) == (Reception.CONFLICT, request_id(first))
        assert len(await rig.deliveries(request_id(first))) == 1


async def test_a_request_is_created_once_whatever_its_event_is_called(
    rig: Rig, tmp_path: Path
) -> None:
    async with rig.gateway(run=False):
        item = rig.submit()
        first = await rig.push(item, evenement="depot-1")
        second = await rig.push(item, evenement="depot-2")
        third = await rig.push(item)
        assert [a.reception for a in (first, second, third)] == [
            Reception.NEW,
            Reception.SAME,
            Reception.SAME,
        ]
        assert rows(tmp_path, "delivery") == 1


async def test_later_events_are_kept_once(rig: Rig) -> None:
    async with rig.gateway(run=False):
        item = rig.submit()
        early = await rig.push(item, action="message", evenement="m1", message="Bonjour")
        assert early.reception is Reception.UNKNOWN
        request = request_id(await rig.push(item))
        for text, expected in (
            ("Bonjour", Reception.NEW),
            ("Bonjour", Reception.SAME),
            ("Autre chose", Reception.NEW),  # an unsound key costs the citizen nothing
            ("Autre chose", Reception.SAME),
        ):
            took = await rig.push(item, action="message", evenement="m1", message=text)
            assert took.reception is expected
        assert len(await rig.deliveries(request)) == 3


async def test_a_change_of_a_form_that_is_not_here_waits_for_its_creation(rig: Rig) -> None:
    async with rig.gateway(run=False):
        item = rig.submit()
        early = await rig.push(item, action="modification", evenement="c1")
        assert (early.reception, early.request) == (Reception.UNKNOWN, None)
        await rig.push(item)
        rig.portal.edit(SLUG, item.id, {"description": "Autre chose."})
        assert (await rig.push(item, action="modification")).reception is Reception.NEW


async def test_a_change_without_its_form_takes_no_field_away(rig: Rig) -> None:
    """The GRU is told what the citizen changed, and a form that did not come is no change."""
    async with rig.gateway(run=False) as engine:
        item = rig.submit()
        request = request_id(await rig.push(item))
        bare = f'{{"id": "{item.id}", "extra": {{"action": "modification"}}}}'
        formdata = parse_formdata(bare.encode(), "application/json", limits=DEFAULT_LIMITS)
        took = await take_in(engine, "toodego", BRON, SLUG, formdata)
        assert (took.reception, request_id(took)) == (Reception.NEW, request)
        assert await changed_fields(rig, took) == []
        rig.portal.edit(SLUG, item.id, {"description": "Autre chose."})
        told = await changed_fields(rig, await rig.push(item, action="modification"))
        assert told == ["description"], "the last form that came is what is compared"


async def test_the_address_that_is_kept_is_the_one_that_we_make(rig: Rig) -> None:
    """However the portal writes it, it is what the reports are sent to."""
    async with rig.gateway(run=False):
        formdata = rig.formdata(rig.submit())
        assert formdata.api_url is not None
        other = replace(formdata, api_url=formdata.api_url.rstrip("/"))
        took = await take_in(rig.engine, "toodego", BRON, SLUG, other)
        assert took.request is not None
        assert took.request.api_url == formdata.api_url


async def changed_fields(rig: Rig, took: Acceptance) -> list[str]:
    """The fields that an event says to have changed."""
    body = await rig.database.read(requests.event_body, took.event_id or "")
    assert body is not None
    return [one["field"] for one in body["changes"]]


@pytest.mark.parametrize(
    ("portal", "commune", "slug", "code"),
    [
        ("inconnu", BRON, SLUG, "unknown_portal"),
        ("toodego", "75056", SLUG, "unknown_commune"),
        ("toodego", BRON, "autre-demarche", "unknown_teleservice"),
    ],
)
async def test_nothing_is_kept_of_what_is_rejected(
    rig: Rig, tmp_path: Path, portal: str, commune: str, slug: str, code: str
) -> None:
    async with rig.gateway(run=False) as engine:
        formdata = rig.formdata(rig.submit())
        with pytest.raises(Rejected) as refusal:
            await take_in(engine, portal, commune, slug, formdata)
        assert (refusal.value.status, refusal.value.code) == (404, code)
    assert [rows(tmp_path, t) for t in ("request", "event", "delivery", "attachment")] == [0] * 4


@pytest.mark.parametrize(
    ("point", "kept"), [("receive.before_commit", 0), ("receive.after_commit", 1)]
)
async def test_a_push_repeated_after_a_death_makes_one_request(
    rig: Rig, tmp_path: Path, point: str, kept: int
) -> None:
    item = rig.submit()
    rig.crash_at = point
    async with rig.gateway(run=False, stop=False):
        with pytest.raises(Died):
            await rig.push(item)
    assert rows(tmp_path, "request") == kept
    async with rig.gateway():
        again = await rig.push(item)
        assert again.reception is (Reception.SAME if kept else Reception.NEW)
        await rig.state(request_id(again), State.DONE)
    assert len(rig.gru.tickets) == 1


async def test_what_came_in_before_the_lanes_ran_is_sent(rig: Rig) -> None:
    async with rig.gateway(run=False):
        _, request = await rig.send()
        rig.start()
        await rig.state(request, State.DONE)


ODD = {
    "a zero character": ("trou\x00 devant le 3", "trou devant le 3"),
    "emoji of several characters": ("Merci 🙏🏽👨\u200d👩\u200d👧", None),
    "an accent by itself": ("de\u0301po\u0302t", None),
    "a line separator": ("avant\u2028après", None),
    "a text from right to left": ("\u202eabc\u202c שלום", None),
}


@pytest.mark.parametrize(("typed", "read"), ODD.values(), ids=ODD)
async def test_characters_that_databases_stumble_over_keep_nothing_back(
    rig: Rig, typed: str, read: str | None
) -> None:
    async with rig.gateway():
        _, request = await rig.send(description=typed)
        await rig.rest(request)
    sent = str(rig.ticket(request).payload["description"])
    assert sent.replace("\x00", "").startswith(read or typed)
