"""Files that a commune's options name, as a WSDL: those of `config/files/`, which a release holds.

Whoever validates a file gives pydantic a `ConfigFiles` as its context, as for secrets. Without one,
as in a test of an adapter, the value is a `ConfigFile` itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from gateway.core.messages import Messages, Text
from gateway.sdk.refusing import refuse

say = Messages(
    Text(
        "no_config_file",
        "there is no file config/files/{name}",
        "put it there; known: {known}",
        "il n'y a pas de fichier config/files/{name}",
        "l'y mettre ; connus : {known}",
    ),
    Text("nothing", "none", "", "aucun", ""),
)


class ConfigFiles(ABC):
    """The context of a validation that knows the files."""

    @property
    @abstractmethod
    def config_files(self) -> Mapping[str, str]:
        """Return the texts by their names."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of `config/files/` that an option names. `beside` are the texts of all of them, by
    name: it may refer to others."""

    name: str
    beside: Mapping[str, str] = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        return self.beside[self.name]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._found,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda one: one.name),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "description": "The name of a file in config/files/."}

    @classmethod
    def _found(cls, value: Any, info: ValidationInfo) -> ConfigFile:
        if isinstance(value, ConfigFile):
            return value
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        context = info.context
        known = context.config_files if isinstance(context, ConfigFiles) else {}
        if value not in known:
            near = get_close_matches(value, known, n=1)
            named = tuple(near or sorted(known)[:20]) or say("nothing")
            raise refuse(say("no_config_file", name=value, known=named))
        return cls(value, known)


__all__ = ["ConfigFile", "ConfigFiles"]
