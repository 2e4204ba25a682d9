"""Two mappings held against each other: what they say, and what then leaves in the cases."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.catalogue.bundle import mapping_key
from gateway.catalogue.mapping_bases import resolved
from gateway.catalogue.mapping_files import mapping_of
from gateway.contracts.cases import read_cases
from gateway.contracts.difference import Difference, Effect, leaves_of
from gateway.contracts.leaving import leaving, titled


def said_otherwise(
    before: Mapping[str, str], old: str, after: Mapping[str, str], new: str
) -> tuple[Difference, ...]:
    """List the values in which two mappings differ with all that they inherit, at the place of the
    new one (of the old, where it is gone). Raises ConfigurationFault."""
    one, other = resolved(before, old), resolved(after, new)
    was, now = leaves_of(one.value), leaves_of(other.value)
    found = []
    for path in {**now, **was}:
        if was.get(path) != now.get(path):
            file, line, _ = (other if path in now else one).place(path)
            name = ".".join(map(str, path))
            found.append(Difference(file, line, name, was.get(path), now.get(path)))
    return tuple(sorted(found, key=lambda one: (one.file, one.line, one.path)))


def leaves_otherwise(
    before: Mapping[str, str], old: str, after: Mapping[str, str], new: str
) -> tuple[Effect, ...]:
    """List what leaves otherwise by the new mapping than by the old one, in the new one's cases or,
    where it has none, in the old one's. Raises ConfigurationFault."""
    was, now = mapping_of(before, old), mapping_of(after, new)
    cases = read_cases(after, mapping_key(new)) or read_cases(before, mapping_key(old))
    return tuple(
        Effect(now.key, case.title, case.place, name, one.get(name), other.get(name))
        for case, _ in titled(cases)
        for one, other in [(leaving(was, case), leaving(now, case))]
        for name in {**one, **other}
        if one.get(name) != other.get(name)
    )
