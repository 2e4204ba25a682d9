"""Links to a citizen's files: for whoever at the commune holds one, until it ends.

A link proves itself: whom it was given to, the request, the file and its end, signed by a secret of
the commune's file. Nothing of it is kept, and taking the secret out of the file ends its links.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from gateway.sdk.adapter import File

#: Compared in place of the secret of nobody, so that both take the same time.
_NOBODY: Final = ("personne-n-a-ce-secret-la",)


@dataclass(frozen=True, slots=True)
class FileLink:
    """A link, and its end (UTC)."""

    url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class FileLinks:
    """The links that one commune's GRU is given. `client`: its name, `69029.main`. `secrets` sign
    them, the new one first; `public_url` is our own address; a link is good for `seconds`."""

    client: str
    secrets: Sequence[str] = field(repr=False)
    public_url: str
    seconds: float

    def link(self, reference: str, file: File, now: datetime) -> FileLink:
        """Return a link to a file of the request, good from `now` on."""
        until = int((now + timedelta(seconds=self.seconds)).timestamp())
        signature = link_signature(self.secrets[0], self.client, reference, file.sha256, until)
        query = {"client": self.client, "expires": str(until), "signature": signature}
        base = self.public_url.rstrip("/")
        url = f"{base}/pivot/v1/requests/{reference}/files/{file.sha256}?{urlencode(query)}"
        return FileLink(url, datetime.fromtimestamp(until, UTC))


def link_signature(secret: str, client: str, reference: str, sha256: str, until: int) -> str:
    """Return what proves a link to a file: only who knows the secret makes one."""
    said = f"pivot file\0{client}\0{reference}\0{sha256}\0{until}".encode()
    return hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()


def link_signatures(
    links: FileLinks | None, client: str, reference: str, sha256: str, until: int
) -> Sequence[str]:
    """Return the signatures by which a link may prove itself; of None, one that nobody makes."""
    secrets = _NOBODY if links is None else links.secrets
    return [link_signature(one, client, reference, sha256, until) for one in secrets]


__all__ = ["FileLink", "FileLinks", "link_signature", "link_signatures"]
