"""A commune leaves a gateway of several processes, while they are killed and stopped."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cli.root import app
from gateway.demo.samples import ANOMALY, SCHOOL
from gateway.demo.stage import VILLEURBANNE, intake
from gateway.sim.formdata import SimulatedFormdata
from tests.acceptance.town import until
from tests.command import CliRunner
from tests.replicas.crowd import Crowd, Replica, open_crowd

ORDER = ("--by", "A. Agent", "--because", "Fin de la convention", "--confirm", VILLEURBANNE)
_LAST = "ne passe plus par ce service"


async def told(one: Replica, *arguments: str) -> dict[str, Any]:
    command = ["commune", "decommission", VILLEURBANNE, *arguments, "--json", *one.where]
    done = await asyncio.to_thread(CliRunner().invoke, app, command, env=one.environ)
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def push(crowd: Crowd, item: SimulatedFormdata) -> int:
    """Push once; the status of the answer, 0 for none in time."""
    stage = crowd.town.stage
    statuses: list[int] = []

    async def keep(response: httpx.Response) -> None:
        statuses.append(response.status_code)

    async with httpx.AsyncClient(timeout=60, event_hooks={"response": [keep]}) as client:
        await stage.portal.push(
            item.id,
            intake(stage.url, VILLEURBANNE, SCHOOL),
            stage.caller_key,
            slug=SCHOOL,
            orig="toodego",
            client=client,
        )
    return statuses[-1] if statuses else 0


def last_words(crowd: Crowd, item: SimulatedFormdata) -> int:
    events = crowd.town.stage.portal.events(SCHOOL, item.id)
    return sum(_LAST in (one.get("message") or "") for one in events)


def step(crowd: Crowd) -> str:
    ((found,),) = crowd.ask("SELECT step FROM decommission")
    return str(found)


@pytest.mark.slow
async def test_a_commune_leaves_though_replicas_die_and_sleep(dsn: str, tmp_path: Path) -> None:
    """One is killed in each step, and starts anew; the intake sleeps through all of it, with a push
    under way, and wakes in the belief that the commune is served."""
    objects = tmp_path / "objects"
    objects.mkdir()
    async with open_crowd(tmp_path, dsn, seed=15, objects=objects) as crowd:
        stage = crowd.town.stage
        await asyncio.gather(*(one.start() for one in crowd.replicas))
        crowd.town.send(2, 3)
        await crowd.town.settle()
        had = [item for (slug, _), item in crowd.town.sent.items() if slug == SCHOOL]
        stage.villeurbanne.faults.fail(503)
        crowd.town.send(0, 2)
        late = [item for (slug, _), item in crowd.town.sent.items() if slug == SCHOOL][3:]
        every = "SELECT count(*) FROM request WHERE commune = '69266'"
        await until(lambda: crowd.ask(every) == [(5,)], "all are taken")
        asker, one, other = crowd.intake, *crowd.dispatch
        first = await told(one, *ORDER, "--drain", "4s", "--tell", "1m", "--no-wait")
        assert first["step"] in ("announced", "draining")
        await until(lambda: step(crowd) == "draining", "it closes")
        await one.kill()
        # The intake sleeps with a call under way.
        asker.signal(signal.SIGSTOP)
        sleeping = asyncio.create_task(push(crowd, late[0]))
        await until(lambda: step(crowd) == "telling", "what waits is given up")
        await other.kill()
        await one.start()
        await until(lambda: step(crowd) == "erasing", "the portal is told")
        await one.kill()
        await other.start()
        await until(lambda: step(crowd) == "ended", "nothing of it is left")
        asker.signal(signal.SIGCONT)
        assert await sleeping in (410, 0)
        assert [await push(crowd, item) for item in (late[1], had[0])] == [410, 410]
        await one.start()
        end = await told(one)
        counts = ("rows", "objects", "markers_found")
        assert [end[name] for name in counts] == [0, 0, 0]
        assert end["counts"]["told"] == end["counts"]["to_tell"] == 2, "who was done hears nothing"
        assert [last_words(crowd, item) for item in (*had, *late)] == [0, 0, 0, 1, 1]
        assert crowd.ask(every) == [(0,)]
        # What lies in the object store is the other commune's.
        places = crowd.ask("SELECT count(*) FROM blob WHERE place IS NOT NULL")
        assert places == [(sum(path.is_file() for path in objects.rglob("*")),)]
        kinds = "SELECT kind FROM trail WHERE stream = 'decommission' ORDER BY n"
        assert [row[0] for row in crowd.ask(kinds)] == [
            *("announced", "draining", "telling", "erasing", "ended")
        ]
        # The other commune is served as before.
        for item in (*had, *late):
            crowd.town.sent.pop((SCHOOL, item.id))
        tickets = len(stage.bron.tickets)
        crowd.town.send(2, 0)
        await until(lambda: len(stage.bron.tickets) == tickets + 2, "Bron is served")
        assert {slug for slug, _ in crowd.town.sent} == {ANOMALY}
