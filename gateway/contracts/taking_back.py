"""Takes back acts on releases, of one commune or of many: rollback and undo. Each is one
transaction, which a running daemon sees as one change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.insee import COMMUNES
from gateway.catalogue.release import BadRelease, Release, read_stored
from gateway.contracts import gate
from gateway.contracts.planning import CommuneChoice
from gateway.contracts.texts import say
from gateway.core.errors import Fault, NotFound
from gateway.core.messages import Message
from gateway.store import releases
from gateway.store.engine import Store
from gateway.store.releases import Activation, ReleaseLedger

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class TakeBackResult:
    """The release that runs for one commune again. None: the former goes on, for the reason `why`;
    `faults` are of a release that cannot be built today."""

    commune: str
    name: str
    activation: Activation | None
    why: Message | None = None
    faults: tuple[Fault, ...] = ()


#: Can releases be built today? Returns the faults by commune.
Fits = Callable[[Mapping[str, Release]], Mapping[str, tuple[Fault, ...]]]


async def roll_back(
    store: Store, now: Now, choice: CommuneChoice, fits: Fits
) -> list[TakeBackResult]:
    """Go back to what ran before, signed and passed: one act. Raises NotFound for a choice that
    matches nothing, and Conflict."""
    ledger = await store.read(releases.ledger)
    chosen = await _chosen(store, ledger, choice)
    wanted: dict[str, str] = {}
    why: dict[str, Message] = {}
    for insee in chosen:
        previous = ledger.previous(insee)
        if previous is None:
            why[insee] = say("no_earlier")
        else:
            wanted[insee] = previous.digest
    found = await _kept(store, wanted, why)
    active, _ = await gate.active_releases(store, ledger)
    names = {insee: one.name for insee, one in {**active, **found}.items()}
    faults = fits(found)
    going = {insee: wanted[insee] for insee in found if insee not in faults}
    made = await store.write(releases.roll_back, going, now()) if going else []
    done = {one.commune: one for one in made}
    return [
        TakeBackResult(
            insee,
            names.get(insee) or COMMUNES.get(insee, "-"),
            done.get(insee),
            why.get(insee),
            faults.get(insee, ()),
        )
        for insee in chosen
    ]


async def _chosen(store: Store, ledger: ReleaseLedger, choice: CommuneChoice) -> list[str]:
    """Return the chosen communes; a named one even if nothing ever ran for it."""
    active, _ = await gate.active_releases(store, ledger)
    known = {
        insee: active[insee].keys() if insee in active else ()
        for insee in sorted({*ledger.history, *choice.communes})
    }
    return choice.of(known)


async def _kept(
    store: Store, wanted: Mapping[str, str], why: dict[str, Message]
) -> dict[str, Release]:
    """Return the stored releases by commune. `why` gets those whose content has changed."""
    stored = await store.read(releases.contents, wanted.values())
    found = {}
    for insee, digest in wanted.items():
        try:
            found[insee] = read_stored(stored, digest, insee)
        except BadRelease as error:
            why[insee] = say("release_says", release=digest[:12], said=error.said)
    return found


@dataclass(frozen=True, slots=True)
class UndoStep:
    """The effect of an undo for one commune: `kind` and `digest` of the act taken back; `before`
    runs again. With `why` it cannot be undone."""

    commune: str
    name: str
    kind: str
    digest: str
    before: str | None
    why: Message | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def agreement(self) -> bool:
        """Is it an agreement to a release? Then the same goes on running."""
        return self.kind == releases.SIGNED


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """All effects; `mark` is the trail's last number when they were found."""

    steps: tuple[UndoStep, ...]
    mark: int


async def undoing(store: Store, choice: CommuneChoice, fits: Fits) -> UndoPlan:
    """Plan an undo: of each chosen commune's last act, or without a choice, of the last act of all
    for its communes. Raises NotFound when there is none."""
    ledger = await store.read(releases.ledger)
    active, _ = await gate.active_releases(store, ledger)
    known = {
        insee: active[insee].keys() if insee in active else () for insee in sorted(ledger.last)
    }
    latest = max((one.act for one in ledger.last.values()), default=0)
    whole = [insee for insee in known if ledger.last[insee].act == latest]
    chosen = choice.of(known) if choice else whole
    if not chosen:
        raise NotFound(say("nothing_done"))
    back = {
        insee: one.before.digest
        for insee in chosen
        if (one := ledger.last[insee]).kind not in _SIGNING and one.before is not None
    }
    why: dict[str, Message] = {}
    found = await _kept(store, back, why)
    faults = fits(found)
    steps = []
    for insee in chosen:
        one = ledger.last[insee]
        name = next((x[insee].name for x in (active, found) if insee in x), insee)
        steps.append(
            UndoStep(
                insee,
                name,
                one.kind,
                one.digest,
                back.get(insee),
                why.get(insee) or _stays(ledger, insee),
                faults.get(insee, ()),
            )
        )
    return UndoPlan(tuple(steps), ledger.mark)


_SIGNING = (releases.SIGNED, releases.REVOKED)


def _stays(ledger: ReleaseLedger, insee: str) -> Message | None:
    """Return why the last act of a commune cannot be undone; None when it can."""
    one = ledger.last[insee]
    active = ledger.active.get(insee)
    if one.kind == releases.REVOKED:
        return say("signature_was_back")
    if one.kind == releases.SIGNED:
        alone = len(ledger.signatures.get(one.digest, ())) == 1
        runs = active is not None and active.digest == one.digest and active.urgent is None
        return say("runs_by_it") if runs and alone else None
    before = one.before
    if before is not None and not (ledger.signed(before.digest) and ledger.passed(before.digest)):
        return say("before_unsigned")
    return None


async def undo(store: Store, now: Now, what: UndoPlan) -> None:
    """Undo what can be undone: one act. Raises Conflict if anything was done meanwhile."""
    going = [one for one in what.steps if not (one.why or one.faults)]
    back = {one.commune: one.before for one in going if not one.agreement}
    revoked = {one.commune: one.digest for one in going if one.agreement}
    if going:
        await store.write(releases.undo, back, revoked, what.mark, now())


async def withdraw(store: Store, now: Now, communes: Collection[str]) -> None:
    """Have these communes run nothing any more: one act. Raises as `releases.withdraw` does."""
    await store.write(releases.withdraw, list(communes), now())
