"""Sealing by itself: what opens where, and what never does."""

from __future__ import annotations

import base64
import hmac
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import sealing
from gateway.core.content import InMemory
from gateway.core.sealing import KEY, NONCE, TAG, BadMaster, NotOpened, Place, SealedContent
from tests.sealing import master

KEY_ID = "0f" * sealing.ID
OURS = AESGCM(bytes(range(KEY)))
HERE = Place("event", "body", "EVT-1", "DEM-1")


def sealed(text: str, place: Place = HERE) -> str:
    return sealing.seal(KEY_ID, OURS, place, text, os.urandom(NONCE))


@given(st.text())
def test_what_is_sealed_opens_at_its_place(text: str) -> None:
    found = sealed(text)
    assert sealing.is_sealed(found)
    assert sealing.key_id_of(found) == KEY_ID
    assert sealing.unseal(OURS, HERE, found) == text


def test_the_form_is_the_one_that_is_written_down() -> None:
    found = sealing.seal(KEY_ID, OURS, HERE, "é", b"n" * NONCE)
    data = base64.b64decode(found[1:])
    assert found[0] == "\x01"
    assert data[:1] == b"\x01"
    assert data[1:17].hex() == KEY_ID
    assert data[17:29] == b"n" * NONCE
    assert len(data) == 29 + 2 + TAG


@pytest.mark.parametrize(
    "elsewhere",
    [
        Place("untold", "body", "EVT-1", "DEM-1"),
        Place("event", "digest", "EVT-1", "DEM-1"),
        Place("event", "body", "EVT-2", "DEM-1"),
        Place("event", "body", "EVT-1", "DEM-2"),
        # The same letters, cut elsewhere.
        Place("event", "bodyE", "VT-1", "DEM-1"),
        Place("event", "body", "EVT-1D", "EM-1"),
    ],
    ids=["table", "column", "row", "request", "cut", "cut again"],
)
def test_it_opens_nowhere_else(elsewhere: Place) -> None:
    with pytest.raises(NotOpened) as told:
        sealing.unseal(OURS, elsewhere, sealed("Zoé"))
    assert "Zoé" not in str(told.value)


def test_another_key_and_one_changed_bit_open_nothing() -> None:
    found = sealed("Zoé")
    with pytest.raises(NotOpened):
        sealing.unseal(AESGCM(bytes(KEY)), HERE, found)
    data = bytearray(base64.b64decode(found[1:]))
    for at in range(17, len(data)):  # the nonce, the text, the tag
        data[at] ^= 1
        with pytest.raises(NotOpened):
            sealing.unseal(OURS, HERE, "\x01" + base64.b64encode(data).decode())
        data[at] ^= 1


@pytest.mark.parametrize(
    "text", ["\x01", "\x01é", "\x01AAAA", "\x01" + "A" * 23, "\x01Ag" + "A" * 40]
)
def test_what_has_no_known_form_is_refused_without_its_content(text: str) -> None:
    with pytest.raises(NotOpened) as told:
        sealing.key_id_of(text)
    assert text not in str(told.value)


def test_a_wrapped_key_opens_under_its_master_and_its_id_alone() -> None:
    wrapped = sealing.wrap(AESGCM(master("un").secret), "k1", b"k" * KEY, os.urandom(NONCE))
    assert sealing.unwrap(master("un"), "k1", wrapped) == b"k" * KEY
    for one, key_id in ((master("deux"), "k1"), (master("un"), "k2")):
        with pytest.raises(NotOpened):
            sealing.unwrap(one, key_id, wrapped)


def test_master_keys_are_read_in_hexadecimal_and_base64_one_a_line() -> None:
    first, second = os.urandom(KEY), os.urandom(KEY)
    text = f"{first.hex()}\n\n {base64.b64encode(second).decode()} \n"
    found = sealing.read_masters(text)
    assert [one.secret for one in found] == [first, second]
    assert first.hex() not in repr(found)
    assert found[0].id != found[1].id
    assert len(found[0].id) == 16
    assert found[0].id not in first.hex()


@pytest.mark.parametrize(
    "text", ["", " \n", "secret", "00" * KEY, "ab" * 16, "é" * 64, "zz" * KEY, "0x" + "ab" * 31]
)
def test_what_is_no_random_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(BadMaster) as told:
        sealing.read_masters(text)
    assert "openssl rand -hex 32" in str(told.value)
    assert not text.strip() or text.strip() not in str(told.value)


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 96, 200])
def test_a_file_outside_lies_in_sealed_pieces(size: int) -> None:
    piece, data = 64, os.urandom(size)
    content = SealedContent(InMemory(data), b"f" * KEY, piece)
    whole = content.read(0, content.size)
    assert content.size == len(whole) == sealing.sealed_size(size, piece)
    assert b"".join(content.pieces(100)) == whole
    key, opened = AESGCM(b"f" * KEY), b""
    for n, at in enumerate(range(0, len(whole), piece)):
        opened += sealing.unseal_piece(key, n, size, whole[at : at + piece])
    assert opened == data


def test_a_piece_opens_in_its_place_of_a_file_of_its_size_alone() -> None:
    found = sealing.seal_piece(OURS, 1, 100, b"Zoe")
    assert sealing.unseal_piece(OURS, 1, 100, found) == b"Zoe"
    for n, size in ((0, 100), (1, 99)):
        with pytest.raises(NotOpened):
            sealing.unseal_piece(OURS, n, size, found)


def test_a_keyed_hash_depends_on_key_purpose_and_each_part() -> None:
    one = sealing.keyed_hash(sealing.hasher(b"k" * KEY), "file", "DEM-1", "ab")
    others = [
        sealing.keyed_hash(sealing.hasher(b"l" * KEY), "file", "DEM-1", "ab"),
        sealing.keyed_hash(sealing.hasher(b"k" * KEY), "account", "DEM-1", "ab"),
        sealing.keyed_hash(sealing.hasher(b"k" * KEY), "file", "DEM-1a", "b"),
    ]
    assert len({one, *others}) == 4
    assert len(one) == 64


def test_a_sealed_text_that_was_written_otherwise_is_not_opened() -> None:
    """Another program wrapped it, for example."""
    text = sealed("Zoe")
    assert sealing.unseal(OURS, HERE, text) == "Zoe"
    for spoilt in (text[:40] + "\n" + text[40:], text + " "):
        with pytest.raises(NotOpened):
            sealing.unseal(OURS, HERE, spoilt)


def test_a_keyed_hash_is_what_databases_hold() -> None:
    # It may never change: rows are found by it. HMAC-SHA-256 over parts with their lengths.
    found = sealing.keyed_hash(sealing.hasher(bytes(range(KEY))), "account", "é", "")
    data = b"".join(len(one).to_bytes(4) + one for one in (b"account", "é".encode(), b""))
    assert found == hmac.digest(bytes(range(KEY)), data, "sha256").hex()
