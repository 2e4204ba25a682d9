"""The demo as a user starts it: a process of its own, judged by its exit code and last line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from gateway.core.breaker import BreakerPolicy
from tests.life import ROOT, run

#: As in gateway/demo/files.py.
LANE_CONCURRENCY = 3


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_pass_comes_back_whole() -> None:
    done = run("demo", "--once", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = summary(done)
    assert len(done.stdout.splitlines()) == 1
    assert told["scenario"] == "pass"
    assert told["requests"] == told["delivered"] == told["reported"] == 3
    assert told["duplicates"] == told["lost"] == told["leaked"] == 0
    assert done.stderr == ""


@pytest.mark.parametrize("seed", ["1", "7"])
def test_lost_replies_neither_double_nor_lose(seed: str) -> None:
    done = run("demo", "--once", "--json", "--scenario", "lost-replies", "--seed", seed)
    assert done.returncode == 0, done.stdout + done.stderr
    told = summary(done)
    assert told["requests"] == told["delivered"] == told["reported"] == 30
    assert told["duplicates"] == told["lost"] == 0
    # Thirty creations and at least as many reports: a third of them lost their answer.
    assert told["lost_replies"] >= 20


class Live:
    """A demo that stays up; `lines` fill while it runs."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "demo"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self.up = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if "_sim/advance" in line:
                self.up.set()

    def end(self) -> tuple[int, str]:
        """Ctrl-C; the exit code, and what was written to the standard error."""
        self.process.send_signal(signal.SIGINT)
        self._reader.join(30)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors


def test_it_tells_the_story_stays_up_and_ends_on_interrupt() -> None:
    live = Live()
    try:
        assert live.up.wait(60), "".join(live.lines)
        story = "".join(live.lines)
        assert "pushed signalement-anomalie 1, signed" in story
        assert "its webhook told the gateway: [204, 204]" in story
        assert re.search(r"told of inscription-scolaire 1: terminee", story)
        where = re.search(r"request list (--config \S+ --mappings \S+)", story)
        url = re.search(r"(http://\S+)/ops/ready", story)
        assert where is not None
        assert url is not None
        here = where.group(1).split()
        assert run("health", "--url", url.group(1)).returncode == 0
        listed = json.loads(run("request", "list", "--json", *here).stdout)
        assert sorted(one["status"] for one in listed) == ["done"] * 3
        checked = run("check", "--json", *here)
        assert checked.returncode == 0, checked.stdout
        assert run("outbox", "list", *here).returncode == 0
    finally:
        code, errors = live.end()
    assert code == 0, errors
    assert "Traceback" not in errors


def test_an_interrupted_run_is_not_a_success() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--once", "--scenario", "lost-replies"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "told of" in line:
            break
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 1, out
    assert "Traceback" not in errors


def test_a_dead_commune_delays_no_other() -> None:
    done = run("demo", "--once", "--json", "--scenario", "dead-commune")
    assert done.returncode == 0, done.stdout + done.stderr
    told = summary(done)
    assert told["requests"] == told["delivered"] == told["reported"] == 68
    assert 0 < told["p50_ms"] <= told["p99_ms"]
    assert told["p50_ms_with_a_dead_neighbour"] <= told["p99_ms_with_a_dead_neighbour"]
    assert told["p99_ms_with_a_dead_neighbour"] < 1000, "far below the time that the GRU hangs"


def test_a_gru_that_returns_is_caught_up_with_in_order() -> None:
    done = run("demo", "--once", "--json", "--scenario", "catch-up")
    assert done.returncode == 0, done.stdout + done.stderr
    told = summary(done)
    assert told["drained"] == told["delivered"] == told["requests"] == 80
    assert told["second_outages"] == 0
    assert told["estimates"] > 0
    assert told["estimate_error_seconds"] < told["drain_seconds"]
    # What was tried before the breaker opened, and what was under way then, may come later.
    assert told["displaced"] <= BreakerPolicy().minimum + LANE_CONCURRENCY
    assert told["estimate_error"] < 0.5
