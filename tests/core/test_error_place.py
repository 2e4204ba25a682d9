"""A bug is told at the line of who wrote it."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.error_place import error_place


def _module(name: str, source: str, **known: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(known)
    exec(source, module.__dict__)
    return module


def _raised(run: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        run()
    return caught.value


ACME = "\n\ndef submit(helper, text):\n    return helper(text)"
CALL = "def call(submit, helper, text): return submit(helper, text)"


@pytest.mark.parametrize(
    "helper",
    [
        json.loads,
        _module("gateway.sdk.reading", "def read(text): raise KeyError(text)").read,
        _module("acme_http.client", "def get(text): raise KeyError(text)").get,
    ],
    ids=["the interpreter's", "the gateway's", "another package's"],
)
def test_what_an_adapter_calls_breaks_at_the_adapter_s_line(helper: Any) -> None:
    acme = _module("acme.adapter", ACME)
    flow = _module("gateway.flow.deliver", CALL)
    assert error_place(_raised(lambda: flow.call(acme.submit, helper, "{"))) == "acme.adapter:4"


def test_an_adapter_that_fails_while_it_is_checked_is_blamed_too() -> None:
    acme = _module("acme.adapter", ACME)
    reader = _module("gateway.catalogue.communes", CALL)
    error = _raised(lambda: reader.call(acme.submit, _options, "{"))
    assert error_place(error) == "acme.adapter:4"


def _options(text: str) -> None:
    raise KeyError(text)


def test_a_bug_of_the_gateway_s_own_is_told_as_such() -> None:
    portal = _module("gateway.wire.portal", CALL)
    other = _module("acme_http.client", "def get(helper, text): raise KeyError(text)")
    error = _raised(lambda: portal.call(other.get, None, "{"))
    assert error_place(error) == "gateway.wire.portal:1"
