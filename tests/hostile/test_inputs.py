"""Each bad input has its answer, costs itself alone, and keeps nobody else waiting."""

from __future__ import annotations

import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.ops.stalls import StallMeter
from tests.hostile.inputs import Input, addresses, creations, messages
from tests.web.harness import Gateway, bundle, gateway, small
from tests.web.test_senders import BRON

#: Seconds of this process's own work between two turns of the loop, and bytes.
STALL = 0.05
MEMORY = 100_000_000
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def gw(tmp_path: Path, template: Path) -> AsyncIterator[Gateway]:
    files = bundle(tmp_path)
    gateway_file = files["config/gateway.yaml"].replace("body_mb: 1,", "body_mb: 100,")
    async with gateway(
        tmp_path, template, files=files | {"config/gateway.yaml": gateway_file}
    ) as running:
        yield running


@pytest.mark.parametrize("inputs", [messages, creations, addresses])
async def test_each_bad_input_has_its_answer(
    gw: Gateway, inputs: Callable[[], Iterator[Input]]
) -> None:
    """Seen: 2.4 s for 7,800 characters, 96 s for 24,000; 2.3 GB and 3 s for 80 MB of `[]`."""
    if inputs is messages:
        assert (await gw.push(small())).status_code == 201
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for one in inputs():
        with StallMeter() as meter:
            answer = await gw.client.post(gw.signed(BRON), content=one.stream(), headers=JSON)
            if one.code is None:
                # Of some words nothing is left but the same text.
                assert answer.status_code in (one.status, 200), (one.name, answer.text)
            else:
                told = (answer.status_code, answer.json()["err_code"])
                assert told == (one.status, one.code), one.name
        assert meter.longest < STALL, one.name
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY // 1024
