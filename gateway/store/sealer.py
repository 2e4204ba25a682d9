"""Seals and opens values with keys of a KeyStore: makes keys, keeps some open, wraps them anew."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from threading import Lock
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core import sealing
from gateway.core.errors import Unavailable
from gateway.core.messages import Message
from gateway.core.sealing import KEY, NONCE, MasterKey, NotOpened, Place
from gateway.store.keys import KeyStore, WrappedKey
from gateway.store.texts import say

#: The key of keyed hashes lies among the others.
HASHES: Final = "hashes"
#: Keys made at once, of which one commit makes all durable; and keys kept open in memory.
SPARE: Final = 64
_OPEN: Final = 4096
#: Seconds after which all of these are read anew: another process may have destroyed some.
KEPT_OPEN: Final = 300.0


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """The id of the last key of a batch, how many were wrapped anew, and how many do not open."""

    last: str
    keys: int
    damaged: int


class Sealer:
    """Seals and opens values with keys of a KeyStore. Its methods may be called from any thread.

    The first of `masters` wraps new keys, each of them opens those that it has wrapped. They may be
    replaced at any time. `missing` says why those that should be first are not among them: nothing
    is wrapped then.
    """

    def __init__(self, keys: KeyStore, masters: Sequence[MasterKey]) -> None:
        self.keys = keys
        self.masters = tuple(masters)
        self.missing: Message | None = None
        self._lock = Lock()
        self._spare: list[tuple[str, AESGCM]] = []
        self._open: OrderedDict[str, AESGCM] = OrderedDict()
        self._open_until = 0.0
        #: Counts the destructions of keys here.
        self._destructions = 0
        self._hashes: bytes | None = None

    def new_key(self) -> str:
        """Return the id of a new key, which is durable. Raises Unavailable."""
        with self._lock:
            if not self._spare:
                self._spare = self._made(SPARE)
            key_id, key = self._spare.pop()
            self._remember(key_id, key)
        return key_id

    def return_key(self, key_id: str) -> None:
        """Take a new key back with which nothing was sealed."""
        with self._lock:
            key = self._open.pop(key_id, None)
            if key is not None:
                self._spare.append((key_id, key))

    def load(self, texts: Iterable[str | None]) -> None:
        """Open the keys of many sealed texts at once. One that is damaged is left to who opens its
        texts. Raises Unavailable."""
        wanted = set()
        for one in texts:
            if one is not None and sealing.is_sealed(one):
                with suppress(NotOpened):
                    wanted.add(sealing.key_id_of(one))
        self.load_ids(wanted)

    def load_ids(self, key_ids: Iterable[str]) -> None:
        """As `load`, of keys by their ids."""
        self._opened(key_ids, damaged=True)

    def seal(self, key_id: str, place: Place, text: str) -> str:
        """Seal a text with a key. Raises Unavailable, also when the key is destroyed."""
        key = self._opened([key_id]).get(key_id)
        if key is None:
            raise Unavailable(say("key_destroyed"))
        return sealing.seal(key_id, key, place, text, secrets.token_bytes(NONCE))

    def unseal(self, place: Place, text: str) -> str | None:
        """Return what is sealed; None when its key is destroyed. A text of before the sealing is
        returned as it is. Raises NotOpened, Unavailable."""
        if not sealing.is_sealed(text):
            return text
        key_id = sealing.key_id_of(text)
        key = self._opened([key_id]).get(key_id)
        return None if key is None else sealing.unseal(key, place, text)

    def destroy(self, key_ids: Sequence[str]) -> None:
        """Destroy keys. What they sealed can never be read again. Raises Unavailable."""
        self.keys.destroy(key_ids)
        with self._lock:
            self._destructions += 1
            for key_id in key_ids:
                self._open.pop(key_id, None)

    def hash(self, purpose: str, *parts: str) -> str:
        """Return a keyed hash, the same for ever. The first one makes its key. Raises
        Unavailable."""
        if self._hashes is None:
            self._hashes = self._hash_key(make=True)
        return sealing.keyed_hash(self._hashes or b"", purpose, *parts)

    def identity(self) -> str | None:
        """Name the keys as a whole; None where they are not. Nothing is written. Raises
        Unavailable."""
        key = self._hash_key(make=False)
        return None if key is None else sealing.keyed_hash(key, "identity")

    def rewrap(self, after: str, limit: int) -> Rewrapped | None:
        """Wrap the next keys of other master keys, in the order of their ids, by the first one;
        None: there are no more. Raises Unavailable."""
        first = self._first()
        old = self.keys.not_under(first.id, after, limit)
        pairs = []
        for one in old:
            with suppress(NotOpened):
                pairs.append((one, self._wrapped(first, one.id, self._unwrapped(one))))
        if not old:
            return None
        self.keys.rewrap([one for one, _ in pairs], [one for _, one in pairs], first.period)
        return Rewrapped(old[-1].id, len(pairs), len(old) - len(pairs))

    def count_lost(self, key_ids: Sequence[str]) -> int:
        """Count those of these keys that are missing, or do not open. Raises Unavailable."""
        lost = len(key_ids)
        for one in self.keys.read(key_ids):
            with suppress(NotOpened):
                self._unwrapped(one)
                lost -= 1
        return lost

    def unknown_masters(self) -> dict[str, int]:
        """Return the master keys that wrap keys and are not given, each with how many."""
        known = {master.id for master in self.masters}
        return {
            master: count
            for master, count in sorted(self.keys.count_by_master().items())
            if master not in known
        }

    def close(self) -> None:
        self.keys.close()

    def _opened(self, key_ids: Iterable[str], *, damaged: bool = False) -> dict[str, AESGCM]:
        """Return those of these keys that are here. `damaged`: one that does not open is left out,
        and NotOpened is not raised."""
        found: dict[str, AESGCM] = {}
        missing = []
        with self._lock:
            destructions = self._destructions
            if time.monotonic() >= self._open_until:
                self._open.clear()
                self._open_until = time.monotonic() + KEPT_OPEN
            for key_id in key_ids:
                known = self._open.get(key_id)
                if known is None:
                    missing.append(key_id)
                else:
                    found[key_id] = known
        read: dict[str, AESGCM] = {}
        for one in self.keys.read(missing):
            with suppress(NotOpened) if damaged else nullcontext():
                read[one.id] = AESGCM(self._unwrapped(one))
        with self._lock:
            # One that was destroyed while it was read here is not to be kept.
            if destructions == self._destructions:
                for key_id, key in read.items():
                    self._remember(key_id, key)
        return found | read

    def _remember(self, key_id: str, key: AESGCM) -> None:
        self._open[key_id] = key
        if len(self._open) > _OPEN:
            self._open.popitem(last=False)

    def _made(self, count: int) -> list[tuple[str, AESGCM]]:
        first = self._first()
        made = [(secrets.token_hex(sealing.ID), secrets.token_bytes(KEY)) for _ in range(count)]
        self.keys.add([self._wrapped(first, key_id, key) for key_id, key in made], first.period)
        return [(key_id, AESGCM(key)) for key_id, key in made]

    def _hash_key(self, *, make: bool) -> bytes | None:
        with self._lock:
            found = self.keys.read([HASHES])
            if not found and make:
                # Another process may make it, too: one of them is stored.
                first = self._first()
                one = self._wrapped(first, HASHES, secrets.token_bytes(KEY))
                self.keys.add([one], first.period)
                found = self.keys.read([HASHES])
        return self._unwrapped(found[0]) if found else None

    def _wrapped(self, master: MasterKey, key_id: str, key: bytes) -> WrappedKey:
        nonce = secrets.token_bytes(NONCE)
        return WrappedKey(key_id, master.id, sealing.wrap(master, key_id, key, nonce))

    def _unwrapped(self, one: WrappedKey) -> bytes:
        master = next((known for known in self.masters if known.id == one.master), None)
        if master is None:
            # A process that reads its secrets again knows it.
            raise Unavailable(self.missing or sealing.say("master_unknown", id=one.master))
        return sealing.unwrap(master, one.id, one.wrapped)

    def _first(self) -> MasterKey:
        if self.missing is not None or not self.masters:
            raise Unavailable(self.missing or say("no_master"))
        return self.masters[0]
