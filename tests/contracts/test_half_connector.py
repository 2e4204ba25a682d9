"""A right half-connector passes each check, and each seeded bug is caught by the check for it."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import html
import http.client
import io
import json
import sqlite3
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from examples.half_connector import TABLES, Answer, Desk, Later, Refused, Taken, answer_to
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from toodego_pivot import PivotClient, PivotError, Problem, Unknown, Unreachable, Unreadable
from toodego_pivot.models import (
    ClaimResultTold,
    PivotChange,
    PivotClaim,
    PivotErasure,
    PivotEvent,
    PivotFile,
)

from gateway.contracts.half_connector import fetching, pushing, reached
from gateway.contracts.half_connector.checks import CHECKS, HalfReport, HalfResult, HalfState
from gateway.contracts.half_connector.report import (
    ReportedHalf,
    half_html,
    half_json,
    half_junit,
)
from gateway.contracts.half_connector.running import HalfSetting, run_half_connector
from gateway.sdk.webhook_signature import ID, SIGNATURE, TIMESTAMP, is_signed, signed_headers
from gateway.sim.server import run_server

NEW, OLD = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
CLIENT = "secret-de-client-invente-pour-l-essai"
Answering = Callable[[Desk, Mapping[str, str], bytes | None], Answer | Response]


def right(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    return answer_to(desk, [NEW, OLD], headers, body)


@dataclasses.dataclass
class Half:
    """The example of the Python client, in one process with the run; a bug replaces a part."""

    folder: Path
    desk_class: type[Desk] = Desk
    answering: Answering = right
    client_class: type[PivotClient] = PivotClient
    pause: float = 0.03

    def desk(self, base_url: str) -> Desk:
        memory = str(self.folder / "memory")
        db = sqlite3.connect(memory)
        db.executescript(f"PRAGMA journal_mode = WAL; {TABLES}")
        db.close()
        client = self.client_class(base_url, "69029.main", CLIENT)
        known = frozenset({"signalement-anomalie"})
        return self.desk_class(memory, "69029", "test", known, client)

    @asynccontextmanager
    async def working(
        self, base_url: str, begun: asyncio.Event, *, mailbox: bool
    ) -> AsyncIterator[None]:
        """Its worker, from the event on until the block ends."""
        desk = self.desk(base_url)

        async def work() -> None:
            at = 0.0
            loop = asyncio.get_running_loop()
            await begun.wait()
            while True:
                came = 0
                with suppress(Unreadable):
                    try:
                        came = await asyncio.to_thread(desk.fetch) if mailbox else 0
                        if loop.time() >= at:
                            again = await asyncio.to_thread(desk.tell_changes)
                            at = loop.time() + min(again or 0.0, 1.1)
                    except PivotError as error:
                        await asyncio.sleep(min(error.again or 0.0, 1.0))
                if not came:
                    await asyncio.sleep(self.pause)

        task = asyncio.create_task(work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def app(self, base_url: str) -> Starlette:
        desk = self.desk(base_url)

        async def answer(request: Request) -> Response:
            body = None if request.method == "GET" else await request.body()
            try:
                found = await asyncio.to_thread(self.answering, desk, request.headers, body)
            except UnicodeError:
                return Response(status_code=500)
            if isinstance(found, Response):
                return found
            if found.body is None:
                return Response(status_code=found.status)
            return Response(json.dumps(found.body), found.status, media_type="application/json")

        return Starlette(routes=[Route("/", answer, methods=["GET", "POST"])])


def free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def proven(
    half: Half, *, mailbox: bool = False, only: Collection[str] = CHECKS.keys(), wait: float = 1.0
) -> HalfReport:
    port = free_port()
    ours = f"http://127.0.0.1:{port}"
    setting = HalfSetting(
        url=None,
        commune="69029",
        teleservice="signalement-anomalie",
        secrets=[NEW, OLD],
        client_secret=CLIENT,
        listen=("127.0.0.1", port),
        wait=wait,
    )
    begun = asyncio.Event()

    def begin(url: str) -> None:
        begun.set()

    if mailbox:
        async with half.working(ours, begun, mailbox=True):
            return await run_half_connector(setting, listening=begin, only=only)
    async with run_server(half.app(ours)) as at, half.working(ours, begun, mailbox=False):
        pushed = dataclasses.replace(setting, url=f"{at.url}/")
        return await run_half_connector(pushed, listening=begin, only=only)


class Thorough(Desk):
    """Looks at a file before it reads it, and keeps for a while what it has fetched."""

    def _file(self, file: PivotFile, folder: Path) -> bytes:
        if file.url:
            with urllib.request.urlopen(urllib.request.Request(file.url, method="HEAD")) as answer:
                assert int(answer.headers["Content-Length"]) == file.size
        return super()._file(file, folder)

    def fetch(self) -> int:
        self.keep()
        return super().fetch()

    def keep(self) -> None:
        with self.open() as db:
            tokens = [one for (one,) in db.execute("SELECT token FROM result LIMIT 100")]
        if not tokens:
            return
        kept = tuple(ClaimResultTold(token=one, result="extend") for one in tokens)
        answer = self.client.claim(PivotClaim(max=0, lease=120, settled=kept))
        lost = [(one.token,) for one in answer.settled if one.outcome == "lost"]
        with self.open() as db:
            db.executemany("DELETE FROM result WHERE token = ?", lost)


async def test_a_right_half_connector_passes_every_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "BUSY", 100.0)  # it looks often, so that the test is short
    folders = [tmp_path / name for name in ("push", "mailbox")]
    for folder in folders:
        folder.mkdir()
    runs = (proven(Half(f, Thorough), mailbox=f.name == "mailbox", wait=20.0) for f in folders)
    for report in await asyncio.gather(*runs):
        odd = [(r.check.name, str(r.said)) for r in report.results if not is_passed(r)]
        assert odd == []
        assert report.passed
        told = ReportedHalf(report, "Une agente")
        page = half_html(told)
        assert "Demi-connecteur conforme" in page
        assert "Pour la commune" in page
        assert half_json(told, "fr")["ok"] is True
        assert 'failures="0"' in half_junit(told)


def is_passed(result: HalfResult) -> bool:
    return result.state is HalfState.PASSED


# --- bugs -----------------------------------------------------------------------------------------


def resigned(headers: Mapping[str, str], body: bytes | None) -> dict[str, str]:
    """The headers as if they proved the message."""
    now = datetime.now(UTC)
    return {**headers, **signed_headers([NEW], headers.get(ID, ""), now, body or b"")}


def any_signature(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    return right(desk, resigned(headers, body), body)


def no_clock(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    then = datetime.fromtimestamp(int(headers[TIMESTAMP]), UTC)
    good = is_signed([NEW, OLD], headers, body or b"", then)
    return right(desk, resigned(headers, body) if good else headers, body)


def first_signature(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    return right(desk, {**headers, SIGNATURE: headers[SIGNATURE].split()[0]}, body)


def new_secret_alone(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    return answer_to(desk, [NEW], headers, body)


def no_header_needed(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    if SIGNATURE in headers or body is None:
        return right(desk, headers, body)
    named = {**headers, ID: json.loads(body)["id"]}
    return right(desk, resigned(named, body), body)


def forbidden(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    answer = right(desk, headers, body)
    return Answer(400) if answer.status == 401 else answer


def a_page(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer | Response:
    answer = right(desk, headers, body)
    return Response("<html>Merci</html>") if answer.status == 200 else answer


def redirects(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Response:
    return RedirectResponse("/ailleurs")


def too_large(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    answer = right(desk, headers, body)
    return Answer(answer.status, {**(answer.body or {}), "log": "x" * 300_000})


def as_html_type(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer | Response:
    answer = right(desk, headers, body)
    return Response(json.dumps(answer.body), answer.status, media_type="text/html")


def chatty(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    answer = right(desk, headers, body)
    return Answer(answer.status, {**(answer.body or {}), "log": "x" * 30_000})


def slow(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    time.sleep(0.1)
    return right(desk, headers, body)


def ping_is_unknown(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    return Answer(405) if body is None else right(desk, headers, body)


def signs_the_body_alone(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    """Takes id and time as they come: here, any that some signature of ours once went with."""
    for shift in (0, -600, 600):
        now = int(datetime.now(UTC).timestamp()) + shift
        for stamp in range(now - 3, now + 4):
            for name in (headers.get(ID, ""), headers.get(ID, "").removesuffix("-autre")):
                at = datetime.fromtimestamp(stamp, UTC)
                said = signed_headers([NEW], name, at, body or b"")[SIGNATURE]
                if said in headers.get(SIGNATURE, ""):
                    return right(desk, resigned(headers, body), body)
    return right(desk, headers, body)


def receipt_once(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    answer = right(desk, headers, body)
    told = dict(answer.body or {})
    if "erasure" in told and desk.__dict__.get("given"):
        del told["erasure"]
    desk.__dict__["given"] = "erasure" in told
    return Answer(answer.status, told)


def kept(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    answer = right(desk, headers, body)
    if "erasure" not in (answer.body or {}):
        return answer
    return Answer(answer.status, {"erasure": {"outcome": "kept"}})


def nothing_but_creations(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    odd = b'"request.cancelled"' in (body or b"")
    return Answer(500) if odd else right(desk, headers, body)


def strict(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    return Answer(422) if b"added_in_1_9" in (body or b"") else right(desk, headers, body)


def crashes_on(*words: str) -> Answering:
    """Crashes on one sort of text."""

    def answer(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
        odd = any(word.encode() in (body or b"") for word in words)
        return Answer(500) if odd else right(desk, headers, body)

    answer.__name__ = f"crashes on {words[0][:12]}"
    return answer


def latin_1(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    (body or b"").decode().encode("latin-1")
    return right(desk, headers, body)


def not_found_for_teleservice(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    answer = right(desk, headers, body)
    return Answer(404) if answer.status == 422 else answer


def ticket_each_message(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    answer = right(desk, headers, body)
    if not answer.body or "reference" not in answer.body:
        return answer
    number = json.loads(body or b"{}")["id"]
    return Answer(answer.status, {**answer.body, "reference": f"T-{number}"})


def forgetful(desk: Desk, message: Any) -> Taken:
    """Take a message as if neither it nor its ticket had been there."""
    with desk.open() as db:
        db.execute("DELETE FROM message WHERE id = ?", (message.id,))
        reference = getattr(getattr(message, "request", None), "reference", "")
        db.execute("UPDATE ticket SET reference = number WHERE reference = ?", (reference,))
    return Desk.take(desk, message)


class Twice(Desk):
    """Makes a ticket each time."""

    def take(self, message: Any) -> Taken:
        return forgetful(self, message)


class LastAlone(Desk):
    """Remembers the last message of each request alone."""

    def take(self, message: Any) -> Taken:
        with self.open() as db:
            of = getattr(getattr(message, "request", None), "reference", "")
            ids = "SELECT id FROM message WHERE reference = ? ORDER BY rowid DESC LIMIT 1"
            last = db.execute(ids, (of,)).fetchone()
        known = last is None or last[0] == message.id or message.type != "request.created"
        return super().take(message) if known else forgetful(self, message)


class Races(Desk):
    """Looks, waits for another that looks, and writes: two at the same moment both find nothing."""

    #: One that comes alone goes on after these seconds.
    both = Barrier(2, timeout=3)

    def take(self, message: Any) -> Taken:
        with self.open() as db:
            known = db.execute("SELECT 1 FROM message WHERE id = ?", (message.id,)).fetchone()
        if known:
            return super().take(message)
        with suppress(BrokenBarrierError):
            self.both.wait()
        self.both.reset()
        return forgetful(self, message)


class NoFilesWithin(Desk):
    def _file(self, file: PivotFile, folder: Path) -> bytes:
        if file.content:
            raise Refused("links alone")
        return super()._file(file, folder)


class RefusesUnknown(Desk):
    def take(self, message: Any) -> Taken:
        if isinstance(message, Unknown):
            raise Refused("an unknown type")
        return super().take(message)


class TakesAll(Desk):
    """Takes what is meant for others."""

    def take(self, message: Any) -> Taken:
        if isinstance(message, PivotEvent | PivotErasure):
            ours = dataclasses.replace(message.recipient, commune="69029", environment="test")
            message = dataclasses.replace(message, recipient=ours)
        return super().take(message)


class OpensEarly(Desk):
    """Opens a ticket for a message whose request is not there, and another for the request."""

    def take(self, message: Any) -> Taken:
        try:
            return super().take(message)
        except Later:
            return Taken("T-0")


class NoErasureOfNothing(Desk):
    def _erase(self, message: PivotErasure) -> Taken:
        taken = super()._erase(message)
        if taken.erasure == "absent":
            raise Refused("not here")
        return taken


class ForgetsErasures(Desk):
    """Is asked again, and finds nobody; what it takes then is a new ticket."""

    def _erase(self, message: PivotErasure) -> Taken:
        taken = super()._erase(message)
        with self.open() as db:
            db.execute("DELETE FROM message WHERE reference = ?", (message.reference,))
            db.execute("UPDATE ticket SET reference = number WHERE erased = 1")
        return taken


class NoFiles(Desk):
    def _file(self, file: PivotFile, folder: Path) -> bytes:
        return b"" if file.url else super()._file(file, folder)


class NoChecksum(Desk):
    def _file(self, file: PivotFile, folder: Path) -> bytes:
        if file.url is None:
            return super()._file(file, folder)
        with urllib.request.urlopen(file.url) as answer:
            found: bytes = answer.read()
            return found


class HalfFiles(Desk):
    """Keeps as much as came."""

    def _file(self, file: PivotFile, folder: Path) -> bytes:
        into = io.BytesIO()
        with suppress(PivotError):
            self.client._read_on(file, into)  # noqa: SLF001
        return into.getvalue()


class AppendsAnew(Desk):
    """Takes whatever comes for the rest of the file."""

    def _file(self, file: PivotFile, folder: Path) -> bytes:
        if file.url is None:
            return super()._file(file, folder)
        found = b""
        for _ in range(2):
            request = urllib.request.Request(file.url, headers={"Range": f"bytes={len(found)}-"})
            with (
                suppress(OSError, http.client.HTTPException),
                urllib.request.urlopen(request) as answer,
            ):
                while piece := answer.read1(1000):
                    found += piece
        if hashlib.sha256(found).hexdigest() != file.sha256:
            raise Refused("another file")
        return found


class LooksAlone(Desk):
    """Takes the head of a file for the file."""

    def _file(self, file: PivotFile, folder: Path) -> bytes:
        if file.url is None:
            return super()._file(file, folder)
        with urllib.request.urlopen(urllib.request.Request(file.url, method="HEAD")) as answer:
            found: bytes = answer.read()
        return found


class TellsOfTheLost(Thorough):
    """Tells its result of what it could not keep, all the same."""

    def keep(self) -> None:
        with self.open() as db:
            rows = db.execute("SELECT token, body FROM result LIMIT 100").fetchall()
        super().keep()
        with self.open() as db:
            db.executemany("INSERT OR REPLACE INTO result VALUES (?, ?)", rows)


class AltersLink(Desk):
    def _file(self, file: PivotFile, folder: Path) -> bytes:
        url = (file.url or "").partition("?")[0] or None
        return super()._file(dataclasses.replace(file, url=url), folder) if url else b""


class TellsOnce(Desk):
    """Does not repeat what was not answered."""

    def tell_changes(self) -> float | None:
        again = super().tell_changes()
        with self.open() as db:
            db.execute("UPDATE change SET told = 1")
        return again


class NoPatience(Desk):
    def tell_changes(self) -> float | None:
        super().tell_changes()
        return None


class NewKeys(PivotClient):
    """Makes a key for each try."""

    tries = 0

    def tell_change(self, reference: str, body: PivotChange) -> Any:
        NewKeys.tries += 1
        fresh = dataclasses.replace(body, key=f"{body.key}-{NewKeys.tries}")
        return super().tell_change(reference, fresh)


class OwnNumber(PivotClient):
    """Names its own number where ours belongs."""

    def tell_change(self, reference: str, body: PivotChange) -> Any:
        return super().tell_change(body.key.rpartition("-")[0], body)


class NeverGivesUp(PivotClient):
    def tell_change(self, reference: str, body: PivotChange) -> Any:
        try:
            return super().tell_change(reference, body)
        except Problem as problem:
            problem.again = 0.0
            raise


class OneKey(PivotClient):
    """One key for all that it ever tells of a request."""

    def tell_change(self, reference: str, body: PivotChange) -> Any:
        for status in ("accepted", "in_progress"):
            told = super().tell_change(reference, PivotChange(key="K", status=status))
        return told


class BackInTime(PivotClient):
    def tell_change(self, reference: str, body: PivotChange) -> Any:
        for n, hour in enumerate(("12:00+00:00", "13:30+02:00")):
            at = datetime.fromisoformat(f"2026-11-20T{hour}")
            told = super().tell_change(reference, PivotChange(key=f"{body.key}{n}", at=at))
        return told


class AcceptsAfterwards(PivotClient):
    def tell_change(self, reference: str, body: PivotChange) -> Any:
        for status in ("done", "accepted"):
            change = PivotChange(key=f"{body.key}-{status}", status=status)
            told = super().tell_change(reference, change)
        return told


class WrongSecret(PivotClient):
    def _bearer(self) -> str:
        self.client_secret = "un-autre-secret"
        return super()._bearer()


class OtherSecret(PivotClient):
    def _bearer(self) -> str:
        self.client_secret = getattr(self, "right", "un-autre-secret")
        try:
            return super()._bearer()
        except Problem:
            self.right = CLIENT
            raise


class OldToken(PivotClient):
    """Asks for a token once in its life."""

    def _bearer(self) -> str:
        if not getattr(self, "_first", ""):
            self._first = super()._bearer()
        return self._first


class GivesUpAt429(PivotClient):
    def tell_change(self, reference: str, body: PivotChange) -> Any:
        try:
            return super().tell_change(reference, body)
        except Problem as problem:
            if problem.status == 429:
                problem.again = None
            raise


class OddStatus(PivotClient):
    def tell_change(self, reference: str, body: PivotChange) -> Any:
        return super().tell_change(reference, dataclasses.replace(body, status="en_cours"))


class NeverSettles(Desk):
    def fetch(self) -> int:
        with self.open() as db:
            db.execute("DELETE FROM result")
        return super().fetch()


class ForgetsResults(Desk):
    """Drops its results before the call that tells them is answered."""

    def fetch(self) -> int:
        try:
            return super().fetch()
        except PivotError:
            with self.open() as db:
                db.execute("DELETE FROM result")
            raise


class ClaimsAgainAtOnce(Desk):
    """Does not wait after a 503."""

    def fetch(self) -> int:
        try:
            return super().fetch()
        except Problem:
            return 1


class TellsForEver(Desk):
    """Tells each result in every call."""

    def fetch(self) -> int:
        with self.open() as db:
            before = db.execute("SELECT token, body FROM result").fetchall()
        came = super().fetch()
        with self.open() as db:
            db.executemany("INSERT OR IGNORE INTO result VALUES (?, ?)", before)
        return came - len(before)


class ChangesItsMind(Desk):
    """Tells each result, and then another."""

    def fetch(self) -> int:
        with self.open() as db:
            before = db.execute("SELECT token FROM result").fetchall()
        came = super().fetch()
        other = json.dumps({"result": "refused", "problems": ["no"]})
        rows = [(token, other) for (token,) in before if token not in self.teleservices]
        self.teleservices = self.teleservices | {token for (token,) in before}
        with self.open() as db:
            db.executemany("INSERT OR IGNORE INTO result VALUES (?, ?)", rows)
        return came


class AbandonsFetched(Desk):
    """Ends when an answer breaks off, and fetches no more."""

    def fetch(self) -> int:
        if getattr(self, "ended", False):
            return 0
        try:
            return super().fetch()
        except Unreachable:
            self.ended = True
            raise


class NewNumberEachTime(Desk):
    """Numbers what it fetched by the token."""

    def fetch(self) -> int:
        came = super().fetch()
        with self.open() as db:
            for token, body in db.execute("SELECT token, body FROM result").fetchall():
                told = {**json.loads(body), "reference": f"T-{token}"}
                row = (json.dumps(told), token)
                db.execute("UPDATE result SET body = ? WHERE token = ?", row)
        return came


class ShortLease(PivotClient):
    def claim(self, body: Any) -> Any:
        return super().claim(dataclasses.replace(body, lease=5))


class RefusesInSilence(PivotClient):
    def claim(self, body: Any) -> Any:
        told: tuple[ClaimResultTold, ...] = body.settled
        bare = tuple(dataclasses.replace(one, problems=()) for one in told)
        return super().claim(dataclasses.replace(body, settled=bare))


#: The check that is meant for it, the word that it says, and the part that is replaced.
Bug = tuple[str, str, dict[str, Any]]
SLOW: list[Bug] = [("answer.time", "slow_answers", {"answering": slow})]
PUSH_BUGS: list[Bug] = [
    ("proof.forged", "not_401", {"answering": any_signature}),
    ("ping.forged", "not_401", {"answering": any_signature}),
    ("proof.changed", "not_401", {"answering": any_signature}),
    ("proof.unsigned", "unproven_taken", {"answering": no_header_needed}),
    ("proof.forged", "not_401", {"answering": forbidden}),
    ("proof.old", "out_of_time", {"answering": no_clock}),
    ("proof.future", "out_of_time", {"answering": no_clock}),
    ("proof.several", "signature_refused", {"answering": first_signature}),
    ("proof.rotation", "signature_refused", {"answering": new_secret_alone}),
    ("message.created", "unreadable_answer", {"answering": a_page}),
    ("message.created", "redirected", {"answering": redirects}),
    ("message.created", "large_answer", {"answering": too_large}),
    ("message.unknown_fields", "not_tolerated", {"answering": strict}),
    ("text.emoji", "not_taken", {"answering": latin_1}),
    ("message.teleservice", "not_refused", {"answering": not_found_for_teleservice}),
    ("message.amended", "two_numbers", {"answering": ticket_each_message}),
    ("message.repeated", "two_numbers", {"desk_class": Twice}),
    ("message.order", "two_numbers", {"desk_class": LastAlone}),
    ("message.unknown_type", "not_tolerated", {"desk_class": RefusesUnknown}),
    ("recipient.commune", "others_taken", {"desk_class": TakesAll}),
    ("recipient.environment", "others_taken", {"desk_class": TakesAll}),
    ("message.early", "early_ticket", {"desk_class": OpensEarly}),
    ("erase.unknown", "not_taken", {"desk_class": NoErasureOfNothing}),
    ("erase.then_created", "back_again", {"desk_class": ForgetsErasures}),
    ("file.link", "link_unread", {"desk_class": NoFiles}),
    ("file.inline", "not_taken", {"desk_class": NoFilesWithin}),
    ("ping.signed", "ping_refused", {"answering": ping_is_unknown}),
    ("proof.other_id", "not_401", {"answering": signs_the_body_alone}),
    ("proof.new_time", "not_401", {"answering": signs_the_body_alone}),
    ("answer.body", "not_json_type", {"answering": as_html_type}),
    ("answer.size", "large_answers", {"answering": chatty}),
    ("answer.direct", "redirected", {"answering": redirects}),
    ("message.kinds", "not_taken", {"answering": nothing_but_creations}),
    ("message.at_once", "two_numbers", {"desk_class": Races}),
    ("text.direction", "not_taken", {"answering": crashes_on("שלום")}),
    ("text.long", "not_taken", {"answering": crashes_on("un usager. Un texte")}),
    ("text.control", "not_taken", {"answering": crashes_on("DROP TABLE")}),
    ("text.nul", "crashes", {"answering": crashes_on("\\u0000")}),
    ("erase.done", "kept_without_ground", {"answering": kept}),
    ("erase.again", "other_receipt", {"answering": receipt_once}),
    ("file.link", "not_taken", {"desk_class": AltersLink}),
    ("file.checksum", "other_kept", {"desk_class": NoChecksum}),
    ("file.broken", "half_kept", {"desk_class": HalfFiles}),
    ("file.anew", "anew_refused", {"desk_class": AppendsAnew}),
    ("file.looked_at", "head_unread", {"desk_class": LooksAlone}),
]
BACK_BUGS: list[Bug] = [
    ("back.unavailable", "not_told_again", {"desk_class": TellsOnce}),
    ("back.unavailable", "not_told_again", {"client_class": NewKeys}),
    ("back.unavailable", "no_patience", {"desk_class": NoPatience}),
    ("back.request", "told_unknown_request", {"client_class": OwnNumber}),
    ("back.refused", "told_for_ever", {"client_class": NeverGivesUp}),
    ("back.token", "token_not_renewed", {"client_class": OldToken}),
    ("back.told", "odd_body", {"client_class": OddStatus}),
    ("back.unsaid", "not_told_again", {"client_class": NewKeys}),
    ("back.too_many", "not_told_again", {"client_class": GivesUpAt429}),
    ("back.key", "other_content", {"client_class": OneKey}),
    ("back.order", "back_in_time", {"client_class": BackInTime}),
    ("back.order", "accepted_after_end", {"client_class": AcceptsAfterwards}),
]
MAILBOX_BUGS: list[Bug] = [
    ("message.created", "not_settled", {"desk_class": NeverSettles}),
    ("message.repeated", "two_numbers", {"desk_class": Twice}),
    ("message.unknown_type", "not_tolerated", {"desk_class": RefusesUnknown}),
    ("message.teleservice", "not_settled", {"client_class": RefusesInSilence}),
    ("claim.result_unheard", "not_settled", {"desk_class": ForgetsResults}),
    ("claim.token", "token_not_renewed", {"client_class": OldToken}),
    ("claim.body", "odd_body", {"client_class": ShortLease}),
    ("claim.pace", "no_pause", {"pause": 0.0}),
    ("claim.answer_unsaid", "not_settled", {"desk_class": AbandonsFetched}),
    ("claim.lost", "two_numbers", {"desk_class": NewNumberEachTime}),
    ("claim.extend", "extend_lost", {"desk_class": TellsOfTheLost}),
    ("claim.unavailable", "no_patience", {"desk_class": ClaimsAgainAtOnce}),
    ("claim.secret", "bad_secret", {"client_class": OtherSecret}),
    ("claim.settles_each", "two_results", {"desk_class": ChangesItsMind}),
    ("claim.results_end", "told_for_ever", {"desk_class": TellsForEver}),
]


#: Checks of the mailbox that look at the whole run: it lasts a while.
LAST = {"claim.secret", "claim.settles_each", "claim.results_end"}


async def caught(bugs: list[Bug], folder: Path, *more: str, mailbox: bool, wait: float) -> None:
    """Run each bug against the check that is meant for it, some at the same time."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(40))
    turns = asyncio.Semaphore(10)

    async def run(n: int, check: str, word: str, bug: dict[str, Any]) -> str | None:
        others = {"claim.pace"} if check in LAST else set()
        only = {check, "message.created", *more, *others}
        seen = None
        for patience in (wait, 5 * wait, 20 * wait):  # the longer ones: on a machine that is busy
            place = folder / f"{n}-{patience}"
            place.mkdir()
            async with turns:
                report = await proven(Half(place, **bug), mailbox=mailbox, only=only, wait=patience)
            (result,) = [one for one in report.results if one.check.name == check]
            seen = None if result.said is None else result.said.word
            if seen == word and result.state is HalfState.FAILED and not report.passed:
                assert result.said is not None
                assert result.said.remedy("fr"), "a failure says what to do"
                return None
        return f"{check}: {bug}: {seen} and not {word}"

    found = await asyncio.gather(*(run(n, *one) for n, one in enumerate(bugs)))
    assert [one for one in found if one is not None] == []


