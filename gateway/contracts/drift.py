"""Form drift: a portal's form changes, and a mapping reads what is gone.

A form's designer knows nothing of our mappings. Its schema is compared with what the mappings read
and call, and with the schema last accepted; a drift names the lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

import structlog

from gateway.catalogue.bundle import SETTINGS
from gateway.catalogue.catalogue import Catalogue, Route
from gateway.contracts.form_schema import (
    FormField,
    Schema,
    actions_of,
    fields_of,
    read_schema,
    seen_of,
    statuses_of,
    workflow_in,
)
from gateway.contracts.in_service import differing, lacking_in
from gateway.contracts.texts import say
from gateway.core.errors import file_line
from gateway.core.mapping import FromPath, RequestMapping, Rule, SourcePath, source_paths
from gateway.core.messages import Message
from gateway.core.outcome import Accepted
from gateway.flow.engine import Engine
from gateway.store import forms
from gateway.store.engine import Store

log = structlog.get_logger()

#: Suffixes of w.c.s. for what goes with a field: stored id, data source's row, rows' texts.
_SUFFIXES = ("_raw", "_structured", "_digests")


class DriftKind(StrEnum):
    RENAMED_FIELD = "renamed_field"
    REMOVED_FIELD = "removed_field"
    MISSING_FIELD = "missing_field"
    CHANGED_TYPE = "changed_type"
    NEW_OPTION = "new_option"
    VANISHED_STATUS = "vanished_status"
    VANISHED_HOOK = "vanished_hook"
    MISSING_HOOK = "missing_hook"
    MISSING_MARK = "missing_mark"
    OLD_WORKFLOW = "old_workflow"


@dataclass(frozen=True, slots=True)
class FormUse:
    """A place in a mapping that depends on it."""

    file: str
    line: int
    target: str


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing in a form that no longer fits the mappings."""

    portal: str
    teleservice: str
    kind: DriftKind
    what: str
    detail: Message
    places: tuple[FormUse, ...]
    communes: tuple[str, ...]

    def kept(self) -> dict[str, Any]:
        """Return it as stored in the database, for pages in French."""
        plain = {"portal": self.portal, "teleservice": self.teleservice, "kind": self.kind}
        told = {"what": self.what, "detail": self.detail.what("fr"), "communes": self.communes}
        return {**plain, **told, "places": [asdict(place) for place in self.places]}


@dataclass(frozen=True, slots=True)
class UnwatchedList:
    """A list whose options a mapping's table must know, and which the portal does not show.

    They come from the data source `source`. A choice that the table lacks stops that citizen's
    request, and is reported then.
    """

    field: str
    source: str
    places: tuple[FormUse, ...]


@dataclass(frozen=True, slots=True)
class DriftReading:
    """The result for one form. `failure` is a constant word: it could not be read."""

    portal: str
    teleservice: str
    drift: tuple[Drift, ...] = ()
    failure: str | None = None
    unwatched: tuple[UnwatchedList, ...] = ()


async def read_forms(engine: Engine, portal: str, *, accept: bool = False) -> list[DriftReading]:
    """Read all of a portal's forms that have routes; store and report the drift.

    With `accept`, later forms are compared with the present ones; a field that the mappings read
    and the form lacks is reported all the same.
    """
    found = []
    for slug in engine.catalogue.portals[portal].teleservices:
        routes = routes_of(engine.catalogue, portal, slug)
        if routes:
            found.append(await _read_form(engine, portal, slug, routes, accept=accept))
    return found


async def _read_form(
    engine: Engine, portal: str, slug: str, routes: list[Route], *, accept: bool
) -> DriftReading:
    schema = await read_schema(engine.portals[portal], slug)
    store: Store = engine.store
    now = engine.environment.now()
    if not isinstance(schema, dict):
        failure = "unreadable" if isinstance(schema, Accepted) else schema.reason
        await store.write(forms.record_failure, portal, slug, failure, now)
        log.warning("drift.unread", portal=portal, teleservice=slug, reason=failure)
        return DriftReading(portal, slug, failure=failure)
    before = await store.read(forms.form, portal, slug)
    accepted = None if before is None or accept else before.accepted
    drift = find_drift(engine.catalogue, portal, slug, routes, accepted, schema)
    touching = bool(drift)
    drift += _old_workflow(engine.catalogue, portal, slug, routes, schema)
    for one in drift:
        log.warning(
            "drift.found",
            portal=portal,
            teleservice=slug,
            kind=one.kind.value,
            what=one.what,
            places=[file_line(place.file, place.line) for place in one.places],
            communes=list(one.communes),
        )
    # A change that touches no mapping is accepted.
    await store.write(
        forms.record_reading,
        portal,
        slug,
        schema,
        [one.kept() for one in drift],
        now,
        accept=accept or not touching,
    )
    return DriftReading(portal, slug, drift, unwatched=find_unwatched(routes, schema))


