"""`config`: the configuration as the gateway reads it, without a secret."""

from __future__ import annotations

import typer
import yaml

from gateway.catalogue.bundle import COMMUNES, SETTINGS, read_bundle
from gateway.catalogue.config_faults import validate_all
from gateway.catalogue.scalars import StrictModel
from gateway.catalogue.secrets import NeededSecrets, SecretSource
from gateway.catalogue.settings import CommuneFile, SettingsFile
from gateway.catalogue.yaml_reader import load_yaml
from gateway.cli.output import AsJson, emit, print_text
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_catalogue

app = typer.Typer(help="The configuration.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The configuration."""


@app.command()
def show(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """The settings in force, defaults included; secrets as their references (env:, file:)."""
    # A secret written in the clear is a fault: what passes here holds references only.
    catalogue = load_catalogue(config, mappings)
    bundle = read_bundle(config, mappings)
    shown = {
        "gateway": _entry(SettingsFile, bundle, SETTINGS),
        "communes": {
            file.removeprefix(COMMUNES): _entry(CommuneFile, bundle, file)
            for file in sorted(bundle)
            if file.startswith(COMMUNES)
        },
        "mappings": sorted(catalogue.mappings),
        "adapters": sorted(catalogue.adapters),
    }
    if as_json:
        emit(shown)
    else:
        print_text(yaml.safe_dump(shown, allow_unicode=True, sort_keys=False).rstrip("\n"))


def _entry(model: type[StrictModel], bundle: dict[str, str], file: str) -> object:
    entry, _ = validate_all(
        model, load_yaml(bundle[file], file), SecretSource({}, NeededSecrets.NONE)
    )
    return None if entry is None else entry.model_dump(mode="json")
