"""The options of a REST GRU: every key, checked when it is read. The README shows examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from adapters.rest.answers import (
    Documents,
    ErrorRule,
    ItemRead,
    NoteFields,
    Paging,
    Statuses,
    TimeRule,
    Webhook,
)
from adapters.rest.call import Call, HeaderName, StatusCode, refuse_unknown
from adapters.rest.expression import Address, RestExpression, Template
from adapters.rest.signing import CallSignature
from adapters.rest.texts import say
from gateway.sdk import (
    BaseAddress,
    ClientAuthMethod,
    Duration,
    ErasureResult,
    EventKind,
    Misplaced,
    Options,
    Secret,
    refuse,
)

# --- access ---------------------------------------------------------------------------------


def _for_header(secret: Secret) -> Secret:
    text = secret.get_secret_value()
    if not (text.isascii() and text.isprintable()):
        raise refuse(say("secret_header"))
    return secret


#: A secret that stands in a header as it is.
InHeader = Annotated[Secret, AfterValidator(_for_header)]


class NoAuth(Options):
    kind: Literal["none"] = "none"


class BasicAuth(Options):
    kind: Literal["basic"]
    username: str
    password: Secret


class HeaderAuth(Options):
    kind: Literal["header"]
    name: HeaderName
    value: InHeader
    prefix: str = ""


class BearerAuth(Options):
    kind: Literal["bearer"]
    token: InHeader


class OAuth2Auth(Options):
    """An OAuth2 token, by one of three grants. `parameters`: audience, resource...

    `client_credentials` (RFC 6749, 4.4): our own account. `refresh_token` (6): a person's consent
    in a browser (authorization code); where the server replaces the token at each use, its
    successor is kept in the file `kept_in`. `jwt_bearer` (RFC 7523): an assertion signed by
    `private_key`, of `issuer` (default: client_id) about `subject`, for `audience` (default:
    token_url).
    """

    kind: Literal["oauth2"]
    grant: Literal["client_credentials", "refresh_token", "jwt_bearer"] = "client_credentials"
    token_url: Annotated[str, Field(pattern=r"^https?://[^\s#]+$")]
    client_id: str
    client_secret: Secret | None = None
    scope: str | None = None
    client_auth: ClientAuthMethod | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    refresh_token: Secret | None = None
    kept_in: Annotated[Path, Field(description="An absolute path.")] | None = None
    private_key: Secret | None = None
    algorithm: Literal["RS256", "RS512", "PS256", "ES256"] = "RS256"
    key_id: str | None = None
    issuer: str | None = None
    subject: str | None = None
    audience: str | None = None

    @property
    def way(self) -> ClientAuthMethod:
        """Return how the client shows its secret; a client without one shows none."""
        return self.client_auth or ("client_secret_basic" if self.client_secret else "none")

    @model_validator(mode="after")
    def _of_its_grant(self) -> Self:
        needed = {"client_credentials": "client_secret", "jwt_bearer": "private_key"}
        needs = needed.get(self.grant, "refresh_token")
        if getattr(self, needs) is None:
            raise refuse(say("grant", grant=self.grant, needs=needs))
        foreign = frozenset().union(*_OF_GRANT.values()) - _OF_GRANT.get(self.grant, frozenset())
        given = tuple(sorted(name for name in foreign if getattr(self, name) is not None))
        if given:
            raise refuse(say("grant_over", grant=self.grant, given=given))
        if self.kept_in is not None and not self.kept_in.is_absolute():
            raise refuse(say("grant", grant=self.grant, needs="kept_in: /..."))
        return self


_OF_GRANT = {
    "refresh_token": frozenset({"refresh_token", "kept_in"}),
    "jwt_bearer": frozenset({"private_key", "key_id", "issuer", "subject", "audience"}),
}


class Login(Call):
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"


class Expired(Options):
    """The sign of an expired session: this status, or a condition."""

    status: StatusCode | None = 401
    when: RestExpression | None = None


class SessionAuth(Options):
    """A login when needed. The token goes into `header`, or where `=session` stands."""

    kind: Literal["session"]
    login: Login
    token: RestExpression
    header: HeaderName | None = None
    prefix: str = ""
    expired: Expired = Expired()
    ttl: Annotated[float, Field(gt=0)] | None = None


Auth = Annotated[
    NoAuth | BasicAuth | HeaderAuth | BearerAuth | OAuth2Auth | SessionAuth,
    Field(discriminator="kind"),
]


# --- requests -------------------------------------------------------------------------------


class PrecedingCall(Call):
    """A call made just before another one, which reads its answer as `=before.body` and
    `=before.headers` (names in lower case): a version to give back (`If-Match`), or the first half
    of a creation.

    It is made again at each try: anything that it creates at the GRU may be left there unused.
    """

    names = frozenset({"payload", "reference", "gru_reference", "event", "message"})


class Create(Call):
    """The creation. `reference` is read in the answer; `location: true` takes the last part of its
    Location.

    `repeatable`: sending it twice makes one request (an upsert by our reference), so after a lost
    answer it is simply sent again.
    """

    names = frozenset({"payload", "reference", "files", "before"})
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    before: PrecedingCall | None = None
    body: Template | None = Field(default_factory=lambda: Template.parse("=payload"))
    reference: RestExpression | None = None
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
            raise refuse(say("one_reference"))
        return self


class Find(Call):
    """A search for a request by our reference.

    `list`: the candidates (default: the answer itself), of all pages with `paging`. `read` fetches
    each candidate where the list gives only numbers. `match` must be our reference (`compare:
    contains` where it stands within a text). `absent`: the statuses that mean "there is none".
    `strays`: if there are candidates and none is ours, the filter may have been ignored; a person
    is asked, unless `ignore`. `settle`: the seconds after which a new request appears in the search
    (an index); until then the search is repeated.
    """

    names = frozenset({"reference", "gru_reference", "event"})
    list: RestExpression | None = None
    paging: Paging = Paging()
    read: ItemRead | None = None
    match: RestExpression
    compare: Literal["equals", "contains"] = "equals"
    reference: RestExpression | None = None
    link: Address | None = None
    absent: tuple[StatusCode, ...] = ()
    strays: Literal["ask", "ignore"] = "ask"
    settle: Annotated[Duration, Field(le=86_400)] = 0.0

    @model_validator(mode="after")
    def _asks_for_ours(self) -> Self:
        if not (self.reads("reference") or self.reads("key") or self.reads("gru_reference")):
            raise refuse(say("asks_for_ours"))
        refuse_unknown(
            self.link.expressions if self.link else (), frozenset({"gru_reference", "reference"})
        )
        return self


class Amend(Call):
    names = frozenset(
        {"payload", "reference", "gru_reference", "event", "message", "files", "before"}
    )
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    before: PrecedingCall | None = None
    find: Find | None = None
    repeatable: bool = False


class Erase(Call):
    """An erasure. `means`: what a success means, erased or anonymised.

    `result` reads the GRU's own word in its answer, and `results` says what each one means;
    `ground` and `until` read why, and until when, it keeps what it has. `absent`: statuses that
    prove that it has nothing. A 404 that is not among them is believed where `find` finds nothing
    either, as a wrong address answers so too.
    """

    names = frozenset({"reference", "gru_reference"})
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "DELETE"
    means: Literal["erased", "anonymised"] = "erased"
    absent: tuple[StatusCode, ...] = ()
    result: RestExpression | None = None
    results: dict[str, ErasureResult] = Field(default_factory=dict)
    ground: RestExpression | None = None
    until: TimeRule | None = None

    @model_validator(mode="after")
    def _result_and_results(self) -> Self:
        if (self.result is None) != (not self.results):
            raise refuse(say("result_and_results"))
        return self


class Upload(Call):
    """Upload one file. The creation then refers to it by `token`. It may be repeated."""

    names = frozenset({"reference", "file"})
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    encoding: Literal["json", "form", "multipart", "raw", "xml"] = "raw"
    token: RestExpression


class FileRules(Options):
    """`inline`: Base64 in the creation; `first`: uploaded before; `multipart`: parts of it;
    `after`: as events."""

    mode: Literal["inline", "first", "multipart", "after"]
    upload: Upload | None = None

    @model_validator(mode="after")
    def _upload_for_first(self) -> Self:
        if (self.mode == "first") != (self.upload is not None):
            raise refuse(say("upload_first"))
        return self


class RestOptions(Options):
    """The keys under `options:` for `adapter: rest`."""

    base_url: BaseAddress
    auth: Auth = NoAuth()
    sign: CallSignature | None = None
    accounts: tuple[Annotated[str | int, Field(union_mode="left_to_right")], ...] = Field(
        (), description="The names or numbers of our own account there: what it wrote is ours."
    )
    xml_lists: dict[str, str] = Field(
        default_factory=dict,
        description="In XML answers, an element and what it holds several of: {tickets: ticket}.",
    )
    secrets: dict[str, Secret] = Field(default_factory=dict)
    headers: dict[HeaderName, str] = Field(default_factory=dict)
    create: Create
    errors: tuple[ErrorRule, ...] = ()
    find: Find | None = None
    amend: dict[EventKind, Amend] = Field(default_factory=dict)
    files: FileRules | None = None
    statuses: Statuses | None = None
    webhook: Webhook | None = None
    erase: Erase | None = None
    check: ItemRead | None = None
    hosts: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s?#@]+/?$")], ...] = Field(
        (), description="Other hosts that files may be fetched from, without credentials."
    )
    max_answer: int = Field(default=5_000_000, ge=1000, le=50_000_000)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.create.before is not None and self.create.before.reads("message"):
            raise refuse(say("before_message"))
        writes: tuple[Create | Amend, ...] = (self.create, *self.amend.values())
        for call in writes:
            if call.reads("before") and call.before is None:
                raise refuse(say("no_before"))
        if not self.accounts and any(one.author is not None for one in self._readable()):
            raise refuse(say("no_accounts"))
        if EventKind.CREATION in self.amend:
            raise refuse(say("creation_amend"))
        mode = self.files.mode if self.files else None
        if mode == "after" and EventKind.DOCUMENT not in self.amend:
            raise refuse(say("files_after"))
        if mode == "inline" and not self.create.reads("content_base64"):
            raise refuse(say("files_inline"))
        if mode == "multipart" and self.create.encoding != "multipart":
            raise refuse(say("files_multipart"))
        if mode == "first" and not self.create.reads("token"):
            raise refuse(say("files_first"))
        return self

    def misplaced(self, public_url: str) -> Misplaced | None:
        """Addresses of callers are a proxy's to look at where there is one, as TLS is."""
        if self.webhook is None or not self.webhook.verify.sources:
            return None
        behind = public_url.startswith("https:")
        return Misplaced(("webhook", "verify", "sources"), say("behind_proxy")) if behind else None

    def _readable(self) -> Iterator[NoteFields | Documents]:
        """Yield the rules of everything that is read from the GRU: items, notes, and their
        files."""
        for one in (self.statuses, self.webhook):
            for fields in (one.item, one.item.notes) if one is not None else ():
                if fields is not None:
                    yield fields
                    if fields.documents is not None:
                        yield fields.documents
