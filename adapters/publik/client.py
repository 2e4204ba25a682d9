"""Calls to a w.c.s.: each is signed and bounded.

An answer counts by its status and its `err_code`, never by its texts, which w.c.s. translates.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from adapters.publik.options import PublikOptions
from gateway.sdk import (
    Answer,
    Context,
    FilePlaceholders,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    UnusableAnswer,
    answered,
    beside,
    failure_of,
    secrets_in,
    send,
    texts_in,
    unusable,
    weight,
)
from gateway.sdk.publik.formdata_state import LIGHT, WITH_HISTORY, FormdataState, hook_action
from gateway.sdk.publik.signature import sign_url

#: The `err_desc` of w.c.s. for an API access without the right to create.
NO_SUBMISSION = frozenset(
    {"no-backoffice-submission-role", "user-not-allowed-backoffice-submission"}
)


class WcsClient:
    """One form of one w.c.s. A call returns the JSON of a success, or the outcome in its place."""

    def __init__(self, options: PublikOptions, context: Context) -> None:
        self._options = options
        self._context = context
        self._form = f"/api/forms/{quote(options.form, safe='')}"

    async def schema(self) -> Any:
        """Fetch the form's definition; `Misconfigured("unknown_form")` when w.c.s. has none."""
        return await self._get(self._formdef("schema"), {}, Misconfigured("unknown_form"))

    async def rows(self, query: Mapping[str, str]) -> list[Any] | Outcome:
        """Fetch rows of the form's list, in the order of their ids."""
        asked = {"filter": "all", "order_by": "id", "include-workflow-data": "off", **query}
        missing = Misconfigured("unknown_form")
        told = await self._get(f"{self._form}/list", asked, missing, shape=list)
        return told if isinstance(told, list | Outcome) else []

    async def formdata(self, number: str, query: Mapping[str, str]) -> Any:
        """Fetch one request. `Refused("unknown_reference")` when w.c.s. has none of this number."""
        return await self._get(self._one(number), query, Refused("unknown_reference"))

    async def state(self, number: str, *, history: bool = False) -> FormdataState | Outcome:
        """Return the actions that our account may call on a request, its backoffice fields, and on
        demand the texts of its history."""
        told = await self.formdata(number, WITH_HISTORY if history else LIGHT)
        return told if isinstance(told, Outcome) else FormdataState.read(told)

    async def submit(self, body: Mapping[str, Any], files: FilePlaceholders) -> Any:
        """Create a request; not safe."""
        answer = await self._send("POST", self._formdef("submit"), body=body, files=files)
        if not isinstance(answer, Answer):
            return answer
        told = await self._read(answer, safe=False, sent=body)
        if answer.status == 404:
            return Misconfigured("unknown_form", "HTTP 404", told.answer)
        code = answer.value.get("err_code") if isinstance(answer.value, dict) else None
        if answer.status == 403 and code in NO_SUBMISSION:
            return Misconfigured("no_submission_role", str(code), told.answer)
        return told

    async def hook(
        self,
        number: str,
        name: str,
        body: Mapping[str, Any],
        files: FilePlaceholders,
        *,
        safe: bool = False,
    ) -> Outcome | None:
        """Run a global action of a request; None once it ran.

        `TryLater("actions_running")`: w.c.s. runs others of this request. `Misconfigured`:
        `no_such_hook`, `hook_forbidden`. `Refused("unknown_reference")`.
        """
        path = f"{self._one(number)}hooks/{quote(name, safe='')}/"
        answer = await self._send("POST", path, body=body, files=files, safe=safe)
        if not isinstance(answer, Answer):
            return answer
        told = await self._read(answer, safe=safe, sent=body)
        if answer.status not in (403, 404):
            return told if isinstance(told, Outcome) else None
        state = await self.state(number)
        if not isinstance(state, FormdataState):
            return state
        if answer.status == 404:
            return Misconfigured("no_such_hook", f"HTTP 404 on {name}", told.answer)
        if hook_action(name) in state.actions:
            return TryLater("actions_running", "HTTP 403 of an action that may be called")
        return Misconfigured("hook_forbidden", f"HTTP 403 on {name}", told.answer)

    def _formdef(self, what: str) -> str:
        return f"/api/formdefs/{quote(self._options.form, safe='')}/{what}"

    def _one(self, number: str) -> str:
        return f"{self._form}/{quote(number, safe='')}/"

    async def _get(
        self,
        path: str,
        query: Mapping[str, str],
        missing: Misconfigured | Refused,
        shape: type = dict,
    ) -> Any:
        answer = await self._send("GET", path, query=query, safe=True)
        if not isinstance(answer, Answer):
            return answer
        told = await self._read(answer, safe=True, shape=shape)
        if answer.status == 404:
            return type(missing)(missing.reason, "HTTP 404", told.answer)
        return told

    async def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        files: FilePlaceholders | None = None,
        safe: bool = False,
    ) -> Answer | Outcome:
        client = self._context.client
        url = f"{self._options.endpoint}{path}" + (f"?{urlencode(query)}" if query else "")
        content = None
        if body is not None:
            content = await beside(weight(body), lambda: json.dumps(_clean(body)).encode())

        def build() -> httpx.Request:
            headers = {"Accept": "application/json"}
            if content is not None:
                headers["Content-Type"] = "application/json"
            target = self._proven(url, headers)
            request = client.build_request(method, target, content=content, headers=headers)
            return request if files is None else files.filled(request)

        return await send(client, build, safe=safe, limit=self._options.max_answer)

    def _proven(self, url: str, headers: dict[str, str]) -> str:
        """Return the signed address; with a password, put that into the headers instead."""
        options, key = self._options, self._options.key.get_secret_value()
        if options.auth == "basic":
            pair = base64.b64encode(f"{options.identifier}:{key}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
            return url
        written = str(httpx.URL(url))  # sign the address as httpx writes it
        now, nonce = self._context.now(), secrets.token_hex(16)
        return sign_url(written, key, orig=options.identifier, now=now, nonce=nonce)

    async def _read(
        self,
        answer: Answer,
        *,
        safe: bool,
        sent: Mapping[str, Any] | None = None,
        shape: type = dict,
    ) -> Any:
        """Return the JSON of a success, else the outcome with w.c.s.'s answer."""
        outcome = failure_of(answer, safe=safe)
        value = answer.value
        if outcome is None and (
            not isinstance(value, shape) or (isinstance(value, dict) and value.get("err"))
        ):
            outcome = unusable(UnusableAnswer("unreadable_answer", "not what was asked"), safe=safe)
        if outcome is None:
            return value
        told = partial(self._answered, outcome, answer, sent or {})
        return await beside(answer.size + weight(sent or {}), told)

    def _answered(self, outcome: Outcome, answer: Answer, sent: Mapping[str, Any]) -> Outcome:
        """Return the outcome with w.c.s.'s answer; our secrets and our own words are masked."""
        words = [*secrets_in(self._options), *texts_in(sent)]
        return answered(outcome, answer.response, answer.content, words)


def _clean(value: Any) -> Any:
    """Return a value without NUL and lone surrogates, on which w.c.s. fails with HTTP 500."""
    if isinstance(value, Mapping):
        return {key: _clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    return value


__all__ = ["WcsClient"]
