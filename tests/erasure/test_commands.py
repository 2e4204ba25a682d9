"""`glc` and `erasure` as an operator types them, over a GLC on a socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from gateway.demo.files import CANARY, Addresses, write_configuration, write_secrets
from gateway.sim.glc import Lie, SimulatedGlc
from gateway.sim.server import run_server
from gateway.store.engine import Database
from gateway.store.erasure_tables import ERASURE, TOMBSTONE
from gateway.store.schema import upgrade
from gateway.store.tables import REQUEST
from tests.cli.conftest import DEAD, Home
from tests.erasure.following import uuid


class Desk:
    """A database with people in it, a GLC that listens, and the command line."""

    def __init__(self, folder: Path, people: int) -> None:
        keys = write_secrets(folder)
        self.glc = SimulatedGlc(clients={"passerelle": keys["glc-password"]})
        self.glc.create(CANARY, *(uuid(n) for n in range(people)))
        self.folder = folder
        (folder / "var").mkdir()
        self.database = f"sqlite:///{folder / 'var' / 'gateway.db'}"
        upgrade(self.database)
        database = Database(self.database)
        with database.engine.begin() as connection:
            connection.execute(insert(REQUEST), [_request(n) for n in range(people)])
        database.close()
        self.home: Home | None = None

    def at(self, url: str) -> None:
        config = write_configuration(self.folder, Addresses(DEAD, DEAD, DEAD, 8701, url))
        self.home = Home(self.folder, config)

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command: a poll as a process of its own, the others in this one, which is faster."""
        assert self.home is not None
        if arguments[:2] == ("glc", "poll"):
            return await asyncio.to_thread(self.home.spawn, *arguments)
        done = await asyncio.to_thread(self.home.run, *arguments)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def _request(n: int) -> dict[str, object]:
    now = datetime.now(UTC) - timedelta(days=1)
    return {
        "id": f"TDG-{n:016}",
        "portal": "toodego",
        "commune": "69029",
        "teleservice": "signalement-anomalie",
        "ref": str(n),
        "account": uuid(n),
        "digest": "",
        "gru": "voirie",
        "status": "received",
        "status_at": now,
        "received_at": now,
        "submitted_at": now,
    }


def _account(folder: Path, erasure: str) -> str:
    """Return the number of the person of an erasure, which no command tells."""
    with contextlib.closing(sqlite3.connect(folder / "var" / "gateway.db")) as database:
        asked = "SELECT account FROM erasure WHERE id = ?"
        (account,) = database.execute(asked, (erasure,)).fetchone()
    return str(account)


async def test_a_day_at_the_desk(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 4)
    async with run_server(desk.glc.app) as running:
        desk.glc.base_url = running.url
        desk.at(running.url)
        done = await desk.run("glc", "poll")
        assert (done.returncode, done.stdout.split(";")[0]) == (0, "known accounts: 4, gone: 0")
        done = await desk.run("glc", "status")
        assert done.returncode == 0, done.stderr
        assert "well" in done.stdout
        # Everybody is unknown, the witness too.
        desk.glc.lie = Lie.ALL_UNKNOWN
        done = await desk.run("glc", "poll")
        assert done.returncode == 4
        assert "canary_gone" in done.stdout
        done = await desk.run("glc", "status", "--json")
        assert done.returncode == 1
        assert json.loads(done.stdout)["failure"] == "canary_gone"
        # All but the witness.
        desk.glc.lie = Lie.NONE
        desk.glc.accounts.intersection_update({CANARY})
        done = await desk.run("glc", "poll", "--json")
        assert done.returncode == 1
        run = json.loads(done.stdout)["run"]
        done = await desk.run("glc", "status", "--lang", "fr")
        assert (done.returncode, "; le frein le retient\n" in done.stdout) == (1, True)
        done = await desk.run("erasure", "list", "--lang", "fr")
        assert (done.stdout.count(" retenu "), " held " in done.stdout) == (4, False)
        assert "deux personnes (frein)" in done.stdout
        done = await desk.run("erasure", "list", "--json")
        held = json.loads(done.stdout)
        assert [one["erasure"]["state"] for one in held] == ["held"] * 4
        assert not any(uuid(n) in done.stdout for n in range(4))
        one = held[0]["erasure"]["id"]
        done = await desk.run("erasure", "approve", one, "--by", "Anne Fictive")
        assert done.returncode == 0
        assert "a second, different person" in done.stdout
        done = await desk.run("erasure", "approve", one, "--by", "anne  fictive")
        assert done.returncode == 1
        assert "different person" in done.stderr
        done = await desk.run("erasure", "approve", one, "--by", "Bob Inventé")
        assert done.returncode == 0
        assert "to be erased: 1" in done.stdout
        # No daemon runs: the next poll takes it further. GLC knows the others again, who are let
        # go, as would one that is being erased and is known again.
        desk.glc.create(*(uuid(n) for n in range(4) if uuid(n) != _account(tmp_path, one)))
        done = await desk.run("glc", "poll")
        assert done.returncode == 0
        done = await desk.run("erasure", "list", "--all", "--json")
        states = sorted(one["erasure"]["state"] for one in json.loads(done.stdout))
        assert states == ["closed", "withdrawn", "withdrawn", "withdrawn"]
        done = await desk.run("erasure", "show", one)
        assert done.returncode == 0, done.stderr
        assert "approved" in done.stdout
        assert "Bob Inventé" in done.stdout
        for words in (
            ("erasure", "show", "ERA-?"),
            ("erasure", "approve", run, "--by", "Cléo Feinte"),
            ("erasure", "done", one, "--commune", "69029", "--by", "Cléo Feinte"),
        ):
            done = await desk.run(*words)
            assert done.returncode == 1, words
            assert done.stderr.startswith("error: ")
        assert (tmp_path / "var" / "erasure.key").stat().st_mode & 0o777 == 0o600
        (tmp_path / "var" / "erasure.key").unlink()
        done = await desk.run("glc", "poll")
        assert done.returncode == 3
        assert "restore erasure.key" in done.stderr


