"""Every part of a measurement is a process of its own: one's work is never in another's figure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import httpx

from tests.bench.bundle import ROOT

PATIENCE = 240.0


class Failed(Exception):
    """A measured process ended badly; the text holds the end of what it said."""


@dataclass
class Running:
    """A server process; `said` is its first line: where it listens."""

    process: subprocess.Popen[str]
    said: dict[str, Any]
    seconds: float
    log: Path
    peak: float = 0.0
    _watching: bool = field(default=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.said['port']}"

    def ask(self, path: str) -> dict[str, Any]:
        """Return its answer to a GET, which must be JSON."""
        answer: dict[str, Any] = httpx.get(self.address + path, trust_env=False).json()
        return answer

    def control(self, **told: list[str]) -> None:
        """The far ends': forget what arrived; which communes hang or fail from now on."""
        told_to = f"{self.address}/control"
        httpx.post(told_to, json=told, trust_env=False).raise_for_status()

    def memory(self) -> float:
        """Resident memory now, in MB."""
        return _status(self.process.pid, "VmRSS")

    def forget_peak(self) -> None:
        """Begin a new peak for `memory_peak`."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory_peak(self) -> float:
        """Highest resident memory since the start, or since `forget_peak`, in MB."""
        return _status(self.process.pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) / 1024
    raise Failed(f"the system does not tell {name}")


def _start(module: str, options: dict[str, Any], log: Path) -> subprocess.Popen[str]:
    with log.open("a") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.{module}"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    assert process.stdin is not None
    process.stdin.write(json.dumps(options) + "\n")
    process.stdin.flush()
    return process


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-1500:]


def work(module: str, **options: Any) -> Any:
    """Run a worker to its end; what it printed on its last line, as JSON."""
    with NamedTemporaryFile(prefix="tdg-bench-", suffix=".log") as file:
        log = Path(file.name)
        process = _start(module, options, log)
        try:
            out, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failed(f"{module} took too long: {_end_of(log)}") from None
        if process.returncode:
            raise Failed(f"{module} failed: {_end_of(log)}")
        return json.loads(out.splitlines()[-1])


@contextmanager
def serving(module: str, **options: Any) -> Iterator[Running]:
    """A server process, ready when its first line is here; stopped at the end."""
    with serving_all(module, [options]) as (one,):
        yield one


@contextmanager
def serving_all(module: str, each: Sequence[dict[str, Any]]) -> Iterator[list[Running]]:
    """Server processes that start and stop side by side, one for each of these options."""
    with ExitStack() as files, _ending() as processes:
        clock = time.perf_counter()
        started: list[tuple[subprocess.Popen[str], Path]] = []
        for options in each:
            file = files.enter_context(NamedTemporaryFile(prefix="tdg-bench-", suffix=".log"))
            started.append((_start(module, options, Path(file.name)), Path(file.name)))
            processes.append(started[-1][0])
        running = []
        for process, log in started:
            said = _first_line(process)
            if not said:
                process.wait()
                raise Failed(f"{module} did not start: {_end_of(log)}")
            seconds = time.perf_counter() - clock
            running.append(Running(process, json.loads(said), seconds, log))
        yield running


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    kill = threading.Timer(PATIENCE, process.kill)
    kill.start()
    try:
        return process.stdout.readline()
    finally:
        kill.cancel()


@contextmanager
def _ending() -> Iterator[list[subprocess.Popen[str]]]:
    """Give a list whose processes are stopped at the end, all at once."""
    processes: list[subprocess.Popen[str]] = []
    try:
        yield processes
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdout, process.stdin):
                if pipe is not None:
                    pipe.close()


def options() -> dict[str, Any]:
    """Return the options of a child process."""
    told: dict[str, Any] = json.loads(sys.stdin.readline())
    return told


def say(value: Any) -> None:
    """Send a line from a child to its parent."""
    print(json.dumps(value), flush=True)
