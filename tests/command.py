"""The command line in this process. Its tree of commands is made once, as that takes long."""

from __future__ import annotations

from functools import cache

from typer import testing

setattr(testing, "_get_command", cache(getattr(testing, "_get_command")))  # noqa: B009, B010

CliRunner = testing.CliRunner
Result = testing.Result
