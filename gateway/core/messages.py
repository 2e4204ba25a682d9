"""Messages for people, in English or in French: a message is a word and the values of its places.

Who finds something out gives the word and the values; which language it is told in is decided
where it is printed. Each area has its table beside it: `say = Messages(Text(...), ...)`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Formatter
from typing import Final, Literal

Language = Literal["en", "fr"]
_ACTING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence: what is so (`en`, `fr`), and what to do about it (`do`, `faire`).

    Places are named, as in `{name}`.
    """

    word: str
    en: str
    do: str
    fr: str
    faire: str

    def places(self, language: Language) -> frozenset[str]:
        """Return the names that this language's texts have places for."""
        texts = (self.en, self.do) if language == "en" else (self.fr, self.faire)
        parsed = [part for text in texts for part in Formatter().parse(text)]
        return frozenset(name for _, name, _, _ in parsed if name is not None)


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence with its places filled. `word` is for programs, the rest for people."""

    text: Text
    given: tuple[tuple[str, Given], ...] = ()

    @property
    def word(self) -> str:
        return self.text.word

    def what(self, language: Language = "en") -> str:
        """Return what is so."""
        return self._filled(self.text.en if language == "en" else self.text.fr, language)

    def remedy(self, language: Language = "en") -> str:
        """Return what to do; empty where there is nothing."""
        return self._filled(self.text.do if language == "en" else self.text.faire, language)

    def told(self, language: Language = "en") -> str:
        """Both on one line."""
        remedy = self.remedy(language)
        return self.what(language) + (f" ({remedy})" if remedy else "")

    @property
    def cure(self) -> Message:
        """Return what to do, as a message that may fill a place of another."""
        text = self.text
        return Message(Text(text.word, text.do, "", text.faire, ""), self.given)

    def _filled(self, text: str, language: Language) -> str:
        return text.format(**{name: _shown(value, language) for name, value in self.given})

    def __str__(self) -> str:
        return self.told()


Given = str | int | float | Message | tuple["str | Message", ...]


def _shown(value: Given, language: Language) -> str:
    if isinstance(value, Message):
        return value.what(language)
    if isinstance(value, tuple):
        return ", ".join(_shown(one, language) for one in value)
    return harmless(str(value))


def harmless(text: str) -> str:
    """Return the text, with what would act on a terminal or turn a line round written as `\\u001b`.

    Much of what is printed here was chosen by senders and far ends.
    """
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Messages:
    """The sentences of one area. Called with a word and the values of its places, it says it."""

    def __init__(self, *texts: Text) -> None:
        self.texts: Final = {text.word: text for text in texts}
        if len(self.texts) != len(texts):
            raise ValueError("a word is in the table twice")

    def __call__(self, word: str, /, **given: Given) -> Message:
        """Raises KeyError for a word that is not in the table."""
        return Message(self.texts[word], tuple(given.items()))

    def __contains__(self, word: object) -> bool:
        return word in self.texts


_OTHERS: Final = Text("as_told", "{what}", "{remedy}", "{what}", "{remedy}")


def plain(what: str, remedy: str = "") -> Message:
    """Return others' own words as a message, as those of somebody else's adapter: told as they
    are."""
    return Message(_OTHERS, (("what", what), ("remedy", remedy)))
