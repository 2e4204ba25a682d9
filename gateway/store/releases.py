"""Releases in the database: each digest's content, and what was done with it.

The trail of the stream `release` is the one truth: who agreed, what passed and what runs is read
from it each time, and stored nowhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, insert, select

from gateway.core.errors import Conflict, Fault, NotFound
from gateway.store import decommissions, trail
from gateway.store.release_tables import RELEASE
from gateway.store.texts import say
from gateway.store.trail import TrailEntry

STREAM = "release"
KEPT, SIGNED, REVOKED, RAN, APPLIED, ROLLED_BACK, WITHDRAWN, SET = (
    "kept",
    "signed",
    "revoked",
    "ran",
    "applied",
    "rolled_back",
    "withdrawn",
    "set",
)


@dataclass(frozen=True, slots=True)
class Signature:
    """A commune's agreement to a digest: who, as what, by what means, when (a date), a note."""

    digest: str
    commune: str
    by: str
    function: str
    means: str
    date: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ContractRun:
    """A contract run of a digest. `failures` are sentences; `contracts` are those that passed, each
    by the digest of all that it depends on."""

    digest: str
    commune: str
    passed: bool
    failures: tuple[str, ...]
    at: datetime
    contracts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UrgentActivation:
    """A release that ran before its commune signed: by whom, why, and the signed one (`basis`),
    from which only addresses differ."""

    by: str
    why: str
    basis: str


@dataclass(frozen=True, slots=True)
class Activation:
    """A release that began to run for a commune. `unsigned`: without its agreement (`--dev`).

    `urgent`: in an outage, before it signed. `n` is its number in the trail; `act` that of the act,
    which may be of many communes.
    """

    digest: str
    commune: str
    how: str
    unsigned: bool
    at: datetime
    n: int = 0
    act: int = 0
    urgent: UrgentActivation | None = None


@dataclass(frozen=True, slots=True)
class LastAct:
    """The last act for a commune, and what ran before it (None: nothing)."""

    kind: str
    digest: str
    act: int
    at: datetime
    before: Activation | None


@dataclass(frozen=True, slots=True)
class ReleaseLedger:
    """The state of all releases by the trail; `mark` is the number of its last entry."""

    mark: int = 0
    kept: Mapping[str, str] = field(default_factory=dict)
    signatures: Mapping[str, tuple[Signature, ...]] = field(default_factory=dict)
    runs: Mapping[str, ContractRun] = field(default_factory=dict)
    history: Mapping[str, tuple[Activation, ...]] = field(default_factory=dict)
    active: Mapping[str, Activation] = field(default_factory=dict)
    #: Contracts that passed, each by the digest of all that it depends on.
    contracts: frozenset[str] = frozenset()
    #: By commune.
    last: Mapping[str, LastAct] = field(default_factory=dict)

    def signed(self, digest: str) -> bool:
        return bool(self.signatures.get(digest))

    def passed(self, digest: str) -> bool:
        """Did its last contract run pass?"""
        run = self.runs.get(digest)
        return run is not None and run.passed

    def basis(self, commune: str) -> str | None:
        """Return the signed and passed digest behind what runs for a commune: its own, or the one
        that the urgent path started from."""
        active = self.active.get(commune)
        if active is None:
            return None
        digest = active.urgent.basis if active.urgent is not None else active.digest
        return digest if self.signed(digest) and self.passed(digest) else None

    def previous(self, commune: str) -> Activation | None:
        """Return the target of a rollback: the last other release that ran, signed and passed."""
        now = self.active.get(commune)
        for one in reversed(self.history.get(commune, ())):
            other = now is None or one.digest != now.digest
            if other and self.signed(one.digest) and self.passed(one.digest):
                return one
        return None


#: An entry of an act: its kind, the commune, and the rest.
_Entry = tuple[str, str, Mapping[str, Any]]


def last_entry(connection: Connection) -> int:
    """Return a number that any act on releases changes."""
    return trail.last_entry(connection, STREAM)


def ledger(connection: Connection) -> ReleaseLedger:
    """Read the present state of all releases from the trail."""
    return _fold(trail.entries(connection, STREAM))


def entries(connection: Connection, commune: str | None = None) -> list[TrailEntry]:
    """Return the trail, of one commune or of all."""
    found = trail.entries(connection, STREAM)
    return [one for one in found if commune in (None, one.data.get("commune"))]


def contents(connection: Connection, digests: Collection[str]) -> dict[str, str]:
    """Return the stored contents by digest; unknown ones are left out."""
    rows = connection.execute(
        select(RELEASE.c.digest, RELEASE.c.content).where(RELEASE.c.digest.in_(list(digests)))
    )
    return {row.digest: row.content for row in rows}


