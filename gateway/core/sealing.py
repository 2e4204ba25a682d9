"""Seals personal data: AES-256-GCM, a key per request, and master keys that wrap these keys.

Pure: the caller gives the random bytes. A sealed text is MARK and the Base64 of: version (1 byte),
id of the request's key (16), nonce (12), ciphertext, tag (16).

Nonces. Under a request's key, and under a master key: 96 random bits for each value. A request has
some hundreds of values and a master wraps some millions of keys; random nonces are sound up to
2**32 (NIST SP 800-38D, 8.3). Under a file's key: the number of the piece, since each file has a key
of its own, and each piece of it is sealed with one content only.

Associated data. Of a value: its table, column, row and request, so that it opens nowhere else. Of a
wrapped key: its id. Of a piece: the size of the whole file, so that none is left out at the end.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core.content import Content
from gateway.core.errors import GatewayError
from gateway.core.messages import Messages, Text

#: Bytes of a key, of a key's id, of a nonce, and of what sealing adds to a piece of a file.
KEY: Final = 32
ID: Final = 16
NONCE: Final = 12
TAG: Final = 16
#: Begins each sealed text. No JSON and no file name begins with it.
MARK: Final = "\x01"
_VERSION: Final = b"\x01"
_HEAD: Final = len(_VERSION) + ID + NONCE
#: 32 random bytes have about 30 different values. So few are no random key.
_LEAST_DIFFERENT: Final = 16

# fmt: off
say: Final = Messages(
    Text("master_form", "a master key is 32 random bytes, in hexadecimal or Base64, one a line",
         "openssl rand -hex 32",
         "une clé maîtresse est faite de 32 octets aléatoires, en hexadécimal ou en Base64, une par"
         " ligne", "openssl rand -hex 32"),
    Text("master_unknown", "keys of requests are wrapped by the master key {id}, not given here",
         "add it to sealing.masters",
         "des clés de demandes sont scellées par la clé maîtresse {id}, qui n'est pas donnée",
         "l'ajouter à sealing.masters"),
    Text("no_form", "a sealed value has no form that is known here",
         "run the program that has written it",
         "une valeur scellée n'a pas de forme connue ici", "employer le programme qui l'a écrite"),
    Text("not_opened", "a sealed value of {place} does not open: it was altered, or moved there",
         "", "une valeur scellée de {place} ne s'ouvre pas : elle a été modifiée, ou déplacée", ""),
)
# fmt: on


class BadMaster(GatewayError):
    """The text is no master key. It is not shown."""


class NotOpened(GatewayError):
    """A sealed value does not open at this place. Its content is not shown."""


class Place(NamedTuple):
    """The place of a sealed value. `request` is empty where there is none."""

    table: str
    column: str
    row: str
    request: str


@dataclass(frozen=True, slots=True)
class MasterKey:
    """A key that wraps the keys of requests. `id` is derived from it, and tells nothing of it.
    `period`: the name under which it lies among the keys, wrapped by a remote master; empty for one
    that is given."""

    id: str
    secret: bytes = field(repr=False)
    period: str = ""


@dataclass(frozen=True, slots=True)
class RemoteMaster:
    """A master key that never leaves its key service, by its name there. It wraps a key for each
    period, which is then a master of the keys of requests."""

    mount: str
    key: str

    @property
    def id(self) -> str:
        return f"vault:{self.mount}/{self.key}"


def read_masters(text: str) -> tuple[MasterKey, ...]:
    """Read the master keys of a secret, one a line. Raises BadMaster."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadMaster(say("master_form"))
    return tuple(_master(line) for line in lines)


def master_of(secret: bytes, period: str = "") -> MasterKey:
    """Return the master key of these bytes."""
    digest = hashlib.sha256(b"gru-gateway master key" + secret).hexdigest()
    return MasterKey(digest[:16], secret, period)


def _master(line: str) -> MasterKey:
    try:
        secret = bytes.fromhex(line) if len(line) == 2 * KEY else base64.b64decode(line, None, True)
    except ValueError:
        raise BadMaster(say("master_form")) from None
    if len(secret) != KEY or len(set(secret)) < _LEAST_DIFFERENT:
        raise BadMaster(say("master_form"))
    return master_of(secret)


def wrap(master: AESGCM, key_id: str, key: bytes, nonce: bytes) -> bytes:
    """Wrap the key of this id by a master key."""
    return nonce + master.encrypt(nonce, key, _joined("key", key_id))


def unwrap(master: MasterKey, key_id: str, wrapped: bytes) -> bytes:
    """Return the wrapped key of this id. Raises NotOpened."""
    return _opened(AESGCM(master.secret), wrapped, _joined("key", key_id), "sealing_key")


