"""Secrets by reference: `env:NAME` or `file:/path`, turned into values that do not print.

No fault here ever holds a secret's value, nor the text that stands where a reference is due.
"""

from __future__ import annotations

import types
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr
from typing_extensions import TypeAliasType

from gateway.catalogue.scalars import is_reference
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import Located
from gateway.core.errors import Fault
from gateway.core.messages import Given, Message

LARGEST = 64 * 1024
#: Secrets at once by which others prove themselves: a new one and a former one.
MOST = 2
#: Stands for a secret that nobody needs. It passes for the address of a database, too.
_UNREAD = "postgresql://unread.invalid"


class Needed(StrEnum):
    """Which secrets are looked up; for any other a text stands."""

    ALL = "all"
    #: For what calls no far end.
    DATABASE = "database"
    NONE = "none"


@dataclass(slots=True)
class Secrets:
    """Resolves references against an environment, collecting faults and the values it gave.

    A secret that is not `needed` is a text that stands for it.
    """

    environ: Mapping[str, str]
    needed: Needed = Needed.ALL
    faults: list[Fault] = field(default_factory=list)
    given: set[str] = field(default_factory=set, repr=False)

    def get(
        self,
        reference: str,
        where: Located,
        path: tuple[str | int, ...],
        of: Needed = Needed.ALL,
    ) -> SecretStr | None:
        """The secret behind a reference; None with a fault at `path` when it cannot be had.

        `of`: what it is the secret of, where that may be needed alone.
        """
        if self.needed not in (Needed.ALL, of):
            return SecretStr(_UNREAD)
        kind, _, name = reference.partition(":")
        value, problem = self._env(name) if kind == "env" else _file(name)
        if value is None:
            self.faults.append(where.fault(path, say(problem, name=name)))
            return None
        self.given.add(value)
        return SecretStr(value)

    def first(
        self, references: tuple[str, ...], where: Located, path: tuple[str | int, ...]
    ) -> SecretStr | None:
        """What we prove ourselves by, the first of one or two; None with a fault for what cannot be
        had."""
        return self.ours(references, where, path)[0]

    def ours(
        self, references: tuple[str, ...], where: Located, path: tuple[str | int, ...]
    ) -> tuple[SecretStr | None, SecretStr | None]:
        """What we prove ourselves by, and what we did before, while it is replaced. Neither, with a
        fault, where one of them cannot be had."""
        found = self.several(references, where, path)
        if len(found) < len(references):
            return None, None
        return found[0], found[1] if len(found) > 1 else None

    def several(
        self, references: tuple[str, ...], where: Located, path: tuple[str | int, ...]
    ) -> tuple[SecretStr, ...]:
        """The secrets behind one or two references, each with its own fault. A file may hold two
        by itself, a line each, while one is replaced."""
        found = tuple(chain.from_iterable(self._each(references, where, path)))
        if len(found) > MOST:
            self.faults.append(where.fault(path, say("secrets_many", count=len(found))))
        return found

    def _each(
        self, references: tuple[str, ...], where: Located, path: tuple[str | int, ...]
    ) -> list[tuple[SecretStr, ...]]:
        """What is behind each; of one that cannot be had, nothing."""
        listed = isinstance(where.at(path).value, list)
        found = [
            self.get(one, where, (*path, i) if listed else path) for i, one in enumerate(references)
        ]
        return [() if one is None else _lines(one) for one in found]

    def _env(self, name: str) -> tuple[str | None, str]:
        value = self.environ.get(name)
        if value is None:
            return None, "env_unset"
        return (value, "") if value.strip() else (None, "env_empty")

    def options(self, model: type[BaseModel], where: Located) -> tuple[Located, frozenset[int]]:
        """An adapter's options with references replaced wherever the model declares a secret: one
        that may be several as all lines of its file.

        Also gives the lines of those that could not be had (their faults are collected).
        """
        bad: set[int] = set()
        value = _copy(where.value)
        for path, text, several in list(_secret_places(model, value, ())):
            if not is_reference(text):
                said = say("secret_in_the_clear", key=str(path[-1]))
                self.faults.append(where.fault(path, said))
                bad.add(where.line(path))
                continue
            secret = self.get(text, where, path)
            if secret is not None and not several:
                secret = self._shown(secret, where, path)
            if secret is None:
                bad.add(where.line(path))
            else:
                _put(value, path, secret)
        return Located(value, where.file, where.lines), frozenset(bad)

    def _shown(
        self, secret: SecretStr, where: Located, path: tuple[str | int, ...]
    ) -> SecretStr | None:
        """What a far end is shown, which is one secret: of two lines, while it is replaced, the
        first. A PEM is one secret of many lines."""
        if secret.get_secret_value().startswith("-----BEGIN "):
            return secret
        lines = _lines(secret)
        if len(lines) > MOST:
            self.faults.append(where.fault(path, say("secrets_many", count=len(lines))))
            return None
        self.given.update(line.get_secret_value() for line in lines)
        return lines[0]

    def scrub(self, text: str) -> str:
        """`text` without any secret given so far: for messages made by an adapter's own checks."""
        for value in sorted(self.given, key=len, reverse=True):
            text = text.replace(value, "***")
        return text

    def scrubbed(self, said: Message) -> Message:
        """The sentence without any secret given so far, wherever it stands in it."""

        def clean(value: Given) -> Given:
            if isinstance(value, Message):
                return self.scrubbed(value)
            if isinstance(value, tuple):
                return tuple(clean(one) for one in value)  # type: ignore[misc]
            return self.scrub(value) if isinstance(value, str) else value

        return Message(said.text, tuple((name, clean(value)) for name, value in said.given))


