"""The gate: compares the active releases with the trail, and decides what may run.

Nothing runs for a commune unless it passed its contract run and the commune agreed to the very
digest that runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from gateway.catalogue.release import BadRelease, Release, read_stored
from gateway.contracts.leaving import rendered_otherwise
from gateway.contracts.texts import say
from gateway.contracts.urgent import beyond_addresses
from gateway.core.errors import ConfigurationFault, Fault
from gateway.store import decommissions, releases
from gateway.store.engine import Store
from gateway.store.releases import Activation, ReleaseLedger


@dataclass(slots=True)
class KnownReleases:
    """Releases read before, by digest, and those that this gateway renders otherwise."""

    releases: dict[str, Release] = field(default_factory=dict)
    unfit: dict[str, tuple[Fault, ...]] = field(default_factory=dict)


async def active_releases(
    store: Store,
    ledger: ReleaseLedger | None = None,
    known: Mapping[str, Release] = MappingProxyType({}),
) -> tuple[dict[str, Release], list[Fault]]:
    """Return the active releases by commune, with the faults of those left out. Those `known` by
    digest are not read again."""
    if ledger is None:
        ledger = await store.read(releases.ledger)
    active = sorted(ledger.active.items())
    stored = await store.read(releases.contents, {one.digest for _, one in active} - {*known})
    return await asyncio.to_thread(_read, active, stored, known)


def _read(
    active: Sequence[tuple[str, Activation]],
    stored: Mapping[str, str],
    known: Mapping[str, Release],
) -> tuple[dict[str, Release], list[Fault]]:
    found: dict[str, Release] = {}
    faults = []
    for insee, one in active:
        where = releases.place_of(one.digest, insee)
        try:
            found[insee] = known.get(one.digest) or read_stored(stored, one.digest, insee)
        except BadRelease as error:
            faults.append(Fault(where, 0, error.said))
    return found, faults


@dataclass(frozen=True, slots=True)
class RunnableReleases:
    """The active releases by commune, and why some of them cannot be run."""

    releases: Mapping[str, Release]
    unfit: Mapping[str, tuple[Fault, ...]]


async def to_run(store: Store, known: KnownReleases | None = None) -> RunnableReleases:
    """Return the active releases. Unfit are those not signed, not passed, or rendered otherwise by
    this gateway than when they were signed.

    `known` ones are neither read nor rendered again; it then holds what was found. Raises one
    ConfigurationFault when nothing can be believed: a changed content, a broken trail.
    """
    if known is None:
        known = KnownReleases()
    ledger = await store.read(releases.ledger)
    found, faults = await _intact(store, ledger, known.releases or None)
    if faults:
        raise ConfigurationFault(faults)
    fresh = {i: one for i, one in found.items() if one.digest not in known.releases}
    otherwise = await asyncio.to_thread(rendered_otherwise, fresh)
    told = {one.digest: known.unfit.get(one.digest, ()) for one in found.values()}
    told |= {fresh[insee].digest: faults for insee, faults in otherwise.items()}
    known.releases = {one.digest: one for one in found.values()}
    known.unfit = told
    unfit = {insee: told[one.digest] for insee, one in found.items() if told[one.digest]}
    return RunnableReleases(found, {**unfit, **await _unfit(store, ledger, found)})


async def verified(store: Store) -> tuple[dict[str, Release], list[Fault]]:
    """Return the active releases and all faults of releases."""
    ledger = await store.read(releases.ledger)
    found, faults = await _intact(store, ledger)
    unfit = [*(await asyncio.to_thread(rendered_otherwise, found)).values()]
    unfit += (await _unfit(store, ledger, found)).values()
    return found, [*faults, *(fault for one in unfit for fault in one)]


async def _intact(
    store: Store, ledger: ReleaseLedger, known: Mapping[str, Release] | None = None
) -> tuple[dict[str, Release], list[Fault]]:
    """Return the active releases, and the faults of stored contents and of the trail; given `known`
    ones, those of the active contents only."""
    found, faults = await active_releases(store, ledger, known or {})
    told = {fault.file for fault in faults}
    only = None if known is None else {one.digest for one in ledger.active.values()}
    for problem in await store.read(releases.verify, only):
        if problem.file not in told:
            faults.append(problem)
    return found, faults


async def signed_basis(
    store: Store, ledger: ReleaseLedger, communes: Collection[str]
) -> dict[str, Release]:
    """Return by commune the signed and passed release from which the urgent path starts."""
    digests = {insee: digest for insee in communes if (digest := ledger.basis(insee)) is not None}
    stored = await store.read(releases.contents, digests.values()) if digests else {}
    found = {}
    for insee, digest in digests.items():
        with suppress(BadRelease):
            found[insee] = read_stored(stored, digest, insee)
    return found


async def _unfit(
    store: Store, ledger: ReleaseLedger, found: Mapping[str, Release]
) -> dict[str, tuple[Fault, ...]]:
    """Return by commune why active releases cannot be run."""
    hurried = [insee for insee, one in ledger.active.items() if one.urgent and insee in found]
    bases = await signed_basis(store, ledger, hurried)
    agreed = {i for i, basis in bases.items() if not beyond_addresses(basis, found[i])}
    unfit: dict[str, tuple[Fault, ...]] = {}
    for insee, one in sorted(ledger.active.items()):
        where = releases.place_of(one.digest, insee)
        faults = []
        if not ledger.passed(one.digest):
            faults.append(Fault(where, 0, say("runs_unpassed")))
        if not ledger.signed(one.digest) and insee not in agreed:
            faults.append(Fault(where, 0, say("runs_unagreed", commune=insee)))
        if faults:
            unfit[insee] = tuple(faults)
    return unfit


async def adopt(
    store: Store, files: Mapping[str, Release], now: Callable[[], datetime]
) -> list[str]:
    """Activate what the files say, unsigned and not run, but for communes that have left. Return
    the communes concerned. For demonstrations and development: the trail records it as such."""
    ledger = await store.read(releases.ledger)
    left = await store.read(decommissions.departed)
    files = {insee: one for insee, one in files.items() if insee not in left}
    wanted = {}
    for insee, release in files.items():
        running = ledger.active.get(insee)
        if running is None or running.digest != release.digest:
            wanted[insee] = release.digest
            await store.write(releases.store, insee, release.digest, release.content(), now())
    if wanted:
        await store.write(releases.activate, wanted, now(), dev=True)
    ledger = await store.read(releases.ledger)
    return sorted(insee for insee, one in ledger.active.items() if insee in files and one.unsigned)
