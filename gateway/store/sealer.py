"""Seals and opens values with keys of a KeyStore: makes keys, keeps some open, wraps them anew."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from hmac import HMAC
from threading import Lock
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.core import sealing
from gateway.core.errors import Unavailable
from gateway.core.messages import Message
from gateway.core.sealing import ID, KEY, NONCE, MasterKey, NotOpened, Place
from gateway.store.keys import KeyStore, WrappedKey
from gateway.store.texts import say

#: The key of keyed hashes lies among the others.
HASHES: Final = "hashes"
#: Keys made at once at first, of which one commit makes all durable. When few are left more are
#: made, beside the transactions that need them.
SPARE: Final = 64
_FEW: Final = 32
_MORE: Final = 256
#: Keys kept open in memory.
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
        self._maker: ThreadPoolExecutor | None = None
        self._making = False
        self._open: dict[str, AESGCM] = {}
        self._open_until = 0.0
        #: Counts the destructions of keys here.
        self._destructions = 0
        self._hashes: HMAC | None = None

    def new_key(self) -> str:
        """Return the id of a new key, which is durable. Raises Unavailable."""
        with self._lock:
            if not self._spare:
                self._spare = self._made(SPARE)
            key_id, key = self._spare.pop()
            self._remember(key_id, key)
            if len(self._spare) == _FEW and not self._making:
                self._making = True
                self._maker = self._maker or ThreadPoolExecutor(1, "sealing-keys")
                self._maker.submit(self._make_spare)
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
        key = self._key(key_id)
        if key is None:
            raise Unavailable(say("key_destroyed"))
        return sealing.seal(key_id, key, place, text, os.urandom(NONCE))

    def unseal(self, place: Place, text: str) -> str | None:
        """Return what is sealed; None when its key is destroyed. A text of before the sealing is
        returned as it is. Raises NotOpened, Unavailable."""
        if not sealing.is_sealed(text):
            return text
        key_id = sealing.key_id_of(text)
        key = self._key(key_id)
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
            self._hashes = sealing.hasher(self._hash_key(make=True) or b"")
        return sealing.keyed_hash(self._hashes, purpose, *parts)

    def identity(self) -> str | None:
        """Name the keys as a whole; None where they are not. Nothing is written. Raises
        Unavailable."""
        key = self._hash_key(make=False)
        return None if key is None else sealing.keyed_hash(sealing.hasher(key), "identity")

    def rewrap(self, after: str, limit: int) -> Rewrapped | None:
        """Wrap the next keys of other master keys, in the order of their ids, by the first one;
        None: there are no more. Raises Unavailable."""
        first = self._first()
        wrapping = AESGCM(first.secret)
        old = self.keys.not_under(first.id, after, limit)
        pairs = []
        for one in old:
            with suppress(NotOpened):
                key = self._unwrapped(one)
                pairs.append((one, WrappedKey(one.id, first.id, _wrap(wrapping, one.id, key))))
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
        if self._maker is not None:
            self._maker.shutdown()
        self.keys.close()

    def _key(self, key_id: str) -> AESGCM | None:
        if time.monotonic() < self._open_until:
            known = self._open.get(key_id)
            if known is not None:
                return known
        return self._opened([key_id]).get(key_id)

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
            del self._open[next(iter(self._open))]

    def _made(self, count: int) -> list[tuple[str, AESGCM]]:
        """Make keys. Their ids begin with the time, so that they lie side by side in the index."""
        first = self._first()
        wrapping, now = AESGCM(first.secret), time.time_ns() // 1_000_000
        made = []
        for _ in range(count):
            made.append((f"{now:012x}{os.urandom(ID - 6).hex()}", os.urandom(KEY)))
        wrapped = [WrappedKey(one, first.id, _wrap(wrapping, one, key)) for one, key in made]
        self.keys.add(wrapped, first.period)
        return [(key_id, AESGCM(key)) for key_id, key in made]

    def _make_spare(self) -> None:
        made: list[tuple[str, AESGCM]] = []
        try:
            with suppress(Unavailable):  # who needs one and has none left is told
                made = self._made(_MORE)
        finally:
            with self._lock:
                self._making = False
                self._spare[:0] = made

    def _hash_key(self, *, make: bool) -> bytes | None:
        with self._lock:
            found = self.keys.read([HASHES])
            if not found and make:
                # Another process may make it, too: one of them is stored.
                first = self._first()
                wrapped = _wrap(AESGCM(first.secret), HASHES, os.urandom(KEY))
                self.keys.add([WrappedKey(HASHES, first.id, wrapped)], first.period)
                found = self.keys.read([HASHES])
        return self._unwrapped(found[0]) if found else None

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


def _wrap(master: AESGCM, key_id: str, key: bytes) -> bytes:
    return sealing.wrap(master, key_id, key, os.urandom(NONCE))
