"""A running daemon takes applied releases and new secrets: each change, once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any

import httpx
import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from structlog.testing import capture_logs

from gateway import timers
from gateway.catalogue.bundle import read_bundle
from gateway.cli.setting import located
from gateway.contracts.running import ReleasedSource
from gateway.flow.engine import Engine, open_engine
from gateway.following import Following
from gateway.ops.health import health
from gateway.ops.metrics import Metrics
from gateway.sdk.publik.signature import sign_url
from gateway.store import renewals
from gateway.store.engine import Database
from gateway.web.application import application
from gateway.web.state import DaemonCondition
from tests.contracts.conftest import KEY
from tests.contracts.five import DEAD, FIRST, SLUG, Home
from tests.contracts.test_release import change


@dataclass
class Running:
    home: Home
    engine: Engine
    following: Following
    scheduler: AsyncIOScheduler

    async def look(self) -> list[dict[str, Any]]:
        """One look, and what follows from it; what was logged."""
        with capture_logs() as logs:
            await self.following.check()
            await asyncio.gather(*self.following.taking)
        return [dict(one) for one in logs]

    async def renew(self) -> list[dict[str, Any]]:
        self.following.renew.set()
        return await self.look()

    async def answer(self) -> str | None:
        """Return the refusal that `secrets reload` gets."""
        store = self.engine.store
        (said,) = (await store.read(renewals.answers, self.engine.environment.now())).values()
        return None if said.refused is None else said.refused.told()

    def things(self) -> dict[str, Any]:
        """Return the objects that must stay the same, by commune and by name."""
        far = self.engine.far_ends
        communes = {f"commune {k}": one for k, one in self.engine.catalogue.communes.items()}
        jobs = {job.id: job.next_run_time for job in self.scheduler.get_jobs()}
        return {**communes, **far.adapters, **far.portals, **jobs}


Run = Callable[[], Any]


@pytest.fixture
def home(released: Home) -> Home:
    """All five active; the portal's secrets lie in files."""
    for name in ("ours", "theirs"):
        (released.folder / name).write_text(KEY, "utf-8")
    settings = "config/gateway.yaml"
    released.edit(settings, "    key: env:FIVE_KEY\n", f"    key: file:{released.folder}/ours\n")
    theirs = f"callers: [{{orig: toodego, key: file:{released.folder}/theirs}}]"
    released.edit(settings, "callers: [{orig: toodego, key: env:FIVE_KEY}]", theirs)
    return released


@asynccontextmanager
async def running(home: Home) -> AsyncIterator[Running]:
    """Run the parts of `serve`, without HTTP and without working lanes."""
    database = Database(home.url)
    locate = partial(located, config=home.config, mappings=home.mappings)
    files = partial(read_bundle, home.config, home.mappings)
    source = ReleasedSource(files, {"FIVE_KEY": KEY}, locate=locate)
    transport = httpx.MockTransport(lambda request: httpx.Response(503))
    try:
        catalogue = await source.catalogue(database)
        async with open_engine(catalogue, database, transport=lambda _: transport) as engine:
            following = Following(engine, source, "", asyncio.Event())
            scheduler = timers.schedule(engine)
            scheduler.start(paused=True)
            await following.begin(scheduler)
            yield Running(home, engine, following, scheduler)
            await following.end()
            scheduler.shutdown(wait=False)
    finally:
        database.close()


async def beside(done: Callable[[], Any]) -> Any:
    """A command, which has an event loop of its own."""
    return await asyncio.to_thread(done)


