"""Hundreds of communes at one slow portal: whoever waits for a turn has failed at nothing."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from tests.bench.bundle import ROOT


@pytest.mark.parametrize("files", [192, 1024])
async def test_400_communes_at_a_slow_portal_are_never_called_unreachable(files: int) -> None:
    options = {"communes": 400, "each": 2, "portal": 0.02, "files": files}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.replicas.turns",
        *(f"--{name}={value}" for name, value in options.items()),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    found = json.loads(said)
    assert found["outcomes"] == {"submit accepted accepted": 800, "report accepted accepted": 800}
    assert found["portal_calls_at_once"] <= found["portal_calls_allowed"]
    assert found["files_left_open"] < files / 4
