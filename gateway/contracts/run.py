"""A contract run: every case of every chosen mapping, and the changes that no case notices."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import get_args

from gateway.catalogue import registry
from gateway.catalogue.bundle import MAPPINGS, SETTINGS
from gateway.catalogue.catalogue import Catalogue, Route
from gateway.catalogue.config_faults import nearest
from gateway.catalogue.insee import unknown_communes
from gateway.catalogue.mapping_bases import resolved
from gateway.catalogue.mapping_files import load_mappings
from gateway.catalogue.release import adapter_versions, file_digest, files_of
from gateway.contracts.case_databases import Databases, databases
from gateway.contracts.case_player import Consequences, play
from gateway.contracts.cases import Case, folder_of, read_cases
from gateway.contracts.compare import Mismatch, mismatches
from gateway.contracts.fixture_catalogue import bench_catalogue, offline_catalogue, with_mapping
from gateway.contracts.leaving import leaving, releases_of
from gateway.contracts.mutation import Mutant, mutants
from gateway.contracts.mutation_texts import say as unseen
from gateway.contracts.texts import say
from gateway.core.errors import ConfigurationFault, Fault, NotFound, file_line
from gateway.core.mapping import RequestMapping
from gateway.core.messages import Language, Message, in_both


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One played case. It holds when nothing differs; `leaves` is what it sends, by field."""

    title: str
    file: str
    line: int
    seconds: float
    commune: str | None = None
    differences: tuple[Mismatch, ...] = ()
    leaves: Mapping[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not self.differences


@dataclass(frozen=True, slots=True)
class Weakness:
    """A change of the mapping that every case lets pass. `file` is set when it is not the
    mapping's own."""

    line: int
    text: Message
    file: str = ""


@dataclass(frozen=True, slots=True)
class Contract:
    """One mapping with its cases and their results. `communes` are (INSEE, name) that use it."""

    mapping: str
    file: str
    teleservice: str
    version: int
    adapter: str
    adapter_version: str
    digest: str
    results: tuple[CaseResult, ...] = ()
    weaknesses: tuple[Weakness, ...] = ()
    mutants: int = 0
    communes: tuple[tuple[str, str], ...] = ()

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        return tuple(result for result in self.results if not result.holds)


@dataclass(frozen=True, slots=True)
class ContractReport:
    """A whole run. `lacking` are contracts without a case; `notices` stop nothing."""

    at: datetime
    seconds: float
    contracts: tuple[Contract, ...] = ()
    lacking: tuple[Fault, ...] = ()
    notices: tuple[Message, ...] = ()
    unchanged: tuple[str, ...] = ()
    commune: tuple[str, str] | None = None
    #: The digest to give to `release sign`: of the commune's release as its files are.
    release: str | None = None

    @property
    def failed(self) -> int:
        return sum(len(contract.failures) for contract in self.contracts)

    @property
    def weak(self) -> int:
        return sum(len(contract.weaknesses) for contract in self.contracts)

    def passed(self, *, strict: bool = False) -> bool:
        """Does every case hold, and each contract have one? With `strict`: is nothing weak?"""
        return not (self.failed or self.lacking or (strict and self.weak))

    def failures(self, *, strict: bool = False) -> list[str]:
        """List what does not pass, a French sentence each."""
        found = [fault.told("fr") for fault in self.lacking]
        for contract in self.contracts:
            found += [failure(contract, result).told("fr") for result in contract.failures]
            if strict:
                found += [weakness_sentence(contract, w).what("fr") for w in contract.weaknesses]
        return found


def failure(contract: Contract, result: CaseResult) -> Message:
    """Return a case that does not hold, at its place."""
    english, french = (
        "; ".join(d.sentence(language) for d in result.differences)
        for language in get_args(Language)
    )
    place = f"{result.file}:{result.line}: {result.title}"
    return in_both(f"{place}: {english}", f"{place} : {french}")


def weakness_sentence(contract: Contract, weakness: Weakness) -> Message:
    """Return the sentence of a weakness, with its place."""
    place = file_line(weakness.file or contract.file, weakness.line)
    return unseen("unseen", place=place, what=weakness.text)


@dataclass(slots=True)
class MappingRun:
    """One mapping to run: the chosen communes' routes, and all who use it."""

    mapping: RequestMapping
    users: list[tuple[str, str]] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)


