"""Logs: one structlog configuration for the daemon, with personal and secret values masked.

Events have constant names and carry ids. Warnings and errors that libraries log through the
standard library have the same form, without their values.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging  # noqa: TID251 - the one place where others' standard logging is taken in
import re
import sys
import traceback
import weakref
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import Any

import orjson
import structlog

MASK = "[masked]"
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
#: A key that contains one of these words, as `caller_name` does, is masked.
_WORDS = frozenset(
    {"name", "email", "mail", "phone", "nom", "prenom", "courriel", "telephone", "address"}
    | {"adresse", "authorization", "signature", "key", "password", "secret", "token", "body"}
    | {"payload", "fields", "user", "message", "query", "filename", "content", "cookie"}
)
# Searched once, from a word's beginning: from each letter would take quadratic time.
_EMAIL = re.compile(r"(?<![^\s@<>\"',;:])[^\s@<>\"',;:]++@[^\s@<>\"',;:]+\.[^\s@<>\"',;:]+")
_QUERY = re.compile(r"(https?://[^\s?\"']*)\?[^\s\"']*")
_FRAMES = 12


def configure(format: str = "auto", level: str = "info") -> None:
    """Configure logging to the standard error.

    `format` is `json`, `console` (coloured) or `auto` (console on a terminal). `level` is debug,
    info, warning or error.
    """
    console = format == "console" or (format == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer(serializer=_json)
    )
    factory: Any = (
        structlog.PrintLoggerFactory(sys.stderr)
        if console
        else structlog.BytesLoggerFactory(sys.stderr.buffer)  # one write per line
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            without_values,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=factory,
        # A cached logger would go on writing where the first set-up pointed.
        cache_logger_on_first_use=False,
    )
    _take_in_libraries()


#: Seconds between two lines of one kind that anybody can cause.
MINUTE = 60.0
#: Kinds told apart.
_KINDS = 1_000
_more: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], int]] = (
    weakref.WeakKeyDictionary()
)


def sparingly(
    tell: Callable[..., Any], event: str, also: Mapping[str, Any] | None = None, **kind: Any
) -> None:
    """Log an event that anybody can cause.

    The first event of its `kind` is logged at once, then one line a minute with the number of
    `more`. `tell` is a method of a logger; `also` goes with the first line only. Metrics count each
    event. Needs the running loop.
    """
    more = _more.setdefault(asyncio.get_running_loop(), {})
    key = (event, *sorted(kind.items()))
    if key not in more and len(more) >= _KINDS:
        key, kind, also = (event,), {}, None
    if key in more:
        more[key] += 1
        return
    tell(event, **kind, **(also or {}))
    _count(more, key, tell, kind)


def _count(
    more: dict[tuple[Any, ...], int],
    key: tuple[Any, ...],
    tell: Callable[..., Any],
    kind: Mapping[str, Any],
) -> None:
    def over() -> None:
        count = more.pop(key)
        if count:
            tell(key[0], **kind, more=count)
            _count(more, key, tell, kind)

    more[key] = 0
    # Outside the first one's context: its correlation is not that of the others.
    asyncio.get_running_loop().call_later(MINUTE, over, context=contextvars.Context())


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask values whose key has a sensitive word, and every text that looks like an e-mail address
    or a signed URL."""
    return {
        key: value if key in ("event", "timestamp", "level") else _masked(key, value)
        for key, value in event.items()
    }


def without_values(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Return the type of an exception and the places where it was raised. Its text is left out,
    since it may repeat a citizen's words."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["error"] = type(error).__name__
        event["at"] = [f"{frame.filename}:{frame.lineno}" for frame in frames]
    return event


@lru_cache(maxsize=1024)
def _telling(key: str) -> bool:
    """Is this the key of something personal or secret?"""
    return not _WORDS.isdisjoint(re.split(r"[^a-z0-9]+", key.casefold()))


def _masked(key: str, value: Any) -> Any:
    if _telling(key):
        return MASK
    if isinstance(value, str):
        if "@" in value:
            value = _EMAIL.sub(MASK, value)
        return _QUERY.sub(r"\1?" + MASK, value) if "?" in value else value
    if isinstance(value, Mapping):
        return {str(k): _masked(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", item) for item in value]
    return value


def _json(value: Any, **_options: Any) -> bytes:
    return orjson.dumps(value, default=_named, option=orjson.OPT_NON_STR_KEYS)


def _named(value: Any) -> str:
    # An unknown object's text may hold anything.
    return f"<{type(value).__name__}>"


class _Bridge(logging.Handler):
    """Turns a library's log record into an event: its template only, without the values."""

    def emit(self, record: logging.LogRecord) -> None:
        lines = str(record.msg).splitlines() or [""]
        told: dict[str, Any] = {"library": record.name, "text": lines[0][:200]}
        log = structlog.get_logger()
        if record.levelno < logging.ERROR and record.name == "uvicorn.error" and _on_a_loop():
            sparingly(log.warning, "library.logged", **told)  # strangers may cause it
            return
        if record.exc_info:
            told["exc_info"] = record.exc_info[1]
        tell = log.error if record.levelno >= logging.ERROR else log.warning
        tell("library.logged", **told)


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _take_in_libraries() -> None:
    root = logging.getLogger()
    root.handlers[:] = [h for h in root.handlers if not isinstance(h, _Bridge)] + [_Bridge()]
    root.setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "apscheduler", "aiohttp", "alembic"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)


__all__ = ["MASK", "configure", "redact", "sparingly", "without_values"]
