"""The public surface of the SDK as data: what an adapter of somebody else's may name, and how.

`python -m tests.adapters.sdk_surface` records it in `sdk_surface.json`; it refuses what breaks an
adapter that runs today, unless the major version of the SDK was raised.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from gateway.sdk import SDK_VERSION

KEPT = Path(__file__).with_name("sdk_surface.json")
MODULES = ("gateway.sdk", "gateway.sdk.under_test", "gateway.sdk.conformance")
#: Of a name: its kind, and its members, each with its parameters: name, kind, type, default.
Surface = Mapping[str, Any]


def surface() -> dict[str, Any]:
    """Return the surface as it is now."""
    return {
        "version": SDK_VERSION,
        "names": {f"{module}.{name}": _of(value) for module, name, value in public()},
    }


def public() -> Iterator[tuple[str, str, Any]]:
    for module in MODULES:
        loaded = importlib.import_module(module)
        for name in sorted(loaded.__all__):
            yield module, name, getattr(loaded, name)


def _of(value: Any) -> dict[str, Any]:
    if inspect.isclass(value) and issubclass(value, Enum):
        return {"kind": "enum", "members": {one.name: [] for one in value}}
    if inspect.isclass(value):
        return {"kind": "class", "members": dict(_members(value))}
    if inspect.isroutine(value):
        return {"kind": "function", "members": {"()": _parameters(value)}}
    return {"kind": "value", "members": {}}


def _members(value: type[Any]) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(value):
        yield "()", _parameters(value)
    for base in value.__mro__:
        if not base.__module__.startswith("gateway."):
            continue
        for name, member in vars(base).items():
            if name.startswith("_"):
                continue
            plain = inspect.unwrap(getattr(member, "__func__", member))
            yield name, _parameters(plain) if inspect.isfunction(plain) else []


def _parameters(value: Any) -> list[list[str | None]]:
    found = []
    for one in inspect.signature(value).parameters.values():
        default = None if one.default is one.empty else _shown(one.default)
        found.append([one.name, one.kind.name, str(one.annotation), default])
    return found


def _shown(default: Any) -> str:
    plain = default is None or isinstance(default, str | int | float | tuple | frozenset)
    return repr(default) if plain else type(default).__name__


def breaking(before: Surface, after: Surface) -> list[str]:
    """Return what an adapter that fits `before` may miss in `after`, a sentence each."""
    told = []
    for name, was in before["names"].items():
        now = after["names"].get(name)
        if now is None:
            told.append(f"{name} is gone")
            continue
        if was["kind"] != now["kind"]:
            told.append(f"{name} is a {now['kind']}, and was a {was['kind']}")
        for member, parameters in was["members"].items():
            whole = f"{name}.{member}"
            if member not in now["members"]:
                told.append(f"{whole} is gone")
            else:
                told += _worse(whole, parameters, now["members"][member])
    return told


def _worse(name: str, before: list[Any], after: list[Any]) -> Iterator[str]:
    now = {one[0]: one for one in after}
    for at, one in enumerate(before):
        other = now.pop(one[0], None)
        if other is None:
            yield f"{name} takes no {one[0]} any more"
        elif other[1:3] != one[1:3]:
            yield f"{name}: {one[0]} is {other[1]} {other[2]}, and was {one[1]} {one[2]}"
        elif one[3] is not None and other[3] is None:
            yield f"{name} cannot do without {one[0]} any more"
        elif one[1] != "KEYWORD_ONLY" and list(after).index(other) != at:
            yield f"{name}: {one[0]} stands in another place"
    for one in now.values():
        if one[3] is None and not one[1].startswith("VAR"):
            yield f"{name} asks for {one[0]}"


def main() -> int:
    kept, now = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else None, surface()
    if kept is not None and kept["version"].split(".")[0] == SDK_VERSION.split(".")[0]:
        worse = breaking(kept, now)
        if worse:
            print("\n".join([*worse, "This takes a new major version of the SDK."]))
            return 1
    lines = [f"  {json.dumps(name)}: {json.dumps(told)}" for name, told in now["names"].items()]
    version = json.dumps(SDK_VERSION)
    text = f'{{"version": {version}, "names": {{\n' + ",\n".join(lines) + "\n}}\n"
    KEPT.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
