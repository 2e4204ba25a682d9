"""Validates our files, and turns pydantic's errors into faults at file:line with a remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.catalogue.model_rules import broken_rules
from gateway.catalogue.patterns import CLAIM, FIELD, HOST, MAIL_ADDRESS, MAPPING, NAME, SLUG, WORD
from gateway.catalogue.secrets import SecretSource
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData, Path
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.messages import Message, plain
from gateway.sdk.secrets import IN_THE_CLEAR, NO_SECRET, types_in

M = TypeVar("M", bound=BaseModel)
#: More levels than any of our files has.
_ROUNDS = 8
#: Of a model with more faults, the rules about several keys wait until some are mended.
_MOST_RULED = 30
#: With more faults than these the rest is not looked into: first things first.
_MOST_LEFT_OUT = 100
#: Faults of secrets that cannot be read.
_SECRETS = frozenset({IN_THE_CLEAR, NO_SECRET})

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
#: The patterns of our models, in words.
PATTERNS: Final = {
    NAME: "pattern_name",
    SLUG: "pattern_slug",
    MAPPING: "pattern_mapping",
    "^/": "pattern_path",
    FIELD: "pattern_field",
    WORD: "pattern_word",
    MAIL_ADDRESS: "pattern_mail",
    HOST: "pattern_host",
    CLAIM: "pattern_claim",
}


def validate(
    model: type[M],
    located: LocatedData,
    secrets: SecretSource | None = None,
    told: Callable[[Message], Message] = lambda said: said,
) -> M:
    """Validate the data as `model`. Raises `ConfigurationFault` with every error, its line and
    remedy.

    `secrets` reads the references in the data. `told` may change any sentence but a secret's. A
    validator refuses by `gateway.sdk.refuse`; pydantic's own errors have their sentences here.
    """
    try:
        return model.model_validate(located.value, context=secrets)
    except ValidationError as error:
        details = error.errors(include_url=False)
    lacking = [one["loc"] for one in details if one["type"] in _SECRETS]
    if secrets is not None and lacking:
        # Other faults show once the secrets are there.
        try:
            model.model_validate(located.value, context=secrets.forgiven())
        except ValidationError as error:
            known = {(one["loc"], one["type"]) for one in details}
            details += [
                one
                for one in error.errors(include_url=False)
                if (one["loc"], one["type"]) not in known and one["loc"] not in lacking
            ]
    details = _without_echoes(located.value, details)
    faults = [_fault(model, located, detail, told) for detail in details]
    if len(details) <= _MOST_RULED:
        faulty = [_existing(located.value, detail["loc"]) for detail in details]
        forgiven = None if secrets is None else secrets.forgiven()
        for path, said in broken_rules(model, located.value, faulty, forgiven):
            faults.append(located.fault(path, told(_of(path, said))))
    raise ConfigurationFault(faults)


def _without_echoes(value: Any, details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors without those that only repeat others: of a list that is too short without
    its entries at fault, and of a type where the value is right for another of several types."""
    places = [_existing(value, one["loc"]) for one in details]
    values = {at for at, one in zip(places, details, strict=True) if not _is_of_type(one)}
    above = {at[:length] for at in places for length in range(len(at))}

    def echoes(at: Path, one: ErrorDetails) -> bool:
        if one["type"] == "too_short":
            return at in above
        return _is_of_type(one) and (at in above or at in values)

    return [one for at, one in zip(places, details, strict=True) if not echoes(at, one)]


def _is_of_type(error: ErrorDetails) -> bool:
    return error["type"].endswith("_type")


def validate_all(
    model: type[M],
    located: LocatedData,
    secrets: SecretSource | None = None,
    standing_in: Mapping[str, Any] | None = None,
) -> tuple[M | None, tuple[Fault, ...]]:
    """Validate the data as `model`; return it with its faults. What is at fault is left out, and
    the rest validated again, so one run finds all of them.

    `standing_in` has values for required first-level keys. The model is None when nothing valid
    remains. With faults, use it only to find further ones.
    """
    try:
        return validate(model, located, secrets), ()
    except ConfigurationFault as error:
        faults = error.faults
    if not isinstance(located.value, dict) or len(faults) > _MOST_LEFT_OUT:
        return None, faults
    rest = _copy(located.value)
    forgiven = None if secrets is None else secrets.forgiven()
    for _ in range(_ROUNDS):
        # A part that needs a removed one is removed, too, round after round.
        found = _taken(model, rest, forgiven)
        for key, value in (standing_in or {}).items():
            rest.setdefault(key, value)
        if found is not None:
            return found, faults
    return _taken(model, rest, forgiven), faults


