"""What pydantic refuses in our files, told as faults at file:line with a remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypeAliasType

from gateway.catalogue.patterns import FIELD, INSEE, MAPPING, NAME, SLUG, WORD
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import Located, Path
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.messages import Message, plain

M = TypeVar("M", bound=BaseModel)

#: pydantic's errors: our word, and which of its values fills which place.
PYDANTIC: Final[Mapping[str, tuple[str, tuple[tuple[str, str], ...]]]] = {
    "string_type": ("text", ()),
    "string_too_short": ("text_too_short", (("least", "min_length"),)),
    "string_too_long": ("text_too_long", (("most", "max_length"),)),
    "int_type": ("whole_number", ()),
    "int_parsing": ("whole_number", ()),
    "int_parsing_size": ("whole_number", ()),
    "int_from_float": ("whole_number", ()),
    "float_type": ("number", ()),
    "float_parsing": ("number", ()),
    "finite_number": ("number", ()),
    "bool_type": ("yes_or_no", ()),
    "bool_parsing": ("yes_or_no", ()),
    "greater_than_equal": ("at_least", (("least", "ge"),)),
    "greater_than": ("above", (("least", "gt"),)),
    "less_than_equal": ("at_most", (("most", "le"),)),
    "less_than": ("below", (("most", "lt"),)),
    "path_type": ("text", ()),
    "zoneinfo_str": ("zone_value", ()),
    "list_type": ("list", ()),
    "tuple_type": ("list", ()),
    "set_type": ("list", ()),
    "frozen_set_type": ("list", ()),
    "dict_type": ("keys", ()),
    "model_type": ("keys", ()),
    "model_attributes_type": ("keys", ()),
    "too_short": ("too_few", (("least", "min_length"),)),
    "too_long": ("too_many", (("most", "max_length"),)),
}
#: What the patterns of our models ask for, in words.
PATTERNS: Final = {
    NAME: "pattern_name",
    SLUG: "pattern_slug",
    MAPPING: "pattern_mapping",
    "^/": "pattern_path",
    FIELD: "pattern_field",
    WORD: "pattern_word",
    INSEE: "pattern_insee",
}


def validate(model: type[M], located: Located, context: Any = None) -> M:
    """The data as `model`, or `ConfigurationFault` with every error at its line, with a remedy.

    A validator says what it refuses by `gateway.sdk.refuse`; what pydantic itself refuses has its
    sentence here.
    """
    try:
        return model.model_validate(located.value, context=context)
    except ValidationError as error:
        details = error.errors(include_url=False)
    raise ConfigurationFault([_fault(model, located, detail) for detail in details])


def _fault(model: type[BaseModel], located: Located, detail: ErrorDetails) -> Fault:
    path = _existing(located.value, detail["loc"])
    return Fault(located.file, located.line(path), _said(model, path, detail))


def _said(model: type[BaseModel], path: Path, detail: ErrorDetails) -> Message:
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx") or {}
    name: str | Message = ".".join(map(str, path)) or say("whole_file")
    last = str(loc[-1]) if loc else ""
    if isinstance(own := context.get("said"), Message):
        return say("of_value", name=name, said=own, cure=own.cure)
    if kind == "missing":
        return say("missing", key=last, where=say("in", name=name) if path else say("at_top"))
    if kind == "extra_forbidden":
        cure = nearest(last, _known(model, loc[:-1]))
        if not path[1:]:
            return say("not_known", key=last, cure=cure)
        return say("not_known_in", key=last, name=".".join(map(str, path[:-1])), cure=cure)
    if kind in {"literal_error", "enum"}:
        choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        given = detail["input"]
        cure = say("one_of", choices=tuple(choices or [str(context.get("expected"))]))
        return say(
            "not_a_choice",
            name=name,
            cure=nearest(given, choices) if isinstance(given, str) and choices else cure,
        )
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        key = str(context.get("discriminator")).strip("'")
        choices = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
        if not choices:
            return say("kind_missing", name=name, key=key)
        return say("kind_unknown", name=name, key=key, choices=tuple(choices))
    if kind == "string_type" and _is_number(detail["input"]):
        return say("number_for_text", name=name)
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        word = PATTERNS.get(pattern)
        cure = say(word) if word else say("pattern_other", pattern=pattern)
        return say("pattern", name=name, cure=cure)
    if kind in PYDANTIC:
        word, places = PYDANTIC[kind]
        return say(word, name=name, **{place: _plainly(context[of]) for place, of in places})
    if kind in say:
        return say("of_value", name=name, said=say(kind), cure=say(kind).cure)
    if kind in {"value_error", "assertion_error"}:  # of somebody else's adapter, in its words
        text = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return say("of_value", name=name, said=plain(text[:1].lower() + text[1:]), cure="")
    return say("unfit", name=name)


def _plainly(value: object) -> str | int | float:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float) else str(value)


def nearest(word: str, known: list[str]) -> Message:
    """A remedy for an unknown `word`: the closest known one, or all of them."""
    close = get_close_matches(word, known, n=1, cutoff=0.55)
    if close:
        return say("did_you_mean", word=close[0])
    return say("known_here", known=tuple(sorted(known))) if known else say("nothing_known")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _existing(value: Any, loc: Path) -> Path:
    """`loc` without pydantic's own steps (union branches, validators): what the file has."""
    path: list[str | int] = []
    for step in loc:
        inside = (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if inside:
            path.append(step)
            value = value[step]
    return tuple(path)


def _known(model: type[BaseModel], loc: Path) -> list[str]:
    models = {model}
    for step in loc:
        inner: set[type[BaseModel]] = set()
        for one in models:
            for name, info in one.model_fields.items():
                if step in {name, info.alias}:
                    inner |= _models(info.annotation)
        # A step that is no field is an index, a key of a dict, or a branch of a union.
        named = {one for one in models if one.__name__ == step}
        models = inner or named or models
    return [info.alias or name for one in models for name, info in one.model_fields.items()]


def _models(annotation: Any, seen: frozenset[str] | None = None) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    if isinstance(annotation, TypeAliasType):
        # A recursive alias holds itself: its own name ends the walk.
        seen = seen or frozenset()
        if annotation.__name__ in seen:
            return set()
        return _models(annotation.__value__, seen | {annotation.__name__})
    found: set[type[BaseModel]] = set()
    for part in get_args(annotation):
        found |= _models(part, seen)
    return found
