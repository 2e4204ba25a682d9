"""A small SFTP server on loopback that answers as OpenSSH 9.2 was seen to: SFTP 3, posix-rename and
fsync, a plain rename that replaces nothing, and a plain failure for a full disk."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import asyncssh
import httpx

from adapters.sftp import SftpAdapter, SftpOptions
from gateway.sdk import Context
from gateway.sdk.under_test import NOW
from gateway.wire.network import Network
from tests.wire.test_sockets import connector


@cache
def key(name: str) -> asyncssh.SSHKey:
    return asyncssh.generate_private_key("ssh-ed25519")


def public(name: str) -> str:
    return " ".join(key(name).export_public_key().decode().split()[:2])


def private(name: str) -> str:
    return key(name).export_private_key().decode()


@dataclass
class SimulatedDepot:
    """`before`: called with the name of an operation and its path, and may raise or cut the line;
    `after` the same once it was done."""

    folder: Path
    before: Callable[[str, str, Callable[[], None]], None] = lambda what, path, cut: None
    after: Callable[[str, str, Callable[[], None]], None] = lambda what, path, cut: None
    done: list[tuple[str, str]] = field(default_factory=list)

    def made(self) -> dict[str, bytes]:
        """All files, by path."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}

    def server(self, channel: Any) -> asyncssh.SFTPServer:
        depot = self

        def cut() -> None:
            channel.get_connection().abort()

        class Server(asyncssh.SFTPServer):
            def open(self, path: bytes, pflags: int, attrs: Any) -> Any:
                depot.before("open", os.fsdecode(path), cut)
                depot.done.append(("open", os.fsdecode(path)))
                return super().open(path, pflags, attrs)

            def rename(self, oldpath: bytes, newpath: bytes) -> Any:
                depot.before("rename", os.fsdecode(newpath), cut)
                depot.done.append(("rename", os.fsdecode(newpath)))
                if os.path.lexists(self.map_path(newpath)):
                    raise asyncssh.SFTPFailure("Failure")
                super().rename(oldpath, newpath)
                depot.after("rename", os.fsdecode(newpath), cut)

        return Server(channel, chroot=os.fsencode(self.folder))


@asynccontextmanager
async def depot(folder: Path, **hooks: Any) -> AsyncIterator[tuple[SimulatedDepot, int]]:
    simulated = SimulatedDepot(folder, **hooks)
    allowed = asyncssh.import_authorized_keys(public("client"))
    async with await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[key("host")],
        authorized_client_keys=allowed,
        sftp_factory=simulated.server,
        allow_scp=False,
    ) as server:
        yield simulated, server.get_port()


def options(port: int, **more: Any) -> SftpOptions:
    return SftpOptions.model_validate(options_of(port, **more))


def options_of(port: int, **more: Any) -> dict[str, Any]:
    return {
        "url": f"sftp://depot@127.0.0.1:{port}",
        "host_keys": [public("host")],
        "key": private("client"),
        "service": {"name": "Relations usagers"},
        **more,
    }


LOOPBACK = Network(named=frozenset({"127.0.0.1"}))


def adapter_of(
    port: int, timeout: float = 10, network: Network = LOOPBACK, **more: Any
) -> SftpAdapter:
    client = httpx.AsyncClient(transport=httpx.MockTransport(_no_http))
    context = Context(
        "69029", "main", client, lambda: NOW, False, connector=connector(network, timeout)
    )
    return SftpAdapter(options(port, **more), context)


def _no_http(request: httpx.Request) -> httpx.Response:
    raise AssertionError("the SFTP adapter makes no HTTP call")
