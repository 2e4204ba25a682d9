"""A gateway that renders otherwise than the one of before: whom it concerns waits, and is told."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contracts.conftest import KEY
from tests.contracts.five import FIRST, SECOND, Home
from tests.contracts.test_release import CASES, MAPPING
from tests.contracts.test_release_serve import Daemon, events, served
from tests.files import edit
from tests.life import ROOT

__all__ = ["served"]  # a fixture

#: A date is written to the minute: one line of the gateway's own code.
LINE = ('isoformat(timespec="seconds")', 'isoformat(timespec="minutes")')
BEFORE, AFTER = "2026-03-02T10:00:00+01:00", "2026-03-02T10:00+01:00"

#: What an operator does by the commands of the new gateway.
_OPERATOR = """\
import json, sys
from pathlib import Path
from tests.contracts.five import FIRST, Home
from tests.contracts.test_release import CASES
home = Home(*map(Path, sys.argv[1:4]))
planned = home.json("release", "plan")
home.sign(FIRST[0])
failed = home.run("release", "apply")
home.edit(CASES, *sys.argv[4:6])
signed = [home.sign(commune).exit_code for commune in FIRST]
applied = home.run("release", "apply")
print(json.dumps([planned, [failed.exit_code, failed.output], signed, applied.exit_code]))
"""


def test_a_gateway_of_which_one_line_renders_otherwise_keeps_whom_it_concerns_waiting(
    served: Home, tmp_path: Path
) -> None:
    served.edit(MAPPING, "  texte:", "  le: {path: submitted_at, date: iso}\n  texte:")
    served.edit(CASES, "texte: Un trou}", f'texte: Un trou, le: "{BEFORE}"}}')
    for commune in FIRST:
        assert served.sign(commune).exit_code == 0
    assert served.run("release", "apply").exit_code == 0

    with _serving(served, _changed(tmp_path / "code")) as daemon:
        health = daemon.health()
        assert set(health["releases"]["refused"]) == set(FIRST)
        (told, _) = events(daemon, "release.refused")
        assert told["commune"] == FIRST[0]
        assert "sends other than was signed in 1 cases" in told["what"]
        assert "« Un trou dans la chaussée » (le)" in told["what"]
        for commune in FIRST:
            answer = daemon.push(commune)
            assert (answer.status_code, answer.json()["err_code"]) == (503, "release_refused")
        assert [daemon.push(commune).status_code for commune in SECOND] == [201] * len(SECOND)

        planned, (code, output), signed, applied = _operator(served, tmp_path / "code")
        assert [one["commune"] for one in planned if one["state"] != "same"] == list(FIRST)
        for one in planned:
            if one["commune"] in FIRST:
                (effect,) = one["effects"]
                assert effect["field"] == "le"
                assert (effect["before"], effect["after"]) == (BEFORE, AFTER)
        # Its cases still expect what was; they are the commune's, and are changed before it signs.
        assert code == 1
        assert AFTER in output
        assert signed == [0] * len(FIRST)
        assert applied == 0
        daemon.until(lambda: not daemon.health()["releases"]["refused"])
        assert daemon.push(FIRST[0]).status_code == 201


def _changed(folder: Path) -> Path:
    """The package with one line changed. What was compiled before is kept."""
    shutil.copytree(ROOT / "gateway", folder / "gateway")
    edit(folder / "gateway" / "core" / "convert.py", *LINE)
    return folder


def _environ() -> dict[str, str]:
    # The tests, too; the gateway comes from the folder in which it is started.
    return {**os.environ, "FIVE_KEY": KEY, "PYTHONPATH": str(ROOT)}


@contextmanager
def _serving(home: Home, code: Path) -> Iterator[Daemon]:
    command = (sys.executable, "-m", "gateway", "serve", *home.where)
    with (home.folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=code, env=_environ(), stdout=log, stderr=log)
    daemon = Daemon(home, home.folder / "log", process.pid)
    try:
        daemon.until(lambda: process.poll() is not None or daemon.ready())
        yield daemon
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(60)
        daemon.client.close()
    assert ended == 0, daemon.log.read_text()


def _operator(home: Home, code: Path) -> Any:
    places = map(str, (home.folder, home.config, home.mappings))
    command = (sys.executable, "-c", _OPERATOR, *places, BEFORE, AFTER)
    done = subprocess.run(
        command, cwd=code, env=_environ(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
