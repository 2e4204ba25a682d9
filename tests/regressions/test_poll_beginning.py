"""Chaos seed 10: what an agent wrote was never told, as the poll forgot where it had begun.

A list poll that had brought nothing yet kept no beginning. The citizen then cancelled, so that no
request was tracked any more, and each poll began at its own time: whatever was older than the
overlap when the next one came was never read.
"""

from __future__ import annotations

from gateway.core.delivery import State
from tests.flow.rig import Rig


async def test_a_poll_goes_on_from_where_the_first_one_began(rig: Rig) -> None:
    async with rig.gateway() as engine:
        assert await engine.changes.poll(rig.gru_config) == 0
        item, request = await rig.send()
        await rig.state(request, State.DONE)
        await rig.push(item, action="annulation", evenement="a1", message="Merci, c'est fait.")
        await rig.rest(request)
        rig.advance(60)
        rig.gru.advance(rig.ticket(request).id, note="Nous sommes passés mardi.")
        rig.advance(600)
        await engine.changes.poll(rig.gru_config)
        await rig.rest(request)
    assert "Nous sommes passés mardi." in [one["message"] for one in rig.told(item)]
