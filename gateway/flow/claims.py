"""Whose a formdata is, as the portal's own copy of it says.

A commune's key proves the commune, not that a formdata is that commune's: anybody who has a key
could name any number. So what such a key brought is taken, and the portal is asked before anything
of ours follows from it at the portal: before a file is fetched from there, before the first report,
and when another commune brings the same formdata. The portal's key needs no such proof, nor does
what was read from the portal itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from gateway.catalogue.catalogue import Teleservice
from gateway.core.outcome import Outcome, Refused, TryLater
from gateway.flow.far_ends import FarEnds

#: The portal is asked while it waits for our answer, for which it has 28 seconds.
PATIENCE = 12.0


@dataclass(frozen=True, slots=True)
class Claims:
    """Asks portals. One per process."""

    far_ends: FarEnds

    async def holds(
        self, portal: str, teleservice: str, ref: str, commune: str, at: datetime | None = None
    ) -> bool | Outcome | None:
        """Is the formdata this commune's, now or as it stood `at`?

        None: the form has no field that tells, and several communes take it. An outcome: the portal
        cannot be asked now. A formdata that the portal does not have is nobody's.
        """
        one = self.far_ends.catalogue.portals[portal].teleservices.get(teleservice)
        if one is None or one.commune_path is None:
            return True if self._only(portal, teleservice) == [commune] else None
        try:
            async with asyncio.timeout(PATIENCE):
                now = await self._told(portal, one, ref, None)
                if now == commune or at is None or not isinstance(now, str | None):
                    return now == commune if isinstance(now, str | None) else now
                # The citizen may have changed it since.
                then = await self._told(portal, one, ref, at)
        except TimeoutError:
            return TryLater("timeout", "the portal did not say in time whose the formdata is")
        return then == commune if isinstance(then, str | None) else then

    async def _told(
        self, portal: str, teleservice: Teleservice, ref: str, at: datetime | None
    ) -> str | Outcome | None:
        client = self.far_ends.portals[portal]
        document = await client.fields(client.api_url(teleservice.slug, ref), at=at)
        match document:
            case Refused():
                return None  # there is none, or it has no values from that time
            case dict():
                return self.far_ends.catalogue.filled_in_for(teleservice, document)
        return document

    def _only(self, portal: str, teleservice: str) -> list[str]:
        return [
            one.insee
            for one in self.far_ends.catalogue.communes.values()
            if one.portal == portal and teleservice in one.routes
        ]


__all__ = ["Claims"]
