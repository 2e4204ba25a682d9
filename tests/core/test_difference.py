"""A citizen's changes, as an agent of the commune reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.difference import difference

PHOTO = {"field": "photo", "filename": "trou.jpg", "sha256": "a"}


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"a": "1"}, {"a": "2"}, "a : « 1 » → « 2 »"),
        ({"a": None}, {"a": " x "}, "a : vide → « x »"),
        ({"a": "x"}, {}, "a : « x » → vide"),
        ({"a": False}, {"a": True}, "a : « non » → « oui »"),
        ({"a": ["1"]}, {"a": ["1", "2"]}, "a : « 1 » → « 1 ; 2 »"),
        ({"photo": None}, {"photo": PHOTO}, "photo : vide → « trou.jpg »"),
        ({"photo": PHOTO}, {"photo": PHOTO | {"sha256": "b"}}, "photo : modifié"),
        (
            {"lieu": {"lat": 1.0, "lon": 2.0}},
            {"lieu": {"lat": 1.5, "lon": 2.0}},
            "lieu : « 1.0, 2.0 » → « 1.5, 2.0 »",
        ),
        # What w.c.s. writes beside a value is shown by the value alone.
        (
            {"c": "Voirie", "c_raw": "v", "c_structured": {"id": "v"}},
            {"c": "Propreté", "c_raw": "p", "c_structured": {"id": "p"}},
            "c : « Voirie » → « Propreté »",
        ),
        (
            {"o": "2 objets", "o_raw": [{"n": "1"}]},
            {"o": "2 objets", "o_raw": [{"n": "2"}]},
            "o : modifié",
        ),
        ({"o_raw": [{"n": "1"}]}, {"o_raw": [{"n": "2"}]}, "o_raw : « n 1 » → « n 2 »"),
    ],
)
def test_one_change(before: dict[str, Any], after: dict[str, Any], text: str) -> None:
    assert [one["text"] for one in difference(before, after)] == [text]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"a": "1"}, {"a": "1"}),
        ({"a": None}, {"a": ""}),
        ({"a": []}, {}),
        ({"c": "V", "c_structured": {"id": "v", "n": 1}}, {"c": "V", "c_structured": {"id": "v"}}),
    ],
)
def test_no_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert difference(before, after) == []


def test_a_change_is_bounded() -> None:
    (one,) = difference({"a": "x" * 10_000}, {"a": "y" * 10_000})
    assert len(one["before"]) == len(one["after"]) == 500
    assert len(difference({}, {f"f{n}": "x" for n in range(1000)})) == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), JSON), st.dictionaries(st.text(max_size=8), JSON))
def test_any_values_can_be_compared(before: dict[str, Any], after: dict[str, Any]) -> None:
    for one in difference(before, after):
        assert one["text"].startswith(one["field"])
    assert difference(before, before) == [] or before != before  # NaN is not itself
