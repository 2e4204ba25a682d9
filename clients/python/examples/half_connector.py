"""A half-connector to begin with: it takes what the gateway sends, once, and tells it on.

    python half_connector.py push       listens on PIVOT_LISTEN, and tells its changes
    python half_connector.py mailbox    fetches, and tells its changes

Settings come from the environment: PIVOT_BASE_URL, PIVOT_CLIENT_ID, PIVOT_CLIENT_SECRET,
PIVOT_SIGNING_SECRETS (push; two with a blank between while one is replaced), PIVOT_COMMUNE,
PIVOT_ENVIRONMENT (`production` or `test`), PIVOT_TELESERVICES (those that you know; all when
nothing is said), PIVOT_MEMORY (a file), PIVOT_LISTEN (`127.0.0.1:8090`), PIVOT_PAUSE (seconds).

What belongs to your own software is in `Desk.open_ticket`: here a ticket is a row, and each new one
is told to the citizen as accepted. Kill it wherever you like: a message is taken in one transaction
with its number and with what is to be told of it, and is acknowledged only afterwards.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

# In your own project the package is installed; here it lies beside the example.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from toodego_pivot import PivotClient, PivotError, Unknown, Unreadable, read_message
from toodego_pivot.models import (
    Acknowledgement,
    ClaimResultTold,
    ErasureReceipt,
    PivotChange,
    PivotClaim,
    PivotErasure,
    PivotEvent,
    PivotFile,
    PivotStatus,
)
from toodego_pivot.webhooks import Unproven, prove

LARGEST = 16_000_000
TABLES = """\
CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY, reference TEXT, sequence INTEGER,
  number TEXT, body TEXT, receipt TEXT);
