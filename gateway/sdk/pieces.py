"""Parses a JSON text of any size in pieces, and counts its values meanwhile.

A parser in C holds the interpreter lock for its whole run, in a thread too. A large text is
therefore cut between two members of a list or an object, and each piece is parsed separately; the
lock is held for one piece at most. Call it in a thread. A string that is larger than a piece, as a
file in Base64, is read in parts (`long_strings`, `string_parts`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.core.request import Json

#: A larger text is parsed in pieces of some so many bytes.
_PIECE: Final = 128 * 1024
#: All that is of no interest, then one sign of structure, or a quotation mark that opens a string
#: which is long or has escapes.
_TOKEN = re.compile(rb'(?>(?:[^"\[\]{},]++|"[^"\\]{0,200}+")*)(["\[\]{},])')
_BLANK: Final = b" \t\r\n"
_BLANKS = re.compile(rb"[ \t\r\n]*+")
_QUOTE, _COMMA, _LIST, _TABLE = b'",[{'
_CLOSED_BY: Final = {ord("]"): _LIST, ord("}"): _TABLE}


#: Whole characters and whole escapes of a string.
_ESCAPED = re.compile(rb"(?>(?:[^\\]++|\\u[0-9a-fA-F]{4}|\\[^u])*)", re.DOTALL)
#: The first half of a pair of escapes.
_HALF = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")
#: A longer string is none that a piece holds among others.
_LONG: Final = 256 * 1024


class NotJson(ValueError):
    """The text is not well-formed JSON."""


class TooComplex(ValueError):
    """The text has too many values, or is nested too deeply."""


@dataclass(slots=True)
class _Open:
    """A list or an object that is being read.

    `begun`: the place where the unparsed text begins. `last`: the place after its last comma.
    `made`: the parsed part; None while the whole is smaller than a piece. `whole`: its last member
    was parsed.
    """

    kind: int
    at: int
    begun: int
    last: int
    made: Any = None
    whole: bool = False


def parse_pieces(text: bytes, read: Callable[[bytes], Json], *, values: int, depth: int) -> Json:  # noqa: C901 - it runs for each token
    """Parse a JSON text in UTF-8, of `values` values and a nesting of `depth` at most.

    `read` parses one piece, and raises ValueError for what is none. Raises NotJson, TooMany.
    """
    stack: list[_Open] = []
    at = count = 0
    while at < len(text):
        found = _TOKEN.match(text, at, at + _PIECE)
        if found is None:
            blank = _BLANKS.match(text, at, at + _PIECE).end() - at  # type: ignore[union-attr]
            if not blank or at + blank == len(text):
                break
            at += blank
            continue
        at = found.end()
        sign = text[at - 1]
        if sign == _QUOTE:
            at = _end_of_string(text, at)
            continue
        if sign in _CLOSED_BY:
            if not stack or stack[-1].kind != _CLOSED_BY[sign]:
                raise NotJson
            closed = stack.pop()
            if not stack:
                if text[at:].strip(_BLANK):
                    raise NotJson
                return _finished(text, closed, at, read)
            if closed.made is not None:
                _attach(stack[-1], _finished(text, closed, at, read), text, closed.at, read)
                stack[-1].begun = at
            continue
        count += 1
        if count > values:
            raise TooComplex(f"more than {values} values")
        if sign != _COMMA:
            if not stack and text[: at - 1].strip(_BLANK):
                raise NotJson
            if len(stack) >= depth:
                raise TooComplex("nested too deeply")
            stack.append(_Open(sign, at - 1, at, at))
            continue
        if not stack:
            raise NotJson
        top = stack[-1]
        if top.whole:
            if text[top.begun : at - 1].strip(_BLANK):
                raise NotJson
            top.whole, top.begun = False, at
        elif at - top.begun > _PIECE:
            _open_up(stack, text, read)
            _add_members(top, text[top.begun : at - 1], read)
            top.begun = at
        top.last = at
    if stack or (at < len(text) - _PIECE and text[at] != _QUOTE):
        raise NotJson
    return read(text)  # a word, a number or a string by itself


def _end_of_string(text: bytes, at: int) -> int:
    begun = at
    while (end := text.find(b'"', at)) >= 0:
        before = text[max(begun, end - 32) : end]
        signs = len(before) - len(before.rstrip(b"\\"))
        if signs == 32:
            before = text[begun:end]
            signs = len(before) - len(before.rstrip(b"\\"))
        at = end + 1
        if signs % 2 == 0:
            return at
    raise NotJson


def long_strings(piece: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Replace each long string of the piece by a word that nobody can guess.

    Return the new piece, and the strings (without quotation marks) by their words. Raises NotJson.
    """
    kept: list[bytes] = []
    found: dict[str, bytes] = {}
    at = done = 0
    token = secrets.token_hex(16)
    while (quote := piece.find(b'"', at)) >= 0:
        at = _end_of_string(piece, quote + 1)
        if at - quote > _LONG:
            word = f"{token}-{len(found)}"
            found[word] = piece[quote + 1 : at - 1]
            kept += (piece[done : quote + 1], word.encode(), b'"')
            done = at
    return b"".join([*kept, piece[done:]]), found


