"""The gate: what stands between the files and what runs. Plan, apply, roll back, verify.

Nothing comes to run for a commune that has not passed its contract run and been agreed to by that
commune, under the very digest that runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from gateway.catalogue import releases as catalogue_releases
from gateway.catalogue.releases import BadRelease, Release
from gateway.contracts import run as contract_run
from gateway.contracts.difference import Difference, Effect, differences, effects
from gateway.contracts.leaving import rendered_otherwise
from gateway.core.errors import ConfigurationFault, Conflict, Fault, NotFound
from gateway.store import releases
from gateway.store.engine import Store
from gateway.store.releases import Activation, Ledger, Run, Signature

#: Runs a commune's contracts on a bundle; what fails, a sentence each.
Runner = Callable[[str, Mapping[str, str]], Awaitable[Sequence[str]]]


class State(StrEnum):
    """What applying would do for a commune."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    #: It runs already (`--dev`), without the commune's agreement or a run that passed.
    UNSIGNED = "unsigned"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Planned:
    """One commune: what its files would release, against what runs."""

    commune: str
    name: str
    state: State
    release: Release | None
    active: Release | None
    signatures: tuple[Signature, ...]
    run: Run | None
    differences: tuple[Difference, ...]
    effects: tuple[Effect, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """What stands in the way, a sentence each."""
        if self.release is None or self.state is State.SAME:
            return ()
        found = []
        if self.run is None:
            found.append("its contract run")
        elif not self.run.passed:
            found.append("a contract run that passes")
        if not self.signatures:
            found.append(f"the commune's agreement to {self.release.short} (release sign)")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of one commune. `missing` is empty where the release is active now."""

    commune: str
    name: str
    state: State
    digest: str | None
    done: bool
    unsigned: bool
    missing: tuple[str, ...]
    changes: tuple[str, ...]


async def contract_runner(commune: str, bundle: Mapping[str, str]) -> Sequence[str]:
    """A commune's contracts run offline, against the real code."""
    report = await contract_run.run(bundle, commune=commune, weak=False)
    return report.failures()


async def plan(store: Store, files: Mapping[str, Release]) -> list[Planned]:
    """What applying `files` (by commune) would change, commune by commune. Writes nothing."""
    ledger = await store.read(releases.ledger)
    active, _ = await active_releases(store, ledger)
    return [
        _planned(insee, files.get(insee), active.get(insee), ledger)
        for insee in sorted({*files, *ledger.active})
    ]


def _planned(
    insee: str, release: Release | None, active: Release | None, ledger: Ledger
) -> Planned:
    running = ledger.active.get(insee)
    if release is None:
        state = State.GONE
    elif running is None:
        state = State.NEW
    else:
        fit = ledger.passed(release.digest) and ledger.signed(release.digest)
        same = State.SAME if fit and not running.unsigned else State.UNSIGNED
        state = same if running.digest == release.digest else State.CHANGED
    digest = "" if release is None else release.digest
    one = release or active
    return Planned(
        commune=insee,
        name=insee if one is None else one.name,
        state=state,
        release=release,
        active=active,
        signatures=ledger.signatures.get(digest, ()),
        run=ledger.runs.get(digest),
        differences=differences(active, release) if state is State.CHANGED else (),
        effects=effects(active, release) if state is State.CHANGED else (),
    )


@dataclass(slots=True)
class Known:
    """What was read before, by digest: the release, and what this gateway renders otherwise."""

    releases: dict[str, Release] = field(default_factory=dict)
    unfit: dict[str, tuple[Fault, ...]] = field(default_factory=dict)


async def active_releases(
    store: Store, ledger: Ledger | None = None, known: Mapping[str, Release] = MappingProxyType({})
) -> tuple[dict[str, Release], list[Fault]]:
    """The releases that are active, by commune, with what is wrong with those left out. Those that
    are `known` by their digest are not read again."""
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
        where = f"release {one.digest[:12]} of {insee}"
        if one.digest not in stored and one.digest not in known:
            faults.append(Fault(where, 0, "its content is not in the database"))
            continue
        try:
            release = known.get(one.digest) or catalogue_releases.read(stored[one.digest])
        except BadRelease as error:
            faults.append(Fault(where, 0, str(error)))
            continue
        if release.digest != one.digest or release.commune != insee:
            remedy = "restore the database from a backup, or sign and apply the files anew"
            faults.append(Fault(where, 0, "its content does not match its digest", remedy))
            continue
        found[insee] = release
    return found, faults


@dataclass(frozen=True, slots=True)
class ToRun:
    """The active releases by commune, and what keeps those of some from being run."""

    releases: Mapping[str, Release]
    unfit: Mapping[str, tuple[Fault, ...]]


async def to_run(store: Store, known: Known | None = None) -> ToRun:
    """The active releases; those that are not signed, did not pass, or are rendered otherwise by
    this gateway than when they were signed, are unfit. What is `known` is not read nor rendered
    again; it is what was found this time afterwards.

    Raises one ConfigurationFault where nothing can be believed: contents that were tampered with,
    a trail that is broken.
    """
    if known is None:
        known = Known()
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
    return ToRun(found, {**unfit, **_unfit(ledger)})


async def verified(store: Store) -> tuple[dict[str, Release], list[Fault]]:
    """The active releases and everything that is wrong with releases at all."""
    ledger = await store.read(releases.ledger)
    found, faults = await _intact(store, ledger)
    unfit = [*(await asyncio.to_thread(rendered_otherwise, found)).values()]
    unfit += _unfit(ledger).values()
    return found, [*faults, *(fault for one in unfit for fault in one)]


async def _intact(
    store: Store, ledger: Ledger, known: Mapping[str, Release] | None = None
) -> tuple[dict[str, Release], list[Fault]]:
    """The active releases, and what is wrong with stored contents or the trail; where some are
    `known`, with the contents of the active ones alone."""
    found, faults = await active_releases(store, ledger, known or {})
    told = {fault.file for fault in faults}
    only = None if known is None else {one.digest for one in ledger.active.values()}
    for problem in await store.read(releases.verify, only):
        where, _, what = problem.partition(": ")
        if where not in told:
            faults.append(Fault(where, 0, what))
    return found, faults


def _unfit(ledger: Ledger) -> dict[str, tuple[Fault, ...]]:
    """What keeps active releases from being run, by commune."""
    unfit: dict[str, tuple[Fault, ...]] = {}
    for insee, one in sorted(ledger.active.items()):
        where = f"release {one.digest[:12]} of {insee}"
        faults = []
        if not ledger.passed(one.digest):
            remedy = "release apply, or serve --dev where nothing is at stake"
            faults.append(Fault(where, 0, "it runs without a contract run that passed", remedy))
        if not ledger.signed(one.digest):
            remedy = f"release sign {insee}, or serve --dev where nothing is at stake"
            faults.append(Fault(where, 0, "it runs without the commune's agreement", remedy))
        if faults:
            unfit[insee] = tuple(faults)
    return unfit


async def apply(
    store: Store,
    files: Mapping[str, Release],
    bundle: Mapping[str, str],
    run: Runner,
    now: Callable[[], datetime],
    *,
    only: Collection[str] = (),
    dev: bool = False,
) -> list[Applied]:
    """Run the contracts of what changed and make active what passed and is signed.

    One commune's refusal hinders no other. `dev` makes active what is not fit, too, and writes down
    that it did. `only` names communes (NotFound for one that there is not); a commune whose file is
    gone is withdrawn only when it is named.
    """
    planned = await plan(store, files)
    unknown = sorted(set(only) - {one.commune for one in planned})
    if unknown:
        raise NotFound(f"no such commune: {', '.join(unknown)}")
    done = []
    for one in planned:
        if only and one.commune not in only:
            continue
        if one.release is None:
            done.append(await _withdraw(store, one, now, named=one.commune in only))
        elif one.state is State.SAME:
            done.append(_told(one, done=True, unsigned=not one.signatures))
        else:
            done.append(await _apply(store, one, one.release, bundle, run, now, dev=dev))
    return done


async def _apply(
    store: Store,
    one: Planned,
    release: Release,
    bundle: Mapping[str, str],
    run: Runner,
    now: Callable[[], datetime],
    *,
    dev: bool,
) -> Applied:
    try:
        failures = tuple(await run(one.commune, bundle))
    except ConfigurationFault as error:  # cases that do not parse are those of this commune alone
        failures = tuple(map(str, error.faults))
    content = release.content()
    ran = Run(release.digest, one.commune, not failures, failures, now())
    await store.write(releases.record_run, ran, content)
    missing = [f"contract: {failure}" for failure in failures]
    if not one.signatures:
        missing.append(f"the commune's agreement to {release.short} (release sign {one.commune})")
    if missing and not dev:
        return _told(one, done=False, unsigned=False, missing=tuple(missing))
    try:
        made = await store.write(
            releases.activate, one.commune, release.digest, content, now(), dev=dev
        )
    except Conflict as error:
        return _told(one, done=False, unsigned=False, missing=(str(error),))
    return _told(one, done=True, unsigned=made.unsigned, missing=tuple(missing))


async def _withdraw(
    store: Store, one: Planned, now: Callable[[], datetime], *, named: bool
) -> Applied:
    if not named:
        hint = f"its file is gone; it goes on running until: release apply --commune {one.commune}"
        return _told(one, done=True, unsigned=False, missing=(hint,))
    await store.write(releases.withdraw, one.commune, now())
    return _told(one, done=True, unsigned=False)


def _told(one: Planned, *, done: bool, unsigned: bool, missing: tuple[str, ...] = ()) -> Applied:
    digest = None if one.release is None else one.release.digest
    changes = tuple(dict.fromkeys(f"{d.file}:{d.line} {d.path}" for d in one.differences))
    return Applied(one.commune, one.name, one.state, digest, done, unsigned, missing, changes)


async def adopt(
    store: Store, files: Mapping[str, Release], now: Callable[[], datetime]
) -> list[str]:
    """Make active whatever the files say, unsigned and not run; the communes that this is so for.

    For a demonstration and for development: what runs is then written down as what it is.
    """
    ledger = await store.read(releases.ledger)
    for insee, release in files.items():
        running = ledger.active.get(insee)
        if running is None or running.digest != release.digest:
            await store.write(
                releases.activate, insee, release.digest, release.content(), now(), dev=True
            )
    ledger = await store.read(releases.ledger)
    return sorted(insee for insee, one in ledger.active.items() if insee in files and one.unsigned)


async def sign(
    store: Store,
    signature: Signature,
    files: Mapping[str, Release],
) -> Release:
    """Record a commune's agreement to `signature.digest`, which may be cut short.

    It must be what the files would release, or a release that is kept already. Raises NotFound,
    and Conflict for a digest that fits several or belongs to another commune.
    """
    insee, wanted = signature.commune, signature.digest
    planned = files.get(insee)
    if planned is not None and planned.digest.startswith(wanted):
        release = planned
    else:
        ledger = await store.read(releases.ledger)
        fitting = [digest for digest in ledger.kept if digest.startswith(wanted)]
        if len(fitting) > 1:
            raise Conflict(
                f"{wanted} is the beginning of {len(fitting)} releases: write more of it"
            )
        stored = await store.read(releases.contents, fitting)
        if not stored:
            now_is = "" if planned is None else f"; its files make {planned.short}"
            raise NotFound(f"there is no release {wanted} of {insee}{now_is}")
        release = catalogue_releases.read(next(iter(stored.values())))
        if release.digest != fitting[0]:
            raise Conflict(f"release {wanted}: its content does not match its digest")
    if release.commune != insee:
        raise Conflict(f"release {release.short} is that of {release.commune}, not of {insee}")
    full = Signature(
        release.digest,
        insee,
        signature.by,
        signature.function,
        signature.means,
        signature.date,
        signature.note,
        signature.at,
    )
    await store.write(releases.sign, full, release.content())
    return release


async def roll_back(
    store: Store,
    commune: str,
    now: Callable[[], datetime],
    fits: Callable[[Release], None],
) -> tuple[Release, Activation]:
    """Go back to what last ran before, signed and passed as it was.

    `fits` raises ConfigurationFault when it cannot be built today. Raises NotFound when there is
    nothing to go back to, and Conflict.
    """
    ledger = await store.read(releases.ledger)
    previous = ledger.previous(commune)
    if previous is None:
        raise NotFound(f"{commune} has no earlier release, signed and passed, to go back to")
    stored = await store.read(releases.contents, [previous.digest])
    try:
        release = catalogue_releases.read(stored.get(previous.digest, ""))
    except BadRelease as error:
        raise Conflict(f"release {previous.digest[:12]}: {error}") from None
    if release.digest != previous.digest:
        raise Conflict(f"release {previous.digest[:12]}: its content does not match its digest")
    fits(release)
    made = await store.write(releases.roll_back, commune, release.digest, now())
    return release, made