def _old_workflow(
    catalogue: Catalogue, portal: str, slug: str, routes: list[Route], schema: Schema
) -> tuple[Drift, ...]:
    """Return the workflow in service, if it is not the one that this configuration writes."""
    differs = differing(catalogue, portal, slug, *seen_of(schema))
    if not differs:
        return ()
    detail = say("workflow_old", differs=lacking_in(differs))
    communes = tuple(sorted(route.commune for route in routes))
    place = FormUse(SETTINGS, 0, "gru-gateway portal workflow")
    return (Drift(portal, slug, DriftKind.OLD_WORKFLOW, "workflow", detail, (place,), communes),)


def find_unwatched(routes: list[Route], schema: Schema) -> tuple[UnwatchedList, ...]:
    """Return the lists whose options these routes' tables must know, and which the portal hides."""
    fields = fields_of(schema)
    found: dict[FormField, dict[FormUse, None]] = {}
    for route in routes:
        for rule, name in _looked_up(route.mapping):
            field = fields.get(name) or fields.get(name.removesuffix("_raw"))
            if field is not None and field.source and not field.items and rule.table is not None:
                place = FormUse(rule.table.file or route.mapping.file, rule.table.line, rule.name)
                found.setdefault(field, {})[place] = None
    return tuple(UnwatchedList(f.varname, f.source, tuple(places)) for f, places in found.items())


def find_drift(
    catalogue: Catalogue,
    portal: str,
    slug: str,
    routes: list[Route],
    accepted: Schema | None,
    schema: Schema,
) -> tuple[Drift, ...]:
    """Find what in `schema` no longer fits the routes' mappings. `accepted` None: no comparison."""
    finder = DriftFinder(portal, slug, accepted, schema)
    mappings: dict[str, tuple[RequestMapping, list[str]]] = {}
    for route in routes:
        # Each release has its own version of a mapping: compared by content, not by key.
        for one, communes in mappings.values():
            if one == route.mapping:
                communes.append(route.commune)
                break
        else:
            mappings[f"{route.mapping.key} {route.commune}"] = (route.mapping, [route.commune])
    for mapping, communes in mappings.values():
        finder.mapping(mapping, tuple(communes))
    teleservice = catalogue.portals[portal].teleservices.get(slug)
    if teleservice is not None and teleservice.commune_path is not None:
        every = tuple(sorted(route.commune for route in routes))
        for path in teleservice.commune_path.reads:
            place = FormUse(SETTINGS, 0, "commune")
            finder.reads(path, place, every)
    return finder.found()