def store(connection: Connection, commune: str, digest: str, content: str, now: datetime) -> None:
    """Store a digest's content, once. A stored one stays as it is."""
    trail.lock_trail(connection)
    there = connection.execute(select(RELEASE.c.digest).where(RELEASE.c.digest == digest)).first()
    if there is not None:
        return
    connection.execute(
        insert(RELEASE).values(digest=digest, commune=commune, content=content, kept_at=now)
    )
    data = {"commune": commune, "digest": digest, "sha256": sha256(content)}
    trail.append(connection, STREAM, KEPT, data, now)


def sign(connection: Connection, signatures: Sequence[Signature]) -> None:
    """Record agreements to stored releases. Raises NotFound for one that is not stored."""
    act = _held(connection, [one.digest for one in signatures]).mark + 1
    for one in signatures:
        data = {
            "act": act,
            "commune": one.commune,
            "digest": one.digest,
            "by": one.by,
            "function": one.function,
            "means": one.means,
            "date": one.date,
            "note": one.note,
        }
        trail.append(connection, STREAM, SIGNED, data, one.at)


def record_runs(connection: Connection, runs: Sequence[ContractRun]) -> None:
    """Record contract runs of stored releases, except those that repeat the last one. Raises
    NotFound for a release that is not stored."""
    known = _held(connection, [one.digest for one in runs])
    for one in runs:
        last = known.runs.get(one.digest)
        if last is not None and _result(last) == _result(one):
            continue
        data = {
            "commune": one.commune,
            "digest": one.digest,
            "passed": one.passed,
            "failures": list(one.failures),
            "contracts": list(one.contracts),
        }
        trail.append(connection, STREAM, RAN, data, one.at)


def _result(run: ContractRun) -> tuple[object, ...]:
    return run.passed, run.failures, frozenset(run.contracts)


def activate(
    connection: Connection,
    wanted: Mapping[str, str],
    now: datetime,
    *,
    dev: bool = False,
    urgent: Mapping[str, UrgentActivation] = MappingProxyType({}),
) -> list[Activation]:
    """Make releases (digests by commune) those that run: one act.

    Raises NotFound for one that is not stored, and Conflict for a commune that has left, and for
    one that is not signed or did not pass; `dev` skips this, and records that. `urgent`, by
    commune: it need not be signed when its basis is signed and passed. A release that runs already
    is left out: another operator or a starting replica was faster.
    """
    decommissions.refuse_departed(connection, wanted)
    known = _held(connection, wanted.values())
    chosen: dict[str, dict[str, Any]] = {}
    for commune, digest in sorted(wanted.items()):
        active = known.active.get(commune)
        if active is not None and active.digest == digest:
            odd = active.unsigned or active.urgent is not None
            if dev or not odd:
                continue
        hurried = urgent.get(commune)
        agreed = known.signed(digest if hurried is None else hurried.basis)
        fit = agreed and known.passed(digest)
        if not fit and not dev:
            raise Conflict(say("release_unfit", release=digest[:12], commune=commune))
        chosen[commune] = {"digest": digest, "unsigned": not fit}
        if hurried is not None:
            chosen[commune]["urgent"] = asdict(hurried)
    return _act(connection, [(APPLIED, one, data) for one, data in chosen.items()], now)


def roll_back(connection: Connection, wanted: Mapping[str, str], now: datetime) -> list[Activation]:
    """Go back to digests by commune, each still what `ReleaseLedger.previous` gives: one act.
    Raises Conflict."""
    known = _held(connection)
    for commune, digest in wanted.items():
        previous = known.previous(commune)
        if previous is None or previous.digest != digest:
            raise Conflict(say("other_release_meanwhile", commune=commune))
    return _act(connection, [_back(*one) for one in sorted(wanted.items())], now)


def undo(
    connection: Connection,
    back: Mapping[str, str | None],
    revoked: Mapping[str, str],
    mark: int,
    now: datetime,
) -> None:
    """Undo the last act, as one act. `back`: the digest to run again by commune, or None;
    `revoked`: the digest whose last signature is taken back, by commune.

    Raises Conflict if anything was done since the ledger had this `mark`.
    """
    trail.lock_trail(connection)
    if trail.last_entry(connection, STREAM) != mark:
        raise Conflict(say("releases_meanwhile"))
    done: list[_Entry] = [
        (WITHDRAWN, one, {}) if digest is None else _back(one, digest)
        for one, digest in sorted(back.items())
    ]
    done += [(REVOKED, one, {"digest": digest}) for one, digest in sorted(revoked.items())]
    _act(connection, done, now)


def _back(commune: str, digest: str) -> _Entry:
    return ROLLED_BACK, commune, {"digest": digest, "unsigned": False}


def withdraw(connection: Connection, communes: Collection[str], now: datetime) -> None:
    """Have these communes run no release any more: one act. Raises Conflict where none runs."""
    active = _held(connection).active
    for commune in communes:
        if commune not in active:
            raise Conflict(say("no_active_release", commune=commune))
    _act(connection, [(WITHDRAWN, commune, {}) for commune in sorted(communes)], now)


