"""Nothing of another commune: every page, call, file and act, generated from the tables and from
the routes of the application, for an agent of the other commune, for an auditor, for nobody.

What is of Villeurbanne alone bears a marker, and has ids of its own; none of them is ever told.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route

from gateway.console.acting import ACTS
from gateway.console.pages import FILES
from gateway.console.views import VIEWS
from gateway.console.views.view import View
from gateway.core.console import ConsoleRole
from gateway.store import requests, trail
from tests.console.town import (
    BRON,
    THEIRS,
    TOKENS,
    VILLEURBANNE,
    ConsoleTown,
    seed_erasures,
    seed_month,
)

#: Addresses of everybody: the way in and out, and files of the console itself.
OPEN = {("GET", f"/console/fichiers/{name}") for name in FILES} | {
    ("GET", "/console/connexion"),
    ("POST", "/console/connexion"),
    ("GET", "/console/fournisseur"),
    ("GET", "/console/retour"),
    ("GET", "/console/ouverture"),
    ("POST", "/console/ouverture"),
    ("POST", "/console/deconnexion"),
    ("GET", "/console/compte"),
    ("POST", "/console/compte"),
    ("GET", "/console/accessibilite"),
}
#: Values that a question may have: each is tried with each of theirs.
ASKED = re.compile(r"query\.get\(\s*\"(\w+)\"|_text\(query, \"(\w+)\"")
_PART = re.compile(r"{\w+}")


async def ids_of(town: ConsoleTown) -> list[str]:
    """Return the ids of all that is of Villeurbanne alone, or of nobody."""
    latest = await town.gw.database.read(requests.listing, commune=VILLEURBANNE, limit=10)
    found = [one.id for one in latest] + [one.ref for one in latest]
    for one in latest:
        found += [d.id for d in await town.gw.database.read(requests.deliveries, one.id)]
    return [*dict.fromkeys([*found, town.incidents["theirs"], town.incidents["attack"], "ERA-4"])]


async def fill(town: ConsoleTown) -> None:
    await seed_erasures(town)
    await seed_month(town)
    write, now = town.gw.database.write, town.gw.clock[0]
    both = [BRON, VILLEURBANNE]
    for stream, kind, told in (
        ("release", "signed", {"commune": VILLEURBANNE, "by": THEIRS, "digest": THEIRS}),
        ("people", "delivery.replay", {"commune": VILLEURBANNE, "by": THEIRS, "target": THEIRS}),
        ("people", "incident.close", {"communes": both, "because": THEIRS, "by": "Ana"}),
        ("erasure", "erased", {"communes": both, "requests": [THEIRS]}),
    ):
        if stream != "release":  # its readers expect more of an entry
            await write(trail.append, stream, kind, told, now)


def questions(view: View) -> set[str]:
    """Return the names of the values that a view asks for, by its source."""
    source = inspect.getsource(sys.modules[view.load.__module__])
    return {one or other for one, other in ASKED.findall(source)}


def addresses(view: View, base: str, theirs: list[str]) -> Iterator[tuple[str, bool]]:
    """Yield addresses of a view, and whether each is of what is not the agent's."""
    path = base + (view.api if base != "/console" else view.path)
    if "{" in path:
        for one in [*theirs, VILLEURBANNE]:
            yield _PART.sub(one, path), True
        path = path.replace("{insee}", BRON)
        if "{" in path:
            return
    yield path, False
    yield f"{path}?etat=tous", False
    for name in sorted(questions(view) - {"insee", "id"}):
        for one in (VILLEURBANNE, *theirs[:1], THEIRS):
            yield f"{path}?{name}={one}", False


def leaks(text: str, theirs: list[str], asked: str) -> set[str]:
    """Return the markers in an answer, without what was asked itself: a form shows that again."""
    words = {THEIRS, "Villeurbanne", VILLEURBANNE, *(one for one in theirs if len(one) > 3)}
    return {one for one in words if one not in asked and one in text}


@pytest.mark.slow
async def test_every_page_call_and_file_keeps_to_the_readers_communes(town: ConsoleTown) -> None:
    await fill(town)
    theirs = await ids_of(town)
    token = {"Authorization": f"Bearer {TOKENS['bron']}"}
    seen = 0
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        for view in VIEWS:
            for base in ("/console", "/api/v1"):
                for path, foreign in addresses(view, base, theirs):
                    if base == "/console":
                        answer = await agent.get(path)
                    else:
                        answer = await town.gw.client.get(path, headers=token)
                    expected = (403, 404) if foreign else (200, 400, 404, 403)
                    assert answer.status_code in expected, (path, answer.status_code)
                    assert leaks(answer.text, theirs, path) == set(), path
                    seen += 1
    assert seen > 4 * len(VIEWS)


