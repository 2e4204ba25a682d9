"""Renders each case of a release by the code that runs: a commune signs what leaves.

A gateway does not run a release that it renders otherwise than when it was signed: the commune is
shown the change, and signs anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache

from gateway.catalogue.bundle import mapping_key
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.mapping_files import mapping_of
from gateway.catalogue.release import Release, Rendered, files_of, make_releases, routed
from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.contracts.case_bodies import creation_of, event_of_case
from gateway.contracts.cases import Case, read_cases
from gateway.core import render as rendering
from gateway.core.difference import difference
from gateway.core.errors import ConfigurationFault, Fault, Rejected
from gateway.core.mapping import (
    RequestMapping,
    UnknownStatus,
    canonical,
    note_is_public,
    portal_call,
)
from gateway.core.messages import plain
from gateway.core.render import Unmappable, render
from gateway.core.request import Event, EventKind, Json
from gateway.flow.canonical import attachments_of, request_of
from gateway.wire.formdata import parse_formdata

#: Stands for our reference, which no case decides.
_REFERENCE = "TDG-0000000000000000"
_THEN = datetime(2026, 6, 15, 8, 0, tzinfo=UTC)
#: Cases named at once.
_NAMED = 5


def releases_of(
    bundle: Mapping[str, str],
    catalogue: Catalogue,
    versions: Mapping[str, str] | None = None,
    broken: dict[str, tuple[Fault, ...]] | None = None,
) -> dict[str, Release]:
    """Make the releases of the files by this gateway; see `make_releases`."""
    return make_releases(bundle, catalogue, versions, rendered, broken)


def rendered(files: Mapping[str, str]) -> Rendered:
    """Render the cases of some files, by mapping. Unreadable ones are left out: their contract run
    says why."""
    found: dict[str, Mapping[str, Mapping[str, str]]] = {}
    for file in routed(files):
        key = mapping_key(file)
        texts = files_of(files, file)
        leaves = _rendered(file, key, tuple(sorted(texts.items())))
        if leaves is not None:
            found[key] = leaves
    return found


@lru_cache(maxsize=128)
def _rendered(
    file: str, key: str, texts: tuple[tuple[str, str], ...]
) -> Mapping[str, Mapping[str, str]] | None:
    """Render one mapping's cases, None if unreadable; cached, since communes share them."""
    files = dict(texts)
    try:
        mapping = mapping_of(files, file)
    except ConfigurationFault:
        return None
    try:
        cases = read_cases(files, key)
    except ConfigurationFault:
        return {}
    return {title: leaving(mapping, case) for case, title in titled(cases)}


def titled(cases: Sequence[Case]) -> Iterator[tuple[Case, str]]:
    """Yield the cases with their titles; equal titles get a number."""
    seen: dict[str, int] = {}
    for case in cases:
        seen[case.title] = n = seen.get(case.title, 0) + 1
        yield case, case.title if n == 1 else f"{case.title} ({n})"


def rendered_otherwise(releases: Mapping[str, Release]) -> dict[str, tuple[Fault, ...]]:
    """Return by commune the differences of releases that this gateway renders otherwise than when
    they were signed."""
    found: dict[str, tuple[Fault, ...]] = {}
    for insee, release in releases.items():
        if release.rendered is None:
            continue
        differing = list(_differing(release.rendered, rendered(release.files)))
        if differing:
            named = ", ".join(differing[:_NAMED]) + (", ..." if len(differing) > _NAMED else "")
            what = f"this gateway sends other than was signed in {len(differing)} cases: {named}"
            remedy = (
                "release plan shows what; have it signed and apply it, or run the gateway of before"
            )
            where = f"release {release.short} of {release.name} ({insee})"
            found[insee] = (Fault(where, 0, plain(what, remedy)),)
    return found


def _differing(signed: Rendered, now: Rendered) -> Iterator[str]:
    for key, cases in signed.items():
        today = now.get(key, {})
        for title, fields in cases.items():
            other = today.get(title, {})
            names = sorted({n for n in {*fields, *other} if fields.get(n) != other.get(n)})
            if names:
                yield f"{key} « {title} » ({', '.join(names[:_NAMED])})"


def leaving(mapping: RequestMapping | None, case: Case) -> dict[str, str]:
    """Render a case as text, field by field; nothing without a mapping. What is no field of the GRU
    has a French name: `refus`, `appel`, `statut`, `message`."""
    if mapping is None:
        return {}
    return _returned(mapping, case) if case.given.returns else _sent(mapping, case)


def _sent(mapping: RequestMapping, case: Case) -> dict[str, str]:
    rendered = rendering_of(mapping, case)
    if rendered is None:
        return {}
    if isinstance(rendered, Unmappable):
        # Without the lines, which may move alone.
        return {"refus": "\n".join(fault.text for fault in rendered.faults)}
    found = dict(_flat(rendered.payload, ""))
    for n, file in enumerate(rendered.attachments):
        found[f"pièce jointe {n + 1}"] = str(file.get("filename"))
    return found


def rendering_of(mapping: RequestMapping, case: Case) -> rendering.Rendered | Unmappable | None:
    """Render what the citizen does in a case; None for what no portal could send."""
    address = f"https://portail.exemple.invalid/api/forms/{mapping.teleservice}/1/"
    kind = case.given.event
    later = kind is not EventKind.CREATION
    body = event_of_case(case, address) if later else creation_of(case, address)
    try:
        parsed = parse_formdata(
            json.dumps(body).encode(), "application/json", limits=DEFAULT_LIMITS
        )
    except Rejected:
        return None
    attachments, _ = attachments_of(parsed.files)
    request = request_of(
        _REFERENCE,
        ("portail", case.commune or "69000", mapping.teleservice),
        parsed,
        Event("evenement-du-cas", kind, case.given.message),
        attachments,
        _THEN,
    )
    if kind is EventKind.CHANGE:
        before = json.dumps(creation_of(case, address)).encode()
        first = parse_formdata(before, "application/json", limits=DEFAULT_LIMITS)
        changes = tuple(difference(first.fields, parsed.fields))
        request = replace(request, changes=changes)
    return render(mapping, {**request.document(), "link": case.given.link}, kind)


def _returned(mapping: RequestMapping, case: Case) -> dict[str, str]:
    given = case.given
    found: dict[str, str] = {}
    public = given.message is not None and note_is_public(mapping, given.public)
    if given.message is not None and public:
        found["message"] = given.message
    if given.status is None:
        return found
    rule = canonical(mapping, given.status)
    if rule is None:
        ignored = mapping.unknown_status is UnknownStatus.IGNORE
        return {"statut": "inconnu, ignoré" if ignored else "inconnu, en attente d'un agent"}
    if rule.status is None:
        return found
    call = portal_call(mapping, rule.status)
    if call is not None:
        found["appel"] = f"{call.kind} {call.name}"
        found["statut"] = call.word
    if rule.message is not None:
        found.setdefault("message", rule.message)
    return found


def _flat(value: Json, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        for n, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{n}]")
    else:
        plain = isinstance(value, str)
        yield name, str(value) if plain else json.dumps(value, ensure_ascii=False, sort_keys=True)
