"""Standard Webhooks 1.0, `v1`: the signature of pushed messages in the pivot contract.

The signed text is `id.timestamp.body`, under HMAC-SHA256. A header may have several signatures, one
for each valid secret, so that a secret is replaced without a refused message.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
PREFIX = "whsec_"
#: A message is refused whose timestamp is further away than this, in seconds.
TOLERANCE = 300
#: Bytes of a secret, as the specification has them.
SHORTEST, LONGEST = 24, 64
#: So many signatures of one header are looked at.
_SIGNATURES = 8


def secret_bytes(secret: str) -> bytes:
    """Return the key of a secret. Raises ValueError.

    A secret is `whsec_` and Base64, as the usual libraries take it, or any other text of 24
    characters or more, whose bytes are the key.
    """
    key = secret.encode()
    if secret.startswith(PREFIX):
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        if len(key) > LONGEST:
            raise ValueError("not a key of 64 bytes or fewer")
    if len(key) < SHORTEST:
        raise ValueError("not a key of 24 bytes or more")
    return key


def signed_headers(
    secrets: Sequence[str], message_id: str, at: datetime, body: bytes
) -> dict[str, str]:
    """Return the three headers of a message that is sent `at`, with one signature for each
    secret."""
    stamp = str(int(at.timestamp()))
    signatures = (f"v1,{_signature(secret, message_id, stamp, body)}" for secret in secrets)
    return {ID: message_id, TIMESTAMP: stamp, SIGNATURE: " ".join(signatures)}


def is_signed(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: datetime
) -> bool:
    """Does one of these secrets prove the message? Names in `headers` are in lower case."""
    message_id, stamp = headers.get(ID, ""), headers.get(TIMESTAMP, "")
    if not message_id or not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        return False
    if abs(now.timestamp() - int(stamp)) > TOLERANCE:
        return False
    told = [one.encode() for one in headers.get(SIGNATURE, "").split()[:_SIGNATURES]]
    proven = False
    for secret in secrets:
        wanted = f"v1,{_signature(secret, message_id, stamp, body)}".encode()
        for one in told:
            proven = hmac.compare_digest(one, wanted) or proven
    return proven


def _signature(secret: str, message_id: str, stamp: str, body: bytes) -> str:
    text = f"{message_id}.{stamp}.".encode() + body
    return base64.b64encode(hmac.digest(secret_bytes(secret), text, "sha256")).decode()
