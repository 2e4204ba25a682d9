"""Rich and plain text in a GRU's language: what is kept, what is escaped, and how long it takes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.markup import Markup, marked_up
from gateway.core.richtext import to_text

RICH = (
    "<h2>Titre</h2><p>Un <strong>lampadaire</strong> &amp; <em>deux</em> "
    "<a href='https://exemple.invalid/?a=1&amp;b=2'>liens</a> <a href='javascript:x'>non</a></p>"
    "<ul><li>un<ul><li>a * b</li></ul></li><li>deux<br>suite</li></ul><ol><li>x</li></ol>"
    "<script>alert(1)</script><p># rien<br/>1. *rien*</p>"
)


def test_rich_text_in_each_language() -> None:
    assert marked_up(RICH, Markup.HTML) == (
        "<h2>Titre</h2><p>Un <strong>lampadaire</strong> &amp; <em>deux</em> "
        '<a href="https://exemple.invalid/?a=1&amp;b=2">liens</a> non</p>'
        "<ul><li>un<ul><li>a * b</li></ul></li><li>deux<br>suite</li></ul><ol><li>x</li></ol>"
        "<p># rien<br>1. *rien*</p>"
    )
    assert marked_up(RICH, Markup.MARKDOWN) == (
        "## Titre\n\nUn **lampadaire** & *deux* [liens](https://exemple.invalid/?a=1&b=2) non\n\n"
        "- un\n   - a \\* b\n- deux  \n  suite\n\n1. x\n\n\\# rien  \n1\\. \\*rien\\*"
    )
    assert marked_up(RICH, Markup.TEXTILE) == (
        'h2. Titre\n\nUn *lampadaire* &amp; _deux_ "liens":https://exemple.invalid/?a=1&b=2 non\n\n'
        "* un\n** a * b\n* deux<br>suite\n\n# x\n\n&#35; rien\n1. &#42;rien*"
    )


def test_an_item_outside_of_any_list_is_one_of_a_list() -> None:
    assert marked_up("<li>Un</li><li>Deux</li>", Markup.MARKDOWN) == "- Un\n- Deux"


def test_plain_text_is_read_as_it_was_typed() -> None:
    text = "Bonjour <b et c>\n- pas une liste\n\n5 < 6 & _x_"
    assert marked_up(text, Markup.TEXT) == text
    assert marked_up(text, Markup.HTML) == (
        "<p>Bonjour &lt;b et c&gt;<br>- pas une liste</p><p>5 &lt; 6 &amp; _x_</p>"
    )
    assert marked_up(text, Markup.MARKDOWN) == (
        "Bonjour \\<b et c\\>  \n\\- pas une liste\n\n5 \\< 6 & \\_x\\_"
    )
    assert marked_up(text, Markup.TEXTILE) == (
        "Bonjour &lt;b et c&gt;\n- pas une liste\n\n5 &lt; 6 &amp; &#95;x_"
    )


@pytest.mark.parametrize("markup", [*Markup])
def test_nothing_to_read_is_nothing(markup: Markup) -> None:
    assert not marked_up("<p> </p><br>", markup).strip()
    assert not marked_up(" \n ", markup).strip()


@given(st.text(alphabet="ab <>/*_#&;\n\"'=-[]()ulip.1h", max_size=80))
@settings(max_examples=150, deadline=None)
def test_html_of_ours_says_what_was_typed_and_has_no_other_tag(text: str) -> None:
    html = marked_up(f"<p>{text}</p>", Markup.HTML)
    said = "".join(to_text(f"<p>{text}</p>").split())
    assert "".join(to_text(html).split()) == said if html else not said
    for markup in (Markup.MARKDOWN, Markup.TEXTILE):
        assert isinstance(marked_up(text, markup), str)


@pytest.mark.parametrize("evil", ["<ul><li>x", "<b>x", "*", "<p>", "<a href='", "\\", "&#35;"])
@pytest.mark.parametrize("markup", [*Markup])
def test_a_hostile_text_costs_what_it_is_long(evil: str, markup: Markup) -> None:
    began = time.process_time()
    marked_up(evil * (40_000 // len(evil)), markup)
    assert time.process_time() - began < 1.0
