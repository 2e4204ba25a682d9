"""The YAML of a REST GRU: every key, checked when it is read. The README has it by example."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import httpx
from pydantic import Field, SecretStr, field_validator, model_validator

from adapters.rest.call import Call, HeaderName, StatusCode, Word, refuse_unknown
from adapters.rest.expression import Address, Expression, Template
from gateway.sdk import EventKind, Options

# --- access ---------------------------------------------------------------------------------


class NoAuth(Options):
    kind: Literal["none"] = "none"


class BasicAuth(Options):
    kind: Literal["basic"]
    username: str
    password: SecretStr


class HeaderAuth(Options):
    kind: Literal["header"]
    name: HeaderName
    value: SecretStr
    prefix: str = ""


class BearerAuth(Options):
    kind: Literal["bearer"]
    token: SecretStr


class OAuth2Auth(Options):
    """Client credentials (RFC 6749 section 4.4). `parameters`: audience, resource..."""

    kind: Literal["oauth2"]
    token_url: Annotated[str, Field(pattern=r"^https?://[^\s#]+$")]
    client_id: str
    client_secret: SecretStr
    scope: str | None = None
    client_auth: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    parameters: dict[str, str] = Field(default_factory=dict)


class Login(Call):
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"


class Expired(Options):
    """How the GRU says that the session is over: by this status, or when this holds."""

    status: StatusCode | None = 401
    when: Expression | None = None


class SessionAuth(Options):
    """A login on demand. The token goes in `header`, or wherever `=session` is written."""

    kind: Literal["session"]
    login: Login
    token: Expression
    header: HeaderName | None = None
    prefix: str = ""
    expired: Expired = Expired()
    ttl: Annotated[float, Field(gt=0)] | None = None


Auth = Annotated[
    NoAuth | BasicAuth | HeaderAuth | BearerAuth | OAuth2Auth | SessionAuth,
    Field(discriminator="kind"),
]


# --- requests -------------------------------------------------------------------------------


class ErrorRule(Options):
    """What an answer means, by its status and/or a condition on its body; the first that fits.

    `code` picks the GRU's error code for the operator; it is kept only if it looks like one.
    """

    status: StatusCode | Literal["4xx", "5xx"] | tuple[StatusCode, ...] | None = None
    when: Expression | None = None
    outcome: Literal["refused", "later", "misconfigured", "unsure"]
    reason: Word
    code: Expression | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.status is None and self.when is None:
            raise ValueError("give `status`, `when`, or both")
        return self


class Create(Call):
    """`reference` is read in the answer; `location: true` takes the end of its Location.

    `repeatable`: sending it twice makes one request (an upsert by our reference): a lost answer
    is then simply tried again.
    """

    names = frozenset({"payload", "reference", "files"})
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    body: Template | None = Field(default_factory=lambda: Template.parse("=payload"))
    reference: Expression | None = None
    location: bool = False
    link: Address | None = None
    repeatable: bool = False

    @field_validator("link")
    @classmethod
    def _link_names(cls, link: Address | None) -> Address | None:
        refuse_unknown(link.expressions if link else (), frozenset({"gru_reference", "reference"}))
        return link

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if self.reference is not None and self.location:
            raise ValueError("`reference` or `location`, not both")
        return self


class Read(Call):
    """Fetch one thing that a list named, as `item`; `content` is what to look at in the answer."""

    names = frozenset({"reference", "gru_reference", "event", "item"})
    content: Expression = Field(default_factory=lambda: Expression.parse("@"))


class Find(Call):
    """Ask for a request by our reference.

    `list`: the candidates (the answer itself without it). `read` fetches each where the list
    gives but numbers. `match` is what must be our reference (`compare: contains` where it stands
    in a text). `absent`: statuses that say that there is none. `strays`: when candidates come and
    none is ours, the filter may have been ignored: a person is asked, unless `ignore`.
    """

    names = frozenset({"reference", "gru_reference", "event"})
    list: Expression | None = None
    read: Read | None = None
    match: Expression
    compare: Literal["equals", "contains"] = "equals"
    reference: Expression | None = None
    link: Address | None = None
    absent: tuple[StatusCode, ...] = ()
    strays: Literal["ask", "ignore"] = "ask"

    @model_validator(mode="after")
    def _asks_for_ours(self) -> Self:
        if not (self.reads("reference") or self.reads("key") or self.reads("gru_reference")):
            raise ValueError(
                "the call must ask for our reference (=reference, or =event.key and"
                " gru_reference for an event): a list of anything proves no absence"
            )
        refuse_unknown(
            self.link.expressions if self.link else (), frozenset({"gru_reference", "reference"})
        )
        return self


class Amend(Call):
    names = frozenset({"payload", "reference", "gru_reference", "event", "message", "files"})
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    find: Find | None = None
    repeatable: bool = False


class Erase(Call):
    names = frozenset({"reference", "gru_reference"})
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "DELETE"


class Upload(Call):
    """Give one file over; `token` is what the creation then names it by. Repeated freely."""

    names = frozenset({"reference", "file"})
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    encoding: Literal["json", "form", "multipart", "raw"] = "raw"
    token: Expression


class FileRules(Options):
    """`inline`: base64 in the creation; `first`: uploaded before; `multipart`; `after`."""

    mode: Literal["inline", "first", "multipart", "after"]
    upload: Upload | None = None

    @model_validator(mode="after")
    def _upload_for_first(self) -> Self:
        if (self.mode == "first") != (self.upload is not None):
            raise ValueError("`upload` goes with mode first, and mode first needs it")
        return self


# --- changes --------------------------------------------------------------------------------


class Moment(Options):
    """A time in an answer: `iso`, `epoch`, `epoch_ms` or a strptime pattern; `zone` if naive."""

    value: Expression
    format: str = "iso"
    zone: ZoneInfo = ZoneInfo("Europe/Paris")


class Documents(Options):
    """Files for the citizen inside an item; `content` is base64. Those of internal notes stay."""

    list: Expression
    filename: Expression
    content_type: Expression | None = None
    content: Expression


class NoteFields(Options):
    """What is said in an item. Internal unless `internal` is false, or `public: true` for all."""

    message: Expression | None = None
    internal: Expression | None = None
    public: bool = False
    documents: Documents | None = None
    at: Moment | None = None
    key: Expression | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.public and self.internal is not None:
            raise ValueError("`internal` or `public: true`, not both")
        return self


class Notes(NoteFields):
    """Notes inside an item, each a change of its own."""

    list: Expression
    message: Expression | None

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        if self.message is None:
            raise ValueError("notes need `message`")
        return self


class Item(NoteFields):
    gru_reference: Expression | None = None
    reference: Expression | None = None
    status: Expression | None = None
    notes: Notes | None = None

    @model_validator(mode="after")
    def _names_a_request(self) -> Self:
        if self.gru_reference is None and self.reference is None:
            raise ValueError("give `gru_reference`, `reference`, or both")
        if self.status is None and self.message is None and self.notes is None:
            raise ValueError("an item says a `status`, a `message` or has `notes`")
        return self


class Paging(Options):
    """`link`: the next address is `next` in the answer, or the Link header without it."""

    style: Literal["none", "page", "offset", "link"] = "none"
    param: str = "page"
    first: int = Field(default=1, ge=0)
    size_param: str | None = None
    size: int = Field(default=100, ge=1, le=10_000)
    max_pages: int = Field(default=20, ge=1, le=1000)
    next: Expression | None = None


class Since(Options):
    """How `=since` is written: `iso` (UTC, Z), `epoch`, or a strftime pattern in `zone`."""

    format: str = "iso"
    zone: ZoneInfo = ZoneInfo("UTC")


class Statuses(Call):
    """A poll, since a moment (`cursor: max`), a mark of the GRU (`server`), or request by request.

    `overlap`: seconds that are read again each time. `each: true`: one call per open request,
    at most `max_requests` a poll, the next ones at the next.
    """

    names = frozenset({"cursor", "since", "reference", "gru_reference"})
    list: Expression | None = None
    each: bool = False
    max_requests: int = Field(default=100, ge=1, le=1000)
    paging: Paging = Paging()
    detail: Read | None = None
    item: Item
    cursor: Literal["max", "server"] = "max"
    server_cursor: Expression | None = None
    since: Since = Since()
    overlap: float = Field(default=60, ge=0, le=86_400)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.each:
            if not (self.reads("reference") or self.reads("gru_reference")):
                raise ValueError("`each` needs {gru_reference} or {reference} in the call")
            return self
        if self.list is None:
            raise ValueError("`list` says where the items are in the answer")
        if (self.cursor == "server") != (self.server_cursor is not None):
            raise ValueError("`server_cursor` goes with `cursor: server`")
        if self.cursor == "max" and self.item.at is None:
            raise ValueError("`cursor: max` needs item.at")
        return self


class Verify(Options):
    """How a call of the GRU proves its sender; `prefix` is what comes before the signature."""

    kind: Literal["hmac-sha256", "hmac-sha1", "token"]
    header: HeaderName
    secret: SecretStr
    prefix: str = ""
    encoding: Literal["hex", "base64"] = "hex"

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr) -> SecretStr:
        if len(secret.get_secret_value()) < 16:
            raise ValueError("a webhook's secret has 16 characters at least")
        return secret


class Webhook(Options):
    verify: Verify
    items: Expression = Field(default_factory=lambda: Expression.parse("[@]"))
    item: Item


class RestOptions(Options):
    """What stands under `options:` for `adapter: rest`."""

    base_url: str
    auth: Auth = NoAuth()
    secrets: dict[str, SecretStr] = Field(default_factory=dict)
    headers: dict[HeaderName, str] = Field(default_factory=dict)
    create: Create
    errors: tuple[ErrorRule, ...] = ()
    find: Find | None = None
    amend: dict[EventKind, Amend] = Field(default_factory=dict)
    files: FileRules | None = None
    statuses: Statuses | None = None
    webhook: Webhook | None = None
    erase: Erase | None = None
    check: Read | None = None
    max_answer: int = Field(default=5_000_000, ge=1000, le=50_000_000)

    @field_validator("base_url")
    @classmethod
    def _usable(cls, base_url: str) -> str:
        try:
            url = httpx.URL(base_url)
        except (httpx.InvalidURL, TypeError) as error:
            raise ValueError("not an address") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("an address begins with https:// and a host name")
        if url.query or url.fragment or url.userinfo:
            raise ValueError("no ?, # nor password in base_url: see `query` and `auth`")
        return base_url.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if EventKind.CREATION in self.amend:
            raise ValueError("amend: the creation stands under `create`")
        mode = self.files.mode if self.files else None
        if mode == "after" and EventKind.DOCUMENT not in self.amend:
            raise ValueError("files: mode after needs amend.document")
        if mode == "inline" and not self.create.reads("content_base64"):
            raise ValueError("files: mode inline, but create.body names no content_base64")
        if mode == "multipart" and self.create.encoding != "multipart":
            raise ValueError("files: mode multipart needs create.encoding multipart")
        if mode == "first" and not self.create.reads("token"):
            raise ValueError("files: mode first, but create.body names no token")
        return self
