"""One life of the command line: a process that is forked from one which has imported it all.

A fresh interpreter takes seconds to import the gateway, and the tests need over a hundred lives.
Each is a process of its own all the same: it has its own arguments, environment and files, runs the
command line from its beginning, and dies for itself.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.acceptance.clock import MachineClock

ROOT = Path(__file__).parents[1]

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.forked"])

#: The fork server's word for an end whose status it lost: see multiprocessing.popen_forkserver.
_LOST = 255


class Life:
    """A process of the command line, from its start."""

    def __init__(self, process: ForkServerProcess, errors: Path) -> None:
        self._process = process
        self._errors = errors

    @property
    def pid(self) -> int:
        """The process's number, also after its end."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the signal); None while the process lives."""
        code = self._process.exitcode
        if code != _LOST:
            return code
        said = _own_words(self._errors, self.pid)
        # What ends by a signal has no time to say it.
        return int(said.read_text()) if said.exists() else -signal.SIGKILL

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        os.kill(self.pid, number)

    def wait(self, within: float) -> int:
        """Wait for the end, and return the exit code. Fails after `within` seconds."""
        end = time.monotonic() + within
        while (code := self.exit_code) is None:
            assert time.monotonic() < end, f"it lives after {within} s:\n{self._errors.read_text()}"
            time.sleep(0.02)
        return code


def begin(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    errors: Path,
    output: Path | str = os.devnull,
    clock: MachineClock | None = None,
) -> Life:
    """Start `gru-gateway` with these arguments in the project's folder.

    Its standard error is added to `errors`, its standard output to `output`.
    """
    process = _FORKS.Process(
        target=_live,
        args=(list(arguments), dict(environ), str(errors), str(output), clock),
        daemon=True,
    )
    process.start()
    return Life(process, errors)


def run(*arguments: str, within: float = 300) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. Fails for a traceback, or after `within` seconds."""
    with tempfile.TemporaryDirectory() as folder:
        errors, output = Path(folder, "errors"), Path(folder, "output")
        life = begin(arguments, os.environ, errors, output)
        try:
            code = life.wait(within)
        finally:
            if life.exit_code is None:
                life.signal(signal.SIGKILL)
        done = subprocess.CompletedProcess(
            arguments, code, output.read_text("utf-8"), errors.read_text("utf-8")
        )
    assert "Traceback" not in done.stderr
    return done


def _live(
    arguments: list[str],
    environ: dict[str, str],
    errors: str,
    output: str,
    clock: MachineClock | None,
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(ROOT)
    for number, name in ((1, output), (2, errors)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), number)
    sys.argv = ["gru-gateway", *arguments]
    from gateway.cli import main

    if clock is not None:
        clock.rule()
    try:
        main()
    except SystemExit as end:
        _own_words(Path(errors), os.getpid()).write_text(str(end.code or 0))
        raise


def _own_words(errors: Path, pid: int) -> Path:
    """The file in which a process writes its own exit code: the fork server may lose that."""
    return errors.with_name(f"{errors.name}.{pid}.exit")
