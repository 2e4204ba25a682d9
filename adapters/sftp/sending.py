"""Delivers a folder to the commune's server: whole or not at all, and once."""

from __future__ import annotations

from functools import partial

import asyncssh

from adapters.sftp.depot import Depot, DepotFailed, NotThere, open_depot, outcome_of
from adapters.sftp.options import SftpOptions
from adapters.sftp.packing import MANIFEST, UNFINISHED, Package, reference_in, same_files
from gateway.sdk import (
    PACE,
    Absent,
    Accepted,
    CannotTell,
    Clock,
    Connector,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
    beside,
    cannot_tell,
)

#: Bytes of a manifest that are read.
_MANIFEST = 1_000_000


async def put_down(package: Package, options: SftpOptions, connector: Connector) -> Outcome:
    """Write the folder under an unfinished name, then rename it.

    Before the rename a failure is certain; after it, a lost answer may have been a yes.
    """
    final = f"{options.folder}/{package.name}"
    renaming = False
    clock = Clock(connector.timeout + package.size / PACE)
    try:
        async with clock, open_depot(options, connector, clock) as depot:
            held = await _held(depot, package.name, options)
            if held is not None:
                return await _same(held, package)
            unfinished = f"{final}{UNFINISHED}"
            await depot.make_empty(unfinished)
            for name, content in package.files:
                await depot.write(f"{unfinished}/{name}", content)
            await depot.write(f"{unfinished}/{MANIFEST}", package.manifest)
            connector.leaving()
            renaming = True
            try:
                await depot.rename(unfinished, final)
            except asyncssh.SFTPConnectionLost:
                raise
            except asyncssh.SFTPError as error:
                # A repeated rename fails although the first one was done.
                held = await _held(depot, package.name, options)
                return outcome_of(error) if held is None else await _same(held, package)
            return Accepted(proof={"folder": package.name})
    except NotThere:
        return Misconfigured("no_such_remote_folder", options.folder)
    except (DepotFailed, asyncssh.SFTPError) as error:
        outcome = error.outcome if isinstance(error, DepotFailed) else outcome_of(error)
        return Unsure("no_answer", "the folder was being renamed") if renaming else outcome
    except TimeoutError:
        if not clock.over:
            raise
        if renaming:
            return Unsure("timeout", "the folder was being renamed")
        return TryLater("timeout", "the folder was not written in time")


async def look_for(
    name: str, reference: str, options: SftpOptions, connector: Connector
) -> Finding:
    """Look for the folder where we wrote it, and where the commune moves folders."""
    clock = Clock(connector.timeout)
    try:
        async with clock, open_depot(options, connector, clock) as depot:
            if not await depot.is_there(options.folder):
                return CannotTell("no_such_remote_folder", options.folder)
            held = await _held(depot, name, options)
    except DepotFailed as error:
        return cannot_tell(error.outcome)
    except TimeoutError:
        if not clock.over:
            raise
        return CannotTell("timeout", "no answer in time")
    if held is not None:
        if await beside(len(held), partial(reference_in, held)) == reference:
            return Found()
        return CannotTell("other_bytes", "a folder of that name is another's", forever=True)
    if options.removed:
        return CannotTell("no_find", "the commune takes folders away", forever=True)
    return Absent(options.settle or 0.0)


async def _held(depot: Depot, name: str, options: SftpOptions) -> bytes | None:
    """Return the manifest of the folder, in any of its places; None when there is no such folder.

    A folder without a manifest gives an empty one.
    """
    for folder in (options.folder, *options.moved_to):
        try:
            return await depot.read(f"{folder}/{name}/{MANIFEST}", _MANIFEST)
        except NotThere:
            if await depot.is_there(f"{folder}/{name}"):
                return b""
    return None


async def _same(held: bytes, package: Package) -> Outcome:
    if await beside(len(held), partial(same_files, held, package.manifest)):
        return Accepted(proof={"folder": package.name})
    return Refused("other_bytes", package.name)


__all__ = ["look_for", "put_down"]
