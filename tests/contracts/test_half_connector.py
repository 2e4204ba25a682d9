"""A right half-connector passes each check, and each seeded bug is caught by the check for it."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import io
import json
import sqlite3
import urllib.request
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from examples.half_connector import TABLES, Answer, Desk, Later, Refused, Taken, answer_to
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from toodego_pivot import PivotClient, PivotError, Problem, Unknown, Unreadable
from toodego_pivot.models import (
    ClaimResultTold,
    PivotChange,
    PivotErasure,
    PivotEvent,
    PivotFile,
)

from gateway.contracts.half_connector.checks import CHECKS, HalfReport, HalfState
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
    async def working(self, base_url: str, *, mailbox: bool) -> AsyncIterator[None]:
        """Its worker, until the block ends."""
        desk = self.desk(base_url)

        async def work() -> None:
            at = 0.0
            loop = asyncio.get_running_loop()
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
    if mailbox:
        async with half.working(ours, mailbox=True):
            return await run_half_connector(setting, only=only)
    async with run_server(half.app(ours)) as at, half.working(ours, mailbox=False):
        pushed = dataclasses.replace(setting, url=f"{at.url}/")
        return await run_half_connector(pushed, only=only)


@pytest.mark.parametrize("mailbox", [False, True], ids=["push", "mailbox"])
async def test_a_right_half_connector_passes_every_check(tmp_path: Path, mailbox: bool) -> None:
    report = await proven(Half(tmp_path, pause=0.4), mailbox=mailbox, wait=8.0)
    odd = [(r.check.name, str(r.said)) for r in report.results if r.state is not HalfState.PASSED]
    assert odd == []
    assert report.passed
    told = ReportedHalf(report, "Une agente")
    page = half_html(told)
    assert "Demi-connecteur conforme" in page
    assert "Pour la commune" in page
    assert half_json(told, "fr")["ok"] is True
    assert 'failures="0"' in half_junit(told)


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


def strict(desk: Desk, headers: Mapping[str, str], body: bytes | None) -> Answer:
    return Answer(422) if b"added_in_1_9" in (body or b"") else right(desk, headers, body)


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


class Twice(Desk):
    """Makes a ticket each time."""

    def take(self, message: Any) -> Taken:
        with self.open() as db:
            db.execute("DELETE FROM message WHERE id = ?", (message.id,))
            reference = getattr(getattr(message, "request", None), "reference", "")
            db.execute("UPDATE ticket SET reference = number WHERE reference = ?", (reference,))
        return super().take(message)


class LastAlone(Twice):
    """Remembers the last message of each request alone."""

    def take(self, message: Any) -> Taken:
        with self.open() as db:
            of = getattr(getattr(message, "request", None), "reference", "")
            ids = "SELECT id FROM message WHERE reference = ? ORDER BY rowid DESC LIMIT 1"
            last = db.execute(ids, (of,)).fetchone()
        known = last is None or last[0] == message.id or message.type != "request.created"
        return Desk.take(self, message) if known else super().take(message)


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


class OldToken(PivotClient):
    """Asks for a token once in its life."""

    def _bearer(self) -> str:
        if not getattr(self, "_first", ""):
            self._first = super()._bearer()
        return self._first


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


class ShortLease(PivotClient):
    def claim(self, body: Any) -> Any:
        return super().claim(dataclasses.replace(body, lease=5))


class RefusesInSilence(PivotClient):
    def claim(self, body: Any) -> Any:
        told: tuple[ClaimResultTold, ...] = body.settled
        bare = tuple(dataclasses.replace(one, problems=()) for one in told)
        return super().claim(dataclasses.replace(body, settled=bare))


PUSH_BUGS: list[tuple[str, str, dict[str, Any]]] = [
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
    ("file.link", "not_taken", {"desk_class": AltersLink}),
    ("file.checksum", "other_kept", {"desk_class": NoChecksum}),
    ("file.broken", "half_kept", {"desk_class": HalfFiles}),
]
BACK_BUGS: list[tuple[str, str, dict[str, Any]]] = [
    ("back.unavailable", "not_told_again", {"desk_class": TellsOnce}),
    ("back.unavailable", "not_told_again", {"client_class": NewKeys}),
    ("back.unavailable", "no_patience", {"desk_class": NoPatience}),
    ("back.request", "told_unknown_request", {"client_class": OwnNumber}),
    ("back.refused", "told_for_ever", {"client_class": NeverGivesUp}),
    ("back.token", "token_not_renewed", {"client_class": OldToken}),
    ("back.told", "odd_body", {"client_class": OddStatus}),
]
MAILBOX_BUGS: list[tuple[str, str, dict[str, Any]]] = [
    ("message.created", "not_settled", {"desk_class": NeverSettles}),
    ("message.repeated", "two_numbers", {"desk_class": Twice}),
    ("message.unknown_type", "not_tolerated", {"desk_class": RefusesUnknown}),
    ("message.teleservice", "no_problems", {"client_class": RefusesInSilence}),
    ("claim.result_unheard", "not_settled", {"desk_class": ForgetsResults}),
    ("claim.token", "token_not_renewed", {"client_class": OldToken}),
    ("claim.body", "odd_body", {"client_class": ShortLease}),
    ("claim.pace", "no_pause", {"pause": 0.0}),
]


def named(bugs: list[tuple[str, str, dict[str, Any]]]) -> list[Any]:
    def name(given: dict[str, Any]) -> str:
        (bug,) = given.values()
        return str(getattr(bug, "__name__", bug))

    return [pytest.param(*one, id=f"{name(one[2])} {one[0]}") for one in bugs]


def caught(report: HalfReport, check: str, word: str) -> None:
    (result,) = [one for one in report.results if one.check.name == check]
    assert result.state is HalfState.FAILED, (str(result.said), result.state)
    assert result.said is not None
    assert result.said.word == word
    assert result.said.remedy("fr"), "a failure says what to do"
    assert not report.passed


@pytest.mark.parametrize(("check", "word", "bug"), named(PUSH_BUGS))
async def test_a_bug_where_it_is_pushed_to_is_caught(
    tmp_path: Path, check: str, word: str, bug: dict[str, Any]
) -> None:
    caught(await proven(Half(tmp_path, **bug), only={check}), check, word)


@pytest.mark.parametrize(("check", "word", "bug"), named(BACK_BUGS))
async def test_a_bug_of_the_way_back_is_caught(
    tmp_path: Path, check: str, word: str, bug: dict[str, Any]
) -> None:
    only = {check, "message.kinds", "message.order", "message.repeated", "message.amended"}
    caught(await proven(Half(tmp_path, **bug), only=only, wait=2.5), check, word)


@pytest.mark.parametrize(("check", "word", "bug"), named(MAILBOX_BUGS))
async def test_a_bug_where_it_fetches_is_caught(
    tmp_path: Path, check: str, word: str, bug: dict[str, Any]
) -> None:
    half = Half(tmp_path, **bug)
    only = {check, "message.created"}
    caught(await proven(half, mailbox=True, only=only, wait=2.0), check, word)


async def test_where_nobody_answers_nothing_is_judged(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/"
    report = await run_half_connector(HalfSetting(url, "69029", "x", [NEW], wait=0.1))
    assert not report.reached
    assert not report.passed
    assert {one.state for one in report.results} == {HalfState.NOT_SHOWN}
    assert "Rien n'a répondu" in half_html(ReportedHalf(report))


def test_each_check_says_what_it_proves_in_both_languages() -> None:
    for check in CHECKS.values():
        assert check.promise.what("en") != check.promise.what("fr")
        assert check.section
