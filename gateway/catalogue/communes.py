"""One commune's file checked against all the rest: portal, adapters, options, mappings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

import httpx
from pydantic import SecretStr

from gateway.catalogue.catalogue import Commune, Gru, LaneLimits, Portal, Route
from gateway.catalogue.network import read_network
from gateway.catalogue.secrets import Secrets
from gateway.catalogue.settings import CommuneFile, GruEntry, RouteEntry
from gateway.catalogue.yaml_lines import Located, nearest, validate
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.mapping import Mapping as RequestMapping
from gateway.core.retry import RetryPolicy
from gateway.sdk import Adapter, Capabilities, Options, texts_in
from gateway.sdk import Context as AdapterContext

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a commune's file refers to.

    `portal_names`, `mappings_broken` and `adapters_broken` name what exists but is at fault
    itself: referring to it is no second fault.
    """

    retry: RetryPolicy
    portals: Mapping[str, Portal]
    portals_known: bool
    portal_names: frozenset[str]
    portal_file: Located | None
    mappings: Mapping[str, RequestMapping]
    mappings_broken: frozenset[str]
    adapters: Mapping[str, type[Adapter]]
    adapters_broken: frozenset[str] = frozenset()


class _NoNetwork(httpx.AsyncBaseTransport):
    """For instances that are only asked what they can do."""

    async def handle_async_request(self, request: httpx.Request) -> NoReturn:
        raise httpx.ConnectError("an adapter makes no call while it is being checked")


