"""Requests by mail: what leaves, and what each answer of the server means."""

from __future__ import annotations

import ssl
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from adapters.email.composing import one_line
from gateway.flow.erase import erase_at
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
    Unsure,
)
from gateway.sdk.under_test import NOW, REFERENCE, file
from gateway.wire.departures import departures
from gateway.wire.network import Network
from tests.adapters.email_rig import ADDRESS, TOKENS, adapter_of, options, reply, rig
from tests.adapters.mail_servers import SimulatedImap, SimulatedSmtp, listening
from tests.flow.test_telling import REQUEST_ROW
from tests.hostile.test_network import certificate

PAYLOAD = {"subject": "Nid de poule", "body": "Rue de l’Invention"}
SUBMISSION = Submission(REFERENCE, PAYLOAD)


def amendment(key: str = "evt-1", **more: Any) -> Amendment:
    return Amendment(REFERENCE, REFERENCE, key, EventKind.MESSAGE, {}, "Toujours là", **more)


async def test_a_request_is_one_message_that_its_replies_find_back() -> None:
    picture = file(b"\x89PNG" * 30_000, filename="../dépôt\r\n.png")
    async with rig() as mail:
        outcome = await mail.adapter.submit(Submission(REFERENCE, PAYLOAD, [picture]))
    assert isinstance(outcome, Accepted)
    assert outcome.reference == REFERENCE
    (taken,) = mail.smtp.taken
    assert taken.sender == ADDRESS
    assert taken.recipients == ["gru@bron.exemple.fr", "copies@relais.exemple.fr"]
    message = taken.message
    assert message["Reply-To"].split()[-1] == f"<{ADDRESS}>"
    assert message["Message-ID"] == TOKENS.message_id(REFERENCE)
    assert message["X-Toodego-Reference"] == REFERENCE
    assert message["Subject"] == f"Nid de poule [{REFERENCE}]"
    _, text, attached = message.walk()
    body = text.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert "Rue de l’Invention" in body.decode()
    assert attached.get_filename() == "dépôt .png"
    assert attached.get_payload(decode=True) == b"\x89PNG" * 30_000
    assert taken.content.isascii()


HOSTILE = "Trou\r\nBcc: autre@exemple.fr\r\n\r\nCorps\x00\u202e\u2028.fin"


async def test_what_a_citizen_writes_is_no_header() -> None:
    text = "Bonjour\r\n.\r\nRSET\r\n..\nMAIL FROM:<x@y.fr>\n" + "é" * 2000
    async with rig() as mail:
        for payload in (PAYLOAD, {"subject": HOSTILE, "body": text}):
            assert isinstance(await mail.adapter.submit(Submission(REFERENCE, payload)), Accepted)
    usual, hostile = (one.message for one in mail.smtp.taken)
    assert hostile.keys() == usual.keys()
    assert "Bcc: autre@exemple.fr Corps" in hostile["Subject"]
    body = hostile.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().replace("\r\n", "\n").endswith(text.replace("\r\n", "\n") + "\n")
    assert not [line for line in mail.smtp.heard if line.startswith("RSET")]


def test_a_subject_is_one_line_of_what_can_be_seen() -> None:
    assert one_line(HOSTILE) == "Trou Bcc: autre@exemple.fr Corps .fin"
    assert len(one_line("x" * 500)) == 200


@pytest.mark.parametrize(
    "payload",
    [
        {"subject": "x"},
        {"body": "x"},
        {"subject": "x", "body": "y", "bcc": "z"},
        {"subject": "x", "body": "y", "recipient": "autre@exemple.fr"},
        {"subject": ["x"], "body": "y"},
        {"subject": "x", "body": "y" * 200_001},
    ],
)
async def test_a_mapping_that_makes_no_message_is_refused(payload: dict[str, Any]) -> None:
    async with rig() as mail:
        outcome = await mail.adapter.submit(Submission(REFERENCE, payload))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "unmappable"
    assert mail.smtp.heard == []


SERVICE = {"name": "Voirie de Bron", "phone": "04 00 00 00 00"}


async def test_a_message_says_when_it_was_filed_and_who_is_in_charge() -> None:
    filing = Filing("toodego", "inscription-scolaire", "12-7", NOW, NOW, 1)
    services = {"autre": {"name": "Un autre service"}}
    async with rig(service=SERVICE, services=services) as mail:
        await mail.adapter.submit(Submission(REFERENCE, PAYLOAD, (), filing))
        await mail.adapter.amend(amendment(filing=filing))
        other = replace(filing, teleservice="autre", number=None)
        await mail.adapter.submit(Submission(REFERENCE, PAYLOAD, (), other))
    texts = [read_text(one.message) for one in mail.smtp.taken]
    for text in texts[:2]:
        assert "Demande déposée le 16/03/2026 à 10:30 (n° 12-7)\n" in text
        assert "Service en charge : Voirie de Bron, 04 00 00 00 00\n" in text
    assert texts[2].endswith(
        "Demande déposée le 16/03/2026 à 10:30\nService en charge : Un autre service\n"
    )


