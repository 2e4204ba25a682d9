"""Tests of several processes are told as if one had run them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

FILES = {
    "test_good.py": """
import os, warnings

def test_one(tmp_path):
    assert tmp_path.exists()

def test_two():
    warnings.warn("look here")
""",
    "test_bad.py": """
def test_that_fails():
    print("what it printed")
    raise AssertionError("it fails")
""",
    "test_killed.py": """
import os

def test_before():
    pass

def test_that_ends_its_process():
    os._exit(3)

def test_after():
    pass
""",
}


ENDED = """
import pytest

@pytest.fixture(scope="session")
def server():
    yield
    raise RuntimeError("it would not end")

def test_with_a_server(server):
    pass
"""

WAITING = """
import signal, sys, pytest

@pytest.fixture(scope="session")
def server():
    yield
    open({ended!r}, "w").close()

def test_that_waits(server):
    open({begun!r}, "w").close()
    signal.pause()
"""


def made(folder: Path) -> None:
    """Write the files."""
    for name, text in FILES.items():
        (folder / name).write_text(text)


def run(folder: Path, *more: str) -> tuple[int, str]:
    """Run pytest over the folder in two processes. Return the exit code and the output."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-rw", "-c", os.devnull, "--rootdir", str(folder)),
            *("-p", "tests.processes", "-p", "no:cacheprovider", "-p", "no:schemathesis"),
            *("--processes", "2", *more, str(folder)),
        ],
        cwd=ROOT,
        # Without what this run was told itself.
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_each_test_is_told_once_also_where_a_process_ends(tmp_path: Path) -> None:
    made(tmp_path)
    code, told = run(tmp_path)
    assert code == 1
    assert "3 failed, 3 passed, 1 warning" in told, told
    assert "_ test_that_ends_its_process _" in told
    assert "the process that ran it ended with 3" in told
    assert "no process ran it" in told, "the test after it"
    assert "what it printed" in told
    assert "look here" in told


def test_the_first_failure_ends_it_where_asked(tmp_path: Path) -> None:
    made(tmp_path)
    code, told = run(tmp_path, "-x", "-k", "fails or one")
    assert code == 1
    assert "1 failed" in told, told
    assert "stopping after 1 failures" in told


def test_what_fixtures_started_is_ended_when_it_is_stopped(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    waiting = tmp_path / "tests"
    waiting.mkdir()
    (waiting / "test_waiting.py").write_text(WAITING.format(begun=str(begun), ended=str(ended)))
    (waiting / "test_failing.py").write_text(
        f"""
import os, time

def test_that_fails():
    while not os.path.exists({str(begun)!r}):
        time.sleep(0.01)
    assert False
"""
    )
    code, told = run(waiting, "-x")
    assert code == 1, told
    assert ended.exists()


def test_an_end_of_a_fixture_that_fails_is_told(tmp_path: Path) -> None:
    for name in ("test_ended.py", "test_ended_too.py"):
        (tmp_path / name).write_text(ENDED)
    code, told = run(tmp_path)
    assert code == 1, told
    assert "it would not end" in told
