"""The contract between the gateway and an adapter.

An adapter speaks one kind of GRU. It is built once per commune's GRU (`instance`), holds no
request between calls, keeps no clock and opens no client of its own: everything it needs comes in
its `Context`. Each method answers with an outcome (`gateway.sdk`); raising means a bug.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import httpx
from pydantic import BaseModel, ConfigDict

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
from gateway.sdk.version import SDK_VERSION

if TYPE_CHECKING:
    from gateway.sdk.connecting import Connector
    from gateway.sdk.pivot import PivotClient


class Options(BaseModel):
    """Base of an adapter's options as they stand in a commune's file; unknown keys are refused.

    Declare secrets as `Secret`, or as `Secrets` where a sender may prove itself by either of two:
    the catalogue reads `env:NAME` and `file:PATH`, and refuses a secret written in the clear.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Files(StrEnum):
    """When this GRU takes files: within the creation, each after it, or never."""

    WITHIN = "within"
    AFTER = "after"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The abilities of an adapter instance, as its options stand.

    `find`: it can be asked for a request by our reference. `find_amend`: of which events it can be
    asked whether it holds one (by event key). `amends`: events it can take. `statuses`: it can be
    polled. `webhook`: it calls us. `erase`: it can erase a person's data by itself.
    `sends_reference`: it sends our reference along with a creation, whatever the mapping does.
    `repeatable`: sending an event twice is sending it once, so after a lost reply it is sent again
    and nobody is asked. `pulled`: nobody calls this GRU, it fetches what it is owed. `fed`: it may
    read again what it was owed.
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


