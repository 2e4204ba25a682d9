"""Judges an answer by the rules of the YAML."""

from __future__ import annotations

import re
from datetime import datetime

from adapters.rest.answers import ErrorRule, TimeRule
from adapters.rest.expression import Json
from gateway.sdk import (
    Answer,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
    read_moment,
    retry_after,
)

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}|[0-9]{1,6}")


def apply_rules(rules: tuple[ErrorRule, ...], answer: Answer) -> Outcome | None:
    """Return the outcome of the first rule that fits, or None."""
    for rule in rules:
        if not _status_fits(rule, answer.status):
            continue
        if rule.when is not None:
            value = rule.when.read(answer.value) if answer.readable else None
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
    code = rule.code.read(answer.value) if rule.code and answer.readable else None
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


def time_of(rule: TimeRule, item: Json) -> datetime | None:
    """Return the time in an item, aware UTC. None where there is none or it cannot be read."""
    return read_moment(rule.value.read(item), rule.format, rule.zone)
