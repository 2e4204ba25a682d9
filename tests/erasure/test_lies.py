"""A provider lies, each time twice and far apart: nobody is erased, and whoever reads why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from gateway.core.erasure import Brake, Phase
from gateway.store import erasure_agreements
from tests.erasure.conftest import Build
from tests.erasure.following import CANARY, Following, uuid

Answer = Callable[[httpx.Request], httpx.Response]
PEOPLE = 8
EVERYBODY = [uuid(n + 1) for n in range(PEOPLE)]


def told(body: Any, status: int = 200) -> Answer:
    return lambda _: httpx.Response(status, json=body)


def page(accounts: list[str], following: Any = None, at: str = "2026-01-05T10:00:00Z") -> Any:
    rows = [{"uuid": one, "deleted_at": at} for one in accounts]
    return {"err": 0, "results": rows, "next": following}


def text(content: str, kind: str = "text/html") -> Answer:
    return lambda _: httpx.Response(200, text=content, headers={"Content-Type": kind})


def in_turn(*answers: Answer) -> Answer:
    left: Iterator[Answer] = iter(answers)
    return lambda request: next(left)(request)


def circling(request: httpx.Request) -> httpx.Response:
    """Pages a, b, c, b, c...: the first never comes again."""
    after = {"": "b", "b": "c", "c": "b"}[request.url.params.get("at", "")]
    return told(page(EVERYBODY[:1], f"http://glc.invalid/api/deletions/?at={after}"))(request)


def unknown(*accounts: str) -> Any:
    return {"err": 0, "result": 1, "unknown_uuids": list(accounts)}


def asked(request: httpx.Request) -> list[str]:
    found: list[str] = json.loads(request.content)["known_uuids"]
    return found


DEEP = '{"results":' + "[" * 100_000 + "]" * 100_000 + "}"
#: What is told of the run, by lie: a failure of the run, or the reason of what is held.
LISTS: dict[str, tuple[Answer, str]] = {
    "everybody is deleted": (told(page(EVERYBODY)), "brake"),
    "everybody and the witness": (told(page([CANARY, *EVERYBODY])), "canary_gone"),
    "nobody is": (told(page([])), ""),
    "a page leads to itself": (
        told(page(EVERYBODY[:1], "http://glc.invalid/api/deletions/?at=x")),
        "malformed",
    ),
    "pages go in a circle": (circling, "malformed"),
    "the next page is elsewhere": (
        told(page(EVERYBODY[:1], "http://autre.invalid/?x")),
        "malformed",
    ),
    "deleted from tomorrow on": (
        told(page(EVERYBODY[:1], at="2126-01-05T10:00:00Z")),
        "malformed",
    ),
    "a page of its proxy": (text("<html>maintenance</html>"), "malformed"),
    "a page that calls itself JSON": (text("<html></html>", "application/json"), "malformed"),
    "cut": (text(json.dumps(page(EVERYBODY[:1]))[:-9], "application/json"), "malformed"),
    "very deep": (text(DEEP, "application/json"), "answer_too_large"),
    "an object for a list": (told(page([]) | {"results": {"uuid": uuid(1)}}), "malformed"),
    "an error besides": (told(page(EVERYBODY[:1]) | {"err": 1}), "error_told"),
    "no content": (lambda _: httpx.Response(204), "malformed"),
    "a redirection": (lambda _: httpx.Response(302, headers={"Location": "/login"}), "redirected"),
}
COMPARISONS: dict[str, tuple[Answer, str]] = {
    "everybody is unknown": (lambda r: told(unknown(*asked(r)))(r), "canary_gone"),
    "everybody but the witness": (told(unknown(*EVERYBODY)), "brake"),
    "somebody who was not asked about": (told(unknown("f" * 32)), "malformed"),
    "one, and then another": (
        in_turn(told(unknown(uuid(1))), told(unknown(uuid(2)))),
        "contradiction",
    ),
    "a page of its proxy": (text("<html></html>"), "malformed"),
    "numbers for accounts": (told(unknown() | {"unknown_uuids": [1]}), "malformed"),
    "an error besides": (told(unknown(uuid(1)) | {"err": 1}), "error_told"),
    "no err": (told({"unknown_uuids": [uuid(1)]}), "error_told"),
}


async def lied_to(world: Following, answer: Answer) -> str:
    """Return the reason that the second poll tells."""
    line = world.rig.lines["glc"]
    honest, line.inner = line.inner, httpx.MockTransport(answer)
    try:
        for _ in range(2):
            poll = await world.poll()
            await world.rig.engine.eraser.advance()
            world.rig.advance(7 * 3600)
    finally:
        line.inner = honest
    return poll.failure or poll.reason


@pytest.mark.parametrize(
    ("source", "lies"), [("deletions", LISTS), ("synchronization", COMPARISONS)]
)
async def test_nobody_is_erased_by_a_lie(
    follow: Build, source: str, lies: dict[str, tuple[Answer, str]]
) -> None:
    world = follow(source, brake=Brake(0.2, 20))
    rig = world.rig
    async with rig.gateway(run=False):
        await world.people_kept(PEOPLE)
        said = {}
        for lie, (answer, _) in lies.items():
            said[lie] = await lied_to(world, answer)
            assert await world.count() == 0, lie
            held = [one.run for one in await world.live() if one.state is Phase.HELD]
            if source == "deletions" and held:  # such a list never says that somebody is there
                (run,) = {*held}
                await rig.database.write(
                    erasure_agreements.withdraw, run, "Anne Fictive", "faux", rig.clock()
                )
            await world.poll()
            assert await world.held() == 0, lie
        assert said == {lie: reason for lie, (_, reason) in lies.items()}


async def test_who_was_held_waits_for_people_however_few_are_left(follow: Build) -> None:
    """A comparison of which a part was mended must not release the rest."""
    world = follow(brake=Brake(0.5, 3))
    async with world.rig.gateway(run=False):
        await world.people_kept(PEOPLE)
        line = world.rig.lines["glc"]
        for gone in (EVERYBODY[:4], EVERYBODY[:3], EVERYBODY[:3], EVERYBODY[:3]):
            line.inner = httpx.MockTransport(told(unknown(*gone)))
            await world.poll()
            world.rig.advance(7 * 3600)
        assert (await world.count(), await world.held()) == (0, 3)


async def test_a_list_that_shrank_is_read_from_its_beginning(follow: Build) -> None:
    world = follow("deletions", brake=Brake(1.0, 20))
    async with world.rig.gateway(run=False):
        await world.people_kept(3)
        line = world.rig.lines["glc"]
        second = "http://glc.invalid/api/deletions/?at=2"
        line.inner = httpx.MockTransport(
            in_turn(told(page(["f" * 32], second)), told(page(["e" * 32])))
        )
        assert (await world.poll()).failure is None
        line.inner = httpx.MockTransport(
            in_turn(told({"err": 1}, 404), told(page(EVERYBODY[:1], at="0001-01-02T00:00:00Z")))
        )
        poll = await world.poll()
        assert (poll.failure, poll.opened) == (None, 1)
