"""Erasures as a reader may see them: who sees all sees each, an agent what their communes owe."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.console.sight import MOST, Sight
from gateway.core.erasure import Phase
from gateway.core.errors import NotFound
from gateway.store import console, erasures, trail_pages
from gateway.store.trail_pages import TrailFilter

#: The act of agreeing, in the trail of people; and acts of one account that are read.
APPROVE: Final = "erasure.approve"
_ACTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class CommuneReceipt:
    """The end of one request of an erasure at its commune. `answer` is empty while that is
    awaited (`open`), and where it was never sent there."""

    request: str
    insee: str
    commune: str
    gru: str
    open: bool
    state: str
    reason: str
    answer: str
    ground: str
    until: datetime | None
    at: datetime | None
    by: str


@dataclass(frozen=True, slots=True)
class ErasureLine:
    """The erasure of one person, who is named nowhere."""

    id: str
    run: str
    source: str
    phase: str
    reason: str
    found_at: datetime
    due_at: datetime | None
    erased_at: datetime | None
    closed_at: datetime | None
    first_by: str
    second_by: str
    because: str
    requests: int
    files: int
    receipts: tuple[CommuneReceipt, ...]


async def erasures_of(sight: Sight, *, everything: bool = False) -> list[ErasureLine]:
    """List the erasures that are not over, or all, the last one first. Raises Unavailable."""

    def read(connection: Any) -> list[Any]:
        found = erasures.listing(connection, everything=everything, limit=MOST)
        return [(one, erasures.targets(connection, one.id)) for one in found]

    rows = await sight.engine.store.read(read)
    lines = [_line(sight, one, targets) for one, targets in rows]
    return [one for one in lines if sight.reader.grant.sees_all or one.receipts]


async def erasure_of(sight: Sight, which: str) -> ErasureLine:
    """Return an erasure. Raises NotFound for what is not there, or of none of the reader's."""
    store = sight.engine.store
    found = await store.read(erasures.get, which)
    if found is None:
        raise NotFound("no such erasure")
    line = _line(sight, found, await store.read(erasures.targets, which))
    if not (sight.reader.grant.sees_all or line.receipts):
        raise NotFound("no such erasure")
    return line


def _line(sight: Sight, one: Any, targets: Collection[Any]) -> ErasureLine:
    """Return an erasure. Of one that other communes have part in an agent learns no word of
    people, which may name these."""
    sees_all = sight.reader.grant.sees_all
    receipts = tuple(_receipt(sight, row) for row in targets if sight.sees(row.commune))
    return ErasureLine(
        id=one.id,
        run=one.run,
        source=one.source,
        phase=one.state.value,
        reason=one.reason,
        found_at=one.found_at,
        due_at=one.due_at,
        erased_at=one.erased_at,
        closed_at=one.closed_at,
        first_by=(one.first_by or "") if sees_all else "",
        second_by=(one.second_by or "") if sees_all else "",
        because=(one.because or "") if sees_all else "",
        requests=one.requests if sees_all else len(receipts),
        files=one.files if sees_all else 0,
        receipts=receipts if one.state is not Phase.HELD or sees_all else (),
    )


def _receipt(sight: Sight, row: Any) -> CommuneReceipt:
    sent = row.delivery_id is not None
    return CommuneReceipt(
        request=row.request_id,
        insee=row.commune,
        commune=sight.name_of(row.commune),
        gru=row.gru,
        open=sent and row.acknowledged_at is None,
        state=row.delivery_state or "",
        reason=row.delivery_reason or "",
        answer=row.answer or "",
        ground=row.ground or "",
        until=row.until,
        at=row.acknowledged_at,
        by=row.acknowledged_by or "",
    )


async def certificate_of(sight: Sight, which: str) -> tuple[Any, Any]:
    """Return what a certificate is made of, for who sees all. Raises NotFound."""
    store = sight.engine.store
    found = await store.read(erasures.get, which)
    if found is None or not sight.reader.grant.sees_all:
        raise NotFound("no such erasure")
    return found, await store.read(erasures.targets, which)


async def held_under(sight: Sight, target: str) -> list[ErasureLine]:
    """List what is held of a run, or the one erasure. Raises NotFound."""
    lines = await erasures_of(sight)
    found = [one for one in lines if one.phase == Phase.HELD.value and target in (one.id, one.run)]
    if not found or not sight.reader.grant.sees_all:
        raise NotFound("nothing of it is held")
    return found


async def has_approved(sight: Sight, held: Collection[ErasureLine]) -> bool:
    """Has the reader's account agreed to any of these already, whatever name it had then?"""
    account = sight.reader.account
    wanted = TrailFilter([console.STREAM], naming=[account])
    found = await sight.engine.store.read(trail_pages.last_entries, wanted, _ACTS)
    targets = {
        entry.data.get("target")
        for entry in found
        if entry.kind == APPROVE and entry.data.get("account") == account
    }
    return any(one.id in targets or one.run in targets for one in held)


__all__ = ["APPROVE", "CommuneReceipt", "ErasureLine", "certificate_of", "erasure_of"]
__all__ += ["erasures_of", "has_approved", "held_under"]
