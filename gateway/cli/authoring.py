"""The files that a mapping's author names: the mapping and its bases, its cases, formdata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gateway.catalogue import registry
from gateway.catalogue.bundle import LARGEST, MAPPINGS
from gateway.catalogue.mapping_bases import resolved
from gateway.catalogue.mapping_files import mapping_of
from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.catalogue.yaml_reader import load_yaml
from gateway.cli.portal import FORM
from gateway.cli.setting import in_place
from gateway.cli.texts import say
from gateway.contracts.linting import doubts_of, spelling_doubts
from gateway.core.errors import ConfigurationFault, Fault, Rejected
from gateway.core.mapping import RequestMapping
from gateway.core.messages import Message
from gateway.wire.formdata import Formdata, parse_formdata


class UnreadableInput(ConfigurationFault):
    """A file of a command's arguments is missing, or cannot be read."""


def path_of(name: str, mappings: Path) -> Path:
    """Return the file of a mapping, which is given as a file or as `teleservice/name`."""
    given = Path(name)
    return given if given.suffix in (".yaml", ".yml") else mappings / f"{name}.yaml"


def load_file(path: Path) -> RequestMapping:
    """Load one mapping file; faults name its path as given.

    Raises ConfigurationFault; UnreadableInput where the file is missing or cannot be read.
    """
    return mapping_of(_beside(path), path.as_posix())


def file_doubts(path: Path) -> list[Fault]:
    """Return the warnings about one mapping file.

    They use the saved schema of its form and the facts about its adapter, where these are known.
    Raises as `load_file`.
    """
    files, name = _beside(path), path.as_posix()
    mapping = mapping_of(files, name)
    schema: Any = None
    with suppress(ValueError):
        schema = json.loads(_readable(path.with_name(FORM)) or "null")
    known = registry.survey().adapters.get(mapping.adapter)
    return doubts_of(
        mapping,
        resolved(files, name),
        schema=schema if isinstance(schema, dict) else None,
        words=frozenset() if known is None else known.status_words,
        referenced=None if known is None else known.sends_reference,
    ) + spelling_doubts(load_yaml(files[name], name))


def _beside(path: Path) -> dict[str, str]:
    """Return the text of a mapping, and of all mappings beside it that it may extend."""
    files = {path.as_posix(): read_author_file(path, say("no_mapping"))}
    for beside in path.parent.glob("*.yaml") if "extends" in files[path.as_posix()] else ():
        if (text := _readable(beside)) is not None:
            files.setdefault(beside.as_posix(), text)
    return files


#: The files of a mapping's folder that are read.
_TAKEN = ("*.yaml", "*.json", *(f"*.cases/*.{end}" for end in ("yaml", "json", "wsdl", "xsd")))


def author_bundle(path: Path) -> dict[str, str]:
    """Return the bundle of a mapping's folder: its files, their cases, and the cases' formdata.

    Files that cannot be read are left out, except the mapping itself. Raises UnreadableInput.
    """
    folder = path.absolute().parent
    read_author_file(path, say("no_mapping"))
    found: dict[str, str] = {}
    for pattern in _TAKEN:
        for file in sorted(folder.glob(pattern)):
            if (text := _readable(file)) is not None:
                found[f"{MAPPINGS}{folder.name}/{file.relative_to(folder).as_posix()}"] = text
    return found


def bundle_name(path: Path) -> str:
    """Return the name of a mapping's file in its folder's bundle."""
    return f"{MAPPINGS}{path.absolute().parent.name}/{path.name}"


@contextmanager
def as_it_lies(path: Path, config: Path = Path("config")) -> Iterator[None]:
    """Within the block, faults name the files of the folder instead of the bundle's names."""
    with in_place(config, folder_of_mappings(path)):
        yield


def folder_of_mappings(path: Path) -> Path:
    """Return the folder of all mappings, if a mapping's file lies two levels below it."""
    return path.parent.parent if path.parent.name else path.parent / ".."


def read_formdata(path: Path) -> tuple[Formdata, Mapping[str, Any]]:
    """Return the formdata that a file holds, and the file as JSON.

    Raises UnreadableInput, which quotes the French answer that a portal would get.
    """
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise unread(path, say("no_formdata")) from None
    except OSError:
        raise unread(path, say("unread_file")) from None
    document: Any = None
    try:
        document = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise unread(path, say("file_encoding")) from None
    except json.JSONDecodeError as error:
        raise unread(path, say("formdata_json"), error.lineno) from None
    except RecursionError:
        pass  # Told by the depth, below.
    try:
        return parse_formdata(body, "application/json", limits=DEFAULT_LIMITS), document
    except Rejected as error:
        raise unread(path, say("formdata_refused", code=error.code, told=error.text)) from None


def read_author_file(path: Path, missing: Message) -> str:
    """Return the text of a file. Raises UnreadableInput, with `missing` as its word if there is
    none."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise unread(path, missing) from None
    except IsADirectoryError:
        raise unread(path, say("mapping_folder")) from None
    except OSError:
        raise unread(path, say("unread_file")) from None
    except UnicodeDecodeError:
        raise unread(path, say("file_encoding")) from None


def unread(path: Path, why: Message, line: int = 0) -> UnreadableInput:
    """Return the error for an unreadable file of a command's arguments."""
    return UnreadableInput([Fault(path.as_posix(), line, why)])


def _readable(path: Path) -> str | None:
    try:
        return path.read_text("utf-8") if path.stat().st_size <= LARGEST else None
    except (OSError, UnicodeDecodeError):
        return None