def seal(key_id: str, key: AESGCM, place: Place, text: str, nonce: bytes) -> str:
    """Seal a text for one place."""
    data = text.encode("utf-8", "surrogatepass")
    sealed = key.encrypt(nonce, data, _joined("value", *place))
    whole = _VERSION + bytes.fromhex(key_id) + nonce + sealed
    return MARK + binascii.b2a_base64(whole, newline=False).decode("ascii")


def is_sealed(text: str) -> bool:
    """Is this a sealed text? Others are of before the sealing."""
    return text.startswith(MARK)


def key_id_of(text: str) -> str:
    """Return the id of the key of a sealed text. Raises NotOpened."""
    try:
        head = binascii.a2b_base64(text[len(MARK) : len(MARK) + 24], strict_mode=True)
    except ValueError:
        head = b""
    if len(head) < len(_VERSION) + ID or not head.startswith(_VERSION):
        raise NotOpened(say("no_form"))
    return head[len(_VERSION) : len(_VERSION) + ID].hex()


def unseal(key: AESGCM, place: Place, text: str) -> str:
    """Return what is sealed. Raises NotOpened."""
    where = f"{place.table}.{place.column}"
    try:
        # As `base64.b64decode` with `validate`, in a fifth of its time.
        data = binascii.a2b_base64(text[len(MARK) :], strict_mode=True)
    except ValueError:
        raise NotOpened(say("not_opened", place=where)) from None
    found = _opened(key, data[_HEAD - NONCE :], _joined("value", *place), where)
    return found.decode("utf-8", "surrogatepass")


def seal_piece(key: AESGCM, n: int, size: int, data: bytes) -> bytes:
    """Seal the n-th piece, from 0, of a file of `size` bytes."""
    return key.encrypt(n.to_bytes(NONCE), data, _joined("file", str(size)))


def unseal_piece(key: AESGCM, n: int, size: int, data: bytes) -> bytes:
    """Return the n-th piece of a file of `size` bytes. Raises NotOpened."""
    return _opened(key, n.to_bytes(NONCE) + data, _joined("file", str(size)), "blob.data")


def hasher(key: bytes) -> hmac.HMAC:
    """Return what `keyed_hash` takes: made once, since OpenSSL looks up its parts each time."""
    return hmac.new(key, digestmod="sha256")


def keyed_hash(key: hmac.HMAC, purpose: str, *parts: str) -> str:
    """Return a hash that says nothing to who does not have the key."""
    made = key.copy()
    made.update(_joined(purpose, *parts))
    return made.hexdigest()


class SealedContent(Content):
    """The bytes of a file as they lie outside the database: sealed pieces of `piece` bytes each.
    `sha256` is that of the file itself."""

    __slots__ = ("_content", "_key", "_piece")

    def __init__(self, content: Content, key: bytes, piece: int) -> None:
        super().__init__(sealed_size(content.size, piece), content.sha256)
        self._content = content
        self._key = AESGCM(key)
        self._piece = piece

    def read(self, at: int, length: int) -> bytes:
        if not length:
            return b""
        inner, size = self._piece - TAG, self._content.size
        first, last = at // self._piece, (at + length - 1) // self._piece
        sealed = b"".join(
            seal_piece(self._key, n, size, self._content.read(n * inner, inner))
            for n in range(first, last + 1)
        )
        start = at - first * self._piece
        return sealed[start : start + length]


def sealed_size(size: int, piece: int) -> int:
    """Return the size of a file of `size` bytes once sealed in pieces of `piece` bytes."""
    pieces = max(1, -(-size // (piece - TAG)))
    return size + pieces * TAG


def _opened(key: AESGCM, data: bytes, associated: bytes, where: str) -> bytes:
    try:
        return key.decrypt(data[:NONCE], data[NONCE:], associated)
    except (InvalidTag, ValueError):
        raise NotOpened(say("not_opened", place=where)) from None


def _joined(*parts: str) -> bytes:
    """Join parts so that no others give the same bytes."""
    joined: list[bytes] = []
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        joined += (len(encoded).to_bytes(4), encoded)
    return b"".join(joined)


__all__ = [
    "ID",
    "KEY",
    "NONCE",
    "TAG",
    "BadMaster",
    "MasterKey",
    "NotOpened",
    "Place",
    "RemoteMaster",
    "SealedContent",
    "hasher",
    "is_sealed",
    "key_id_of",
    "keyed_hash",
    "master_of",
    "read_masters",
    "seal",
    "seal_piece",
    "sealed_size",
    "unseal",
    "unseal_piece",
    "unwrap",
    "wrap",
]