def read_text(message: Message) -> str:
    part = message.get_payload(0) if message.is_multipart() else message
    assert isinstance(part, Message)
    body = part.get_payload(decode=True)
    assert isinstance(body, bytes)
    return body.decode().replace("\r\n", "\n")


async def test_files_that_a_message_has_no_room_for_go_as_links() -> None:
    large = file(b"x" * 100_000, filename="plan\r\n.pdf")
    small = file(b"y" * 1000, filename="petit.png")
    async with rig(max_mb=0.1, public_url="https://passerelle.exemple.fr/") as mail:
        adapter = mail.adapter
        assert isinstance(
            await adapter.submit(Submission(REFERENCE, PAYLOAD, [large, small])), Accepted
        )
    message = mail.smtp.taken[0].message
    names = [part.get_filename() for part in message.walk() if part.get_filename()]
    assert names == ["petit.png"], "what fits stays within"
    text = read_text(message)
    assert "Pièces jointes à télécharger, jusqu’au 14/04/2026 :\n\nplan .pdf (0,1 Mo)\n" in text
    url = next(line for line in text.split("\n") if line.startswith("https://"))
    assert adapter.links is not None
    assert url == adapter.links.link(REFERENCE, large, NOW).url
    assert "Zoé" not in url


async def test_a_message_larger_than_it_may_be_waits_for_a_person() -> None:
    async with rig(max_mb=0.1) as mail:
        large = Submission(REFERENCE, PAYLOAD, [file(b"x" * 100_000)])
        outcome = await mail.adapter.submit(large)
        assert isinstance(outcome, Refused)
        assert outcome.reason == "message_too_large"
    small = SimulatedSmtp({"EHLO": "250-vm Hello\r\n250 SIZE 500"})
    async with rig(small) as mail:
        assert isinstance(await mail.adapter.submit(SUBMISSION), Refused)
    assert small.taken == []


#: A step, what the server says there, and what that means.
ANSWERS: list[tuple[str, str | None, type[Outcome], str]] = [
    ("greeting", "554 no service", Refused, "refused"),
    ("greeting", "421 too many connections", TryLater, "busy"),
    ("greeting", None, TryLater, "unreachable"),
    ("EHLO", "502 what?", Refused, "refused"),
    ("MAIL", "451 4.3.0 later", TryLater, "busy"),
    ("MAIL", "552 5.3.4 too large", Refused, "refused"),
    ("MAIL", "530 5.7.0 login first", Misconfigured, "access_denied"),
    ("RCPT", "450 4.2.0 greylisted", TryLater, "busy"),
    ("RCPT", "550 5.1.1 nobody of that name", Misconfigured, "recipient_refused"),
    ("RCPT", None, TryLater, "unreachable"),
    ("DATA", "451 4.3.0 later", TryLater, "busy"),
    ("DATA", "554 5.7.1 no", Refused, "refused"),
    ("dot", "451 4.3.0 queue full", TryLater, "busy"),
    ("dot", "421 4.3.2 shutting down", TryLater, "busy"),
    ("dot", "554 5.7.1 spam", Refused, "refused"),
    ("dot", "how do you do", Unsure, "unreadable_answer"),
    ("dot", "354 go on", Unsure, "unreadable_answer"),
    ("dot", None, Unsure, "no_answer"),
]


@pytest.mark.parametrize(("step", "says", "kind", "reason"), ANSWERS)
async def test_each_answer_of_the_server_means_one_thing(
    step: str, says: str | None, kind: type[Outcome], reason: str
) -> None:
    said = f"{says} {PAYLOAD['subject']}" if says and says[0].isdigit() else says
    async with rig(SimulatedSmtp({step: said})) as mail:
        with departures() as left:
            outcome = await mail.adapter.submit(SUBMISSION)
    assert type(outcome) is kind
    assert not isinstance(outcome, Accepted)
    assert outcome.reason == reason
    assert left.unsafe is (step == "dot")
    assert PAYLOAD["subject"] not in repr(outcome) + (outcome.answer or "")
    if said and says and says[0].isdigit() and reason != "unreadable_answer":
        assert says[4:] in (outcome.answer or "")


@pytest.mark.parametrize("cut", [0, 1000, 200_000])
async def test_before_the_dot_nothing_was_taken(cut: int) -> None:
    async with rig(SimulatedSmtp(cut_body=cut)) as mail:
        large = Submission(REFERENCE, PAYLOAD, [file(b"x" * 3_000_000)])
        with departures() as left:
            assert isinstance(await mail.adapter.submit(large), TryLater)
    assert not left.unsafe


