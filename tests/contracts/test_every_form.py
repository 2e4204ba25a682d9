"""Generated demands: each valid form gives a valid payload by each shipped mapping, or is refused
for a reason that the mapping declares."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.open311.parameters import CREATE
from gateway.catalogue.bundle import is_mapping, read_bundle
from gateway.catalogue.mapping_files import mapping_of
from gateway.core.mapping import Join, LookupTable, PerRow, RequestMapping, Rule
from gateway.core.render import Rendered, Unmappable, is_empty, render
from gateway.core.request import EventKind

ROOT = Path(__file__).parents[2]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    ["", " ", "<p>Un <b>trou</b></p>", "5 < 6 & _x_", "😀" * 20, "é" * 6000]
)
WORDS = st.sampled_from(["ouvert", "a", "inconnue", "12 bis"])


@cache
def bundle() -> dict[str, str]:
    return dict(read_bundle(None, ROOT / "mappings"))


FILES = sorted(filter(is_mapping, bundle()))


@cache
def mapping(file: str) -> RequestMapping:
    return mapping_of(bundle(), file)


@cache
def sample(slug: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bundle()[f"mappings/{slug}/formulaire.json"])
    return found


def like(name: str, value: Any, keys: dict[str, list[str]]) -> st.SearchStrategy[Any]:
    """Return other values that a citizen may give instead of `value`, or none at all."""
    return st.none() | _filled(name, value, keys)


def _filled(name: str, value: Any, keys: dict[str, list[str]]) -> st.SearchStrategy[Any]:
    if isinstance(value, dict) and {"lat", "lon"} <= value.keys():
        place = {"lat": st.floats(45.5, 46), "lon": st.floats(4.5, 5.2)}
        return st.fixed_dictionaries({key: place.get(key, st.just(None)) for key in place})
    if isinstance(value, dict):
        return st.just(value)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        row = {key: like(key, one, keys) for key, one in value[0].items()}
        return st.lists(st.fixed_dictionaries(row), max_size=2)
    if isinstance(value, list):
        return st.lists(WORDS, max_size=2)
    if isinstance(value, bool):
        return st.booleans()
    if name in keys:
        return st.sampled_from([*keys[name], "inconnue"])
    if isinstance(value, str) and _is_date(value):
        return st.dates().map(str)
    if isinstance(value, str) and value.replace(".", "", 1).isdigit():
        return st.integers(0, 99_999).map(str)
    return TEXTS


def _is_date(value: str) -> bool:
    return len(value) == 10 and value[4] == value[7] == "-"


def looked_up(file: str) -> dict[str, list[str]]:
    """The keys of the tables by the field that is looked up."""
    found: dict[str, list[str]] = {}
    for rule in mapping(file).every_rule():
        for path in getattr(getattr(rule.source, "expression", None), "reads", ()):
            if isinstance(rule.table, LookupTable):
                found[path.rpartition(".")[2].removesuffix("[]")] = [*rule.table.entries]
    return found


@cache
def demands(file: str) -> st.SearchStrategy[dict[str, Any]]:
    keys = looked_up(file)
    fields = sample(mapping(file).teleservice)["fields"]
    known = {name: like(name, value, keys) for name, value in fields.items()}
    place = st.fixed_dictionaries({"lat": st.floats(45.5, 46), "lon": st.floats(4.5, 5.2)})
    return st.fixed_dictionaries(
        {
            "id": st.just("TDG-01JD3M7W2K9XQ4ZB"),
            "number": st.just("37-1042"),
            "channel": st.sampled_from(["web", "counter"]),
            "submitted_at": st.just("2026-03-12T07:41:07Z"),
            "event": st.fixed_dictionaries({"message": st.none() | TEXTS}),
            "changes": st.just([{"field": "a", "before": "1", "after": "2", "text": "a : 1 → 2"}]),
            "user": st.none() | st.fixed_dictionaries({"name": TEXTS, "email": TEXTS}),
            "fields": st.fixed_dictionaries(known),
            "location": st.none() | place,
            "attachments": st.lists(
                st.sampled_from(["photo", "photo_2", "livret_famille"]).map(
                    lambda field: {"field": field, "filename": f"{field}.pdf"}
                ),
                max_size=3,
            ),
        }
    )


def declared(rules: tuple[Rule, ...]) -> set[str]:
    """The codes by which these rules may refuse."""
    found = set()
    for rule in rules:
        found |= {"required"} if rule.required else set()
        found |= {"table"} if rule.table is not None and rule.table.default is None else set()
        found |= {"date"} if rule.date is not None else set()
        found |= {"phone"} if rule.phone is not None else set()
        found |= {"coordinates"} if rule.coordinates is not None else set()
        found |= {"type"} if rule.type not in ("native", "text") or rule.unit else set()
        found |= {"length"} if rule.max_length and rule.too_long == "refuse" else set()
        match rule.source:
            case Join(parts) | PerRow(each=parts):
                found |= declared(parts)
    return found


def check(rules: tuple[Rule, ...], payload: dict[str, Any], when_all: bool) -> None:
    """Each value is one that its rule may make, and what is required is there."""
    for rule in rules:
        value: Any = payload
        for step in rule.target:
            value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            assert not (rule.required and rule.when is None and when_all), rule.name
            continue
        assert not is_empty(value), rule.name
        if rule.max_length is not None and isinstance(value, str):
            text = value.encode() if rule.length_in == "bytes" else value
            assert len(text) <= rule.max_length
        if rule.type == "number":
            assert isinstance(value, int | float)
            assert math.isfinite(value)
        if isinstance(rule.source, PerRow):
            assert isinstance(value, list)
            for row in value:
                check(rule.source.each, row, when_all)


@pytest.mark.parametrize("file", FILES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_valid_form_gives_a_valid_payload_or_a_declared_refusal(
    file: str, data: st.DataObject
) -> None:
    one = mapping(file)
    demand = data.draw(demands(file))
    for kind in EventKind:
        rendered = render(one, demand, kind)
        rules = one.rules(kind)
        if isinstance(rendered, Unmappable):
            codes = declared(rules) | ({"attachments"} if one.attachments.most else set())
            assert {fault.code for fault in rendered.faults} <= codes
            continue
        assert isinstance(rendered, Rendered)
        json.dumps(rendered.payload, allow_nan=False, ensure_ascii=False).encode()
        check(rules, rendered.payload, when_all=True)
        if one.adapter == "open311" and kind is EventKind.CREATION:
            assert set(rendered.payload) <= CREATE
