"""The part of health that is the key service of the master keys."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from gateway.flow.masters import MasterKeeper
from gateway.ops.shapes import Overall, VaultPart

#: So long before its end a token is told that nobody renews.
TOKEN_WARNING: Final = timedelta(days=7)


def vault_part(keeper: MasterKeeper | None, now: datetime) -> VaultPart | None:
    """Return None where no master key lies in a key service."""
    if keeper is None or not keeper.sealing.remote:
        return None
    failure, token = keeper.state.failure, keeper.state.token
    ends = None if token is None or token.lasting else token.ends
    if failure is not None:
        told, since = str(failure), keeper.state.failing_since
        return VaultPart(Overall.DEGRADED, told, failure.fault.value, since, ends)
    if ends is not None and ends <= now + TOKEN_WARNING:
        told = "our token ends, and nobody renews it: give another one, then `secrets reload`"
        return VaultPart(Overall.DEGRADED, told, None, None, ends)
    return VaultPart(Overall.OK, "", None, None, ends)
