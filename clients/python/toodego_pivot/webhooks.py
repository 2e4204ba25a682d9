"""Proves what is pushed: Standard Webhooks 1.0, `v1`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

#: Seconds that a message's timestamp may be away from now.
TOLERANCE = 300
_PREFIX = "whsec_"


class Unproven(Exception):
    """A message that nobody proves: answer 401, and take nothing of it."""


def prove(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> str:
    """Return the id of a message that one of the secrets proves. Raises Unproven.

    `headers` have names in lower case; `body` is what arrived, byte for byte, before any reading.
    While a secret is replaced, give both.
    """
    message_id = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if not message_id or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        raise Unproven("webhook-id or webhook-timestamp is missing, or is none")
    if abs((time.time() if now is None else now) - int(stamp)) > TOLERANCE:
        raise Unproven("webhook-timestamp is more than 5 minutes away: see to the clock")
    told = [one.encode() for one in headers.get("webhook-signature", "").split()[:8]]
    said = f"{message_id}.{stamp}.".encode() + body
    proven = False
    for secret in secrets:
        proof = base64.b64encode(hmac.new(_key(secret), said, hashlib.sha256).digest())
        for one in told:
            proven = hmac.compare_digest(one, b"v1," + proof) or proven
    if not proven:
        raise Unproven("no signature fits")
    return message_id


def _key(secret: str) -> bytes:
    """Return the key of a secret: what follows `whsec_`, from Base64; any other is the key itself.
    Raises ValueError for one that is no Base64."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("what follows `whsec_` is not Base64") from None
