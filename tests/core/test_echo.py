"""A text of ours is known again whatever a far end left of it, and an agent's own never is."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateway.core.echo import Written, is_echo
from gateway.sdk import note_text

NOW = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)
OURS = (
    "Bonjour, le dépôt est toujours là devant le n° 12 bis de la rue de l'Hôtel-Dieu :"
    " pneus & gravats <gros tas>, merci de passer 👍 svp.\nCordialement, Zoé"
)


def known(text: str, ours: str = OURS) -> bool:
    read = note_text(text)
    assert read is not None
    return is_echo(read, None, [Written(ours, NOW, NOW)], 0)


@pytest.mark.parametrize(
    "left",
    [
        lambda ours: ours.replace("\n", "\r\n"),
        lambda ours: "<p>" + html.escape(ours).replace("\n", "<br/>") + "</p>",
        lambda ours: html.escape(html.escape(ours)),
        lambda ours: ours.replace(" ", "\u00a0"),
        lambda ours: unicodedata.normalize("NFD", ours),
        lambda ours: ours.replace("👍", "?"),
        lambda ours: ours.replace("👍", "????"),
        lambda ours: ours.replace("👍", "\ufffd"),
        lambda ours: ours.replace("👍", ""),
        lambda ours: ours.replace("'", "’"),
        lambda ours: ours.encode("latin-1", "replace").decode("latin-1"),
        lambda ours: ours.encode("ascii", "replace").decode(),
        lambda ours: unicodedata.normalize("NFD", ours).encode("ascii", "ignore").decode(),
        lambda ours: ours.replace("<gros tas>", ""),
        lambda ours: ours.replace(" ", " \u200b").replace("toujours", "tou\u00adjours"),
        lambda ours: ours[:90],
        lambda ours: ours[:90] + "…",
        lambda ours: ours[:90] + "...",
        lambda ours: ours[:90] + "… [texte coupé]",
    ],
)
def test_what_a_far_end_leaves_of_our_text_is_ours(left: Callable[[str], str]) -> None:
    assert known(left(OURS))


def test_a_text_that_is_longer_than_a_note_may_be_is_ours() -> None:
    ours = " ".join(f"mot{n}" for n in range(5000))
    assert known(ours, ours)


@pytest.mark.parametrize(
    "said",
    [
        "> " + OURS.replace("\n", "\n> ") + "\n\nNous passons mardi.",
        OURS + "\n\nRéponse : nous passons mardi à 8 h.",
        "Vous écriviez : « Bonjour, le dépôt est toujours là devant le n° 12 bis »",
        OURS.replace("12 bis", "14 bis"),
        "Bonjour, le dépôt est toujours là",
        "Bonjour…",
        "👍" * 50,
        "????????????????????????????????????????????????????????????",
    ],
)
def test_an_agent_s_words_are_not_ours(said: str) -> None:
    assert not known(said)
    assert not known(said, "👎" * 60)


@pytest.mark.parametrize("length", [1_000, 20_000])
def test_a_long_text_against_many_takes_no_time(length: int) -> None:
    ours = [Written("a<" * length + str(n), NOW, NOW) for n in range(20)]
    assert not is_echo("b…" * length, None, ours, 0)