class DriftFinder:
    """Collects drift, the same thing at several places once."""

    def __init__(self, portal: str, slug: str, accepted: Schema | None, schema: Schema) -> None:
        self.portal = portal
        self.slug = slug
        self.now = fields_of(schema)
        self.before = {} if accepted is None else fields_of(accepted)
        self.accepted = accepted
        self.schema = schema
        self.all: dict[tuple[DriftKind, str, Message], tuple[dict[FormUse, None], set[str]]] = {}

    def found(self) -> tuple[Drift, ...]:
        return tuple(
            Drift(
                self.portal,
                self.slug,
                kind,
                what,
                detail,
                tuple(sorted(places, key=lambda p: (p.file, p.line, p.target))),
                tuple(sorted(communes)),
            )
            for (kind, what, detail), (places, communes) in sorted(self.all.items(), key=_by_name)
        )

    def add(
        self, kind: DriftKind, what: str, detail: Message, place: FormUse, communes: tuple[str, ...]
    ) -> None:
        places, hit = self.all.setdefault((kind, what, detail), ({}, set()))
        places[place] = None
        hit.update(communes)

    def mapping(self, mapping: RequestMapping, communes: tuple[str, ...]) -> None:
        for source in source_paths(mapping):
            self.reads(source.path, _place(mapping, source), communes)
        for rule in mapping.every_rule():
            self.options(mapping, rule, communes)
        self.calls(mapping, communes)

    def reads(self, path: str, place: FormUse, communes: tuple[str, ...]) -> None:
        root, _, rest = path.partition(".")
        # A form without any field was not shown to us.
        if root != "fields" or not rest or not self.now:
            return
        names = rest.replace("[]", "").split(".")
        if names[0] in ("*", "@", ""):
            return
        name = self.known(names)
        if name in self.now:
            was, now = self.before.get(name), self.now[name]
            if was is not None and was.type != now.type:
                detail = say("type_changed", was=was.type, now=now.type)
                self.add(DriftKind.CHANGED_TYPE, name, detail, place, communes)
            return
        was = self.before.get(name)
        if was is None:
            near = get_close_matches(name, self.now, n=1)
            detail = say("field_missing_near", name=near[0]) if near else say("field_missing")
            self.add(DriftKind.MISSING_FIELD, name, detail, place, communes)
            return
        heir = self.heir(was)
        if heir is None:
            self.add(DriftKind.REMOVED_FIELD, name, say("field_removed"), place, communes)
        else:
            detail = say("field_renamed", name=heir.varname)
            self.add(DriftKind.RENAMED_FIELD, name, detail, place, communes)

    def known(self, names: list[str]) -> str:
        """Return the field that a path's steps read: `enfants.nom` within a block."""
        name = self.base(names[0], "")
        every = {*self.before, *self.now}
        if len(names) > 1 and any(key.startswith(f"{name}.") for key in every):
            return f"{name}.{self.base(names[1], name + '.')}"
        return name

    def base(self, name: str, above: str) -> str:
        there = {*self.before, *self.now}
        if above + name in there:
            return name
        for suffix in _SUFFIXES:
            short = name.removesuffix(suffix)
            if short != name:
                return short
        return name

    def heir(self, was: FormField) -> FormField | None:
        """Return the new field that is otherwise like the one that is gone."""
        fresh = [one for name, one in self.now.items() if name not in self.before]
        alike = [one for one in fresh if one.type == was.type and one.label == was.label]
        return alike[0] if len(alike) == 1 else None

    def options(self, mapping: RequestMapping, rule: Rule, communes: tuple[str, ...]) -> None:
        table = rule.table
        for path in _closed(rule):
            name = self.known(path)
            now, was = self.now.get(name), self.before.get(name)
            if now is None or was is None or table is None:
                continue
            for item in now.items:
                if item in was.items or item in table.entries:
                    continue
                detail = say("option_new", item=item, table=table.name)
                place = FormUse(table.file or mapping.file, table.line, rule.name)
                self.add(DriftKind.NEW_OPTION, name, detail, place, communes)

    def calls(self, mapping: RequestMapping, communes: tuple[str, ...]) -> None:
        portal = mapping.portal
        if not (portal.hook or portal.triggers):
            return
        place = FormUse(portal.file or mapping.file, portal.line, "portal")
        before, now = actions_of(self.accepted or {}), actions_of(self.schema)
        names = {portal.hook, portal.document_hook, *(name for _, name in portal.triggers.values())}
        for name in sorted(name for name in names if name):
            if name in now:
                continue
            if name in before:
                self.add(DriftKind.VANISHED_HOOK, name, say("hook_vanished"), place, communes)
            elif isinstance(workflow_in(self.schema).get("actions"), dict):
                near = get_close_matches(name, now, n=1)
                detail = say("hook_missing_near", name=near[0]) if near else say("hook_missing")
                self.add(DriftKind.MISSING_HOOK, name, detail, place, communes)
        written = workflow_in(self.schema).get("fields")
        if isinstance(written, list) and portal.mark not in fields_of({"fields": written}):
            said = say("mark_missing")
            self.add(DriftKind.MISSING_MARK, portal.mark, said, place, communes)
        if self.accepted is None:
            return
        statuses = statuses_of(self.schema)
        for id, label in statuses_of(self.accepted).items():
            if id not in statuses:
                detail = say("status_vanished", label=label)
                self.add(DriftKind.VANISHED_STATUS, id, detail, place, communes)


def _by_name(
    one: tuple[tuple[DriftKind, str, Message], tuple[dict[FormUse, None], set[str]]],
) -> tuple[str, str, str]:
    (kind, what, detail), _ = one
    return kind, what, str(detail)


def _looked_up(mapping: RequestMapping) -> Iterator[tuple[Rule, str]]:
    """Yield each rule that looks an option up in a table without default, and its field."""
    for rule in mapping.every_rule():
        for steps in _closed(rule):
            yield rule, steps[0]


def _closed(rule: Rule) -> Iterator[list[str]]:
    """Yield the steps of the fields that a rule looks up in a table without default."""
    table = rule.table
    if table is None or table.default is not None or not isinstance(rule.source, FromPath):
        return
    for path in rule.source.expression.reads:
        root, _, rest = path.partition(".")
        if root == "fields" and rest:
            yield rest.replace("[]", "").split(".")


def routes_of(catalogue: Catalogue, portal: str, slug: str) -> list[Route]:
    """Return all communes' routes of one form of a portal."""
    return [
        commune.routes[slug]
        for commune in catalogue.communes.values()
        if commune.portal == portal and slug in commune.routes
    ]


def _place(mapping: RequestMapping, source: SourcePath) -> FormUse:
    return FormUse(source.file or mapping.file, source.line, source.target)
