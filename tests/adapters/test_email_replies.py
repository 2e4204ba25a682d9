"""Replies by mail: which are believed, what they say, and that each is told once."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from adapters.email.mailbox import MailboxFailed, open_mailbox
from adapters.email.options import Imap
from adapters.email.proof import is_proven
from adapters.email.quoting import new_words
from adapters.email.reading import MailKind, read_head, read_reply
from adapters.email.tokens import NamedRequest, Tokens
from gateway.sdk import Changes, Misconfigured, TryLater
from gateway.sdk.under_test import REFERENCE
from gateway.wire.network import Network
from tests.adapters.email_rig import (
    ADDRESS,
    KEY,
    PROVEN,
    TOKENS,
    adapter_of,
    connector,
    options,
    reply,
    rig,
)
from tests.adapters.mail_servers import SimulatedImap, listening
from tests.hostile.test_network import certificate

RECORDED = Path(__file__).parent / "recorded" / "email" / "dovecot-2.3.txt"
CLOSED = ADDRESS.replace("@", ".clos@")
NAMED = NamedRequest(REFERENCE)


def kind_of(content: bytes, **more: Any) -> MailKind:
    return read_head(content, "1.1", TOKENS, options(**more)).kind


#: A message, and what it is to the gateway.
KINDS: dict[str, tuple[bytes, MailKind]] = {
    "a reply of an agent": (reply(), MailKind.REPLY),
    "a word after the token": (reply(to=CLOSED), MailKind.REPLY),
    "in capitals": (reply(to=ADDRESS.upper()), MailKind.REPLY),
    "a token in References alone": (
        reply(to="demandes@relais.exemple.fr", References=TOKENS.message_id(REFERENCE, "evt-1")),
        MailKind.REPLY,
    ),
    "no token": (reply(to="demandes@relais.exemple.fr"), MailKind.PERSON),
    "a token that somebody made": (
        reply(to="demandes+01jd3m7w2k9xq4zb-aaaaaaaaaaaaaaaa@relais.exemple.fr"),
        MailKind.PERSON,
    ),
    "a token for another mailbox": (
        reply(to=ADDRESS.replace("relais.exemple.fr", "relais.exemple.fr.pirate.fr")),
        MailKind.PERSON,
    ),
    "dmarc failed": (
        reply(results="mx.relais.exemple.fr; dmarc=fail header.from=bron.exemple.fr"),
        MailKind.PERSON,
    ),
    "results of another host": (
        reply(results="mx.pirate.fr; dmarc=pass header.from=bron.exemple.fr"),
        MailKind.PERSON,
    ),
    "a good result below a bad one": (
        reply(
            results="mx.relais.exemple.fr; dmarc=fail header.from=bron.exemple.fr",
            authentication_results=PROVEN,
        ),
        MailKind.PERSON,
    ),
    "a good result in a comment": (
        reply(results="mx.relais.exemple.fr; dmarc=fail (dmarc=pass header.from=bron.exemple.fr)"),
        MailKind.PERSON,
    ),
    "a good result in a comment within another": (
        reply(
            results="mx.relais.exemple.fr; spf=none ((a); dmarc=pass header.from=bron.exemple.fr)"
        ),
        MailKind.PERSON,
    ),
    "a good result in the sender's quoted words": (
        reply(
            results="mx.relais.exemple.fr; spf=pass"
            ' smtp.mailfrom="a\\"; dmarc=pass header.from=bron.exemple.fr; x"@pirate.fr'
        ),
        MailKind.PERSON,
    ),
    "a comment that the sender's words end, above the true result": (
        reply(
            results="mx.relais.exemple.fr; spf=none (of a); dmarc=pass header.from=bron.exemple.fr"
            " (@pirate.fr); dmarc=fail header.from=bron.exemple.fr"
        ),
        MailKind.PERSON,
    ),
    "with quotes, comments and a result of each": (
        reply(
            results='mx.relais.exemple.fr; spf=pass (a (b) \\) c) smtp.mailfrom="x y"@bron.fr;'
            ' dmarc=pass (p="r") header.from="bron.exemple.fr"'
        ),
        MailKind.REPLY,
    ),
    "passed for another domain": (
        reply(results="mx.relais.exemple.fr; dmarc=pass header.from=pirate.fr"),
        MailKind.PERSON,
    ),
    "spf is not what is asked for": (
        reply(results="mx.relais.exemple.fr; spf=pass smtp.mailfrom=bron.exemple.fr"),
        MailKind.PERSON,
    ),
    "of another domain": (
        reply(
            sender="a@pirate.fr",
            results="mx.relais.exemple.fr; dmarc=pass header.from=pirate.fr",
        ),
        MailKind.PERSON,
    ),
    "two senders": (reply(sender="a@bron.exemple.fr, b@pirate.fr"), MailKind.PERSON),
    "no sender": (reply(sender=""), MailKind.PERSON),
    "an answer of a program": (reply(Auto_Submitted="auto-replied"), MailKind.NOBODY),
    "a person says that it is one": (reply(Auto_Submitted="no"), MailKind.REPLY),
    "a list": (reply(Precedence="bulk"), MailKind.NOBODY),
    "an absence of Exchange": (reply(X_Auto_Response_Suppress="All"), MailKind.NOBODY),
    "an empty way back": (reply(path="<>"), MailKind.REPORT),
    "our own message": (
        reply(message_id=TOKENS.message_id(REFERENCE), X_Toodego_Reference=REFERENCE),
        MailKind.NOBODY,
    ),
    "a report": (reply(kind="multipart/report; boundary=b", path="<>"), MailKind.REPORT),
    "no message at all": (b"\xff\xfe\x00\r\n\r\n", MailKind.PERSON),
}


@pytest.mark.parametrize(("content", "kind"), KINDS.values(), ids=KINDS)
def test_each_message_is_one_thing(content: bytes, kind: MailKind) -> None:
    assert kind_of(content) is kind


def test_other_proofs_count_where_the_options_say_so() -> None:
    found = [
        "mx.relais.exemple.fr 1; dkim=pass header.i=@bron.exemple.fr; spf=pass smtp.mailfrom=x"
    ]
    replies = options(replies={"proof": ["spf", "dkim"]}).replies
    assert replies is not None
    assert is_proven(["a@bron.exemple.fr"], found, replies)
    assert not is_proven(["a@bron.exemple.fr"], found, options().replies)  # type: ignore[arg-type]


def test_a_former_key_proves_what_was_sent_before() -> None:
    both = Tokens(["nouvelle", KEY], "demandes@relais.exemple.fr")
    assert both.in_addresses([ADDRESS]) == NAMED
    assert both.address(REFERENCE) != ADDRESS
    assert Tokens(["nouvelle"], "demandes@relais.exemple.fr").in_addresses([ADDRESS]) is None
    local = both.address(REFERENCE).partition("@")[0]
    assert len(local) + len(".") + 20 <= 64


MARKED = "> --- Répondre au-dessus de cette ligne ---\n> Un nid de poule"
#: A reply, and what of it is new.
QUOTED = {
    f"C'est pris.\n\n{MARKED}": "C'est pris.",
    f"Vu.\n\nLe ven. 27 nov. 2026 à 15:08, Toodego <d@r.fr> a écrit :\n\n{MARKED}": "Vu.",
    f"Vu.\n\nLe ven. 27 nov. 2026, Toodego\n<d@r.fr> a écrit :\n\n{MARKED}": "Vu.",
    "Vu.\n-----Message d'origine-----\nDe : T\nEnvoyé : v\nÀ : g\nObjet : n\n\n"
    "--- Répondre au-dessus de cette ligne ---\nUn nid": "Vu.",
    f"Rendez-vous :\nDate : le 12 mars\n{MARKED}": "Rendez-vous :\nDate : le 12 mars",
    "Vu.\n> avant\nEt ceci.\n> après": "Vu.\n> avant\nEt ceci.",
    "Vu.\n-- \nL'agent": "Vu.",
    "Vu.\n--\nCeci compte": "Vu.\n--\nCeci compte",
    "Rien de cité": "Rien de cité",
    MARKED: "",
}


@pytest.mark.parametrize(("text", "new"), QUOTED.items())
def test_only_what_is_surely_repeated_is_cut(text: str, new: str) -> None:
    assert new_words(text) == new
    assert new_words(text.replace("\n", "\r\n")) == new


def _parts(*parts: str) -> str:
    return "".join(f"--b\n{part}\n" for part in parts) + "--b--\n"


def _read(body: str, kind: str = "multipart/mixed; boundary=b", **more: Any) -> Any:
    chosen = options(**more).replies
    assert chosen is not None
    return read_reply(reply(body, kind=kind), NAMED, chosen, whole=True)


def test_files_are_taken_and_the_pictures_of_a_layout_are_not() -> None:
    pdf = (
        'Content-Type: application/pdf\nContent-Disposition: attachment; filename="../a.pdf"\n\nPDF'
    )
    logo = 'Content-Type: image/png; name="logo.png"\nContent-ID: <l>\n\nPNG'
    text = "Content-Type: text/html; charset=utf-8\n\n<p>C&#39;est <b>pris</b></p>"
    found = _read(_parts(text, logo, pdf, pdf), replies={"max_files": 1})
    assert found.text == "C'est pris"
    assert [(one.filename, one.content) for one in found.documents] == [("a.pdf", b"PDF")]
    assert found.unreadable == 1


@pytest.mark.parametrize(
    "body",
    [
        _parts(*["Content-Type: multipart/mixed; boundary=c\n\n--c--\n"] * 300),
        "--b\n" + "Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 5000,
    ],
)
def test_parts_without_end_are_for_a_person(body: str) -> None:
    assert _read(body) is None


def test_a_status_is_one_of_the_declared_words() -> None:
    by_subject = options(replies={"where": "subject"}).replies
    assert by_subject is not None

    def status(subject: str) -> str | None:
        found = read_reply(reply(Subject=subject), NAMED, by_subject, whole=True)
        assert found is not None
        return found.status

    assert status("Re: [TDG-X] nid [Clos]") == "clos"
    assert status("=?utf-8?q?Re=3A_=5Ben-cours=5D_d=C3=A9p=C3=B4t?=") == "en-cours"
    assert status("Re: [supprimer]") is None
    assert status("clos") is None


async def test_what_came_is_told_once_and_put_away_only_once_it_is_kept() -> None:
    async with rig() as mail:
        imap = mail.imap
        imap.add(reply(to=CLOSED, message_id="<a@b>"))
        imap.add(reply(to="demandes@relais.exemple.fr"))
        imap.add(reply(Auto_Submitted="auto-replied"))
        first = await mail.adapter.statuses([], None)
        assert [(c.reference, c.status, c.message, c.public) for c in first.items] == [
            (REFERENCE, "clos", "C'est pris.", True)
        ]
        assert first.failure == Misconfigured("mail_for_a_person", "1 messages")
        assert imap.uids("INBOX") == [1, 2, 3], "not before it is kept"
        again = await mail.adapter.statuses([], None)
        assert [c.key for c in again.items] == [c.key for c in first.items]
        second = await mail.adapter.statuses([], first.cursor)
        assert second.items == []
        assert second.failure == Misconfigured("mail_for_a_person", "1 messages")
        assert imap.uids("INBOX") == []
        assert imap.uids("Passerelle.Lus") == [1, 3]
        assert imap.uids("Passerelle.A-traiter") == [2]
        imap.folders["Passerelle.A-traiter"].clear()
        third = await mail.adapter.statuses([], second.cursor)
        assert third.failure is None
        read = [command for command in imap.commands if "BODY" in command]
        assert all("PEEK" in command for command in read), "nobody else finds it read"


async def test_uids_of_another_folder_mean_nothing() -> None:
    async with rig() as mail:
        mail.imap.add(reply())
        before = await mail.adapter.statuses([], None)
        mail.imap.validity += 1
        after = await mail.adapter.statuses([], before.cursor)
        assert [one.key for one in after.items] == [one.key for one in before.items]
        assert not [one for one in mail.imap.commands if "MOVE" in one]
        for strange in ("{", "[]", '{"uid": "x", "done": [0, -1, "2"], "validity": 1e9}'):
            assert len((await mail.adapter.statuses([], strange)).items) == 1


async def test_without_move_messages_are_copied_then_taken_away() -> None:
    async with rig(mailbox=SimulatedImap(abilities="IMAP4rev1 UIDPLUS")) as mail:
        mail.imap.add(reply())
        told = await mail.adapter.statuses([], None)
        await mail.adapter.statuses([], told.cursor)
        assert (mail.imap.uids("INBOX"), mail.imap.uids("Passerelle.Lus")) == ([], [1])
    async with rig(mailbox=SimulatedImap(abilities="IMAP4rev1")) as mail:
        mail.imap.add(reply())
        told = await mail.adapter.statuses([], None)
        stuck = await mail.adapter.statuses([], told.cursor)
        assert stuck.items == []
        assert stuck.failure == Misconfigured("not_moved", "Passerelle/Lus")


async def test_of_a_large_message_the_beginning_is_read() -> None:
    text = "Content-Type: text/plain\n\nVu."
    large = f"Content-Type: application/pdf\nContent-Disposition: attachment\n\n{'x' * 600_000}"
    async with rig(replies={"max_mb": 0.5}) as mail:
        content = reply(_parts(text, large), kind="multipart/mixed; boundary=b")
        mail.imap.add(content)
        (told,) = (await mail.adapter.statuses([], None)).items
    assert (told.message, list(told.documents), told.unreadable) == ("Vu.", [], 1)


FAILED = (
    "--b\nContent-Type: text/plain\n\nNon remis\n"
    "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; vm\n\n"
    "Final-Recipient: rfc822; gru@bron.exemple.fr\nAction: failed\nStatus: 5.1.1\n\n--b--\n"
)


async def test_a_message_that_was_not_delivered_is_told_of_its_request() -> None:
    kind = "multipart/report; report-type=delivery-status; boundary=b"
    delayed = FAILED.replace("failed", "delayed").replace("5.1.1", "4.4.1")
    async with rig() as mail:
        mail.imap.add(reply(FAILED, kind=kind, path="<>"))
        mail.imap.add(reply(delayed, kind=kind, path="<>"))
        mail.imap.add(reply("Je suis absent.", path="<>"))
        mail.imap.add(reply(FAILED, kind=kind, path="<>", to="demandes@relais.exemple.fr"))
        told = await mail.adapter.statuses([], None)
        assert [(one.reference, one.status) for one in told.items] == [(REFERENCE, "undelivered")]
        assert json.loads(told.cursor or "")["done"] == [2, 3]
        assert json.loads(told.cursor or "")["person"] == [1, 4]
        assert told.failure == Misconfigured("mail_for_a_person", "2 messages")


async def test_a_report_of_opensmtpd_is_one_though_it_calls_itself_mixed_and_delayed() -> None:
    async with rig() as mail:
        mail.imap.add((RECORDED.parent / "opensmtpd-6.8-expired.eml").read_bytes())
        (told,) = (await mail.adapter.statuses([], None)).items
    assert (told.reference, told.status) == (REFERENCE, "undelivered")


#: What a server that is broken or taken over answers to a command, and to which.
HOSTILE: dict[str, tuple[str, bytes]] = {
    "a line without end": ("CAPABILITY", b"* CAPABILITY " + b"x" * 200_000),
    "lines without end": ("UID FETCH", b"* OK so it goes\r\n" * 6000),
    "a literal larger than asked for": (
        "BODY.PEEK[HEADER]",
        b"* 1 FETCH (UID 1 BODY[HEADER]<0> {2000000000}\r\n",
    ),
    "many literals": (
        "BODY.PEEK[]",
        b"* 1 FETCH (UID 9 X {400000}\r\n"
        + b"x" * 400_000
        + b" {400000}\r\n"
        + b"x" * 400_000
        + b" {400000}\r\n",
    ),
    "a goodbye": ("SELECT", b"* BYE\r\n"),
    "nothing more": ("UID FETCH", b""),
    "no IMAP": ("LOGIN", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
}


@pytest.mark.parametrize(("command", "answer"), HOSTILE.values(), ids=HOSTILE)
async def test_a_mailbox_is_bounded(
    command: str, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.email.polling._SESSION", 0.2)
    async with rig() as mail:
        mail.imap.add(reply())
        mail.imap.instead[command] = answer
        told = await mail.adapter.statuses([], '{"validity": 1795792050, "uid": 0}')
    assert told.items == []
    assert isinstance(told.failure, TryLater)
    assert json.loads(told.cursor or "") == {"validity": 1795792050, "uid": 0}


async def test_a_reader_that_fails_midway_keeps_what_it_read() -> None:
    async with rig() as mail:
        mail.imap.add(reply(message_id="<a@b>"))
        mail.imap.add(reply(message_id="<c@d>"))
        mail.imap.instead["UID FETCH 2 "] = b"* BYE\r\n"
        told = await mail.adapter.statuses([], None)
        assert len(told.items) == 1
        assert isinstance(told.failure, TryLater)
        assert json.loads(told.cursor or "")["uid"] == 1


async def test_a_password_of_any_character_and_a_wrong_one() -> None:
    async with listening(SimulatedImap().serve) as port:
        imap: Imap | None = options(imap_port=port, imap={"password": "é"}).imap
        assert imap is not None
        with pytest.raises(MailboxFailed) as raised:
            async with open_mailbox(imap, connector()):
                pass
    assert raised.value.outcome == Misconfigured("access_denied", "the mailbox does not let us in")


async def test_a_mailbox_is_read_over_tls_and_its_certificate_is_looked_at(tmp_path: Path) -> None:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "gru", by="ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "gru.pem", tmp_path / "gru.key")
    imap = SimulatedImap()
    imap.add(reply())
    async with listening(imap.serve, context) as port:
        chosen = options(imap={"url": f"imaps://localhost:{port}", "clear": False})
        known = Network(private=True, ca=str(tmp_path / "ca.pem"))
        assert len((await adapter_of(chosen, known).statuses([], None)).items) == 1
        unknown = await adapter_of(chosen, Network(private=True)).statuses([], None)
    assert getattr(unknown.failure, "reason", "") == "unknown_authority"
    assert len([one for one in imap.commands if one.startswith("LOGIN")]) == 1


async def test_a_mailbox_in_the_clear_goes_on_over_tls_or_not_at_all(tmp_path: Path) -> None:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "gru", by="ca")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "gru.pem", tmp_path / "gru.key")
    known = Network(private=True, ca=str(tmp_path / "ca.pem"))

    async def polled(imap: SimulatedImap, network: Network = known) -> Changes:
        imap.add(reply())
        async with listening(imap.serve) as port:
            chosen = options(imap={"url": f"imap://localhost:{port}", "clear": False})
            return await adapter_of(chosen, network).statuses([], None)

    mailbox = SimulatedImap(starttls=context)
    assert len((await polled(mailbox)).items) == 1
    assert mailbox.commands[0] == "STARTTLS"
    unknown = await polled(SimulatedImap(starttls=context), Network(private=True))
    assert getattr(unknown.failure, "reason", "") == "unknown_authority"
    without = SimulatedImap()
    assert getattr((await polled(without)).failure, "reason", "") == "no_starttls"
    assert without.commands == ["STARTTLS"], "no password leaves in the clear"
    # What follows the answer in the clear may be somebody else's: it is not read.
    said = b"TAG OK Begin TLS\r\n* OK [UIDNEXT 9] of another\r\n"
    forged = await polled(SimulatedImap(instead={"STARTTLS": said}))
    assert isinstance(forged.failure, TryLater)


def _sessions() -> list[list[str]]:
    lines = RECORDED.read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return [session.splitlines() for session in text.split("\n--\n")]


def _plain(line: str) -> str:
    """A server's line without what is this server's, this day's or this message's."""
    line = re.sub(r"(\w+ (?:OK|NO)(?: \[[A-Z-]+)?).*", r"\1", line)
    line = re.sub(r"RFC822.SIZE \d+|COPYUID .*", "", line)
    return re.sub(r"\{\d+\}|Message-ID: .*", "", line)


@pytest.mark.parametrize("recorded", _sessions(), ids=["poll", "find"])
async def test_the_simulated_mailbox_answers_as_dovecot_did(recorded: list[str]) -> None:
    """Untagged lines that nobody asked for (FLAGS, RECENT, UNSEEN) are left out on both sides."""
    imap = SimulatedImap()
    said = [line[3:] for line in recorded if line.startswith("S: ")]
    exists = next(int(line.split()[1]) for line in said if line.endswith(" EXISTS"))
    wanted = next(
        (w[1] for line in recorded if (w := re.search(r'C: .*Message-ID "(.*)"', line))), "x"
    )
    for n in range(exists):
        imap.add(f"Message-ID: {wanted if n in (0, 2) else n}\r\n\r\n")
    told: list[str] = []
    async with listening(imap.serve) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        told.append((await reader.readline()).decode().rstrip())
        for line in recorded:
            if not line.startswith("C: "):
                continue
            command = line[3:]
            writer.write(command.encode() + b"\r\n")
            tag = command.split()[0] + " "
            while True:
                answer = (await reader.readline()).decode().rstrip()
                told.append(answer)
                if answer.startswith(tag):
                    break
        writer.close()
    left_out = re.compile(r"\* FLAGS|.* RECENT|.*\[PERMANENTFLAGS|.*\[UNSEEN")
    expected = [_plain(line) for line in said if not left_out.match(line)]
    assert [_plain(line) for line in told] == expected


@pytest.mark.parametrize("command", ["CAPABILITY", "LIST", "UID FETCH", "RFC822.SIZE"])
@pytest.mark.parametrize("said", [b"NO Zoe Inventee\r\n", b"BAD Zoe Inventee\r\n"])
async def test_a_command_that_is_refused_is_a_failure_of_the_mailbox(
    command: str, said: bytes
) -> None:
    box = SimulatedImap(instead={command: b"TAG " + said})
    for n in range(3):
        box.add(reply(message_id=f"<{n}@bron.exemple.fr>"))
    async with rig(mailbox=box) as mail:
        told = await mail.adapter.statuses([], None)
        notes = await mail.adapter.check()
    assert isinstance(told.failure, TryLater)
    assert told.failure.reason == "far_end_error"
    assert "Zoe" not in repr(told)
    assert "Zoe" not in repr(notes)


async def test_one_message_that_the_server_cannot_give_is_for_a_person() -> None:
    box = SimulatedImap(instead={"UID FETCH 2 (UID BODY": b"TAG NO Server bug\r\n"})
    for n in range(3):
        box.add(reply(message_id=f"<{n}@bron.exemple.fr>"))
    async with rig(mailbox=box) as mail:
        first = await mail.adapter.statuses([], None)
        assert len(first.items) == 2, "the others are told"
        await mail.adapter.statuses([], first.cursor)
    assert box.uids("Passerelle.A-traiter") == [2]
