"""The demo GRU behaves as told, and remembers what it accepted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from adapters.demo import DemoAdapter
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    Context,
    EventKind,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    Submission,
    Tracked,
    TryLater,
    Unsure,
)
from gateway.sdk.conformance import NOW, REFERENCE


def _no_network(request: httpx.Request) -> httpx.Response:
    raise AssertionError("the demo adapter has no network")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def build(production: bool = False, **options: Any) -> DemoAdapter:
    client = httpx.AsyncClient(transport=httpx.MockTransport(_no_network))
    context = Context("69029", "demo", client, lambda: NOW, production)
    return DemoAdapter(DemoAdapter.Options.model_validate(options), context)


def amendment(key: str = "evt-1", **payload: Any) -> Amendment:
    return Amendment(REFERENCE, "DEMO-0001", key, EventKind.MESSAGE, payload, "Bonjour")


@pytest.mark.parametrize(
    ("behaviour", "outcome", "held"),
    [
        ("accept", Accepted, True),
        ("refuse", Refused, False),
        ("later", TryLater, False),
        ("misconfigured", Misconfigured, False),
        ("stall", Unsure, False),
        ("lost_reply", Unsure, True),
    ],
)
@pytest.mark.parametrize("by_payload", [True, False])
async def test_it_behaves_as_told_and_find_tells_what_it_took(
    behaviour: str, outcome: type[Outcome], held: bool, by_payload: bool
) -> None:
    adapter = build(stall_seconds=0, behaviour="refuse" if by_payload else behaviour)
    payload = {"behaviour": behaviour} if by_payload else {}
    assert type(await adapter.submit(Submission(REFERENCE, payload))) is outcome
    finding = await adapter.find(REFERENCE)
    assert finding == (Found("DEMO-0001") if held else Absent())


async def test_explode_raises_as_a_bug_would() -> None:
    with pytest.raises(RuntimeError):
        await build(behaviour="explode").submit(Submission(REFERENCE, {}))


async def test_a_stall_can_be_cut_short() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await build(behaviour="stall").submit(Submission(REFERENCE, {}))


async def test_an_unknown_behaviour_is_refused() -> None:
    outcome = await build().submit(Submission(REFERENCE, {"behaviour": "dance"}))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "unmappable"
    with pytest.raises(ValidationError):
        build(behaviour="dance")


async def test_it_mends_after_some_tries() -> None:
    adapter = build(behaviour="later", times=2)
    outcomes = [type(await adapter.submit(Submission(REFERENCE, {}))) for _ in range(3)]
    assert outcomes == [TryLater, TryLater, Accepted]


async def test_it_shows_a_duplicate() -> None:
    adapter = build(behaviour="lost_reply")
    await adapter.submit(Submission(REFERENCE, {}))
    assert adapter.ledger.duplicates() == []
    await adapter.submit(Submission(REFERENCE, {}))
    assert adapter.ledger.duplicates() == [REFERENCE]


async def test_amendments_are_remembered_by_their_key() -> None:
    adapter = build()
    await adapter.submit(Submission(REFERENCE, {}))
    assert await adapter.find_amend(amendment()) == Absent()
    assert isinstance(await adapter.amend(amendment(behaviour="lost_reply")), Unsure)
    assert await adapter.find_amend(amendment()) == Found("DEMO-0001")
    assert await adapter.find_amend(amendment("evt-2")) == Absent()


async def test_a_request_is_accepted_then_done() -> None:
    adapter = build(polls_to_done=2)
    tracked = [Tracked(REFERENCE, "DEMO-0001", NOW)]
    polls = [(await adapter.statuses(tracked, None)).items for _ in range(3)]
    assert [[c.status for c in items] for items in polls] == [["accepted"], ["done"], ["done"]]
    assert polls[1][0].key == polls[2][0].key
    assert polls[1][0].public is True


async def test_the_ledger_outlives_the_process_and_holds_nothing_personal(tmp_path: Path) -> None:
    path = tmp_path / "registre.json"
    payload = {"nom": "Zoé Fictive-Exemple", "behaviour": "lost_reply"}
    await build(ledger=str(path)).submit(Submission(REFERENCE, payload))
    again = build(ledger=str(path))
    assert await again.find(REFERENCE) == Found("DEMO-0001")
    assert "Fictive" not in path.read_text("utf-8")
    assert isinstance(await again.erase(REFERENCE, "DEMO-0001"), Accepted)
    assert await build(ledger=str(path)).find(REFERENCE) == Absent()
    assert _names(tmp_path) == ["registre.json"]


async def test_check_warns_in_production_and_tells_of_a_broken_ledger(tmp_path: Path) -> None:
    assert [n.level for n in await build().check()] == ["ok"]
    path = tmp_path / "registre.json"
    path.write_text("pas du JSON", "utf-8")
    notes = await build(production=True, ledger=str(path)).check()
    assert [n.level for n in notes] == ["ok", "warning", "fault"]
    assert all(n.said.remedy("fr") for n in notes if n.level != "ok")
