"""`check`: do the servers fit the options? Nothing is sent, and nothing moved."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.email.mailbox import CommandRefused, Mailbox, MailboxFailed, open_mailbox
from adapters.email.options import EmailOptions, Imap
from adapters.email.sending import MailServer
from adapters.email.texts import say
from gateway.sdk import Accepted, Connector, Misconfigured, Note


async def check_servers(
    options: EmailOptions, server: MailServer, connector: Connector, *, production: bool
) -> Sequence[Note]:
    notes: list[Note] = []
    aloud = not production
    for what, one in (("SMTP", options.smtp), ("IMAP", options.imap)):
        if one is not None and one.clear:
            notes.append(Note("warning" if production else "ok", say("in_the_clear", what=what)))
    extra = [options.copy_to] if options.copy_to else []
    for address in dict.fromkeys([options.to, *options.recipients.values(), *extra]):
        outcome, size = await server.try_recipient(options.sender, address)
        if not isinstance(outcome, Accepted):
            notes.append(Note.fault(say("smtp"), outcome, aloud=aloud))
            break  # it would be the same for the others, most of the time
        notes.append(Note("ok", say("smtp_takes", address=address)))
        if 0 < size < options.max_mb * 1_000_000:
            said = say("smtp_limit", size=f"{size / 1e6:.1f}", limit=f"{options.max_mb:g}")
            notes.append(Note("warning", said))
            break
    if options.imap is not None:
        notes += await _mailbox(options, options.imap, connector)
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
        return [Note.fault(say("imap"), error.outcome)]


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
