"""Do the contracts of some communes pass? Each is played once, however many communes have it.

A contract is a mapping with its cases. Cases that name a commune are its own, and use its settings;
the others count for all communes with the mapping. A passed contract is recognised by the digest of
all that it depends on, with the code that played it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path

from gateway.catalogue.bundle import SETTINGS
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.release import commune_files, file_digest, output_digest
from gateway.contracts.case_databases import databases
from gateway.contracts.cases import Case, folder_of, read_cases
from gateway.contracts.fixture_catalogue import offline_catalogue
from gateway.contracts.run import Contract, MappingRun, Player, describe, failure
from gateway.contracts.texts import say
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.mapping import RequestMapping
from gateway.core.messages import Message


@dataclass(slots=True)
class ContractOutcome:
    """The result of one commune's contracts: failures, a sentence each, and the digests of those
    that passed."""

    failures: list[Message] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """Cases of one mapping that are played together: those that name a commune, or none."""

    contract: Contract
    asked: MappingRun
    cases: tuple[Case, ...]
    digest: str
    communes: tuple[str, ...]

    @property
    def name(self) -> str:
        named = self.cases[0].commune
        return self.contract.mapping + ("" if named is None else f" ({named})")


#: Called before each part with the number done, the number of all, and its name; at the end with an
#: empty name.
Progress = Callable[[int, int, str], None]


async def passing(
    bundle: Mapping[str, str],
    communes: Collection[str],
    known: Set[str] = frozenset(),
    progress: Progress = lambda done, of, name: None,
) -> dict[str, ContractOutcome]:
    """Play the contracts of `communes`, by commune. Those `known` to pass are not played again.
    Raises ConfigurationFault for a bundle that does not build."""
    catalogue = offline_catalogue(bundle)
    found = {insee: ContractOutcome() for insee in communes}
    parts = list(_parts(bundle, catalogue, found))
    left = [part for part in parts if part.digest not in known]
    failures: dict[str, list[Message]] = {}
    with databases() as made:
        for n, part in enumerate(left):
            progress(n, len(left), part.name)
            player = Player(bundle, part.asked, catalogue, made)
            results = [(await player.judged(case))[0] for case in part.cases]
            failures[part.digest] = [
                failure(part.contract, result) for result in results if not result.holds
            ]
    progress(len(left), len(left), "")
    for part in parts:
        told = failures.get(part.digest, [])
        for insee in part.communes:
            found[insee].failures += told
            if not told:
                found[insee].passed.append(part.digest)
    return found


def _parts(
    bundle: Mapping[str, str], catalogue: Catalogue, found: Mapping[str, ContractOutcome]
) -> Iterator[_Part]:
    """List the parts to play. An unreadable one fails at once, for each commune that needs it."""
    for mapping, users in _used(catalogue, found):
        try:
            cases = read_cases(bundle, mapping.key)
        except ConfigurationFault as error:
            for insee in users:
                found[insee].failures += [fault.message for fault in error.faults]
            continue
        if not cases:
            said = say("uncased", key=mapping.key, folder=folder_of(mapping.key))
            for insee in users:
                found[insee].failures.append(Fault(mapping.file, 1, said).message)
            continue
        contract = describe(bundle, mapping)
        routes = [
            route
            for insee in users
            for route in catalogue.communes[insee].routes.values()
            if route.mapping.key == mapping.key
        ]
        asked = MappingRun(mapping, routes=routes)
        for named in (None, *users):
            chosen = tuple(case for case in cases if case.commune == named)
            if chosen:
                digest = _digest(bundle, contract, catalogue, named)
                yield _Part(contract, asked, chosen, digest, users if named is None else (named,))


def _used(
    catalogue: Catalogue, communes: Collection[str]
) -> Iterator[tuple[RequestMapping, tuple[str, ...]]]:
    """Yield the mappings of some communes, each with its communes."""
    users: dict[str, dict[str, None]] = {}
    for insee in sorted(communes):
        for route in catalogue.communes[insee].routes.values():
            users.setdefault(route.mapping.key, {})[insee] = None
    for key in sorted(users):
        yield catalogue.mappings[key], tuple(users[key])


def _digest(
    bundle: Mapping[str, str], contract: Contract, catalogue: Catalogue, named: str | None
) -> str:
    """Return the digest of all that playing these cases depends on."""
    on = [contract.digest, code(catalogue.adapters[contract.adapter].__module__)]
    if named is not None:
        file = commune_files(bundle)[named]
        on += [named, output_digest(bundle[file], file), file_digest(SETTINGS, bundle[SETTINGS])]
    return hashlib.sha256(json.dumps(on).encode()).hexdigest()


@lru_cache(maxsize=32)
def code(adapter: str) -> str:
    """Return the digest of the code that plays cases: the gateway's, an adapter's (by its module),
    and the versions of the installed packages."""
    digest = hashlib.sha256(sys.version.encode())
    for package in ("gateway", adapter):
        for file in sources_of(package):
            digest.update(file.read_bytes())
    versions = sorted(f"{one.name} {one.version}" for one in distributions())
    digest.update("\n".join(versions).encode())
    return digest.hexdigest()


def sources_of(module: str) -> list[Path]:
    """Return the files of a module, or of its whole package."""
    found = import_module(module)
    file = Path(found.__file__ or "")
    alone = not hasattr(found, "__path__") and "." not in module
    return [file] if alone else sorted(file.parent.rglob("*.py"))
