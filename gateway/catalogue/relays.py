"""The content of the portal's workflow, taken from the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.catalogue.bundle import SETTINGS
from gateway.catalogue.catalogue import Catalogue, Commune, Portal, Route, Teleservice
from gateway.catalogue.config_faults import nearest
from gateway.catalogue.texts import say
from gateway.core.errors import ConfigurationFault, Fault, NotFound
from gateway.core.mapping import RequestMapping
from gateway.core.request import EventKind
from gateway.core.status import PORTAL_WORDS, Status
from gateway.wire.relay import EVENTS, SENDING, Relay, SendingCommune

_FIELD = re.compile(r"fields\.([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class UnrelayedEvent:
    """An event without a button for the citizen, and the communes that cannot take it."""

    kind: EventKind
    communes: tuple[str, ...]


def relay_of(
    catalogue: Catalogue,
    teleservice: str,
    *,
    portal: str | None = None,
    communes: Sequence[str] = (),
    moderated: bool = False,
) -> tuple[Relay, list[UnrelayedEvent]]:
    """Return the relay of a teleservice for its communes (all with a route), and what it leaves
    out.

    `portal` may be omitted when one portal alone has the teleservice. Raises NotFound for what is
    not configured, ConfigurationFault when one workflow cannot serve all of it.
    """
    where = _portal(catalogue, teleservice, portal)
    form = where.teleservices[teleservice]
    routes = _routes(catalogue, where, teleservice, communes)
    faults = [*_portal_faults(where, form, routes), *_mapping_faults(routes)]
    if faults:
        raise ConfigurationFault(faults)
    mapping = routes[0][1].mapping
    left_out = list(_left_out(routes))
    relay = Relay(
        teleservice=teleservice,
        base=catalogue.settings.public_url.rstrip("/"),
        senders=tuple(_sender(commune) for commune, _ in routes),
        # Of a single commune as well: the form may be filled in for another.
        commune_field=_field(form),
        hook=mapping.portal.hook or "",
        document_hook=mapping.portal.document_hook,
        words=_words(mapping),
        mark=mapping.portal.mark,
        amends=frozenset(EVENTS) - {one.kind for one in left_out},
        moderated=moderated,
        **({} if form.due.field is None else {"due": form.due.field}),
    )
    return relay, left_out


def _portal(catalogue: Catalogue, teleservice: str, name: str | None) -> Portal:
    if name is not None and name not in catalogue.portals:
        cure = nearest(name, sorted(catalogue.portals))
        raise NotFound(say("no_portal", name=name, cure=cure))
    chosen = [p for p in catalogue.portals.values() if name in (None, p.name)]
    having = [p for p in chosen if teleservice in p.teleservices]
    if not having:
        known = sorted({slug for p in chosen for slug in p.teleservices})
        cure = nearest(teleservice, known)
        raise NotFound(say("no_portal_has", slug=teleservice, cure=cure))
    if len(having) > 1:
        names = tuple(sorted(p.name for p in having))
        raise NotFound(say("several_portals_have", slug=teleservice, names=names))
    return having[0]


def _routes(
    catalogue: Catalogue, portal: Portal, teleservice: str, asked: Sequence[str]
) -> list[tuple[Commune, Route]]:
    everybody = {**catalogue.unreleased, **catalogue.communes}
    here = {
        one.insee: (one, one.routes[teleservice])
        for one in sorted(everybody.values(), key=lambda one: one.insee)
        if one.portal == portal.name and teleservice in one.routes
    }
    wanted = {catalogue.insee(code): code for code in asked}
    unknown = [code for insee, code in wanted.items() if insee not in here]
    if unknown:
        known = tuple(f"{insee} ({one.name})" for insee, (one, _) in here.items())
        told = {"slug": teleservice, "portal": portal.name, "known": known or (say("none"),)}
        raise NotFound(say("no_route_of", **told, codes=tuple(unknown)))
    if not here:
        raise NotFound(say("no_route_on", slug=teleservice, portal=portal.name))
    return [found for insee, found in here.items() if not wanted or insee in wanted]


def _portal_faults(
    portal: Portal, form: Teleservice, routes: Sequence[tuple[Commune, Route]]
) -> Iterable[Fault]:
    if len(routes) > 1 and _field(form) is None:
        yield Fault(SETTINGS, 0, say("no_commune_field", slug=form.slug, count=len(routes)))
    if form.due.field is None and SENDING[0] not in form.due.statuses:
        yield Fault(SETTINGS, 0, say("due_unnamed", slug=form.slug))
    for kind, (status, _, word) in EVENTS.items():
        if form.events.get(status) is not kind:
            yield Fault(SETTINGS, 0, say("event_untold", slug=form.slug, status=status, word=word))
    keyless = [commune for commune, _ in routes if not commune.keys]
    if 0 < len(keyless) < len(routes):
        names = tuple(f"{one.name} ({one.insee})" for one in keyless)
        yield Fault("config/communes", 0, say("some_keys", names=names))
    if all(caller.orig is None for caller in portal.callers):
        for commune, _ in routes:
            if not commune.keys:
                named = {"name": commune.name, "insee": commune.insee, "portal": portal.name}
                yield Fault(SETTINGS, 0, say("no_key", **named))


def _mapping_faults(routes: Sequence[tuple[Commune, Route]]) -> Iterable[Fault]:
    mappings = {route.mapping.file: route.mapping for _, route in routes}
    first = next(iter(mappings.values()))
    for mapping in mappings.values():
        line, file = mapping.portal.line, mapping.portal.file or mapping.file
        if mapping.portal.hook is None:
            yield Fault(file, line, say("no_hook"))
        if mapping.portal.triggers:
            yield Fault(file, line, say("other_triggers"))
        if _relayed(mapping) != _relayed(first):
            yield Fault(file, line, say("portals_differ", file=first.file))
        for status, word in _words(mapping).items():
            if not re.fullmatch(r"[\w-]+", word):
                yield Fault(file, line, say("odd_word", status=status.value))


def _left_out(routes: Sequence[tuple[Commune, Route]]) -> Iterable[UnrelayedEvent]:
    for kind in EVENTS:
        without = tuple(
            f"{commune.name} ({commune.insee})"
            for commune, route in routes
            if kind not in route.mapping.amend or kind not in route.gru.capabilities.amends
        )
        if without:
            yield UnrelayedEvent(kind, without)


def _relayed(mapping: RequestMapping) -> tuple[object, ...]:
    portal = mapping.portal
    return portal.hook, portal.document_hook, portal.mark, tuple(_words(mapping).items())


def _words(mapping: RequestMapping) -> dict[Status, str]:
    return {status: mapping.portal.words.get(status, PORTAL_WORDS[status]) for status in Status}


def _field(form: Teleservice) -> str | None:
    path = "" if form.commune_path is None else form.commune_path.text
    found = _FIELD.fullmatch(path)
    return found[1] if found else None


def _sender(commune: Commune) -> SendingCommune:
    """Return the sender. Its key is in a site variable, not in the file."""
    codes = (commune.insee, *sorted(commune.codes))
    return SendingCommune(codes, variable_of(commune))


def variable_of(commune: Commune) -> str | None:
    """Return the portal's variable that holds the key of a commune; None where it has no key of its
    own."""
    return f"cle_passerelle_{commune.insee}" if commune.keys else None