@pytest.mark.parametrize(("step", "kind"), [("MAIL", TryLater), ("dot", Unsure)])
async def test_a_server_that_says_nothing_is_given_up(step: str, kind: type[Outcome]) -> None:
    async with rig(SimulatedSmtp({step: ""}), timeout=0.3) as mail:
        outcome = await mail.adapter.submit(SUBMISSION)
    assert type(outcome) is kind
    assert getattr(outcome, "reason", "") == "timeout"


async def test_events_are_in_the_thread_and_each_has_its_own_name() -> None:
    async with rig() as mail:
        assert isinstance(await mail.adapter.submit(SUBMISSION), Accepted)
        for key in ("evt-1", "evt-1", "evt-2"):
            assert isinstance(await mail.adapter.amend(amendment(key)), Accepted)
    first, *events = (one.message for one in mail.smtp.taken)
    names = [one["Message-ID"] for one in events]
    assert names[0] == names[1] != names[2]
    assert {one["References"] for one in events} == {first["Message-ID"]}


async def test_people_are_asked_to_erase_and_have_to_say_what_they_did() -> None:
    request = replace(REQUEST_ROW, id=REFERENCE)
    async with rig() as there:
        for _ in range(2):
            outcome = await erase_at(there.adapter, request)
            assert isinstance(outcome, Refused)
            assert outcome.reason == "erase_by_hand"
        first, second = (one.message for one in there.smtp.taken)
        assert first["Message-ID"] == second["Message-ID"]
        assert first["In-Reply-To"] == TOKENS.message_id(REFERENCE)
        assert "qui l’a décidé" in read_text(first)
    # A lost answer is no doubt: it is asked again.
    async with rig(SimulatedSmtp({"dot": None})) as there:
        assert isinstance(await erase_at(there.adapter, request), TryLater)


async def test_what_was_sent_is_found_by_its_copy() -> None:
    async with rig() as mail:
        imap, adapter = mail.imap, mail.adapter
        assert isinstance(await adapter.find(REFERENCE), CannotTell), "the folder is not there"
        imap.folders["Copies"] = []
        assert await adapter.find(REFERENCE) == Absent(60)
        imap.add(f"Message-ID: {TOKENS.message_id(REFERENCE)}\r\n\r\n", "Copies")
        assert await adapter.find(REFERENCE) == Found(REFERENCE)
        assert await adapter.find_amend(amendment()) == Absent(60)
        imap.instead["SEARCH"] = b"* SEARCH 1\r\nTAG OK\r\n"
        other = await adapter.find("TDG-0THERZZZZZZZZZZZ")
        assert isinstance(other, CannotTell), "it found another one"
    own: dict[str, Any] = {
        "find": {"folder": "Passerelle/Lus"},
        "copy_to": "demandes@relais.exemple.fr",
    }
    async with rig(**own) as mail:
        assert await mail.adapter.find(REFERENCE) == Absent(60), "the folder is made later"
        mail.imap.add(reply(message_id=TOKENS.message_id(REFERENCE), X_Toodego_Reference="x"))
        assert await mail.adapter.find(REFERENCE) == Found(REFERENCE)
        kept = (await mail.adapter.statuses([], None)).cursor
        assert (await mail.adapter.statuses([], kept)).items == []
        assert mail.imap.uids("Passerelle.Lus") == [1]
        assert await mail.adapter.find(REFERENCE) == Found(REFERENCE)
    async with rig(find=None) as mail:
        never = await mail.adapter.find(REFERENCE)
    assert isinstance(never, CannotTell)
    assert never.forever


async def test_a_private_address_is_not_called_unless_it_is_meant() -> None:
    outcome = await adapter_of(options(), Network()).submit(SUBMISSION)
    assert isinstance(outcome, Misconfigured)
    assert outcome.reason == "private_address"
    named = options(smtp={"url": "smtp://localhost:9"})
    resolved = await adapter_of(named, Network()).submit(SUBMISSION)
    assert isinstance(resolved, Misconfigured)
    assert resolved.reason == "private_address"
    nobody = await adapter_of(options(1)).submit(SUBMISSION)
    assert isinstance(nobody, TryLater)
    assert nobody.reason == "connection_refused"


