"""A file's bytes, wherever they are, before they are stored."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

#: Bytes of a file's beginning and end that tell its type.
EDGE: Final = 64 * 1024


class Content(ABC):
    """The bytes of one file. They may be read any number of times, from any thread."""

    __slots__ = ("sha256", "size")

    def __init__(self, size: int, sha256: str) -> None:
        self.size = size
        self.sha256 = sha256

    @abstractmethod
    def read(self, at: int, length: int) -> bytes:
        """Return `length` bytes from `at` on, fewer at the end."""

    def pieces(self, length: int) -> Iterator[bytes]:
        """Yield all bytes, `length` at a time; one empty piece for an empty file."""
        for at in range(0, max(self.size, 1), length):
            yield self.read(at, min(length, self.size - at))

    @property
    def head(self) -> bytes:
        return self.read(0, min(EDGE, self.size))

    @property
    def tail(self) -> bytes:
        return self.read(max(0, self.size - EDGE), min(EDGE, self.size))


class InMemory(Content):
    """Bytes in memory."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data), hashlib.sha256(data).hexdigest())
        self._data = data

    def read(self, at: int, length: int) -> bytes:
        whole = at == 0 and length == self.size
        return self._data if whole else self._data[at : at + length]


class ObjectContent(Content):
    """Bytes in the object store, at `place`; sealed there with `key`, in clear without one."""

    __slots__ = ("_content", "key", "place")

    def __init__(self, content: Content, place: str, key: bytes | None = None) -> None:
        super().__init__(content.size, content.sha256)
        self._content = content
        self.place = place
        self.key = key

    def read(self, at: int, length: int) -> bytes:
        return self._content.read(at, length)


__all__ = ["EDGE", "Content", "InMemory", "ObjectContent"]
