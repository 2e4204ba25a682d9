"""Verifies the sender of a GRU's call, as `Verify` describes it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import datetime, timedelta

from adapters.rest.answers import Verify
from adapters.rest.signing import hmac_of, written
from adapters.rest.sources import comes_from
from gateway.sdk import WebhookCall


def proven_by_head(rules: Verify, head: WebhookCall) -> bool | None:
    """Does the call prove its sender without its body? None where the body is signed too."""
    if rules.sources and not comes_from(rules.sources, head):
        return False
    if not rules.kind.startswith("hmac-"):
        return _proven(rules, head)
    given = header(head, rules.header or "")
    return None if given is not None and given.startswith(rules.prefix) else False


def proven(rules: Verify, hook: WebhookCall, now: datetime) -> bool:
    """Does the call prove its sender, and is it recent enough?"""
    if rules.sources and not comes_from(rules.sources, hook):
        return False
    return _proven(rules, hook) and _is_recent(rules, hook, now)


def header(hook: WebhookCall, name: str) -> str | None:
    return next((v for k, v in hook.headers.items() if k.lower() == name.lower()), None)


def _is_recent(rules: Verify, hook: WebhookCall, now: datetime) -> bool:
    if rules.max_age is None:
        return True
    told = (header(hook, rules.timestamp or "") or "").strip()
    if not (told.isascii() and told.isdigit() and len(told) < 15):
        return False
    seconds = int(told) / 1000 if len(told) > 11 else int(told)
    return abs(now.timestamp() - seconds) <= rules.max_age + _AHEAD.total_seconds()


#: Clocks differ by so much.
_AHEAD = timedelta(seconds=30)


def _proven(rules: Verify, hook: WebhookCall) -> bool:
    # Each is compared, so that the time it takes does not tell which one it was.
    shown = [_proven_by(one.encode(), rules, hook) for one in rules.secrets]
    return any(shown)


def _proven_by(secret: bytes, rules: Verify, hook: WebhookCall) -> bool:
    if rules.kind == "query":
        return _same(hook.query.get(rules.name or "", ""), secret)
    if rules.kind == "basic":
        scheme, _, pair = (header(hook, "authorization") or "").partition(" ")
        try:
            shown = base64.b64decode(pair.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        wanted = f"{rules.username}:".encode() + secret
        return scheme.lower() == "basic" and hmac.compare_digest(shown, wanted)
    given = header(hook, rules.header or "")
    if given is None or not given.startswith(rules.prefix):
        return False
    shown_text = given[len(rules.prefix) :].strip()
    if rules.kind == "token":
        return _same(shown_text, secret)
    digest = hmac_of(rules.kind, secret, rules.over.filled(_values(rules, hook)))
    if rules.encoding == "hex":
        shown_text = shown_text.lower()
    return _same(shown_text, written(digest, rules.encoding).encode())


def _values(rules: Verify, hook: WebhookCall) -> dict[str, bytes]:
    stamp = header(hook, rules.timestamp) if rules.timestamp is not None else None
    return {
        "body": hook.body,
        "body_sha256": hashlib.sha256(hook.body).hexdigest().encode(),
        "timestamp": (stamp or "").strip().encode("utf-8", "replace"),
        "method": hook.method.encode("utf-8", "replace"),
    }


def _same(shown: str, wanted: bytes) -> bool:
    return hmac.compare_digest(shown.encode("utf-8", "replace"), wanted)


__all__ = ["header", "proven", "proven_by_head"]
