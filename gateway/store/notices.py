"""PostgreSQL's LISTEN/NOTIFY: a replica hears at once that a lane has work."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
from sqlalchemy import ARRAY, Connection, Text, bindparam, func, select
from sqlalchemy.engine import make_url

from gateway.store.prepared import Prepared

CHANNEL = "gru_gateway_lane"
#: In place of a lane's name: what is remembered of lanes was changed by somebody.
MEMORY = "*"
#: How long one wait for notices lasts before the stop flag is looked at, seconds.
_WAIT = 1.0


_NOTIFY = Prepared(
    lambda dialect: select(
        func.pg_notify(CHANNEL, func.unnest(bindparam("lanes", type_=ARRAY(Text))))
    )
)


def notify(connection: Connection, *lanes: str) -> None:
    """Tell every replica, when this transaction commits, that these lanes have work."""
    if connection.dialect.name == "postgresql":
        _NOTIFY(connection, lanes=list(lanes))


class Notices:
    """Listens in a thread of its own, and comes back by itself when the server does.

    `heard` is called from that thread with a lane's name, or with None after a reconnection: some
    notices may then have been missed.
    """

    def __init__(self, url: str, heard: Callable[[str | None], None]) -> None:
        self._dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._heard = heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-notices", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True, connect_timeout=5) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._heard(None)
                    while not self._stop.is_set():
                        for notice in connection.notifies(timeout=_WAIT):
                            self._heard(notice.payload)
            except psycopg.Error:
                self._stop.wait(1.0)
