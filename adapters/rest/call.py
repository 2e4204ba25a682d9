"""One HTTP call of the YAML, and the names that its expressions may use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from adapters.rest import xml
from adapters.rest.expression import Address, RestExpression, Template
from adapters.rest.texts import say
from gateway.sdk import Options, refuse

Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=100)]
StatusCode = Annotated[int, Field(ge=100, le=599)]

#: Names that may stand in an address: it is written in the logs of every machine on the way, so
#: nothing of the citizen's may.
IN_ADDRESS = frozenset(
    {
        "reference",
        "gru_reference",
        "event",
        "file",
        "item",
        "note",
        "cursor",
        "since",
        "session",
        "secrets",
        "commune",
        "before",
    }
)
_ALWAYS = frozenset({"secrets", "session", "commune"})


class Call(Options):
    """One HTTP call. `success` lists the statuses of a success; empty means any 2xx."""

    #: The names that its expressions may read, besides `secrets`, `session` and `commune`.
    names: ClassVar[frozenset[str]] = frozenset()

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    path: Address
    query: dict[str, Template] = Field(default_factory=dict)
    headers: dict[HeaderName, Template] = Field(default_factory=dict)
    body: Template | None = None
    encoding: Literal["json", "form", "multipart", "raw", "xml"] = "json"
    content_type: str | None = None
    file_part: str = "file"
    success: tuple[StatusCode, ...] = ()
    answer: Literal["json", "xml", "any"] = "json"

    @field_validator("path")
    @classmethod
    def _rooted(cls, path: Address) -> Address:
        if path.text and not path.text.startswith("/"):
            raise refuse(say("path_start"))
        if any("?" in part for part in path.parts if isinstance(part, str)):
            raise refuse(say("path_query"))
        return path

    @model_validator(mode="after")
    def _names_known(self) -> Self:
        allowed = self.names | _ALWAYS
        inside = list(self.body.expressions if self.body else ())
        inside += [e for t in self.headers.values() for e in t.expressions]
        refuse_unknown(inside, allowed)
        address = [*self.path.expressions]
        address += [e for t in self.query.values() for e in t.expressions]
        refuse_unknown(address, allowed & IN_ADDRESS)
        for expression in address:
            if "filename" in expression.fields:
                raise refuse(say("file_name", text=repr(expression.text)))
        if self.encoding in ("form", "multipart") and self.body is not None:
            whole = isinstance(self.body.tree, RestExpression | dict)
            if not whole:
                raise refuse(say("table_body", encoding=self.encoding))
        if self.encoding == "xml" and self.body is not None:
            for fault in xml.faults_of(self.body.tree):
                raise refuse(fault)
        if self.encoding == "raw" and "file" not in self.names and "files" not in self.names:
            raise refuse(say("raw_file"))
        return self

    def reads(self, name: str) -> bool:
        """Does any expression of this call use this name, at any depth?"""
        return any(name in e.fields for e in self._expressions())

    def passes_on(self, name: str) -> bool:
        """Is this text copied into the body unchanged, so that a placeholder may stand for it until
        then?"""
        if self.encoding not in ("json", "multipart") or self.body is None:
            return False
        inside = self.body.expressions
        return all(
            e.passes_on(name) if e in inside else name not in e.fields for e in self._expressions()
        )

    def _expressions(self) -> list[RestExpression]:
        everything = [*self.path.expressions, *(self.body.expressions if self.body else ())]
        for template in (*self.query.values(), *self.headers.values()):
            everything += template.expressions
        return everything


def refuse_unknown(expressions: Iterable[RestExpression], allowed: frozenset[str]) -> None:
    for expression in expressions:
        for name in sorted(expression.roots - allowed):
            known = tuple(sorted(allowed))
            raise refuse(say("no_name", text=repr(expression.text), name=name, known=known))
