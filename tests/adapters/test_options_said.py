"""Wrong options of every adapter: a sentence in French at file:line:column, never a crash."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.catalogue.build import build
from gateway.contracts.fixture_catalogue import StubEnvironment, without_secrets
from gateway.core.errors import ConfigurationFault
from tests.core.test_messages import ENGLISH, prose

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
EXAMPLES = sorted(path.stem for path in (CONFIG / "communes.example").glob("*.yaml"))
#: Names that the remedy lists: keys, adapters.
_NAMES = re.compile(r"\((?:connus|ici) .*?\)|\(known .*?\)")
_PLACED = re.compile(r"config/communes/[\w.-]+:\d+:\d+: ")


def _paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inside:
        yield (*at, key)
        if isinstance(one, dict | list):
            yield from _paths(one, (*at, key))


def _spoilt(text: str) -> Iterator[dict[str, Any]]:
    """Each option wrong in one way: of another kind, a list, a table, empty, gone, or misspelt."""
    whole = yaml.safe_load(text)
    (gru, *_) = whole["gru"]
    for number, (*above, last) in enumerate(_paths(whole["gru"][gru]["options"])):
        made = yaml.safe_load(text)
        options = made["gru"][gru]["options"]
        for key in above:
            options = options[key]
        match number % 6:
            case 0 | 1 | 2 | 3 as way:
                options[last] = (7, [], {"x": 1}, None)[way]
            case 4:
                options.pop(last)
            case 5 if isinstance(options, dict):
                options[f"{last}_"] = options.pop(last)
        yield made


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_wrong_option_is_said_at_its_place(name: str) -> None:
    text = (CONFIG / "communes.example" / f"{name}.yaml").read_text("utf-8")
    files = {
        f"mappings/{path.relative_to(ROOT / 'mappings')}": path.read_text("utf-8")
        for path in (ROOT / "mappings").glob("*/*.yaml")
    }
    files["config/gateway.yaml"] = (CONFIG / "gateway.example.yaml").read_text("utf-8")
    refused = 0
    for spoilt in _spoilt(text):
        files[f"config/communes/{name}.yaml"] = yaml.safe_dump(spoilt, sort_keys=False)
        try:
            build(without_secrets(files), environ=StubEnvironment())
        except ConfigurationFault as error:
            refused += 1
            for fault in error.faults:
                said = fault.placed("fr")
                assert _PLACED.match(said), said
                assert not prose(_NAMES.sub("", said)) & ENGLISH, said
    assert refused >= 2
