"""The demo as a user starts it: a process of its own, judged by its exit code and last line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading

from tests.life import ROOT, run

#: Seconds after which a wait is given up; no test passes or fails by how long a wait took.
PATIENCE = 300


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
        self._reader.join(PATIENCE)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


def test_it_tells_the_story_stays_up_and_ends_on_interrupt() -> None:
    live = Live()
    try:
        assert live.up.wait(PATIENCE), "".join(live.lines)
        story = "".join(live.lines)
        assert "pushed signalement-anomalie 1, signed" in story
        assert "its webhook told the gateway: [204, 204]" in story
        assert re.search(r"told of inscription-scolaire 1: terminee", story)
        where = re.search(r"request list (--config \S+ --mappings \S+)", story)
        url = re.search(r"(http://\S+)/ops/ready", story)
        assert where is not None
        assert url is not None
        here = where.group(1).split()
        # What it reads of the forms is in health from then on.
        fits = run("contract", "drift", *here)
        assert fits.returncode == 0, fits.stdout
        well = run("health", "--strict", "--url", url.group(1))
        assert well.returncode == 0, well.stdout
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
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, out
    assert "Traceback" not in errors
