"""Notes for people, over a small mail server."""

from __future__ import annotations

import email
from email.policy import default
from typing import Literal

import pytest
from pydantic import SecretStr

from gateway.core.outcome import Accepted
from gateway.wire.budget import budget
from gateway.wire.mail import MailRelay, MailSettings
from gateway.wire.network import Network
from gateway.wire.sockets import NetworkConnector
from tests.adapters.mail_servers import SimulatedSmtp, listening

TO = ["dsi@commune.exemple", "usagers@commune.exemple"]
LOOPBACK = Network(named=frozenset({"127.0.0.1"}))


def relay(
    port: int,
    network: Network = LOOPBACK,
    timeout: float = 10,
    tls: Literal["starttls", "none"] = "none",
) -> MailRelay:
    settings = MailSettings(
        host="127.0.0.1",
        port=port,
        tls=tls,
        sender="passerelle@metropole.exemple",
        username="passerelle",
        password=SecretStr("mot-de-passe-fictif"),
        network=network,
    )
    lent = NetworkConnector(timeout, network, budget(), "", "mail", lambda at: None)
    return MailRelay(settings, lent)


async def test_a_note_is_handed_over_to_all_in_french() -> None:
    server = SimulatedSmtp()
    async with listening(server.serve) as port:
        sent = await relay(port).send(TO, "Rien n'est relevé", "Bonjour,\n\nà 3 jours.", "x.1")
    assert isinstance(sent, Accepted)
    (taken,) = server.taken
    assert taken.recipients == TO
    read = email.message_from_bytes(taken.content, policy=default)
    assert read["Subject"] == "Rien n'est relevé"
    assert read["Message-ID"] == "<x.1@metropole.exemple>"
    assert read["Auto-Submitted"] == "auto-generated"
    body = read.get_body()
    assert body is not None
    assert body.get_content().splitlines()[2] == "à 3 jours."
    assert any(line.startswith("AUTH") for line in server.heard)


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"AUTH": "535 no"}, "access_denied"),
        ({"RCPT": "550 nobody"}, "refused"),
        ({"MAIL": "451 later"}, "busy"),
        ({"dot": "554 no"}, "refused"),
        ({"greeting": None}, "unreachable"),
        ({"EHLO": "250 vm"}, "tls_refused"),
    ],
)
async def test_what_went_wrong_is_a_reason(says: dict[str, str | None], reason: str) -> None:
    server = SimulatedSmtp(says=says)
    tls: Literal["starttls", "none"] = "starttls" if reason == "tls_refused" else "none"
    async with listening(server.serve) as port:
        sent = await relay(port, tls=tls).send(TO, "x", "y", "n")
    assert getattr(sent, "reason", None) == reason


async def test_a_note_has_seven_bits_a_byte_for_a_relay_that_takes_no_more() -> None:
    server = SimulatedSmtp()
    async with listening(server.serve) as port:
        await relay(port).send(TO, "Incident résolu", "Gravité : élevée\n" * 3, "n")
    assert server.taken[0].content.isascii()


async def test_a_relay_within_is_not_called_unless_it_is_named_so() -> None:
    sent = await relay(1, Network()).send(TO, "x", "y", "n")
    assert getattr(sent, "reason", None) == "private_address"


async def test_a_relay_that_says_nothing_is_given_up() -> None:
    server = SimulatedSmtp(says={"greeting": ""})
    async with listening(server.serve) as port:
        sent = await relay(port, timeout=0.05).send(TO, "x", "y", "n")
    assert getattr(sent, "reason", None) == "timeout"


@pytest.mark.parametrize(
    ("says", "tls", "reason"),
    [
        ({}, "none", None),
        ({"AUTH": "535 no"}, "none", "access_denied"),
        ({"EHLO": "250 vm"}, "none", "access_denied"),
        ({"EHLO": "250 vm"}, "starttls", "tls_refused"),
        ({"MAIL": "550 not you"}, "none", "refused"),
    ],
)
async def test_it_is_tried_without_a_note(
    says: dict[str, str | None], tls: Literal["starttls", "none"], reason: str | None
) -> None:
    server = SimulatedSmtp(says=says)
    async with listening(server.serve) as port:
        tried = await relay(port, tls=tls).try_sender()
    assert getattr(tried, "reason", None) == reason
    assert not any(line.startswith(("RCPT", "DATA")) for line in server.heard)
    assert server.taken == []
