"""The contract between the gateway and an adapter.

An adapter speaks to one kind of GRU. The gateway builds one instance per GRU of a commune
(`instance`). The instance holds no request between calls, keeps no clock and opens no client:
everything that it needs is in its `Context`. Each method returns an outcome (`gateway.sdk`); an
exception is a bug of the adapter.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import httpx

from gateway.core.messages import Message, Messages, Text, plain
from gateway.core.outcome import (
    Accepted,
    CannotTell,
    Finding,
    Outcome,
    Refused,
    TryLater,
)
from gateway.core.reasons import Reason, of, register
from gateway.core.request import EventKind
from gateway.sdk.filing import Filing
from gateway.sdk.options import Options
from gateway.sdk.version import SDK_VERSION

if TYPE_CHECKING:
    from gateway.sdk.connecting import Connector
    from gateway.sdk.links import FileLinks
    from gateway.sdk.pivot import PivotClient


class Files(StrEnum):
    """The moment at which this GRU takes files: within the creation, each after it, or never."""

    WITHIN = "within"
    AFTER = "after"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The abilities of an adapter instance, given its options.

    `find`: the GRU can be asked for a request by our reference. `find_amend`: the events of which
    it can be asked (by event key) whether it has one. `amends`: the events that it takes.
    `statuses`: it can be polled. `webhook`: it calls us. `erase`: it can erase a person's data.
    `sends_reference`: a creation carries our reference, whatever the mapping does. `repeatable`: an
    event sent twice counts once, so after a lost reply it is sent again. `pulled`: the GRU is not
    called; it fetches its messages. `fed`: it may read its messages again. `pinged`: it answers a
    call without content (`ping`). `asks_to_erase`: it cannot erase, and can ask those for it who
    work there.
    """

    find: bool = False
    find_amend: frozenset[EventKind] = frozenset()
    files: Files = Files.NEVER
    amends: frozenset[EventKind] = frozenset()
    statuses: bool = False
    webhook: bool = False
    erase: bool = False
    sends_reference: bool = False
    repeatable: bool = False
    pulled: bool = False
    fed: bool = False
    pinged: bool = False
    asks_to_erase: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A citizen's file on its way to a GRU. `field` is the form field that it comes from.

    `pieces()` yields its bytes from the start at each call. `read()` returns all bytes at once: for
    small files only. `gateway.sdk.FilePlaceholders` puts a file into a body without holding it in
    memory.
    """

    field: str
    filename: str
    content_type: str
    size: int
    sha256: str
    pieces: Callable[[], AsyncIterator[bytes]]

    async def read(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to create. `payload` is rendered by the mapping; `reference` is our key."""

    reference: str
    payload: Mapping[str, Any]
    files: Sequence[File] = ()
    filing: Filing | None = None


