"""Far ends' answers, read so that one bad character or row is lost alone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from adapters.open311.georeport import read_rows, text
from gateway.sdk import (
    Unreadable,
    decoded,
    note_text,
    pieces,
    read_base64,
    read_json,
    read_xml,
    reading,
)
from gateway.sdk.reading import LONGEST_NOTE

HEAD = '<?xml version="1.0" encoding="utf-8"?>'


def listed(note: str, head: str = HEAD) -> str:
    """Two requests as GeoReport lists them; the second one's note is `note`, as it stands."""
    return (
        f"{head}<service_requests><request><service_request_id>1</service_request_id>"
        "<status>closed</status></request><request><service_request_id>2</service_request_id>"
        f"<status>open</status><status_notes>{note}</status_notes></request></service_requests>"
    )


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (listed("ligne 1\x0bligne 2").encode(), "ligne 1\nligne 2"),
        (listed("a&#11;b&#0;c&#xFFFF;").encode(), "a\nbc"),
        (listed("d&eacute;j&agrave; signal&eacute;").encode(), "déjà signalé"),
        (listed("Dupont & fils &amp; Cie &unknown; &").encode(), "Dupont & fils & Cie &unknown; &"),
        (listed("5 < 6 et <3").encode(), "5 < 6 et <3"),
        (listed("<![CDATA[Dupont & fils <b>]]> & Cie").encode(), "Dupont & fils <b> & Cie"),
        (listed("<![CDATA[<!DOCTYPE html><p>x</p>]]>").encode(), "<!DOCTYPE html><p>x</p>"),
        (listed("déjà signalé").encode("cp1252"), "déjà signalé"),
        (listed("déjà", HEAD.replace("utf-8", "ISO-8859-1")).encode("latin-1"), "déjà"),
        (listed("5 €", HEAD.replace("utf-8", "windows-1252")).encode("cp1252"), "5 €"),
        (listed("déjà", HEAD.replace("utf-8", "nimporte")).encode(), "déjà"),
        (b"\xef\xbb\xbf" + listed("déjà").encode(), "déjà"),
        (listed("déjà", HEAD.replace("utf-8", "utf-16")).encode("utf-16"), "déjà"),
        (listed("Voir <b>ici</b>, merci").encode(), "Voir <b>ici</b>, merci"),
    ],
)  # fmt: skip
def test_one_bad_character_of_an_xml_list_costs_itself_alone(body: bytes, note: str) -> None:
    rows = read_rows(body, "xml")
    assert [text(row, "service_request_id") for row in rows] == ["1", "2"]
    assert text(rows[1], "status_notes") == note
    assert rows.lost == 0


@pytest.mark.parametrize(
    "note", ["<b>jamais fermé", "</status>", "<a b=>", "<zoe@exemple.invalid>"]
)
def test_one_bad_row_of_an_xml_list_costs_itself_alone(note: str) -> None:
    rows = read_rows(listed(note).encode(), "xml")
    assert [text(row, "service_request_id") for row in rows] == ["1"]
    assert rows.lost == 1


def test_a_list_that_is_cut_short_says_so() -> None:
    rows = read_rows(listed("x").encode()[:-60], "xml")
    assert [text(row, "service_request_id") for row in rows] == ["1"]
    assert rows.lost == 1


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('{"a": "é"}'.encode("utf-16"), {"a": "é"}),
        ('{"a": "é", "b": "'.encode("latin-1") + "œ".encode() + b'"}', {"a": "é", "b": "œ"}),
        (b'{"a": "x\x0by\nz"}', {"a": "x\x0by\nz"}),
        (b'{"a": NaN, "b": -Infinity}', {"a": None, "b": None}),
        (b'{"a": "C:\\temp\\x \\u00e9"}', {"a": "C:\temp\\x é"}),
        (b'{"a": "\\ud83d\\ude00 \\ud83d"}', {"a": "😀 \ufffd"}),
        (b" 12 ", 12),
    ],
)  # fmt: skip
def test_one_bad_character_of_a_json_text_costs_itself_alone(body: bytes, value: Any) -> None:
    assert read_json(body) == value


def test_a_declared_charset_is_used_where_it_fits() -> None:
    assert read_json('{"a": "prix : 5 €"}'.encode("cp1252"), "windows-1252") == {"a": "prix : 5 €"}
    assert decoded("déjà".encode("utf-16-le"), "utf-16-le") == "déjà"
    for declared in ("iso-8859-15", "nimporte", "utf-16"):
        assert decoded("déjà".encode(), declared) == "déjà", "not the one that it says"


