"""One poll of the mailbox: new messages are told once, and moved by the next poll.

The gateway stores the cursor (JSON) together with the changes of the same poll. `uid` is the last
message read, and holds for `validity` alone. `done` and `person` are the messages of that poll: the
next poll moves them, since their changes are on disk by then. A message that is read twice
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

#: Messages read by one poll; UIDs of one listing.
MOST, _WINDOW = 200, 1000
#: Messages that a cursor remembers until they are moved.
_REMEMBERED: Final = 1000
#: Bytes read of a header; bytes read of a report, or of a message too large to be read whole.
_HEAD, _BEGINNING = 65_536, 262_144
#: Seconds of one session; a poll may take several.
_SESSION: Final = 120.0


@dataclass(slots=True)
class PollState:
    """The cursor of the poll."""

    validity: int = 0
    uid: int = 0
    done: list[int] = field(default_factory=list)
    person: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str | None) -> PollState:
        """Read the cursor. An unreadable one begins anew: repeats are known by their keys."""
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
    """One poll. A failure keeps the changes read so far, and the cursor up to there."""

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
        """Move the messages of the last poll; return a failure for those that cannot be moved."""
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
            return  # somebody has moved it meanwhile
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
        """Read a delivery report; one of a final failure is for a person."""
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
            reply = None  # the next poll would take as long
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