async def test_what_a_wrong_list_had_held_is_given_up(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 1)
    desk.at("")
    assert desk.home is not None
    key = tmp_path / "var" / "erasure.key"
    key.write_text("une-clef-inventee-de-seize")
    now = datetime.now(UTC)
    rows = [
        {
            "id": f"ERA-{n}",
            "run": "RUN-1",
            "account": uuid(n),
            "mark": f"{n:064x}",
            "source": "deletions",
            "state": "held",
            "reason": "brake",
            "found_at": now,
            "requests": 0,
            "files": 0,
            "told": "",
        }
        for n in range(3)
    ]
    database = Database(desk.database)
    with database.engine.begin() as connection:
        connection.execute(insert(ERASURE), rows)
        connection.execute(insert(TOMBSTONE), [{"mark": "a" * 64, "made_at": now}])
    database.close()
    words = ("erasure", "withdraw", "RUN-1", "--because", "GLC restaurée")
    done = await desk.run(*words, "--by", " !? ")
    assert (done.returncode, "--by may not be empty" in done.stderr) == (2, True)
    done = await desk.run(*words, "--by", "Anne Fictive")
    assert done.stdout.startswith("given up: 3"), done.stderr
    done = await desk.run(*words, "--by", "Anne Fictive")
    assert (done.returncode, "nothing of it waits" in done.stderr) == (1, True)
    done = await desk.run("erasure", "show", "ERA-1")
    assert "GLC restaurée" in done.stdout
    kept = ("erasure", "done", "ERA-1", "--commune", "69029", "--by", "Anne", "--answer", "kept")
    for end in ("9999-12-31", "0001-01-01", "2020-01-01"):
        done = await desk.run(*kept, "--ground", "DUA", "--until", end)
        assert (done.returncode, "a day that is to come" in done.stderr) == (2, True)
    # What was erased is carried to another machine, and only with its key.
    place = str(tmp_path / "copie.ledger")
    done = await desk.run("erasure", "import", place)
    assert (done.returncode, "there is no ledger" in done.stderr) == (1, True)
    for new in (1, 0):
        done = await desk.run("erasure", "export", place, "--json")
        assert json.loads(done.stdout)["new"] == new
        done = await desk.run("erasure", "import", place, "--json")
        assert json.loads(done.stdout)["new"] == new
    key.write_text("une-autre-clef-de-seize-signes")
    done = await desk.run("erasure", "import", place)
    assert (done.returncode, "another key" in done.stderr) == (3, True)


async def test_without_glc_in_the_configuration(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 1)
    desk.at("")
    done = await desk.run("glc", "poll")
    assert done.returncode == 3
    assert "GrandLyon Connect is not configured" in done.stderr
    done = await desk.run("erasure", "list")
    assert (done.returncode, done.stdout.strip()) == (
        0,
        "nothing is being erased, and nothing waits",
    )


async def test_check_asks_glc_with_our_secret(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 1)

    async def told() -> dict[str, str]:
        done = await desk.run("check", "--json")
        lines = [one for one in json.loads(done.stdout)["far_ends"] if one["far_end"] == "glc"]
        # Besides, where it answers: how many it may report before two people must agree.
        line, *more = lines
        assert [one["level"] for one in more] in ([], ["ok"])
        return dict(line)

    async with run_server(desk.glc.app) as running:
        desk.glc.base_url = running.url
        desk.at(running.url)
        assert (await told())["level"] == "ok"
        assert desk.glc.asked == [[CANARY]], "and nobody else"
        for lie, what, remedy in (
            (Lie.NO_RIGHT, "refuses our credentials", "among all users"),
            # The canary is none of the unit that we may search.
            (Lie.NARROWED, "canary", "unit"),
            (Lie.MALFORMED, "malformed", "source"),
        ):
            desk.glc.lie = lie
            line = await told()
            assert line["level"] == "fault"
            assert what in line["what"]
            assert remedy in line["remedy"]
        desk.glc.lie = Lie.NONE
        desk.glc.clients = {"passerelle": "un autre mot de passe"}
        line = await told()
        assert (line["level"], line["what"]) == (
            "fault",
            "synchronization: the far end refuses our credentials (call 1: HTTP 401)",
        )
        # A list is read, as far as its second page.
        desk.glc.clients = {"passerelle": (tmp_path / "secrets" / "glc-password").read_text()}
        assert desk.home is not None
        desk.home.replace("gateway.yaml", "source: synchronization", "source: deletions")
        assert (await told())["level"] == "warning", "an empty list says nothing of its paths"
        desk.glc.delete(uuid(0))
        assert (await told())["level"] == "ok"
        desk.home.replace(
            "gateway.yaml", "source: deletions", "source: deletions\n  deletions: {uuid: id}"
        )
        assert "uuid" in (await told())["what"]
