"""Large bodies: laid on disk as they come, they mean what they mean when read whole."""

from __future__ import annotations

import base64
import itertools
import json
import os
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.content import EDGE, InMemory
from gateway.core.errors import Rejected, Unavailable
from gateway.wire import spool
from gateway.wire.event_content import digest
from gateway.wire.formdata import Limits, parse_formdata
from gateway.wire.spool import LARGE, LONG, BodyReader, Spool, SpooledBody, TooLarge
from tests.files import names, open_below
from tests.wire.samples import whole

FOLDER = Path(os.environ.get("TMPDIR", "/tmp"))
LIMITS = replace(DEFAULT_LIMITS, max_file_bytes=1200)


async def _chunks(body: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    for begin, end in itertools.pairwise(places):
        yield body[begin:end]


def read(parse: Any) -> Any:
    """Return the content of a formdata with its files' bytes, or the refusal."""
    try:
        form = parse()
    except Rejected as error:
        return error.status, error.code
    files = [(f.field, f.filename, f.content_type, f.url, whole(f)) for f in form.files]
    ours = [name for name in form.__slots__ if name not in ("files", "size", "document")]
    values = {name: getattr(form, name) for name in ours}
    # Surrogates and order count: as JSON, not as equal dictionaries.
    return json.dumps(values, default=str), files, digest(form)


def both(body: bytes, cuts: list[int], limits: Limits = LIMITS) -> tuple[Any, Any, BodyReader]:
    plain = read(lambda: parse_formdata(body, None, limits=limits))
    with BodyReader(FOLDER) as reader:
        begin = 0
        for end in [*sorted(cut % (len(body) + 1) for cut in cuts), len(body)]:
            reader.feed(body[begin:end])
            begin = end
        text = bytes(reader.text)
        laid = read(lambda: parse_formdata(text, None, limits=limits, texts=reader.texts))
    return plain, laid, reader


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Count a few bytes as long and large, so that tests meet every edge often."""
    if request.node.get_closest_marker("parametrize") or "real" not in request.node.name:
        monkeypatch.setattr(spool, "LONG", 24)
        monkeypatch.setattr(spool, "_PIECE", 16)


ALPHABET = "ABCxyz019+/"
SOUND = ["=", "==", r"\/", r"\n", r"\u0041", r"\u00e9", "é", "€", "😀", " ", r"\\", r"\ud83d\ude00"]
SOUND += [r"\t", r"\"", r"\"content\":\""]
BROKEN = [r"\ud83d", r"\ude00", r"\u12", r"\x", "\n", "\x01", r"\ud83dabc"]


def _texts(atoms: list[str]) -> st.SearchStrategy[str]:
    runs = st.text(ALPHABET, min_size=1, max_size=20)
    return st.lists(st.one_of(runs, st.sampled_from(atoms)), max_size=25).map("".join)


#: Raw JSON strings, without their quotes: mostly Base64, with everything that may disturb it.
RAW = st.one_of(
    st.binary(max_size=150).map(lambda b: base64.b64encode(b).decode()),
    st.binary(min_size=30, max_size=150).map(
        lambda b: json.dumps(base64.encodebytes(b).decode())[1:-1].replace("/", r"\/")
    ),
    _texts(SOUND),
)
CUTS = st.one_of(
    st.lists(st.integers(0, 5000), max_size=40),
    st.integers(1, 30).map(lambda step: list(range(0, 5000, step))),
)
SPACE = st.sampled_from(["", " ", "\n\t "])


@st.composite
def _object(draw: st.DrawFn) -> str:
    """An object that is a file, nearly one, or none."""
    members = [
        draw(st.sampled_from(['"content"', '"b64_content"', '"cont\\u0065nt"', '"x\\"content"']))
        + draw(SPACE)
        + ":"
        + draw(SPACE)
        + f'"{draw(RAW)}"'
    ]
    for member in (
        '"filename": "a.pdf"',
        '"content_is_base64": true',
        '"content_type": "application/pdf"',
        '"url": "https://p.exemple.invalid/f"',
        f'"content": "{draw(RAW)}"',
    ):
        if draw(st.booleans()):
            members.append(member)
    return "{" + ", ".join(draw(st.permutations(members))) + "}"


@st.composite
def _body(draw: st.DrawFn) -> bytes:
    fields = [f'"photo": {draw(_object())}', f'"liste_raw": [{draw(_object())}, "{draw(RAW)}"]']
    fields += [f'"rue_structured": {draw(_object())}', f'"content": "{draw(RAW)}"']
    text = "{" + f'"id": "1", "fields": {{{", ".join(draw(st.permutations(fields)))}}}'
    text += f', "actions": {draw(_object())}, "evolution": [{{"parts": [{draw(_object())}]}}]'
    text += f', "extra": {{"piece": {draw(_object())}}}' + "}"
    body = draw(st.sampled_from(["", "\ufeff"])).encode() + text.encode()
    damage = draw(st.sampled_from(["none"] * 6 + ["cut", "byte", "text"]))
    at = draw(st.integers(0, len(body)))
    if damage == "cut":
        return body[:at]
    if damage == "text":
        return body[:at] + draw(_texts(SOUND + BROKEN)).encode() + body[at:]
    if damage == "byte":
        return body[:at] + draw(st.sampled_from([b"\xff", b'"', b"\\", b"\x80", b"{"])) + body[at:]
    return body


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(_body(), CUTS)
@example(b'{"id":"1","fields":{"a":{"filename":"a","content":"' + b"A" * 40, [])
def test_laid_on_disk_it_is_the_same_formdata(body: bytes, cuts: list[int]) -> None:
    plain, laid, _ = both(body, cuts)
    assert laid == plain


def file_body(raw: str, **more: Any) -> bytes:
    members = {"filename": "a.bin", "content_is_base64": True} | more
    value = json.dumps(members)[:-1] + f', "content": "{raw}"' + "}"
    return b'{"id": "1", "fields": {"photo": %s}}' % value.encode()


@pytest.mark.parametrize("by", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("size", [18, 19, 20, 100, 1199, 1200, 1201])
def test_a_file_is_laid_on_disk_byte_for_byte(size: int, by: int) -> None:
    content = random.Random(size).randbytes(size)
    raw = base64.b64encode(content).decode().replace("/", "\\/")
    plain, laid, reader = both(file_body(raw), list(range(0, 5000, by)))
    assert laid == plain
    assert len(reader.texts) == 1
    assert laid == (413, "file_too_large") if size > 1200 else laid[1][0][4] == content


@pytest.mark.parametrize(
    "raw",
    [
        "A" * 400 + "=",
        "A" * 400 + "=" * 300,
        "A" * 400 + "=" * 300 + "A" * 4,
        "A" * 401,
        "QQ==" * 100,
        "A" * 200 + "-" + "A" * 199,
        "A" * 200 + "é" + "A" * 3000,
        "A" * 3000 + "!",
        " " * 300,
        "A" * 2000 + "\\ud800",
        "A" * 2000 + "\\q" + "A" * 2000,
    ],
)
def test_what_is_wrong_with_a_content_is_told_as_ever(raw: str) -> None:
    plain, laid, reader = both(file_body(raw), list(range(0, 9000, 50)))
    assert laid == plain
    assert "A" * 100 not in reader.text.decode("utf-8", "replace"), "it was laid on disk"


def test_a_long_text_that_is_no_file_comes_back_to_the_letter() -> None:
    text = ("AAAA\r\n=é😀/" * 90) + "A"
    body = json.dumps({"id": "1", "fields": {"x": {"content": text}}, "extra": {"content": text}})
    with BodyReader(FOLDER) as reader:
        reader.feed(body.encode())
        assert len(reader.texts) == 2
        form = parse_formdata(bytes(reader.text), None, limits=LIMITS, texts=reader.texts)
    assert form.fields["x"]["content"] == text
    assert form.extra["content"] == text


def test_nobody_can_name_what_another_body_has_on_disk() -> None:
    with BodyReader(FOLDER) as first, BodyReader(FOLDER) as second:
        first.feed(file_body("A" * 400))
        (word,) = first.texts
        second.feed(file_body(word))
        with pytest.raises(Rejected) as refusal:
            parse_formdata(bytes(second.text), None, limits=LIMITS, texts=second.texts)
    assert refusal.value.code == "bad_base64"


def test_a_repeated_key_counts_as_in_any_json() -> None:
    first, last = base64.b64encode(b"a" * 90).decode(), base64.b64encode(b"b" * 90).decode()
    plain, laid, reader = both(file_body(f'{first}", "content": "{last}'), [])
    assert laid == plain
    assert len(reader.texts) == 2
    assert laid[1][0][4] == b"b" * 90


# --- real sizes ------------------------------------------------------------------------------


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[Path]:
    """A folder in which no file is left, by name or by handle."""
    yield tmp_path
    assert list(tmp_path.iterdir()) == []
    assert open_below(tmp_path) == []


async def test_real_a_large_file_is_never_held(nothing_left: Path) -> None:
    content = random.Random(1).randbytes(3_000_000)
    body = file_body(base64.b64encode(content).decode())
    with BodyReader(nothing_left) as reader:
        got = await reader.read(_chunks(body, list(range(0, len(body), 60_000))), len(body))
        assert got.size == len(body)
        assert len(got.text) < 1000
        assert len(open_below(nothing_left)) == 1
        assert names(nothing_left) == [], "it has no name"
        form = parse_formdata(got.text, None, limits=DEFAULT_LIMITS, texts=got.texts)
        laid = form.files[0].content
        assert laid is not None
        held = InMemory(content)
        assert (laid.size, laid.sha256) == (held.size, held.sha256)
        assert (laid.head, laid.tail) == (content[:EDGE], content[-EDGE:])
        for _ in range(2):  # a transaction may be run again
            assert b"".join(laid.pieces(100_000)) == content
        assert digest(form) == digest(parse_formdata(body, None, limits=DEFAULT_LIMITS))
    with pytest.raises(Unavailable):
        laid.read(0, 1)


async def test_real_a_small_body_stays_in_memory(nothing_left: Path) -> None:
    body = file_body("A" * (LARGE - 100))
    assert LONG < len(body) <= LARGE
    with BodyReader(nothing_left) as reader:
        got = await reader.read(_chunks(body, [LARGE // 2]), LARGE)
        assert got == SpooledBody(body, len(body))
        assert open_below(nothing_left) == []


async def test_real_a_file_as_it_is_is_taken_too(nothing_left: Path) -> None:
    content = random.Random(2).randbytes(1_000_000)
    cuts = list(range(0, len(content), 70_000))
    with BodyReader(nothing_left) as reader:
        several = [await reader.read_file(_chunks(content[n:], cuts), 1_000_000) for n in (0, 1)]
        few = await reader.read_file(_chunks(b"few", [1]), 3)
        for n, got in enumerate(several):
            assert got.sha256 == InMemory(content[n:]).sha256
            assert b"".join(got.pieces(99_999)) == content[n:]
        assert few.read(0, 3) == b"few"
        with pytest.raises(TooLarge):
            await reader.read_file(_chunks(b"four", []), 3)


async def test_real_too_much_is_told_as_soon_as_it_is_seen(nothing_left: Path) -> None:
    seen = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal seen
        yield b'{"content": "'
        while True:
            seen += 50_000
            yield b"A" * 50_000

    with BodyReader(nothing_left) as reader, pytest.raises(TooLarge):
        await reader.read(endless(), 1_000_000)
    assert seen <= 1_050_000


def test_real_a_folder_that_cannot_be_written_is_our_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Spool(tmp_path / "file")


@pytest.mark.slow
async def test_real_bodies_of_many_values_or_much_text_are_read_no_further() -> None:
    """Seen: 80 MB of `[]` took 2.3 GB and 3 s."""
    many = [b"[],", b"{},", b'"",', b'"":0,', b"0,", b'"" ']
    much = [b" " * 60_000, b"9" * 60_000, b'"' + b"a" * 60_000 + b'",']
    for piece, error in [(one, spool.TooManyBodyValues) for one in many] + [
        (one, TooLarge) for one in much
    ]:
        some = piece * (60_000 // len(piece) or 1)
        read = 0

        async def endless(some: bytes = some) -> AsyncIterator[bytes]:
            nonlocal read
            yield b'{"id": "1", "fields": {"a": ['
            while read < 80_000_000:
                read += len(some)
                yield some

        with BodyReader(FOLDER) as reader:
            with pytest.raises(error):
                await reader.read(endless(), 100_000_000)
            assert len(reader.text) < spool.MOST_TEXT + 2 * LARGE
        assert read < spool.MOST_TEXT + 4 * LARGE


@pytest.mark.slow
def test_real_long_texts_are_taken_back_up_to_a_bound() -> None:
    """Anywhere but in the workflow's data, which is not read at all."""
    long = "é" * LONG
    more = [long] * (spool.MOST_TEXT // len(long.encode()) + 1)
    for body, refused in (
        ({"fields": {"a": long}, "workflow": {"data": {"reponse": more}}}, False),
        ({"fields": {"a": more}}, True),
        ({"fields": {"a": [{"content": one} for one in more]}}, True),
    ):
        with BodyReader(FOLDER) as reader:
            reader.feed(json.dumps({"id": "1", "display_id": "2", **body}).encode())
            text = bytes(reader.text)
            assert len(text) < 10_000
            if refused:
                with pytest.raises(Rejected) as refusal:
                    parse_formdata(text, None, limits=LIMITS, texts=reader.texts)
                assert (refusal.value.status, refusal.value.code) == (413, "text_too_long")
            else:
                form = parse_formdata(text, None, limits=LIMITS, texts=reader.texts)
                assert form.fields == {"a": long}
