"""A PostgreSQL that keeps what it commits: as in the store's tests, but with fsync on."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.store.postgres import USER, binaries

_OPTIONS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "80",
}


class Durable:
    """A running server."""

    def __init__(self, folder: Path, pid: int) -> None:
        self.folder = folder
        self.pid = pid
        self.made = 0

    def empty(self) -> str:
        """The URL of a database with nothing in it."""
        return self._create("template0")

    def copy(self, url: str) -> str:
        """The URL of a database that holds what this one holds; nobody may be connected to it."""
        return self._create(_name(url))

    def drop(self, url: str) -> None:
        self._run(f"DROP DATABASE {_name(url)} WITH (FORCE)")

    def _create(self, template: str) -> str:
        self.made += 1
        # From a copy of the files there is nothing left to write at the next checkpoint.
        self._run(f"CREATE DATABASE bench_{self.made} TEMPLATE {template} STRATEGY file_copy")
        return f"postgresql://{USER}@/bench_{self.made}?host={self.folder}"

    def _run(self, statement: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode())


def _name(url: str) -> str:
    return url.rpartition("@/")[2].partition("?")[0]


@contextmanager
def durable_server() -> Iterator[Durable]:
    """Start one on a unix socket in a temporary folder, and stop it."""
    where = binaries()
    folder = Path(tempfile.mkdtemp(prefix="tdg-bench-pg-"))
    # PostgreSQL refuses to run as root, so root hands it to `nobody`.
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    log = (folder / "log").open("ab")

    def start(*command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=None if owner is None else owner.pw_name,
            group=None if owner is None else owner.pw_gid,
            extra_groups=None if owner is None else [],
        )

    data = str(folder / "data")
    try:
        made = start(
            *(str(where / "initdb"), "-D", data, "-U", USER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        )
        if made.wait(60):
            raise RuntimeError((folder / "log").read_text())
        options = _OPTIONS | {"unix_socket_directories": str(folder)}
        running = start(
            str(where / "postgres"), "-D", data, *(f"--{k}={v}" for k, v in options.items())
        )
        try:
            _await(folder)
            yield Durable(folder, running.pid)
        finally:
            running.terminate()
            try:
                running.wait(20)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
    finally:
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _await(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(host=str(folder), user=USER, dbname="postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()) from None
            time.sleep(0.05)
        else:
            return
