"""Releases in the database: what each digest holds, and what the trail says was done with it.

There is one truth: the trail of the stream `release`. Who agreed, what passed and what runs is read
from it every time, so nothing can say otherwise beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, insert, select

from gateway.core.errors import Conflict
from gateway.store import trail
from gateway.store.release_tables import RELEASE
from gateway.store.trail import Entry

STREAM = "release"
KEPT, SIGNED, RAN, APPLIED, ROLLED_BACK, WITHDRAWN = (
    "kept",
    "signed",
    "ran",
    "applied",
    "rolled_back",
    "withdrawn",
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
class Run:
    """A contract run of a digest. `failures` are sentences."""

    digest: str
    commune: str
    passed: bool
    failures: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Activation:
    """A release that came to run for a commune. `unsigned`: without its agreement (`--dev`)."""

    digest: str
    commune: str
    how: str
    unsigned: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the trail says; `mark` is the number of its last entry."""

    mark: int = 0
    kept: Mapping[str, str] = field(default_factory=dict)
    signatures: Mapping[str, tuple[Signature, ...]] = field(default_factory=dict)
    runs: Mapping[str, Run] = field(default_factory=dict)
    history: Mapping[str, tuple[Activation, ...]] = field(default_factory=dict)
    active: Mapping[str, Activation] = field(default_factory=dict)

    def signed(self, digest: str) -> bool:
        return bool(self.signatures.get(digest))

    def passed(self, digest: str) -> bool:
        """Did its last contract run pass?"""
        run = self.runs.get(digest)
        return run is not None and run.passed

    def previous(self, commune: str) -> Activation | None:
        """What a rollback goes back to: what last ran before, other than now, signed and passed."""
        now = self.active.get(commune)
        for one in reversed(self.history.get(commune, ())):
            other = now is None or one.digest != now.digest
            if other and self.signed(one.digest) and self.passed(one.digest):
                return one
        return None


def mark(connection: Connection) -> int:
    """A number that changes with anything that is done to releases."""
    return trail.mark(connection, STREAM)


def ledger(connection: Connection) -> Ledger:
    """The present state of all releases, folded from the trail."""
    return _fold(trail.entries(connection, STREAM))


def entries(connection: Connection, commune: str | None = None) -> list[Entry]:
    """The trail itself, of one commune or of all."""
    found = trail.entries(connection, STREAM)
    return [one for one in found if commune in (None, one.data.get("commune"))]


def contents(connection: Connection, digests: Collection[str]) -> dict[str, str]:
    """The stored contents by digest; what is not there is left out."""
    rows = connection.execute(
        select(RELEASE.c.digest, RELEASE.c.content).where(RELEASE.c.digest.in_(list(digests)))
    )
    return {row.digest: row.content for row in rows}


def keep(connection: Connection, commune: str, digest: str, content: str, now: datetime) -> None:
    """Store what a digest stands for, once. What is kept already stays as it is."""
    trail.hold(connection)
    there = connection.execute(select(RELEASE.c.digest).where(RELEASE.c.digest == digest)).first()
    if there is not None:
        return
    connection.execute(
        insert(RELEASE).values(digest=digest, commune=commune, content=content, kept_at=now)
    )
    data = {"commune": commune, "digest": digest, "sha256": sha256(content)}
    trail.append(connection, STREAM, KEPT, data, now)


def sign(connection: Connection, signature: Signature, content: str) -> None:
    """Record an agreement, with what was agreed to."""
    keep(connection, signature.commune, signature.digest, content, signature.at)
    data = {
        "commune": signature.commune,
        "digest": signature.digest,
        "by": signature.by,
        "function": signature.function,
        "means": signature.means,
        "date": signature.date,
        "note": signature.note,
    }
    trail.append(connection, STREAM, SIGNED, data, signature.at)


def record_run(connection: Connection, run: Run, content: str) -> None:
    """Record a contract run, unless the last one of this digest said the same."""
    last = ledger(connection).runs.get(run.digest)
    if last is not None and (last.passed, last.failures) == (run.passed, run.failures):
        return
    keep(connection, run.commune, run.digest, content, run.at)
    data = {
        "commune": run.commune,
        "digest": run.digest,
        "passed": run.passed,
        "failures": list(run.failures),
    }
    trail.append(connection, STREAM, RAN, data, run.at)


