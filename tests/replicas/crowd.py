"""Several real processes of the gateway on one PostgreSQL, between far ends that keep the score."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import httpx
import psycopg
from typer.testing import CliRunner

from gateway.cli.root import app
from gateway.demo.stage import VILLEURBANNE, webhook
from gateway.flow.lane import LanePolicy
from tests.acceptance.life import begin
from tests.acceptance.town import MAPPINGS, Town, open_town, until

#: Of one call, in seconds.
TIMEOUT = 0.5
LEASE = LanePolicy(timeout=TIMEOUT).lease


class Replica:
    """One process with one role."""

    def __init__(
        self, name: str, role: str, home: Path, dsn: str, client: httpx.AsyncClient
    ) -> None:
        self.name = name
        self.role = role
        self.config = home
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.errors = home / f"{name}.log"
        self._client = client
        self._environ = {**os.environ, "DATABASE": dsn}
        self._process: ForkServerProcess | None = None

    @property
    def process(self) -> ForkServerProcess:
        assert self._process is not None, "not started"
        return self._process

    @property
    def said(self) -> str:
        """All that it wrote to its standard error, over all its lives."""
        return self.errors.read_text("utf-8") if self.errors.exists() else ""

    async def start(self, *, until_ready: bool = True) -> None:
        arguments = ["serve", "--dev", "--role", self.role, *self._where]
        self._process = await asyncio.to_thread(begin, arguments, self._environ, self.errors)
        if until_ready:
            await until(self.ready_or_gone, 40, f"{self.name} starts")
            assert self.process.exitcode is None, self.said

    async def command(self, *arguments: str) -> str:
        """What an operator's command over this replica's configuration prints."""
        done = await asyncio.to_thread(
            CliRunner().invoke, app, [*arguments, *self._where], env=self._environ
        )
        assert done.exit_code == 0, done.output
        return done.output

    @property
    def _where(self) -> tuple[str, ...]:
        return ("--config", str(self.config), "--mappings", str(MAPPINGS))

    async def ready_or_gone(self) -> bool:
        return self.process.exitcode is not None or await self.readiness() == 200

    async def readiness(self) -> int:
        """The status of `/ops/ready`; 0 when nobody answers."""
        try:
            return (await self._client.get(f"{self.url}/ops/ready")).status_code
        except httpx.HTTPError:
            return 0

    async def health(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self._client.get(f"{self.url}/ops/health")).json()
        return found

    async def owes(self) -> int:
        """How many deliveries are not over, by its own account; used to know when to count."""
        try:
            health = await self.health()
        except httpx.HTTPError:
            return -1
        return sum(lane["waiting"] for lane in health["lanes"].values())

    def signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    async def kill(self) -> None:
        """SIGKILL, if it lives, and its end."""
        if self._process is not None and self._process.exitcode is None:
            self.signal(signal.SIGKILL)
            await until(lambda: self.process.exitcode is not None, 20, "it dies")


class Whole(Replica):
    """The replica that the town asks; `said` is what all of them said."""

    everybody: list[Replica]

    @property
    def said(self) -> str:
        return "".join(
            one.errors.read_text("utf-8") for one in self.everybody if one.errors.exists()
        )


@dataclass(slots=True)
class Crowd:
    town: Town
    dsn: str
    replicas: list[Replica] = field(default_factory=list)

    @property
    def intake(self) -> Replica:
        return self.replicas[0]

    @property
    def dispatch(self) -> list[Replica]:
        return self.replicas[1:]

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn.replace("postgresql+psycopg:", "postgresql:")) as connection:
            return connection.execute(statement.encode()).fetchall()


@asynccontextmanager
async def open_crowd(
    folder: Path,
    dsn: str,
    *,
    seed: int = 1,
    roles: tuple[str, ...] = ("intake", "dispatch", "dispatch"),
    objects: Path | None = None,
) -> AsyncIterator[Crowd]:
    """Replicas that are configured but not started; the first one is the town's.

    `objects`: a folder that they share, for attachments that are not to lie in the database.
    """
    async with AsyncExitStack() as stack:
        town = await stack.enter_async_context(open_town(folder, seed=seed))
        client = await stack.enter_async_context(httpx.AsyncClient(verify=False, timeout=3))
        crowd = Crowd(town, dsn)
        for n, role in enumerate(roles):
            home = folder / f"replica-{n}"
            kind = Whole if n == 0 else Replica
            one = kind(f"{role}-{n}", role, home, dsn, client)
            _write(town.gateway.config, home, one.port, objects)
            crowd.replicas.append(one)
        whole = crowd.replicas[0]
        assert isinstance(whole, Whole)
        whole.everybody = crowd.replicas
        town.gateway = whole  # type: ignore[assignment]
        town.stage.url = whole.url
        town.stage.villeurbanne.webhook_url = webhook(whole.url, VILLEURBANNE, "education")
        try:
            yield crowd
        finally:
            for one in crowd.replicas:
                await one.kill()


def _write(source: Path, home: Path, port: int, objects: Path | None) -> None:
    """The town's configuration, for one replica."""
    (home / "communes").mkdir(parents=True)
    for file in source.rglob("*.yaml"):
        text = file.read_text("utf-8").replace("timeout: 1.0", f"timeout: {TIMEOUT}")
        if file.name == "gateway.yaml":
            lines = [
                line for line in text.splitlines() if not line.startswith(("listen:", "data_dir:"))
            ]
            lines += [
                f"listen: {{host: 127.0.0.1, port: {port}}}",
                f"data_dir: {home / 'var'}",
                "database: env:DATABASE",
            ]
            if objects is not None:
                lines.append(f"attachments: {{url: file://{objects}}}")
            text = "\n".join(lines) + "\n"
        (home / file.relative_to(source)).write_text(text, "utf-8")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
