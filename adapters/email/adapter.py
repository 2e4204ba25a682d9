"""The adapter: one commune that takes requests by mail, and answers by mail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

from adapters.email.checking import check_servers
from adapters.email.composing import (
    Letter,
    MailTexts,
    composed,
    filed,
    letter_words,
    read_files,
    with_links,
)
from adapters.email.mailbox import CommandRefused, Mailbox, MailboxFailed, open_mailbox
from adapters.email.options import Copies, EmailOptions, Imap
from adapters.email.polling import MailPoll
from adapters.email.reasons import REASONS
from adapters.email.sending import MailServer
from adapters.email.texts import say
from adapters.email.tokens import Tokens
from gateway.sdk import (
    Absent,
    Accepted,
    Adapter,
    Amendment,
    CannotTell,
    Capabilities,
    Changes,
    Connector,
    Context,
    EventKind,
    FileLinks,
    Files,
    Finding,
    Found,
    Note,
    Options,
    Outcome,
    Refused,
    Submission,
    Tracked,
    beside,
    cannot_tell,
    rehearse,
    secrets_in,
)

#: The text of an event for which the mapping gives none.
WORDLESS: Mapping[EventKind, str] = {
    EventKind.MESSAGE: "L’usager a écrit.",
    EventKind.DOCUMENT: "L’usager a ajouté une pièce jointe.",
    EventKind.CHANGE: "L’usager a modifié sa demande.",
    EventKind.CANCELLATION: "L’usager a annulé sa demande.",
}
#: The order that the commune gets about an erased person's request.
ERASE = """\
L’usager a supprimé son compte, ou demandé l’effacement de ses données.

Effacer ou anonymiser cette demande : les messages de ce fil, leurs pièces jointes, leurs copies, et
ce qui en a été repris dans vos outils ou transmis à d’autres services.

