"""Rich text (HTML) or plain text as HTML of a few harmless tags, as Markdown or as Textile.

Paragraphs, line ends, titles, lists, bold, italic and links are kept; everything else is its text.
A sign that would mean something in the language is escaped: what the citizen typed is what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from typing import Final

from gateway.core.richtext import (
    BLOCKS,
    HtmlTag,
    clean_text,
    has_blocks,
    is_html,
    pieces,
    to_text,
    unescaped,
)


class Markup(StrEnum):
    """The language of a text that a GRU takes; TEXT is none."""

    TEXT = "text"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXTILE = "textile"


_BOLD: Final = frozenset({"b", "strong"})
_ITALIC: Final = frozenset({"i", "em"})
_LISTS: Final = frozenset({"ul", "ol"})
_DEEPEST: Final = 6
_HREF: Final = re.compile(r"""\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_SAFE: Final = re.compile(r"(?:https?://|mailto:)[^\s<>\"()\[\]]{1,2000}", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[ \t\r\n\f]+")
_MARKDOWN: Final = re.compile(r"[\\`*_{}\[\]<>~|]|&(?=[#\w]+;)")
_MARKDOWN_START: Final = re.compile(r"^(\s*)([#+=-]|[0-9]{1,9}(?=[.)]))")
_TEXTILE: Final = re.compile(r"(?<![^\s(\[\"'*_])[*_+\-^~%@!#|\"=](?=\S)|[\[\]{}]")
_TEXTILE_START: Final = re.compile(r"^(?:[*#]+(?=\s)|(?:h[1-6]|bq|bc|p|pre|fn[0-9]+)(?=[^\s]*\.))")


@dataclass(frozen=True, slots=True)
class _Run:
    """A text of one style; a line end is a run of its own."""

    text: str
    bold: bool = False
    italic: bool = False
    link: str = ""


@dataclass(slots=True)
class _Block:
    """A paragraph, a title of `level`, or an item of the lists in `lists`, outermost first."""

    level: int = 0
    lists: tuple[tuple[str, int], ...] = ()
    runs: list[_Run] = field(default_factory=list)


def marked_up(text: str, markup: Markup) -> str:
    """Return a text of the form's in a GRU's language; blank where nothing is to be read."""
    if markup is Markup.TEXT:
        return plain_text(text)
    blocks = list(_blocks(text))
    if markup is Markup.HTML:
        return _as_html(blocks)
    return (_as_markdown if markup is Markup.MARKDOWN else _as_textile)(blocks)


def plain_text(text: str) -> str:
    """Rich text without its tags, one line for each of its blocks; plain text to the letter."""
    if not is_html(text):
        return text
    return "\n".join(line for line in to_text(text).split("\n") if line)


# --- reading ----------------------------------------------------------------------------------


def _blocks(text: str) -> Iterator[_Block]:
    """Yield what is to be read, block by block."""
    if is_html(text):
        yield from _Reader(text).blocks()
        return
    for paragraph in re.split(r"\n\s*\n", clean_text(text)):
        lines = [line.strip() for line in paragraph.strip().split("\n")]
        if any(lines):
            yield _Block(runs=[run for line in lines for run in (_Run("\n"), _Run(line))][1:])


class _Reader:
    """Rich text, tag by tag."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.blanks = has_blocks(html)
        self.block = _Block()
        self.lists: list[list[str | int]] = []
        self.bold = self.italic = 0
        self.link = ""

    def blocks(self) -> Iterator[_Block]:
        for piece in pieces(self.html):
            if isinstance(piece, str):
                self.words(piece)
            elif piece.name in BLOCKS and piece.name != "br":
                if _read(self.block):
                    yield self.block
                self.begin(piece)
            else:
                self.inline(piece)
        if _read(self.block):
            yield self.block

    def words(self, text: str) -> None:
        words = clean_text(unescaped(_BLANKS.sub(" ", text) if self.blanks else text))
        for n, line in enumerate(words.split("\n")):
            if n:
                self.block.runs.append(_Run("\n"))
            if line:
                self.block.runs.append(_Run(line, self.bold > 0, self.italic > 0, self.link))

    def inline(self, tag: HtmlTag) -> None:
        step = -1 if tag.ends else 1
        if tag.name in _BOLD:
            self.bold = max(0, self.bold + step)
        elif tag.name in _ITALIC:
            self.italic = max(0, self.italic + step)
        elif tag.name == "a":
            self.link = "" if tag.ends else _address(tag)
        elif tag.name in ("br", "td", "th"):
            self.block.runs.append(_Run("\n" if tag.name == "br" else " "))

    def begin(self, tag: HtmlTag) -> None:
        self.bold = self.italic = 0
        _nest(self.lists, tag)
        item = tag.name == "li" and not tag.ends
        title = re.fullmatch(r"h([1-6])", tag.name)
        self.block = _Block(
            level=int(title[1]) if title is not None and not tag.ends else 0,
            lists=tuple((str(kind), int(n)) for kind, n in self.lists) if item else (),
        )


def _nest(lists: list[list[str | int]], tag: HtmlTag) -> None:
    """Keep the lists that are open, with the number of the item in each."""
    if tag.name in _LISTS:
        if tag.ends:
            del lists[-1:]
        elif len(lists) < _DEEPEST:
            lists.append([tag.name, 0])
    elif tag.name == "li" and not tag.ends:
        if not lists:
            lists.append(["ul", 0])
        lists[-1][1] = int(lists[-1][1]) + 1


def _address(tag: HtmlTag) -> str:
    found = _HREF.search(tag.written)
    address = unescaped(next(filter(None, found.groups()), "")).strip() if found is not None else ""
    return address if _SAFE.fullmatch(address) else ""


def _read(block: _Block) -> bool:
    """Tidy a block's ends; is there anything to read in it?"""
    for at in (0, -1):
        while block.runs and not block.runs[at].text.strip():
            del block.runs[at]
    return bool(block.runs)


# --- writing ----------------------------------------------------------------------------------


def _lines(block: _Block) -> list[list[_Run]]:
    lines: list[list[_Run]] = [[]]
    for run in block.runs:
        if run.text == "\n":
            lines.append([])
        else:
            lines[-1].append(run)
    return lines


def _as_html(blocks: Sequence[_Block]) -> str:
    out: list[str] = []
    opened: list[str] = []  # lists, an item open in each
    for block in blocks:
        wanted = [kind for kind, _ in block.lists]
        kept = 0
        while kept < min(len(opened), len(wanted)) and opened[kept] == wanted[kept]:
            kept += 1
        while len(opened) > kept:
            out.append(f"</li></{opened.pop()}>")
        if wanted and kept == len(wanted):
            out.append("</li>")
        for n, kind in enumerate(wanted[kept:]):
            out.append(f"<li><{kind}>" if n else f"<{kind}>")
            opened.append(kind)
        text = "<br>".join("".join(map(_html, line)).strip() for line in _lines(block))
        tag = f"h{block.level}" if block.level else "p"
        out.append(f"<li>{text}" if wanted else f"<{tag}>{text}</{tag}>")
    out += [f"</li></{kind}>" for kind in reversed(opened)]
    return "".join(out)


def _html(run: _Run) -> str:
    text = escape(run.text, quote=False)
    if run.italic:
        text = f"<em>{text}</em>"
    if run.bold:
        text = f"<strong>{text}</strong>"
    return f'<a href="{escape(run.link)}">{text}</a>' if run.link else text


def _as_markdown(blocks: Sequence[_Block]) -> str:
    out: list[str] = []
    for n, block in enumerate(blocks):
        head = f"{'#' * block.level} " if block.level else ""
        indent = ""
        if block.lists:
            indent = "   " * (len(block.lists) - 1)
            kind, number = block.lists[-1]
            head = "- " if kind == "ul" else f"{number}. "
        lines = ["".join(map(_markdown, line)).strip() for line in _lines(block)]
        if block.level:
            lines = [" ".join(lines)]
        starts = [_MARKDOWN_START.sub(_escaped_start, line) for line in lines]
        text = f"  \n{indent}{' ' * len(head)}".join(starts)
        out.append(_apart(blocks, n) + indent + head + text)
    return "".join(out)


def _escaped_start(found: re.Match[str]) -> str:
    sign = found[2]
    return f"{found[1]}{sign}\\" if sign[0].isdigit() else f"{found[1]}\\{sign}"


def _markdown(run: _Run) -> str:
    text = _MARKDOWN.sub(lambda found: f"\\{found.group()}", run.text)
    text = _around(text, "**" if run.bold else "", "*" if run.italic else "")
    return f"[{text.strip()}]({run.link})" if run.link else text


def _as_textile(blocks: Sequence[_Block]) -> str:
    out: list[str] = []
    for n, block in enumerate(blocks):
        head = f"h{block.level}. " if block.level else ""
        if block.lists:
            head = "".join("*" if kind == "ul" else "#" for kind, _ in block.lists) + " "
        lines = ["".join(map(_textile, line)).strip() for line in _lines(block)]
        starts = [_TEXTILE_START.sub(lambda found: _entity(found.group()), line) for line in lines]
        out.append(_apart(blocks, n) + head + ("<br>" if block.lists else "\n").join(starts))
    return "".join(out)


def _textile(run: _Run) -> str:
    plain = escape(run.text, quote=False)
    text = _TEXTILE.sub(lambda found: _entity(found.group()), plain)
    text = _around(text, "*" if run.bold else "", "_" if run.italic else "")
    return f'"{text.strip()}":{run.link}' if run.link else text


def _entity(signs: str) -> str:
    return f"&#{ord(signs[0])};{signs[1:]}"


def _around(text: str, *marks: str) -> str:
    """Put marks around a text, its outer blanks outside of them."""
    inner = text.strip()
    if not inner:
        return text
    at = text.index(inner)
    return "".join((text[:at], *marks, inner, *reversed(marks), text[at + len(inner) :]))


def _apart(blocks: Sequence[_Block], n: int) -> str:
    """Return what stands before a block: items of a list follow one another, the rest is apart."""
    if not n:
        return ""
    here, before = blocks[n].lists, blocks[n - 1].lists
    return "\n" if here and before and here[0][0] == before[0][0] else "\n\n"
