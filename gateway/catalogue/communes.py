"""Checks one commune's file against all the rest: portal, adapters, options, mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.catalogue.catalogue import Commune, CommuneLinking, Gru, Portal, Route
from gateway.catalogue.config_faults import nearest
from gateway.catalogue.gru_reading import GruReader
from gateway.catalogue.linking import read_linking
from gateway.catalogue.network import NetworkReader
from gateway.catalogue.secrets import SecretSource
from gateway.catalogue.settings import CommuneFile, GruEntry, RouteEntry
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.errors import Fault
from gateway.core.mapping import RequestMapping
from gateway.core.messages import Message
from gateway.core.retry import RetryPolicy
from gateway.sdk import Adapter

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class CommuneContext:
    """The values that a commune's file refers to.

    `portal_names`, `mappings_broken` and `adapters_broken` name what exists but is at fault itself:
    a reference to it is no second fault.
    """

    retry: RetryPolicy
    portals: Mapping[str, Portal]
    portals_known: bool
    portal_names: frozenset[str]
    portal_file: LocatedData | None
    mappings: Mapping[str, RequestMapping]
    mappings_broken: frozenset[str]
    adapters: Mapping[str, type[Adapter]]
    adapters_broken: frozenset[str] = frozenset()
    public_url: str = ""
    #: GLC is configured as OpenID provider.
    openid: bool = False


@dataclass(slots=True)
class CommuneReader:
    """Reads communes one by one; adds to `faults` and `warnings`."""

    context: CommuneContext
    secrets: SecretSource
    networks: NetworkReader
    faults: list[Fault]
    warnings: list[Fault]
    grus: GruReader = field(init=False)

    def __post_init__(self) -> None:
        context = self.context
        known = context.adapters, context.adapters_broken, context.public_url
        self.grus = GruReader(*known, self.secrets, self.networks, self.faults)

    def read(self, entry: CommuneFile, located: LocatedData) -> Commune:
        """Read the commune. What is at fault is missing from it, with its fault added."""
        portal = self.context.portals.get(entry.portal)
        if portal is None and self._names_no_portal(entry.portal, located):
            cure = nearest(entry.portal, sorted(self.context.portal_names))
            self._fault(located, ("portal",), say("no_portal", name=entry.portal, cure=cure))
        grus = {}
        for name, one in entry.gru.items():
            gru = self._gru(entry, name, one, located)
            if gru is not None:
                grus[name] = gru
        self._environments(entry, portal, located)
        routes = {}
        for slug, route in entry.routes.items():
            mapping = self._route(entry, slug, route, portal, located)
            known = grus.get(route.gru)
            if mapping is not None and known is not None:
                routes[slug] = Route(entry.portal, entry.commune, slug, known, mapping)
        if not declared(located, ("routes",)):
            self.warnings.append(located.fault((), say("no_routes", name=entry.name)))
        return Commune(
            insee=entry.commune,
            codes=frozenset(entry.codes),
            name=entry.name,
            portal=entry.portal,
            keys=entry.key or (),
            grus=grus,
            routes=routes,
            contacts=dict(entry.contacts),
            paused=entry.paused,
            linking=self._linking(entry, portal, located),
        )

    def _linking(
        self, entry: CommuneFile, portal: Portal | None, located: LocatedData
    ) -> CommuneLinking | None:
        if entry.linking is None:
            return None
        if not self.context.openid:
            self.warnings.append(located.fault(("linking",), say("linking_off")))
        production = portal is not None and portal.production
        return read_linking(entry.linking, located, production, self.faults, self.warnings)

    def _names_no_portal(self, name: str, located: LocatedData) -> bool:
        written = located.value.get("portal") == name
        known = self.context.portal_names
        return written and self.context.portals_known and name not in known

    def _environments(
        self, entry: CommuneFile, portal: Portal | None, located: LocatedData
    ) -> None:
        for name, one in entry.gru.items():
            production = one.environment == "production"
            if portal is None or portal.production == production:
                continue
            word = "test_feeds_production" if production else "production_feeds_test"
            said = say(word, portal=portal.name, gru=name)
            self.warnings.append(located.fault(("gru", name, "environment"), said))

    def _gru(
        self, entry: CommuneFile, name: str, one: GruEntry, located: LocatedData
    ) -> Gru | None:
        retry = self.context.retry if one.retry is None else one.retry.over(self.context.retry)
        lane = one.lane.policy(one.timeout, retry)
        owner = entry.commune, name
        return self.grus.read(owner, one, lane, one.follow_after_end, located, ("gru", name))

    def _route(
        self,
        entry: CommuneFile,
        slug: str,
        route: RouteEntry,
        portal: Portal | None,
        located: LocatedData,
    ) -> RequestMapping | None:
        here: Path = ("routes", slug)
        if portal is not None and slug not in portal.teleservices:
            told = declared(self.context.portal_file, ("portals", portal.name, "teleservices"))
            if slug not in told:
                cure = nearest(slug, sorted(told)) if told else say("declare_it")
                said = say("no_teleservice", portal=portal.name, slug=slug, cure=cure)
                self._fault(located, here, said)
        gru = entry.gru.get(route.gru)
        if gru is None and route.gru not in declared(located, ("gru",)):
            cure = nearest(route.gru, sorted(entry.gru))
            self._fault(located, (*here, "gru"), say("no_gru", name=route.gru, cure=cure))
        mapping = self.context.mappings.get(route.mapping)
        if mapping is None:
            if route.mapping not in self.context.mappings_broken:
                known_here = sorted(self.context.mappings)
                cure = (
                    nearest(route.mapping, known_here)
                    if known_here
                    else say("write_mapping", name=route.mapping)
                )
                said = say("no_mapping", name=route.mapping, cure=cure)
                self._fault(located, (*here, "mapping"), said)
            return None
        if mapping.teleservice != slug:
            said = say(
                "mapping_of_other_slug", key=mapping.key, other=mapping.teleservice, slug=slug
            )
            self._fault(located, (*here, "mapping"), said)
        known = gru is not None and gru.adapter in self.context.adapters
        if gru is not None and known and mapping.adapter != gru.adapter:
            said = say(
                "mapping_of_other_adapter",
                key=mapping.key,
                adapter=mapping.adapter,
                gru=route.gru,
                other=gru.adapter,
            )
            self._fault(located, (*here, "mapping"), said)
        return mapping

    def _fault(self, located: LocatedData, path: Path, said: Message) -> None:
        self.faults.append(located.fault(path, said))


def declared(located: LocatedData | None, path: Path) -> frozenset[str]:
    """Return the keys that a file has below `path`, valid or not."""
    value = None if located is None else located.value
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return frozenset(value) if isinstance(value, dict) else frozenset()
