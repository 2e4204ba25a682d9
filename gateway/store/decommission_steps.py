"""The moves of a decommission from one step to the next, each with all that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection

from gateway.core.decommission import DecommissionStep
from gateway.core.lane_name import PortalLane
from gateway.store import decommissions, departed, departing
from gateway.store.decommissions import Decommission
from gateway.store.outbox import lanes


def close(connection: Connection, one: Decommission, codes: tuple[str, ...], now: datetime) -> bool:
    """Move on to taking nothing any more, for none of the commune's codes."""
    moved = decommissions.advance(connection, one, DecommissionStep.DRAINING, now)
    if moved:
        decommissions.note_codes(connection, one, codes)
    return moved


def begin_telling(connection: Connection, one: Decommission, now: datetime) -> bool:
    """Move on to telling the portal: nothing goes to a GRU from here on. The lane to the portal
    goes, also where a person had paused the commune."""
    moved = decommissions.advance(connection, one, DecommissionStep.TELLING, now)
    if moved:
        departing.pause_grus(connection, one.commune)
        for portal in {one.portal, *departing.portals_of(connection, one.commune)}:
            lanes.resume(connection, str(PortalLane(portal, one.commune)), now)
    return moved


def settle_some(
    connection: Connection,
    one: Decommission,
    new_id: Callable[[], str],
    now: datetime,
    after: str,
    limit: int,
) -> str | None:
    """Settle some requests, and count it; return the last id, None for none."""
    done = departing.settle(connection, one.commune, one.name, new_id, now, after, limit)
    if done is None:
        return None
    decommissions.count(connection, one, done.numbers)
    return done.last


def begin_erasing(connection: Connection, one: Decommission, now: datetime) -> bool:
    """Move on to deleting: what is looked for in the end is put aside, and no release runs."""
    told = departing.count_told(connection, one.commune)
    if not decommissions.advance(connection, one, DecommissionStep.ERASING, now, told):
        return False
    departed.store_markers(connection, one.id, one.commune)
    departing.withdraw_release(connection, one.commune, now)
    return True


def delete_some(connection: Connection, one: Decommission, after: str, limit: int) -> str | None:
    """Delete some requests, and count it; return the last id, None for none."""
    done = departed.delete_requests(connection, one.commune, one.id, after, limit)
    if done is None:
        return None
    decommissions.count(connection, one, done.numbers)
    return done.last


def delete_rest(connection: Connection, one: Decommission) -> None:
    """Delete what is there beside requests, and count it."""
    numbers = departed.delete_rest(connection, one.commune, one.codes)
    decommissions.count(connection, one, numbers)


def end(connection: Connection, one: Decommission, now: datetime, counts: dict[str, int]) -> bool:
    """End it, with these numbers."""
    departed.forget_markers(connection, one.id)  # its key goes with the next keys
    counts = counts | {"kept": departed.kept(connection, one.commune)}
    return decommissions.advance(connection, one, DecommissionStep.ENDED, now, counts)