class CommuneReader:
    """Reads communes one by one, adding to `faults` and `warnings`."""

    def __init__(
        self, context: Context, secrets: Secrets, faults: list[Fault], warnings: list[Fault]
    ) -> None:
        self.context = context
        self.secrets = secrets
        self.faults = faults
        self.warnings = warnings
        self.client = httpx.AsyncClient(transport=_NoNetwork(), trust_env=False)

    def read(self, entry: CommuneFile, located: Located) -> Commune:
        """The commune; with faults added, it lacks what is at fault."""
        portal = self.context.portals.get(entry.portal)
        if portal is None and self._names_no_portal(entry.portal, located):
            remedy = nearest(entry.portal, sorted(self.context.portal_names))
            self._fault(located, ("portal",), f"there is no portal {entry.portal}", remedy)
        keys: tuple[SecretStr, ...] = ()
        if entry.key is not None:
            keys = self.secrets.several(entry.key, located, ("key",))
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
            what = f"{entry.name} has no route: none of its requests can be taken"
            self.warnings.append(located.fault((), what, "add `routes:`"))
        return Commune(
            insee=entry.commune,
            codes=frozenset(entry.codes),
            name=entry.name,
            portal=entry.portal,
            keys=keys,
            grus=grus,
            routes=routes,
            contacts=dict(entry.contacts),
            paused=entry.paused,
        )

    def _names_no_portal(self, name: str, located: Located) -> bool:
        written = located.value.get("portal") == name
        known = self.context.portal_names
        return written and self.context.portals_known and name not in known

    def _environments(self, entry: CommuneFile, portal: Portal | None, located: Located) -> None:
        for name, one in entry.gru.items():
            production = one.environment == "production"
            if portal is None or portal.production == production:
                continue
            ours, theirs = ("a test", "production") if production else ("production", "a test")
            self.warnings.append(
                located.fault(
                    ("gru", name, "environment"),
                    f"{ours} portal ({portal.name}) feeds {theirs} GRU ({name})",
                    "set `environment` on both alike",
                )
            )

    def _gru(self, entry: CommuneFile, name: str, one: GruEntry, located: Located) -> Gru | None:
        here: Path = ("gru", name)
        adapter = self.context.adapters.get(one.adapter)
        if adapter is None and one.adapter in self.context.adapters_broken:
            return None
        if adapter is None:
            known = sorted(self.context.adapters)
            what = f"the adapter `{one.adapter}` is not installed"
            remedy = f"installed: {', '.join(known) or 'none'}"
            self._fault(located, (*here, "adapter"), what, remedy)
            return None
        options = self._options(adapter, name, located)
        if options is None:
            return None
        production = one.environment == "production"
        context = AdapterContext(
            commune=entry.commune,
            instance=name,
            client=self.client,
            now=lambda: datetime.now(UTC),
            production=production,
        )
        try:
            capabilities: Capabilities = adapter(options, context).capabilities
        except Exception as error:
            what = f"the adapter `{one.adapter}` fails on these options: {type(error).__name__}"
            self._fault(located, (*here, "options"), what, "tell the adapter's author")
            return None
        poll = one.poll
        if not capabilities.statuses:
            if "poll" in one.model_fields_set and poll is not None:
                what = f"the adapter `{one.adapter}` cannot be polled with these options"
                self._fault(located, (*here, "poll"), what, "write `poll: null`")
            poll = None
        return Gru(
            commune=entry.commune,
            name=name,
            adapter=one.adapter,
            options=options,
            production=production,
            lane=LaneLimits(one.lane.concurrency, one.lane.rate),
            timeout=one.timeout,
            poll=poll,
            retry=self.context.retry if one.retry is None else one.retry.over(self.context.retry),
            capabilities=capabilities,
            follow=one.follow_after_end,
            network=read_network(
                one.network,
                located,
                (*here, "network"),
                self.secrets,
                texts_in(options.model_dump(), most=100_000),
            ),
        )

    def _options(self, adapter: type[Adapter], name: str, located: Located) -> Options | None:
        here: Path = ("gru", name)
        if "options" in located.value["gru"][name]:
            raw = located.at((*here, "options"))
        else:
            raw = Located({}, located.file, {(): located.line(here)})
        resolved, without = self.secrets.options(adapter.Options, raw)
        try:
            options = validate(adapter.Options, resolved)
        except ConfigurationFault as error:
            for fault in error.faults:
                if fault.line in without:
                    continue  # told already, as a secret that could not be had
                what = self.secrets.scrub(fault.what).removesuffix(" at the top level")
                remedy = self.secrets.scrub(fault.remedy)
                self.faults.append(
                    Fault(fault.file, fault.line, f"options of GRU `{name}`: {what}", remedy)
                )
            return None
        return None if without else options

    def _route(
        self,
        entry: CommuneFile,
        slug: str,
        route: RouteEntry,
        portal: Portal | None,
        located: Located,
    ) -> RequestMapping | None:
        here: Path = ("routes", slug)
        if portal is not None and slug not in portal.teleservices:
            told = declared(self.context.portal_file, ("portals", portal.name, "teleservices"))
            if slug not in told:
                what = f"the portal {portal.name} has no teleservice {slug}"
                remedy = nearest(slug, sorted(told)) if told else "declare it under teleservices"
                self._fault(located, here, what, remedy)
        gru = entry.gru.get(route.gru)
        if gru is None and route.gru not in declared(located, ("gru",)):
            what = f"this commune has no GRU `{route.gru}`"
            self._fault(located, (*here, "gru"), what, nearest(route.gru, sorted(entry.gru)))
        mapping = self.context.mappings.get(route.mapping)
        if mapping is None:
            if route.mapping not in self.context.mappings_broken:
                what = f"there is no mapping {route.mapping}"
                remedy = nearest(route.mapping, sorted(self.context.mappings))
                self._fault(located, (*here, "mapping"), what, remedy)
            return None
        if mapping.teleservice != slug:
            what = f"the mapping {mapping.key} is for the teleservice {mapping.teleservice}"
            self._fault(located, (*here, "mapping"), what, f"choose one for {slug}")
        known = gru is not None and gru.adapter in self.context.adapters
        if gru is not None and known and mapping.adapter != gru.adapter:
            what = (
                f"the mapping {mapping.key} is for the adapter {mapping.adapter},"
                f" and the GRU `{route.gru}` is spoken to by {gru.adapter}"
            )
            self._fault(located, (*here, "mapping"), what, "choose the mapping or GRU that fits")
        return mapping

    def _fault(self, located: Located, path: Path, what: str, remedy: str = "") -> None:
        self.faults.append(located.fault(path, what, remedy))


def declared(located: Located | None, path: Path) -> frozenset[str]:
    """The keys that a file has below `path`, whether they are well or not."""
    value = None if located is None else located.value
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return frozenset(value) if isinstance(value, dict) else frozenset()
