"""Secrets of a configuration: declared by their type, given by reference, read by the validation.

The code that validates a file gives pydantic a `SecretReader` as its context. Without one, as in a
test of an adapter, the text itself is the secret.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    SecretBytes,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema
from typing_extensions import TypeAliasType

from gateway.core.messages import Message, Messages, Text
from gateway.sdk.refusing import refuse

#: pydantic's type of the error of a secret that cannot be had.
NO_SECRET = "no_secret"  # noqa: S105 - names an error
#: The same of a secret that is written out.
IN_THE_CLEAR = "secret_in_the_clear"
#: Secrets at once by which others prove themselves: a new one and a former one.
MOST = 2
_REFERENCE = re.compile(r"(?:env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\0]+)\Z")
#: openssl writes what it knows of a key in lines above it.
_PEM = re.compile(r"^-----BEGIN ", re.MULTILINE)
_SCHEMA = {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$"}

say = Messages(
    Text(
        "secrets_many",
        "there are {count} secrets, of which two at most are taken",
        "leave the new one and the former one",
        "il y a {count} secrets, dont deux au plus servent",
        "laisser le nouveau et l'ancien",
    ),
    Text(
        "one_or_two",
        "one secret, or two while it is replaced",
        "[env:NEW, env:OLD]",
        "un secret, ou deux le temps de le remplacer",
        "[env:NOUVEAU, env:ANCIEN]",
    ),
)


class SecretReader(ABC):
    """Reads the secrets that a file refers to. It is the context of the file's validation."""

    @abstractmethod
    def read(self, reference: str) -> str:
        """Return the text behind `env:NAME` or `file:/path`. Raises `no_secret(...)`."""


class Secret(SecretStr):
    """One secret that we show to a far end.

    While a secret is replaced its source has two lines; the first line is used. A PEM is one secret
    of several lines. `reference` says where it was read; None for a text that was given directly.
    """

    def __init__(self, secret_value: str, reference: str | None = None) -> None:
        super().__init__(secret_value)
        self.reference = reference

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._shown,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda one: one.reference or str(one), when_used="json"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(_SCHEMA)

    @classmethod
    def _shown(cls, value: Any, info: ValidationInfo) -> Self:
        one = cls.whole(value, info)
        if one.reference is None or _PEM.search(one.get_secret_value()):
            return one
        lines = _lines(one)
        if len(lines) > MOST:
            raise no_secret(say("secrets_many", count=len(lines)))
        return cls(lines[0], one.reference)

    @classmethod
    def whole(cls, value: Any, info: ValidationInfo) -> Self:
        """Return all that is behind a reference."""
        if isinstance(value, SecretStr):
            return cls(value.get_secret_value(), getattr(value, "reference", None))
        if value is None or isinstance(value, dict | list):
            raise PydanticKnownError("string_type")
        if isinstance(info.context, SecretReader):
            if not is_reference(value):
                raise PydanticCustomError(IN_THE_CLEAR, "a secret is given by reference")
            return cls(info.context.read(value), value)
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        return cls(value)


#: One secret that may be of many lines.
WholeSecret = Annotated[Secret, PlainValidator(Secret.whole), WithJsonSchema(_SCHEMA)]


def _listed(value: Any) -> list[Any]:
    several = list(value) if isinstance(value, list | tuple) else [value]
    if not 1 <= len(several) <= MOST:
        raise refuse(say("one_or_two"))
    return several


def _each(secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
    found = tuple(Secret(line, one.reference) for one in secrets for line in _lines(one))
    if len(found) > MOST:
        raise no_secret(say("secrets_many", count=len(found)))
    return found


#: One secret, or two while it is replaced, the new one first: as two references, or as two lines of
#: one file. Others prove themselves by either of them; we prove ourselves by the first.
Secrets = Annotated[
    tuple[WholeSecret, ...],
    BeforeValidator(_listed),
    AfterValidator(_each),
    WithJsonSchema(
        {"anyOf": [_SCHEMA, {"type": "array", "items": _SCHEMA, "minItems": 1, "maxItems": MOST}]}
    ),
]


def is_reference(value: object) -> bool:
    """Is it written `env:NAME` or `file:/path`?"""
    return isinstance(value, str) and _REFERENCE.match(value) is not None


def no_secret(said: Message) -> PydanticCustomError:
    """Return the error to raise where a secret cannot be read. Its texts must not hold a secret."""
    return PydanticCustomError(NO_SECRET, "{what}", {"what": said.told(), "said": said})


def unread_secret(model: type[BaseModel]) -> str | None:
    """Return a field, `Model.name`, whose type is a secret of pydantic's instead of `Secret`; None
    if none is, at any depth.

    In such a field the reference itself would be taken for the secret.
    """
    waiting, seen = [model], {model}
    while waiting:
        one = waiting.pop()
        for name, field in one.model_fields.items():
            for part in types_in(field.annotation):
                if part in (SecretStr, SecretBytes):
                    return f"{one.__name__}.{name}"
                if isinstance(part, type) and issubclass(part, BaseModel) and part not in seen:
                    seen.add(part)
                    waiting.append(part)
    return None


def types_in(annotation: Any, within: frozenset[str] = frozenset()) -> Iterator[Any]:
    """Yield an annotation and all types that it is made of. `within` are the aliases around it."""
    if isinstance(annotation, TypeAliasType):
        if annotation.__name__ not in within:  # a recursive alias holds itself
            yield from types_in(annotation.__value__, within | {annotation.__name__})
        return
    yield annotation
    for part in get_args(annotation):
        yield from types_in(part, within)


def _lines(secret: Secret) -> list[str]:
    return [line for line in secret.get_secret_value().splitlines() if line.strip()]
