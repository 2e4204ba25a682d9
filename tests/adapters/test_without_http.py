"""The matrix of the adapters that speak no HTTP: mail, SFTP, and the demonstration's.

Checks that play faults of HTTP do not apply to them. What they promise of a lost reply, a cut line
or an answer without end is shown over their own protocols: test_email_sending, test_email_replies,
test_sftp, test_demo.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import respx

from adapters.demo import DemoAdapter
from adapters.email import EmailAdapter
from adapters.sftp import SftpAdapter
from gateway.sdk import Adapter
from gateway.sdk.conformance import REFERENCE, AdapterConformance
from tests.adapters import email_rig, sftp_servers
from tests.adapters.mail_servers import SimulatedImap, SimulatedSmtp

Built = AsyncIterator[tuple[Adapter, respx.MockRouter]]


class TestEmail(AdapterConformance):
    """Mail goes out by SMTP, and copies are found by IMAP."""

    adapter_class = EmailAdapter
    speaks_http = False
    secrets = (email_rig.KEY, email_rig.PASSWORD)
    personal = ("Zoé Fictive-Exemple",)
    gru_reference = REFERENCE

    def options(self) -> dict[str, Any]:
        return email_rig.options_of()

    def payload(self) -> Mapping[str, Any]:
        return {"subject": "Nid de poule", "body": "De Zoé Fictive-Exemple"}

    @asynccontextmanager
    async def built(self, **options: Any) -> Built:
        self.mailbox = SimulatedImap()
        self.mailbox.folders["Copies"] = []
        async with email_rig.rig(SimulatedSmtp(), self.mailbox, **options) as mail:
            yield mail.adapter, respx.MockRouter()

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        """The server takes all mail."""

    def far_end_well(self, router: respx.MockRouter) -> None:
        """The servers have nothing to complain of."""

    def far_end_holds(self, router: respx.MockRouter) -> None:
        copy = f"Message-ID: {email_rig.TOKENS.message_id(REFERENCE)}\r\n\r\n"
        self.mailbox.add(copy, "Copies")

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        """The folders are empty."""


class TestSftp(AdapterConformance):
    """Requests are folders on a server."""

    adapter_class = SftpAdapter
    speaks_http = False
    secrets = (sftp_servers.private("client"),)
    personal = ("Zoé Fictive-Exemple",)
    gru_reference = REFERENCE

    def options(self) -> dict[str, Any]:
        return sftp_servers.options_of(22)

    def payload(self) -> Mapping[str, Any]:
        return {"objet": "Nid de poule", "usager": "Zoé Fictive-Exemple"}

    @asynccontextmanager
    async def built(self, **options: Any) -> Built:
        with tempfile.TemporaryDirectory() as name:
            self.folder = Path(name)
            (self.folder / "demandes").mkdir()
            async with sftp_servers.depot(self.folder) as (_, port):
                yield sftp_servers.adapter_of(port, **options), respx.MockRouter()

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        """The server takes all folders."""

    def far_end_well(self, router: respx.MockRouter) -> None:
        """The folders are there."""

    def far_end_holds(self, router: respx.MockRouter) -> None:
        held = self.folder / "demandes" / REFERENCE
        held.mkdir()
        (held / "manifest.json").write_text(f'{{"reference": "{REFERENCE}"}}')

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        """The folder is empty."""


class TestDemo(AdapterConformance):
    """The demonstration's GRU is a ledger."""

    adapter_class = DemoAdapter
    speaks_http = False
    personal = ("Zoé Fictive-Exemple",)
    gru_reference = "DEMO-0001"

    def options(self) -> dict[str, Any]:
        return {}

    def payload(self) -> Mapping[str, Any]:
        return {"objet": "Nid de poule", "usager": "Zoé Fictive-Exemple"}

    @asynccontextmanager
    async def built(self, **options: Any) -> Built:
        async with super().built(**options) as (adapter, router):
            assert isinstance(adapter, DemoAdapter)
            self.ledger = adapter.ledger
            yield adapter, router

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        """It takes all."""

    def far_end_well(self, router: respx.MockRouter) -> None:
        """It is well."""

    def far_end_holds(self, router: respx.MockRouter) -> None:
        self.ledger.create(REFERENCE)

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        """The ledger is empty."""

    def far_end_erases(self, router: respx.MockRouter) -> None:
        self.ledger.create(REFERENCE)

    def far_end_erased(self, router: respx.MockRouter) -> None:
        """The ledger holds nothing of it."""
