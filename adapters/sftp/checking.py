"""`check`: does the server fit the options? Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.sftp.depot import Depot, DepotFailed, NotThere, open_depot
from adapters.sftp.options import SftpOptions
from adapters.sftp.texts import say
from gateway.sdk import Clock, Connector, Misconfigured, Note, TryLater


async def check_depot(
    options: SftpOptions, connector: Connector, *, production: bool
) -> Sequence[Note]:
    notes: list[Note] = []
    clock = Clock(connector.timeout)
    folders = [options.folder, *options.moved_to]
    if options.returns is not None:
        folders.append(options.returns.folder)
    try:
        async with clock, open_depot(options, connector, clock) as depot:
            notes += [await _folder(depot, name) for name in folders]
    except DepotFailed as error:
        notes.append(Note.fault(say("sftp"), error.outcome, aloud=not production))
    except TimeoutError:
        if not clock.over:
            raise
        notes.append(Note.fault(say("sftp"), TryLater("timeout", "no answer in time")))
    if options.removed:
        notes.append(Note("warning", say("lost_reply_files")))
    if options.service is None:
        notes.append(Note("warning", say("no_service_named")))
    if options.returns is None:
        notes.append(Note("warning", say("no_returns")))
    return notes


async def _folder(depot: Depot, name: str) -> Note:
    try:
        return Note("ok", say("remote_folder", name=name, count=len(await depot.entries(name))))
    except NotThere:
        return Note.fault(say("sftp"), Misconfigured("no_such_remote_folder", name))


__all__ = ["check_depot"]
