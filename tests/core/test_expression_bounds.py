"""A short expression that would fill the memory is none."""

from __future__ import annotations

import pytest

from gateway.core.expression import BadExpression, compile_expression


@pytest.mark.parametrize(
    "text",
    [
        "|".join(["[@, @]"] * 30),
        "|".join(["[@, @][]"] * 30),
        "|".join(["join('', [@, @])"] * 30),
        "|".join(["(a || b)"] * 30),
        "|".join(["not_null(a, b, c)"] * 30),
        "a[?" + "|".join(["[@, @]"] * 30) + " == 'x']",
    ],
)
def test_what_doubles_step_after_step_is_refused(text: str) -> None:
    with pytest.raises(BadExpression, match="multiplies"):
        compile_expression(text)


@pytest.mark.parametrize("text", ["|".join(["a"] * 5000), "||".join(["a"] * 5000), "(" * 5000])
def test_what_is_too_long_is_refused(text: str) -> None:
    with pytest.raises(BadExpression):
        compile_expression(text)


def test_what_a_mapping_needs_goes_on() -> None:
    filters = "[?a == 'x' || b == 'y' || !c]" * 4
    for text in (f"fields.rows{filters}.nom", "join(' ', [a, b, c, d, e])", "a.b.c[].d | [0].e"):
        assert compile_expression(text).text == text


def test_what_an_expression_reads_on_each_item_is_no_root_of_its_own() -> None:
    assert compile_expression("sort_by(fields.lignes, &nom)").roots == {"fields"}
    assert compile_expression("max_by(fields.a, &to_number(n)).b").roots == {"fields"}
