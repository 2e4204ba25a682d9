"""The expressions of the YAML: JMESPath, templates of bodies, and addresses.

A leaf of a template that begins with `=` is a JMESPath expression over the names of the call. Any
other leaf is literal (`==x` is the literal `=x`). An expression with the result null leaves its key
out. All expressions are compiled, and their names checked, when the options are read.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any
from urllib.parse import quote

from jmespath.functions import Functions, signature
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from adapters.rest.texts import say
from gateway.sdk import (
    BadExpression,
    Expression,
    ExpressionError,
    Message,
    beside,
    compile_expression,
    decoded,
    read_base64,
    refuse,
    weight,
)

Json = Any


class ExpressionFault(Exception):
    """A template cannot be rendered. The text names the expression, never its values."""


class _Helpers(Functions):
    """The functions of JMESPath, and those that APIs need in addition."""

    @signature({"types": ["string", "null"]})
    def _func_html(self, text: str | None) -> str:
        return html.escape(text or "", quote=True).replace("\n", "<br>")

    @signature({"types": ["string"]})
    def _func_base64(self, text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    @signature({"types": ["string"]}, {"types": ["string"]}, {"types": ["string"]})
    def _func_replace_all(self, text: str, old: str, new: str) -> str:
        return text.replace(old, new)

    @signature({"types": ["string"]})
    def _func_unbase64(self, text: str) -> str | None:
        read = read_base64(text)
        return None if read is None else decoded(read)

    @signature({"types": ["string"]})
    def _func_ascii(self, text: str) -> str:
        # Letters without their accents; what has no such form is left out.
        flat = unicodedata.normalize("NFKD", text.translate(_FLAT))
        return flat.encode("ascii", "ignore").decode()

    @signature({"types": ["string"]}, {"types": ["number"]})
    def _func_cut(self, text: str, length: float) -> str:
        most = max(1, int(length))
        return text if len(text) <= most else text[: most - 1] + "…"


_FLAT = str.maketrans(
    {
        "œ": "oe",
        "Œ": "OE",
        "æ": "ae",
        "Æ": "AE",
        "ß": "ss",
        "ø": "o",
        "’": "'",
        "–": "-",
        "€": "EUR",
    }
)
_LIBRARY = _Helpers()
#: Functions that pass a text on as it is, by itself or within a larger one.
_CARRIERS = frozenset(
    {"html", "join", "map", "merge", "not_null", "to_array", "to_string", "values"}
)


def _compares_plainly(node: Mapping[str, Any], name: str) -> bool:
    """Are all comparisons between other fields and constants?"""
    children = [child for child in node["children"] if isinstance(child, dict)]
    if node["type"] == "comparator":
        return all(
            c["type"] == "literal" or (c["type"] == "field" and c["value"] != name)
            for c in children
        )
    return all(_compares_plainly(child, name) for child in children)


class RestExpression(Expression):
    """An expression of the YAML, with the additional functions."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> RestExpression:
        """Compile the text of a file, as a validator."""
        try:
            return cls.compiled(text)
        except BadExpression as fault:
            raise refuse(say("expression", error=fault.said, text=repr(text))) from None

    @classmethod
    def compiled(cls, text: str) -> RestExpression:
        """Compile the expression. Raises BadExpression."""
        compiled = compile_expression(text, _LIBRARY)
        return cls(**{one.name: getattr(compiled, one.name) for one in fields(compiled)})

    def value(self, data: Json) -> Json:
        """Return the value. Raises ExpressionFault when a function gets a type that it does not
        accept."""
        try:
            return self.search(data)
        except ExpressionError:
            raise ExpressionFault(f"cannot compute {self.text!r}") from None

    async def found_in(self, document: Json) -> Json:
        """Return the result of `read` for a document whose size the far end decided."""
        if self.steps is not None:
            return self.read(document)
        return await beside(weight(document), partial(self.read, document))

    def passes_on(self, name: str) -> bool:
        """Is the text of this field only copied, and never examined? In doubt the answer is no."""
        if name not in self.fields:
            # As a text, a whole object could be altered with the field in it.
            return "to_string" not in self.functions
        return self.functions <= _CARRIERS and _compares_plainly(self.parsed.parsed, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.parse,
            core_schema.str_schema(min_length=1, max_length=2000),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda e: e.text),
        )


