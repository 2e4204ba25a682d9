"""Plays: something is done to a gateway at work, and the far ends are counted in the end.

They spend most of their time waiting, so those of a module are run side by side, once, and each
test looks at its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

import pytest

from tests.acceptance.town import Town, open_town

Play = Callable[[Town], Awaitable[None]]
P = TypeVar("P")
#: All plays of a module run in the first of its tests: beside much else they take long.
long = pytest.mark.timeout(1800)
#: What came of each play; None: all was well.
Outcomes = dict[str, BaseException | None]


def asked_for(request: pytest.FixtureRequest, plays: Mapping[str, P]) -> dict[str, P]:
    """Return the plays of a module that this run asks for."""
    asked = {
        item.callspec.params["name"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        if item.module is request.module
    }
    return {name: play for name, play in plays.items() if name in asked}


def side_by_side(plays: Mapping[str, Callable[[], Awaitable[None]]], at_once: int) -> Outcomes:
    """Play all, `at_once` at a time, and return their outcomes."""

    async def one(name: str, turn: asyncio.Semaphore) -> None:
        async with turn:
            await plays[name]()

    async def all_of_them() -> Outcomes:
        turn = asyncio.Semaphore(at_once)
        each = [one(name, turn) for name in plays]
        return dict(zip(plays, await asyncio.gather(*each, return_exceptions=True), strict=True))

    return asyncio.run(all_of_them())


def played(
    plays: Mapping[str, Play],
    at_once: int,
    folders: pytest.TempPathFactory,
    database: Callable[[str], str | None] = lambda name: None,
) -> Outcomes:
    """Play each in a town of its own, and return the outcomes.

    `database` makes the address of each play's PostgreSQL; None is a SQLite of its own.
    """

    async def one(name: str) -> None:
        folder = folders.mktemp("town")
        async with open_town(folder, seed=len(name), database=database(name)) as town:
            await plays[name](town)

    return side_by_side({name: partial(one, name) for name in plays}, at_once)


def tell(outcomes: Outcomes, name: str) -> None:
    """Raises what went wrong in a play."""
    error = outcomes[name]
    if error is not None:
        raise error
