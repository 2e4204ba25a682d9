"""The mail adapter over small servers, connected to as the daemon connects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from adapters.email import EmailAdapter, EmailOptions
from adapters.email.tokens import Tokens
from gateway.sdk import Context
from gateway.sdk.under_test import NOW, REFERENCE
from gateway.wire.budget import budget
from gateway.wire.network import Network
from gateway.wire.sockets import NetworkConnector
from tests.adapters.mail_servers import SimulatedImap, SimulatedSmtp, listening

KEY, PASSWORD = "cle-d-essai", "gateway-test"
TOKENS = Tokens([KEY], "demandes@relais.exemple.fr")
ADDRESS = TOKENS.address(REFERENCE)
LOOPBACK = Network(named=frozenset({"127.0.0.1"}))
PROVEN = "mx.relais.exemple.fr; dmarc=pass header.from=bron.exemple.fr"


def options(smtp_port: int = 1, imap_port: int = 1, **more: Any) -> EmailOptions:
    return EmailOptions.model_validate(options_of(smtp_port, imap_port, **more))


def options_of(smtp_port: int = 1, imap_port: int = 1, **more: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "smtp": {"url": f"smtp://127.0.0.1:{smtp_port}", "clear": True},
        "from": "demandes@relais.exemple.fr",
        "to": "gru@bron.exemple.fr",
        "recipients": {"voirie": "voirie@bron.exemple.fr"},
        "copy_to": "copies@relais.exemple.fr",
        "key": KEY,
        "imap": {
            "url": f"imap://127.0.0.1:{imap_port}",
            "clear": True,
            "username": "demandes",
            "password": PASSWORD,
        },
        "find": {"folder": "Copies", "settle": 60},
        "replies": {
            "host": "mx.relais.exemple.fr",
            "domains": ["bron.exemple.fr"],
            "words": ["clos", "en-cours"],
            "public": True,
        },
    }
    for name, value in more.items():
        both = isinstance(value, dict) and isinstance(known.get(name), dict)
        known[name] = {**known[name], **value} if both else value
    return known


def connector(network: Network = LOOPBACK, timeout: float = 10) -> NetworkConnector:
    return NetworkConnector(timeout, network, budget(), "69029", "gru:69029/main", lambda at: None)


def adapter_of(
    chosen: EmailOptions,
    network: Network = LOOPBACK,
    timeout: float = 10,
    public_url: str = "",
) -> EmailAdapter:
    client = httpx.AsyncClient(transport=httpx.MockTransport(_no_http))
    lent = connector(network, timeout)
    context = Context(
        "69029", "main", client, lambda: NOW, False, connector=lent, public_url=public_url
    )
    return EmailAdapter(chosen, context)


def _no_http(request: httpx.Request) -> httpx.Response:
    raise AssertionError("the mail adapter makes no HTTP call")


@dataclass
class MailRig:
    adapter: EmailAdapter
    smtp: SimulatedSmtp
    imap: SimulatedImap


@asynccontextmanager
async def rig(
    server: SimulatedSmtp | None = None,
    mailbox: SimulatedImap | None = None,
    timeout: float = 10,
    public_url: str = "",
    **more: Any,
) -> AsyncIterator[MailRig]:
    smtp, imap = server or SimulatedSmtp(), mailbox or SimulatedImap()
    async with listening(smtp.serve) as there, listening(imap.serve) as box:
        chosen = options(there, box, **more)
        adapter = adapter_of(chosen, timeout=timeout, public_url=public_url)
        yield MailRig(adapter, smtp, imap)


def reply(
    body: str = "C'est pris.\n\n> --- Répondre au-dessus de cette ligne ---\n> Un nid de poule\n",
    *,
    to: str = ADDRESS,
    results: str = PROVEN,
    sender: str = "Agent <agent@bron.exemple.fr>",
    message_id: str = "<1@bron.exemple.fr>",
    kind: str = 'text/plain; charset="utf-8"',
    **more: str,
) -> bytes:
    """A message as Dovecot keeps it after OpenSMTPD took it."""
    fields = [
        f"Return-Path: {more.pop('path', '<agent@bron.exemple.fr>')}",
        f"Delivered-To: {to}",
        f"Received: from x by vm (OpenSMTPD) with ESMTP id 19924408 for <{to}>;",
        f"Authentication-Results: {results}",
        f"From: {sender}",
        f"To: {to}",
        f"Message-ID: {message_id}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in more.items()),
        "MIME-Version: 1.0",
        f"Content-Type: {kind}",
        "Content-Transfer-Encoding: 8bit",
    ]
    return ("\r\n".join(fields) + "\r\n\r\n" + body.replace("\n", "\r\n")).encode()
