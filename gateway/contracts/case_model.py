"""The shape of a file of cases: what may be written, each word with its meaning for editors."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, field_validator, model_validator

from gateway.catalogue.scalars import Insee, StrictModel
from gateway.contracts.texts import say
from gateway.core.request import EventKind
from gateway.sdk.refusing import refuse

NOTHING = "nothing"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class GivenFile(StrictModel):
    """A file that is made for the case: its content is `text`."""

    filename: str
    content_type: str = "text/plain"
    text: str = "contenu fictif"


class Given(StrictModel):
    """The event of a case: a creation, a later event of the citizen, or the GRU's words.

    `fields`, `workflow_fields` and `extra` are laid over those of `formdata`. `event` makes it a
    later event (of a `change`, `fields` are what the citizen changed); `status`, or `message`
    without `event`, is told by the GRU. `{150 caractères}` stands for a text of that length, here
    and in what is expected.
    """

    formdata: str | None = Field(None, description="A JSON file of this folder or the one above.")
    fields: dict[str, JsonValue] = Field(
        default_factory=dict, description="A file is written {filename: ..., text: ...}."
    )
    workflow_fields: dict[str, JsonValue] = Field(default_factory=dict)
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    user: dict[str, JsonValue] | Literal["as_is"] | None = Field(
        "as_is", description="null: nobody is known."
    )
    location: dict[str, float] | Literal["as_is"] | None = Field(
        "as_is", description="null: no place is known."
    )
    channel: str | None = None
    link: dict[str, JsonValue] | None = Field(
        None, description="The citizen's link with the commune's own portal: what `link` reads."
    )
    event: EventKind = EventKind.CREATION
    file: GivenFile | None = Field(None, description="With `event: document`.")
    status: str | None = Field(None, description="The GRU's own word.")
    message: str | None = Field(None, description="Of the citizen (with event), or of the GRU.")
    public: bool = Field(False, description="Does the GRU mark its message as public?")
    document: GivenFile | None = Field(None, description="A file from the GRU.")
    after: tuple[str, ...] = Field((), description="Statuses that the GRU told before.")

    @property
    def returns(self) -> bool:
        """Does the GRU speak (and not the citizen)?"""
        later = self.event is EventKind.CREATION and self.message is not None
        return self.status is not None or self.document is not None or later

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        told = self.status is not None or self.document is not None
        if told and self.event is not EventKind.CREATION:
            raise refuse(say("two_events"))
        if (self.public or self.after) and not self.returns:
            raise refuse(say("gru_says"))
        if (self.file is not None) != (self.event is EventKind.DOCUMENT):
            raise refuse(say("file_event"))
        return self


class FileExpected(StrictModel):
    """A file that leaves; what is not written is not looked at."""

    filename: str | None = None
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = Field(None, description="The first characters are enough.", min_length=8)


class CallExpected(StrictModel):
    """One HTTP call to the GRU: `POST: /path`, then what it carries.

    `json`, `form` and `multipart` are the whole body, exactly; XML is read as an object, of a SOAP
    envelope what its body holds, and so is a field of a form that holds a JSON object. `has` are
    some of its fields, by dotted name, when the others do not matter to the case.
    """

    model_config = ConfigDict(populate_by_name=True)

    get: str | None = Field(None, alias="GET")
    post: str | None = Field(None, alias="POST")
    put: str | None = Field(None, alias="PUT")
    patch: str | None = Field(None, alias="PATCH")
    delete: str | None = Field(None, alias="DELETE")
    query: dict[str, JsonValue] = Field(default_factory=dict)
    json_body: JsonValue = Field(None, alias="json")
    form: dict[str, JsonValue] | None = None
    multipart: dict[str, JsonValue] | None = None
    has: dict[str, JsonValue] | None = None
    lacks: tuple[str, ...] = Field((), description="Fields that must not leave.")
    raw: FileExpected | None = Field(None, description="The body is one file.")
    files: tuple[FileExpected, ...] | None = Field(None, description="Parts of a multipart body.")

    @property
    def method(self) -> str:
        return next(name for name in METHODS if getattr(self, name.lower()) is not None)

    @property
    def path(self) -> str:
        found: str = getattr(self, self.method.lower())
        return found

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(getattr(self, name.lower()) is not None for name in METHODS) != 1:
            raise refuse(say("one_method"))
        bodies = [self.json_body, self.form, self.multipart, self.raw]
        if sum(body is not None for body in bodies) > 1:
            raise refuse(say("one_body"))
        if self.has is not None and any(body is not None for body in bodies):
            raise refuse(say("has_alone"))
        return self


class PortalExpected(StrictModel):
    """The call that tells the portal: by global action (`hook`) or jump trigger (`jump`).

    `statut` null: a note, which moves nothing.
    """

    hook: str | None = None
    jump: str | None = None
    statut: str | None
    message: str | None = None
    document: FileExpected | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.hook is None) == (self.jump is None):
            raise refuse(say("portal_call"))
        return self


class RefusedExpected(StrictModel):
    """Nothing leaves: the delivery waits for a person, for this reason, about these fields."""

    reason: str = "unmappable"
    fields: tuple[str, ...] = ()


class Expected(StrictModel):
    """The consequences: `calls` and `portal` may stand together; `refused` stands alone."""

    calls: tuple[CallExpected, ...] | None = None
    portal: PortalExpected | Literal["nothing"] | None = None
    refused: RefusedExpected | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.calls is None and self.portal is None and self.refused is None:
            raise refuse(say("nothing_expected"))
        if self.refused is not None and self.calls:
            raise refuse(say("refused_calls"))
        return self


class CaseFile(StrictModel):
    """One case. `<word>` in it is replaced by each row of `examples`, which makes a case of each.

    Kept as plain data until then: a placeholder may stand where a number or null is due.
    """

    title: str = Field(min_length=3, description="In French: a commune's agent reads it.")
    given: dict[str, JsonValue] = Field(default_factory=dict)
    expect: JsonValue = Field(description="null: the inherited case of this title is not ours.")
    examples: tuple[dict[str, JsonValue], ...] = ()


class AnswerFile(StrictModel):
    """An answer of the GRU: the first whose method and path (`*` for anything) fit the call, and
    whose `contains` stands in its body.

    `{n}` in the body is the number of the answer, from 1. `quiet`: such calls are not compared
    (a login, a read).
    """

    method: str = "*"
    path: str = "*"
    contains: str | None = None
    status: int = Field(200, ge=100, le=599)
    json_body: JsonValue = Field(None, alias="json")
    text: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    quiet: bool = False

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in {"*", *METHODS}:
            raise refuse(say("no_method", methods=METHODS))
        return method


class CasesFile(StrictModel):
    """A file of cases. `bench.yaml` holds no case: only what all files of its folder share.

    With `commune`, the cases are played with that commune's own options, in its own runs alone.
    A mapping that extends another has the other's cases and bench as well: its own bench is laid
    over it key by key, its own case stands for the inherited one of the same title.
    """

    case: Literal[1] = Field(description="Version of this format.")
    commune: Insee | None = None
    formdata: str | None = Field(None, description="What `given` begins with.")
    options: dict[str, Any] | None = Field(None, description="The adapter's, for the bench.")
    words: dict[str, JsonValue] = Field(
        default_factory=dict, description="In bench.yaml: what <word> stands for in all cases."
    )
    answers: tuple[AnswerFile, ...] = ()
    cases: tuple[CaseFile, ...] = ()
