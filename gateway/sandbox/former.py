"""An earlier half-connector of the commune: it takes requests before the vendor's does."""

from __future__ import annotations

import time

from gateway.catalogue.catalogue import Gru
from gateway.core.errors import GatewayError
from gateway.flow.engine import Engine
from gateway.sandbox.files import CLIENT_ID
from gateway.sandbox.texts import say
from gateway.sdk.pivot import PivotClient
from gateway.sdk.pivot_models import ClaimResultTold, PivotClaim, PivotEvent

#: Real seconds in which a request becomes free to be claimed.
_PATIENCE = 10.0


def half_connector(engine: Engine) -> tuple[Gru, PivotClient]:
    """Return the commune's entry and its client of the contract."""
    found = engine.pivot.client(CLIENT_ID)
    if found is None:
        raise GatewayError(say("not_filed", status=0))
    return found


async def settle_as_former(engine: Engine, reference: str, number: str) -> None:
    """Settle a request as done under `number`; give the others back, untried."""
    gru, client = half_connector(engine)
    until = time.monotonic() + _PATIENCE
    found = False
    while not found and time.monotonic() < until:
        told = PivotClaim(max=100, lease=60, wait=1)
        taken = await engine.mailbox.claim(gru, client, told)
        settled = []
        for item in taken.items:
            event = item.event
            about = event.request if isinstance(event, PivotEvent) else event
            ours = about.reference == reference
            found = found or ours
            settled.append(
                ClaimResultTold(
                    token=item.token,
                    result="done" if ours else "release",
                    reference=number if ours else None,
                )
            )
        told = PivotClaim(max=0, settled=tuple(settled))
        await engine.mailbox.claim(gru, client, told)
