"""A database that was restored from a backup: what it holds to be done may have been done since."""

from __future__ import annotations

from pathlib import Path

from gateway.core.delivery import State
from gateway.store import backup
from tests.flow.rig import Rig


async def test_what_was_sent_after_the_backup_is_not_sent_again(rig: Rig, tmp_path: Path) -> None:
    """In the backup a request waits to be sent; its GRU has received it since."""
    async with rig.gateway(run=False):
        _, request = await rig.send()
        copy = tmp_path / "copy.db"
        backup.copy(Path(str(rig.database.engine.url.database)), copy)
        rig.start()
        await rig.state(request, State.DONE)
    assert rig.line.count("POST", "/api/tickets") == 1

    rig.database.close()
    rig.database = type(rig.database)(f"sqlite:///{copy}", rig.database.sealer)
    assert await rig.database.write(backup.doubt, rig.clock()) == 1
    async with rig.gateway():
        rig.advance(60)
        done = await rig.state(request, State.DONE)
    assert done.reason == "found"
    assert rig.line.count("POST", "/api/tickets") == 1
    assert len(rig.gru.tickets) == 1
