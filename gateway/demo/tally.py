"""The tally of a scenario, counted in the simulators only: the gateway's own tables prove
nothing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

from gateway.core.status import FINAL, PORTAL_WORDS
from gateway.demo.agents import INTERNAL
from gateway.demo.stage import Stage

_FINAL_WORDS = frozenset(PORTAL_WORDS[status] for status in FINAL)


@dataclass(frozen=True, slots=True)
class Tally:
    """`requests`: sent by citizens. `delivered`: our references at GRUs. `reported`: requests whose
    final status is at the portal. `duplicates`: second tickets of one reference, and repeated
    events at the portal. `lost`: not delivered, or never reported. `leaked`: internal notes at the
    portal."""

    requests: int
    delivered: int
    reported: int
    duplicates: int
    lost: int
    leaked: int

    @property
    def whole(self) -> bool:
        """Did every request come back, once?"""
        return not (self.duplicates or self.lost or self.leaked) and self.reported == self.requests


def tally(stage: Stage) -> Tally:
    """Return the present tally."""
    held = Counter(ticket.param("attribute[toodego_ref]") for ticket in stage.bron.tickets)
    held.update(ticket.external_id for ticket in stage.villeurbanne.tickets)
    events: Counter[tuple[str, str, str]] = Counter()
    reported, lost, leaked = 0, 0, 0
    for slug, formdata_id in list(stage.portal.formdata):
        given = stage.portal.events(slug, formdata_id)
        told = [e for e in given if isinstance(e, dict) and "evenement" in e]
        events.update((slug, formdata_id, str(event["evenement"])) for event in told)
        # A report of a note alone has no status.
        words = [event["statut"] for event in told if event.get("statut") is not None]
        final = bool(words) and words[-1] in _FINAL_WORDS
        reported += final
        lost += not final or not held[stage.reference_of(slug, formdata_id)]
        leaked += sum(INTERNAL in json.dumps(event, ensure_ascii=False) for event in told)
    return Tally(
        requests=len(stage.portal.formdata),
        delivered=len([reference for reference in held if reference]),
        reported=reported,
        duplicates=sum(n - 1 for n in [*held.values(), *events.values()]),
        lost=lost,
        leaked=leaked,
    )
