"""`check`: do the servers fit the options? Nothing is sent, and nothing moved."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from adapters.email.mailbox import CommandRefused, Mailbox, MailboxFailed, open_mailbox
from adapters.email.options import EmailOptions, Imap, server_of
from adapters.email.sending import MailServer
from adapters.email.texts import say
from gateway.sdk import Accepted, Connector, Misconfigured, Note, Outcome, TryLater, Unreached

#: Seconds that a server has for the TLS handshake of a trial connection.
_HANDSHAKE = 5.0


async def check_servers(
    options: EmailOptions,
    server: MailServer,
    connector: Connector,
    *,
    production: bool,
    in_clear: bool = False,
) -> Sequence[Note]:
    """Try both servers and each recipient. `in_clear`: our links are not https."""
    notes: list[Note] = []
    aloud = not production
    for what, one in (("SMTP", options.smtp), ("IMAP", options.imap)):
        if one is not None and one.clear:
            notes.append(Note("warning" if production else "ok", say("in_the_clear", what=what)))
    extra = [options.copy_to] if options.copy_to else []
    for address in dict.fromkeys([options.to, *options.recipients.values(), *extra]):
        outcome, size = await server.try_recipient(options.sender, address)
        if not isinstance(outcome, Accepted):
            outcome = await _of_the_port(outcome, options.smtp.url, connector)
            notes.append(Note.fault(say("smtp"), outcome, aloud=aloud))
            break  # the others would most often fail in the same way
        notes.append(Note("ok", say("smtp_takes", address=address)))
        if 0 < size < options.max_bytes:
            said = say("smtp_limit", size=f"{size / 1e6:.1f}", limit=f"{options.max_mb:g}")
            notes.append(Note("warning", said))
            break
    if options.imap is not None:
        notes += await _mailbox(options, options.imap, connector)
    if options.service is None:
        notes.append(Note("warning", say("no_service")))
    if in_clear:
        notes.append(Note("warning", say("links_in_the_clear")))
    if options.find is None:
        notes.append(Note("warning", say("lost_reply")))
    if options.replies is None:
        notes.append(Note("warning", say("no_replies")))
    return notes


async def _mailbox(options: EmailOptions, imap: Imap, connector: Connector) -> list[Note]:
    try:
        async with open_mailbox(imap, connector) as mailbox:
            notes = [await _folder(mailbox, imap.folder)]
            if options.find is not None:
                notes.append(await _folder(mailbox, options.find.folder))
            if options.replies is not None:
                notes += [await _made_later(mailbox, name) for name in (imap.done, imap.person)]
                if not mailbox.abilities & {"MOVE", "UIDPLUS"}:
                    notes.append(Note("warning", say("no_move")))
            return notes
    except MailboxFailed as error:
        outcome = await _of_the_port(error.outcome, imap.url, connector)
        return [Note.fault(say("imap"), outcome)]


async def _of_the_port(failure: Outcome, url: str, connector: Connector) -> Outcome:
    """Return the failure, or the one behind it: the port speaks TLS from its first byte, and the
    address says otherwise, or the reverse."""
    reason = getattr(failure, "reason", "")
    if url.partition(":")[0] in ("smtps", "imaps"):
        return Misconfigured("tls_later") if reason == "not_tls" else failure
    silent = reason in ("timeout", "no_answer", "unreadable_answer")
    if silent and isinstance(failure, TryLater) and await _begins_with_tls(url, connector):
        return Misconfigured("tls_at_once")
    return failure


async def _begins_with_tls(url: str, connector: Connector) -> bool:
    server = server_of(url)
    tls = await connector.tls()
    try:
        async with (
            asyncio.timeout(_HANDSHAKE),
            connector.connection(server.host, server.port) as connected,
        ):
            _, writer = await asyncio.open_connection(
                sock=connected, ssl=tls, server_hostname=server.host
            )
            writer.transport.abort()
    except ssl.SSLCertVerificationError:
        return True
    except (Unreached, TimeoutError, OSError):
        return False
    return True


async def _folder(mailbox: Mailbox, name: str) -> Note:
    try:
        count = (await mailbox.open(name)).exists
    except CommandRefused:
        return Note.fault(say("imap"), Misconfigured("no_such_folder", name))
    return Note("ok", say("folder", name=name, count=count))


async def _made_later(mailbox: Mailbox, name: str) -> Note:
    try:
        return Note("ok", say("folder", name=name, count=await mailbox.count(name)))
    except CommandRefused:
        return Note("ok", say("folder_missing", name=name))


__all__ = ["check_servers"]
