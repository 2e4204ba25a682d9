"""A text of ours is known again whatever a far end left of it, and an agent's own never is."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.echo import ASKEW, LONG, WrittenText, is_echo, same_key, texts, unsigned
from gateway.sdk import note_text

NOW = datetime(2026, 3, 12, 8, 0, tzinfo=UTC)
OURS = (
    "Bonjour, le dépôt est toujours là devant le n° 12 bis de la rue de l'Hôtel-Dieu :"
    " pneus & gravats <gros tas>, merci de passer 👍 svp.\nCordialement, Zoé"
)


def known(text: str, ours: str = OURS) -> bool:
    read = note_text(text)
    assert read is not None
    return is_echo(read, None, [WrittenText(ours, NOW, NOW)], 0)


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
    ours = [WrittenText("a<" * length + str(n), NOW, NOW) for n in range(20)]
    assert not is_echo("b…" * length, None, ours, 0)


MINUTE = timedelta(minutes=1)
THANKS = [WrittenText("Merci !", NOW, NOW + MINUTE), WrittenText("merci !", NOW, NOW + MINUTE)]


@pytest.mark.parametrize(
    ("at", "heard", "ours"),
    [
        (None, 0, True),
        (None, 1, True),
        (None, 2, False),  # once for each time that we wrote it
        (NOW - ASKEW, 0, True),
        (NOW - ASKEW - MINUTE, 0, False),
        (NOW + MINUTE + ASKEW, 0, True),
        (NOW + MINUTE + ASKEW + MINUTE, 0, False),
        (NOW, 2, False),
    ],
)
def test_a_short_text_is_ours_as_often_and_when_we_wrote_it(
    at: datetime | None, heard: int, ours: bool
) -> None:
    assert is_echo("MERCI !", at, THANKS, heard) is ours


def test_a_long_text_is_ours_however_often_and_whenever() -> None:
    text = "x" * LONG
    written = [WrittenText(text, NOW, NOW)]
    assert is_echo(text, NOW + timedelta(days=9), written, 9)
    assert not is_echo(text[1:], None, [WrittenText(text[1:], NOW, NOW)], 1), "one shorter is not"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("[evt-1] Bonjour", "Bonjour"),
        ("Bonjour [evt-1-photo.png]", "Bonjour"),
        ("<p>Bonjour [EVT 1]</p>", "Bonjour"),
        ("[autre] Bonjour [evt-1]", "[autre] Bonjour"),
        ("[autre] Bonjour", "[autre] Bonjour"),
        ("Bonjour evt-1]", "Bonjour evt-1]"),
        ("[evt-1", "[evt-1"),
        ("[]", "[]"),
    ],
)
def test_a_key_of_ours_is_taken_off_a_text(text: str, bare: str) -> None:
    assert unsigned(text, ["evt-1", "--"]) == bare


def test_keys_are_compared_by_their_letters() -> None:
    assert same_key("evt-1", "EVT_1")
    assert not same_key("evt-1", "evt-2")
    assert not same_key("--", "..")


def test_the_long_texts_of_a_payload_are_found_at_any_depth_up_to_a_bound() -> None:
    long, short = "l" * LONG, "s" * (LONG - 1)
    assert list(texts({"a": long, "b": {"c": [short, {"d": long + "!"}]}, "e": 1})) == [
        long + "!",
        long,
    ]
    assert len(list(texts({"many": [long] * 300}))) == 200