def _taken(model: type[M], rest: dict[str, Any], secrets: SecretSource | None) -> M | None:
    """Return `rest` as `model`; if it is none, remove what is at fault from it."""
    try:
        return model.model_validate(rest, context=secrets)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            _drop(rest, detail["loc"])
    return None


def _copy(value: dict[str, Any]) -> dict[str, Any]:
    return {k: _copy(v) if isinstance(v, dict) else v for k, v in value.items()}


def _drop(value: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    """Remove the deepest key that `loc` names; an item of a list goes with its list."""
    parent: dict[str, Any] | None = None
    last: str | int | None = None
    inside: Any = value
    for step in loc:
        if not isinstance(inside, dict):
            break
        if step in inside:
            parent, last, inside = inside, step, inside[step]
    if parent is not None and isinstance(last, str):
        parent.pop(last, None)


def _fault(
    model: type[BaseModel],
    located: LocatedData,
    detail: ErrorDetails,
    told: Callable[[Message], Message],
) -> Fault:
    path = _existing(located.value, detail["loc"])
    if detail["type"] == IN_THE_CLEAR:
        key = next(step for step in reversed(path) if isinstance(step, str))
        said = say(IN_THE_CLEAR, key=key)
    elif detail["type"] == NO_SECRET:
        said = detail["ctx"]["said"]
    else:
        said = told(_sentence(model, path, detail))
    return located.fault(path, said)


def _sentence(model: type[BaseModel], path: Path, detail: ErrorDetails) -> Message:  # noqa: C901 - one case a kind of error
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx") or {}
    name: str | Message = ".".join(map(str, path)) or say("whole_file")
    last = str(loc[-1]) if loc else ""
    if isinstance(own := context.get("said"), Message):
        return _of(path, own)
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
    if kind in ("too_short", "too_long") and isinstance(detail["input"], str):
        kind = f"string_{kind}"  # a secret counts as what has entries
    if kind in PYDANTIC:
        word, places = PYDANTIC[kind]
        return say(word, name=name, **{place: _plainly(context[of]) for place, of in places})
    if kind in say:
        return say("of_value", name=name, said=say(kind), cure=say(kind).cure)
    if kind in {"value_error", "assertion_error"}:  # of another's adapter, in its words
        text = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return say("of_value", name=name, said=plain(text[:1].lower() + text[1:]), cure="")
    return say("unfit", name=name)


def _of(path: Path, said: Message) -> Message:
    """Return a validator's sentence with the key that it is about."""
    if not path:
        return say("of_whole", said=said, cure=said.cure)
    return say("of_value", name=".".join(map(str, path)), said=said, cure=said.cure)


def _plainly(value: object) -> str | int | float:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | float) else str(value)


def nearest(word: str, known: list[str]) -> Message:
    """Return the remedy for an unknown `word`: the closest known one, or all of them."""
    close = get_close_matches(word, known, n=1, cutoff=0.55)
    if close:
        return say("did_you_mean", word=close[0])
    return say("known_here", known=tuple(sorted(known))) if known else say("nothing_known")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _existing(value: Any, loc: Path) -> Path:
    """Return `loc` as the file has it, without pydantic's own steps (unions, validators)."""
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
        inner = {
            part
            for one in models
            for name, info in one.model_fields.items()
            if step in {name, info.alias}
            for part in types_in(info.annotation)
            if isinstance(part, type) and issubclass(part, BaseModel)
        }
        # A step that is no field is an index, a key of a dict, or a branch of a union.
        named = {one for one in models if one.__name__ == step}
        models = inner or named or models
    return [info.alias or name for one in models for name, info in one.model_fields.items()]