def same(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {name for name, one in before.items() if after.get(name) is one}


async def test_all_that_was_applied_is_taken_once_and_nothing_else(home: Home) -> None:
    async with running(home) as one:
        before = one.things()
        assert await one.look() == []
        change(home)
        for commune in FIRST:
            assert (await beside(partial(home.sign, commune))).exit_code == 0
        assert (await beside(lambda: home.run("release", "apply"))).exit_code == 0
        logs = await one.look()
        assert [log["changed"] for log in logs if log["event"] == "release.taken"] == [2]
        changed = {f"commune {insee}" for insee in FIRST}
        assert before.keys() - same(before, one.things()) == changed
        assert await one.look() == []


async def test_a_portal_s_secrets_are_read_anew(home: Home) -> None:
    async with running(home) as one:
        before = one.things()
        (home.folder / "ours").write_text("la nôtre, neuve", "utf-8")
        (home.folder / "theirs").write_text("la leur, neuve", "utf-8")
        assert await one.look() == [], "nobody has asked for it"
        assert {"changed": ["toodego"]}.items() <= (await one.renew())[0].items()
        portal = one.engine.catalogue.portals["toodego"]
        assert portal.key is not None
        assert portal.key.get_secret_value() == "la nôtre, neuve"
        (caller,) = portal.callers
        assert caller.secrets[0].get_secret_value() == "la leur, neuve"
        assert same(before, one.things()) == before.keys()


async def test_a_secret_that_cannot_be_had_is_told_and_the_old_one_stays(home: Home) -> None:
    async with running(home) as one:
        before = one.engine.catalogue.portals["toodego"]
        (home.folder / "ours").write_text("", "utf-8")
        (told, read) = (await one.renew())[:2]
        assert (told["event"], told["log_level"]) == ("secrets.refused", "error")
        assert "is empty" in told["what"]
        assert told["where"] == str(home.config / "gateway.yaml"), "as it can be opened"
        assert (read["event"], read["changed"]) == ("secrets.read", [])
        assert one.engine.catalogue.portals["toodego"] is before
        part = (
            await health(one.engine, ready=True, started_at=one.engine.environment.now())
        ).secrets
        assert part.state == "degraded"
        assert "is empty" in part.refused[0]
        assert part.read_at is not None
        (answer,) = (await one.engine.store.read(renewals.answers, part.read_at)).values()
        assert answer.refused is not None
        assert "is empty" in answer.refused.told()
        (home.folder / "ours").write_text("neuve", "utf-8")
        await one.renew()
        part = (
            await health(one.engine, ready=True, started_at=one.engine.environment.now())
        ).secrets
        assert (part.state, part.refused) == ("ok", ())


async def test_a_commune_s_secret_is_exchanged_for_it_alone(home: Home) -> None:
    file, secret = "config/communes/69003.yaml", home.folder / "jeton"
    secret.write_text("ancien", "utf-8")
    home.edit(file, "token: env:FIVE_KEY", f"token: file:{secret}")
    assert (await beside(lambda: home.sign("69003"))).exit_code == 0
    assert (await beside(lambda: home.run("release", "apply"))).exit_code == 0

    def token(engine: Engine) -> str:
        options = engine.adapters["gru:69003:mairie"].options
        return str(options.auth.token.get_secret_value())

    async with running(home) as one:
        before = one.things()
        assert token(one.engine) == "ancien"
        secret.unlink()
        logs = await one.renew()
        (refused,) = [log for log in logs if log["event"] == "release.refused"]
        assert refused["commune"] == "69003"
        assert refused["where"].endswith(f"(69003), {home.folder / file}"), "as it can be opened"
        assert same(before, one.things()) == before.keys()
        assert list(one.engine.catalogue.refused) == ["69003"]
        assert "jeton" in (await one.answer() or ""), "told at once, not at the next asking"
        secret.write_text("neuf", "utf-8")
        await one.renew()
        assert await one.answer() is None
        assert token(one.engine) == "neuf"
        assert not one.engine.catalogue.refused
        changed = {"commune 69003", "gru:69003:mairie"}
        assert before.keys() - same(before, one.things()) == changed


async def test_who_was_killed_is_not_waited_for_once_another_runs(home: Home) -> None:
    database = Database(home.url)
    await database.write(renewals.record_answer, "killed", "", None, datetime.now(UTC))
    database.close()
    async with running(home) as one:
        there = await one.engine.store.read(renewals.answers, datetime.now(UTC))
        assert list(there) == [one.engine.lanes.owner]


async def test_what_is_a_matter_of_operation_runs_as_it_was_applied(home: Home) -> None:
    """Somebody edits a commune's file, while another's release is applied: it stays as it was."""
    assert (await beside(lambda: home.run("release", "apply"))).exit_code == 0
    edited = "config/communes/69004.yaml"
    async with running(home) as one:
        home.edit(edited, "portal: toodego\n", "portal: toodego\npaused: true\n")
        change(home)
        assert (await beside(lambda: home.sign("69001"))).exit_code == 0
        await beside(lambda: home.run("release", "apply", "--commune", "69001"))
        await one.look()
        assert not one.engine.catalogue.communes["69004"].paused
        assert list(one.engine.catalogue.refused) == []
    async with running(home) as one:
        paused = [one.engine.catalogue.communes["69004"].paused]
        assert paused == [False], "not at a start either"
        before = one.things()
        applied = await beside(lambda: home.run("release", "apply", "--commune", "69004"))
        assert applied.exit_code == 0, applied.output
        logs = await one.look()
        assert [log["changed"] for log in logs if log["event"] == "release.taken"] == [1]
        paused.append(one.engine.catalogue.communes["69004"].paused)
        assert paused == [False, True]
        assert before.keys() - same(before, one.things()) == {"commune 69004"}


async def reload(one: Running, meanwhile: Callable[[], Awaitable[None]] | None = None) -> Any:
    """The command, and the daemon's looks until it has its answer."""
    command = asyncio.create_task(beside(lambda: one.home.run("secrets", "reload", "--json")))
    while not command.done():
        await one.look()
        if meanwhile is not None:
            await meanwhile()
        await asyncio.sleep(0.01)
    return await command


@pytest.mark.parametrize("whose", ["the portal's", "the commune's"])
async def test_a_key_is_changed_under_pushes_and_none_is_refused(home: Home, whose: str) -> None:
    """Both are taken for a while: the sender changes when it likes."""
    former, next_, file = KEY, "cle-fictive-suivante", home.folder / "theirs"
    if whose == "the commune's":
        file = home.folder / "69001"
        file.write_text(former, "utf-8")
        edited = "config/communes/69001.yaml"
        home.edit(edited, "portal: toodego\n", f"portal: toodego\nkey: file:{file}\n")
        assert (await beside(lambda: home.run("release", "apply"))).exit_code == 0
    base = json.loads((home.mappings / SLUG / "base.json").read_text("utf-8"))
    numbers = count(100)
    async with running(home) as one:
        app = application(one.engine, DaemonCondition(ready=True), Metrics())
        transport = httpx.ASGITransport(app)

        async def pushed(key: str) -> int:
            ref = str(next(numbers))
            address = f"{DEAD}/api/forms/{SLUG}/{ref}/"
            body = {**base, "id": ref, "api_url": address, "display_id": f"12-{ref}"}
            path = f"/portal/v1/communes/69001/teleservices/{SLUG}/requests"
            orig = "toodego" if whose == "the portal's" else None
            async with httpx.AsyncClient(transport=transport) as sender:
                url = sign_url(
                    f"https://passerelle.invalid{path}",
                    key,
                    orig=orig,
                    now=datetime.now(UTC),
                    nonce=f"{ref:0>32}",
                )
                return (await sender.post(url, json=body)).status_code

        came: list[int] = []

        async def before() -> None:
            came.append(await pushed(former))

        async def after() -> None:
            came.append(await pushed(next_))

        await before()
        assert await pushed(next_) == 403
        file.write_text(f"{next_}\n{former}\n", "utf-8")
        assert (await reload(one, before)).exit_code == 0
        await before()
        await after()
        file.write_text(f"{next_}\n", "utf-8")
        assert (await reload(one, after)).exit_code == 0
        await after()
        assert set(came) == {201}
        assert await pushed(former) == 403


async def test_a_command_has_every_daemon_read_them_and_says_what_each_came_to(
    home: Home,
) -> None:
    nobody = await beside(lambda: home.run("secrets", "reload"))
    assert (nobody.exit_code, nobody.stdout.strip()) == (
        1,
        "no daemon runs; they are read at its start",
    )
    async with running(home) as one:
        done = await reload(one)
        (told,) = json.loads(done.stdout)
        assert (done.exit_code, told["read"], told["refused"]) == (0, True, None)
        (home.folder / "ours").unlink()
        done = await reload(one)
        (told,) = json.loads(done.stdout)
        assert (done.exit_code, told["read"]) == (1, True)
        assert "is not a file that can be read" in told["refused"]
    assert (await beside(lambda: home.run("secrets", "reload"))).exit_code == 1
