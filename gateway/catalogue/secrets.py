"""Secrets by reference: `env:NAME` or `file:/path`, read into values that do not print. No fault
holds a secret's value, nor the text found in place of a reference."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationInfo

from gateway.catalogue.texts import say
from gateway.core.messages import Given, Message
from gateway.sdk.config_files import ConfigFiles
from gateway.sdk.secrets import Secret, SecretReader, WholeSecret, is_reference, no_secret

LARGEST = 64 * 1024
#: Stands for a secret that nobody needs or that cannot be read. It is a valid database address, and
#: as long as any secret has to be.
_UNREAD = "postgresql://this-secret-is-unread.invalid"
_MISSING = "sqlite:///this-secret-is-missing.invalid"


class NeededSecrets(StrEnum):
    """The secrets that are read; a placeholder stands for the others."""

    ALL = "all"
    #: For what calls no far end.
    DATABASE = "database"
    NONE = "none"


@dataclass(slots=True)
class SecretSource(SecretReader, ConfigFiles):
    """Reads references from an environment and from files, and knows the files of `config/files/`.

    A secret that is not `needed` becomes a placeholder. `given` are the values read. With
    `forgiving`, an unreadable secret becomes a placeholder too.
    """

    environ: Mapping[str, str]
    needed: NeededSecrets = NeededSecrets.ALL
    forgiving: bool = False
    given: set[str] = field(default_factory=set, repr=False)
    config_files: Mapping[str, str] = field(default_factory=dict, repr=False)

    def read(self, reference: str, of: NeededSecrets = NeededSecrets.ALL) -> str:
        """Read the secret behind a reference. Raises `no_secret(...)`. `of` is its use, where that
        use alone may be needed."""
        if self.needed not in (NeededSecrets.ALL, of):
            return _UNREAD
        kind, _, name = reference.partition(":")
        value, problem = self._env(name) if kind == "env" else _file(name)
        if value is None and self.forgiving:
            return _MISSING
        if value is None:
            raise no_secret(say(problem, name=name))
        self.given.update((value, *value.splitlines()))
        self.given.discard("")
        return value

    def is_read(self, secret: Secret) -> bool:
        """Is this the secret itself, and no placeholder?"""
        return secret.get_secret_value() not in (_UNREAD, _MISSING)

    def forgiven(self) -> SecretSource:
        """Return a forgiving copy."""
        return replace(self, forgiving=True)

    def _env(self, name: str) -> tuple[str | None, str]:
        value = self.environ.get(name)
        if value is None:
            return None, "env_unset"
        return (value, "") if value.strip() else (None, "env_empty")

    def scrubbed(self, said: Message) -> Message:
        """Return the sentence without the secrets read so far: an adapter's own check made it."""

        def clean(value: Given) -> Given:
            if isinstance(value, Message):
                return self.scrubbed(value)
            if isinstance(value, tuple):
                return tuple(clean(one) for one in value)  # type: ignore[misc]
            return self._scrub(value) if isinstance(value, str) else value

        return Message(said.text, tuple((name, clean(value)) for name, value in said.given))

    def _scrub(self, text: str) -> str:
        for value in sorted(self.given, key=len, reverse=True):
            text = text.replace(value, "***")
        return text


def store_secret(value: Any, info: ValidationInfo) -> Any:
    """Read a reference to a secret of our own store. Anything else is returned as it is."""
    source = info.context
    if isinstance(source, SecretSource) and is_reference(value):
        return Secret(source.read(value, NeededSecrets.DATABASE), value)
    return value


#: A secret of our own store, which is needed even where no far end is called.
StoreSecret = Annotated[WholeSecret, BeforeValidator(store_secret)]


def file_bytes(name: str, most: int) -> bytes:
    """Read at most `most` bytes of a plain file. Raises OSError for anything else: a pipe or a
    device might never end."""
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
