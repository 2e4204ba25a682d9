"""What the portal's HTTP answers mean: the codes and texts of w.c.s., turned into outcomes."""

from __future__ import annotations

from dataclasses import dataclass

import httpx
import orjson

from gateway.core.content import Content
from gateway.core.outcome import Accepted, Misconfigured, Outcome, Refused, TryLater, Unsure
from gateway.core.request import Json
from gateway.sdk.http import classify_status
from gateway.wire.spool import Body


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer read to its end, or to the bound that was set for it.

    `kept`: where its body was taken in otherwise than as bytes.
    """

    response: httpx.Response
    body: bytes
    kept: Body | Content | None = None

    def json(self) -> Json:
        """The parsed body, None when it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    def told(self, name: str) -> str:
        """A text of w.c.s.'s error answer, lower-cased; empty when there is none."""
        answer = self.json()
        value = answer.get(name) if isinstance(answer, dict) else None
        return value.lower() if isinstance(value, str) else ""


def written(answer: Answer) -> Outcome:
    """What a POST came to, its 404 apart."""
    if answer.response.status_code == 403:
        description = answer.told("err_desc")
        if answer.told("err_code") == "access-denied" and "processing" in description:
            return TryLater("processing", "the formdata is being processed")
        if "nonce" in description:
            # Somebody between us sent the same call twice: the first one may have been taken.
            return Unsure("nonce_used", "the portal has seen this very call before")
    failure = classify_status(answer.response, safe=False)
    if isinstance(failure, Misconfigured):
        return denied(answer) or failure
    if failure is not None:
        return failure
    value = answer.json()
    if not isinstance(value, dict) or "err" not in value:
        # A page put up by something before the portal, perhaps: not the portal's word.
        return Unsure("unreadable_answer", "success without the portal's own answer")
    if is_error(value):
        return Refused("application_error", "the portal answered with an error")
    return Accepted()


def denied(answer: Answer) -> Misconfigured | None:
    """A 401 or 403 with the part of w.c.s.'s own reason that an operator can act upon."""
    if answer.response.status_code not in (401, 403):
        return None
    description = answer.told("err_desc")
    for mark, cause in (
        ("timestamp", "the clocks differ by more than 30 seconds"),
        ("signature", "the key is not the portal's"),
        ("orig", "the portal does not know this orig"),
        ("role", "the account lacks a role"),
    ):
        if mark in description:
            return Misconfigured("access_denied", f"HTTP {answer.response.status_code}: {cause}")
    return None


def is_error(value: Json) -> bool:
    """Does this answer carry an application error (a truthy `err`, number or text)?"""
    return isinstance(value, dict) and value.get("err") not in (None, 0, "", "0", False)


def holds_event(value: Json, event_id: str) -> bool:
    """Is there an object with `evenement` equal to `event_id` anywhere inside?"""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            if item.get("evenement") == event_id:
                return True
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return False
