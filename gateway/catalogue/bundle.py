"""A bundle: every file of a configuration as text, by relative path, wherever it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gateway.catalogue.texts import say
from gateway.core.errors import ConfigurationFault, Fault

SETTINGS = "config/gateway.yaml"
COMMUNES = "config/communes/"
MAPPINGS = "mappings/"
#: Files that communes' files name, as a WSDL and what it imports, or a logo.
FILES = "config/files/"
#: A mapping's cases are in `<teleservice>/<name>.cases/`, with the formdata that they read; what
#: several mappings share is in the teleservice's folder.
CASES = ".cases/"
#: A file meant to be read whose name keeps it out: `bron.yml`, `BRON.YAML`, `bron.yaml.txt`.
#: Backups (`bron.yaml~`, `bron.yaml.bak`) are not meant to be read.
_YAML = re.compile(r"\.ya?ml(\.txt)?\Z", re.IGNORECASE)
LARGEST = 2 * 1024 * 1024
#: The files that are read, by folder.
_TAKEN = (
    ("config/", "gateway.yaml"),
    ("config/", "communes/*.yaml"),
    ("config/", "files/*.wsdl"),
    ("config/", "files/*.xsd"),
    ("config/", "files/*.svg"),
    (MAPPINGS, "*/*.yaml"),
    (MAPPINGS, "*/*.json"),
    (MAPPINGS, "*/*.cases/*.yaml"),
    (MAPPINGS, "*/*.cases/*.json"),
    (MAPPINGS, "*/*.cases/*.wsdl"),
    (MAPPINGS, "*/*.cases/*.xsd"),
)
#: Folders in which a wrong ending is a mistake.
_MISTAKEN = (("config/", "communes/*"), (MAPPINGS, "*/*"), (MAPPINGS, "*/*.cases/*"))


def is_mapping(file: str) -> bool:
    """Is this file of a bundle a mapping, and no case or data of one?"""
    return file.startswith(MAPPINGS) and file.endswith(".yaml") and CASES not in file


def is_case(file: str) -> bool:
    """Does this file of a bundle hold cases, or data of them? Others beside cases are the bench's,
    as those of `config/files/` are a commune's."""
    return file.endswith((".yaml", ".json"))


def mapping_key(file: str) -> str:
    """Return the key of a mapping's file: `teleservice/name`."""
    return file.removeprefix(MAPPINGS).removesuffix(".yaml")


def config_files(bundle: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of the files that options may name, by their names."""
    return {
        file.removeprefix(FILES): text for file, text in bundle.items() if file.startswith(FILES)
    }


def files_named(bundle: Mapping[str, str], text: str) -> dict[str, str]:
    """Return the files that options may name and that a text names, with those that these name."""
    found: dict[str, str] = {}
    waiting = [text]
    while waiting:
        inside = waiting.pop()
        for name, content in config_files(bundle).items():
            if FILES + name not in found and name in inside:
                found[FILES + name] = content
                waiting.append(content)
    return found


def read_bundle(
    config_dir: Path | None, mappings_dir: Path, unread: list[Fault] | None = None
) -> dict[str, str]:
    """Read the files of two folders, as `config/...` and `mappings/...`.

    Takes `gateway.yaml`, `communes/*.yaml`, and of the mappings `<teleservice>/<name>.yaml` with
    their cases (`<name>.cases/`) and JSON; leaves out names that begin with a dot. `config_dir`
    None: the mappings alone. Raises ConfigurationFault for a file that is no text, is too large, or
    lies outside its folder behind a link. With `unread`, such a fault of one commune or mapping is
    added there instead.
    """
    faults = _missing(config_dir, mappings_dir)
    found: dict[str, str] = {}
    for name, path, base in _files(config_dir, mappings_dir, _TAKEN):
        try:
            problem = _problem(path, base)
            if problem:
                faults.append(Fault(name, 0, say(problem)))
            else:
                found[name] = path.read_text("utf-8")
        except UnicodeDecodeError:
            faults.append(Fault(name, 0, say("not_utf8")))
        except (OSError, RuntimeError) as error:  # links that lead in a circle
            faults.append(Fault(name, 0, say("unreadable_file", error=type(error).__name__)))
    for name, path, _ in _files(config_dir, mappings_dir, _MISTAKEN):
        if _YAML.search(path.name) and not path.name.endswith(".yaml"):
            faults.append(Fault(name, 0, say("yml")))
    if unread is not None:
        unread += [fault for fault in faults if of_one(fault.file)]
        faults = [fault for fault in faults if not of_one(fault.file)]
    if faults:
        raise ConfigurationFault(faults)
    return found


def _missing(config_dir: Path | None, mappings_dir: Path) -> list[Fault]:
    """List missing folders and settings. Raises ConfigurationFault for a folder that cannot be
    listed: it would pass for an empty one."""
    faults: list[Fault] = []
    name = "config/"
    try:
        if config_dir is not None and config_dir.is_file():
            faults.append(Fault(name, 0, say("folder_is_file", option="--config")))
        elif config_dir is not None and not config_dir.is_dir():
            faults.append(Fault(name, 0, say("no_config_folder")))
        elif config_dir is not None:
            if not (config_dir / "gateway.yaml").is_file():
                faults.append(Fault(SETTINGS, 0, say("no_settings")))
            name = COMMUNES
            _look_into(config_dir / "communes")
        name = MAPPINGS
        if mappings_dir.is_file():
            faults.append(Fault(name, 0, say("folder_is_file", option="--mappings")))
        elif not mappings_dir.is_dir():
            faults.append(Fault(name, 0, say("no_mappings_folder")))
        _look_into(mappings_dir)
    except OSError as error:
        said = say("unreadable_file", error=type(error).__name__)
        raise ConfigurationFault([*faults, Fault(name, 0, said)]) from None
    return faults


def _look_into(folder: Path) -> None:
    """Raises OSError for a folder that cannot be listed: `glob` passes over it."""
    if folder.is_dir():
        next(folder.iterdir(), None)


def _files(
    config_dir: Path | None, mappings_dir: Path, patterns: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, Path, Path]]:
    """Yield each file's name in the bundle, path and folder, except names that begin with a dot."""
    for prefix, pattern in patterns:
        base = mappings_dir if prefix == MAPPINGS else config_dir
        if base is None:
            continue
        for path in sorted(base.glob(pattern)):
            inside = path.relative_to(base)
            if not any(part.startswith(".") for part in inside.parts):
                yield prefix + inside.as_posix(), path, base


def of_one(file: str) -> bool:
    """Does the file belong to one commune or mapping, and not to all?"""
    return any(file.startswith(folder) and file != folder for folder in (COMMUNES, MAPPINGS, FILES))


def _problem(path: Path, base: Path) -> str | None:
    if not path.resolve().is_relative_to(base.resolve()):
        return "link_outside"
    if not path.is_file():
        return "no_plain_file"
    if path.stat().st_size > LARGEST:
        return "file_too_large"
    return None
