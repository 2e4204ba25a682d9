"""Applies and signs releases, of one commune or of many: each act is one transaction, which a
running daemon sees as one change.

A commune that cannot go stops no other, unless all must go together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.catalogue.release import BadRelease, Release, read_stored
from gateway.contracts import gate
from gateway.contracts.passing import ContractOutcome
from gateway.contracts.planning import (
    ALL,
    CommuneChoice,
    CommunePlan,
    PlanState,
    ReleaseFiles,
    plan,
)
from gateway.contracts.texts import say
from gateway.contracts.urgent import beyond_addresses
from gateway.core.errors import Conflict, NotFound, file_line
from gateway.core.messages import Message
from gateway.store import applied, releases, running_releases
from gateway.store.engine import Store
from gateway.store.releases import ContractRun, Signature, UrgentActivation
from gateway.store.running_releases import RunningRelease

#: Plays the contracts of some communes, without those that are known to pass.
Plays = Callable[[Collection[str], Set[str]], Awaitable[Mapping[str, ContractOutcome]]]
Now = Callable[[], datetime]
#: Nothing to apply: it runs already.
_RUNS = (PlanState.SAME, PlanState.URGENT)
_GOES_ON = (*_RUNS, PlanState.GONE)


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The result for one commune. `missing` is empty when the release is active now."""

    commune: str
    name: str
    state: PlanState
    digest: str | None
    done: bool
    unsigned: bool
    missing: tuple[Message, ...]
    changes: tuple[str, ...]
    #: Matters of operation, which need no agreement and run as the file says now.
    operation: tuple[str, ...] = ()


async def apply(
    store: Store,
    files: ReleaseFiles,
    plays: Plays,
    now: Now,
    *,
    choice: CommuneChoice = ALL,
    dev: bool = False,
    together: bool = False,
    urgency: tuple[str, str] | None = None,
) -> list[ApplyResult]:
    """Activate releases that are signed and pass their contracts, of all communes or of those
    chosen.

    Plays only what is signed. `dev` activates unfit releases too, and records that. `together`: all
    go, or none. `urgency` (who, why): an unsigned release that differs from the signed one in
    addresses alone goes, and this is recorded. Raises NotFound for a choice that matches nothing.
    """
    planned = await plan(store, files, choice)
    urgent, beyond = await _urgent(store, planned, urgency)
    due = {
        one.commune: one.release
        for one in planned
        if one.release is not None
        and one.state not in _RUNS
        and (one.signatures or dev or one.commune in urgent)
    }
    outcomes: Mapping[str, ContractOutcome] = {}
    if due:
        known = (await store.read(releases.ledger)).contracts
        outcomes = await plays(tuple(due), known)
    missing = {
        one.commune: _missing(one, outcomes.get(one.commune), agreed=one.commune in urgent)
        + beyond.get(one.commune, ())
        for one in planned
    }
    stopped = [one for one in planned if missing[one.commune] and one.state not in _GOES_ON]
    going = (
        {}
        if together and stopped and not dev
        else {insee: release.digest for insee, release in due.items() if dev or not missing[insee]}
    )
    runs = [
        ContractRun(
            due[insee].digest,
            insee,
            not one.failures,
            tuple(failure.told("fr") for failure in one.failures),
            now(),
            tuple(one.passed),
        )
        for insee, one in outcomes.items()
    ]
    for insee, release in due.items():
        await store.write(releases.store, insee, release.digest, release.content(), now())
    # Matters of operation run as applied, whatever else changed.
    texts = {
        one.commune: one.release.files[one.release.commune_file]
        for one in planned
        if one.release is not None and (one.state in _RUNS or one.commune in going)
    }
    hurried = {insee: one for insee, one in urgent.items() if insee in going}
    await store.write(applied.apply, runs, going, texts, now(), dev=dev, urgent=hurried)
    for insee in due.keys() - going.keys() if together else ():
        if not missing[insee]:
            missing[insee] = (say("held_back", count=len(stopped)),)
    return [
        _result(one, missing[one.commune], active=one.commune in going, dev=dev) for one in planned
    ]


async def _urgent(
    store: Store, planned: Sequence[CommunePlan], urgency: tuple[str, str] | None
) -> tuple[dict[str, UrgentActivation], dict[str, tuple[Message, ...]]]:
    """Return the urgent releases, and what keeps others from the urgent path, by commune."""
    if urgency is None:
        return {}, {}
    unsigned = {
        one.commune: one.release
        for one in planned
        if one.release is not None and one.state is PlanState.CHANGED and not one.signatures
    }
    bases = await gate.signed_basis(store, await store.read(releases.ledger), unsigned)
    found: dict[str, UrgentActivation] = {}
    beyond: dict[str, tuple[Message, ...]] = {}
    for insee, release in unsigned.items():
        if insee not in bases:
            beyond[insee] = (say("urgent_unsigned"),)
        elif more := beyond_addresses(bases[insee], release):
            beyond[insee] = (say("urgent_beyond", places=tuple(more)),)
        else:
            found[insee] = UrgentActivation(*urgency, bases[insee].digest)
    return found, beyond


