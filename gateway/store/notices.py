"""PostgreSQL's LISTEN/NOTIFY: a replica hears at once that a lane has work."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import structlog
from sqlalchemy import Connection

from gateway.store import statements
from gateway.store.dialect import is_postgresql
from gateway.store.postgres import open_connection, within

CHANNEL = "gru_gateway_lane"
#: Stands for a lane's name: the memory of some lane changed.
MEMORY = "*"
#: Seconds of one wait for notices, after which the stop flag is looked at.
_WAIT = 1.0
#: Seconds of silence after which the server is tested.
_SILENCE = 10.0

log = structlog.get_logger()


_NOTIFY = statements.load("enqueue")["notify"]


def notify(connection: Connection, *lanes: str) -> None:
    """Tell every replica, at commit, that these lanes have work."""
    if is_postgresql(connection):
        _NOTIFY.run(connection, lanes=list(lanes)).close()


class Notices:
    """Listens in a thread of its own, and reconnects by itself. Calls `heard` from that thread with
    a lane's name, or with None after a reconnection: notices may have been missed."""

    def __init__(self, url: str, heard: Callable[[str | None], None]) -> None:
        self._url = url
        self.connected = False
        self._heard = heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-notices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        lost = False
        while not self._stop.is_set():
            try:
                with contextlib.closing(open_connection(self._url, autocommit=True)) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    if lost:
                        log.warning("notices.back")
                    lost, self.connected = False, True
                    self._heard(None)
                    self._listen(connection)
            except psycopg.Error as error:
                if not lost:
                    # Meanwhile the look each half minute finds work.
                    log.error("notices.lost", error=type(error).__name__)
                lost, self.connected = True, False
                self._stop.wait(1.0)

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        heard_at = time.monotonic()
        while not self._stop.is_set():
            for notice in connection.notifies(timeout=_WAIT):
                self._heard(notice.payload)
                heard_at = time.monotonic()
            if time.monotonic() - heard_at > _SILENCE:
                # A server that hangs or is gone is silent too.
                with within(_WAIT * 3, connection):
                    connection.execute("SELECT 1")
                heard_at = time.monotonic()
