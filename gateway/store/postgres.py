"""Connections to PostgreSQL, and whether the server commits: it may hang without a word.

A frozen process or network neither answers nor closes, and a primary that waits for a lost standby
does not commit. Callers would wait on sockets for minutes. So a thread watches what takes long: it
tries a connection and a commit of its own, and when they hang, cuts every connection, so that the
callers are told.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from gateway.core.errors import GatewayError
from gateway.core.messages import Message
from gateway.store.texts import say

log = structlog.get_logger()

#: Seconds after which a call makes the thread try the server.
SLOW: Final = 3.0
#: Seconds of a try to connect, and as many again to commit.
PATIENCE: Final = 3.0
#: Seconds until the next try while a call takes long at a server that is well.
AGAIN: Final = 3.0
_TICK: Final = 0.5
#: Defaults, unless the address says otherwise. Of several hosts the writable one is meant; a server
#: that vanished is noticed.
_DEFAULTS: Final = {
    "connect_timeout": "5",
    "application_name": "gru-gateway",
    "target_session_attrs": "read-write",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
#: The session takes no writes: the server became read-only, or is a standby.
READ_ONLY: Final = "25006"
_SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")
_HOST_AND_PORT = re.compile(r"([^/:\[\]]*|\[[^\]]*\]):(\d+)")
_TRY = (
    "INSERT INTO tick (job, tick, at) VALUES ('probe', 0, 0)"
    " ON CONFLICT (job, tick) DO UPDATE SET at = excluded.at"
)


class BadAddress(GatewayError):
    """The database's address cannot be used; the text holds no password."""


class NoConnection(psycopg.OperationalError):
    """PostgreSQL gave no connection; `said` tells why, and holds no password."""

    def __init__(self, said: Message, error: psycopg.Error) -> None:
        super().__init__(said.what())
        self.said = said
        self.sqlstate = error.sqlstate


class PoolerFound(GatewayError):
    """A pooler gives each transaction another session."""


