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
    assert 1 == 2
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


def run(folder: Path, *more: str) -> tuple[int, str]:
    """Run pytest over the folder in two processes. Return the exit code and the output."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-rw", "-c", os.devnull, "--rootdir", str(folder)),
            *("-p", "tests.processes", "-p", "no:cacheprovider", "-p", "no:schemathesis"),
            *("--processes", "2", *more, str(folder)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_each_test_is_told_once_also_where_a_process_ends(tmp_path: Path) -> None:
    code, told = run(tmp_path)
    assert code == 1
    assert "3 failed, 3 passed, 1 warning" in told, told
    assert "_ test_that_ends_its_process _" in told
    assert "the process that ran it ended with 3" in told
    assert "no process ran it" in told, "the test after it"
    assert "what it printed" in told
    assert "look here" in told


def test_the_first_failure_ends_it_where_asked(tmp_path: Path) -> None:
    code, told = run(tmp_path, "-x", "-k", "fails or one")
    assert code == 1
    assert "1 failed" in told, told
    assert "stopping after 1 failures" in told
