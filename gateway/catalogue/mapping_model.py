"""The shape of a mapping file: what may be written, each word with its meaning for editors."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    field_validator,
    model_validator,
)
from typing_extensions import TypeAliasType

from gateway.catalogue.config_faults import nearest
from gateway.catalogue.patterns import FIELD, SLUG, WORD
from gateway.catalogue.personal_model import PersonalFile
from gateway.catalogue.scalars import Slug, StrictModel, compiled, word_or_keys
from gateway.catalogue.texts import say
from gateway.core.addresses import AddressPart
from gateway.core.convert import (
    DIRECTIVES,
    ISO,
    ForeignPhone,
    LengthUnit,
    PhoneForm,
    TooLong,
)
from gateway.core.expression import Expression
from gateway.core.filenames import PLACES, odd_places
from gateway.core.mapping import NotesPublic, UnknownStatus, ValueType
from gateway.core.markup import Markup
from gateway.core.status import Status
from gateway.core.units import UNITS
from gateway.core.workflow import DONE
from gateway.sdk.refusing import refuse

KINDS = ("path", "constant", "join", "rows")
_ONLY = {"with": ("join",), "each": ("rows",)}
#: The functions of a value; one at most.
_CONVERSIONS = ("date", "phone", "coordinates", "unit")
#: Options that say more of another one.
_WITH = {
    "zone": "date",
    "foreign": "phone",
    "axis": "coordinates",
    "decimals": "coordinates",
    "length_in": "max_length",
    "too_long": "max_length",
}
_NOT_FOR_ROWS = (
    *("table", "type", "max_length", "rich_text", "address", "default"),
    *_CONVERSIONS,
    *_WITH,
)
#: The word which says that a GRU status changes nothing for the citizen.
NO_CHANGE = "ignore"


def _status(word: str) -> str:
    known = [status.value for status in Status]
    if word not in known:
        raise refuse(say("no_status", cure=nearest(word, known)))
    return word


def _status_or_nothing(word: str) -> str:
    return word if word == NO_CHANGE else _status(word)


def _unit(word: str) -> str:
    if word not in UNITS:
        raise refuse(say("no_unit", cure=nearest(word, list(UNITS))))
    return word


UnitName = Annotated[str, AfterValidator(_unit), Field(json_schema_extra={"enum": [*UNITS]})]
MappingPath = Annotated[Expression, compiled("jmespath")]
StatusWord = Annotated[
    str, AfterValidator(_status), Field(json_schema_extra={"enum": [s.value for s in Status]})
]
StatusOrNothing = Annotated[
    str,
    AfterValidator(_status_or_nothing),
    Field(json_schema_extra={"enum": [*(s.value for s in Status), NO_CHANGE]}),
]
Scalar = str | int | float | bool


def _written(value: Any) -> str:
    """Tell how a target is written: a path alone, a rule, or targets one level down."""
    if isinstance(value, str):
        return "<path>"
    if isinstance(value, RuleFile):
        return "<rule>"
    if isinstance(value, dict):
        return "<rule>" if any(kind in value for kind in KINDS) else "<targets>"
    return "<none>"


def _one_of(word: str) -> Discriminator:
    text = say(word).what()
    return Discriminator(_written, custom_error_type=word, custom_error_message=text)


class UnitFile(StrictModel):
    """A quantity's unit in the form, and the one that the GRU takes."""

    from_: UnitName = Field(alias="from")
    to: UnitName

    @model_validator(mode="after")
    def _fits(self) -> UnitFile:
        if UNITS[self.from_][0] != UNITS[self.to][0]:
            raise refuse(say("units_differ", of=self.from_, to=self.to))
        return self


