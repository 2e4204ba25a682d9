"""Reads a far end that an adapter speaks to: a commune's GRU, or the tool of the tickets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

import httpx

from gateway.catalogue.adapter_entries import AdapterEntry
from gateway.catalogue.catalogue import Gru
from gateway.catalogue.config_faults import validate
from gateway.catalogue.network import NetworkReader
from gateway.catalogue.secrets import SecretSource
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.error_place import error_place
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.lane_policy import LanePolicy
from gateway.core.messages import Message
from gateway.sdk import Adapter, Capabilities, Context, Options, texts_in

Path = tuple[str | int, ...]


class _NoNetwork(httpx.AsyncBaseTransport):
    """Return a context for instances that only tell their capabilities."""

    async def handle_async_request(self, request: httpx.Request) -> NoReturn:
        raise httpx.ConnectError("an adapter makes no call while it is being checked")


@dataclass(slots=True)
class GruReader:
    """Reads one far end after the other; adds to `faults`."""

    adapters: Mapping[str, type[Adapter]]
    adapters_broken: frozenset[str]
    public_url: str
    secrets: SecretSource
    networks: NetworkReader
    faults: list[Fault]
    client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(transport=_NoNetwork(), trust_env=False)
    )

    def read(
        self,
        owner: tuple[str, str],
        one: AdapterEntry,
        lane: LanePolicy,
        follow: float | None,
        located: LocatedData,
        here: Path,
    ) -> Gru | None:
        """Read the far end at `here`; `owner` is the commune and the name of its GRU. None: it is
        at fault."""
        adapter = self._adapter(one, located, here)
        if adapter is None:
            return None
        commune, name = owner
        options = self._options(adapter, name, located, here)
        if options is None:
            return None
        misplaced = options.misplaced(self.public_url)
        if misplaced is not None:
            said = say("of_options", name=name, said=misplaced.said, cure=misplaced.said.cure)
            self.faults.append(located.fault((*here, "options", *misplaced.path), said))
            return None
        capabilities = self._capabilities(adapter, options, owner, one, located, here)
        if capabilities is None:
            return None
        poll = one.poll
        if not capabilities.statuses:
            if "poll" in one.model_fields_set and poll is not None:
                said = say("no_polling", kind=one.adapter)
                self.faults.append(located.fault((*here, "poll"), said))
            poll = None
        return Gru(
            commune=commune,
            name=name,
            adapter=one.adapter,
            options=options,
            production=one.environment == "production",
            lane=lane,
            poll=poll,
            capabilities=capabilities,
            follow=follow,
            network=self.networks.read(
                one.network,
                located,
                (*here, "network"),
                texts_in(options.model_dump(), most=100_000),
            ),
        )

    def _adapter(self, one: AdapterEntry, located: LocatedData, here: Path) -> type[Adapter] | None:
        found = self.adapters.get(one.adapter)
        if found is None and one.adapter not in self.adapters_broken:
            known = tuple(sorted(self.adapters)) or say("none")
            said = say("no_adapter", kind=one.adapter, known=known)
            self.faults.append(located.fault((*here, "adapter"), said))
        return found

    def _capabilities(
        self,
        adapter: type[Adapter],
        options: Options,
        owner: tuple[str, str],
        one: AdapterEntry,
        located: LocatedData,
        here: Path,
    ) -> Capabilities | None:
        commune, name = owner
        context = Context(
            commune=commune,
            instance=name,
            client=self.client,
            now=lambda: datetime.now(UTC),
            production=one.environment == "production",
        )
        try:
            found: Capabilities = adapter(options, context).capabilities
        except Exception as error:
            place = f"{type(error).__name__}, {error_place(error)}"
            said = say("adapter_fails", kind=one.adapter, error=place)
            self.faults.append(located.fault((*here, "options"), said))
            return None
        return found

    def _options(
        self, adapter: type[Adapter], name: str, located: LocatedData, here: Path
    ) -> Options | None:
        if (*here, "options") in located.lines:
            raw = located.at((*here, "options"))
        else:
            raw = LocatedData({}, located.file, {(): located.line(here)})

        def of_options(said: Message) -> Message:
            said = self.secrets.scrubbed(said)
            return say("of_options", name=name, said=said, cure=said.cure)

        try:
            return validate(adapter.Options, raw, self.secrets, of_options)
        except ConfigurationFault as error:
            self.faults += error.faults
            return None


__all__ = ["GruReader"]