@dataclass(frozen=True, slots=True)
class File:
    """A citizen's file on its way to a GRU; `field` tells which it is.

    `pieces()` gives its bytes one piece after the other, from the start each time it is called;
    `read()` gives them whole, which is for small files: a file may have as many megabytes as the
    portal lets through. `gateway.sdk.FilePlaceholders` puts one into a body without holding it.
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
class Filing:
    """The filing of a request, whatever the mapping makes of it: where and when it was filed.

    `number` is what the citizen reads. `sequence`: which of the request's deliveries this is.
    """

    portal: str
    teleservice: str
    number: str | None
    submitted_at: datetime
    received_at: datetime
    sequence: int = 1


@dataclass(frozen=True, slots=True)
class Submission:
    """A request to create. `payload` is what the mapping rendered; `reference` is our key."""

    reference: str
    payload: Mapping[str, Any]
    files: Sequence[File] = ()
    filing: Filing | None = None


@dataclass(frozen=True, slots=True)
class Amendment:
    """A later event on a request that the GRU knows as `gru_reference`.

    `key` is unique per event and is to travel along, so that the GRU can be asked about it.
    A DOCUMENT carries exactly one file.
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
    """A file that the GRU gives back for the citizen."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a GRU tells of a request.

    Name the request by `gru_reference` or by our `reference`; all requests that bear the number
    are meant, should it be one ticket for several. `status` is the GRU's own word (None: only a
    note). `public` False keeps `message` and `documents` from the citizen.

    `key` is the GRU's own number of a note or of an entry of its journal: what it names is told
    once, and its status is a moment of the past, ordered by `at`. None: this is how the request
    stands now, or a text without a number. Then a poll's status counts whatever `at` says, and a
    text is told once per request. Never make a key of a date, a status or a text: dates move.

    `at` is aware; None when the GRU does not say. It may be wrong: nothing hangs on it alone.

    `sender_key` is what we gave the GRU along with something we wrote (`Amendment.key`), given
    back; what we wrote is never told. Texts that we wrote are known by themselves, too.

    `unreadable` counts documents that are there and could not be read: a person is told.

    `more` gives the whole change where parts of it, a text or files at other addresses, have to be
    fetched: it is called only for a `key` that is new and for what the citizen may read. An outcome
    says that it cannot be had now; it is then asked for again at the next poll.
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
    """The changes that a poll or a webhook brought. `cursor` is opaque and comes back at the next
    poll.

    `failure` tells that the far end could not be read; what was read before it is still in `items`
    and the cursor may be moved up to there.

    A poll that asks by number says whom it asked about, each by our reference: `asked` of the
    tracked (None: all of them; empty: it does not ask by number), and which of these the GRU told
    anything about (`seen`; None: that is not known). Those not seen are counted and, when it lasts,
    a person is told. `gone`: the GRU says that it does not know them.
    """

    items: Sequence[Change] = ()
    cursor: str | None = None
    failure: Outcome | None = None
    asked: Sequence[str] | None = None
    seen: Sequence[str] | None = None
    gone: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Tracked:
    """A request that a poll is to ask about, `since` when it cannot have changed before.

    They come in the order in which they are to be asked about, those that were not for the longest
    time first. Who cannot ask about all asks about the first ones, and says so in `asked`. The
    ended ones are among them from time to time, as a commune may reopen them.
    """

    reference: str
    gru_reference: str
    since: datetime


@dataclass(frozen=True, slots=True)
class WebhookCall:
    """A call that the GRU made to us, as received."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


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
    """One line of `check()`: what was looked at, and whether it is well.

    `what` is said from a table (`gateway.sdk.Messages`), remedy included, or it is a text, which is
    told as it is to everybody, with `remedy` beside it.
    """

    level: Literal["ok", "warning", "fault"]
    what: Message | str
    remedy: str = ""

    @property
    def said(self) -> Message:
        """Return the note as a message, in either language."""
        return self.what if isinstance(self.what, Message) else plain(self.what, self.remedy)

    @classmethod
    def fault(cls, what: Message | str, failure: Outcome, *, aloud: bool = False) -> Note:
        """Make the fault that a call came to, with what its reason says to do; `aloud`: with the
        far end's own words, for a test instance."""
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
    """The things that the gateway lends to an adapter instance.

    `client` is bounded by the lane (timeouts, connections). `now` gives the time, aware UTC.
    `production` is False on test instances. `public_url` is our own address, as the GRU sees it.
    `connector` is for far ends that do not speak HTTP; None where far ends are answered for: what
    would leave is then told (`gateway.sdk.rehearse`).
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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        register(*cls.reasons)

    def __init__(self, options: Any, context: Context) -> None:
        self.options = options
        self.context = context

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Return what this instance can do, by its options. It is constant over its life."""

    @abstractmethod
    async def check(self) -> Sequence[Note]:
        """Look at address, credentials and settings, altering no data at the GRU."""

    @abstractmethod
    async def submit(self, submission: Submission) -> Outcome:
        """Create the request at the GRU; `Accepted.reference` is the GRU's number."""

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        """Does the GRU hold the request that we sent as `reference`?"""
        return CannotTell("no_find", "this GRU cannot be asked by our reference", forever=True)

    async def amend(self, amendment: Amendment) -> Outcome:
        """Add a later event to a request."""
        return Refused("not_supported", f"{self.kind} takes no {amendment.kind.value}")

    async def find_amend(self, amendment: Amendment) -> Finding:
        """Does the GRU hold this amendment?"""
        return CannotTell("no_find", "this GRU cannot be asked about an amendment", forever=True)

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        """Return what changed at the GRU for these requests, or since `cursor`."""
        return Changes(cursor=cursor)

    def proven(self, head: WebhookCall) -> bool | None:
        """Does a call of the GRU prove its sender by its head (`body` is empty)?

        None: the body is needed to tell. Asked before the body is read, and `webhook` still has to
        refuse what proves nothing. Whoever is proven early shares no room with strangers.
        """
        return None

    async def webhook(self, hook: WebhookCall) -> Changes:
        """Read a call of the GRU. A call that does not prove its sender: `failure=Refused(...)`."""
        return Changes(failure=Refused("not_supported", f"{self.kind} takes no webhook"))

    async def erase(self, reference: str, gru_reference: str | None) -> Outcome:
        """Have the GRU erase what it holds for this request."""
        return Refused("not_supported", f"{self.kind} cannot erase; a person must")

    async def aclose(self) -> None:
        """Release what the instance holds (sessions). The client is closed by the gateway."""
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
    "Filing",
    "Note",
    "Options",
    "Submission",
    "Tracked",
    "WebhookCall",
]
