"""`check` of what the gateway itself is given: object store, scanner, mail relay, database."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from gateway.catalogue.alerting import TELLING
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.ticketing import TICKETING
from gateway.cli.keys_texts import places
from gateway.cli.texts import say
from gateway.core.errors import ConfigurationFault, GatewayError, Unavailable
from gateway.core.messages import Message
from gateway.flow.alerts import try_channels
from gateway.flow.antivirus import try_scanner
from gateway.flow.attachments import attempt, open_objects
from gateway.flow.far_ends import MAIL, FarEnds
from gateway.flow.masters import MasterKeeper, keeper_of
from gateway.flow.sealing import open_sealer
from gateway.sdk import Accepted, Note
from gateway.store.postgres import PoolerFound, require_sessions
from gateway.wire.vault import VaultFailure

#: The key of `mail` that each failure is about; `host` for the others.
_RELAY_KEYS: Final = {
    "access_denied": "username",
    "refused": "from",
    "connection_refused": "port",
    "timeout": "port",
    "not_tls": "tls",
    "tls_refused": "tls",
    "unknown_authority": "tls",
    "wrong_certificate": "tls",
}


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One finding about a far end."""

    far_end: str
    level: Literal["ok", "warning", "fault"]
    said: Message
    #: The key of its options that it is about, and where that stands.
    at: tuple[str | int, ...] = ()
    place: str = ""


async def check_attachments(catalogue: Catalogue) -> list[CheckLine]:
    objects = open_objects(catalogue.settings.attachments)
    if objects is None:
        return []
    try:
        await attempt(objects)
    except Unavailable as error:
        return [CheckLine("attachments", "fault", error.said)]
    if not objects.thorough:
        return [CheckLine("attachments", "warning", say("objects_keep"))]
    return [CheckLine("attachments", "ok", say("objects_tried"))]


async def check_antivirus(catalogue: Catalogue) -> list[CheckLine]:
    clamd = catalogue.settings.antivirus
    if clamd is None:
        return []
    try:
        version, finds = await try_scanner(clamd, catalogue.settings.limits.max_file_bytes)
    except Unavailable as error:
        return [CheckLine("antivirus", "fault", error.said)]
    if not finds:
        return [CheckLine("antivirus", "fault", say("antivirus_blind", version=version))]
    return [CheckLine("antivirus", "ok", say("antivirus_finds", version=version))]


async def check_mail(far_ends: FarEnds) -> list[CheckLine]:
    relay = far_ends.mail_relay()
    if relay is None:
        return []
    outcome = await relay.try_sender()
    if isinstance(outcome, Accepted):
        return [CheckLine(MAIL, "ok", say("relay_takes", sender=relay.settings.sender))]
    note = Note.fault(say("relay"), outcome)
    at = _RELAY_KEYS.get(getattr(outcome, "reason", ""), "host")
    if at == "tls" and relay.settings.network.ca is not None:
        return [CheckLine(MAIL, "fault", note.said, ("network", "ca"))]
    return [CheckLine(MAIL, "fault", note.said, (at,))]


async def check_telling(far_ends: FarEnds) -> list[CheckLine]:
    """Ask the server of each channel whether it is there: nobody is told anything."""
    lines = []
    for name, outcome in (await try_channels(far_ends)).items():
        at = ("channels", name)
        if isinstance(outcome, Accepted):
            lines.append(CheckLine(TELLING, "ok", say("channel_answers", name=name), at))
        else:
            said = Note.fault(say("channel", name=name), outcome).said
            lines.append(CheckLine(TELLING, "fault", said, at))
    return lines


async def check_ticketing(far_ends: FarEnds) -> list[CheckLine]:
    """Ask the tool of the tickets."""
    tool = far_ends.ticketing
    if tool is None:
        return []
    notes = await tool.check()
    return [CheckLine(TICKETING, one.level, one.said, ("options", *one.at)) for one in notes]


async def check_database(catalogue: Catalogue) -> list[CheckLine]:
    url = catalogue.settings.database.get_secret_value()
    if not url.startswith("postgres"):
        return []
    try:
        await asyncio.to_thread(require_sessions, url)
    except PoolerFound:
        return [CheckLine("database", "fault", say("pooled"))]
    return []


async def check_sealing(catalogue: Catalogue) -> list[CheckLine]:
    try:
        sealer = await asyncio.to_thread(open_sealer, catalogue.settings)
    except ConfigurationFault as error:
        return [CheckLine("sealing", "fault", one.said) for one in error.faults]
    except GatewayError as error:
        return [CheckLine("sealing", "fault", error.said)]
    try:
        lines = await _vault_lines(keeper_of(sealer))
    except VaultFailure as error:
        return [CheckLine("sealing", "fault", error.said)]
    finally:
        sealer.close()
    return lines + [CheckLine("sealing", "ok", said) for said in places(catalogue.settings)]


async def _vault_lines(keeper: MasterKeeper | None) -> list[CheckLine]:
    """Ask the key service for all that a daemon asks it. Raises VaultFailure."""
    lines: list[CheckLine] = []
    for remote, facts in [] if keeper is None else await keeper.inspect():
        lines.append(CheckLine("sealing", "ok", say("vault_wraps", id=remote.id, n=facts.newest)))
        if not facts.guarded:
            lines.append(CheckLine("sealing", "warning", say("vault_gives_out", id=remote.id)))
        if facts.deletable:
            lines.append(CheckLine("sealing", "warning", say("vault_deletes", id=remote.id)))
    token = None if keeper is None else keeper.state.token
    if token is not None and not token.lasting and token.ends is not None:
        ends = f"{token.ends:%Y-%m-%d %H:%M} UTC"
        lines.append(CheckLine("sealing", "warning", say("vault_token_ends", ends=ends)))
    return lines


__all__ = [
    "CheckLine",
    "check_antivirus",
    "check_attachments",
    "check_database",
    "check_mail",
    "check_sealing",
    "check_telling",
    "check_ticketing",
]