@dataclass(frozen=True, slots=True)
class Template:
    """A value whose leaves may be expressions."""

    source: Json
    tree: Json
    expressions: tuple[RestExpression, ...]

    @classmethod
    def parse(cls, source: Json) -> Template:
        found: list[RestExpression] = []
        faults: list[Message] = []
        tree = _compile(source, "", found, faults)
        if faults:
            raise refuse(say("template", faults=tuple(faults)))
        return cls(source, tree, tuple(found))

    def render(self, scope: Mapping[str, Json]) -> Json:
        return _render(self.tree, dict(scope))

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.parse,
            core_schema.any_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda t: t.source),
        )


def _compile(source: Json, where: str, found: list[RestExpression], faults: list[Message]) -> Json:
    if isinstance(source, dict):
        return {
            str(key): _compile(value, f"{where}.{key}" if where else str(key), found, faults)
            for key, value in source.items()
        }
    if isinstance(source, list):
        return [_compile(v, f"{where}[{i}]", found, faults) for i, v in enumerate(source)]
    if isinstance(source, str) and source.startswith("=="):
        return source[1:]
    if isinstance(source, str) and source.startswith("="):
        try:
            expression = RestExpression.compiled(source[1:].strip())
        except BadExpression as error:
            fault = say("expression", error=error.said, text=repr(source[1:].strip()))
            faults.append(say("within", path=where, fault=fault) if where else fault)
            return None
        found.append(expression)
        return expression
    if source is None or isinstance(source, str | int | float | bool):
        return source
    # YAML reads an unquoted 2026-01-01 as a date.
    fault = say("no_json_value", kind=type(source).__name__)
    faults.append(say("within", path=where, fault=fault) if where else fault)
    return None


_LEFT_OUT = object()


def _render(tree: Json, scope: Json) -> Json:
    value = _leaf(tree, scope)
    return None if value is _LEFT_OUT else value


def _leaf(tree: Json, scope: Json) -> Json:
    if isinstance(tree, RestExpression):
        value = tree.value(scope)
        return _LEFT_OUT if value is None else value
    if isinstance(tree, dict):
        rendered = {key: _leaf(child, scope) for key, child in tree.items()}
        return {key: value for key, value in rendered.items() if value is not _LEFT_OUT}
    if isinstance(tree, list):
        return [v for child in tree if (v := _leaf(child, scope)) is not _LEFT_OUT]
    return tree


_HOLE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Address:
    """A path or a link with `{expression}` holes. The values are percent-encoded completely."""

    text: str
    parts: tuple[str | RestExpression, ...]

    @classmethod
    def parse(cls, text: str) -> Address:
        parts: list[str | RestExpression] = []
        for index, piece in enumerate(_HOLE.split(text)):
            if index % 2:
                parts.append(RestExpression.parse(piece))
            elif "{" in piece or "}" in piece:
                raise refuse(say("brace", text=repr(text)))
            elif re.search(r"\s|#", piece):
                raise refuse(say("blank", text=repr(text)))
            else:
                parts.append(piece)
        return cls(text, tuple(parts))

    @property
    def expressions(self) -> tuple[RestExpression, ...]:
        return tuple(p for p in self.parts if isinstance(p, RestExpression))

    def render(self, scope: Mapping[str, Json]) -> str:
        """Return the address. Raises ExpressionFault when a hole is empty or would leave its
        folder."""
        return "".join(p if isinstance(p, str) else _segment(p, scope) for p in self.parts)

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls.parse,
            core_schema.str_schema(max_length=2000),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda a: a.text),
        )


def _segment(expression: RestExpression, scope: Mapping[str, Json]) -> str:
    text = word(expression.value(dict(scope)))
    if text is None or text in (".", ".."):
        raise ExpressionFault(f"nothing usable for {{{expression.text}}} in the address")
    return quote(text, safe="")


def word(value: Json) -> str | None:
    """Return a reference as text. Numbers are accepted; any other type gives None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    return text if text and len(text) <= 200 and text.isprintable() else None


_STATUS_READ = 4000


def status_word(value: Json) -> str | None:
    """Return a status as text, without invisible characters such as marks of writing direction.

    A status that is not a text becomes a word that no mapping knows, so that a person is told of
    it.
    """
    match value:
        case None | False:  # an expression that does not apply gives false
            return None
        case True:
            return "true"
        case str() | int() | float():
            # One by one, of some kilobytes at most: the list may say megabytes.
            told = str(value).strip()[:_STATUS_READ]
            seen = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in told)
            return seen.strip()[:200].strip() or None
        case list():
            return "(list)" if value else None
        case _:
            return "(object)" if value else None