def string_parts(string: bytes) -> Iterator[bytes]:
    """Yield the content of a string in parts that can be read separately. No escape sequence and no
    character is cut; a string that cannot be cut so is not valid JSON."""
    at = 0
    while at < len(string):
        part = string[at : at + _LONG]
        if at + _LONG < len(string):
            if b"\\" in part:
                end = _ESCAPED.match(part).end()  # type: ignore[union-attr]
                if _HALF.search(part, max(0, end - 6), end):
                    end -= 6
                part = part[:end] or part
            while len(part) > 1 and string[at + len(part)] & 0xC0 == 0x80:  # within a character
                part = part[:-1]
        yield part
        at += len(part)


def put_back(value: Json, strings: Mapping[str, str]) -> Json:
    """Return the value with the long strings in the places of their words."""
    if isinstance(value, str):
        return strings.get(value, value)
    if isinstance(value, dict):
        return {strings.get(k, k): put_back(v, strings) for k, v in value.items()}
    return [put_back(v, strings) for v in value] if isinstance(value, list) else value


def _open_up(stack: list[_Open], text: bytes, read: Callable[[bytes], Json]) -> None:
    """Mark all open values as larger than a piece: the innermost one is, so those around it are
    too."""
    for one in stack:
        if one.made is None:
            one.made = [] if one.kind == _LIST else {}


def _add_members(one: _Open, members: bytes, read: Callable[[bytes], Json]) -> None:
    if one.kind == _LIST:
        one.made += _list(read(b"[" + members + b"]"))
    else:
        one.made |= _table(read(b"{" + members + b"}"))


def _attach(one: _Open, value: Json, text: bytes, at: int, read: Callable[[bytes], Json]) -> None:
    """Add a member that was parsed separately and begins at `at`, after the members before it."""
    if one.last > one.begun:
        _add_members(one, text[one.begun : one.last - 1], read)
    name = text[one.last : at].strip(_BLANK)
    if one.kind == _LIST:
        if name:
            raise NotJson
        one.made.append(value)
    else:
        if not name.endswith(b":"):
            raise NotJson
        ((key, _),) = _table(read(b"{" + name + b"0}")).items()
        one.made[key] = value
    one.whole = True


def _finished(text: bytes, one: _Open, end: int, read: Callable[[bytes], Json]) -> Json:
    if one.made is None:
        return read(text[one.at : end])
    rest = text[one.begun : end - 1]
    if not one.whole:
        _add_members(one, rest, read)
    elif rest.strip(_BLANK):
        raise NotJson
    return one.made


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list) or not value:
        raise NotJson
    return value


def _table(value: Json) -> dict[str, Json]:
    if not isinstance(value, dict) or not value:
        raise NotJson
    return value


__all__ = ["NotJson", "TooComplex", "long_strings", "parse_pieces", "put_back", "string_parts"]
