"""`python -m gateway.sim` in a process of its own."""

from __future__ import annotations

import asyncio
import signal
import sys

import httpx
import pytest

from gateway.sim.glc import SimulatedGlc
from gateway.sim.server import run_server


@pytest.mark.parametrize(
    ("arguments", "path", "status"),
    [
        (["portal", "--key", "connecteur=cle", "--hook", "retour"], "/api/formdefs/", 403),
        (["open311", "--secret", "cle"], "/services.json", 200),
        (["ticketing", "--secret", "cle"], "/api/tickets", 401),
        (["glc", "--key", "connecteur=cle"], "/api/deletions/", 401),
    ],
)
async def test_each_starts_answers_and_stops(arguments: list[str], path: str, status: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.sim", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with httpx.AsyncClient(base_url=url) as client:
        assert (await client.get(path)).status_code == status
        basic = await client.get(path, auth=("connecteur", "cle"))
        assert basic.status_code == (401 if arguments[0] == "ticketing" else 200)
        assert (await client.get("/_sim/state")).status_code == 200
    process.send_signal(signal.SIGTERM)
    rest, errors = await process.communicate()
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_a_taken_port_is_one_clear_line() -> None:
    async with run_server(SimulatedGlc().app) as running:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway.sim", "glc", "--port", str(running.port)),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate()
    assert process.returncode == 4
    assert errors.decode().startswith(f"cannot listen on port {running.port}")
    assert errors.count(b"\n") == 1