async def run(
    bundle: Mapping[str, str],
    *,
    commune: str | None = None,
    teleservice: str | None = None,
    weak: bool = True,
    sampled: bool = False,
    skip: Callable[[str, str], bool] = lambda mapping, digest: False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ContractReport:
    """Run the contracts of a bundle offline: all, one commune's or one teleservice's.

    Without `config/gateway.yaml` in the bundle, the mappings run by themselves. `weak` False leaves
    the mutants out, `sampled` plays one for each line. `skip` is asked with each contract's key and
    digest.

    Raises ConfigurationFault (files), NotFound (no such commune or teleservice).
    """
    began, clock = now(), time.monotonic()
    catalogue = offline_catalogue(bundle) if SETTINGS in bundle else None
    asked, name = _asked(bundle, catalogue, commune, teleservice)
    cases, lacking = _all_cases(bundle, asked, catalogue)
    contracts: list[Contract] = []
    unchanged: list[str] = []
    notices: list[Message] = []
    with databases() as made:
        for one in asked:
            key = one.mapping.key
            if not cases[key]:
                continue
            contract = describe(bundle, one.mapping, tuple(one.users))
            if skip(key, contract.digest):
                unchanged.append(key)
                continue
            runner = Player(bundle, one, catalogue, made)
            contracts.append(await runner.run(contract, cases[key], weak=weak, sampled=sampled))
            notices += runner.notices
    seconds = time.monotonic() - clock
    place = None if commune is None or name is None else (commune, name)
    release = None
    if commune is not None and catalogue is not None and teleservice is None:
        release = releases_of(bundle, catalogue)[commune].digest
    return ContractReport(
        began,
        seconds,
        tuple(contracts),
        lacking,
        tuple(notices),
        tuple(unchanged),
        place,
        release,
    )


def describe(
    bundle: Mapping[str, str], mapping: RequestMapping, communes: tuple[tuple[str, str], ...] = ()
) -> Contract:
    """Return the contract of a mapping, not yet run."""
    version = adapter_versions(registry.installed()).get(mapping.adapter, "?")
    return Contract(
        mapping=mapping.key,
        file=mapping.file,
        teleservice=mapping.teleservice,
        version=mapping.version,
        adapter=mapping.adapter,
        adapter_version=version,
        digest=digest(bundle, mapping, version),
        communes=communes,
    )


def digest(bundle: Mapping[str, str], mapping: RequestMapping, version: str) -> str:
    """Return the SHA-256 of a contract: mapping and cases as parsed, adapter kind and version."""
    files = files_of(bundle, mapping.file)
    content = {name: file_digest(name, text) for name, text in files.items()}
    said = json.dumps([mapping.adapter, version, content], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


@dataclass(slots=True)
class Player:
    """Plays the cases of one mapping."""

    bundle: Mapping[str, str]
    asked: MappingRun
    catalogue: Catalogue | None
    made: Databases
    notices: list[Message] = field(default_factory=list)
    benches: dict[tuple[int, int], tuple[Catalogue, Route]] = field(default_factory=dict)

    async def run(
        self, contract: Contract, cases: Sequence[Case], *, weak: bool, sampled: bool
    ) -> Contract:
        communes = {route.commune for route in self.asked.routes}
        ours = [case for case in cases if case.commune is None or case.commune in communes]
        # In turn: side by side their threads wait for one interpreter, and take almost twice as
        # long.
        played = [await self.judged(case) for case in ours]
        results = [result for result, _ in played]
        held = [
            (case, observed)
            for case, (result, observed) in zip(ours, played, strict=True)
            if result.holds
        ]
        for route in self.asked.routes:
            if not any(case.commune == route.commune for case in cases):
                given = {"mapping": contract.mapping, "gru": route.gru.name}
                self.notices.append(say("own_settings_uncased", **given, commune=route.commune))
        weaknesses: tuple[Weakness, ...] = ()
        count = 0
        # A failing case protects nothing: a change that it lets pass is untried, not weak.
        if weak and len(held) == len(ours):
            weaknesses, count = await self._weaknesses(held, sampled)
        return dataclasses.replace(
            contract, results=tuple(results), weaknesses=weaknesses, mutants=count
        )

    async def judged(self, case: Case) -> tuple[CaseResult, Consequences]:
        """Play and judge a case. Return the result and what was observed."""
        clock = time.monotonic()
        observed = await self._play(case, self.asked.mapping)
        found = mismatches(case, observed, self.asked.mapping)
        seconds = time.monotonic() - clock
        sent = leaving(self.asked.mapping, case)
        place = (case.title, case.file, case.line)
        return CaseResult(*place, seconds, case.commune, found, sent), observed

    async def _play(self, case: Case, mapping: RequestMapping) -> Consequences:
        catalogue, route = self._stage(case)
        changed = with_mapping(catalogue, route, mapping)
        route = changed.communes[route.commune].routes[route.teleservice]
        return await play(case, changed, route, self.made)

    def _stage(self, case: Case) -> tuple[Catalogue, Route]:
        if case.commune is not None and self.catalogue is not None:
            for route in self.asked.routes:
                if route.commune == case.commune:
                    return self.catalogue, route
        key = id(case.bench), id(case.formdata)
        found = self.benches.get(key)
        if found is None:
            found = bench_catalogue(self.bundle, self.asked.mapping, case.bench, case.formdata)
            self.benches[key] = found
        return found

    async def _weaknesses(
        self, held: list[tuple[Case, Consequences]], sampled: bool
    ) -> tuple[tuple[Weakness, ...], int]:
        mapping = self.asked.mapping
        every = list(mutants(mapping, resolved(self.bundle, mapping.file)))
        if sampled:
            every = list({(one.file, one.line): one for one in every}.values())
        weak = [mutant for mutant in every if await self._survives(mutant, held)]
        return tuple(Weakness(mutant.line, mutant.text, mutant.file) for mutant in weak), len(every)

    async def _survives(self, mutant: Mutant, held: list[tuple[Case, Consequences]]) -> bool:
        for case, observed in held:
            if not mutant.touches(case, observed):
                continue
            changed = await self._play(case, mutant.mapping)
            if mismatches(case, changed, mutant.mapping):
                return False
        return True


def _asked(
    bundle: Mapping[str, str],
    catalogue: Catalogue | None,
    commune: str | None,
    teleservice: str | None,
) -> tuple[list[MappingRun], str | None]:
    mappings = _mappings(bundle) if catalogue is None else catalogue.mappings
    asked = {key: MappingRun(mapping) for key, mapping in sorted(mappings.items())}
    communes = {} if catalogue is None else catalogue.communes
    for one in communes.values():
        for route in one.routes.values():
            asked[route.mapping.key].users.append((one.insee, one.name))
            if commune in (None, one.insee):
                asked[route.mapping.key].routes.append(route)
    name: str | None = None
    if commune is not None:
        if commune not in communes:
            raise unknown_communes([commune], {one.insee: one.name for one in communes.values()})
        name = communes[commune].name
        asked = {key: one for key, one in asked.items() if one.routes}
        for one_asked in asked.values():
            one_asked.users = [(commune, name)]
    if teleservice is not None:
        known = sorted({one.mapping.teleservice for one in asked.values()})
        asked = {k: one for k, one in asked.items() if one.mapping.teleservice == teleservice}
        if not asked:
            cure = nearest(teleservice, known)
            raise NotFound(say("no_mapping_for", slug=teleservice, cure=cure))
    return list(asked.values()), name


def _mappings(bundle: Mapping[str, str]) -> dict[str, RequestMapping]:
    found, broken = load_mappings(bundle)
    if broken:
        raise ConfigurationFault([fault for faults in broken.values() for fault in faults])
    if not found:
        raise NotFound(say("no_mapping_at_all", place=MAPPINGS))
    return found


def _all_cases(
    bundle: Mapping[str, str], asked: list[MappingRun], catalogue: Catalogue | None
) -> tuple[dict[str, tuple[Case, ...]], tuple[Fault, ...]]:
    found: dict[str, tuple[Case, ...]] = {}
    faults: list[Fault] = []
    lacking: list[Fault] = []
    for one in asked:
        key = one.mapping.key
        try:
            found[key] = read_cases(bundle, key)
        except ConfigurationFault as error:
            faults += error.faults
            continue
        # A mapping run by itself is checked as if a commune used it.
        used = bool(one.users) or catalogue is None
        if not found[key] and used:
            said = say("uncased", key=key, folder=folder_of(key))
            if who := tuple(f"{name} ({insee})" for insee, name in one.users):
                said = say("uncased_in_use", key=key, who=who, folder=folder_of(key))
            lacking.append(Fault(one.mapping.file, 1, said))
    if faults:
        raise ConfigurationFault(faults)
    return found, tuple(lacking)


__all__ = [
    "CaseResult",
    "Contract",
    "ContractReport",
    "MappingRun",
    "Player",
    "Weakness",
    "describe",
    "digest",
    "failure",
    "run",
    "weakness_sentence",
]
