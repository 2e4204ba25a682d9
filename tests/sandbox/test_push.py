"""A half-connector that is pushed to, at the sandbox."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.sandbox.cases import PUSH, all_cases
from gateway.sandbox.exchanges import VendorExchange
from tests.sandbox.town import SLUG, Town, open_town

#: The cases whose request is sent at once: how many calls each makes.
CALLS = {
    "plain": 1,
    "duplicate": 2,
    "answer_lost": 2,
    "wrong_signature": 2,
    "old_timestamp": 2,
    "first_secret": 1,
    "second_secret": 1,
    "unknown_event": 2,
    "unknown_field": 1,
    "other_recipient": 2,
}


async def _exchanges(town: Town, case: str, count: int) -> list[VendorExchange]:
    """The exchanges of a case, in their order, once there are so many."""
    async with asyncio.timeout(60):
        while True:
            found = [one for one in town.sandbox.ledger.exchanges if one.case == case]
            if len(found) >= count:
                return found[::-1]
            await asyncio.sleep(0.01)


async def test_a_right_half_connector_passes_every_case(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template, push=True) as town:
        town.sandbox.move(86_400)  # however far its clock is, what comes is signed by true time
        for case, count in CALLS.items():
            answer = await town.provoke(case, teleservice=SLUG)
            assert answer.status_code == 201, answer.text
            for one in await _exchanges(town, case if case != "plain" else "", count):
                if case != "answer_lost":
                    assert (case, one.verdict, one.why) == (case, "well", None)
        await town.provoke("ping")
        pings = await _exchanges(town, "ping", 2)
        assert [(one.status, one.verdict) for one in pings] == [(200, "well"), (401, "well")]
        await town.provoke("out_of_order", teleservice=SLUG)
        await _exchanges(town, "out_of_order", 1)
        async with asyncio.timeout(60):
            while len(await _exchanges(town, "out_of_order", 1)) < 3:
                await town.sandbox.work()
                await asyncio.sleep(0.01)
        assert {one.verdict for one in await _exchanges(town, "out_of_order", 3)} == {"well"}
        # Each was taken once: the requests, and the citizen's message.
        assert len(town.vendor.taken) == len(CALLS) + 2
        assert set(CALLS) | {"ping", "out_of_order"} >= PUSH


async def test_a_wrong_one_is_told_what_it_does_wrong(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template, push=True, wrong=True) as town:
        for case, wrong in (
            ("wrong_signature", 0),
            ("old_timestamp", 0),
            ("other_recipient", 0),
            ("duplicate", 1),
        ):
            await town.provoke(case, teleservice=SLUG)
            found = await _exchanges(town, case, 2)
            assert [one.verdict.value for one in found].index("failed") == wrong, case
            assert found[wrong].why is not None


async def test_the_other_mode_s_cases_are_refused(tmp_path: Path, template: Path) -> None:
    async with open_town(tmp_path, template, push=True) as town:
        answer = await town.provoke("lease_ends")
        assert answer.status_code == 409
        assert "mode" in answer.json()["detail"]
        assert (await town.provoke("no-such-case")).status_code == 404
        assert all(one.mode in (None, "push", "mailbox") for one in all_cases().values())
