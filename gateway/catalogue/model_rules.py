"""The rules about several keys of a model, asked although some of its keys are at fault.

pydantic asks them only once each key is well, and only up to the first that is broken. So that one
run tells all faults, a stand-in takes the place of what is at fault: a rule sees that the key is
there, and one that looks at what it holds says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Final, NoReturn, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticCustomError

from gateway.core.messages import Message
from gateway.sdk.secrets import types_in

Path = tuple[str | int, ...]
#: A model, what it is to be made of, and where that stands.
_Place = tuple[type[BaseModel], Any, Path]


class _Unknown(Exception):
    """A rule looked at what a key at fault holds."""


def _refuse(*_: object) -> NoReturn:
    raise _Unknown


class _AtFault:
    """Stands for what is at fault: it is there, and no more is known of it."""

    __slots__ = ()
    __bool__ = __iter__ = __len__ = __contains__ = __getitem__ = __getattr__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __str__ = _refuse
    __hash__ = _refuse


_AT_FAULT: Final = _AtFault()


def broken_rules(
    model: type[BaseModel], value: Any, faulty: Collection[Path], context: Any, at: Path = ()
) -> Iterator[tuple[Path, Message]]:
    """Yield the broken rules of the models within `value` that have a key at fault, each with its
    place. `faulty` are the places of the known faults; `context` reads secrets and forgives."""
    if not isinstance(value, dict) or not any(one[: len(at)] == at for one in faulty):
        return
    keys = {info.alias or name: name for name, info in model.model_fields.items()}
    unknown = value.keys() - keys.keys()
    meant = {one for key in unknown for one in get_close_matches(key, keys, n=1, cutoff=0.55)}
    held: dict[str, Any] = {}
    for key, name in keys.items():
        info, here = model.model_fields[name], (*at, key)
        doubtful = key in meant or any(one[: len(here)] == here for one in faulty)
        if key in value:
            for inner, below, path in _models_at(info.annotation, value[key], here):
                yield from broken_rules(inner, below, faulty, context, path)
        if doubtful or (key not in value and info.is_required()):
            held[name] = _AT_FAULT
        elif key in value:
            held[name] = _read(model, name, value[key], context)
        else:
            held[name] = info.get_default(call_default_factory=True)
    rules = list(model.__pydantic_decorators__.model_validators.values())
    if any(rule.info.mode != "after" for rule in rules):
        return  # it is written otherwise than it is read
    made = model.model_construct(
        {name for key, name in keys.items() if key in value or key in meant}, **held
    )
    for rule in rules:
        said = _said_by(rule.func, made)
        if said is not None:
            yield at, said


def _models_at(annotation: Any, value: Any, here: Path) -> Iterator[_Place]:
    """Yield the models within a value, where each can be but one."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if _is_model(annotation):
        yield annotation, value, here
    elif origin is Annotated:
        yield from _models_at(parts[0], value, here)
    elif origin in (Union, UnionType):
        holding = [one for one in parts if any(map(_is_model, types_in(one)))]
        if len(holding) == 1:
            yield from _models_at(holding[0], value, here)
    elif origin is dict and isinstance(value, dict):
        for key, inner in value.items():
            yield from _models_at(parts[1], inner, (*here, key))
    elif origin in (tuple, list) and isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _models_at(parts[0], inner, (*here, n))


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _read(model: type[BaseModel], name: str, value: Any, context: Any) -> Any:
    try:
        return _adapter(model, name).validate_python(value, context=context)
    except Exception:  # an adapter's own types may do anything
        return _AT_FAULT


@lru_cache(maxsize=1000)
def _adapter(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    whole: Any = Annotated[info.annotation, info]
    return TypeAdapter(whole)


def _said_by(rule: Any, made: BaseModel) -> Message | None:
    try:
        rule(made)
    except PydanticCustomError as error:
        said = (error.context or {}).get("said")
        return said if isinstance(said, Message) else None
    except Exception:  # it looked at what is not known
        return None
    return None


__all__ = ["broken_rules"]
