"""The simulated identity provider gives the recorded status and shape to each recorded request."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from gateway.sim.glc import Lie, SimulatedGlc
from tests.recorded.recordings import Exchange, exchanges
from tests.recorded.table import SIMULATOR, replayed

TOPIC = "07-authentic"
#: Those that exist in the recording; one of them is deactivated, which is not unknown.
PEOPLE = (
    "b1a7c0de00000000000000000000feed",
    "b1a7c0de00000000000000000000beef",
    "cafe0000000000000000000000000001",
    "cafe0000000000000000000000000002",
    "d0d00000000000000000000000000004",
)
#: Of exchanges that were recorded after a right was taken away.
RIGHTS = {25: Lie.NO_RIGHT, 27: Lie.NARROWED}


def shape(value: Any) -> Any:
    """Return the keys and kinds that a client reads; not those of accounts' profiles."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items() if name != "known_users"}
    if isinstance(value, list):
        return sorted(value) if all(isinstance(one, str) for one in value) else "list"
    return value if isinstance(value, int) else type(value).__name__


REPLAYED = [one for one in exchanges(TOPIC) if one.number in replayed(SIMULATOR, TOPIC)]
CASES = [one for one in REPLAYED if one.method]
#: Of these the recording kept how many accounts were asked about, all unknown.
LONG = [one for one in REPLAYED if not one.method]


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
async def test_the_recorded_status_and_shape(one: Exchange) -> None:
    glc = SimulatedGlc(
        clients={"passerelle": "mot-de-passe-factice-glc"},
        accounts=set(PEOPLE),
        lie=RIGHTS.get(one.number, Lie.NONE),
        narrowed_to={"cafe0000000000000000000000000002"},
    )
    content = one.body.encode() if isinstance(one.body, str) else None
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(glc.app), base_url="http://glc.invalid"
    ) as client:
        answer = await client.request(
            one.method,
            one.target,
            headers=dict(one.headers),
            content=content,
            json=one.body if content is None and one.body is not None else None,
        )
    assert answer.status_code == one.status
    told, recorded = answer.json(), one.answered
    if one.status >= 400:  # texts are for people
        told, recorded = ({k: v for k, v in d.items() if k != "errors"} for d in (told, recorded))
        assert "errors" in answer.json()
    assert shape(told) == shape(recorded)


def test_the_password_of_the_recording_is_the_simulated_one() -> None:
    given = {one.headers.get("Authorization") for one in CASES}
    pair = base64.b64encode(b"passerelle:mot-de-passe-factice-glc").decode()
    assert f"Basic {pair}" in given


@pytest.mark.parametrize("one", LONG, ids=lambda one: one.name)
async def test_long_lists_are_taken(one: Exchange) -> None:
    count = int(one.answered["unknown_uuids"].split()[1])
    known = [f"{n:032x}" for n in range(count)]
    glc = SimulatedGlc(clients={"passerelle": "mot-de-passe"})
    transport = httpx.ASGITransport(glc.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://glc.invalid") as client:
        answer = await client.post(
            "/api/users/synchronization/",
            auth=("passerelle", "mot-de-passe"),
            json={"known_uuids": known},
        )
    assert answer.status_code == one.status
    assert sorted(answer.json()["unknown_uuids"]) == known