def _act(connection: Connection, done: Sequence[_Entry], now: datetime) -> list[Activation]:
    """Append one entry for each commune, all of one act, named by the number of its first. The
    transaction holds the trail."""
    act = trail.last_entry(connection, STREAM) + 1
    made = []
    for kind, commune, data in done:
        full = {"commune": commune, "act": act, **data}
        entry = trail.append(connection, STREAM, kind, full, now)
        if kind in (APPLIED, ROLLED_BACK):
            made.append(_activation(entry))
    return made


def _held(connection: Connection, digests: Collection[str] = ()) -> ReleaseLedger:
    """Lock the trail and return the ledger. Raises NotFound unless these are stored."""
    trail.lock_trail(connection)
    known = ledger(connection)
    for digest in digests:
        if digest not in known.kept:
            raise NotFound(say("no_release", release=digest[:12]))
    return known


def verify(connection: Connection, only: Collection[str] | None = None) -> list[Fault]:
    """List the faults of the trail, and of stored contents against the trail: of all, or of the
    digests in `only`."""
    problems = trail.verify(connection, STREAM)
    kept = ledger(connection).kept
    asked = select(RELEASE)
    if only is not None:
        kept = {digest: told for digest, told in kept.items() if digest in only}
        asked = asked.where(RELEASE.c.digest.in_(list(only)))
    rows = connection.execute(asked).all()
    for row in rows:
        where = place_of(row.digest, row.commune)
        if row.digest not in kept:
            problems.append(Fault(where, 0, say("release_untold")))
        elif sha256(row.content) != kept[row.digest]:
            problems.append(Fault(where, 0, say("release_altered")))
    there = {row.digest for row in rows}
    problems += [
        Fault(f"release {digest[:12]}", 0, say("release_missing"))
        for digest in kept
        if digest not in there
    ]
    return problems


def place_of(digest: str, commune: str) -> str:
    """Return how a release is named where something is wrong with it."""
    return f"release {digest[:12]} ({commune})"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _fold(entries: Sequence[TrailEntry]) -> ReleaseLedger:
    kept: dict[str, str] = {}
    signatures: dict[str, tuple[Signature, ...]] = {}
    runs: dict[str, ContractRun] = {}
    history: dict[str, tuple[Activation, ...]] = {}
    active: dict[str, Activation] = {}
    contracts: set[str] = set()
    last: dict[str, LastAct] = {}
    for entry in entries:
        text = {key: str(value) for key, value in entry.data.items()}
        commune, digest = text.get("commune", ""), text.get("digest", "")
        if entry.kind in (SIGNED, REVOKED, APPLIED, ROLLED_BACK, WITHDRAWN):
            last[commune] = LastAct(
                entry.kind, digest, _act_of(entry), entry.at, active.get(commune)
            )
        match entry.kind:
            case "kept":
                kept[digest] = text.get("sha256", "")
            case "signed":
                words = [text.get(key, "") for key in ("by", "function", "means", "date", "note")]
                by, function, means, date, note = words
                one = Signature(digest, commune, by, function, means, date, note, entry.at)
                signatures[digest] = (*signatures.get(digest, ()), one)
            case "revoked":
                signatures[digest] = signatures.get(digest, ())[:-1]
            case "ran":
                failures = entry.data.get("failures")
                told = tuple(map(str, failures)) if isinstance(failures, list) else ()
                parts = entry.data.get("contracts")
                held = tuple(map(str, parts)) if isinstance(parts, list) else ()
                passed = entry.data.get("passed") is True
                runs[digest] = ContractRun(digest, commune, passed, told, entry.at, held)
                contracts.update(held)
            case "applied" | "rolled_back":
                made = _activation(entry)
                history[commune] = (*history.get(commune, ()), made)
                active[commune] = made
            case "withdrawn":
                active.pop(commune, None)
    mark = entries[-1].n if entries else 0
    return ReleaseLedger(mark, kept, signatures, runs, history, active, frozenset(contracts), last)


def _act_of(entry: TrailEntry) -> int:
    act = entry.data.get("act")
    return act if isinstance(act, int) else entry.n


def _activation(entry: TrailEntry) -> Activation:
    data = entry.data
    return Activation(
        str(data.get("digest", "")),
        str(data.get("commune", "")),
        entry.kind,
        data.get("unsigned") is not False,
        entry.at,
        entry.n,
        _act_of(entry),
        _urgent(data.get("urgent")),
    )


def _urgent(data: Any) -> UrgentActivation | None:
    if not isinstance(data, dict):
        return None
    return UrgentActivation(*(str(data.get(key, "")) for key in ("by", "why", "basis")))
