"""Judges the answer to a webservice call, as w.c.s. was seen to do."""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.core.request import Json

#: Seconds that w.c.s. waits for the whole answer.
TIMEOUT = 28.2


class AnswerClass(StrEnum):
    OK = "ok"
    APPLICATION_ERROR = "application_error"
    BAD_DATA = "bad_data"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    NETWORK_ERROR = "network_error"
    #: Neither 2xx nor an error with a branch: the workflow goes on.
    OTHER = "other"


#: The answers that stop a workflow which keeps the default settings.
STOPS = frozenset({AnswerClass.HTTP_4XX, AnswerClass.HTTP_5XX, AnswerClass.NETWORK_ERROR})


@dataclass(frozen=True, slots=True)
class CallVerdict:
    """The verdict on a call. `status` is None when no answer came; `app_error` is 0 after a
    success.

    `header` is the answer's X-Error-Code. `failure` says in w.c.s.'s words why no answer came.
    """

    judgement: AnswerClass
    status: int | None = None
    app_error: int | str = 0
    body: Json = None
    header: str | None = None
    failure: str = ""

    @property
    def goes_on(self) -> bool:
        """Does the workflow continue under w.c.s.'s default settings, as after a success?"""
        return self.judgement not in STOPS


def _number(value: Any) -> int | str:
    try:
        return int(value)
    except (TypeError, ValueError):
        return str(value)


def judge(status: int, headers: Mapping[str, str], content: bytes) -> CallVerdict:
    """Judge an answer. Header names are in lower case (or the mapping ignores case)."""
    try:
        body: Json = json.loads(content)
        parsed = True
    except ValueError:
        body, parsed = None, False
    app_error: int | str = 0
    header = headers.get("x-error-code")
    if header is not None:
        app_error = _number(header)
    elif isinstance(body, dict) and body.get("err"):
        app_error = _number(body["err"])

    # The application's word comes before the status: a 503 with `err` is its refusal.
    if app_error != 0:
        kind = AnswerClass.APPLICATION_ERROR
    elif 400 <= status < 500:
        kind = AnswerClass.HTTP_4XX
    elif status >= 500:
        kind = AnswerClass.HTTP_5XX
    elif not 200 <= status < 300:
        kind = AnswerClass.OTHER
    elif status in (204, 205) or parsed:
        kind = AnswerClass.OK
    else:
        kind = AnswerClass.BAD_DATA
    return CallVerdict(kind, status, app_error, body, header)


def stored(name: str, verdict: CallVerdict, local_time: str) -> dict[str, Json]:
    """Return the values that w.c.s. writes into the workflow's data for a call with the variable
    `name`.

    Values of an earlier try under other names stay.
    """
    data: dict[str, Json] = {f"{name}_time": local_time}
    if verdict.status is None:
        return data | {f"{name}_connection_error": verdict.failure}
    data[f"{name}_status"] = verdict.status
    data[f"{name}_app_error_code"] = verdict.app_error
    if verdict.header:
        data[f"{name}_app_error_header"] = verdict.header
    if verdict.judgement is AnswerClass.OK and verdict.status not in (204, 205):
        data[f"{name}_response"] = verdict.body
    elif verdict.judgement is not AnswerClass.OK and verdict.body is not None:
        data[f"{name}_error_response"] = verdict.body
    return data


def adopted_number(verdict: CallVerdict) -> str | None:
    """Return the displayed number that w.c.s. adopts from our answer to a POST, or None."""
    if verdict.judgement is not AnswerClass.OK or not isinstance(verdict.body, dict):
        return None
    data = verdict.body.get("data")
    number = data.get("display_id") if isinstance(data, dict) else None
    number = number or verdict.body.get("display_id")
    return str(number) if number else None


#: The errors of a call by httpx. Its transport asks a socket for its address: when the far end has
#: just closed it, uvloop gives None, and that ends as an AttributeError.
CALL_FAILURES = (httpx.HTTPError, httpx.InvalidURL, AttributeError)


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


async def post(
    url: str, headers: Mapping[str, str], body: Json, client: httpx.AsyncClient | None
) -> CallVerdict:
    """Make the call once, within `TIMEOUT`, and judge the answer. Never raises for the network."""
    try:
        async with asyncio.timeout(TIMEOUT):
            if client is not None:
                answer = await client.post(url, headers=headers, json=body, timeout=TIMEOUT)
            else:
                async with httpx.AsyncClient(verify=_tls(), timeout=TIMEOUT) as own:
                    answer = await own.post(url, headers=headers, json=body)
    except (TimeoutError, httpx.TimeoutException):
        told = "connection timed out while fetching the page"
        return CallVerdict(AnswerClass.NETWORK_ERROR, failure=told)
    except CALL_FAILURES as error:
        told = f"error in HTTP request to {urlsplit(url).hostname} ({type(error).__name__})"
        return CallVerdict(AnswerClass.NETWORK_ERROR, failure=told)
    return judge(answer.status_code, answer.headers, answer.content)
