"""One life of a gateway: what a process does that is forked from one which has imported it.

A fresh interpreter takes seconds to import the gateway, and the plays need some fifty lives. Each
is a process of its own all the same: it has its own arguments, environment and files, runs the
command line from its beginning, and dies for itself.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.acceptance.clock import MachineClock

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["gateway.cli.root", "gateway.app", "gateway.telemetry", "uvloop"])


def begin(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    errors: Path,
    clock: MachineClock | None = None,
) -> ForkServerProcess:
    """Start `gru-gateway` with these arguments; its standard error is added to `errors`."""
    process = _FORKS.Process(
        target=_live, args=(list(arguments), dict(environ), str(errors), clock), daemon=True
    )
    process.start()
    return process


def _live(
    arguments: list[str], environ: dict[str, str], errors: str, clock: MachineClock | None
) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
    sys.argv = ["gru-gateway", *arguments]
    from gateway.cli import main

    if clock is not None:
        clock.rule()
    try:
        main()
    except SystemExit as end:
        own_words(Path(errors), os.getpid()).write_text(str(end.code or 0))
        raise


def own_words(errors: Path, pid: int) -> Path:
    """Where a life that ended by itself says with which code: the fork server may lose that."""
    return errors.with_name(f"{errors.name}.{pid}.exit")
