"""A package of its own for a new adapter, made of the example that the SDK holds."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from gateway.core.errors import Conflict, GatewayError
from gateway.core.messages import Messages, Text

_NAME = re.compile(r"[a-z][a-z0-9_]{1,39}")
# fmt: off
say = Messages(
    Text("bad_kind", "`{name}` cannot be the name of an adapter",
         "2 to 40 lower-case letters, digits and underscores, a letter first, no word of Python",
         "`{name}` ne peut être le nom d'un adaptateur",
         "2 à 40 minuscules, chiffres et tirets bas, une lettre en tête, aucun mot de Python"),
    Text("kind_taken", "an adapter `{name}` is installed already", "choose another name",
         "un adaptateur `{name}` est déjà installé", "choisir un autre nom"),
    Text("folder_taken", "{folder} is there already", "choose another name or folder, or remove it",
         "{folder} existe déjà", "choisir un autre nom ou dossier, ou le supprimer"),
)
# fmt: on
#: The files of the package, and where the example has them.
_FILES = {
    "pyproject.toml": "package/pyproject.toml",
    "README.md": "package/README.md",
    "README.fr.md": "package/README.fr.md",
    "gru_{name}/__init__.py": "__init__.py",
    "gru_{name}/adapter.py": "adapter.py",
    "gru_{name}/conformance.py": "conformance.py",
    "tests/test_conformance.py": "package/test_conformance.py.txt",
}


def new_adapter(name: str, into: Path, taken: frozenset[str]) -> Path:
    """Make the package `gru-NAME` in the folder `into`, and return its folder.

    Raises GatewayError for a name that an adapter cannot have or that is `taken`, and Conflict
    where the folder is there already.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name == "example":
        raise GatewayError(say("bad_kind", name=name))
    if name in taken:
        raise Conflict(say("kind_taken", name=name))
    folder = into / _package(name)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise Conflict(say("folder_taken", folder=str(folder))) from None
    for target, text in _written(name):
        file = folder / target
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


def _written(name: str) -> Iterator[tuple[str, str]]:
    """Yield each file of the package, the example's name replaced."""
    camel = "".join(part.capitalize() for part in name.split("_"))
    example = files("gateway.sdk.example")
    for target, source in _FILES.items():
        text = example.joinpath(source).read_text("utf-8")
        if source == "__init__.py":
            text = f'"""The adapter `{name}` of toodego-gru-gateway."""\n'
        text = text.replace("gateway.sdk.example", f"gru_{name}")
        text = text.replace("gru-example", _package(name))
        text = text.replace("Example", camel).replace("example.org", "\0")
        text = re.sub(r"\bexample\b|(?<=gru_)example\b", name, text).replace("\0", "example.org")
        yield target.format(name=name), text


def _package(name: str) -> str:
    """Return the name of an adapter's package, as indexes write it."""
    return f"gru-{name.replace('_', '-')}"


__all__ = ["new_adapter"]
