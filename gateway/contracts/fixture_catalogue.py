"""The catalogue in which a case is played: a commune's own, or a bench made for the case. It reads
no secret: a text stands for each."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import yaml

from gateway.catalogue.build import build
from gateway.catalogue.bundle import CASES, FILES, SETTINGS, is_case
from gateway.catalogue.catalogue import Catalogue, Route
from gateway.contracts.cases import Bench
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.ids import is_insee
from gateway.core.mapping import RequestMapping
from gateway.core.request import Json

#: An address of a database is checked when it is read, so the text must be a valid one.
SECRET = "postgresql://cas-de-recette/"  # noqa: S105 - what stands for one
#: A private key signs: what stands for one must be a key, of the kind that the file names.
_PRIVATE_KEY = re.compile(r"(?<=private_key: )(?:env:\w+|file:/[^\s\"',}\]#]+)")
_KEYS = ("CLE_PRIVEE_RSA", "CLE_PRIVEE_EC")
_SECRET_FILE = re.compile(r"\bfile:(/[^\s\"',}\]#]+)")
NOWHERE = "69000"


class StubEnvironment(Mapping[str, str]):
    """An environment with every variable, each a text that is no secret."""

    def __getitem__(self, name: str) -> str:
        return _private_key(name) if name in _KEYS else SECRET + name

    def get(self, name: str, default: Any = None) -> str:
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


@cache
def _private_key(name: str) -> str:
    """Make a key of nobody's, once."""
    from joserfc.jwk import ECKey, RSAKey  # takes a while to load, and few need it

    key = ECKey.generate_key("P-256") if name == _KEYS[1] else RSAKey.generate_key(2048)
    return key.as_pem(private=True).decode()


def without_secrets(bundle: Mapping[str, str]) -> dict[str, str]:
    """Replace the references to files in a bundle by variables, which `StubEnvironment` has."""

    def reference(found: re.Match[str]) -> str:
        return "env:" + re.sub(r"[^A-Za-z0-9]", "_", found[1]).strip("_")

    def plain(text: str) -> str:
        key = _KEYS["algorithm: ES" in text]
        return _SECRET_FILE.sub(reference, _PRIVATE_KEY.sub(f"env:{key}", text))

    return {
        name: plain(text) if name.startswith("config/") else text for name, text in bundle.items()
    }


def offline_catalogue(bundle: Mapping[str, str]) -> Catalogue:
    """Return the catalogue of a bundle, to be run without far ends. Raises ConfigurationFault."""
    return build(without_secrets(bundle), environ=StubEnvironment())


def bench_catalogue(
    bundle: Mapping[str, str], mapping: RequestMapping, bench: Bench, formdata: Mapping[str, Json]
) -> tuple[Catalogue, Route]:
    """Return a catalogue of one commune with one GRU, which has the bench's options. Raises
    ConfigurationFault at the line of options that the adapter refuses."""
    insee = _insee(formdata)
    slug = mapping.teleservice
    settings = {
        "portals": {
            "portail": {
                "base_url": _origin(formdata),
                "environment": "test",
                "orig": "passerelle.exemple.invalid",
                "key": "env:CLE_DU_PORTAIL",
                "report_delay": None,
                "teleservices": {slug: {"reconcile": None}},
            }
        }
    }
    commune = {
        "commune": insee,
        "name": "Banc d'essai",
        "portal": "portail",
        "gru": {
            "banc": {
                "adapter": mapping.adapter,
                "environment": "test",
                "options": bench.options,
                "retry": {"delays": ["1h"], "jitter": 0},
            }
        },
        "routes": {slug: {"gru": "banc", "mapping": mapping.key}},
    }
    beside = mapping.file.removesuffix(".yaml") + CASES
    files = {name for name in bundle if name.startswith(beside) and not is_case(name)}
    made = {
        SETTINGS: yaml.safe_dump(settings),
        "config/communes/banc.yaml": yaml.safe_dump(commune, allow_unicode=True),
        **{name: bundle[name] for name in (mapping.file, *mapping.bases)},
        **{FILES + name.removeprefix(beside): bundle[name] for name in bundle if name in files},
    }
    try:
        catalogue = build(made, environ=StubEnvironment())
    except ConfigurationFault as error:
        raise ConfigurationFault(
            [Fault(bench.file, bench.line, f.said) for f in error.faults]
        ) from None
    return catalogue, catalogue.communes[insee].routes[slug]


def with_mapping(catalogue: Catalogue, route: Route, mapping: RequestMapping) -> Catalogue:
    """Return the catalogue with `mapping` on this route, and its commune not paused."""
    commune = catalogue.communes[route.commune]
    routes = dict(commune.routes)
    routes[route.teleservice] = dataclasses.replace(route, mapping=mapping)
    communes = {route.commune: dataclasses.replace(commune, routes=routes, paused=False)}
    portals = {
        name: dataclasses.replace(one, lane=dataclasses.replace(one.lane, report_delay=0.0))
        for name, one in catalogue.portals.items()
    }
    return dataclasses.replace(catalogue, communes=communes, portals=portals)


def _insee(formdata: Mapping[str, Json]) -> str:
    for part, name in (("extra", "commune_insee"), ("fields", "commune_raw")):
        inside = formdata.get(part)
        value = inside.get(name) if isinstance(inside, dict) else None
        if isinstance(value, str) and is_insee(value):
            return value
    return NOWHERE


def _origin(formdata: Mapping[str, Json]) -> str:
    address = urlsplit(str(formdata.get("api_url") or ""))
    if address.scheme in ("http", "https") and address.netloc:
        return f"{address.scheme}://{address.netloc}"
    return "https://portail.exemple.invalid"
