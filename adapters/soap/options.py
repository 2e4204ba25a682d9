"""The YAML of a SOAP service: each key is checked when it is read. The README has examples."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import httpx
from pydantic import Field, field_validator, model_validator

from adapters.rest.answers import ErrorRule, Item, PollRules
from adapters.rest.call import HeaderName, Word, refuse_unknown
from adapters.rest.expression import RestExpression, Template
from adapters.rest.options import BasicAuth, BearerAuth, HeaderAuth, NoAuth
from adapters.soap.texts import say
from gateway.sdk import ConfigFile, Duration, EventKind, Options, Secret, refuse, same_host

# Their lengths are no part of the patterns: a counted `\w` compiles to tens of megabytes.
Name = Annotated[str, Field(pattern=r"^[^\W\d][\w.-]*$", max_length=200)]
#: A code or subcode of a fault without its prefix, or the name of its detail's element.
FaultCode = Annotated[str, Field(pattern=r"^[\w.:/-]+$", max_length=200)]
_ALWAYS = frozenset({"secrets", "commune"})


def _nothing() -> Template:
    return Template.parse({})


class SoapCall(Options):
    """One operation of the WSDL, with its arguments by name."""

    #: The names that its expressions may read, besides `secrets` and `commune`.
    names: ClassVar[frozenset[str]] = frozenset()

    operation: Name
    arguments: Template = Field(default_factory=_nothing)

    @model_validator(mode="after")
    def _names_known(self) -> Self:
        refuse_unknown(self.arguments.expressions, self.names | _ALWAYS)
        return self

    def reads(self, name: str) -> bool:
        """Does any of its arguments read this name, at any depth?"""
        return any(name in one.fields for one in self.arguments.expressions)


class ReadOperation(SoapCall):
    """An operation that only reads. `content` is the part of its answer that counts."""

    names = frozenset({"item"})
    content: RestExpression = Field(default_factory=lambda: RestExpression.parse("@"))


class CreateOperation(SoapCall):
    """The operation that creates a request. `reference` and `link` are read in its answer.

    `repeatable`: two calls make one request, so a lost answer is just tried again.
    """

    names = frozenset({"payload", "reference", "files"})
    arguments: Template = Field(default_factory=lambda: Template.parse("=payload"))
    reference: RestExpression | None = None
    link: RestExpression | None = None
    repeatable: bool = False


class FindOperation(SoapCall):
    """The operation that looks for a request by our reference.

    `list`: the candidates; by default the answer itself. `match` must equal our reference, or
    contain it with `compare: contains`. `absent`: faults that mean that there is none. `strays`:
    candidates came and none is ours, so the service may ignore the question; a person is asked,
    unless `ignore`. `settle`: a new request may show so much later.
    """

    names = frozenset({"reference", "gru_reference", "event"})
    list: RestExpression | None = None
    match: RestExpression
    compare: Literal["equals", "contains"] = "equals"
    reference: RestExpression | None = None
    link: RestExpression | None = None
    absent: tuple[FaultCode, ...] = ()
    strays: Literal["ask", "ignore"] = "ask"
    settle: Annotated[Duration, Field(le=86_400)] = 0.0

    @model_validator(mode="after")
    def _asks_for_ours(self) -> Self:
        if not (self.reads("reference") or self.reads("key") or self.reads("gru_reference")):
            raise refuse(say("asks_for_ours"))
        return self


class AmendOperation(SoapCall):
    names = frozenset({"payload", "reference", "gru_reference", "event", "message", "files"})
    find: FindOperation | None = None
    repeatable: bool = False


class EraseOperation(SoapCall):
    """The operation that erases a request. `means`: the effect of its success, erasing or
    anonymising. `absent`: faults that mean that it is already gone."""

    names = frozenset({"reference", "gru_reference"})
    means: Literal["erased", "anonymised"] = "erased"
    absent: tuple[FaultCode, ...] = ()


class PollOperation(SoapCall, PollRules):
    """The operation of a poll. `absent`: faults that mean, for one request, that it is gone."""

    names = frozenset({"cursor", "since", "reference", "gru_reference"})
    detail: ReadOperation | None = None
    absent: tuple[FaultCode, ...] = ()

    @field_validator("item")
    @classmethod
    def _without_http(cls, item: Item) -> Item:
        for fields in (item, item.notes):
            documents = fields.documents if fields is not None else None
            if (fields is not None and fields.also) or (documents and documents.apart):
                raise refuse(say("not_http"))
        return item


class UsernameToken(Options):
    """WS-Security: a user's name and password, with a nonce and the time.

    `digest`: send a digest in the place of the password. `timestamp`: say for how long the message
    is valid.
    """

    username: str = Field(min_length=1, max_length=200)
    password: Secret
    digest: bool = False
    timestamp: Annotated[Duration, Field(gt=0, le=3600)] | None = None


class X509Signature(Options):
    """WS-Security: a signature by our certificate, over the body, the time and the user's name.

    `key` and `certificate`: PEM; without `certificate`, it stands in the file of `key`.
    `timestamp`: for how long the message is valid.
    """

    key: Secret
    certificate: Secret | None = None
    timestamp: Annotated[Duration, Field(gt=0, le=3600)] = 300.0


class FaultRule(Options):
    """The outcome of a fault by its code, a subcode or the name of its detail's element.

    Never by its text.
    """

    code: FaultCode | tuple[FaultCode, ...]
    outcome: Literal["refused", "later", "misconfigured", "unsure"]
    reason: Word = "soap_fault"

    @property
    def codes(self) -> tuple[str, ...]:
        return (self.code,) if isinstance(self.code, str) else self.code


def _usable(address: str) -> str:
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, TypeError):
        raise refuse(say("no_address")) from None
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.fragment:
        raise refuse(say("no_address"))
    return address


class SoapOptions(Options):
    """The keys under `options:` for `adapter: soap`."""

    address: str = Field(description="Where calls go. The WSDL's own address is not used.")
    wsdl: str | None = Field(
        None, description="Address of the WSDL, on the same host: `address`?wsdl by default."
    )
    wsdl_file: ConfigFile | None = Field(
        None, description="The WSDL as a file of config/files/, with what it imports beside it."
    )
    service: Name | None = Field(None, description="Of several in the WSDL; else the first.")
    port: Name | None = Field(None, description="Of several in the service; else the first.")
    auth: Annotated[NoAuth | BasicAuth | HeaderAuth | BearerAuth, Field(discriminator="kind")] = (
        NoAuth()
    )
    security: UsernameToken | None = None
    signature: X509Signature | None = None
    headers: dict[HeaderName, str] = Field(default_factory=dict)
    soap_header: dict[Name, Template] = Field(
        default_factory=dict, description="What stands in the header, as the WSDL declares it."
    )
    secrets: dict[str, Secret] = Field(default_factory=dict)
    accounts: tuple[Annotated[str | int, Field(union_mode="left_to_right")], ...] = Field(
        (), description="The names or numbers of our own account there: what it wrote is ours."
    )
    mtom: bool = Field(False, description="Files go as parts of their own (MTOM), not in Base64.")
    create: CreateOperation
    find: FindOperation | None = None
    amend: dict[EventKind, AmendOperation] = Field(default_factory=dict)
    statuses: PollOperation | None = None
    erase: EraseOperation | None = None
    check: ReadOperation | None = None
    faults: tuple[FaultRule, ...] = ()
    errors: tuple[ErrorRule, ...] = ()
    max_answer: int = Field(default=5_000_000, ge=1000, le=50_000_000)

    @field_validator("address")
    @classmethod
    def _address(cls, address: str) -> str:
        return _usable(address)

    @model_validator(mode="after")
    def _on_its_host(self) -> Self:
        if self.wsdl is not None and same_host(self.wsdl, [self.address]) is None:
            raise refuse(say("wsdl_elsewhere"))
        return self

    @model_validator(mode="after")
    def _one_wsdl(self) -> Self:
        if self.wsdl is not None and self.wsdl_file is not None:
            raise refuse(say("one_wsdl"))
        return self

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if EventKind.CREATION in self.amend:
            raise refuse(say("creation_amend"))
        for template in self.soap_header.values():
            refuse_unknown(template.expressions, _ALWAYS)
        return self

    @property
    def calls(self) -> dict[tuple[str, ...], SoapCall]:
        """Return the calls by their place in the options."""
        found: dict[tuple[str, ...], SoapCall | None] = {
            ("create",): self.create,
            ("find",): self.find,
            ("statuses",): self.statuses,
            ("erase",): self.erase,
            ("check",): self.check,
        }
        if self.statuses is not None:
            found["statuses", "detail"] = self.statuses.detail
        for kind, amend in self.amend.items():
            found["amend", kind.value] = amend
            found["amend", kind.value, "find"] = amend.find
        return {where: call for where, call in found.items() if call is not None}


__all__ = [
    "AmendOperation",
    "CreateOperation",
    "EraseOperation",
    "FaultRule",
    "FindOperation",
    "PollOperation",
    "ReadOperation",
    "SoapCall",
    "SoapOptions",
    "UsernameToken",
    "X509Signature",
]
