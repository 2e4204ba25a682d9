"""Somebody else's answer, made safe to look at: bounded, parsed if it can be, never raising."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from adapters.rest.answers import ErrorRule, Moment
from adapters.rest.expression import Json
from gateway.sdk import (
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unreadable,
    Unsure,
    read_bounded,
    read_json,
    read_moment,
    retry_after,
)

#: So much of an answer is kept as it came, in bytes, to tell an operator what it says.
_BEGINNING = 16_000
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}|[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `readable`: its body is JSON, or it has none. `empty`: it has none.

    `content`: the bytes of a file that was asked for, which are not looked into; of any other
    answer, its beginning.
    """

    status: int
    headers: httpx.Headers = field(repr=False)
    body: Json = field(repr=False)
    readable: bool
    empty: bool
    too_large: bool = False
    content: bytes = field(default=b"", repr=False)

    @property
    def response(self) -> httpx.Response:
        """Status and headers, as the table of `gateway.sdk.http` reads them."""
        return httpx.Response(self.status, headers=self.headers)


async def receive(response: httpx.Response, limit: int, *, file: bool = False) -> Answer:
    """Read an answer up to `limit` bytes, as it stands once decompressed; a `file` as bytes."""
    status, headers = response.status_code, _bare(response.headers)
    content = await read_bounded(response, limit)
    if content is None:
        return Answer(status, headers, None, False, False, True)
    if file:
        return Answer(status, headers, None, True, not content, content=content)
    if not content.strip():
        return Answer(status, headers, None, True, True)
    beginning = content[:_BEGINNING]
    try:
        body = read_json(content, response.charset_encoding)
    except Unreadable:
        return Answer(status, headers, None, False, False, content=beginning)
    return Answer(status, headers, body, True, False, content=beginning)


def _bare(headers: httpx.Headers) -> httpx.Headers:
    # The body was decoded and is not kept: these would no longer be true. As bytes: a header may
    # hold what is not ASCII.
    dropped = (b"content-encoding", b"content-length", b"transfer-encoding")
    return httpx.Headers([(k, v) for k, v in headers.raw if k.lower() not in dropped])


def apply_rules(rules: tuple[ErrorRule, ...], answer: Answer) -> Outcome | None:
    """The outcome of the first rule that fits, None when none does."""
    for rule in rules:
        if not _status_fits(rule, answer.status):
            continue
        if rule.when is not None:
            value = rule.when.read(answer.body) if answer.readable else None
            if value is None or value is False or value in ("", [], {}):
                continue
        return _outcome(rule, answer)
    return None


def _status_fits(rule: ErrorRule, status: int) -> bool:
    match rule.status:
        case None:
            return True
        case "4xx":
            return 400 <= status < 500
        case "5xx":
            return status >= 500
        case tuple() as several:
            return status in several
        case one:
            return status == one


def _outcome(rule: ErrorRule, answer: Answer) -> Outcome:
    detail = f"HTTP {answer.status}"
    code = rule.code.read(answer.body) if rule.code and answer.readable else None
    # A code, and not a sentence: that could quote the citizen.
    if isinstance(code, str | int) and _CODE.fullmatch(str(code)):
        detail = f"{detail}, code {code}"
    match rule.outcome:
        case "refused":
            return Refused(rule.reason, detail)
        case "later":
            return TryLater(rule.reason, detail, retry_after(answer.response))
        case "misconfigured":
            return Misconfigured(rule.reason, detail)
        case "unsure":
            return Unsure(rule.reason, detail)


def moment(rule: Moment, item: Json) -> datetime | None:
    """The time that an item says, aware UTC; None where there is none or it cannot be read."""
    return read_moment(rule.value.read(item), rule.format, rule.zone)
