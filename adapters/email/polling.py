"""One poll of the mailbox: what came since the last one, told once, and then put away.

The cursor (JSON) is what the gateway kept together with what the poll before told: `uid`, up to
where the folder was read, good for `validity` alone, and `done` and `person`, the messages of then.
So they are moved now that all that they said is on disk, and not before. Whatever is read twice
meanwhile is known by its Message-ID.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from adapters.email.mailbox import (
    CommandRefused,
    FolderState,
    ListedMessage,
    Mailbox,
    MailboxFailed,
    open_mailbox,
)
from adapters.email.options import EmailOptions, Imap, Replies
from adapters.email.reading import (
    UNDELIVERED,
    MailKind,
    MessageHead,
    read_head,
    read_reply,
    reports_failure,
)
from adapters.email.tokens import Tokens
from gateway.sdk import (
    Change,
    Changes,
    Connector,
    Misconfigured,
    Outcome,
    Patience,
    TookTooLong,
    TryLater,
    beside,
    read_cursor,
)

#: Messages read by one poll, and the width of one question about what there is.
MOST, _WINDOW = 200, 1000
#: So many messages that could not be moved are remembered.
_REMEMBERED: Final = 1000
#: Bytes of a head; of a message that is too large for its files, or of a report.
_HEAD, _BEGINNING = 65_536, 262_144
#: Seconds that a session may take; a poll has more, in several.
_SESSION: Final = 120.0


@dataclass(slots=True)
class PollState:
    """The cursor, read."""

    validity: int = 0
    uid: int = 0
    done: list[int] = field(default_factory=list)
    person: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> PollState:
        """Read the cursor; an unreadable one begins anew, as repeats are known by their keys."""
        raw = read_cursor(cursor)
        uids = {name: _uids(raw.get(name)) for name in ("done", "person")}
        validity, uid = (_uids([raw.get(name)]) for name in ("validity", "uid"))
        return cls(sum(validity), sum(uid), **uids)

    def write(self) -> str:
        value = {"validity": self.validity, "uid": self.uid}
        lists = {"done": self.done[-_REMEMBERED:], "person": self.person[-_REMEMBERED:]}
        return json.dumps(value | {name: uids for name, uids in lists.items() if uids})


def _uids(raw: object) -> list[int]:
    found = raw if isinstance(raw, list) else []
    return [one for one in found if isinstance(one, int) and 0 < one < 1 << 32]


class MailPoll:
    """One poll. What was read before a failure is kept, and so is the cursor up to there."""

    def __init__(
        self,
        options: EmailOptions,
        imap: Imap,
        replies: Replies,
        tokens: Tokens,
        connector: Connector,
    ) -> None:
        self._options = options
        self._imap = imap
        self._replies = replies
        self._tokens = tokens
        self._connector = connector
        self._items: list[Change] = []
        self._patience = Patience()

    async def run(self, cursor: str | None) -> Changes:
        state = PollState.read(cursor)
        failure: Outcome | None = None
        try:
            async with open_mailbox(self._imap, self._connector, seconds=_SESSION) as mailbox:
                try:
                    folder = await mailbox.open(self._imap.folder, altering=True)
                except CommandRefused:
                    raise MailboxFailed(_no_folder(self._imap.folder)) from None
                if folder.validity != state.validity:
                    state = PollState(folder.validity)
                stuck = await self._put_away(mailbox, state)
                failure = await self._read(mailbox, folder, state) or stuck
                waiting = await self._waiting(mailbox) + len(state.person)
            if failure is None and waiting:
                failure = Misconfigured("mail_for_a_person", f"{waiting} messages")
        except MailboxFailed as error:
            failure = error.outcome
        known = state.write() if state.validity else cursor
        return Changes(self._items, known, failure, asked=())

    async def _put_away(self, mailbox: Mailbox, state: PollState) -> Outcome | None:
        """Move what the poll before told; what cannot be moved stays to be moved, and is told."""
        failure: Outcome | None = None
        for uids, folder in ((state.done, self._imap.done), (state.person, self._imap.person)):
            if uids:
                try:
                    await mailbox.move(uids, folder)
                    uids.clear()
                except CommandRefused:
                    failure = Misconfigured("not_moved", folder)
        return failure

    async def _waiting(self, mailbox: Mailbox) -> int:
        try:
            return await mailbox.count(self._imap.person)
        except CommandRefused:
            return 0

    async def _read(
        self, mailbox: Mailbox, folder: FolderState, state: PollState
    ) -> Outcome | None:
        """Read what is new, in its order; `state` is moved up to what was read."""
        read = refused = 0
        while state.uid + 1 < folder.next_uid:
            last = min(state.uid + _WINDOW, folder.next_uid - 1)
            for one in await mailbox.listed(state.uid + 1, last):
                if read >= MOST or self._patience.over:
                    return TryLater("poll_too_long", f"{read} messages were read, more wait")
                try:
                    await self._read_message(mailbox, one, state)
                    refused = 0
                except CommandRefused:
                    # One that the server cannot give is for a person; of more, it is the server.
                    refused += 1
                    if refused > 1:
                        raise
                    state.person.append(one.uid)
                state.uid = one.uid
                read += 1
            state.uid = last
        return None

    async def _read_message(self, mailbox: Mailbox, one: ListedMessage, state: PollState) -> None:
        content = await mailbox.part(one.uid, "HEADER", _HEAD)
        if content is None:
            return  # somebody has taken it away meanwhile
        where = f"{state.validity}.{one.uid}"
        head = read_head(content, where, self._tokens, self._options)
        kind = head.kind
        if kind is MailKind.REPORT:
            kind = await self._report(mailbox, one, head)
        elif kind is MailKind.REPLY:
            kind = await self._reply(mailbox, one, head)
        away = kind in (MailKind.REPLY, MailKind.NOBODY)
        (state.done if away else state.person).append(one.uid)

    async def _report(self, mailbox: Mailbox, one: ListedMessage, head: MessageHead) -> MailKind:
        """A delivery report: a person is told of one that says that all is lost."""
        content = await mailbox.part(one.uid, "", _BEGINNING) or b""
        if not reports_failure(content):
            return MailKind.NOBODY
        if head.named is not None:
            told = Change(head.key, reference=head.named.reference, status=UNDELIVERED, at=one.at)
            self._items.append(told)
        return MailKind.PERSON

    async def _reply(self, mailbox: Mailbox, one: ListedMessage, head: MessageHead) -> MailKind:
        named, options = head.named, self._replies
        if named is None:
            return MailKind.PERSON
        whole = one.size <= options.max_mb * 1_000_000
        most = one.size + 1 if whole else _BEGINNING
        content = await mailbox.part(one.uid, "", most) or b""
        try:
            read = partial(read_reply, content, named, options, whole=whole)
            reply = await beside(len(content), read)
        except TookTooLong:
            reply = None  # it would take as long the next time
        if reply is None:
            return MailKind.PERSON
        if reply.status or reply.text or reply.documents or reply.unreadable:
            self._items.append(
                Change(
                    head.key,
                    reference=named.reference,
                    status=reply.status,
                    message=reply.text,
                    public=options.public,
                    at=one.at,
                    documents=reply.documents,
                    unreadable=reply.unreadable,
                )
            )
        return MailKind.REPLY


def _no_folder(name: str) -> Misconfigured:
    return Misconfigured("no_such_folder", name)


__all__ = ["MailPoll", "PollState"]
