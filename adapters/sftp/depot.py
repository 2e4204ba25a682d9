"""A bounded session with the commune's SFTP server (asyncssh); each failure becomes an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

import asyncssh

from adapters.sftp.options import SftpOptions
from gateway.sdk import (
    Clock,
    Connector,
    File,
    Misconfigured,
    Outcome,
    TryLater,
    Unreached,
    decoded,
)

_PIECE: Final = 32 * 1024
#: Entries read of a folder; entries removed from an unfinished one of ours.
_ENTRIES, _LEFT_OVER = 5000, 100


class DepotFailed(Exception):
    """The server cannot be used: now, or with these options. `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class NotThere(Exception):
    """The file or folder does not exist."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A plain file of a folder. `name` is as the server has it: what of it is no UTF-8 is kept as
    halves of characters."""

    name: str
    size: int
    changed: int

    @property
    def shown(self) -> str:
        """Return the name for people: one that is no UTF-8 is of Windows."""
        return decoded(self.name.encode("utf-8", "surrogateescape"))


class Depot:
    """The files of one login. Each method raises DepotFailed; some raise NotThere."""

    def __init__(self, client: asyncssh.SFTPClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def read(self, path: str, most: int) -> bytes:
        """Read `most + 1` bytes of a file at most, so that a longer one shows. Raises NotThere."""
        content = bytearray()
        with errors_translated():
            async with self._client.open(path, "rb") as file:
                while len(content) <= most:
                    piece = await file.read(min(_PIECE * 8, most + 1 - len(content)))
                    if not piece:
                        break
                    content += piece  # type: ignore[arg-type]
                    self._clock.moved(len(piece))
        return bytes(content)

    async def write(self, path: str, content: bytes | File) -> None:
        """Write a file, and have the server sync it if it can."""
        with errors_translated():
            async with self._client.open(path, "wb") as file:
                if isinstance(content, bytes):
                    await file.write(content)
                else:
                    async for piece in content.pieces():
                        self._clock.moved(len(piece))
                        await file.write(piece)
                with suppress(asyncssh.SFTPOpUnsupported):
                    await file.fsync()

    async def is_there(self, path: str) -> bool:
        with errors_translated():
            return await self._client.exists(path)

    async def entries(self, folder: str) -> list[Entry]:
        """List the plain files of a folder, the oldest first. Raises NotThere."""
        found: list[Entry] = []
        with errors_translated():
            async for one in self._client.scandir(folder):
                if one.attrs.type == asyncssh.FILEXFER_TYPE_REGULAR:
                    changed = int(one.attrs.mtime or 0)
                    found.append(Entry(str(one.filename), one.attrs.size or 0, changed))
                if len(found) >= _ENTRIES:
                    break
        return sorted(found, key=lambda one: (one.changed, one.name))

    async def make_empty(self, folder: str) -> None:
        """Make a folder, or empty the one that an earlier try left.

        Raises NotThere when the parent does not exist.
        """
        with errors_translated():
            if not await self._client.exists(folder):
                await self._client.mkdir(folder)
                return
        for one in (await self.entries(folder))[:_LEFT_OVER]:
            with errors_translated():
                await self._client.remove(f"{folder}/{one.name}")

    async def rename(self, old: str, new: str) -> None:
        """Rename atomically; never replace anything. Raises asyncssh.SFTPError."""
        await self._client.rename(old, new)

    async def put_away(self, path: str, folder: str) -> None:
        """Move a file into a folder, which is made if needed. Replaces a file of the same name."""
        name = path.rpartition("/")[2]
        with errors_translated():
            if not await self._client.exists(folder):
                await self._client.makedirs(folder, exist_ok=True)
            try:
                await self._client.posix_rename(path, f"{folder}/{name}")
            except asyncssh.SFTPNoSuchFile:
                return  # it was moved before
            except asyncssh.SFTPOpUnsupported:
                with suppress(asyncssh.SFTPNoSuchFile):
                    await self._client.remove(f"{folder}/{name}")
                await self._client.rename(path, f"{folder}/{name}")


@contextmanager
def errors_translated() -> Iterator[None]:
    """Turn errors of asyncssh into DepotFailed and NotThere."""
    try:
        yield
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
        raise NotThere from None
    except asyncssh.SFTPError as error:
        raise DepotFailed(outcome_of(error)) from None
    except (asyncssh.Error, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        raise DepotFailed(TryLater("no_answer", type(error).__name__)) from None


def outcome_of(error: asyncssh.SFTPError) -> Outcome:
    """Return the outcome of a refused operation. OpenSSH calls a full disk a plain failure."""
    name = type(error).__name__
    if isinstance(error, asyncssh.SFTPPermissionDenied | asyncssh.SFTPWriteProtect):
        return Misconfigured("access_denied", name)
    if isinstance(error, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
        return Misconfigured("no_such_remote_folder", name)
    if isinstance(error, asyncssh.SFTPConnectionLost | asyncssh.SFTPNoConnection):
        return TryLater("no_answer", name)
    return TryLater("far_end_error", name)


@asynccontextmanager
async def open_depot(
    options: SftpOptions, connector: Connector, clock: Clock
) -> AsyncIterator[Depot]:
    """Open a session within `clock`, which is already running. Raises DepotFailed."""
    parts = urlsplit(options.url)
    host, port = parts.hostname or "", parts.port or 22
    try:
        async with connector.connection(host, port) as connected:
            connection = await asyncssh.connect(
                host,
                port,
                sock=connected,
                config=None,
                username=unquote(parts.username or ""),
                known_hosts=_known(options),
                client_keys=_keys(options),
                password=options.password.get_secret_value() if options.password else None,
                agent_path=None,
                gss_host=None,
                connect_timeout=None,
                login_timeout=connector.timeout,
            )
            try:
                # One name that is no UTF-8 would make the whole folder unreadable.
                async with connection.start_sftp_client(path_errors="surrogateescape") as client:
                    yield Depot(client, clock)
            finally:
                connection.abort()
    except Unreached as error:
        raise DepotFailed(error.outcome) from None
    except asyncssh.HostKeyNotVerifiable:
        raise DepotFailed(Misconfigured("unknown_host_key")) from None
    except asyncssh.PermissionDenied:
        raise DepotFailed(Misconfigured("access_denied", "the login is refused")) from None
    except asyncssh.SFTPError as error:
        raise DepotFailed(outcome_of(error)) from None
    except (asyncssh.Error, ConnectionError, asyncio.IncompleteReadError) as error:
        raise DepotFailed(TryLater("unreachable", type(error).__name__)) from None


def _known(
    options: SftpOptions,
) -> tuple[Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey]]:
    try:
        return [asyncssh.import_public_key(one) for one in options.host_keys], [], []
    except asyncssh.KeyImportError:
        raise DepotFailed(Misconfigured("unknown_host_key", "host_keys is unreadable")) from None


def _keys(options: SftpOptions) -> list[asyncssh.SSHKey] | None:
    if options.key is None:
        return None
    try:
        return [asyncssh.import_private_key(options.key.get_secret_value())]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise DepotFailed(Misconfigured("unusable_key", type(error).__name__)) from None


__all__ = [
    "Depot",
    "DepotFailed",
    "Entry",
    "NotThere",
    "errors_translated",
    "open_depot",
    "outcome_of",
]