@dataclass(frozen=True, slots=True)
class Amendment:
    """A later event of a request that the GRU knows as `gru_reference`.

    `key` is unique per event: send it along, so that the GRU can be asked about it. A DOCUMENT
    carries exactly one file.
    """

    reference: str
    gru_reference: str
    key: str
    kind: EventKind
    payload: Mapping[str, Any]
    message: str | None = None
    files: Sequence[File] = ()
    filing: Filing | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A file that the GRU gives to the citizen."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """A change that a GRU reports for a request.

    Name the request by `gru_reference` or by our `reference`. If several requests share the GRU's
    number (one ticket for several), all of them are meant. `status` is the GRU's own word (None: a
    note only). `public` False keeps `message` and `documents` from the citizen.

    `key` is the GRU's own number of a note or of a journal entry. A change with a key is told once,
    and its status is a moment of the past, ordered by `at`. Without a key (None) it is the present
    state, or a text without a number: then a poll's status counts whatever `at` is, and a text is
    told once per request. Never build a key from a date, a status or a text: dates move.

    `at` is aware; None when the GRU gives none. No decision depends on it alone: it may be wrong.

    `sender_key` is the key of our own text (`Amendment.key`), when the GRU gives it back. Our own
    texts are never told; texts without this key are recognised by their words.

    `unreadable`: the number of documents that could not be read; an operator is told.

    `more` returns the whole change where parts of it (a text, or files at other addresses) have to
    be fetched. It is called only for a new `key`, and only for parts that the citizen may read. If
    it returns an outcome, the next poll asks again.
    """

    key: str | None = None
    gru_reference: str | None = None
    reference: str | None = None
    status: str | None = None
    message: str | None = None
    public: bool = False
    at: datetime | None = None
    documents: Sequence[Document] = ()
    sender_key: str | None = None
    unreadable: int = 0
    more: Callable[[], Awaitable[Change | Outcome]] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a poll or a webhook. `cursor` is opaque; the next poll gets it back.

    `failure`: the far end could not be read to the end. What was read before it is still in
    `items`, and the cursor may stand after it.

    A poll by number says whom it asked about, by our references: `asked` are those of the tracked
    requests (None: all; empty: it does not ask by number), `seen` are those about which the GRU
    said anything (None: not known). An operator is told of requests that stay unseen. `gone`: the
    GRU does not know them.
    """

    items: Sequence[Change] = ()
    cursor: str | None = None
    failure: Outcome | None = None
    asked: Sequence[str] | None = None
    seen: Sequence[str] | None = None
    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Tracked:
    """A request that a poll asks about. It cannot have changed before `since`.

    Those come first that were not asked about for the longest time. An adapter that cannot ask
    about all asks about the first ones, and says so in `asked`. Ended requests recur from time to
    time.
    """

    reference: str
    gru_reference: str
    since: datetime


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """A call that the GRU made to us, as received. `raw_query` is its query as it was sent, for
    proofs that are made over it. `peer` is the address that its connection comes from, which is a
    proxy's own where one stands in between."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    raw_query: str = ""
    peer: str | None = None


# fmt: off
say = Messages(
    Text("failed", "{what}: {why}", "{cure}", "{what} : {why}", "{cure}"),
    Text("failed_for", "{what}: {why} ({detail})", "{cure}",
         "{what} : {why} ({detail})", "{cure}"),
    Text("look_at_server", "see that the server runs and answers in time", "",
         "vérifier que le serveur fonctionne et répond à temps", ""),
    Text("look_at_logs", "look into the server's logs", "",
         "consulter les journaux du serveur", ""),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Note:
    """One line of `check()`: the thing that was checked, and whether it is well.

    `what` is a message of a table (`gateway.sdk.Messages`) with its remedy, or a plain text with
    `remedy` beside it. `at` is the path of the option that it is about, shown at file:line.
    """

    level: Literal["ok", "warning", "fault"]
    what: Message | str
    remedy: str = ""
    at: tuple[str | int, ...] = ()

    @property
    def said(self) -> Message:
        """Return the note as a message, in either language."""
        return self.what if isinstance(self.what, Message) else plain(self.what, self.remedy)

    @classmethod
    def fault(cls, what: Message | str, failure: Outcome, *, aloud: bool = False) -> Note:
        """Return the fault for a failed call. `aloud` (test instances): with the far end's
        words."""
        if isinstance(failure, Accepted):  # of a call that was to give something
            failure = TryLater("unreadable_answer")
        reason = of(failure.reason)
        words = (failure.detail, failure.answer if aloud else None)
        told = " : ".join(" ".join(word.split()) for word in words if word)
        cure = say("look_at_server" if reason.faire else "look_at_logs")
        cure = reason.said.cure if reason.do else cure
        why = reason.said
        if told:
            return cls("fault", say("failed_for", what=what, why=why, detail=told, cure=cure))
        return cls("fault", say("failed", what=what, why=why, cure=cure))


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that the gateway lends to an adapter instance.

    `client` has the lane's bounds (timeouts, connections). `now` returns the time, aware UTC.
    `production` is False on test instances. `public_url` is our own address for the GRU.
    `connector` is for far ends without HTTP; it is None in cases and previews: report there what
    would be sent (`gateway.sdk.rehearse`).
    """

    commune: str
    instance: str
    client: httpx.AsyncClient
    now: Callable[[], datetime]
    production: bool = True
    extra: Mapping[str, Any] = field(default_factory=dict)
    public_url: str = ""
    connector: Connector | None = None


