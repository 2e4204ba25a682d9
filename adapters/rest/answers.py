"""The YAML of answers: the rules that judge an answer, and the parts of it that are read."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from adapters.rest.call import Call, HeaderName, StatusCode, Word, refuse_unknown
from adapters.rest.expression import Address, RestExpression
from adapters.rest.signing import BODY, Encoding, Recipe
from adapters.rest.sources import Sources
from adapters.rest.texts import say
from gateway.sdk import Duration, Options, Secret, Secrets, refuse


class ErrorRule(Options):
    """The meaning of an answer, by its status, a condition on its body, or both. The first rule
    that fits counts.

    `code` picks the GRU's error code for the operator. It is kept only if it looks like a code.
    """

    status: StatusCode | Literal["4xx", "5xx"] | tuple[StatusCode, ...] | None = None
    when: RestExpression | None = None
    outcome: Literal["refused", "later", "misconfigured", "unsure"]
    reason: Word
    code: RestExpression | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.status is None and self.when is None:
            raise refuse(say("status_or_when"))
        return self


# --- reads ----------------------------------------------------------------------------------


class Paging(Options):
    """`link`: the address of the next page is at `next` in the answer, or in the Link header
    without `next`.

    `total` is the number of all items, which each answer gives: it shows when a list was cut.
    """

    style: Literal["none", "page", "offset", "link"] = "none"
    param: str = "page"
    first: int = Field(default=1, ge=0)
    size_param: str | None = None
    size: int = Field(default=100, ge=1, le=10_000)
    max_pages: int = Field(default=20, ge=1, le=1000)
    next: RestExpression | None = None
    total: RestExpression | None = None


class ItemRead(Call):
    """A call that fetches one thing of a list, as `item`. `content` is the part of the answer to
    read.

    For a file of a note, `note` is the note.
    """

    names = frozenset({"reference", "gru_reference", "event", "item", "note"})
    content: RestExpression = Field(default_factory=lambda: RestExpression.parse("@"))


class Also(ItemRead):
    """One more read for an item, a note or a file. Its result is put into it under this name.

    With `paging`, `content` is a list, and all its pages are read.
    """

    paging: Paging = Paging()


AlsoReads = Annotated[dict[Word, Also], Field(default_factory=dict, max_length=5)]


# --- what is told ---------------------------------------------------------------------------


class TimeRule(Options):
    """A time in an answer: `iso`, `epoch`, `epoch_ms` or a strptime pattern. `zone` applies to
    times without offset."""

    value: RestExpression
    format: str = "iso"
    zone: ZoneInfo = ZoneInfo("Europe/Paris")


class Public(Options):
    """The visibility of an item: internal, unless `internal` is false for it, or `public: true` for
    all."""

    internal: RestExpression | None = None
    public: bool = False

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.public and self.internal is not None:
            raise refuse(say("one_visibility"))
        return self

    @property
    def is_stated(self) -> bool:
        """Is the visibility set here?"""
        return self.public or self.internal is not None


class Documents(Public):
    """Files for the citizen. Their visibility is that of their item or note, unless it is set here.

    The bytes come from `content` in Base64, from `path` at this GRU (as in any call; `{item.id}` is
    the file's), or from an `address` in the answer, at this GRU or at one of `hosts`. `key` is the
    file's number: the file is then a change of its own, told once and fetched once. `size` and
    `sha256` are the GRU's statements about the file: other bytes are refused. At most `most` files
    are read, of at most `max_mb` each; a person is told of the files that are left out. `author` as
    for a note.
    """

    list: RestExpression
    also: AlsoReads
    author: RestExpression | None = None
    filename: RestExpression
    content_type: RestExpression | None = None
    content: RestExpression | None = None
    address: RestExpression | None = None
    path: Address | None = None
    key: RestExpression | None = None
    size: RestExpression | None = None
    sha256: RestExpression | None = None
    max_mb: float = Field(default=20, gt=0, le=50)
    most: int = Field(default=10, ge=1, le=50)

    @field_validator("path")
    @classmethod
    def _path_names(cls, path: Address | None) -> Address | None:
        refuse_unknown(path.expressions if path else (), ItemRead.names)
        if path is not None and not path.text.startswith("/"):
            raise refuse(say("path_start"))
        return path

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if [self.content, self.address, self.path].count(None) != 2:
            raise refuse(say("file_source"))
        return self

    @property
    def apart(self) -> bool:
        """Do the bytes need a call of their own?"""
        return self.content is None or bool(self.also)


class NoteFields(Public):
    """The fields of an item or a note that are read.

    `html`: `auto` finds out by the text whether `message` is HTML; other values state it; `escaped`
    is HTML that was escaped twice. `key` is the GRU's own number of the entry. `sender_key` is the
    key that we gave along with our own text (`event.key`), where the GRU gives it back. `author` is
    the writer; entries by one of `accounts` are ours and are not told.
    """

    also: AlsoReads
    author: RestExpression | None = None
    message: RestExpression | None = None
    html: Literal["auto", "escaped"] | bool = "auto"
    documents: Documents | None = None
    at: TimeRule | None = None
    key: RestExpression | None = None
    sender_key: RestExpression | None = None


class Notes(NoteFields):
    """Notes inside an item. Each one is a change of its own."""

    list: RestExpression

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        if self.message is None:
            raise refuse(say("notes_message"))
        if self.key is None and (self.also or (self.documents and self.documents.apart)):
            raise refuse(say("note_key"))
        return self


class Item(NoteFields):
    gru_reference: RestExpression | None = None
    reference: RestExpression | None = None
    status: RestExpression | None = None
    notes: Notes | None = None

    @model_validator(mode="after")
    def _names_a_request(self) -> Self:
        if self.gru_reference is None and self.reference is None:
            raise refuse(say("item_reference"))
        if self.status is None and self.message is None and self.notes is None:
            raise refuse(say("item_content"))
        if self.documents and self.documents.apart and self.documents.key is None:
            raise refuse(say("file_key"))
        return self


class Since(Options):
    """The format of `=since`: `iso` (UTC, Z), `epoch`, or a strftime pattern in `zone`."""

    format: str = "iso"
    zone: ZoneInfo = ZoneInfo("UTC")


class PollRules(Options):
    """A poll by any call: by time (`cursor: max`), by a mark of the GRU (`server`), or request by
    request.

    `overlap`: the seconds that each poll reads again. `each: true`: one call per tracked request,
    for `max_requests` requests at most; the next poll goes on with the next ones. `detail` fetches
    each item.
    """

    list: RestExpression | None = None
    each: bool = False
    max_requests: int = Field(default=100, ge=1, le=1000)
    detail: Any = None
    item: Item
    cursor: Literal["max", "server"] = "max"
    server_cursor: RestExpression | None = None
    since: Since = Since()
    overlap: float = Field(default=600, ge=0, le=86_400)

    @property
    def pages(self) -> Paging:
        """Return how the list comes: at once."""
        return Paging()

    @abstractmethod
    def reads(self, name: str) -> bool:
        """Does the call read this name?"""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.each:
            if not (self.reads("reference") or self.reads("gru_reference")):
                raise refuse(say("each_reference"))
            return self
        if self.list is None:
            raise refuse(say("no_list"))
        if (self.cursor == "server") != (self.server_cursor is not None):
            raise refuse(say("server_cursor"))
        if self.cursor == "max" and self.item.at is None:
            raise refuse(say("cursor_max"))
        return self


class Statuses(Call, PollRules):
    """A poll: the call, and what it tells."""

    names = frozenset({"cursor", "since", "reference", "gru_reference"})
    paging: Paging = Paging()
    detail: ItemRead | None = None

    @property
    def pages(self) -> Paging:
        return self.paging


# --- the GRU's own calls --------------------------------------------------------------------


class Verify(Options):
    """The proof of the sender in a call of the GRU.

    The proof is a signature or a token in `header` (after `prefix`), HTTP Basic (`username` and
    `secret`), or, if the GRU can do no better, a secret in the address that it calls
    (`?name=secret`). There may be two secrets while one is replaced (a list, or two lines in the
    secret's file); both are accepted.

    A signature covers the body, or the text of `over`, in which `{timestamp}` is the value of the
    header `timestamp`. A call older than `max_age` is refused. Leave `max_age` out for a GRU that
    queues calls, since it signs before it waits; a repeated change is told only once anyway.

    `sources` are the networks that calls come from, besides that proof, where no proxy stands in
    between.
    """

    kind: Literal["hmac-sha256", "hmac-sha512", "hmac-sha1", "token", "basic", "query"]
    secret: Secrets
    header: HeaderName | None = None
    username: str | None = None
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")] | None = None
    prefix: str = ""
    encoding: Encoding = "hex"
    over: Recipe = BODY
    timestamp: HeaderName | None = None
    max_age: Annotated[Duration, Field(gt=0)] | None = None
    sources: Sources = ()

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        if not secrets or any(len(one.get_secret_value()) < 16 for one in secrets):
            raise refuse(say("secret_length"))
        return secrets

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets. Any one of them proves the sender."""
        return tuple(one.get_secret_value() for one in self.secret)

    @model_validator(mode="after")
    def _shown_somewhere(self) -> Self:
        wanted = {"basic": "username", "query": "name"}.get(self.kind, "header")
        for place in ("header", "username", "name"):
            if (getattr(self, place) is not None) != (place == wanted):
                raise refuse(say("secret_place", kind=self.kind, wanted=wanted))
        return self

    @model_validator(mode="after")
    def _signs_something(self) -> Self:
        signed = self.kind.startswith("hmac-")
        if self.over.holes & {"path", "query"}:
            raise refuse(say("recipe", known=("body", "body_sha256", "timestamp", "method")))
        if not signed and (self.timestamp is not None or self.over != BODY):
            raise refuse(say("over_unsigned", kind=self.kind))
        if (self.timestamp is not None) != ("timestamp" in self.over.holes):
            raise refuse(say("over_timestamp"))
        if self.max_age is not None and self.timestamp is None:
            raise refuse(say("over_timestamp"))
        return self


class Webhook(Options):
    verify: Verify
    items: RestExpression = Field(default_factory=lambda: RestExpression.parse("[@]"))
    item: Item


__all__ = [
    "Also",
    "Documents",
    "ErrorRule",
    "Item",
    "ItemRead",
    "NoteFields",
    "Notes",
    "Paging",
    "PollRules",
    "Public",
    "Since",
    "Statuses",
    "TimeRule",
    "Verify",
    "Webhook",
]