Puis dire à la Métropole ce qui a été fait. Si une règle impose de conserver ces données, dire
laquelle, jusqu’à quelle date, et qui l’a décidé.
"""
_ERASURE = "effacement"


class EmailAdapter(Adapter):
    """Sends each request as one message, and each later event as one more in its thread.

    The commune gives no number: a request is known by our reference.
    """

    kind: ClassVar[str] = "email"
    version: ClassVar[str | None] = "1"
    Options: ClassVar[type[Options]] = EmailOptions
    reasons = REASONS

    def __init__(self, options: EmailOptions, context: Context) -> None:
        super().__init__(options, context)
        self._options = options
        keys = [key.get_secret_value() for key in options.key]
        self._tokens = Tokens(keys, options.sender)
        name = f"{context.commune}.{context.instance}"
        self.links = self._links = FileLinks(name, keys, context.public_url, options.link)

    @property
    def capabilities(self) -> Capabilities:
        events = frozenset(WORDLESS)
        finds = self._options.find is not None
        return Capabilities(
            find=finds,
            find_amend=events if finds else frozenset(),
            files=Files.WITHIN,
            amends=events,
            statuses=self._options.replies is not None,
            asks_to_erase=True,
            sends_reference=True,
        )

    async def check(self) -> Sequence[Note]:
        connector = self.context.connector
        if connector is None:
            return [Note("ok", say("smtp"))]
        server = self._server(connector)
        production = self.context.production
        in_clear = production and self.context.public_url.startswith("http://")
        return await check_servers(
            self._options, server, connector, production=production, in_clear=in_clear
        )

    async def submit(self, submission: Submission) -> Outcome:
        words = letter_words(submission.payload, self._options)
        if isinstance(words, Refused):
            return words
        message_id = self._tokens.message_id(submission.reference)
        letter = self._letter(words, submission, message_id, None)
        outcome = await self._send(letter)
        if isinstance(outcome, Accepted):
            return Accepted(submission.reference, proof={"message_id": message_id})
        return outcome

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        found = await self._find(self._tokens.message_id(reference))
        return Found(reference) if isinstance(found, Found) else found

    async def amend(self, amendment: Amendment) -> Outcome:
        text = amendment.message or WORDLESS.get(amendment.kind, "")
        words = letter_words(
            amendment.payload,
            self._options,
            subject=f"Demande {amendment.reference}",
            text=text,
        )
        if isinstance(words, Refused):
            return words
        message_id = self._tokens.message_id(amendment.reference, amendment.key)
        thread = self._tokens.message_id(amendment.reference)
        letter = self._letter(words, amendment, message_id, thread)
        outcome = await self._send(letter)
        if isinstance(outcome, Accepted):
            return Accepted(amendment.gru_reference or None, proof={"message_id": message_id})
        return outcome

    async def ask_to_erase(self, reference: str, gru_reference: str | None) -> Outcome:
        words = letter_words({}, self._options, subject="Effacement demandé", text=ERASE)
        if isinstance(words, Refused):
            return words
        subject = f"{words.subject} [{reference}]"
        message_id = self._tokens.message_id(reference, _ERASURE)
        thread = self._tokens.message_id(reference)
        reply_to = self._tokens.address(reference)
        return await self._send(
            Letter(words.to, subject, words.text, reply_to, reference, message_id, thread)
        )

    async def find_amend(self, amendment: Amendment) -> Finding:
        return await self._find(self._tokens.message_id(amendment.reference, amendment.key))

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        options, connector = self._options, self.context.connector
        if options.imap is None or options.replies is None or connector is None:
            return Changes(cursor=cursor)
        poll = MailPoll(options, options.imap, options.replies, self._tokens, connector)
        return await poll.run(cursor)

    def _letter(
        self, words: MailTexts, sent: Submission | Amendment, message_id: str, thread: str | None
    ) -> Letter:
        subject, text, reference = words.subject, words.text, sent.reference
        if sent.filing is not None:
            service = self._options.services.get(sent.filing.teleservice, self._options.service)
            text = f"{text}\n\n{filed(sent.filing, service)}"
        if reference not in subject:
            subject = f"{subject} [{reference}]"
        reply_to = self._tokens.address(reference)
        letter = Letter(
            words.to, subject, text, reply_to, reference, message_id, thread, tuple(sent.files)
        )
        if not self.context.public_url:
            return letter
        return with_links(letter, self._options.max_bytes, self._links, self.context.now())

    async def _send(self, letter: Letter) -> Outcome:
        if letter.size > self._options.max_bytes:
            limit = self._options.max_mb
            return Refused("message_too_large", f"{letter.size / 1e6:.1f} MB, of {limit:g}")
        options, connector = self._options, self.context.connector
        if connector is None:
            said = {"subject": letter.subject, "text": letter.whole_text}
            return await rehearse(self.context.client, letter.to, said, letter.files)
        read = await read_files(letter.files)
        now = self.context.now()
        size = len(letter.whole_text) + sum(map(len, read))
        message = await beside(size, partial(composed, letter, read, options, now))
        copies = [options.copy_to] if options.copy_to is not None else []
        # Filters name the files that they refuse.
        words = [letter.subject, letter.whole_text, *(one.filename for one in letter.files)]
        words += secrets_in(options)
        # Mail that cannot be delivered comes back to the request's own address.
        return await self._server(connector).send(
            message, letter.reply_to, [letter.to, *copies], words
        )

    def _server(self, connector: Connector) -> MailServer:
        own_name = self._options.sender.rpartition("@")[2]
        return MailServer(self._options.smtp, connector, own_name)

    async def _find(self, message_id: str) -> Finding:
        options, connector = self._options, self.context.connector
        if options.find is None or options.imap is None or connector is None:
            return CannotTell("no_find", "copies are not filed: see copy_to and find", forever=True)
        return await find_copy(options.imap, options.find, message_id, connector)


async def find_copy(imap: Imap, copies: Copies, message_id: str, connector: Connector) -> Finding:
    """Look for a copy of the message, by its Message-ID.

    The inbox comes first, then the folder of copies: so a copy that is moved meanwhile is seen.
    Each hit is read, since a server may ignore the search.
    """
    try:
        async with open_mailbox(imap, connector) as mailbox:
            others = False
            for folder in dict.fromkeys((imap.folder, copies.folder)):
                try:
                    await mailbox.open(folder)
                    uids = await mailbox.search("Message-ID", message_id)
                except CommandRefused:
                    if folder == imap.done:
                        continue  # the first message that goes there makes it
                    return CannotTell("no_such_folder", folder)
                for uid in uids[-20:]:
                    if await _is_it(mailbox, uid, message_id):
                        return Found()
                others = others or bool(uids)
            if others:
                return CannotTell("filter_ignored", "the mailbox finds other messages", True)
            return Absent(copies.settle)
    except MailboxFailed as error:
        return cannot_tell(error.outcome)


async def _is_it(mailbox: Mailbox, uid: int, message_id: str) -> bool:
    head = await mailbox.part(uid, "HEADER.FIELDS (MESSAGE-ID)", 2000)
    return head is not None and message_id in head.decode("ascii", "replace")


__all__ = ["EmailAdapter", "find_copy"]
