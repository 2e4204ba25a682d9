"""The plain values of configuration files: durations, names, codes, addresses, references.

None of their errors repeats the value: it may be a secret put in the wrong place.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.core.convert import DIRECTIVES
from gateway.core.expression import BadExpression, compile_expression
from gateway.core.moments import EPOCH, EPOCH_MS, ISO

_INSEE = re.compile(r"(?:[0-9]{2}|2[AB])[0-9]{3}\Z")
_REFERENCE = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\0]+)\Z")
_REFERENCE_SCHEMA = "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$"
_TOKEN = re.compile(r"[^\s&=#%?\x00-\x1f]+\Z")


def fail(text: str, remedy: str) -> PydanticCustomError:
    """An error with its own remedy, as `gateway.catalogue.yaml_lines.validate` reads it."""
    return PydanticCustomError("configuration", "{text}", {"text": text, "remedy": remedy})


def _insee(value: Any) -> str:
    if isinstance(value, int | float):
        raise fail("an INSEE code is text, not a number", "write it in quotes")
    if not isinstance(value, str) or not _INSEE.match(value):
        raise fail("not an INSEE code", 'five characters in quotes, such as "69029"')
    return value


def _address(value: str) -> str:
    remedy = "such as https://host.example.org"
    try:
        parts = urlsplit(value)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise fail("not an address", remedy) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise fail("must begin with https:// and a host", remedy)
    if parts.username or parts.password:
        raise fail("an address must hold no password", "give it by reference, as env:NAME")
    if parts.query or parts.fragment or re.search(r"\s", value):
        raise fail("an address must hold no parameter, fragment or blank", remedy)
    return value.rstrip("/")


def _reference(value: Any) -> str:
    if not isinstance(value, str) or not _REFERENCE.match(value):
        raise fail(
            "a secret is given by reference, never in the clear",
            "write env:NAME or file:/absolute/path, and change the secret if it was real",
        )
    return value


def _references(value: Any) -> tuple[str, ...]:
    several = value if isinstance(value, list | tuple) else [value]
    if not 1 <= len(several) <= 2:
        raise fail("one secret, or two while it is replaced", "[env:NEW, env:OLD]")
    return tuple(_reference(one) for one in several)


def _identifier(value: str) -> str:
    if not _TOKEN.match(value) or len(value) > 200:
        raise fail("must be one word that can stand in an address", "such as host.example.org")
    return value


def _expression(value: str) -> str:
    try:
        compile_expression(value)
    except BadExpression as error:
        raise fail(str(error), "such as fields.commune_raw") from None
    return value


def _moment_form(value: str) -> str:
    if value in (ISO, EPOCH, EPOCH_MS):
        return value
    directives = set(re.findall(r"%(.?)", value))
    if not directives & set("Yy") or not directives <= DIRECTIVES:
        remedy = "iso, epoch, epoch_ms, or a pattern such as %d/%m/%Y %H:%M:%S"
        raise fail("not a way to write dates", remedy)
    return value


def is_reference(value: object) -> bool:
    """Is it written `env:NAME` or `file:/path`?"""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


Insee = Annotated[
    str,
    BeforeValidator(_insee),
    WithJsonSchema({"type": "string", "pattern": "^([0-9]{2}|2[AB])[0-9]{3}$"}),
]
Address = Annotated[str, AfterValidator(_address)]
#: `env:NAME` or `file:/path`, not the secret itself.
Reference = Annotated[
    str,
    BeforeValidator(_reference),
    WithJsonSchema({"type": "string", "pattern": _REFERENCE_SCHEMA}),
]
#: One of them, or two while a secret is replaced: the new one first.
References = Annotated[
    tuple[str, ...],
    BeforeValidator(_references),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _REFERENCE_SCHEMA},
                {
                    "type": "array",
                    "items": {"type": "string", "pattern": _REFERENCE_SCHEMA},
                    "minItems": 1,
                    "maxItems": 2,
                },
            ]
        }
    ),
]
Identifier = Annotated[str, AfterValidator(_identifier)]
#: How times are written; see `gateway.core.moments`.
MomentForm = Annotated[str, AfterValidator(_moment_form)]
JmesPath = Annotated[str, AfterValidator(_expression)]
#: The name of a portal or of a GRU: it stands in lane names and addresses.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
#: A w.c.s. form's slug.
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=120)]
#: `teleservice/name`.
MappingKey = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