def test_numbers_may_stay_as_they_are_written() -> None:
    assert read_json(b'[{"id": 001, "x": 1.50}]'.replace(b"001", b"12"), numbers_as_text=True) == [
        {"id": "12", "x": "1.50"}
    ]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"a": ', b'{"a": 1} x', b"[" * 200_000, b"[" * 90 + b"]" * 90,
             b"1" * 5000 + b"x"]
)  # fmt: skip
def test_what_is_no_json_is_not_read(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" * 100_000,
        b"<a>" * 90 + b"</a>" * 90,
        b'<!DOCTYPE a [<!ENTITY b "x">]><request>&b;</request>',
        b'<!DOCTYPE a [<!ENTITY b "x">]><requests><request>&b; & </request><b></requests>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a []><a/>'.encode("utf-16"),
        b"",
        b"{}",
    ],
)
def test_what_is_no_harmless_xml_is_not_read(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_xml(body, frozenset({"request"}))


@pytest.mark.parametrize(
    "body",
    [
        b"<r>" + b"<![CDATA[" * 100_000,
        b"<r>" + b"&" * 500_000,
        b"<r>" + b"<request " * 50_000,
        b"<r>" + b"<request>" * 50_000,
        b"<r><request>" + b"<a>" * 50_000 + b"</request>",
        b"<?xml " * 100_000,
    ],
)
def test_hostile_xml_takes_no_time(body: bytes) -> None:
    start = time.process_time()
    with pytest.raises(Unreadable):
        read_xml(body, frozenset({"request"}))
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "written",
    ["aMOpbMOpIQ==", "aMOp\nbMOp\r\nIQ==\n", "aMOpbMOpIQ", "data:text/plain;base64,aMOpbMOpIQ=="],
)
def test_base64_is_read_in_lines_and_without_its_padding(written: str) -> None:
    assert read_base64(written) == "hélé!".encode()


def test_base64_is_read_in_both_alphabets() -> None:
    assert read_base64("-_-_") == read_base64("+/+/") == b"\xfb\xff\xbf"
    assert read_base64("pas du base64 !") is None
    assert read_base64("a") is None
    assert read_base64("") == b""


@pytest.mark.parametrize(
    ("value", "html", "wanted"),
    [
        ("<zoe@exemple.invalid> ?a=1&para=2", "auto", "<zoe@exemple.invalid> ?a=1&para=2"),
        ("<p>Bonjour,</p><p>L&#39;équipe</p>", "auto", "Bonjour,\n\nL'équipe"),
        ("&lt;p&gt;Bonjour,&lt;/p&gt;&lt;p&gt;L&#039;été&lt;/p&gt;", "auto", "Bonjour,\n\nL'été"),
        ("d&eacute;j&agrave;", "auto", "déjà"),
        ("d&eacute;j&agrave; <b>x</b>", "never", "d&eacute;j&agrave; <b>x</b>"),
        ("5 &lt; 6", "always", "5 < 6"),
        ("&lt;b&gt;5 &amp;lt; 6&lt;/b&gt;", "escaped", "5 < 6"),
        ("a\x0bb\x00", "auto", "a\nb"),
        ("  ", "auto", None),
        ("<p> </p>", "auto", None),
        (12, "auto", None),
    ],
)  # fmt: skip
def test_a_note_is_told_in_words(value: Any, html: Any, wanted: str | None) -> None:
    assert note_text(value, html) == wanted


def test_a_note_that_is_too_long_says_that_it_was_cut() -> None:
    told = note_text("x" * (LONGEST_NOTE + 1))
    assert told is not None
    assert len(told) == LONGEST_NOTE
    assert told.endswith("… [texte coupé]")


@pytest.mark.parametrize("blanks", [0, 131_071, 131_072, 131_073, 400_000])
def test_blanks_without_end_are_gone_through_and_change_nothing(blanks: int) -> None:
    gap = b" " * blanks
    body = gap + b"[123," + gap + b'"\\"' + b"a" * 200_000 + b'"' + gap + b"," + gap + b"4]" + gap
    assert read_json(body) == [123, '"' + "a" * 200_000, 4]


@pytest.mark.parametrize("body", [b"[" + b"1" * 5_000_000 + b"]", b"x" * 5_000_000])
def test_what_has_no_structure_is_refused_before_it_is_read(body: bytes) -> None:
    begun = time.thread_time()
    with pytest.raises(Unreadable):
        read_json(body)
    assert time.thread_time() - begun < 0.05


#: Two, three and four bytes of UTF-8, escapes, pairs of them, a lone half, what PHP escapes.
SIGNS = ("a", "é", "€", "😀", "\\n", '\\"', "\\\\", "\\/", "\\u00e9", "\\ud83d\\ude00", "\\ud83dx")


@pytest.mark.parametrize("shift", range(12))
def test_a_long_string_is_read_in_parts_to_the_letter(
    shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = "x" * shift + "".join(SIGNS) * 40
    body = f'{{"k": [1, "{inside}", {{"{inside}": "{inside}"}}], "l": "short"}}'.encode()
    whole = read_json(body)
    monkeypatch.setattr(reading, "_WHOLE", 50)
    monkeypatch.setattr(pieces, "_PIECE", 64)
    monkeypatch.setattr(pieces, "_LONG", 40)
    assert read_json(body) == whole


def test_a_long_string_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_WHOLE", 50)
    monkeypatch.setattr(pieces, "_LONG", 40)
    for end in (b"", b'\\"', b'" 1', b'", '):
        with pytest.raises(Unreadable):
            read_json(b'{"a": "' + b"x" * 100 + end + b"}")


@pytest.mark.parametrize("size", range(2, 9))
def test_base64_is_read_in_parts_as_in_one(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["aMOpbMOpIQ==", "aMOp\nbM\nOpIQ", "data:;base64,-_-_aMOp", "YQ==YQ==", "YQ= =", "a"]
    texts += ["data:", "YWI=", "YWI= \n", "YW?I", "é"]
    whole = [read_base64(one) for one in texts]
    monkeypatch.setattr(reading, "_WHOLE", size)
    assert [read_base64(one) for one in texts] == whole