def activate(
    connection: Connection,
    commune: str,
    digest: str,
    content: str,
    now: datetime,
    *,
    dev: bool = False,
    how: str = APPLIED,
) -> Activation:
    """Make a release the one that runs for a commune, from this transaction on.

    Raises Conflict when it is not signed or its run did not pass; `dev` does without, and it is
    written down that it did.
    """
    keep(connection, commune, digest, content, now)
    known = ledger(connection)
    active = known.active.get(commune)
    if dev and active is not None and active.digest == digest:
        return active  # another replica that starts at this moment was faster
    fit = known.signed(digest) and known.passed(digest)
    if not fit and not dev:
        raise Conflict(f"release {digest[:12]} of {commune} is not signed, or did not pass")
    data = {"commune": commune, "digest": digest, "unsigned": not fit}
    trail.append(connection, STREAM, how, data, now)
    return Activation(digest, commune, how, not fit, now)


def roll_back(connection: Connection, commune: str, digest: str, now: datetime) -> Activation:
    """Go back to `digest`, which must still be what `Ledger.previous` gives. Raises Conflict."""
    previous = ledger(connection).previous(commune)
    if previous is None or previous.digest != digest:
        raise Conflict(f"another release was made active for {commune} meanwhile")
    data = {"commune": commune, "digest": digest, "unsigned": False}
    trail.append(connection, STREAM, ROLLED_BACK, data, now)
    return Activation(digest, commune, ROLLED_BACK, False, now)


def withdraw(connection: Connection, commune: str, now: datetime) -> None:
    """Have no release run for a commune any more. Raises Conflict when none does."""
    if commune not in ledger(connection).active:
        raise Conflict(f"no release is active for {commune}")
    trail.append(connection, STREAM, WITHDRAWN, {"commune": commune}, now)


def verify(connection: Connection, only: Collection[str] | None = None) -> list[str]:
    """What is wrong with the trail, and with stored contents as against what the trail says: with
    all of them, or with those of some digests `only`."""
    problems = trail.verify(connection, STREAM)
    kept = ledger(connection).kept
    asked = select(RELEASE)
    if only is not None:
        kept = {digest: told for digest, told in kept.items() if digest in only}
        asked = asked.where(RELEASE.c.digest.in_(list(only)))
    rows = connection.execute(asked).all()
    for row in rows:
        where = f"release {row.digest[:12]} of {row.commune}"
        if row.digest not in kept:
            problems.append(f"{where}: the trail knows nothing of it")
        elif sha256(row.content) != kept[row.digest]:
            problems.append(f"{where}: its content was altered after it was kept")
    there = {row.digest for row in rows}
    problems += [
        f"release {digest[:12]}: its content is missing" for digest in kept if digest not in there
    ]
    return problems


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _fold(entries: Sequence[Entry]) -> Ledger:
    kept: dict[str, str] = {}
    signatures: dict[str, tuple[Signature, ...]] = {}
    runs: dict[str, Run] = {}
    history: dict[str, tuple[Activation, ...]] = {}
    active: dict[str, Activation] = {}
    for entry in entries:
        text = {key: str(value) for key, value in entry.data.items()}
        commune, digest = text.get("commune", ""), text.get("digest", "")
        match entry.kind:
            case "kept":
                kept[digest] = text.get("sha256", "")
            case "signed":
                words = [text.get(key, "") for key in ("by", "function", "means", "date", "note")]
                by, function, means, date, note = words
                one = Signature(digest, commune, by, function, means, date, note, entry.at)
                signatures[digest] = (*signatures.get(digest, ()), one)
            case "ran":
                failures = entry.data.get("failures")
                told = tuple(map(str, failures)) if isinstance(failures, list) else ()
                passed = entry.data.get("passed") is True
                runs[digest] = Run(digest, commune, passed, told, entry.at)
            case "applied" | "rolled_back":
                unsigned = entry.data.get("unsigned") is not False
                made = Activation(digest, commune, entry.kind, unsigned, entry.at)
                history[commune] = (*history.get(commune, ()), made)
                active[commune] = made
            case "withdrawn":
                active.pop(commune, None)
    mark = entries[-1].n if entries else 0
    return Ledger(mark, kept, signatures, runs, history, active)
