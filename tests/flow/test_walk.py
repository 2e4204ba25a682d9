"""The code takes the walk of docs/architecture.md, "One push, function by function"."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import httpx

from gateway.core.delivery import Kind, State
from gateway.ops.metrics import Metrics
from gateway.ops.stalls import StallMeter
from gateway.sdk import Adapter
from gateway.sdk.publik.signature import sign_url
from gateway.store.engine import Batch
from gateway.web.application import application
from gateway.web.state import DaemonCondition
from tests.flow.conftest import Builder
from tests.flow.rig import BRON, ENVIRON, GRU_A, SLUG

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"
STEPS = 15
_NAME = re.compile(r"`(gateway(?:\.\w+)+)`")


def steps() -> list[list[str]]:
    """Return the names of each step of the walk."""
    text = PAGE.read_text("utf-8")
    walk = text.split("## One push, function by function")[1].split("\n## ")[0]
    return [_NAME.findall(one) for one in re.split(r"(?m)^\d+\. ", walk)[1:]]


def codes_of(name: str, adapter: Adapter) -> set[CodeType]:
    """Return the code behind a dotted name: of a class, that of all its methods."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if found is Adapter:
                found = type(adapter)
            found = getattr(found, part)
        break
    if isinstance(found, Batch):
        found = found.many
    if inspect.isclass(found):
        return {one.__code__ for one in vars(found).values() if inspect.isfunction(one)}
    return {inspect.unwrap(found).__code__}


@contextmanager
def calls_seen() -> Iterator[dict[CodeType, int]]:
    """Note the first call of every function, on all threads, by its number."""
    seen: dict[CodeType, int] = {}

    def note(frame: FrameType, event: str, arg: object) -> None:
        if event == "call" and frame.f_code not in seen:
            seen[frame.f_code] = len(seen)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def test_one_push_goes_from_socket_to_ticket_and_back_as_the_page_says(
    build_rig: Builder,
) -> None:
    with calls_seen() as seen:
        rig = build_rig(portal={"callers": [{"orig": "portail", "key": "env:PORTAL_KEY"}]})
        item = rig.submit()
        stalls = StallMeter()
        condition = DaemonCondition(ready=True, started_at=rig.clock(), stalls=stalls)
        async with rig.gateway() as engine:
            adapter = engine.adapters[GRU_A]
            app = application(engine, condition, Metrics(stalls))
            url = f"http://nous.invalid/portal/v1/communes/{BRON}/teleservices/{SLUG}/requests"
            url = sign_url(
                url, ENVIRON["PORTAL_KEY"], orig="portail", now=rig.clock(), nonce="f" * 32
            )
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
                seen.clear()
                answer = await client.post(url, json=item.document(rig.portal.base_url, push=True))
            assert answer.status_code == 201, answer.text
            request = answer.json()["data"]["id"]
            await rig.state(request, State.DONE, Kind.REPORT)
            rig.gru.advance(rig.ticket(request).id, "resolved")
            await engine.changes.poll(rig.gru_config)
            told = rig.told(item)
    assert len(told) >= 1
    walk = steps()
    assert len(walk) == STEPS
    places = [
        min((seen[code] for code in codes_of(name, adapter) if code in seen), default=None)
        for names in walk
        for name in names
    ]
    named = [name for names in walk for name in names]
    assert [n for n, place in zip(named, places, strict=True) if place is None] == []
    order = [name for _, name in sorted(zip(places, named, strict=True))]
    assert order == named
