"""SDK 1.x: every public name is documented and typed, kept, and not broken without a new major."""

from __future__ import annotations

import copy
import inspect
import json
from typing import Any

import pytest

from gateway.sdk import SDK_VERSION, sdk_fits
from tests.adapters.sdk_surface import KEPT, breaking, public, surface

NAMES = [(f"{module}.{name}", value) for module, name, value in public()]
KEPT_NOW: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))


@pytest.mark.parametrize(("name", "value"), NAMES, ids=[name for name, _ in NAMES])
def test_a_public_name_is_documented_and_typed(name: str, value: Any) -> None:
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return
    assert (value.__doc__ or "").strip(), "it has no docstring"
    if inspect.isroutine(value):
        signature = inspect.signature(value)
        untyped = [one.name for one in signature.parameters.values() if one.annotation is one.empty]
        assert untyped == []
        assert signature.return_annotation is not signature.empty


def test_nothing_that_runs_today_breaks() -> None:
    told = "record it: python -m tests.adapters.sdk_surface"
    assert KEPT_NOW["version"] == SDK_VERSION, told
    assert breaking(KEPT_NOW, surface()) == []


def test_what_is_new_is_kept_too() -> None:
    now = surface()
    assert now["names"].keys() - KEPT_NOW["names"].keys() == set(), (
        "record it: python -m tests.adapters.sdk_surface"
    )


def changed(name: str, member: str | None, parameters: Any) -> list[str]:
    after = copy.deepcopy(KEPT_NOW)
    if member is None:
        del after["names"][name]
    elif parameters is None:
        del after["names"][name]["members"][member]
    else:
        after["names"][name]["members"][member] = parameters
    return breaking(KEPT_NOW, after)


def test_the_gate_sees_what_breaks() -> None:
    assert changed("gateway.sdk.send", None, None) == ["gateway.sdk.send is gone"]
    assert changed("gateway.sdk.Files", "NEVER", None) == ["gateway.sdk.Files.NEVER is gone"]
    refused = KEPT_NOW["names"]["gateway.sdk.Refused"]["members"]["()"]
    more = [*refused, ["whose", "POSITIONAL_OR_KEYWORD", "str", None]]
    assert changed("gateway.sdk.Refused", "()", more) == ["gateway.sdk.Refused.() asks for whose"]
    assert changed("gateway.sdk.Refused", "()", [*more[:-1], [*more[-1][:3], "''"]]) == []
    less = changed("gateway.sdk.Refused", "()", refused[1:])
    assert less[0] == "gateway.sdk.Refused.() takes no reason any more"


@pytest.mark.parametrize(
    ("made_for", "fits"),
    [
        (SDK_VERSION, True),
        ("1.0", True),
        ("1.99", False),
        ("2.0", False),
        ("0.9", False),
        (1, False),
        (None, False),
        ("1", False),
        ("1.0.1", False),
        ("one", False),
    ],
)
def test_an_adapter_fits_of_the_same_major_and_no_newer_minor(made_for: object, fits: bool) -> None:
    assert sdk_fits(made_for) is fits
