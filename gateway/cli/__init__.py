"""The command line: thin commands, one module per group, over the rooms below.

Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 configuration, 4 a far end.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command that the arguments of the process name, and end with its exit code."""
    # Imported modules stay. To look for garbage in it, meanwhile and once more at the end, took a
    # quarter of the time of every short command.
    gc.disable()
    if sys.argv[1:2] == ["health"]:
        # Seconds of imports would make a busy machine's probe late, and its container killed.
        from gateway.cli.health import app
    else:
        from gateway import telemetry
        from gateway.cli.root import app

        # On the standard error: what a command logs is no part of what it prints.
        telemetry.configure("console", "warning")
    gc.freeze()
    gc.enable()
    app(prog_name="gru-gateway")


__all__ = ["main"]
