"""Requests as folders on an SFTP server: whole or not at all, once; returns read once."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import ValidationError

from adapters.sftp import SftpOptions
from adapters.sftp.formats import UnfitText, flat_fields, read_returns, written_file
from gateway.sdk import (
    Absent,
    Accepted,
    Amendment,
    CannotTell,
    EventKind,
    Filing,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    Submission,
    TryLater,
    Unreadable,
    Unsure,
)
from gateway.sdk.under_test import NOW, REFERENCE, file
from gateway.wire.departures import departures
from gateway.wire.network import Network
from tests.adapters.mail_servers import listening
from tests.adapters.sftp_servers import adapter_of, depot, options, private, public

PAYLOAD = {"objet": "Nid de poule", "lieu": {"lat": 45.7}}
SUBMISSION = Submission(REFERENCE, PAYLOAD, [file(b"\x89PNG" * 9000, filename="chez Zoé.PNG")])
WHOLE = {
    f"demandes/{REFERENCE}/{name}" for name in ("1-photo.png", "demande.json", "manifest.json")
}
AMENDMENT = Amendment(REFERENCE, REFERENCE, "evt-1", EventKind.MESSAGE, {}, "Toujours là")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("demandes", "retours"):
        (tmp_path / name).mkdir()
    return tmp_path


async def test_a_request_is_a_folder_whose_manifest_is_true(folder: Path) -> None:
    async with depot(folder) as (there, port):
        outcome = await adapter_of(port).submit(SUBMISSION)
        assert outcome == Accepted(REFERENCE, proof={"folder": REFERENCE})
        made = there.made()
    assert made.keys() == WHOLE
    manifest = json.loads(made[f"demandes/{REFERENCE}/manifest.json"])
    assert manifest["reference"] == REFERENCE
    for one in manifest["files"]:
        content = made[f"demandes/{REFERENCE}/{one['file']}"]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (one["size"], one["sha256"])
    opened = [path.rpartition("/")[2] for what, path in there.done if what == "open"]
    assert opened[-3:] == ["1-photo.png", "demande.json", "manifest.json"], "the manifest is last"
    assert all(".part/" in path for what, path in there.done if path.endswith(".png"))
    assert "Zoé" not in "".join(made), "a citizen's word is in no name"


async def test_the_same_is_the_same_and_another_is_refused(folder: Path) -> None:
    async with depot(folder) as (there, port):
        adapter = adapter_of(port)
        assert await adapter.find(REFERENCE) == Absent()
        for _ in range(2):
            assert isinstance(await adapter.submit(SUBMISSION), Accepted)
        before = there.made()
        other = await adapter.submit(Submission(REFERENCE, {"objet": "autre"}))
        assert isinstance(other, Refused)
        assert other.reason == "other_bytes"
        assert there.made() == before
        assert await adapter.find(REFERENCE) == Found(REFERENCE)
        assert await adapter.find_amend(AMENDMENT) == Absent()
        assert isinstance(await adapter.amend(AMENDMENT), Accepted)
        assert await adapter.find_amend(AMENDMENT) == Found()
    said = json.loads((folder / f"demandes/{REFERENCE}-evt-1/demande.json").read_text())
    assert (said["message"], said["nature"], said["evenement"]) == (
        "Toujours là",
        "message",
        "evt-1",
    )


async def test_the_manifest_says_when_it_was_filed_and_who_is_in_charge(folder: Path) -> None:
    filing = Filing("toodego", "inscription-scolaire", "12-7", NOW, NOW, 1)
    filed = replace(SUBMISSION, filing=filing)
    async with depot(folder) as (there, port):
        assert isinstance(await adapter_of(port).submit(filed), Accepted)
        before = there.made()
        assert json.loads(before[f"demandes/{REFERENCE}/manifest.json"])["filing"]["service"] == {
            "name": "Relations usagers"
        }
        named = adapter_of(port, service={"name": "Voirie de Bron"})
        assert isinstance(await named.submit(filed), Accepted), "the same files, now as then"
        assert there.made() == before
        assert isinstance(await named.amend(replace(AMENDMENT, filing=filing)), Accepted)
    read = json.loads((folder / f"demandes/{REFERENCE}-evt-1/manifest.json").read_text())
    assert read["filing"] == {
        "teleservice": "inscription-scolaire",
        "number": "12-7",
        "filed_at": "2026-03-16T09:30:00+00:00",
        "received_at": "2026-03-16T09:30:00+00:00",
        "service": {"name": "Voirie de Bron"},
    }


async def test_people_are_asked_to_erase_by_a_folder_that_names_nobody(folder: Path) -> None:
    async with depot(folder) as (_, port):
        for _ in range(2):
            assert isinstance(await adapter_of(port).ask_to_erase(REFERENCE, None), Accepted)
    (made,) = (folder / "demandes").iterdir()
    said = json.loads((made / "demande.json").read_text())
    assert said == {"reference": REFERENCE, "nature": "effacement", "fichiers": []}


async def test_what_the_commune_took_away_is_found_where_it_puts_it(folder: Path) -> None:
    async with depot(folder) as (_, port):
        moving = adapter_of(port, moved_to=["pris"], removed=True)
        assert isinstance(await moving.submit(SUBMISSION), Accepted)
        (folder / "demandes").rename(folder / "pris")
        (folder / "demandes").mkdir()
        assert await moving.find(REFERENCE) == Found(REFERENCE)
        assert isinstance(await moving.submit(SUBMISSION), Accepted)
        assert list((folder / "demandes").iterdir()) == []
        for gone in (
            moving.find("TDG-0THERZZZZZZZZZZZ"),
            adapter_of(port, removed=True).find(REFERENCE),
        ):
            finding = await gone
            assert isinstance(finding, CannotTell)
            assert finding.forever


Hook = Callable[[str, str, Callable[[], None]], None]


def breaking(what: str, ending: str, error: Exception | None = None) -> Hook:
    """The first such operation fails; without an error, the line is cut."""
    left = [1]

    def hook(name: str, path: str, cut: Callable[[], None]) -> None:
        if name == what and path.endswith(ending) and left:
            left.pop()
            if error is None:
                cut()
                raise asyncssh.SFTPConnectionLost("cut")
            raise error

    return hook


@pytest.mark.parametrize("ending", ["1-photo.png", "demande.json", "manifest.json"])
@pytest.mark.parametrize("error", [None, asyncssh.SFTPFailure("Failure")], ids=["cut", "disk full"])
async def test_until_it_is_renamed_nothing_was_taken(
    folder: Path, ending: str, error: Exception | None
) -> None:
    async with depot(folder, before=breaking("open", f".part/{ending}", error)) as (there, port):
        adapter = adapter_of(port)
        with departures() as left:
            assert isinstance(await adapter.submit(SUBMISSION), TryLater)
        assert not left.unsafe
        assert not WHOLE & there.made().keys()
        (folder / f"demandes/{REFERENCE}.part/rest.tmp").write_bytes(b"of a try before")
        assert isinstance(await adapter.submit(SUBMISSION), Accepted)
        assert there.made().keys() == WHOLE


async def test_a_lost_answer_to_the_renaming_is_asked_about(folder: Path) -> None:
    async with depot(folder, after=breaking("rename", REFERENCE)) as (there, port):
        adapter = adapter_of(port)
        with departures() as left:
            assert isinstance(await adapter.submit(SUBMISSION), Unsure)
        assert left.unsafe
        assert await adapter.find(REFERENCE) == Found(REFERENCE)
        assert there.made().keys() == WHOLE
    said_no = breaking("rename", REFERENCE, asyncssh.SFTPFailure("Failure"))
    async with depot(folder, after=said_no) as (_, port):
        again = Submission(REFERENCE.replace("01J", "02J"), PAYLOAD)
        assert isinstance(await adapter_of(port).submit(again), Accepted), "it is there"


async def test_settings_that_are_wrong_are_told_as_such(folder: Path) -> None:
    async def reason(port: int, **more: Any) -> str:
        outcome = await adapter_of(port, **more).submit(SUBMISSION)
        assert isinstance(outcome, Misconfigured)
        faults = [n.said for n in await adapter_of(port, **more).check() if n.level == "fault"]
        assert faults
        assert all(one.remedy() and one.remedy("fr") for one in faults)
        return outcome.reason

    async with depot(folder) as (there, port):
        assert await reason(port, host_keys=[public("other")]) == "unknown_host_key"
        assert await reason(port, key=private("other")) == "access_denied"
        assert await reason(port, folder="ailleurs") == "no_such_remote_folder"
        assert await reason(port, network=Network()) == "private_address"
        assert there.made() == {}
        well = await adapter_of(port, returns={}).check()
        assert [one for one in well if one.level != "ok"] == []
    outcome = await adapter_of(port).submit(SUBMISSION)
    assert isinstance(outcome, TryLater)
    assert outcome.reason == "connection_refused"


@pytest.mark.parametrize(
    "more",
    [
        {"url": "sftp://127.0.0.1"},
        {"url": "sftp://depot:secret@h"},
        {"url": "https://depot@h"},
        {"host_keys": []},
        {"host_keys": ["ssh-ed25519 " + "A" * 68]},
        {"key": None},
        {"password": "deux"},
        {"folder": "../ailleurs"},
        {"folder": "a/../b"},
        {"encoding": "windows-1252"},
        {"no_such": 1},
    ],
)
def test_options_that_do_not_fit_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(22, **more)


def test_secrets_do_not_show() -> None:
    chosen = options(22)
    for shown in (repr(chosen), chosen.model_dump_json(), repr(adapter_of(22))):
        assert "PRIVATE KEY" not in shown


def _format(**more: Any) -> SftpOptions:
    return options(22, **more)


FIELDS = {"a": "é € «", "b": {"c": 1.5, "d": ["x", True]}, "e": None, "f": "=1+1\x00"}


@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252"])
@pytest.mark.parametrize("form", ["csv", "xml"])
def test_what_is_written_is_read_again(form: str, encoding: str) -> None:
    chosen = _format(format=form, encoding=encoding)
    (row,) = read_returns(written_file(FIELDS, chosen), chosen)
    assert row == {"a": "é € «", "b.c": "1.5", "b.d": "x | true", "f": "=1+1"}


def test_characters_that_do_not_fit_keep_to_the_policy() -> None:
    chosen = _format(format="csv", encoding="windows-1252")
    with pytest.raises(UnfitText):
        written_file({"a": "Łódź 🙂"}, chosen)
    replaced = written_file(
        {"a": "ő ź 🙂"}, _format(format="csv", encoding="windows-1252", unfit="replace")
    )
    assert "o z ?" in replaced.decode("windows-1252")
    assert b"&#128578;" in written_file({"a": "🙂"}, _format(format="xml", encoding="windows-1252"))


def test_a_spreadsheet_runs_no_formula() -> None:
    chosen = _format(format="csv", spreadsheet=True)
    assert b'"\'=1+1"' in written_file({"a": "=1+1"}, chosen)
    assert flat_fields({"a": [{"b": 1}, {"b": 2}]}) == {"a.1.b": "1", "a.2.b": "2"}


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("json", b"{"),
        ("json", b"[1]"),
        ("json", b"[]"),
        ("csv", b""),
        ("csv", b"reference;statut\r\nTDG"),
        ("csv", b"a\x00b;c\r\n1;2\r\n3"),
        ("xml", b"<a><b></a>"),
        ("xml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
    ],
)
def test_a_return_that_is_none_cannot_be_read(form: str, content: bytes) -> None:
    with pytest.raises(Unreadable):
        read_returns(content, _format(format=form))


def _back(**more: Any) -> bytes:
    row = {"reference": REFERENCE, "statut": "Clos", "message": "Fait", **more}
    return json.dumps([row]).encode()


async def test_returns_are_told_once_and_put_away_only_once_they_are_kept(folder: Path) -> None:
    back = folder / "retours"
    (back / "a.json").write_bytes(_back(fichiers=["bon.pdf", "../demandes/x", "absent.pdf"]))
    (back / "bon.pdf").write_bytes(b"%PDF")
    (back / "b.json").write_bytes(b"{")
    (back / "c.json").write_bytes(_back(reference="TDG-X"))
    for growing in ("d.json.part", ".e.json", "f.json.tmp"):
        (back / growing).write_bytes(_back())
    async with depot(folder) as (_, port):
        adapter = adapter_of(port, returns={"public": True})
        first = await adapter.statuses([], None)
        (told,) = first.items
        assert (told.reference, told.status, told.message, told.public) == (
            REFERENCE,
            "clos",
            "Fait",
            True,
        )
        assert [(d.filename, d.content) for d in told.documents] == [("bon.pdf", b"%PDF")]
        assert told.unreadable == 1
        assert first.failure == Misconfigured("file_for_a_person", "2 files")
        assert (back / "a.json").exists(), "not before it is kept"
        again = await adapter.statuses([], None)
        assert [one.key for one in again.items] == [told.key]
        second = await adapter.statuses([], first.cursor)
        assert second.items == []
        assert second.failure == Misconfigured("file_for_a_person", "2 files")
    assert {one.name for one in back.iterdir()} == {"d.json.part", ".e.json", "f.json.tmp"}
    assert {one.name for one in (folder / "retours-lus").iterdir()} == {"a.json", "bon.pdf"}
    assert {one.name for one in (folder / "retours-en-erreur").iterdir()} == {"b.json", "c.json"}


async def test_a_return_that_is_not_whole_waits(folder: Path) -> None:
    back = folder / "retours"
    async with depot(folder) as (_, port):
        stable = adapter_of(port, returns={"ready": "stable"})
        (back / "a.json").write_bytes(_back())
        first = await stable.statuses([], None)
        assert (first.items, first.failure) == ([], None)
        (back / "a.json").write_bytes(_back(message="Fait, enfin"))
        grown = await stable.statuses([], first.cursor)
        assert grown.items == []
        (told,) = (await stable.statuses([], grown.cursor)).items
        assert told.message == "Fait, enfin"
        checked = adapter_of(port, returns={"ready": "checksum"})
        assert (await checked.statuses([], None)).items == []
        (back / "a.json.sha256").write_text("00  a.json\n")
        assert (await checked.statuses([], None)).items == []
        digest = hashlib.sha256((back / "a.json").read_bytes()).hexdigest()
        (back / "a.json.sha256").write_text(f"{digest}  a.json\n")
        whole = await checked.statuses([], None)
        assert len(whole.items) == 1
        assert json.loads(whole.cursor or "")["done"] == ["a.json", "a.json.sha256"]


async def test_returns_are_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.sftp.returning.MOST", 2)
    back = folder / "retours"
    for n in range(3):
        (back / f"{n}.json").write_bytes(_back(message=str(n)))
    (back / "z.json").write_bytes(b"[" + b" " * 200_000 + b"]")
    async with depot(folder) as (_, port):
        adapter = adapter_of(port, returns={"max_mb": 0.1})
        first = await adapter.statuses([], None)
        assert len(first.items) == 2
        assert isinstance(first.failure, TryLater)
        second = await adapter.statuses([], first.cursor)
        assert [one.message for one in second.items] == ["2"]
        assert json.loads(second.cursor or "")["errors"] == ["z.json"]
        lost = await adapter_of(port, returns={"folder": "nulle-part"}).statuses([], second.cursor)
    assert isinstance(lost.failure, Misconfigured)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(silent) as port:
        begun = time.monotonic()
        outcome: Outcome = await adapter_of(port, timeout=0.3).submit(
            Submission(REFERENCE, PAYLOAD)
        )
    assert isinstance(outcome, TryLater)
    assert time.monotonic() - begun < 5


def drop_returns(returns: Path) -> None:
    """Put two returns and a file down, as a Windows without UTF-8 names them."""
    one = {"reference": REFERENCE, "message": "Fait.", "fichiers": ["réponse.pdf"]}
    other = {"reference": REFERENCE, "message": "Encore."}
    for name, content in (
        (b"a.json", json.dumps([one]).encode()),
        ("réponse.pdf".encode("latin-1"), b"%PDF-1.4"),
        ("été.json".encode("latin-1"), json.dumps([other]).encode()),
    ):
        (returns / os.fsdecode(name)).write_bytes(content)


async def test_a_name_that_is_no_utf8_stops_nothing(folder: Path) -> None:
    returns = folder / "retours"
    returns.mkdir(exist_ok=True)
    drop_returns(returns)
    async with depot(folder) as (_, port):
        adapter = adapter_of(port, returns={})
        first = await adapter.statuses([], None)
        again = await adapter.statuses([], first.cursor)
    assert first.failure is None
    assert sorted(str(change.message) for change in first.items) == ["Encore.", "Fait."]
    files = [document for change in first.items for document in change.documents]
    assert [(file.filename, file.content) for file in files] == [("réponse.pdf", b"%PDF-1.4")]
    assert (list(again.items), again.failure) == ([], None)
    assert list(returns.iterdir()) == []


@pytest.mark.parametrize("key", ["abc", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "public"])
async def test_a_key_that_is_none_is_told_as_that(folder: Path, key: str) -> None:
    async with depot(folder) as (_, port):
        key = public("client") if key == "public" else key
        adapter = adapter_of(port, key=key)
        outcome = await adapter.submit(SUBMISSION)
        (fault,) = [one for one in await adapter.check() if one.level == "fault"]
    assert isinstance(outcome, Misconfigured)
    assert outcome.reason == "unusable_key"
    assert "OpenSSH" in fault.said.remedy("fr")
    assert key not in fault.said.told()