def file_bytes(name: str, most: int) -> bytes:
    """What a plain file holds, no more than `most` bytes of it. Raises OSError where there is none:
    what is read from a pipe or a device might never end."""
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError
    with path.open("rb") as opened:
        return opened.read(most)


def _file(name: str) -> tuple[str | None, str]:
    try:
        content = file_bytes(name, LARGEST + 1)
        if len(content) > LARGEST:
            return None, "file_large"
        value = content.decode("utf-8-sig").rstrip("\r\n")
    except FileNotFoundError:
        return None, "file_none"
    except (OSError, UnicodeDecodeError):
        return None, "file_text"
    if any(unicodedata.category(one) == "Cc" and one not in "\r\n\t" for one in value):
        return None, "file_text"
    return (value, "") if value.strip() else (None, "file_empty")


def _lines(secret: SecretStr) -> tuple[SecretStr, ...]:
    lines = secret.get_secret_value().splitlines()
    return tuple(SecretStr(line) for line in lines if line.strip())


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _put(value: Any, path: tuple[str | int, ...], secret: SecretStr) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = secret


def _secret_places(
    annotation: Any, value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any, bool]]:
    """Where `value`, read as `annotation`, holds what is declared a secret, and whether it may be
    several there."""
    if isinstance(annotation, TypeAliasType):
        annotation = annotation.__value__
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _secret_places(get_args(annotation)[0], value, path)
    elif annotation in (SecretStr, SecretBytes):
        if value is not None and not isinstance(value, SecretStr | dict | list):
            yield path, value, False
    elif origin in (Union, types.UnionType):
        seen: set[tuple[str | int, ...]] = set()
        listed = any(map(_is_list, get_args(annotation)))
        for branch in get_args(annotation):
            for place in _secret_places(branch, value, path):
                if place[0] not in seen:
                    seen.add(place[0])
                    yield place[0], place[1], place[2] or (listed and place[0] == path)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if isinstance(value, dict) and _fits(annotation, value):
            for name, info in annotation.model_fields.items():
                for key in {name, info.alias, info.validation_alias}:
                    if isinstance(key, str) and key in value:
                        yield from _secret_places(info.annotation, value[key], (*path, key))
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            for part in get_args(annotation):
                if part is not Ellipsis:
                    for at, held, _ in _secret_places(part, inner, (*path, i)):
                        yield at, held, True
    elif isinstance(value, dict) and len(get_args(annotation)) == 2:
        for key, inner in value.items():
            yield from _secret_places(get_args(annotation)[1], inner, (*path, key))


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_origin(annotation) in (tuple, list)


def _fits(model: type[BaseModel], value: dict[str, Any]) -> bool:
    """Could `value` be this branch of a union? Its Literal fields (`kind: basic`) tell."""
    for name, info in model.model_fields.items():
        choices = get_args(info.annotation)
        told = value.get(info.alias or name)
        literal = bool(choices) and all(isinstance(choice, str) for choice in choices)
        if literal and isinstance(told, str) and told not in choices:
            return False
    return True
