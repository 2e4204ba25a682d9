"""The plain values of configuration files: names, codes, addresses; and their models' base. No
error repeats the value: it may be a secret in the wrong place."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetPydanticSchema,
    WithJsonSchema,
)
from pydantic_core import core_schema

from gateway.catalogue.patterns import MAPPING, NAME, SLUG
from gateway.catalogue.texts import say
from gateway.core.convert import DIRECTIVES
from gateway.core.expression import BadExpression, Expression, compile_expression
from gateway.core.moments import EPOCH, EPOCH_MS, ISO
from gateway.sdk.refusing import refuse

_INSEE = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]{3}\Z")
_TOKEN = re.compile(r"[^\s&=#%?\x00-\x1f]+\Z")


class StrictModel(BaseModel):
    """Base of everything in our files: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _insee(value: Any) -> str:
    if isinstance(value, int | float):
        raise refuse(say("insee_number"))
    if not isinstance(value, str) or not _INSEE.match(value):
        raise refuse(say("not_insee"))
    return value


def address_parts(value: str) -> SplitResult:
    """Return the parts of an address over HTTP. Refuses one that is none, or holds a password."""
    try:
        parts = urlsplit(value)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise refuse(say("no_address")) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise refuse(say("address_start"))
    if parts.username or parts.password:
        raise refuse(say("address_password"))
    if re.search(r"\s", value):
        raise refuse(say("address_rest"))
    return parts


def _address(value: str) -> str:
    parts = address_parts(value)
    if parts.query or parts.fragment:
        raise refuse(say("address_rest"))
    return value.rstrip("/")


def _identifier(value: str) -> str:
    if not _TOKEN.match(value) or len(value) > 200:
        raise refuse(say("one_word"))
    return value


def compiled(word: str) -> GetPydanticSchema:
    """Declare a compiled JMESPath. `word` is the sentence for a text that is none."""

    def compile_text(text: str) -> Expression:
        try:
            return compile_expression(text)
        except BadExpression as error:
            raise refuse(say(word, error=error.said)) from None

    return GetPydanticSchema(
        lambda source, handler: core_schema.no_info_after_validator_function(
            compile_text,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda one: one.text),
        )
    )


def word_or_keys(word: str) -> Discriminator:
    """Tell a value that is one word from one with keys. `word` is the sentence for neither."""

    def written(value: Any) -> str:
        return "<word>" if isinstance(value, str) else "<keys>"

    text = say(word).what()
    return Discriminator(written, custom_error_type=word, custom_error_message=text)


def _moment_form(value: str) -> str:
    if value in (ISO, EPOCH, EPOCH_MS):
        return value
    directives = set(re.findall(r"%(.?)", value))
    if not directives & set("Yy") or not directives <= DIRECTIVES:
        raise refuse(say("dates"))
    return value


Insee = Annotated[
    str,
    BeforeValidator(_insee),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]{2}|2[AB])[0-9]{3}$"}),
]
Address = Annotated[str, AfterValidator(_address)]
Identifier = Annotated[str, AfterValidator(_identifier)]
#: The form of a time; see `gateway.core.moments`.
MomentForm = Annotated[str, AfterValidator(_moment_form)]
JmesPath = Annotated[Expression, compiled("expression")]
#: The name of a portal or GRU: part of lane names and addresses.
Name = Annotated[str, Field(pattern=NAME, max_length=40)]
#: A w.c.s. form's slug.
Slug = Annotated[str, Field(pattern=SLUG, max_length=120)]
#: `teleservice/name`.
MappingKey = Annotated[str, Field(pattern=MAPPING)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