CREATE TABLE IF NOT EXISTS ticket (reference TEXT PRIMARY KEY, number TEXT, erased INTEGER);
CREATE TABLE IF NOT EXISTS file (message TEXT, name TEXT, sha256 TEXT, content BLOB);
CREATE TABLE IF NOT EXISTS change (key TEXT PRIMARY KEY, reference TEXT, body TEXT, told INTEGER);
CREATE TABLE IF NOT EXISTS result (token TEXT PRIMARY KEY, body TEXT);
"""


class Refused(Exception):
    """A message that is never taken as it is; the sentence says why, without personal data."""


class Later(Exception):
    """A message that cannot be taken now."""


@dataclass(frozen=True)
class Taken:
    """The result of a message: the ticket's number, or the end of a person's data."""

    number: str | None = None
    erasure: str | None = None

    @property
    def receipt(self) -> ErasureReceipt | None:
        return None if self.erasure is None else ErasureReceipt(outcome=self.erasure)


@dataclass
class Desk:
    """Takes messages: each once."""

    memory: str
    commune: str
    environment: str
    teleservices: frozenset[str]
    client: PivotClient

    @contextmanager
    def open(self) -> Iterator[sqlite3.Connection]:
        """Open the memory for one transaction, which nobody else shares."""
        db = sqlite3.connect(self.memory, timeout=30, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()

    def take(self, message: PivotEvent | PivotErasure | Unknown) -> Taken:
        """Take a message. Raises Refused, Later."""
        if isinstance(message, Unknown):
            return Taken()  # of a later contract: acknowledged, and passed over
        for_us = (self.commune, self.environment)
        if (message.recipient.commune, message.recipient.environment) != for_us:
            raise Refused("this message is for another commune or environment")
        if isinstance(message, PivotErasure):
            return self._erase(message)
        if self.teleservices and message.request.teleservice not in self.teleservices:
            raise Refused("we do not know this teleservice")
        with self.open() as db:
            known = _known(db, message.id)
        if known is not None:
            return known
        # Files are read before the transaction: it is short, however large they are.
        with tempfile.TemporaryDirectory() as folder:
            files = [(file, self._file(file, Path(folder))) for file in message.files]
            return self._keep(message, files)

    def _keep(self, message: PivotEvent, files: list[tuple[PivotFile, bytes]]) -> Taken:
        reference = message.request.reference
        body = json.dumps(asdict(replace(message, files=())), default=str)
        with self.open() as db:
            known = _known(db, message.id)
            if known is not None:
                return known
            ticket = db.execute(
                "SELECT number, erased FROM ticket WHERE reference = ?", (reference,)
            ).fetchone()
            if ticket is not None and ticket[1]:
                raise Refused("this person was erased")
            if ticket is None and message.type != "request.created":
                raise Later("the request itself is not here yet")
            number = self.open_ticket(db, message) if ticket is None else str(ticket[0])
            db.execute(
                "INSERT INTO message VALUES (?, ?, ?, ?, ?, NULL)",
                (message.id, reference, message.sequence, number, body),
            )
            for file, content in files:
                row = (message.id, file.filename, file.sha256, content)
                db.execute("INSERT INTO file VALUES (?, ?, ?, ?)", row)
        return Taken(number)

    def open_ticket(self, db: sqlite3.Connection, message: PivotEvent) -> str:
        """Open a ticket; its number. What is to be told of it is written with it, or neither is."""
        reference = message.request.reference
        (count,) = db.execute("SELECT count(*) FROM ticket").fetchone()
        number = f"T-{count + 1}"
        db.execute("INSERT INTO ticket VALUES (?, ?, 0)", (reference, number))
        change = PivotChange(key=f"{number}-accepted", status=PivotStatus.ACCEPTED)
        row = (change.key, reference, json.dumps(change.written()))
        db.execute("INSERT INTO change VALUES (?, ?, ?, 0)", row)
        return number

    def _erase(self, message: PivotErasure) -> Taken:
        with self.open() as db:
            known = _known(db, message.id)
            if known is not None:
                return known
            (held,) = db.execute(
                "SELECT count(*) FROM ticket WHERE reference = ?", (message.reference,)
            ).fetchone()
            outcome = "erased" if held else "absent"
            db.execute(
                "DELETE FROM file WHERE message IN (SELECT id FROM message WHERE reference = ?)",
                (message.reference,),
            )
            db.execute("UPDATE message SET body = NULL WHERE reference = ?", (message.reference,))
            db.execute("DELETE FROM change WHERE reference = ? AND told = 0", (message.reference,))
            db.execute("UPDATE ticket SET erased = 1 WHERE reference = ?", (message.reference,))
            db.execute(
                "INSERT INTO message VALUES (?, ?, NULL, NULL, NULL, ?)",
                (message.id, message.reference, outcome),
            )
        return Taken(erasure=outcome)

    def _file(self, file: PivotFile, folder: Path) -> bytes:
        """Return the bytes of a file, proven. Raises Refused, Later."""
        if file.content is not None:
            try:
                content = base64.b64decode(file.content, validate=True)
            except binascii.Error:
                raise Refused("a file is not Base64") from None
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise Refused("a file is not the one that its SHA-256 names")
            return content
        place = folder / file.sha256[:64]
        opened: IO[bytes]
        try:
            with place.open("w+b") as opened:
                self.client.download(file, opened)
        except PivotError as error:
            raise Later(f"a file cannot be read: {error}") from None
        except Unreadable as error:
            raise Refused(str(error)) from None
        return place.read_bytes()

    # --- back ---------------------------------------------------------------------------------

    def tell_changes(self) -> float | None:
        """Tell what is to be told, in its order; seconds to wait when it has to be done again."""
        with self.open() as db:
            rows = db.execute(
                "SELECT key, reference, body FROM change WHERE told = 0 ORDER BY rowid"
            ).fetchall()
        for key, reference, body in rows:
            try:
                self.client.tell_change(reference, PivotChange(**json.loads(body)))
            except PivotError as error:
                if error.again is not None:
                    return error.again
                # It will never be taken as it is: a person has to look. It holds up nothing else.
                print(f"change {key} was refused: {error}", file=sys.stderr)
            with self.open() as db:
                db.execute("UPDATE change SET told = 1 WHERE key = ?", (key,))
        return None

    # --- mailbox ------------------------------------------------------------------------------

    def fetch(self) -> int:
        """Tell the results of what was fetched, and fetch what is next; how much came."""
        with self.open() as db:
            results = dict(db.execute("SELECT token, body FROM result LIMIT 100").fetchall())
        settled = tuple(_result(token, json.loads(body)) for token, body in results.items())
        answer = self.client.claim(PivotClaim(max=10, lease=120, settled=settled))
        with self.open() as db:
            db.executemany("DELETE FROM result WHERE token = ?", [(one,) for one in results])
        for item in answer.items:
            body = self._settled(item.event)
            with self.open() as db:
                row = (item.token, json.dumps(body))
                db.execute("INSERT OR REPLACE INTO result VALUES (?, ?)", row)
        return len(answer.items) + len(results)

    def _settled(self, message: PivotEvent | PivotErasure | Unknown) -> dict[str, Any]:
        try:
            taken = self.take(message)
        except Refused as error:
            return {"result": "refused", "problems": [str(error)[:500]]}
        except Later:
            return {"result": "later", "after": 60}
        return {"result": "done", "reference": taken.number, "erasure": taken.erasure}


def _known(db: sqlite3.Connection, message_id: str) -> Taken | None:
    row = db.execute("SELECT number, receipt FROM message WHERE id = ?", (message_id,)).fetchone()
    return None if row is None else Taken(*row)


def _result(token: str, body: Mapping[str, Any]) -> ClaimResultTold:
    erasure = body.get("erasure")
    return ClaimResultTold(
        token=token,
        result=body["result"],
        reference=body.get("reference"),
        problems=tuple(body.get("problems", ())),
        after=body.get("after"),
        erasure=None if erasure is None else ErasureReceipt(outcome=erasure),
    )


# --- push -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """An answer to the gateway. A refusal's `retry` says whether to send it again."""

    status: int
    body: Mapping[str, Any] | None = None


