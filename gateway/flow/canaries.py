"""Sends a synthetic request the whole way: signed push, intake, lane, a far end of ours, status,
and the hook of a canary form at the portal.

It is a request as any other, of a commune that is none (`gateway.core.canary`), whose GRU is ours.
It is deleted once it was through, with its key; what is left of an outage goes before the next one.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import structlog

from gateway.catalogue.catalogue import Caller, Commune, Portal, Route, Settings
from gateway.core import reasons
from gateway.core.availability import CanaryRun
from gateway.core.canary import is_canary
from gateway.core.delivery import NEEDS_A_PERSON, Kind, State
from gateway.core.incident import Party
from gateway.core.reasons import Who
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.lanes.lanes import Lanes
from gateway.sdk.publik.signature import sign_url
from gateway.store import condemned, departed, requests
from gateway.store.engine import Store
from gateway.store.outbox.rows import Delivery
from gateway.wire.addresses import formdata_url
from gateway.wire.clients import open_client

log = structlog.get_logger()

#: Seconds of the push, and between two looks at what follows.
_PUSH, _LOOK = 5.0, 0.1
_OURS = frozenset({Who.OPERATOR, Who.INTEGRATOR})
_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Canaries:
    """Sends synthetic requests. `transport` makes the calls to ourselves; None is the real one.
    After `patience` seconds it is judged as far as it came."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    lanes: Lanes
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None
    patience: float = 13.0

    def route(self, portal: str) -> Route | None:
        """Return the route of a portal's synthetic requests; None where there is none."""
        found = self.far_ends.catalogue
        if portal not in found.portals or found.portals[portal].canary is None:
            return None
        communes = (c for c in found.communes.values() if is_canary(c.insee))
        routes = (r for c in communes if c.portal == portal for r in c.routes.values())
        return next(routes, None)

    async def run(self, portal: str) -> CanaryRun | None:
        """Send one, and see how far it comes; None where none is configured. Raises
        Unavailable."""
        route = self.route(portal)
        if route is None:
            return None
        await self._clear(route.commune)
        deadline = time.monotonic() + self.patience
        request = await self._push(self.far_ends.catalogue.portals[portal], route)
        if request is None:
            return CanaryRun(accepted=False)
        found = await self.store.read(requests.deliveries, request)
        while not _is_over(found) and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK)
            found = await self.store.read(requests.deliveries, request)
        run = self._judged(found)
        if run.told:
            await self._clear(route.commune)
            await self.far_ends.adapters[route.gru.lane_name].erase(request, None)
        else:
            log.warning("canary.stopped", portal=portal, delivered=run.delivered)
        return run

    def _judged(self, found: list[Delivery]) -> CanaryRun:
        delivered = any(one.kind is Kind.SUBMIT and one.state is State.DONE for one in found)
        # A report that was repeated may have been proven by the one of a minute before.
        reports = [one for one in found if one.kind is Kind.REPORT]
        told = bool(reports) and all(
            one.state is State.DONE and one.attempts == 1 for one in reports
        )
        party = Party.PORTAL
        for one in reports:
            reason = one.reason or self.lanes.view(one.lane, {}).breaker.reason
            if not reason or reasons.of(reason).who in _OURS:
                party = Party.GATEWAY  # also where nobody tried to tell it
        return CanaryRun(accepted=True, delivered=delivered, told=told, party=party)

    async def _push(self, portal: Portal, route: Route) -> str | None:
        """Push it as the portal would. Return our id of it; None where it was not taken."""
        settings = self.far_ends.catalogue.settings
        commune = self.far_ends.catalogue.communes[route.commune]
        if portal.canary is None:
            return None
        base = portal.canary.through or _own_address(settings)
        path = f"/portal/v1/communes/{route.commune}/teleservices/{route.teleservice}/requests"
        url, auth = self._proven(base.rstrip("/") + path, portal, commune)
        ref = portal.canary.formdata
        own = formdata_url(portal.base_url, route.teleservice, ref)
        body = {"id": ref, "fields": {}, "api_url": own}
        client = open_client(
            timeout=_PUSH,
            connections=1,
            transport=None if self.transport is None else self.transport(),
        )
        try:
            async with asyncio.timeout(_PUSH), client:
                headers = {} if auth is None else {"Authorization": auth}
                answer = await client.post(url, json=body, headers=headers)
                told = answer.json()["data"]["id"] if answer.is_success else None
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError) as error:
            log.warning("canary.not_taken", portal=portal.name, error=type(error).__name__)
            return None
        if not isinstance(told, str):
            log.warning("canary.not_taken", portal=portal.name, status=answer.status_code)
            return None
        return told

    def _proven(self, url: str, portal: Portal, commune: Commune) -> tuple[str, str | None]:
        """Prove the call as the portal's caller does, or else by the commune's key. Return the
        address, and the header where it is one."""
        caller = next((one for one in portal.callers if one.secrets), None)
        if caller is not None and caller.username is not None:
            name = f"{caller.username}:{caller.secrets[0].get_secret_value()}"
            return url, f"Basic {base64.b64encode(name.encode()).decode()}"
        keys = (caller or Caller(None, None, commune.keys)).secrets
        if not keys:
            return url, None
        orig = None if caller is None else caller.orig
        now, nonce = self.environment.now(), secrets.token_hex(16)
        key = keys[0].get_secret_value()
        return sign_url(url, key, orig=orig, now=now, nonce=nonce), None

    async def _clear(self, insee: str) -> None:
        """Delete all synthetic requests of this portal, and their keys."""
        while await self.store.write(departed.delete_requests, insee, insee, "", _AT_ONCE):
            pass
        await condemned.destroy(self.store)


def _is_over(found: list[Delivery]) -> bool:
    """Was the portal told, or did anything fail?"""
    told = any(one.kind is Kind.REPORT for one in found)
    failed = any(one.failures or one.state in NEEDS_A_PERSON for one in found)
    return failed or (told and all(one.state is State.DONE for one in found))


def _own_address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


__all__ = ["Canaries"]
