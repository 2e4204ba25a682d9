"""A configuration on disk as an operator would write it, and the command line over it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.root import app
from gateway.demo.files import Addresses, write_configuration, write_secrets
from tests import life
from tests.command import CliRunner, Result
from tests.files import edit

MAPPINGS = life.ROOT / "mappings"
#: An address where nothing listens: port 9 of the loopback.
DEAD = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Home:
    """A folder with a configuration. `run` runs a command in this process, `spawn` in a new one."""

    folder: Path
    config: Path

    @property
    def where(self) -> list[str]:
        return ["--config", str(self.config), "--mappings", str(MAPPINGS)]

    def run(self, *arguments: str) -> Result:
        return run(*arguments, *self.where)

    def spawn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own, as an operator does."""
        return life.run(*arguments, *self.where)

    def replace(self, file: str, old: str, new: str) -> None:
        edit(self.config / file, old, new)


def run(*arguments: str) -> Result:
    """Run the command in this process. It may raise nothing but its own exit."""
    result = CliRunner().invoke(app, list(arguments), prog_name="gru-gateway")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def home(tmp_path: Path) -> Home:
    write_secrets(tmp_path)
    return Home(tmp_path, write_configuration(tmp_path, Addresses(DEAD, DEAD, DEAD, 8701)))
