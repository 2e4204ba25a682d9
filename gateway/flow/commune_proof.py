"""Proves by the portal's own copy which commune a formdata belongs to.

A commune's key proves the caller, not the formdata: its holder could name any number. So a push
with such a key is accepted, and the portal is asked before anything follows from it at the portal:
before a file is fetched, before the first report, and when another commune brings the same
formdata. The portal's own key and what is read from the portal need no proof.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog

from gateway.catalogue.catalogue import Route, Teleservice
from gateway.core.errors import Rejected, Unavailable
from gateway.core.outcome import Outcome, Refused, TryLater
from gateway.core.request import ServiceRequest
from gateway.flow.far_ends import FarEnds
from gateway.store import accepting
from gateway.store.engine import Store
from gateway.store.rows import StoredRequest

log = structlog.get_logger()

#: Seconds. The portal is asked while it waits for our answer, for 28 seconds at most.
PATIENCE = 12.0


@dataclass(frozen=True, slots=True)
class CommuneProof:
    """Asks portals. One per process."""

    store: Store
    far_ends: FarEnds

    async def require(self, route: Route, ref: str) -> None:
        """Raises Rejected 403 unless the portal says that the formdata is the commune's;
        Unavailable when it cannot be asked."""
        if not _answered(
            await self.belongs_to(route.portal, route.teleservice, ref, route.commune)
        ):
            text = "Le portail ne dit pas que cette demande est celle de la commune."
            raise Rejected(403, "other_commune", text)

    async def displaces(self, known: StoredRequest | None, request: ServiceRequest) -> bool:
        """Another commune's key named this formdata before: does the portal give it to this one?

        Yes if it is this commune's now and was not the other's at that time; the other's request is
        then displaced. Raises Unavailable when the portal cannot be asked.
        """
        if known is None or known.vouched or known.commune == request.commune:
            return False
        place = (request.portal, request.teleservice, request.ref)
        theirs = await self.belongs_to(*place, known.commune, known.received_at)
        if theirs is True:
            await self.store.write(accepting.vouch, known.id)
            return False
        ours = theirs if theirs is not False else await self.belongs_to(*place, request.commune)
        if not _answered(ours):
            return False
        await self.store.write(accepting.displace, known.id)
        log.warning("request.displaced", request=known.id, commune=known.commune)
        return True

    async def is_anothers(self, known: StoredRequest | None, request: ServiceRequest) -> bool:
        """Does the formdata belong to neither of the two communes? Then the sender must not learn
        that the other one has it. Raises Unavailable when the portal cannot be asked."""
        if known is None or known.commune == request.commune:
            return False
        place = (request.portal, request.teleservice, request.ref)
        return _answered(await self.belongs_to(*place, request.commune)) is False

    async def belongs_to(
        self, portal: str, teleservice: str, ref: str, commune: str, at: datetime | None = None
    ) -> bool | Outcome | None:
        """Is the formdata this commune's, now or at the time `at`?

        None when several communes use a form that has no commune field. An outcome when the portal
        cannot be asked. A formdata that the portal does not have is nobody's.
        """
        one = self.far_ends.catalogue.portals[portal].teleservices.get(teleservice)
        if one is None or one.commune_path is None:
            return True if self._only(portal, teleservice) == [commune] else None
        try:
            async with asyncio.timeout(PATIENCE):
                now = await self._named(portal, one, ref, None)
                if now == commune or at is None or not isinstance(now, str | None):
                    return now == commune if isinstance(now, str | None) else now
                # The citizen may have changed it since.
                then = await self._named(portal, one, ref, at)
        except TimeoutError:
            return TryLater("timeout", "the portal did not say in time whose the formdata is")
        return then == commune if isinstance(then, str | None) else then

    async def _named(
        self, portal: str, teleservice: Teleservice, ref: str, at: datetime | None
    ) -> str | Outcome | None:
        client = self.far_ends.portals[portal]
        document = await client.fields(client.api_url(teleservice.slug, ref), at=at)
        match document:
            case Refused():
                return None  # none exists, or it has no values from that time
            case dict():
                return self.far_ends.catalogue.filled_in_for(teleservice, document)
        return document

    def _only(self, portal: str, teleservice: str) -> list[str]:
        return [
            one.insee
            for one in self.far_ends.catalogue.communes.values()
            if one.portal == portal and teleservice in one.routes
        ]


def _answered(holds: bool | Outcome | None) -> bool | None:
    """Return the portal's answer. Raises Unavailable when it could not be asked."""
    if holds is None or isinstance(holds, bool):
        return holds
    raise Unavailable("whose the formdata is cannot be read from the portal now")


__all__ = ["CommuneProof"]