@pytest.mark.slow
async def test_no_act_reaches_what_is_not_the_actors(town: ConsoleTown) -> None:
    await fill(town)
    theirs = await ids_of(town)
    before = len(await town.told())
    targets = [*theirs, VILLEURBANNE, "ERA-1", "RUN-1", f"ERA-3:{VILLEURBANNE}", f"ERA-4:{BRON}"]
    token = {"Authorization": f"Bearer {TOKENS['bron']}"}
    async with town.browser(ConsoleRole.AGENT, BRON) as agent:
        for act in ACTS.values():
            given = {one.name: one.choices[0][0] if one.choices else "x" for one in act.parameters}
            for n, one in enumerate(targets if act.allows(ConsoleRole.AGENT) else targets[:1]):
                fields = given | {"cible": one, "numero": f"{act.name}{n}", "motif": "x"}
                page = f"/console/actes/{act.name}"
                told = {"targets": [one], "because": "x", "parameters": given}
                path, post = f"/api/v1/acts/{act.name}", town.gw.client.post
                for answer in (
                    await agent.get(f"{page}?cible={one}"),
                    await agent.post(page, fields),
                    await post(path, json=told, headers=token),
                    await post(path, json=told | {"dry_run": True}, headers=token),
                ):
                    assert answer.status_code in (403, 404), (act.name, one, answer.text)
                    assert leaks(answer.text, theirs, one) == set(), (act.name, one)
    assert len(await town.told()) == before


async def test_an_auditor_reads_and_does_nothing(town: ConsoleTown) -> None:
    await fill(town)
    before = len(await town.told())
    async with town.browser(ConsoleRole.AUDITOR) as auditor:
        for view in VIEWS:
            if "{" not in view.path:
                expected = 200 if view.allows(ConsoleRole.AUDITOR) else 403
                assert (await auditor.get(f"/console{view.path}")).status_code == expected
        for act in ACTS.values():
            if not act.allows(ConsoleRole.AUDITOR):
                fields = {"cible": town.parked[BRON], "numero": act.name, "motif": "x"}
                path = f"/console/actes/{act.name}"
                assert (await auditor.get(f"{path}?cible=x")).status_code == 403
                assert (await auditor.post(path, fields)).status_code == 403
    assert len(await town.told()) == before


async def test_nobody_gets_anything(town: ConsoleTown) -> None:
    await fill(town)
    theirs = [*await ids_of(town), town.requests[BRON], "Bron"]
    async with town.browser() as nobody:
        for method, path in sorted(routes(town) - OPEN):
            at = _PART.sub(town.requests[BRON], path)
            answer = await nobody.client.request(method, at)
            expected = (401, 303, 403) if path.startswith("/console") else (401,)
            assert answer.status_code in expected, (method, path)
            assert leaks(answer.text, theirs, at) == set(), path


def routes(town: ConsoleTown) -> set[tuple[str, str]]:
    """Return the routes that the application really has."""
    found: set[tuple[str, str]] = set()
    for one in walk(town.gw.app.routes):
        if one.path.startswith(("/console", "/api/")):
            found |= {(method, one.path) for method in one.methods or () if method != "HEAD"}
    return found


def walk(every: Any) -> Iterator[Route]:
    for one in every:
        if isinstance(one, Route):
            yield one
        elif hasattr(one, "original_router"):  # FastAPI includes routers when they are called
            yield from walk(one.original_router.routes)


async def test_every_route_is_of_a_table_or_for_everybody(town: ConsoleTown) -> None:
    """A route that is added beside the tables is not tried above: it must not be there."""
    known = {("GET", f"/console{one.path}") for one in VIEWS}
    known |= {("GET", f"/api/v1{one.api}") for one in VIEWS}
    known |= {("GET", "/console/actes/{act}"), ("POST", "/console/actes/{act}")}
    known |= {("GET", "/api/v1"), ("POST", "/api/v1/acts/{act}")}
    found = routes(town)
    assert found <= known | OPEN
    assert known <= found


def test_a_leak_would_be_found() -> None:
    assert leaks(f"... {THEIRS} ...", [], "/console") == {THEIRS}
    assert leaks(f"... {VILLEURBANNE} ...", [], f"?commune={VILLEURBANNE}") == set()