def _missing(
    one: CommunePlan, outcome: ContractOutcome | None, *, agreed: bool
) -> tuple[Message, ...]:
    """List what keeps a commune from going, a sentence each."""
    if one.state is PlanState.SAME:
        return ()
    if one.release is None and one.faults:
        return one.missing
    if one.release is None:
        return (say("file_gone_runs", commune=one.commune),)
    failures = [] if outcome is None else outcome.failures
    found = [say("contract_says", failure=failure) for failure in failures]
    if not one.signatures and not agreed:
        found.append(say("agreement_due", release=one.release.short, commune=one.commune))
    return tuple(found)


def _result(
    one: CommunePlan, missing: tuple[Message, ...], *, active: bool, dev: bool
) -> ApplyResult:
    digest = None if one.release is None else one.release.digest
    changes = tuple(dict.fromkeys(f"{file_line(d.file, d.line)} {d.path}" for d in one.differences))
    done = active or one.state in _GOES_ON
    unsigned = dev and active and bool(missing)
    operation = one.operation if active or one.state in _RUNS else ()
    return ApplyResult(
        one.commune, one.name, one.state, digest, done, unsigned, missing, changes, operation
    )


# --- signing ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SigningResult:
    """The result of signing for one commune: the release, or why it was not signed."""

    commune: str
    name: str
    release: Release | None
    why: Message | None = None


async def sign(
    store: Store, agreement: Signature, files: ReleaseFiles, choice: CommuneChoice
) -> list[SigningResult]:
    """Record the agreement of the chosen communes to their files' releases: one act.

    A commune that is one of many signs nothing twice. `agreement.commune` and `.digest` are filled
    in for each; a digest (its beginning is enough) means that release, stored or of the files, of
    one commune.

    Raises NotFound, and Conflict for a digest that fits several or is another commune's.
    """
    if agreement.digest:
        (insee,) = choice.communes
        meant = await _fitting(store, insee, agreement.digest, files.releases.get(insee))
        await _sign(store, agreement, [meant])
        return [SigningResult(insee, meant.name, meant)]
    done: list[SigningResult] = []
    for one in await plan(store, files, choice):
        release, why = one.release, None
        if release is None:
            why = one.missing[0] if one.missing else say("file_gone")
        elif one.signatures and one.commune not in choice.communes:
            why = say("agreed_already", by=one.signatures[-1].by, release=release.short)
        done.append(SigningResult(one.commune, one.name, None if why else release, why))
    await _sign(store, agreement, [one.release for one in done if one.release is not None])
    return done


async def _sign(store: Store, agreement: Signature, chosen: Sequence[Release]) -> None:
    for release in chosen:
        content = release.content()
        await store.write(releases.store, release.commune, release.digest, content, agreement.at)
    signatures = [replace(agreement, digest=one.digest, commune=one.commune) for one in chosen]
    if signatures:
        await store.write(releases.sign, signatures)


async def _fitting(store: Store, insee: str, wanted: str, planned: Release | None) -> Release:
    """Return the commune's release whose digest begins so, of its files or stored."""
    if planned is not None and planned.digest.startswith(wanted):
        release = planned
    else:
        ledger = await store.read(releases.ledger)
        fitting = [digest for digest in ledger.kept if digest.startswith(wanted)]
        if len(fitting) > 1:
            raise Conflict(say("several_releases", wanted=wanted, count=len(fitting)))
        stored = await store.read(releases.contents, fitting)
        if not stored:
            if planned is None:
                raise NotFound(say("no_release_of", wanted=wanted, commune=insee))
            mine = planned.short
            raise NotFound(say("no_release_files", wanted=wanted, commune=insee, release=mine))
        try:
            release = read_stored(stored, fitting[0])
        except BadRelease as error:
            raise Conflict(say("release_says", release=wanted, said=error.said)) from None
    if release.commune != insee:
        other = release.commune
        raise Conflict(say("release_of_other", release=release.short, other=other, commune=insee))
    return release


async def heard(
    store: Store, made: Mapping[str, str | None], patience: float
) -> dict[str, RunningRelease]:
    """Ask a daemon, for `patience` seconds at most, about digests that were just activated. Nothing
    when none runs."""
    words: dict[str, RunningRelease] = {}
    end = time.monotonic() + patience
    while made:
        found = await store.read(running_releases.get_all)
        words = {insee: word for insee, word in found.items() if word.digest == made.get(insee)}
        if not found or words.keys() == made.keys() or time.monotonic() >= end:
            break
        await asyncio.sleep(0.2)
    return words