class Adapter(ABC):
    """One kind of GRU. Subclass it, name `kind`, declare `Options`, register an entry point."""

    kind: ClassVar[str]
    #: The version that communes sign for: raise it when what leaves for the GRU changes. None: the
    #: package's.
    version: ClassVar[str | None] = None
    #: The version of the SDK that it was made for. A package of its own writes it down.
    sdk: ClassVar[str] = SDK_VERSION
    Options: ClassVar[type[Options]]
    #: Words of its outcomes that `gateway.core.reasons` does not hold.
    reasons: ClassVar[Sequence[Reason]] = ()
    #: The statuses that each GRU of the kind can say, where that is known: `mapping lint` names
    #: those that a mapping lacks.
    status_words: ClassVar[frozenset[str]] = frozenset()
    #: True: our reference goes along whatever the options. None: they decide (`capabilities`).
    sends_reference: ClassVar[bool | None] = None
    #: The commune's half-connector, where the GRU is one that speaks `/pivot/v1`.
    pivot: PivotClient | None = None
    #: The links to files that its GRU is given, where it is given any.
    links: FileLinks | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(*cls.reasons)

    def __init__(self, options: Any, context: Context) -> None:
        self.options = options
        self.context = context

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Return what this instance can do with its options. The answer never changes during its
        life."""

    @abstractmethod
    async def check(self) -> Sequence[Note]:
        """Check address, credentials and settings, without altering any data at the GRU."""

    async def check_files(self) -> Sequence[Note]:
        """Check the settings against the files that they name (`ConfigFile`), asking nobody: for
        `check --offline`."""
        return ()

    async def taken_names(self) -> frozenset[str] | None:
        """Return the targets of a mapping that the GRU takes in a creation, with all below them:
        `check` names those that it would drop in silence. None: it does not say."""
        return None

    async def ping(self) -> Outcome:
        """Ask for a sign of life, once a day if `pinged`. The call alters nothing."""
        return Refused("not_supported", f"{self.kind} gives no sign of life")

    @abstractmethod
    async def submit(self, submission: Submission) -> Outcome:
        """Create the request at the GRU. `Accepted.reference` is the GRU's number."""

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        """Search the GRU for the request that we sent as `reference`."""
        return CannotTell("no_find", "this GRU cannot be asked by our reference", forever=True)

    async def amend(self, amendment: Amendment) -> Outcome:
        """Add a later event to a request."""
        return Refused("not_supported", f"{self.kind} takes no {amendment.kind.value}")

    async def find_amend(self, amendment: Amendment) -> Finding:
        """Search the GRU for this amendment."""
        return CannotTell("no_find", "this GRU cannot be asked about an amendment", forever=True)

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        """Return the changes at the GRU for these requests, or since `cursor`."""
        return Changes(cursor=cursor)

    def proven(self, head: WebhookCall) -> bool | None:
        """Does the head of this call prove its sender? The call's `body` is empty here.

        None: the body is needed to decide. `webhook` must still refuse a call without proof. A call
        that is proven early does not share its turn with strangers.
        """
        return None

    async def webhook(self, hook: WebhookCall) -> Changes:
        """Read a call of the GRU. Return `failure=Refused(...)` for a call that does not prove its
        sender."""
        return Changes(failure=Refused("not_supported", f"{self.kind} takes no webhook"))

    async def erase(self, reference: str, gru_reference: str | None) -> Outcome:
        """Erase at the GRU what it holds for this request. `Accepted.erasure` says what became of
        it: erased (also where it is None), anonymised, kept by a law, or absent. Return nothing of
        it as a guess: what is not known is no `Accepted`."""
        return Refused("not_supported", f"{self.kind} cannot erase; a person must")

    async def ask_to_erase(self, reference: str, gru_reference: str | None) -> Outcome:
        """Ask those who work there to erase what they hold of this request, where the adapter
        cannot. `Accepted`: they were asked; a person tells later what they did. It may be called
        again: asked twice is asked once."""
        return Refused("not_supported", f"{self.kind} asks nobody to erase")

    async def aclose(self) -> None:
        """Release what the instance holds (sessions). The gateway closes the client."""
        return


__all__ = [
    "Adapter",
    "Amendment",
    "Capabilities",
    "Change",
    "Changes",
    "Context",
    "Document",
    "File",
    "Files",
    "Note",
    "Submission",
    "Tracked",
    "WebhookCall",
]
