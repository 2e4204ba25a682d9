"""A light read of a formdata proves our reports."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.workflow import TOLD
from gateway.sdk.publik.formdata_state import FormdataState


def message(content: Any, kind: str = "workflow-comment") -> dict[str, Any]:
    return {"evolution": [{"parts": [{"type": kind, "content": content, "to": None}]}]}


def test_a_message_in_the_history_names_its_report() -> None:
    state = FormdataState.read(message(f'<div {TOLD}="ab12">Jeudi.</div>'))
    assert state.has_message("ab12")
    assert not state.has_message("ab1")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"evolution": None},
        {"evolution": [None, {"parts": None}, {"parts": [None, 3]}]},
        message(f'{TOLD}="ab12"', kind="workflow-attachment"),
        message(None),
    ],
)
def test_a_history_that_is_hidden_or_odd_tells_nothing(document: dict[str, Any]) -> None:
    assert not FormdataState.read(document).has_message("ab12")