def _served(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


async def test_starttls_is_required_and_its_certificate_is_looked_at(tmp_path: Path) -> None:
    certificate(tmp_path, "ca")
    certificate(tmp_path, "gru", by="ca")
    known = Network(private=True, ca=str(tmp_path / "ca.pem"))
    login = {"username": "passerelle", "password": "secret-smtp", "clear": False}

    async def sent(server: SimulatedSmtp, network: Network, scheme: str = "smtp") -> Outcome:
        implicit = _served(tmp_path, "gru") if scheme == "smtps" else None
        async with listening(server.serve, implicit) as port:
            url = f"{scheme}://localhost:{port}"
            chosen = options(smtp={**login, "url": url})
            return await adapter_of(chosen, network).submit(SUBMISSION)

    server = SimulatedSmtp(starttls=_served(tmp_path, "gru"))
    assert isinstance(await sent(server, known), Accepted)
    assert server.heard.index("STARTTLS") < next(
        n for n, line in enumerate(server.heard) if line.startswith("AUTH")
    )
    unknown = await sent(SimulatedSmtp(starttls=_served(tmp_path, "gru")), Network(private=True))
    assert getattr(unknown, "reason", "") == "unknown_authority"
    without = SimulatedSmtp()
    refused = await sent(without, known)
    assert isinstance(refused, Misconfigured)
    assert refused.reason == "no_starttls"
    assert not [line for line in without.heard if line.startswith(("AUTH", "MAIL"))]
    assert isinstance(await sent(SimulatedSmtp(), known, "smtps"), Accepted)
    denied = await sent(SimulatedSmtp({"AUTH": "535 5.7.8 no"}), known, "smtps")
    assert isinstance(denied, Misconfigured)
    assert denied.reason == "access_denied"


async def test_check_sends_nothing_and_names_each_fault() -> None:
    imap = SimulatedImap()
    imap.folders["Copies"] = []
    async with rig(mailbox=imap) as mail:
        notes = await mail.adapter.check()
        assert [note for note in notes if note.level == "fault"] == []
        assert mail.smtp.taken == []
        assert not [c for c in imap.commands if c.startswith(("SELECT", "CREATE", "UID"))]
        del imap.folders["Copies"]
        mail.smtp.says = {"RCPT": "550 5.1.1 nobody"}
        faults = [note.said for note in await mail.adapter.check() if note.level == "fault"]
    assert len(faults) == 2
    assert all(fault.remedy() and fault.remedy("fr") for fault in faults)
    async with rig(imap={"password": "autre"}) as mail:
        faults = [note.said for note in await mail.adapter.check() if note.level == "fault"]
    assert len(faults) == 1


@pytest.mark.parametrize("tls", [True, False])
async def test_check_tells_when_a_port_speaks_tls(tmp_path: Path, tls: bool) -> None:
    """A server of TLS waits for us to begin; one in the clear begins with words that are no TLS."""
    certificate(tmp_path, "ca")
    certificate(tmp_path, "gru", by="ca")
    known = Network(private=True, ca=str(tmp_path / "ca.pem"))
    served = _served(tmp_path, "gru") if tls else None
    smtp, imap = SimulatedSmtp(), SimulatedImap()
    async with listening(smtp.serve, served) as there, listening(imap.serve, served) as box:
        ending = "" if tls else "s"
        chosen = options(
            smtp={"url": f"smtp{ending}://localhost:{there}", "clear": False},
            imap={"url": f"imap{ending}://localhost:{box}", "clear": False},
        )
        wanted = "sur ce port il parle TLS d'emblée" if tls else "il commence en clair"
        for timeout in (0.3, 3.0, 30.0) if tls else (30.0,):  # the machine may be busy
            notes = await adapter_of(chosen, known, timeout=timeout).check()
            faults = [note.said.what("fr") for note in notes if note.level == "fault"]
            if len([fault for fault in faults if wanted in fault]) == 2:
                break
    assert len(faults) == 2
    assert all(wanted in fault for fault in faults), faults


@pytest.mark.parametrize("size", ["²", "٣٤٥", "", "-1", "9" * 400])
async def test_a_size_that_is_no_number_bounds_nothing(size: str) -> None:
    server = SimulatedSmtp(says={"EHLO": f"250-vm\r\n250-SIZE {size}\r\n250 HELP"})
    async with rig(server) as mail:
        assert isinstance(await mail.adapter.submit(SUBMISSION), Accepted)
        notes = await mail.adapter.check()
    assert not [note for note in notes if note.level == "fault" and "SMTP" in note.said.what()]


async def test_a_server_that_repeats_us_is_told_without_names_and_secrets() -> None:
    letter = file(b"%PDF-1.4", filename="CNI_Zoe_Inventee.pdf")
    sent = Submission(REFERENCE, {"subject": "Nid", "body": "Rue de l'Invention"}, [letter])
    said = "554 CNI_Zoe_Inventee.pdf =?utf-8?q?Zo=C3=A9_I?= pass gateway-test key cle-d-essai"
    async with rig(SimulatedSmtp(says={"dot": said})) as mail:
        outcome = await mail.adapter.submit(sent)
    assert isinstance(outcome, Refused)
    assert outcome.answer is not None
    for word in ("Zoe", "Inventee", "CNI", "Zo=", "gateway", "cle", "essai"):
        assert word not in outcome.answer, word
    assert "pass" in outcome.answer
