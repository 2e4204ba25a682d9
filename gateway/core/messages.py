"""Messages for people, in English or French: a word and the values of its placeholders.

The finder gives word and values; the printer chooses the language. Each area has its own table:
`say = Messages(Text(...), ...)`.
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
    """One sentence: the fact (`en`, `fr`), and the remedy (`do`, `faire`). Placeholders are named,
    as in `{name}`."""

    word: str
    en: str
    do: str
    fr: str
    faire: str

    def places(self, language: Language) -> frozenset[str]:
        """Return the names of the placeholders in this language."""
        texts = (self.en, self.do) if language == "en" else (self.fr, self.faire)
        parsed = [part for text in texts for part in Formatter().parse(text)]
        return frozenset(name for _, name, _, _ in parsed if name is not None)


@dataclass(frozen=True, slots=True)
class Message:
    """A sentence with its placeholders filled. `word` is for programs, the rest for people."""

    text: Text
    given: tuple[tuple[str, Given], ...] = ()

    @property
    def word(self) -> str:
        return self.text.word

    def what(self, language: Language = "en") -> str:
        """Return the fact."""
        return self._filled(self.text.en if language == "en" else self.text.fr, language)

    def remedy(self, language: Language = "en") -> str:
        """Return the remedy; empty where there is none."""
        return self._filled(self.text.do if language == "en" else self.text.faire, language)

    def told(self, language: Language = "en") -> str:
        """Return both on one line."""
        remedy = self.remedy(language)
        return self.what(language) + (f" ({remedy})" if remedy else "")

    @property
    def cure(self) -> Message:
        """Return the remedy, as a message that may fill a placeholder of another."""
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
    """Return the text with terminal controls and direction marks written as `\\u001b`. Senders
    and far ends chose much of what is printed."""
    return _ACTING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Messages:
    """The sentences of one area. Call it with a word and the values of its placeholders."""

    def __init__(self, *texts: Text) -> None:
        self.texts: Final = {text.word: text for text in texts}
        if len(self.texts) != len(texts):
            raise ValueError("a word is in the table twice")

    def __call__(self, word: str, /, **given: Given) -> Message:
        """Raises KeyError for an unknown word."""
        return Message(self.texts[word], tuple(given.items()))

    def __contains__(self, word: object) -> bool:
        return word in self.texts


def both(*said: Message) -> str:
    """Write messages down, a line each, to be told later to whoever reads either language.

    `unfold` reads it again.
    """
    told = ["\n".join(one.told(language) for one in said) for language in _LANGUAGES]
    return told[0] if told[0] == told[1] else _BETWEEN.join(told)


def unfold(text: str) -> Message:
    """Return what `both` wrote down, or any other text as it is."""
    english, _, french = text.partition(_BETWEEN)
    return in_both(english, french or english)


def shortened(text: str, longest: int) -> str:
    """Return what `both` wrote down with whole lines of each language, and a sign that there are
    more."""
    parts = text.split(_BETWEEN)
    return _BETWEEN.join(one if len(one) <= longest else _head(one, longest) for one in parts)


def _head(text: str, longest: int) -> str:
    head = text[: longest - 2]
    return (head.rpartition("\n")[0] or head) + "\n…"


def in_both(english: str, french: str) -> Message:
    """Return sentences that were put together in each language as one message."""
    return Message(_IN_BOTH, (("en", english), ("fr", french)))


_LANGUAGES: Final[tuple[Language, Language]] = ("en", "fr")
_BETWEEN: Final = "\x1f"
_IN_BOTH: Final = Text("as_told", "{en}", "", "{fr}", "")
_OTHERS: Final = Text("as_told", "{what}", "{remedy}", "{what}", "{remedy}")


def plain(what: str, remedy: str = "") -> Message:
    """Return others' words as a message, as of a third party's adapter."""
    return Message(_OTHERS, (("what", what), ("remedy", remedy)))
