"""Packs: a GRU's commune file, mapping and cases, ready to be begun from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gateway
from gateway.catalogue.bundle import MAPPINGS
from gateway.catalogue.config_faults import validate
from gateway.catalogue.scalars import StrictModel
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import Conflict, NotFound

FOLDER = "adapters/packs"
SAMPLE = "formulaire.json"


class PackQuality(StrictModel):
    """A pack as it was tried: on a server, or by a documentation alone."""

    product: str
    versions: str
    tried: str
    date: str | None = None
    rows: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack, by its folder. `teleservice`: the form that its mapping is for."""

    name: str
    folder: Path
    quality: PackQuality
    teleservice: str

    @property
    def readme(self) -> str:
        return (self.folder / "README.md").read_text("utf-8")

    @property
    def ticketing(self) -> str | None:
        """The part of `gateway.yaml` by which incidents have tickets there; None: it has none."""
        file = self.folder / "ticketing.yaml"
        return file.read_text("utf-8") if file.is_file() else None

    def files(self, insee: str, commune: str) -> dict[str, str]:
        """Return the files of a configuration that begins from it, for one commune, by their path
        as in a bundle."""
        mapping = f"mappings/{self.teleservice}/{self.name}"
        texts = {
            f"config/communes/{insee}.yaml": self._of("commune.yaml", insee, commune),
            f"{mapping}.yaml": self._of("mapping.yaml", insee, commune),
        }
        for path in sorted((self.folder / "cases").glob("*.yaml")):
            texts[f"{mapping}.cases/{path.name}"] = self._of(f"cases/{path.name}", insee, commune)
        return texts

    def _of(self, file: str, insee: str, commune: str) -> str:
        text = (self.folder / file).read_text("utf-8")
        text = re.sub(r'^commune: "\d+"', f'commune: "{insee}"', text, flags=re.MULTILINE)
        return re.sub(r"^name: .*", lambda _: f"name: {_quoted(commune)}", text, flags=re.MULTILINE)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def read_packs(folder: Path | None = None) -> dict[str, Pack]:
    """Return the packs that lie beside the installed package, by name. Raises NotFound."""
    home = folder or Path(gateway.__file__).resolve().parents[1] / FOLDER
    found: dict[str, Pack] = {}
    for path in sorted(home.glob("*/quality.yaml")):
        quality = validate(PackQuality, load_yaml(path.read_text("utf-8"), str(path)))
        mapping = load_yaml((path.parent / "mapping.yaml").read_text("utf-8"), str(path))
        name = path.parent.name
        found[name] = Pack(name, path.parent, quality, str(mapping.value["teleservice"]))
    if not found:
        raise NotFound(say("no_packs", folder=str(home)))
    return found


def write_pack(pack: Pack, insee: str, commune: str, config: Path, mappings: Path) -> list[Path]:
    """Write a pack's files for a commune, and return them. Raises Conflict where one is there."""
    places = {
        (config if name.startswith("config/") else mappings) / name.partition("/")[2]: text
        for name, text in pack.files(insee, commune).items()
    }
    there = [str(path) for path in places if path.exists()]
    if there:
        raise Conflict(say("pack_there", files=tuple(there)))
    # The sample that its cases are played with may be there: several mappings share it.
    sample = mappings / pack.teleservice / SAMPLE
    shipped = pack.folder.parents[2] / MAPPINGS / pack.teleservice / SAMPLE
    if not sample.exists() and shipped.is_file():
        places[sample] = shipped.read_text("utf-8")
    for path, text in places.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return list(places)


__all__ = ["Pack", "PackQuality", "read_packs", "write_pack"]
