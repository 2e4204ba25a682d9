"""The command line in this process. The tree of its commands is made once: it takes as long as a
command does."""

from __future__ import annotations

from functools import cache

from typer import testing

setattr(testing, "_get_command", cache(getattr(testing, "_get_command")))  # noqa: B009, B010

CliRunner = testing.CliRunner
Result = testing.Result
