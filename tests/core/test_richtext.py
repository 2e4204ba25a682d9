"""Rich text is told from plain text, and turned into words."""

from __future__ import annotations

import time

import pytest

from gateway.core.markup import plain_text
from gateway.core.richtext import clean_text, has_entities, is_html, to_text, unescaped

PLAIN = [
    "Le trou fait <un mètre> de large",
    "Voir https://exemple.invalid/plan?id=3&para=2&section=4&copy=1&reg=69",
    "Voir <https://exemple.invalid/a?x=1&para=2> merci",
    "Hauteur < 2 m et largeur > 1 m",
    'Dupont & fils, l\'immeuble "Les Lys"',
    "<3 merci aux équipes",
    "Lignes\n\n  - un\n  - deux",
    "a < b&gt; c",
    "Mél : <zoe@exemple.invalid> ou l'accueil",
    "Mél : <b.dupont@exemple.invalid> merci",
    "si a <b et c> d",
    "<!-- ce n'est pas du HTML -->",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_text_stays_to_the_letter(text: str) -> None:
    assert not is_html(text)
    assert plain_text(text) == text


@pytest.mark.parametrize(
    ("html", "wanted"),
    [
        ("<p>Bonjour,</p><p>L&#39;été<br>fin</p>", "Bonjour,\n\nL'été\nfin"),
        ("<div>a</div>\n<div>b</div>", "a\nb"),
        ("<ul>\n<li>un</li>\n<li>deux</li></ul>", "un\ndeux"),
        ("ligne<br />\nligne 2", "ligne\nligne 2"),
        ("5 < 6 & <u>important</u>\nligne", "5 < 6 & important\nligne"),
        ("<p>Mél : <zoe@exemple.invalid></p>", "Mél : <zoe@exemple.invalid>"),
        ('<a href="https://x.invalid/?a=1&amp;b=2" target=_blank>ici</a>', "ici"),
        ("<style>p { color: red }</style><p class='a'>x<!-- c --></p><o:p></o:p>", "x"),
        ("<p>&eacute;t&eacute; ?a=1&copy=2 &nimporte;</p>", "été ?a=1&copy=2 &nimporte;"),
        ("<p>a\x0bb&#0;c</p>", "a\nb\ufffdc"),
        ("a <!-- b <p>c</p>", "a <!-- b\n\nc"),
        ("<p> </p>", ""),
    ],
)
def test_rich_text_becomes_its_words(html: str, wanted: str) -> None:
    assert is_html(html)
    assert to_text(html) == wanted


def test_characters_of_html_need_their_semicolon() -> None:
    assert (
        unescaped("d&eacute;j&agrave; &lt;p&gt; &#x27; a&b; &para=2") == "déjà <p> ' a&b; &para=2"
    )
    assert has_entities("L&#39;été")
    assert not has_entities("Dupont & fils; ?a=1&copy=2")


def test_what_no_store_takes_is_gone() -> None:
    assert clean_text("a\x0bb\x0cc\r\nd\x00\x1f\ud800\ufffe\te") == "a\nb\nc\nd\te"


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<p>", "<!--", "<!d", "<?d>", "<script>", '<a b="', "<a" + " b=c" * 9, "&", "&#1",
     "<br>", "<b>", " \t"],
)  # fmt: skip
def test_hostile_rich_text_takes_no_time(piece: str) -> None:
    text = "<p>" + piece * (200_000 // len(piece)) + "x"
    start = time.process_time()
    is_html(text)
    to_text(text)
    assert time.process_time() - start < 5
