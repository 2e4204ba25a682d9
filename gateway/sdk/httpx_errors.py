"""All exceptions that a call through httpx can raise, for tests that must cover each one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx


def _subclasses(kind: type[httpx.HTTPError]) -> Iterator[type[httpx.HTTPError]]:
    for sub in kind.__subclasses__():
        if sub.__module__.startswith("httpx"):
            yield sub
            yield from _subclasses(sub)


#: Every exception that a client of httpx raises for a call, found by looking.
HTTPX_ERRORS: tuple[type[Exception], ...] = (
    *sorted(set(_subclasses(httpx.RequestError)), key=lambda kind: kind.__name__),
    httpx.InvalidURL,
)


def raising(kind: type[BaseException]) -> Callable[[httpx.Request], httpx.Response]:
    """Return a respx side effect that raises `kind` as httpx does."""

    def effect(request: httpx.Request) -> httpx.Response:
        if issubclass(kind, httpx.RequestError):
            raise kind("made by the conformance suite", request=request)
        raise kind("made by the conformance suite")

    return effect


__all__ = ["HTTPX_ERRORS", "raising"]
