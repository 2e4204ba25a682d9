"""Chaos seed 79: a citizen's file was dropped because we did not know the ticket's number.

The GRU can be asked nothing, and the reply to the creation was lost. A person looked and said that
the GRU has the request, which tells us no number. The file that was to follow could not even be
addressed; that was taken for the GRU's refusal of the file, which was discarded, and the citizen
was told that the commune treats the request without it.
"""

from __future__ import annotations

from gateway.core.delivery import Kind, State
from gateway.sim.faults import FaultCondition
from gateway.store.outbox import operator
from tests.flow.conftest import Builder
from tests.flow.rig import DOCUMENT_AFTER, request_id

PHOTO = {
    "filename": "photo.png",
    "content_type": "image/png",
    "content": "iVBORw0KGgppbWFnZSBpbnZlbnRlZQ==",
    "content_is_base64": True,
}


async def test_a_file_that_cannot_be_addressed_waits_for_a_person(build_rig: Builder) -> None:
    rig = build_rig(
        options={
            "find": None,
            "files": {"mode": "after"},
            "amend": {"document": DOCUMENT_AFTER, "message": {"find": None}},
        }
    )
    rig.gru.faults.cut_after(FaultCondition(method="POST", path="/api/tickets", first=1))
    async with rig.gateway() as engine:
        await engine.changes.poll(rig.gru_config)
        item = rig.submit()
        item.fields["photo"] = PHOTO
        request = request_id(await rig.push(item))
        await rig.state(request, State.UNSURE)
        rig.advance(30)  # a lost answer is asked about once the GRU must be through with the call
        question = await rig.state(request, State.QUESTION)
        await rig.database.write(operator.resolve, question.id, True, rig.clock())
        engine.lanes.wake(question.lane)
        parked = await rig.state(request, State.PARKED, Kind.AMEND)
        assert parked.reason == "unrenderable"
        await engine.changes.poll(rig.gru_config)  # the list of tickets tells the number
        await rig.database.write(operator.replay, parked.id, rig.clock())
        engine.lanes.wake(parked.lane)
        await rig.state(request, State.DONE, Kind.AMEND)
    assert len(rig.ticket(request).documents) == 1
