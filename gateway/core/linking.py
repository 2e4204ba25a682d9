"""Linked accounts: a citizen's account at GLC, and the one at a commune's own portal.

A commune knows the citizen by an identifier made for it alone, so two communes cannot find out that
they know the same person. It and all hashes by which links are looked up come from one key.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gateway.core.account import normal_account
from gateway.core.request import Json

#: Bytes of the key, at least.
SHORTEST_KEY = 32


@dataclass(frozen=True, slots=True)
class AccountLink:
    """One link.

    `identity` is the citizen as this commune knows them, `account` the commune's own name of the
    account at its portal. `acr` is the level at which the citizen was authenticated when linking,
    and `claims` are those that the commune is given, both to the letter as the provider told them.
    """

    commune: str
    identity: str
    account: str
    linked_at: datetime
    acr: str | None = None
    claims: Mapping[str, Json] = field(default_factory=dict)

    def document(self) -> dict[str, Json]:
        """Return the value that mapping expressions read as `link`."""
        return {
            "account": self.account,
            "identity": self.identity,
            "acr": self.acr,
            "claims": dict(self.claims),
            "linked_at": self.linked_at.isoformat().replace("+00:00", "Z"),
        }


class LinkHasher:
    """Derives identifiers and hashes from the key of all links."""

    def __init__(self, key: bytes) -> None:
        """`key` has at least `SHORTEST_KEY` bytes, and may never change."""
        self._keys = {
            use: hmac.digest(key, b"link " + use.encode(), "sha256")
            for use in ("identity", "account", "portal", "session", "cookie", "form", "sealed")
        }

    def identity(self, commune: str, issuer: str, subject: str) -> str:
        """Return the citizen's identifier for this commune alone: 43 characters, URL-safe."""
        made = self._digest("identity", commune, issuer, subject)
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode("ascii")

    def of_account(self, commune: str, account: str) -> str:
        """Return the hash by which a link of a GLC account is found."""
        return self._digest("account", commune, normal_account(account)).hex()

    def of_portal(self, commune: str, account: str) -> str:
        """Return the hash by which the links of a portal's account are found."""
        return self._digest("portal", commune, account).hex()

    def of_session(self, kind: str, value: str) -> str:
        """Return the hash by which an open session is found: by its token, `sub`, `sid` or
        account."""
        return self._digest("session", kind, value).hex()

    def form_token(self, session: str) -> str:
        """Return the token that a form of this session bears against calls from other sites."""
        return self._digest("form", session).hex()

    @property
    def cookie_key(self) -> bytes:
        """The key of sealed cookies."""
        return self._keys["cookie"]

    @property
    def sealing_key(self) -> bytes:
        """The key of what the database holds of links."""
        return self._keys["sealed"]

    def _digest(self, use: str, *parts: str) -> bytes:
        # Each part with its length: two lists of parts never read alike.
        told = b"".join(len(raw).to_bytes(4, "big") + raw for raw in map(str.encode, parts))
        return hmac.digest(self._keys[use], told, "sha256")


__all__ = ["SHORTEST_KEY", "AccountLink", "LinkHasher"]
