"""The templates and conditions of a w.c.s. workflow: the part that designers need.

A template holds `{{ variable|filter:argument }}` and `{% if condition %}`; a condition compares
such expressions. A `Lookup` gives a variable's value, None for nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: Returns the value of a variable, None when there is none.
Lookup = Callable[[str], Any]
_Value = Callable[[Lookup], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*"|'[^']*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w.]*)"""
    r"""|(?P<sign>==|!=|<=|>=|<|>|\||:))"""
)
_CONSTANTS = {"True": True, "False": False, "None": None}
_PIECE = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class WcsExpression:
    """A condition, or a value. Raises ValueError for syntax that the simulator does not know."""

    text: str
    _value: _Value = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parser = _Parser(self.text)
        value = parser.either()
        parser.end()
        object.__setattr__(self, "_value", value)

    def __call__(self, lookup: Lookup) -> Any:
        return self._value(lookup)


@dataclass(frozen=True, slots=True)
class WcsTemplate:
    """A text that contains expressions. Raises ValueError for syntax that the simulator does not
    know."""

    text: str
    _pieces: tuple[Any, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tokens = [piece for piece in _PIECE.split(self.text) if piece]
        pieces, rest = _pieces(tokens, 0, ())
        if rest != len(tokens):
            raise ValueError(f"a tag without its beginning: {tokens[rest]}")
        object.__setattr__(self, "_pieces", pieces)

    def __call__(self, lookup: Lookup) -> str:
        return _rendered(self._pieces, lookup)

    def value(self, lookup: Lookup) -> Any:
        """Return the value of a single expression as it is; otherwise return the text."""
        if len(self._pieces) == 1 and isinstance(self._pieces[0], WcsExpression):
            return self._pieces[0](lookup)
        return self(lookup)


class _Parser:
    """A parser with the precedence of Django's templates: or, and, not, then comparisons."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split(text))
        self._at = 0

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        at = 0
        text = text.strip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None or found.lastgroup is None:
                raise ValueError(f"not an expression: {text[at:]!r} in {text!r}")
            yield found.lastgroup, found[found.lastgroup]
            at = found.end()

    def _next(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _accept(self, *wanted: str) -> str | None:
        token = self._next()[1]
        if token in wanted:
            self._at += 1
            return token
        return None

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise ValueError(f"{self._next()[1]!r} is one too many in {self._text!r}")

    def either(self) -> _Value:
        left = self._both()
        while self._accept("or"):
            left = _or(left, self._both())
        return left

    def _both(self) -> _Value:
        left = self._negated()
        while self._accept("and"):
            left = _and(left, self._negated())
        return left

    def _negated(self) -> _Value:
        if self._accept("not"):
            inner = self._negated()
            return lambda lookup: not inner(lookup)
        return self._compared()

    def _compared(self) -> _Value:
        left = self._filtered()
        negative = self._next()[1] == "not" and self._tokens[self._at + 1][1] == "in"
        if negative:
            self._at += 1
        sign = self._accept("==", "!=", "<", "<=", ">", ">=", "in")
        if sign is None:
            return left
        return _comparison("not in" if negative else sign, left, self._filtered())

    def _filtered(self) -> _Value:
        value = self._operand()
        while self._accept("|"):
            kind, name = self._next()
            if kind != "name" or name not in _FILTERS:
                raise ValueError(f"no filter {name!r} here, in {self._text!r}")
            self._at += 1
            argument = self._operand() if self._accept(":") else None
            value = _applied(_FILTERS[name], value, argument)
        return value

    def _operand(self) -> _Value:
        kind, token = self._next()
        self._at += 1
        if kind == "text":
            return lambda lookup: token[1:-1]
        if kind == "number":
            number = float(token) if "." in token else int(token)
            return lambda lookup: number
        if kind == "name" and token in _CONSTANTS:
            return lambda lookup: _CONSTANTS[token]
        if kind == "name":
            return lambda lookup: lookup(token)
        raise ValueError(f"a value is missing in {self._text!r}")


def _or(left: _Value, right: _Value) -> _Value:
    return lambda lookup: left(lookup) or right(lookup)


def _and(left: _Value, right: _Value) -> _Value:
    return lambda lookup: left(lookup) and right(lookup)


_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}


def _comparison(sign: str, left: _Value, right: _Value) -> _Value:
    def run(lookup: Lookup) -> bool:
        try:
            return _SIGNS[sign](left(lookup), right(lookup))
        except TypeError:
            return False  # rendering a template never fails

    return run


def _applied(change: Callable[[Any, Any], Any], value: _Value, argument: _Value | None) -> _Value:
    return lambda lookup: change(value(lookup), None if argument is None else argument(lookup))


def _add(value: Any, other: Any) -> Any:
    try:
        return int(value) + int(other)
    except (TypeError, ValueError):
        return f"{_text(value)}{_text(other)}"


def _date(value: Any, shape: Any) -> str:
    if not isinstance(value, datetime):
        return ""
    parts = {
        "Y": f"{value:%Y}",
        "m": f"{value:%m}",
        "d": f"{value:%d}",
        "H": f"{value:%H}",
        "i": f"{value:%M}",
        "s": f"{value:%S}",
        "O": f"{value:%z}",
        # Without the known zone, as seen.
        "c": value.replace(tzinfo=None).isoformat(),
    }
    return "".join(parts.get(letter, letter) for letter in _text(shape))


_FILTERS: dict[str, Callable[[Any, Any], Any]] = {
    "default": lambda value, other: value or other,
    "default_if_none": lambda value, other: other if value is None else value,
    "add": _add,
    "date": _date,
    "escape": lambda value, _: html.escape(_text(value)),
    "force_escape": lambda value, _: html.escape(_text(value)),
    "linebreaksbr": lambda value, _: re.sub(r"\r\n|\r|\n", "<br>", _text(value)),
    "length": lambda value, _: len(value) if isinstance(value, str | list | dict) else 0,
    "split": lambda value, other: _text(value).split(other),
    "strip": lambda value, _: _text(value).strip(),
    "lower": lambda value, _: _text(value).lower(),
    "upper": lambda value, _: _text(value).upper(),
    "first": lambda value, _: value[0] if value else "",
    "last": lambda value, _: value[-1] if value else "",
    "safe": lambda value, _: value,
    "rename_file": lambda value, name: (
        {**value, "filename": _text(name)} if isinstance(value, dict) and name else value
    ),
}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class _Branches:
    """`{% if %}`: the pieces under the first condition that holds."""

    branches: tuple[tuple[WcsExpression | None, tuple[Any, ...]], ...]


def _pieces(tokens: list[str], at: int, ends: tuple[str, ...]) -> tuple[tuple[Any, ...], int]:
    """Return the pieces from `at` to the first tag of `ends`, and the place of that tag."""
    found: list[Any] = []
    while at < len(tokens):
        token = tokens[at]
        inner = token[2:-2].strip()
        if token.startswith("{{"):
            found.append(WcsExpression(inner))
        elif token.startswith("{%"):
            name = inner.partition(" ")[0]
            if name in ends:
                return tuple(found), at
            if name != "if":
                raise ValueError(f"no tag {name!r} here")
            branches, at = _branches(tokens, at)
            found.append(branches)
        else:
            found.append(token)
        at += 1
    if ends:
        raise ValueError(f"{ends[-1]} is missing")
    return tuple(found), at


def _branches(tokens: list[str], at: int) -> tuple[_Branches, int]:
    branches: list[tuple[WcsExpression | None, tuple[Any, ...]]] = []
    while True:
        name, _, condition = tokens[at][2:-2].strip().partition(" ")
        if name == "endif":
            return _Branches(tuple(branches)), at
        test = None if name == "else" else WcsExpression(condition)
        inner, at = _pieces(tokens, at + 1, ("elif", "else", "endif"))
        branches.append((test, inner))


def _rendered(pieces: tuple[Any, ...], lookup: Lookup) -> str:
    parts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            parts.append(piece)
        elif isinstance(piece, WcsExpression):
            parts.append(_text(piece(lookup)))
        else:
            for test, inner in piece.branches:
                if test is None or test(lookup):
                    parts.append(_rendered(inner, lookup))
                    break
    return "".join(parts)
