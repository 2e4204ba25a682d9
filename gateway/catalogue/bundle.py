"""A bundle: every file of a configuration as text, by relative path, wherever it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.catalogue.texts import say
from gateway.core.errors import ConfigurationFault, Fault

SETTINGS = "config/gateway.yaml"
COMMUNES = "config/communes/"
MAPPINGS = "mappings/"
#: A mapping's cases stand in `<teleservice>/<name>.cases/`, with the formdata that they read there
#: or, when several mappings share it, in the teleservice's folder.
CASES = ".cases/"
#: Meant to be read, and would not be: `bron.yml`, `BRON.YAML`, `bron.yaml.txt`. What an editor or a
#: person keeps beside (`bron.yaml~`, `bron.yaml.bak`) is not meant to be.
_YAML = re.compile(r"\.ya?ml(\.txt)?\Z", re.IGNORECASE)
LARGEST = 2 * 1024 * 1024
#: The files that are read, below which folder.
_TAKEN = (
    ("config/", "gateway.yaml"),
    ("config/", "communes/*.yaml"),
    (MAPPINGS, "*/*.yaml"),
    (MAPPINGS, "*/*.json"),
    (MAPPINGS, "*/*.cases/*.yaml"),
    (MAPPINGS, "*/*.cases/*.json"),
)
#: Where a file of another ending is meant to be read.
_MISTAKEN = (("config/", "communes/*"), (MAPPINGS, "*/*"), (MAPPINGS, "*/*.cases/*"))


def is_mapping(file: str) -> bool:
    """Is this file of a bundle a mapping, rather than one of its cases or their data?"""
    return file.startswith(MAPPINGS) and file.endswith(".yaml") and CASES not in file


def mapping_key(file: str) -> str:
    """Return the key of a mapping's file: `teleservice/name`."""
    return file.removeprefix(MAPPINGS).removesuffix(".yaml")


def read_bundle(
    config_dir: Path | None, mappings_dir: Path, unread: list[Fault] | None = None
) -> dict[str, str]:
    """Read the files below two folders, as `config/...` and `mappings/...`.

    Takes `gateway.yaml` and `communes/*.yaml`, `<teleservice>/<name>.yaml` of the mappings with
    their cases (`<name>.cases/`) and JSON; names that begin with a dot are left out. `config_dir`
    None: the mappings alone. Raises ConfigurationFault for files that cannot be read as text, are
    too large, or lie outside their folder behind a link; those of one commune or one mapping are
    added to `unread` instead, where it is given.
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
        except (OSError, RuntimeError) as error:  # links that lead to one another
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
    """List what is not there of the folders and the settings. Raises ConfigurationFault where one
    cannot be looked into: it would pass for an empty one."""
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
    """Raises OSError for a folder that is there and cannot be listed: `glob` passes over it."""
    if folder.is_dir():
        next(folder.iterdir(), None)


def _files(
    config_dir: Path | None, mappings_dir: Path, patterns: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, Path, Path]]:
    """Name in the bundle, path and folder of each file; names that begin with a dot left out."""
    for prefix, pattern in patterns:
        base = mappings_dir if prefix == MAPPINGS else config_dir
        if base is None:
            continue
        for path in sorted(base.glob(pattern)):
            inside = path.relative_to(base)
            if not any(part.startswith(".") for part in inside.parts):
                yield prefix + inside.as_posix(), path, base


def of_one(file: str) -> bool:
    """Is it the file of one commune or mapping, rather than what all need?"""
    return any(file.startswith(folder) and file != folder for folder in (COMMUNES, MAPPINGS))


def _problem(path: Path, base: Path) -> str | None:
    if not path.resolve().is_relative_to(base.resolve()):
        return "link_outside"
    if not path.is_file():
        return "no_plain_file"
    if path.stat().st_size > LARGEST:
        return "file_too_large"
    return None