async def test_each_bug_where_it_is_pushed_to_is_caught(tmp_path: Path) -> None:
    await caught(PUSH_BUGS, tmp_path, mailbox=False, wait=1.0)


async def test_a_slow_answer_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pushing, "CALM", 0.05)
    await caught(SLOW, tmp_path, mailbox=False, wait=1.0)


async def test_each_bug_of_the_way_back_is_caught(tmp_path: Path) -> None:
    requests = (
        "message.kinds",
        "message.order",
        "message.repeated",
        "message.amended",
        "text.emoji",
    )
    await caught(BACK_BUGS, tmp_path, *requests, mailbox=False, wait=3.0)


async def test_each_bug_where_it_fetches_is_caught(tmp_path: Path) -> None:
    await caught(MAILBOX_BUGS, tmp_path, mailbox=True, wait=2.5)


def test_each_check_has_a_bug_that_fails_it() -> None:
    failed = {check for check, _, _ in [*PUSH_BUGS, *SLOW, *BACK_BUGS, *MAILBOX_BUGS]}
    assert CHECKS.keys() - failed == set()


async def test_where_nobody_answers_nothing_is_judged(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    report = await run_half_connector(HalfSetting(url, "69029", "x", [NEW], wait=0.1))
    assert not report.reached
    assert not report.passed
    assert {one.state for one in report.results} == {HalfState.NOT_SHOWN}
    assert "Rien n'a répondu" in html.unescape(half_html(ReportedHalf(report)))
    assert half_json(ReportedHalf(report), "fr")["silence"] == "silent_nobody"


@pytest.mark.parametrize(
    ("said", "silence"), [(b"HTTP/1.1 200 OK\r\nContent-Le", "cut"), (b"HTTP/1.1 200 OK", "slow")]
)
async def test_who_breaks_off_or_is_slow_is_told_from_nobody(
    monkeypatch: pytest.MonkeyPatch, said: bytes, silence: str
) -> None:
    monkeypatch.setattr(reached, "ANSWER_TIME", 0.3)
    over = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(said)
        await writer.drain()
        if silence == "slow":
            await over.wait()
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    report = await run_half_connector(HalfSetting(url, "69029", "x", [NEW], wait=0.1))
    over.set()
    server.close()
    assert (report.reached, half_json(ReportedHalf(report), "fr")["silence"]) == (
        False,
        f"silent_{silence}",
    )
    page = half_html(ReportedHalf(report))
    assert "Rien n'a répondu" not in html.unescape(page)
    assert "Quelqu'un est là" in html.unescape(page)


async def test_a_wrong_secret_is_told_from_silence(tmp_path: Path) -> None:
    half = Half(tmp_path, client_class=WrongSecret)
    report = await proven(half, mailbox=True, only={"claim.pace"}, wait=0.5)
    assert half_json(ReportedHalf(report), "en")["silence"] == "silent_secret"


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("urn:toodego-gru:pivot:unknown_teleservice", "HTTP 422 (unknown_teleservice)"),
        ("https://exemple.invalid/problemes#doublon", "HTTP 422 (doublon)"),
        ("about:blank", "HTTP 422"),
        ("Zoé <b>", "HTTP 422"),
        (["x"], "HTTP 422"),
    ],
)
def test_a_refusal_is_shown_with_the_word_of_its_problem(kind: object, shown: str) -> None:
    seen = reached.SeenAnswer(422, 0.1, 10, "application/problem+json")
    told = reached._read(seen, json.dumps({"type": kind}).encode())  # noqa: SLF001
    assert (told.told, told.shown) == ("refused", shown)


def test_each_check_says_what_it_proves_in_both_languages() -> None:
    for check in CHECKS.values():
        assert check.promise.what("en") != check.promise.what("fr")
        assert check.section
