"""Starts that are refused: one clear answer, an exit code, and nothing touched."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from gateway.demo.files import Addresses, write_configuration, write_secrets
from tests.acceptance.town import MAPPINGS, ROOT, open_town

CONFIGURATION = 3


def serve(config: Path) -> subprocess.CompletedProcess[str]:
    """Start it and wait for its end."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "gateway", "serve", "--dev"),
            *("--config", str(config), "--mappings", str(MAPPINGS)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


async def test_a_second_process_on_the_same_data_is_refused(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        await town.gateway.start()
        first = town.gateway.process.pid
        second = await asyncio.to_thread(serve, town.gateway.config)
        assert second.returncode == CONFIGURATION
        assert second.stdout == ""
        (line,) = second.stderr.splitlines()
        assert line.startswith(f"error: another gateway (process {first}) works on {tmp_path}")
        assert await town.gateway.readiness() == 200


async def test_it_serves_and_ends_as_an_operator_starts_and_stops_it(tmp_path: Path) -> None:
    async with open_town(tmp_path) as town:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "serve", "--dev"),
            *("--config", str(town.gateway.config), "--mappings", str(MAPPINGS)),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            town.send(1, 1)
            await town.settle()
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
        assert process.returncode == 0
        assert b"Traceback" not in errors


def test_every_fault_of_the_configuration_is_told(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    dead = "http://127.0.0.1:9"
    config = write_configuration(tmp_path, Addresses(dead, dead, dead, 8701))
    settings, bron = config / "gateway.yaml", config / "communes" / "69029-bron.yaml"
    replace(settings, "shutdown_grace", "shutdown_grave")
    replace(bron, "adapter: open311", "adapter: open312")
    replace(bron, "signalement-anomalie/open311}", "signalement-anomalie/open399}")
    told = serve(config)
    assert told.returncode == CONFIGURATION
    assert told.stdout == ""
    *faults, count = told.stderr.splitlines()
    assert count == "3 faults"
    for path, named in ((settings, "shutdown_grave"), (bron, "open312"), (bron, "open399")):
        number = 1 + [named in line for line in path.read_text("utf-8").splitlines()].index(True)
        (fault,) = (line for line in faults if line.startswith(f"{path}:{number}: "))
        assert named in fault
    assert not (tmp_path / "var").exists()