def answer_to(
    desk: Desk, secrets: list[str], headers: Mapping[str, str], body: bytes | None
) -> Answer:
    """Return the answer to a call; `body` is None for a ping."""
    try:
        message_id = prove(secrets, headers, body or b"")
    except Unproven as error:
        return Answer(401, {"detail": str(error)})
    if body is None:
        return Answer(200)
    try:
        message = read_message(_object(body))
        if message.id != message_id:
            raise Refused("`id` is not the one that is signed")
        taken = desk.take(message)
    except (Refused, Unreadable) as error:
        return Answer(422, {"detail": str(error), "retry": "never"})
    except Later as error:
        return Answer(503, {"detail": str(error), "retry": "after"})
    return Answer(200, Acknowledgement(reference=taken.number, erasure=taken.receipt).written())


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("the body is no JSON object")
    return found


def serve(desk: Desk, secrets: list[str], listen: str) -> None:
    """Listen until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            told = self.headers.get("Content-Length", "")
            length = int(told) if told.isascii() and told.isdigit() and len(told) < 10 else -1
            if not 0 <= length <= LARGEST:
                self.close_connection = True
                self._send(Answer(413 if length > 0 else 411))
                return
            self._answer(self.rfile.read(length))

        def _answer(self, body: bytes | None) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer = answer_to(desk, secrets, headers, body)
            except sqlite3.Error as error:
                print(f"memory: {type(error).__name__}", file=sys.stderr)
                answer = Answer(503)
            self._send(answer)

        def _send(self, answer: Answer) -> None:
            body = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            if body:
                self.send_header("Content-Type", "application/json")
            if answer.status == 503:
                self.send_header("Retry-After", "5")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Write nothing: addresses and bodies are of citizens."""

    host, _, port = listen.rpartition(":")
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


# --- the program ----------------------------------------------------------------------------------


def desk_of(environ: Mapping[str, str]) -> Desk:
    """Return the desk that the environment sets up. Raises KeyError for what is missing."""
    base, name = environ["PIVOT_BASE_URL"], environ["PIVOT_CLIENT_ID"]
    client = PivotClient(base, name, environ["PIVOT_CLIENT_SECRET"])
    desk = Desk(
        memory=environ.get("PIVOT_MEMORY", "half_connector.db"),
        commune=environ["PIVOT_COMMUNE"],
        environment=environ.get("PIVOT_ENVIRONMENT", "test"),
        teleservices=frozenset(environ.get("PIVOT_TELESERVICES", "").split()),
        client=client,
    )
    db = sqlite3.connect(desk.memory)
    db.executescript(f"PRAGMA journal_mode = WAL; {TABLES}")
    db.close()
    return desk


def work(desk: Desk, pause: float, *, mailbox: bool) -> None:
    """Fetch, and tell changes, until the end."""
    changes_at = 0.0
    while True:
        came, wait = 0, pause
        try:
            came = desk.fetch() if mailbox else 0
            if time.monotonic() >= changes_at:
                changes_at = time.monotonic() + (desk.tell_changes() or 0.0)
        except PivotError as error:
            print(f"the gateway: {error}", file=sys.stderr)
            wait = 30.0 if error.again is None else max(error.again, pause)
        except Unreadable as error:
            print(f"the gateway: {error}", file=sys.stderr)
            wait = 30.0
        if not came:
            time.sleep(wait)


def main(mode: str, environ: Mapping[str, str]) -> None:
    """Run in one of the two modes."""
    desk, pause = desk_of(environ), float(environ.get("PIVOT_PAUSE", "5"))
    if mode == "mailbox":
        work(desk, pause, mailbox=True)
        return
    # A client of its own: each thread has one.
    told = {"mailbox": False}
    threading.Thread(target=work, args=(desk_of(environ), pause), kwargs=told, daemon=True).start()
    secrets = environ["PIVOT_SIGNING_SECRETS"].split()
    serve(desk, secrets, environ.get("PIVOT_LISTEN", "127.0.0.1:8090"))


if __name__ == "__main__":
    if sys.argv[1:] not in (["push"], ["mailbox"]):
        sys.exit("usage: half_connector.py push|mailbox")
    try:
        main(sys.argv[1], os.environ)
    except KeyError as missing:
        sys.exit(f"this setting is missing: {missing.args[0]}")
