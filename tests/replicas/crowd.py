"""Several real processes of the gateway on one PostgreSQL, between far ends that keep the score."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import psycopg

from gateway.catalogue.settings import DEFAULT_LANE
from gateway.cli.root import app
from gateway.demo.stage import VILLEURBANNE, webhook
from tests.acceptance.town import Gateway, Town, new_client, open_town
from tests.command import CliRunner
from tests.sealing import master

#: Of one call, in seconds.
TIMEOUT = 0.5
LEASE = replace(DEFAULT_LANE, timeout=TIMEOUT).lease


class Replica(Gateway):
    """One process with one role."""

    def __init__(
        self, name: str, role: str, home: Path, dsn: str, client: httpx.AsyncClient
    ) -> None:
        self.name = name
        self.port = _free_port()
        url = f"http://127.0.0.1:{self.port}"
        super().__init__(home, url, home / f"{name}.log", client, role)
        self.database = dsn

    async def command(self, *arguments: str) -> str:
        """Return the output of an operator's command with this replica's configuration."""
        done = await asyncio.to_thread(
            CliRunner().invoke, app, [*arguments, *self.where], env=self.environ
        )
        assert done.exit_code == 0, done.output
        return done.output


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
    timeout: float = TIMEOUT,
) -> AsyncIterator[Crowd]:
    """Replicas that are configured but not started; the first one is the town's.

    `objects`: a folder that they share, for attachments that are not to lie in the database.
    `timeout`: of one call, in seconds.
    """
    async with AsyncExitStack() as stack:
        town = await stack.enter_async_context(open_town(folder, seed=seed))
        client = await stack.enter_async_context(new_client())
        crowd = Crowd(town, dsn)
        for n, role in enumerate(roles):
            home = folder / f"replica-{n}"
            kind = Whole if n == 0 else Replica
            one = kind(f"{role}-{n}", role, home, dsn, client)
            _write(town.gateway.config, home, one.port, objects, timeout)
            crowd.replicas.append(one)
        whole = crowd.replicas[0]
        assert isinstance(whole, Whole)
        whole.everybody = crowd.replicas
        town.gateway = whole
        town.stage.url = whole.url
        town.stage.villeurbanne.webhook_url = webhook(whole.url, VILLEURBANNE, "education")
        try:
            yield crowd
        finally:
            for one in crowd.replicas:
                await one.kill()


def _write(source: Path, home: Path, port: int, objects: Path | None, timeout: float) -> None:
    """The town's configuration, for one replica."""
    (home / "communes").mkdir(parents=True)
    for file in source.rglob("*.yaml"):
        text = file.read_text("utf-8").replace("timeout: 1.0", f"timeout: {timeout}")
        if file.name == "gateway.yaml":
            lines = [
                line for line in text.splitlines() if not line.startswith(("listen:", "data_dir:"))
            ]
            lines += [
                f"listen: {{host: 127.0.0.1, port: {port}}}",
                f"data_dir: {home / 'var'}",
                "database: env:DATABASE",
                f"sealing: {{masters: [file:{home / 'master'}]}}",
            ]
            (home / "master").write_text(master().secret.hex())
            if objects is not None:
                lines.append(f"attachments: {{url: file://{objects}}}")
            text = "\n".join(lines) + "\n"
        (home / file.relative_to(source)).write_text(text, "utf-8")


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