class RuleFile(StrictModel):
    """The rule of one target: exactly one of path, constant, join, rows, and options."""

    path: MappingPath | None = Field(None, description="JMESPath into the request.")
    constant: JsonValue = Field(None, description="Always this value.")
    join: list[JoinPart] | None = Field(None, min_length=1, description="Texts to put together.")
    with_: str = Field("", alias="with", description="What stands between the joined texts.")
    rows: MappingPath | None = Field(None, description="A repeated block: one object per row.")
    each: dict[str, Target] | None = Field(None, description="The rules of one row.")
    root: bool = Field(False, description="Inside rows: read the whole request, not the row.")
    when: MappingPath | None = Field(None, description="Only when this path is true or not empty.")
    required: bool = Field(False, description="Park the request when the value is empty.")
    default: JsonValue = Field(None, description="Instead of an empty value, as it is.")
    table: str | None = Field(None, description="Look the value up in this table.")
    type: ValueType = Field(ValueType.NATIVE, description="What the GRU takes.")
    date: str | None = Field(None, description="strftime format, or `iso`.")
    zone: str = Field("Europe/Paris", description="The zone in which dates are written.")
    rich_text: Markup | None = Field(
        None, description="Rich or plain text as plain text, HTML, Markdown or Textile."
    )
    address: AddressPart | None = Field(None, description="This part of an address, as BAN has it.")
    phone: PhoneForm | None = Field(None, description="A telephone number in this form.")
    foreign: ForeignPhone = Field(
        ForeignPhone.LEAVE, description="A number that is not French: left in E.164, or refused."
    )
    coordinates: Literal["EPSG:4326", "EPSG:2154", "EPSG:3946"] | None = Field(
        None, description="A place (`location`) in this system: {x, y}, east and north."
    )
    axis: Literal["x", "y"] | None = Field(None, description="Of the coordinates only this one.")
    decimals: int = Field(2, ge=0, le=9, description="Of the coordinates; 2, or 6 for degrees.")
    unit: UnitFile | None = Field(None, description="A quantity from one unit to another.")
    max_length: int | None = Field(None, ge=1, description="Longest text.")
    length_in: LengthUnit = Field(LengthUnit.CHARACTERS, description="What max_length counts.")
    too_long: TooLong = Field(
        TooLong.REFUSE, description="A longer text parks the request, or is cut, with a notice."
    )
    note: str = Field("", description="For readers of this file.")

    @property
    def kind(self) -> str:
        return next(kind for kind in KINDS if kind in self.model_fields_set)

    @field_validator("date")
    @classmethod
    def _date(cls, value: str | None) -> str | None:
        if value is None or value == ISO:
            return value
        used = [value[i + 1 : i + 2] for i, c in _directives(value)]
        bad = [d for d in used if d not in DIRECTIVES]
        if bad or not used:
            allowed = " ".join(f"%{d}" for d in sorted(DIRECTIVES))
            if bad:
                raise refuse(say("directive", directive=bad[0], allowed=allowed))
            raise refuse(say("no_date_format", allowed=allowed))
        return value

    @field_validator("zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (OSError, ValueError, KeyError):
            raise refuse(say("zone")) from None
        return value

    @model_validator(mode="after")
    def _fits(self) -> RuleFile:
        given = {"with" if n == "with_" else n for n in self.model_fields_set}
        kinds = [kind for kind in KINDS if kind in given]
        if len(kinds) != 1:
            raise refuse(say("kinds", kinds=tuple(kinds)))
        kind = kinds[0]
        for option, fits in _ONLY.items():
            if option in given and kind not in fits:
                raise refuse(say("option", option=option, kind=kind))
        if kind == "rows":
            if not self.each:
                raise refuse(say("rows_each"))
            for option in _NOT_FOR_ROWS:
                if option in given:
                    raise refuse(say("option", option=option, kind="rows"))
        self._options_fit(given)
        if getattr(self, kind) is None:
            raise refuse(say("empty_kind", kind=kind))
        return self

    def _options_fit(self, given: set[str]) -> None:
        for option, other in _WITH.items():
            if option in given and getattr(self, other) is None:
                raise refuse(say("option_alone", option=option, other=other))
        made = tuple(one for one in _CONVERSIONS if getattr(self, one) is not None)
        if len(made) > 1:
            raise refuse(say("conversions", options=made))
        if {"date", "phone"} & {*made} and self.type not in {ValueType.NATIVE, ValueType.TEXT}:
            raise refuse(say("date_type", option=made[0]))


# After RuleFile, which names them, so that the names known in a rule can be listed.
Target = TypeAliasType(
    "Target",
    Annotated[
        Annotated[MappingPath, Tag("<path>")]
        | Annotated[RuleFile, Tag("<rule>")]
        | Annotated["dict[str, Target]", Tag("<targets>")],
        _one_of("not_a_rule"),
    ],
)
JoinPart = Annotated[
    Annotated[MappingPath, Tag("<path>")] | Annotated[RuleFile, Tag("<rule>")],
    _one_of("not_a_part"),
]


def _directives(pattern: str) -> list[tuple[int, str]]:
    found, index = [], 0
    while index < len(pattern):
        if pattern[index] == "%":
            found.append((index, pattern[index]))
            index += 1
        index += 1
    return found


class TableFile(StrictModel):
    """A lookup; without `default`, a value that is not in it parks the request."""

    entries: dict[str, Scalar] = Field(min_length=1)
    default: Scalar | None = None


class NamesFile(StrictModel):
    """The name of a file at the GRU."""

    ascii: bool = Field(False, description="Letters without accents, digits, `.`, `_`, `-` only.")
    pattern: str = Field(
        "{name}{extension}",
        min_length=1,
        description="Of {name}, {extension} (with its point), {n} (from 1), {reference} (ours).",
    )
    max_length: int | None = Field(None, ge=8, description="In characters; the name is cut.")

    @field_validator("pattern")
    @classmethod
    def _places(cls, value: str) -> str:
        if odd := odd_places(value):
            raise refuse(say("odd_place", name=odd[0], known=tuple(sorted(PLACES))))
        return value


class AttachmentsFile(StrictModel):
    """The choice of the citizen's files that go to the GRU."""

    fields: list[Annotated[str, Field(pattern=FIELD)]] = Field(
        min_length=1, description="Form fields, in the order wanted: photo, enfants_raw[*].carnet."
    )
    max: int | None = Field(None, ge=1)
    beyond: Literal["park", "leave"] = Field(
        "park", description="Too many files: park the request, or leave the surplus behind."
    )
    names: NamesFile | None = Field(None, description="What the files are called at the GRU.")


class StatusFile(StrictModel):
    """The meaning of a GRU's status, and a French text for the citizen."""

    status: StatusOrNothing
    message: str | None = Field(None, min_length=1)


class NotesFile(StrictModel):
    """The choice of the GRU's notes that the citizen may read."""

    public: NotesPublic = NotesPublic.WHEN_MARKED


class CallFile(StrictModel):
    """One call on the portal's form: a global action or a jump of its workflow."""

    hook: str | None = Field(None, min_length=1)
    jump: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> CallFile:
        if (self.hook is None) == (self.jump is None):
            raise refuse(say("trigger"))
        return self


class PortalFile(StrictModel):
    """The calls that tell the portal's workflow of a status."""

    hook: str | None = Field(None, min_length=1, description="For all statuses not in triggers.")
    document_hook: str | None = Field(
        None,
        min_length=1,
        description="Takes the bytes of the commune's documents, each after the call of `hook`"
        " that announces it. Without it a document over 1 MiB cannot be handed over.",
    )
    mark: str = Field(
        DONE,
        pattern=WORD,
        description="The backoffice field in which the workflow's last action notes the reports"
        " that it has carried out: the only proof of one whose answer was lost.",
    )
    triggers: dict[StatusWord, CallFile] = Field(default_factory=dict)
    words: dict[StatusWord, str] = Field(default_factory=dict)


class MappingFile(StrictModel):
    """A mapping file: one teleservice's requests to one kind of GRU, and statuses back."""

    mapping: Literal[1] = Field(description="Version of this format.")
    teleservice: Slug
    adapter: Slug
    version: int = Field(ge=1)
    extends: str | None = Field(
        None,
        pattern=SLUG,
        description="A mapping of this folder, of which this file changes keys; null removes one.",
    )
    description: str = ""
    tables: dict[str, TableFile] = Field(default_factory=dict)
    submit: dict[str, Target] = Field(min_length=1)
    attachments: Annotated[
        Annotated[Literal["all", "none"], Tag("<word>")]
        | Annotated[AttachmentsFile, Tag("<keys>")],
        word_or_keys("attachments_shape"),
    ] = "none"
    amend: dict[Literal["message", "document", "change", "cancellation"], dict[str, Target]] = (
        Field(default_factory=dict)
    )
    statuses: dict[
        str,
        Annotated[
            Annotated[StatusOrNothing, Tag("<word>")] | Annotated[StatusFile, Tag("<keys>")],
            word_or_keys("status_shape"),
        ],
    ] = Field(default_factory=dict)
    unknown_status: UnknownStatus = UnknownStatus.PARK
    notes: NotesFile = NotesFile()
    portal: PortalFile = PortalFile()
    personal_data: PersonalFile | None = None


for _model in (RuleFile, MappingFile):
    _model.model_rebuild()
