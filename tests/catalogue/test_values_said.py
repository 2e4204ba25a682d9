"""A wrong value of any kind is told in our words, with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from adapters.demo.adapter import DemoOptions
from adapters.open311.options import Open311Options
from adapters.pivot.options import PivotOptions
from adapters.rest.options import RestOptions
from gateway.catalogue.config_faults import PATTERNS, validate
from gateway.catalogue.mapping_model import MappingFile
from gateway.catalogue.settings import CommuneFile, SettingsFile
from gateway.catalogue.yaml_reader import LocatedData
from gateway.contracts.case_model import CasesFile, Expected, Given
from gateway.core.errors import ConfigurationFault

MODELS: tuple[type[BaseModel], ...] = (
    *(SettingsFile, CommuneFile, MappingFile, CasesFile, Given, Expected),
    *(RestOptions, Open311Options, DemoOptions, PivotOptions),
)
#: What somebody may write for something else.
WRITTEN: tuple[Any, ...] = (
    "",
    "x",
    "É É",
    "x" * 2000,
    0,
    -1,
    10**12,
    1.5,
    True,
    None,
    [],
    ["x"],
    [[]],
    {},
    {"x": 1},
)


def places(schema: dict[str, Any], whole: dict[str, Any], deep: int = 0) -> Iterator[list[str]]:
    """The paths of all that a model's schema has, each model within another once."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    for part in schema.get("anyOf", schema.get("oneOf", ())):
        yield from places(part, whole, deep)
    if deep > 4:
        return
    for name, inside in schema.get("properties", {}).items():
        yield [name]
        yield from ([name, *rest] for rest in places(inside, whole, deep + 1))
    inside = schema.get("additionalProperties")
    if isinstance(inside, dict):
        yield from (["nom", *rest] for rest in ([], *places(inside, whole, deep + 1)))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_error_has_a_sentence_and_a_remedy(model: type[BaseModel]) -> None:
    schema = model.model_json_schema(by_alias=True)
    said: dict[str, str] = {}
    tried = {tuple(path) for path in places(schema, schema)}
    for path in sorted(tried)[:: 1 + len(tried) // 80]:
        for written in WRITTEN:
            value: Any = written
            for name in reversed(path):
                value = {name: value}
            try:
                validate(model, LocatedData(value, "f.yaml", {(): 1}))
            except ConfigurationFault as error:
                said |= {fault.said.word: fault.told() for fault in error.faults}
                for fault in error.faults:
                    assert fault.said.remedy(), fault.told()
                    assert fault.said.remedy("fr"), fault.told("fr")
    assert "unfit" not in said, said["unfit"]
    assert "missing" in said or not any(i.is_required() for i in model.model_fields.values())


def test_every_pattern_of_our_models_is_told_in_words() -> None:
    def patterns(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(found := value.get("pattern"), str):
                yield found
            for inside in value.values():
                yield from patterns(inside)
        elif isinstance(value, list):
            for inside in value:
                yield from patterns(inside)

    used = {one for model in MODELS[:6] for one in patterns(model.model_json_schema())}
    told = {one for one in used if one in PATTERNS}
    assert told == set(PATTERNS)
    # The rest has validators of its own, which say it.
    for pattern in used - told:
        assert pattern in OTHERS, pattern


OTHERS = {
    "^([0-9]{2}|2[AB])[0-9]{3}$",
    "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$",
    "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|vault:.+)$",
    r"^[0-9]+(\.[0-9]+)? *[smhd]$",
}


def test_pydantic_itself_is_still_asked() -> None:
    with pytest.raises(ValidationError):
        SettingsFile.model_validate({"portals": {}})
