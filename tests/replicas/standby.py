"""A primary and a standby by streaming replication, both to be reached over the loopback."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.store.postgres import HASTY, USER, binaries, folder_of_nobody

_DEBIAN = Path("/usr/lib/postgresql")
_NAME = "gateway"
_PATIENCE = 60.0


def newest_installed() -> Path:
    """Debian's PostgreSQL where there is one, else what the other tests use."""
    found = sorted(_DEBIAN.glob("*/bin/pg_basebackup"))
    return found[-1].parent if found else binaries()


class Node:
    """One server of the two."""

    def __init__(
        self, data: Path, port: int, where: Path, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        self.data, self.port = data, port
        self._where, self._start = where, start
        self._running: subprocess.Popen[bytes] | None = None

    def run(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname=database, autocommit=True
        ) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def make(self) -> None:
        """An empty cluster."""
        auth = ("-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
        self._do("initdb", "-D", str(self.data), "-U", USER, *auth)

    def copy(self, primary: Node) -> None:
        """A standby of `primary`, in place of what lay here."""
        shutil.rmtree(self.data, ignore_errors=True)
        of = f"host=127.0.0.1 port={primary.port} user={USER}"
        self._do(
            *("pg_basebackup", "-d", of, "-D", str(self.data)),
            *("-R", "-X", "stream", "-c", "fast", "--no-sync"),
        )

    def start(self) -> None:
        settings = HASTY | {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "wal_keep_size": "256MB",
            "max_connections": "60",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._running = self._start(str(self._where / "postgres"), "-D", str(self.data), *options)
        until(lambda: self.run("SELECT 1"), "the server starts")

    def kill(self) -> None:
        """Stop as in a power cut: a waiting client gets no answer, or an error."""
        if self._running is not None:
            self._running.send_signal(signal.SIGQUIT)
            self._running.wait(_PATIENCE)
            self._running = None

    def set(self, name: str, value: str) -> None:
        self.run(f"ALTER SYSTEM SET {name} = '{value}'")
        self.run("SELECT pg_reload_conf()")

    def _do(self, program: str, *arguments: str) -> None:
        done = self._start(str(self._where / program), *arguments)
        if done.wait(_PATIENCE):
            raise RuntimeError(f"{program} failed: see the log beside {self.data}")


class Pair:
    """`primary` is written to, `standby` follows: each commit waits for it where `synchronous`."""

    def __init__(self, primary: Node, standby: Node, *, synchronous: bool) -> None:
        self.primary, self.standby, self.synchronous = primary, standby, synchronous

    @property
    def url(self) -> str:
        """Both, whichever is the one that can be written to."""
        ports = sorted((self.primary.port, self.standby.port))
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"postgresql://{USER}@{hosts}/{_NAME}?target_session_attrs=read-write"

    def follow(self) -> None:
        """Make a standby of the node that is none, and wait until it keeps up."""
        self.standby.copy(self.primary)
        self.standby.start()
        until(lambda: self._streaming("streaming"), "the standby follows")
        if self.synchronous:
            self.primary.set("synchronous_standby_names", "*")
            until(lambda: self._streaming("sync"), "commits wait for it")

    def lag(self) -> None:
        """Cut the standby off from now on."""
        self.standby.set("primary_conninfo", "")
        until(lambda: not self._streaming("streaming"), "the standby is cut off")

    def fail_over(self) -> None:
        """The primary dies, and the standby takes its place, alone."""
        self.primary.kill()
        self.standby.run("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.standby.run("SELECT pg_reload_conf()")
        self.standby.run("SELECT pg_promote()")
        until(lambda: self.standby.run("SELECT 1 WHERE NOT pg_is_in_recovery()"), "it takes over")
        self.primary, self.standby = self.standby, self.primary

    def _streaming(self, how: str) -> bool:
        rows = self.primary.run("SELECT state, sync_state FROM pg_stat_replication")
        return any(how in row for row in rows)


@contextmanager
def pair(ports: tuple[int, int], *, synchronous: bool) -> Iterator[Pair]:
    """A pair at work with an empty database of the name that its address has."""
    where = newest_installed()
    folder, start = folder_of_nobody()
    first, second = (Node(folder / f"node-{port}", port, where, start) for port in ports)
    try:
        first.make()
        first.start()
        first.run(f"CREATE DATABASE {_NAME}")
        made = Pair(first, second, synchronous=synchronous)
        made.follow()
        yield made
    except RuntimeError as error:
        raise RuntimeError((folder / "log").read_text()[-3000:]) from error
    finally:
        first.kill()
        second.kill()
        shutil.rmtree(folder, ignore_errors=True)


def until(done: Callable[[], object], what: str) -> None:
    """Raises RuntimeError when that takes too long."""
    end = time.monotonic() + _PATIENCE
    while True:
        with contextlib.suppress(psycopg.OperationalError):
            if done():
                return
        if time.monotonic() > end:
            raise RuntimeError(f"not within {_PATIENCE} s: {what}")
        time.sleep(0.05)
