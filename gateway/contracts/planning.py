"""The plan: what the files would release, commune by commune, against what runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.catalogue.insee import unknown_communes
from gateway.catalogue.release import Release, operated
from gateway.contracts import gate
from gateway.contracts.difference import Difference, Effect, differences, effects
from gateway.contracts.texts import say
from gateway.core.errors import Fault, NotFound
from gateway.core.messages import Message
from gateway.store import applied, releases
from gateway.store.engine import Store
from gateway.store.releases import Activation, ContractRun, ReleaseLedger, Signature


class PlanState(StrEnum):
    """The effect of applying for a commune."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    #: It runs already (`--dev`), without an agreement or a passed run.
    UNSIGNED = "unsigned"
    #: It runs by the urgent path; its commune has not signed it yet.
    URGENT = "urgent"
    GONE = "gone"
    #: Its files are at fault and release nothing; what runs goes on.
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class ReleaseFiles:
    """The releases of the files, by commune. `broken`: the faults of communes that release nothing;
    `strays`: the faults of files that name no commune, by file."""

    releases: Mapping[str, Release]
    broken: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)
    strays: Mapping[str, tuple[Fault, ...]] = field(default_factory=dict)

    def faults_of(self, insee: str, active: Release | None) -> tuple[Fault, ...]:
        """Return the faults of a commune without a release. Nothing: its file is gone."""
        if insee in self.broken:
            return self.broken[insee]
        if active is not None and active.commune_file in self.strays:
            return self.strays[active.commune_file]
        # Any of them may be its file, so it does not count as gone.
        return tuple(fault for faults in self.strays.values() for fault in faults)


@dataclass(frozen=True, slots=True)
class CommunePlan:
    """One commune: what its files would release, against what runs."""

    commune: str
    name: str
    state: PlanState
    release: Release | None
    active: Release | None
    signatures: tuple[Signature, ...]
    run: ContractRun | None
    differences: tuple[Difference, ...]
    effects: tuple[Effect, ...]
    faults: tuple[Fault, ...] = ()
    #: Matters of operation that change when they are applied, without agreement.
    operation: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Message, ...]:
        """List the hindrances, a sentence each."""
        if self.faults:
            return tuple(fault.message for fault in self.faults)
        if self.release is None or self.state is PlanState.SAME:
            return ()
        found = []
        if not self.signatures:
            found.append(say("agreement_of", release=self.release.short))
        if self.run is None:
            found.append(say("run_due"))
        elif not self.run.passed:
            found.append(say("passing_run_due"))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class CommuneChoice:
    """The communes that a command is for: by INSEE code, by mapping, or `everybody`. An empty
    choice means the command's default."""

    communes: tuple[str, ...] = ()
    mappings: tuple[str, ...] = ()
    everybody: bool = False

    def __bool__(self) -> bool:
        return bool(self.communes or self.mappings or self.everybody)

    def of(self, known: Mapping[str, Collection[str]]) -> list[str]:
        """Return the chosen ones of `known` communes (with their mappings), in order. Raises
        NotFound for a commune or a mapping that nobody has."""
        unknown = sorted(set(self.communes) - known.keys())
        if unknown:
            raise unknown_communes(unknown, known)
        had = {key for keys in known.values() for key in keys}
        strange = sorted(set(self.mappings) - had)
        if strange:
            names = {"names": tuple(strange), "known": tuple(sorted(had))}
            raise NotFound(say("no_mapping_had", **names))
        return [
            insee
            for insee, keys in known.items()
            if self.everybody or insee in self.communes or not set(keys).isdisjoint(self.mappings)
        ]


#: An empty choice: here, all.
ALL = CommuneChoice()


async def plan(store: Store, files: ReleaseFiles, choice: CommuneChoice = ALL) -> list[CommunePlan]:
    """Plan what applying `files` would change, by commune: all, or those chosen. Writes nothing.
    Raises NotFound for a choice that matches nothing."""
    ledger = await store.read(releases.ledger)
    active, _ = await gate.active_releases(store, ledger)
    texts = await store.read(applied.files)
    known: dict[str, tuple[str, ...]] = {}
    for insee in sorted({*files.releases, *files.broken, *ledger.active}):
        release = files.releases.get(insee) or active.get(insee)
        known[insee] = () if release is None else release.keys()
    chosen = choice.of(known) if choice else list(known)
    return [_planned(insee, files, active.get(insee), ledger, texts.get(insee)) for insee in chosen]


async def offer(store: Store, planned: Collection[CommunePlan], now: datetime) -> list[str]:
    """Store what the files would release anew, so that its commune sees it in the console and can
    agree to it. Return the communes. Changes nothing that runs."""
    made = []
    for one in planned:
        if one.release is None or one.state not in (PlanState.NEW, PlanState.CHANGED):
            continue
        content = one.release.content()
        await store.write(releases.store, one.commune, one.release.digest, content, now)
        made.append(one.commune)
    return made


def _planned(
    insee: str, files: ReleaseFiles, active: Release | None, ledger: ReleaseLedger, text: str | None
) -> CommunePlan:
    """Plan one commune. `text` is its file as last applied."""
    running = ledger.active.get(insee)
    release = files.releases.get(insee)
    faults = () if release is not None else files.faults_of(insee, active)
    state = _state(release, running, ledger, broken=bool(faults))
    digest = "" if release is None else release.digest
    one = release or active
    return CommunePlan(
        commune=insee,
        name=insee if one is None else one.name,
        state=state,
        release=release,
        active=active,
        signatures=ledger.signatures.get(digest, ()),
        run=ledger.runs.get(digest),
        differences=differences(active, release) if state is PlanState.CHANGED else (),
        effects=effects(active, release) if state is PlanState.CHANGED else (),
        faults=faults,
        operation=_operation(release, active, text),
    )


def _operation(
    release: Release | None, active: Release | None, text: str | None
) -> tuple[str, ...]:
    if release is None or active is None:
        return ()
    file = release.commune_file
    before = active.files[active.commune_file] if text is None else text
    return tuple(operated(file, before, release.files[file]))


def _state(
    release: Release | None, running: Activation | None, ledger: ReleaseLedger, *, broken: bool
) -> PlanState:
    if release is None:
        return PlanState.BROKEN if broken else PlanState.GONE
    if running is None:
        return PlanState.NEW
    if running.digest != release.digest:
        return PlanState.CHANGED
    if running.unsigned or not ledger.passed(release.digest):
        return PlanState.UNSIGNED
    if ledger.signed(release.digest):
        return PlanState.SAME
    return PlanState.UNSIGNED if running.urgent is None else PlanState.URGENT
