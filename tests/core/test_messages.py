"""Messages for people exist in both languages, and say what to do."""

from __future__ import annotations

import re
from typing import get_args

import pytest

import adapters.demo.adapter
import adapters.open311.texts
import adapters.rest.texts
import gateway.catalogue.texts
import gateway.cli.adapter_texts
import gateway.cli.glc_texts
import gateway.cli.headings
import gateway.cli.link_texts
import gateway.cli.release_texts
import gateway.cli.states
import gateway.cli.texts
import gateway.contracts.live_texts
import gateway.contracts.mutation_texts
import gateway.contracts.texts
import gateway.core.expression
import gateway.core.system_errors
import gateway.demo.texts
import gateway.flow.texts
import gateway.ops.texts
import gateway.sdk.adapter
import gateway.sdk.base_address
import gateway.sdk.duration
import gateway.store.objects
import gateway.store.texts
import gateway.wire.identity_texts
from gateway.core.messages import Language, Message, Messages, Text, plain

TABLES = (
    gateway.core.expression.say,
    gateway.sdk.adapter.say,
    gateway.sdk.duration.say,
    gateway.store.objects.say,
    gateway.catalogue.texts.say,
    gateway.contracts.texts.say,
    gateway.contracts.live_texts.say,
    gateway.contracts.mutation_texts.say,
    gateway.ops.texts.say,
    gateway.cli.texts.say,
    gateway.cli.adapter_texts.say,
    gateway.cli.release_texts.say,
    gateway.cli.glc_texts.say,
    gateway.cli.link_texts.say,
    gateway.demo.texts.say,
    gateway.sdk.base_address.say,
    gateway.cli.headings.headings,
    gateway.cli.states.states,
    gateway.store.texts.say,
    gateway.flow.texts.say,
    gateway.core.system_errors.say,
    gateway.wire.identity_texts.say,
    adapters.rest.texts.say,
    adapters.open311.texts.say,
    adapters.demo.adapter.say,
)
TEXTS = [text for table in TABLES for text in table.texts.values()]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


#: Words that are in one language alone, and in most of its sentences.
ENGLISH = _words(
    "the is are and with not of this that has have must there where which its our we it"
    " cannot already write give keep remove"
)
FRENCH = _words(
    "le la les un une des est sont et avec ne pas du ce cette qui que il elle nous notre dans"
    " pour sans déjà écrire donner garder retirer vérifier"
)


def prose(text: str) -> set[str]:
    """The words of a sentence, without what is code: keys, paths, commands, places."""
    text = re.sub(r"`[^`]*`|\{[^{}]*\}|\"[^\"]*\"|[\w./]*[/_.][\w./]+|--\w+|<[^>]*>", " ", text)
    return set(re.findall(r"[a-zà-ÿœ]+", re.sub(r"[ldnscjmtqu]+['’]", " ", text.lower())))


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.word)
def test_a_sentence_is_there_in_both_languages(text: Text) -> None:
    assert text.en
    assert text.fr
    assert bool(text.do) == bool(text.faire), "what is to be done, in both"
    assert text.places("en") == text.places("fr"), "and with the same places"
    assert not prose(f"{text.en} {text.do}") & FRENCH
    assert not prose(f"{text.fr} {text.faire}") & ENGLISH


def test_a_sentence_is_filled_in_its_language() -> None:
    say = Messages(
        Text("far", "there is no {what}", "{cure}", "il n'y a pas de {what}", "{cure}"),
        Text("table", "table", "", "tableau", ""),
        Text("known", "known: {names}", "", "connus : {names}", ""),
    )
    said = say("far", what=say("table"), cure=say("known", names=("a", say("table"), "{b}")))
    assert said.told() == str(said) == "there is no table (known: a, table, {b})"
    assert said.told("fr") == "il n'y a pas de tableau (connus : a, tableau, {b})"
    assert say("table").told("fr") == "tableau"
    assert said.cure.what("fr") == "connus : a, tableau, {b}"
    assert {said, say("far", what=say("table"), cure=said.cure)} != {said}


def test_what_others_say_is_told_as_it_is() -> None:
    said = plain("{odd} text", "do {this}")
    told = {said.told(language) for language in get_args(Language)}
    assert told == {"{odd} text (do {this})"}


def test_a_word_is_in_its_table_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Messages(Text("a", "a", "", "a", ""), Text("a", "b", "", "b", ""))
    with pytest.raises(KeyError):
        Messages()("a")


def test_a_sentence_can_be_told_apart_and_kept() -> None:
    say = Messages(Text("a", "{n}", "", "{n}", ""))
    assert say("a", n=1) == say("a", n=1) != say("a", n=2)
    assert len({say("a", n=1), say("a", n=1)}) == 1
    assert isinstance(say("a", n=1), Message)
