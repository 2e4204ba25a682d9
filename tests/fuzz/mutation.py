"""Inputs made out of a corpus: what is known to be of use, changed by a seeded hand."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
#: What has gone wrong somewhere before, in any format.
PIECES: tuple[bytes, ...] = (
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\u0000", b"\\ud800", b"&#0;", b"%00"),
    *(b"<![word", b"<!--", b"<p>", b"<a ", b"</", b"&amp;", b"]]>", b"<!DOCTYPE a [", b"@", b"."),
    *(b'{"file":99}', b"[]", b"{}", b"null", b"1e999", b"-0", b"9" * 30, b'"', b"[" * 60, b"'"),
    *(b"=", b"&", b"&signature=", b"content", b"b64_content", b"url", b"api_url", b"\r\n", b"\t "),
    *(b"*a", b"&a", b"<<: *a\n", b"!!python/object:os.system", b"- - - ", b": ", b"? ", b"0x1F"),
    *(b"\xe2\x80\xae", b"2026-10-25T02:30:00", b"9999-12-31T23:59:59Z", b"env:HOME", b"=a.b[?c]"),
)
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 2**63, "", "\x00", "\ud83d", "a" * 3000, [], {}, [[]], {"file": 9}),
    *({"content": "x", "filename": "f"}, {"b64_content": 1}, "9" * 400, "2026-13-45", ["é"] * 50),
)


def corpus(target: str) -> list[bytes]:
    """The inputs that are kept for a target, in order."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def inputs(kept: Sequence[bytes], count: int, seed: int, longest: int) -> Iterator[bytes]:
    """Make `count` inputs out of those of the corpus; the same for the same seed."""
    dice = random.Random(seed)
    for _ in range(count):
        data = dice.choice(kept)
        for _ in range(dice.choice((1, 1, 2, 4))):
            data = dice.choice(_HANDS)(data, dice, kept)[:longest]
        yield data


def _put(data: bytes, dice: random.Random, kept: Sequence[bytes]) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice(PIECES) * dice.choice((1, 1, 1, 40, 2000)) + data[at:]


def _cut(data: bytes, dice: random.Random, kept: Sequence[bytes]) -> bytes:
    at = dice.randrange(len(data) + 1)
    return data[:at] + data[at + dice.randrange(1, 200) :]


def _again(data: bytes, dice: random.Random, kept: Sequence[bytes]) -> bytes:
    at = dice.randrange(len(data) + 1)
    end = at + dice.randrange(1, 100)
    return data[:end] + data[at:end] * dice.choice((1, 3, 300)) + data[end:]


def _flip(data: bytes, dice: random.Random, kept: Sequence[bytes]) -> bytes:
    made = bytearray(data)
    for _ in range(dice.choice((1, 3, 20))):
        if made:
            made[dice.randrange(len(made))] = dice.randrange(256)
    return bytes(made)


def _cross(data: bytes, dice: random.Random, kept: Sequence[bytes]) -> bytes:
    other = dice.choice(kept)
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other) + 1) :]


def _value(data: bytes, dice: random.Random, kept: Sequence[bytes]) -> bytes:
    """One value of a JSON document, within what precedes it, becomes an odd one."""
    begun = max(0, data.find(b"\n{") + 1)
    try:
        document = json.loads(data[begun:])
    except (ValueError, RecursionError):
        return _put(data, dice, kept)
    places: list[tuple[Any, Any]] = []
    waiting = [document] if isinstance(document, dict | list) else []
    while waiting:
        one = waiting.pop()
        keys: Any = one.keys() if isinstance(one, dict) else range(len(one))
        places += [(one, key) for key in keys]
        waiting += [one[key] for key in keys if isinstance(one[key], dict | list)]
    if not places:
        return data
    parent, key = dice.choice(places)
    parent[key] = dice.choice(ODD)
    return data[:begun] + json.dumps(document).encode()


_HANDS: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    *(_put, _put, _cut, _again, _flip, _cross),
    *(_value, _value, _value),
)