def parameters(url: str) -> dict[str, str]:
    """Return libpq's parameters of an address: any URI that libpq takes, with several hosts too,
    and `?host=a:1&host=b:2`. Raises BadAddress."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        raise BadAddress(say("address_form"))
    before, _, query = url[scheme.end() :].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    hosts = [host for name, value in pairs if name == "host" for host in value.split(",")]
    split = [_HOST_AND_PORT.fullmatch(host) for host in hosts]
    rest = [(name, value) for name, value in pairs if name != "host"]
    if any(split):
        rest = [(name, value) for name, value in rest if name != "port"]
        rest.append(("port", ",".join(one[2] if one else "" for one in split)))
        hosts = [one[1] if one else host for one, host in zip(split, hosts, strict=True)]
    if hosts:
        rest.append(("host", ",".join(hosts)))
    again = urlencode(rest, quote_via=quote, safe="/,:")
    try:
        found = conninfo_to_dict(f"postgresql://{before}{'?' if again else ''}{again}")
    except psycopg.Error:
        raise BadAddress(say("address_not_taken")) from None
    return {name: str(value) for name, value in found.items() if value is not None}


def open_connection(
    url: str, *, lock_ms: int | None = None, **more: Any
) -> psycopg.Connection[Any]:
    """Open a connection with the house's settings. Raises BadAddress, NoConnection, and
    psycopg.Error."""
    # Not in `options`, which poolers refuse.
    autocommit = more.pop("autocommit", False)
    given: dict[str, Any] = {**_DEFAULTS, **parameters(url), **more}
    try:
        connection = psycopg.connect(autocommit=True, **given)
    except psycopg.OperationalError as error:
        raise NoConnection(_why_none(str(error), given), error) from error
    try:
        if lock_ms is not None:
            connection.execute(f"SET lock_timeout = {int(lock_ms)}")
        connection.autocommit = autocommit
    except BaseException:
        connection.close()
        raise
    return connection


#: Words of libpq, of psycopg and of a server that speaks English; what others say is quoted.
_WHY_NONE: Final = (
    (re.compile(r"failed to resolve host|could not translate host name"), "pg_unknown_name"),
    (re.compile(r"Connection refused|\.s\.PGSQL\.\d+. failed: No such file"), "pg_refused"),
    (re.compile(r"timeout expired|timed out|No route to host|unreachable"), "pg_silent"),
    (re.compile(r"(?:password|authentication) .*failed|no password supplied"), "pg_password"),
    (re.compile(r'role ".*" does not exist'), "pg_no_role"),
    (re.compile(r'database ".*" does not exist'), "pg_no_database"),
    (re.compile(r"no pg_hba\.conf entry"), "pg_not_let_in"),
    (re.compile(r"too many (?:clients|connections)|connection slots are reserved"), "pg_full"),
    (re.compile(r"the database system is (?:starting|shutting|not yet)"), "pg_starting"),
)


def _why_none(error: str, given: Mapping[str, Any]) -> Message:
    """Tell apart why there is no connection."""
    place = {
        "host": str(given.get("host") or given.get("hostaddr") or "localhost"),
        "port": str(given.get("port") or 5432),
        "user": str(given.get("user") or ""),
        "name": str(given.get("dbname") or given.get("user") or ""),
    }
    for words, word in _WHY_NONE:
        if words.search(error):
            return say(word, **place)
    lines = error.strip().splitlines() or [""]
    return say("pg_other", **place, error=lines[-1])


def require_sessions(url: str) -> None:
    """Raise PoolerFound when a session loses its settings.

    Any other fault of this test is ignored: it proves nothing about a pooler.
    """
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    try:
        with (
            open_connection(url, autocommit=True) as mine,
            open_connection(url, autocommit=True) as other,
        ):
            mine.execute("SELECT set_config('gru_gateway.session', %s, false)", [mark])
            with other.transaction():
                # Each has whatever session was free last.
                found = [_marked(other), _marked(mine)]
    except psycopg.Error:
        return
    if found != ["", mark]:
        raise PoolerFound(say("pooled"))


def _marked(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute("SELECT coalesce(current_setting('gru_gateway.session', true), '')")
    (found,) = row.fetchone() or ("",)
    return str(found)


def cut(connection: psycopg.Connection[Any]) -> None:
    """End the waits of all callers of this connection."""
    with (
        contextlib.suppress(psycopg.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as held,
    ):
        held.shutdown(socket.SHUT_RDWR)


@contextmanager
def within(seconds: float, connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Cut the connection if the block takes longer."""

    def end() -> None:
        # A server that waits for its standby gives up on this order, and frees its locks.
        with contextlib.suppress(psycopg.Error):
            connection.cancel_safe(timeout=1.0)
        cut(connection)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class ConnectionMonitor:
    """Watches one process's connections. `trouble` is empty while all is well.

    "hanging": nobody is answered, and nothing begins until a try succeeds. "refused": no new
    writable connection can be opened; open ones go on. Raises BadAddress.
    """

    def __init__(self, url: str) -> None:
        parameters(url)
        self.trouble = ""
        self._url = url
        self._open: weakref.WeakSet[psycopg.Connection[Any]] = weakref.WeakSet()
        self._begun: dict[object, float] = {}
        self._suspected = False
        self._tried = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-watch", daemon=True)
        self._thread.start()

    def connect(self, lock_ms: int) -> psycopg.Connection[Any]:
        """Open a watched connection. Raises psycopg.Error."""
        if self.trouble == "hanging":
            raise psycopg.OperationalError("the server hangs")
        try:
            made = open_connection(self._url, lock_ms=lock_ms)
        except psycopg.Error:
            self._suspected = True
            raise
        self._open.add(made)
        return made

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count a caller as waiting for the database within the block."""
        token = object()
        self._begun[token] = time.monotonic()
        try:
            yield
        finally:
            del self._begun[token]

    def drop(self) -> None:
        """Have no connection that is open now used again."""
        self._suspected = True
        for one in list(self._open):
            cut(one)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=2 * PATIENCE + 2)

    def _run(self) -> None:
        while not self._stop.wait(_TICK):
            now = time.monotonic()
            slow = any(now - at > SLOW for at in list(self._begun.values()))
            late = slow and now - self._tried > AGAIN
            if not (self.trouble or self._suspected or late):
                continue
            self._suspected = False
            before, self.trouble = self.trouble, self._try()
            self._tried = time.monotonic()
            if self.trouble == "hanging":
                for one in list(self._open):
                    cut(one)
            if self.trouble != before:
                if self.trouble:
                    log.error("database.trouble", what=self.trouble)
                else:
                    log.warning("database.well")

    def _try(self) -> str:
        try:
            made = open_connection(self._url, autocommit=True, connect_timeout=int(PATIENCE))
        except NoConnection as error:
            hangs = isinstance(error.__cause__, psycopg.errors.ConnectionTimeout)
            return "hanging" if hangs else "refused"
        except psycopg.Error:
            return "refused"
        begun = time.monotonic()
        try:
            with contextlib.closing(made), within(PATIENCE, made):
                made.execute(_TRY)
        except psycopg.errors.UndefinedTable:
            return ""  # it answers
        except psycopg.Error:
            pass
        else:
            return "" if time.monotonic() - begun < PATIENCE else "hanging"
        return "hanging" if time.monotonic() - begun >= PATIENCE else "refused"
