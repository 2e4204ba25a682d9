"""The daemon runs what is released, and takes a new release without turning anybody away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.catalogue.bundle import read_bundle
from gateway.contracts.running import ReleasedSource
from gateway.core.errors import Unavailable
from gateway.sdk.publik.signature import sign_url
from gateway.store import releases
from gateway.store.engine import Database
from tests.contracts import five
from tests.contracts.conftest import KEY
from tests.contracts.five import FIRST, FIVE, SLUG, Home
from tests.contracts.test_release import CASES, MAPPING, change
from tests.life import Life, begin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FIVE_KEY", KEY)
    return five.build(tmp_path, port=_free_port())


@pytest.fixture
def served(released: Home) -> Home:
    """All five active, to be served at an address of its own."""
    settings, port = "config/gateway.yaml", _free_port()
    released.edit(settings, "port: 8701", f"port: {port}")
    released.edit(settings, "http://127.0.0.1:8701", f"http://127.0.0.1:{port}")
    return released


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Daemon:
    def __init__(self, home: Home, log: Path, pid: int) -> None:
        settings = (home.config / "gateway.yaml").read_text("utf-8")
        self.url = settings.split("public_url: ")[1].split("\n")[0]
        self.log = log
        self.pid = pid
        self.client = httpx.Client(base_url=self.url, timeout=10)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get("/ops/health").json()
        return found

    def ready(self) -> bool:
        try:
            return self.client.get("/ops/ready").status_code == 200
        except httpx.TransportError:
            return False

    def push(self, commune: str, text: str = "Un trou") -> httpx.Response:
        ref = str(time.monotonic_ns())
        body = dict(five.BASE, id=ref, api_url=f"{five.DEAD}/api/forms/{SLUG}/{ref}/")
        body["fields"] = body["fields"] | {"description": text}
        url = f"{self.url}/portal/v1/communes/{commune}/teleservices/{SLUG}/requests"
        signed = sign_url(url, KEY, orig="toodego", now=_now(), nonce=os.urandom(8).hex())
        return self.client.post(signed, json=body)

    def until(self, met: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


@contextmanager
def serving(home: Home, *more: str) -> Iterator[Daemon]:
    log = home.folder / "log"
    log.unlink(missing_ok=True)
    life = begin(["serve", *home.where, *more], {**os.environ, "FIVE_KEY": KEY}, log)
    daemon = Daemon(home, log, life.pid)
    try:
        daemon.until(lambda: _answers(daemon, life))
        yield daemon
    finally:
        if life.exit_code is None:
            life.signal(signal.SIGTERM)
        code = life.wait(60)
        daemon.client.close()
    assert code == 0, log.read_text()


def _answers(daemon: Daemon, life: Life) -> bool:
    assert life.exit_code is None, daemon.log.read_text()
    return daemon.ready()


def events(daemon: Daemon, name: str) -> list[dict[str, Any]]:
    lines = [line for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return [one for one in map(json.loads, lines) if one.get("event") == name]


def test_a_release_is_taken_and_taken_back_while_requests_come_in(served: Home) -> None:
    before = {one["commune"]: one["digest"] for one in served.json("release", "list")}
    with serving(served) as daemon:
        assert daemon.health()["releases"]["active"] == before
        answers: list[int] = []
        stop = threading.Event()

        def push() -> None:
            while not stop.is_set():
                answers.append(daemon.push("69003").status_code)
                time.sleep(0.02)

        pushing = threading.Thread(target=push)
        pushing.start()
        try:
            change(served)
            assert served.sign("69001").exit_code == 0
            assert served.run("release", "apply").exit_code == 1
            live = {one["commune"]: one["digest"] for one in served.json("release", "list")}
            assert [c for c in FIVE if live[c] != before[c]] == ["69001"]
            daemon.until(lambda: daemon.health()["releases"]["active"] == live)
            assert served.run("release", "rollback", "69001").exit_code == 0
            daemon.until(lambda: daemon.health()["releases"]["active"] == before)
        finally:
            stop.set()
            pushing.join()
        assert len(answers) > 20
        assert set(answers) <= {200, 201}, sorted(set(answers))
        assert len(events(daemon, "release.taken")) == 2


class Grus:
    """GRUs on a socket: `/<insee>/api/demandes`. Those in `hanging` take a call and keep quiet."""

    def __init__(self) -> None:
        self.came: dict[str, float] = {}
        self.hanging: set[str] = set()
        self.held = 0
        self.ports: dict[str, set[int]] = {}
        self.release = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                commune = self.path.split("/")[1]
                outer.came[json.loads(content)["texte"]] = time.monotonic()
                outer.ports.setdefault(commune, set()).add(self.client_address[1])
                if commune in outer.hanging:
                    outer.held += 1
                    outer.release.wait(60)
                answer = b'{"id": 1}'
                with suppress(ConnectionError):  # the gateway may have gone meanwhile
                    self.send_response(201)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False  # its end waits for theirs
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Grus:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def test_a_hanging_commune_delays_no_other_at_a_release(home: Home) -> None:
    with Grus() as grus:
        for insee in FIVE:
            file = f"config/communes/{insee}.yaml"
            home.edit(file, "http://127.0.0.1:9/api", f"{grus.url}/{insee}/api")
            home.edit(file, "    poll: null\n", "    poll: null\n    timeout: 90\n")
        # What each commune's lanes would have waited for, were they stopped for the release.
        home.edit("config/gateway.yaml", "shutdown_grace: 2", "shutdown_grace: 60")
        home.release_all()
        before = {one["commune"]: one["digest"] for one in home.json("release", "list")}
        with serving(home) as daemon:
            assert daemon.push("69003", "avant").is_success
            daemon.until(lambda: "avant" in grus.came)
            grus.hanging.add("69001")
            assert daemon.push("69001", "pend").is_success
            daemon.until(lambda: grus.held == 1)
            change(home)
            assert home.sign("69001").exit_code == 0
            assert home.sign("69002").exit_code == 0
            assert home.run("release", "apply").exit_code == 0
            live = {one["commune"]: one["digest"] for one in home.json("release", "list")}
            # The other commune of the release has it, while the one that hangs is waited for.
            daemon.until(
                lambda: daemon.health()["releases"]["active"] == before | {"69002": live["69002"]},
                30,
            )
            waits = []
            for n in range(10):
                for insee in ("69002", "69003"):
                    text = f"{insee} {n}"
                    begun = time.monotonic()
                    assert daemon.push(insee, text).is_success
                    daemon.until(partial(grus.came.__contains__, text))
                    waits.append(grus.came[text] - begun)
            assert daemon.health()["releases"]["active"]["69001"] == before["69001"]
            assert max(waits) < 5, sorted(waits)[-3:]
            assert len(grus.ports["69003"]) == 1, "it went on over the connection that it had"
            grus.release.set()
            daemon.until(lambda: daemon.health()["releases"]["active"] == live)
            assert daemon.push("69001", "après").is_success
            daemon.until(lambda: "après" in grus.came)
            assert events(daemon, "release.taken")
            assert len(events(daemon, "gateway.started")) == 1


def test_a_release_that_is_not_fit_leaves_what_runs_running(served: Home) -> None:
    from tests.store.test_trail import without_triggers

    before = {one["commune"]: one["digest"] for one in served.json("release", "list")}
    with serving(served) as daemon:
        without_triggers(served.url, "UPDATE release SET content = '{}' WHERE commune = '69001'")
        change(served)
        assert served.sign("69002").exit_code == 0
        served.run("release", "apply")
        daemon.until(lambda: bool(events(daemon, "release.refused")))
        assert daemon.health()["releases"]["active"] == before
        assert daemon.push("69002").is_success


def test_a_commune_without_a_release_gets_a_404_that_says_so(home: Home) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    assert home.sign("69001").exit_code == 0
    assert home.run("release", "apply").exit_code == 1
    with serving(home) as daemon:
        assert daemon.push("69001").is_success
        refused = daemon.push("69002")
        assert refused.status_code == 404
        assert "no_release" in refused.text
        part = daemon.health()["releases"]
        assert part["state"] == "degraded"
        assert part["unreleased"] == [c for c in FIVE if c != "69001"]
        assert list(part["active"]) == ["69001"]
        # A signal has the secrets read anew, and ends nothing.
        assert daemon.health()["secrets"] == {"state": "ok", "read_at": None, "refused": []}
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.until(lambda: daemon.health()["secrets"]["read_at"] is not None)
        assert daemon.push("69001").is_success


def test_dev_runs_the_files_and_says_so_at_every_start(home: Home) -> None:
    said = f"warning: runs unsigned (--dev): {', '.join(FIVE)}"
    for _ in range(2):
        with serving(home, "--dev") as daemon:
            assert daemon.push("69002").is_success
            assert said in daemon.log.read_text()
            (event,) = events(daemon, "release.unsigned")
            assert event["communes"] == list(FIVE)
    home.edit(MAPPING, "voirie: VOIRIE", "voirie: VOIRIE-2")
    home.edit(CASES, "service: VOIRIE", "service: VOIRIE-2")
    listed = {one["commune"]: one for one in home.json("release", "list")}
    with serving(home, "--dev"):
        again = {one["commune"]: one for one in home.json("release", "list")}
    assert all(one["unsigned"] for one in again.values())
    assert [c for c in FIVE if again[c]["digest"] != listed[c]["digest"]] == list(FIRST)


def test_what_dev_left_behind_is_not_run_without_it(home: Home) -> None:
    with serving(home, "--dev"):
        pass
    with serving(home) as daemon:
        part = daemon.health()["releases"]
        assert (part["active"], list(part["refused"])) == ({}, list(FIVE))
        assert "it runs without the commune's agreement" in str(part["refused"])
        refused = daemon.push("69002")
        assert (refused.status_code, refused.json()["err_code"]) == (503, "release_refused")
    # It was called the same, its contracts were not run, and the daemon never started again.
    applied = home.run("release", "apply")
    assert applied.exit_code == 1
    assert applied.output.count("(unsigned)") == len(FIVE)
    for commune in FIVE:
        home.sign(commune)
    applied = home.run("release", "apply")
    assert (applied.exit_code, applied.output.count("applied")) == (0, len(FIVE))
    with serving(home) as daemon:
        assert daemon.push("69002").is_success
    assert home.run("release", "apply").output.count(": same (") == len(FIVE)


def test_a_release_that_the_daemon_refuses_is_told_everywhere(served: Home) -> None:
    before = {one["commune"]: one["digest"] for one in served.json("release", "list")}
    with serving(served) as daemon:
        served.edit("config/communes/69003.yaml", "token: env:FIVE_KEY", "token: env:LOST_KEY")
        assert served.sign("69003").exit_code == 0
        told = served.run("release", "apply")
        assert told.exit_code == 1
        assert "the daemon does not run it: " in told.output
        assert "LOST_KEY is not set" in told.output
        listed = {one["commune"]: one for one in served.json("release", "list")}
        assert [listed[insee]["runs"] for insee in ("69001", "69003")] == ["yes", "REFUSED"]
        states = {one["commune"]: one["state"] for one in served.json("commune", "list")}
        assert [states[insee] for insee in ("69001", "69003")] == ["running", "refused"]
        health = daemon.health()
        assert health["status"] == "degraded"
        assert "LOST_KEY" in str(health["releases"]["refused"]["69003"])
        # What it ran before goes on.
        assert health["releases"]["active"] == before
        assert daemon.push("69003").is_success
    with serving(served) as daemon:
        assert daemon.health()["releases"]["active"] == {
            insee: digest for insee, digest in before.items() if insee != "69003"
        }
        assert daemon.push("69003").json()["err_code"] == "release_refused"
        assert daemon.push("69004").is_success
    assert {one["runs"] for one in served.json("release", "list")} == {None}


class Away(Database):
    """A database that may be away for a while."""

    here = True

    async def read(self, unit: Any, *args: Any, **kwargs: Any) -> Any:
        if not self.here and unit is not releases.last_entry:
            raise Unavailable("it is away")
        return await super().read(unit, *args, **kwargs)


async def test_a_release_is_not_forgotten_when_the_database_goes_as_it_is_read(
    served: Home,
) -> None:
    source = ReleasedSource(lambda: read_bundle(served.config, served.mappings), os.environ)
    database = Away(served.url)
    try:
        running = await source.catalogue(database)
        change(served)
        assert (await asyncio.to_thread(served.sign, "69001")).exit_code == 0
        await asyncio.to_thread(served.run, "release", "apply")
        database.here = False
        for _ in range(2):
            with pytest.raises(Unavailable):
                await source.changed(database, running)
        database.here = True
        assert await source.changed(database, running)
        database.here = False
        with pytest.raises(Unavailable):
            await source.catalogue(database)
        database.here = True
        assert await source.changed(database, running)
        following = await source.catalogue(database)
        assert not await source.changed(database, following)
    finally:
        database.close()
