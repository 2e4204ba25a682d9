"""Releases as a reader may see them: what runs for their communes, what is offered, and what that
would change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.catalogue.release import BadRelease, Release, read_stored
from gateway.console.sight import Sight
from gateway.contracts.difference import Difference, Effect, differences, effects
from gateway.core.errors import NotFound
from gateway.store import releases
from gateway.store.releases import Activation, ReleaseLedger, Signature

#: Changes of one release, and former releases of a commune, that are shown.
MOST_CHANGES: Final = 200
_FORMER: Final = 20
#: Of a digest, to name a release by.
SHORT: Final = 12


@dataclass(frozen=True, slots=True)
class ReleaseAgreement:
    """A commune's word on a release."""

    by: str
    function: str
    means: str
    date: str
    note: str


@dataclass(frozen=True, slots=True)
class ReleasePart:
    """A release of a commune. `since`: when it began to run; None: it is offered. `passed` None:
    its contracts were never played. `target` names it to an act."""

    digest: str
    target: str
    since: datetime | None
    unsigned: bool
    urgent: str
    agreements: tuple[ReleaseAgreement, ...]
    passed: bool | None
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReleaseChanges:
    """The changes that a release brings to what runs: in the files, and in what leaves for the
    cases. `fault`: why they cannot be told. `more`: there are further ones."""

    files: tuple[Difference, ...]
    cases: tuple[Effect, ...]
    fault: str
    more: bool


@dataclass(frozen=True, slots=True)
class ReleaseBook:
    """The state of releases; `communes` are those of the stored ones, by digest, in order."""

    ledger: ReleaseLedger
    communes: Mapping[str, str]


async def release_book(sight: Sight) -> ReleaseBook:
    """Return the state of releases: of all communes, so show those of `towns` alone."""

    def read(connection: Any) -> dict[str, str]:
        found = releases.entries(connection)
        return {
            str(one.data.get("digest")): str(one.data.get("commune"))
            for one in found
            if one.kind == releases.KEPT
        }

    return ReleaseBook(await sight.ledger(), await sight.engine.store.read(read))


def running(book: ReleaseBook, insee: str) -> ReleasePart | None:
    """Return what runs for a commune."""
    active = book.ledger.active.get(insee)
    return None if active is None else _part(book.ledger, insee, active.digest, active)


def offered(book: ReleaseBook, insee: str) -> ReleasePart | None:
    """Return the last release of a commune that was stored and never ran."""
    ran = {one.digest for one in book.ledger.history.get(insee, ())}
    waits = [d for d, commune in book.communes.items() if commune == insee and d not in ran]
    return _part(book.ledger, insee, waits[-1], None) if waits else None


def former(book: ReleaseBook, insee: str) -> tuple[ReleasePart, ...]:
    """Return what ran for a commune, the last one first."""
    found = book.ledger.history.get(insee, ())[-_FORMER:]
    return tuple(_part(book.ledger, insee, one.digest, one) for one in reversed(found))


def _part(ledger: ReleaseLedger, insee: str, digest: str, active: Activation | None) -> ReleasePart:
    run = ledger.runs.get(digest)
    urgent = None if active is None else active.urgent
    return ReleasePart(
        digest=digest,
        target=f"{insee}:{digest[:SHORT]}",
        since=None if active is None else active.at,
        unsigned=active is not None and active.unsigned,
        urgent="" if urgent is None else f"{urgent.by} : {urgent.why}",
        agreements=tuple(
            ReleaseAgreement(one.by, one.function, one.means, one.date, one.note)
            for one in ledger.signatures.get(digest, ())
        ),
        passed=None if run is None else run.passed,
        failures=() if run is None else run.failures,
    )


def release_named(book: ReleaseBook, insee: str, short: str) -> ReleasePart:
    """Return a commune's release by the beginning of its digest. Raises NotFound."""
    active = book.ledger.active.get(insee)
    for digest, commune in book.communes.items():
        if commune == insee and len(short) >= SHORT and digest.startswith(short):
            runs = active if active is not None and active.digest == digest else None
            return _part(book.ledger, insee, digest, runs)
    raise NotFound("no such release")


async def release_changes(
    sight: Sight, insee: str, before: ReleasePart | None, after: ReleasePart
) -> ReleaseChanges:
    """Compare two releases of a commune of the reader's, beside the loop. Raises NotFound."""
    sight.theirs(insee)
    wanted = [one.digest for one in (before, after) if one is not None]
    stored = await sight.engine.store.read(releases.contents, wanted)
    return await asyncio.to_thread(_compared, stored, insee, before, after)


def _compared(
    stored: Mapping[str, str], insee: str, before: ReleasePart | None, after: ReleasePart
) -> ReleaseChanges:
    try:
        old = None if before is None else read_stored(stored, before.digest, insee)
        new: Release = read_stored(stored, after.digest, insee)
    except BadRelease as error:
        return ReleaseChanges((), (), error.said.told("fr"), False)
    files, cases = differences(old, new), effects(old, new)
    more = len(files) > MOST_CHANGES or len(cases) > MOST_CHANGES
    return ReleaseChanges(files[:MOST_CHANGES], cases[:MOST_CHANGES], "", more)


def agreement(by: str, function: str, means: str, note: str, at: datetime, day: str) -> Signature:
    """Return a commune's word, for the use case that fills in the rest."""
    return Signature("", "", by, function, means, day, note, at)


__all__ = ["ReleaseAgreement", "ReleaseBook", "ReleaseChanges", "ReleasePart", "agreement"]
__all__ += ["former", "offered", "release_book", "release_changes", "release_named", "running"]
