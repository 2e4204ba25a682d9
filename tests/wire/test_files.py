"""A file's type by its bytes, against the declared one."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire.files import agrees, safe_filename, sniff

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"


def zipped(*names: str, mimetype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        if mimetype:
            archive.writestr("mimetype", mimetype)
        for name in names:
            archive.writestr(name, "x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00\x18ftypheic....", "image/heic"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\n\n%PDF-1.4", "application/pdf"),
        (zipped("a.txt"), "application/zip"),
        (zipped("[Content_Types].xml", "word/document.xml"), DOCX),
        (zipped("content.xml", mimetype=ODT), ODT),
        ("Été à Lyon\n".encode(), "text/plain"),
        (("a" * 4095 + "é").encode(), "text/plain"),
        (b"<!-- x --> <!DOCTYPE html><p>", "text/html"),
        (b"<svg onload='x'>", "text/html"),
        (b"MZ\x90\x00", "application/x-msdownload"),
        (b"\x00\x01\x02", None),
        ("é".encode("latin-1") * 10, None),
        (b"", None),
        (b"<!-- x --> <html><script>", "text/html"),
        (b" <!-- a --><!-- b -->\n<!doctype\n html>", "text/html"),
        (b"<!-- x <html>", "text/plain"),
    ],
)
def test_sniff(content: bytes, kind: str | None) -> None:
    assert sniff(content) == kind


@pytest.mark.parametrize(
    ("declared", "sniffed", "expected"),
    [
        ("image/png", "image/png", True),
        ("image/jpg", "image/jpeg", True),
        ("image/png", "image/jpeg", False),
        ("image/png", None, False),
        ("application/pdf", "text/html", False),
        ("image/png", "application/x-msdownload", False),
        ("application/octet-stream", "image/png", True),
        ("text/csv", "text/plain", True),
        ("application/json", "text/plain", True),
        ("text/plain", "text/html", False),
        ("image/svg+xml", "text/html", True),
        ("application/pdf", "text/plain", False),
        (DOCX, "application/zip", True),
        (DOCX, DOCX, True),
        ("image/png", "application/zip", False),
        ("application/msword", "application/x-ole-storage", True),
        ("application/x-dwg", None, True),
        ("Image/PNG; x=1", "image/png", True),
    ],
)
def test_agrees(declared: str, sniffed: str | None, expected: bool) -> None:
    assert agrees(declared, sniffed) is expected


@given(st.binary(max_size=300))
def test_sniff_takes_any_bytes(content: bytes) -> None:
    kind = sniff(content)
    assert kind is None or "/" in kind


@given(st.text())
@example("a\u2028b")
def test_filename_is_one_plain_part(name: str) -> None:
    safe = safe_filename(name)
    assert 0 < len(safe) <= 150
    assert not set(safe) & set("/\\\x00\r\n\u202e\u2028\u2029")
    assert safe.strip(".")


def test_endless_comments_are_read_in_no_time() -> None:
    assert sniff(b"<!---->" * 100_000 + b"<p>") == "text/plain"
