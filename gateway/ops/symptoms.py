"""Reads symptoms of all that is amiss from health, and from little besides.

All that is wrong with one far end has one cause, whatever lane, poll or delivery it shows by.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.ticketing import TICKETING
from gateway.core import reasons
from gateway.core.canary import is_canary
from gateway.core.erasure import BRAKED
from gateway.core.incident import SECURITY, IncidentRules, Party, Symptom, SymptomWord
from gateway.core.lane_name import PortalLane, parse_lane, portal_far_end, portal_of
from gateway.core.reasons import Who
from gateway.flow.engine import grus
from gateway.flow.far_ends import MAIL
from gateway.ops.shapes import Health, LanePart, LaneState, Overall, TimerPart
from gateway.store import decommissions
from gateway.store.erasures import CURSOR as GLC
from gateway.store.outbox.backlog import LanePressure

NETWORK = "network"
#: Far ends that must be away at once before the network is to blame.
_SEVERAL = 3
_AWAY = (LaneState.OPEN, LaneState.HALF_OPEN)
_OURS = frozenset({Who.OPERATOR, Who.INTEGRATOR})


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of one look. `pressure` is by lane, `refused` counts of late by kind, `broken`
    are streams of the trail that do not verify, `untold` since when notes cannot be sent, `burning`
    are services whose month's budget goes too fast."""

    health: Health
    pressure: Mapping[str, LanePressure]
    refused: Mapping[str, int]
    broken: Collection[str]
    untold: datetime | None
    burning: Collection[str] = ()

    @property
    def complete(self) -> bool:
        """Was all there to be seen?"""
        return self.health.database.state is Overall.OK and self.health.drift is not None


def symptoms_of(evidence: Evidence, catalogue: Catalogue, rules: IncidentRules) -> list[Symptom]:
    """Return all that is amiss. Pure."""
    return _Reader(evidence, catalogue, rules, evidence.health.now).read()


@dataclass(frozen=True, slots=True)
class _Reader:
    evidence: Evidence
    catalogue: Catalogue
    rules: IncidentRules
    now: datetime

    def read(self) -> list[Symptom]:
        health = self.evidence.health
        found: list[Symptom] = []
        unreached: set[str] = set()
        for name, lane in health.lanes.items():
            found += self._lane(name, lane)
            if lane.state in _AWAY and lane.reason in reasons.UNCONNECTED:
                unreached.add(self._cause(name))
        for name, timer in health.timers.items():
            found += self._timer(name, timer)
        found += [*self._parts(), *self._far(), *self._attacks()]
        found = [
            replace(
                one,
                rehearsal=self._is_rehearsal(one.cause),
                communes=frozenset(c for c in one.communes if not is_canary(c)),
            )
            for one in found
        ]
        if not self._most(unreached):
            return found
        hit = frozenset[str]().union(*(s.communes for s in found if s.cause in unreached))
        whole = Symptom(NETWORK, SymptomWord.NETWORK_AWAY, hit, Party.NETWORK)
        return [
            whole,
            *(replace(one, part_of=NETWORK) if one.cause in unreached else one for one in found),
        ]

    def _is_rehearsal(self, cause: str) -> bool:
        """Is it a far end of tests?"""
        kind, _, rest = cause.partition(":")
        if kind in ("portal", "form"):
            portal = self.catalogue.portals.get(rest.partition(":")[0])
            return portal is not None and not portal.production
        return any(gru.lane_name == cause and not gru.production for gru in grus(self.catalogue))

    def _most(self, unreached: Collection[str]) -> bool:
        """Are most of all far ends out of reach?"""
        known = len(self.catalogue.portals) + len(grus(self.catalogue))
        return len(unreached) >= _SEVERAL and 2 * len(unreached) > known

    def _lane(self, name: str, lane: LanePart) -> Iterator[Symptom]:
        if lane.state is LaneState.PAUSED:
            return  # somebody means it
        cause, communes = self._cause(name), self._communes(name)
        portal = cause != name
        if lane.state in _AWAY:
            word = SymptomWord.PORTAL_AWAY if portal else SymptomWord.GRU_AWAY
            yield Symptom(cause, word, communes, self._party(cause, lane.reason), lane.reason)
        if lane.reason == "not_fetched":
            yield Symptom(cause, SymptomWord.NOT_FETCHED, communes, Party.COMMUNE)
        pressure = self.evidence.pressure.get(name)
        if pressure is None:
            return
        party = self._party(cause, lane.reason)
        oldest = pressure.oldest
        if oldest is not None and self.now - oldest >= self.rules.late and not self._pulled(name):
            # Not since then: the lane may have been paused until now.
            yield Symptom(cause, SymptomWord.LATE, communes, party)
        if pressure.parked >= self.rules.parked:
            yield Symptom(cause, SymptomWord.PARKED, communes, party)

    def _timer(self, name: str, timer: TimerPart) -> Iterator[Symptom]:
        kind, _, rest = name.partition(":")
        if not (timer.failure or timer.late):
            return
        why = timer.failure or ""
        if name == GLC and why != BRAKED:
            yield Symptom("glc", SymptomWord.GLC_AWAY, frozenset(), Party.GLC, why)
        elif kind in ("poll", "heartbeat"):
            communes = self._communes(rest)
            # A poll that is late and did not fail was not made: that is our own fault.
            party = self._party(rest, why) if why else Party.GATEWAY
            yield Symptom(rest, SymptomWord.POLL_FAILS, communes, party, why)
        elif name.startswith(decommissions.WAITING):
            # Nobody but us can help: the commune itself is told nothing.
            yield Symptom(name, SymptomWord.DECOMMISSION_LATE, reason=why)
        elif kind == "reconcile":
            portal, _, slug = rest.partition(":")
            communes = frozenset(
                one.insee
                for one in self.catalogue.communes.values()
                if one.portal == portal and slug in one.routes
            )
            cause = portal_far_end(portal)
            party = self._party(cause, why) if why else Party.GATEWAY
            yield Symptom(cause, SymptomWord.RECONCILE_FAILS, communes, party, why)

    def _parts(self) -> Iterator[Symptom]:
        """Look at what is ours."""
        health, everybody = self.evidence.health, frozenset(self.catalogue.communes)
        if health.disk.state is Overall.DOWN:
            yield Symptom("disk", SymptomWord.DISK_FULL, everybody)
        elif health.disk.state is Overall.DEGRADED and health.disk.free is not None:
            yield Symptom("disk", SymptomWord.DISK_LOW)
        if health.attachments is not None and health.attachments.state is not Overall.OK:
            since = health.attachments.since
            yield Symptom("objects", SymptomWord.OBJECTS_AWAY, everybody, since=since)
        if health.antivirus is not None and health.antivirus.state is not Overall.OK:
            since = health.antivirus.since
            yield Symptom("antivirus", SymptomWord.ANTIVIRUS_AWAY, everybody, since=since)
        if health.vault is not None and health.vault.state is not Overall.OK:
            since = health.vault.since
            yield Symptom("vault", SymptomWord.VAULT_AWAY, everybody, since=since)
        if health.secrets.refused:
            yield Symptom("references", SymptomWord.REFERENCE_UNREAD)
        for insee in {} if health.releases is None else health.releases.refused:
            communes = frozenset({insee})
            yield Symptom(f"release:{insee}", SymptomWord.RELEASE_REFUSED, communes)
        if self.evidence.untold is not None:
            yield Symptom("notes", SymptomWord.NOBODY_TOLD, since=self.evidence.untold)
        for service in self.evidence.burning:
            yield Symptom(f"availability:{service}", SymptomWord.AVAILABILITY_BURNS)
        telling = health.telling
        if telling is not None and telling.switch not in (None, "nobody_told"):
            yield Symptom("switch", SymptomWord.NOBODY_TOLD)

        tickets = health.ticketing
        if tickets is not None and tickets.since is not None and tickets.state is not Overall.OK:
            yield Symptom(TICKETING, SymptomWord.TICKETS_WAIT, since=tickets.since)

    def _far(self) -> Iterator[Symptom]:
        """Look at what changes slowly at far ends: forms and certificates."""
        health = self.evidence.health
        for form in () if health.drift is None else health.drift.found:
            if form.kind == "unread":
                continue  # a far end that is away shows otherwise
            cause = f"form:{form.portal}:{form.teleservice}"
            communes = frozenset(form.communes)
            yield Symptom(cause, SymptomWord.FORM_DRIFT, communes, Party.PORTAL)
        for one in health.certificates.ending:
            cause = f"certificate:{one.far_end}:{one.which}"
            theirs = one.which == "server"
            party = self._party(one.far_end, "") if theirs else Party.GATEWAY
            communes = self._communes(one.far_end)
            yield Symptom(cause, SymptomWord.CERTIFICATE_ENDS, communes, party)

    def _attacks(self) -> Iterator[Symptom]:
        for kind, count in self.evidence.refused.items():
            if count >= self.rules.burst and kind in SECURITY:
                word = SymptomWord(kind)
                yield Symptom(word.value, word)
        glc = self.evidence.health.glc
        if glc is not None and glc.failure == BRAKED:
            yield Symptom("mass_deletion", SymptomWord.MASS_DELETION, party=Party.GLC)
        for stream in self.evidence.broken:
            yield Symptom(f"trail:{stream}", SymptomWord.BROKEN_TRAIL)

    def _cause(self, lane: str) -> str:
        """Return the far end of a lane: all lanes to one portal have one."""
        name = parse_lane(lane)
        return name.far_end if isinstance(name, PortalLane) else lane

    def _communes(self, far_end: str) -> frozenset[str]:
        """Return the communes of a lane, or of a portal."""
        portal = portal_of(far_end)
        if portal in self.catalogue.portals:
            return frozenset(
                c.insee for c in self.catalogue.communes.values() if c.portal == portal
            )
        try:
            return frozenset({parse_lane(far_end).commune})
        except ValueError:
            return frozenset()

    def _party(self, far_end: str, reason: str) -> Party:
        if reason and reasons.of(reason).who in _OURS:
            return Party.GATEWAY
        if far_end == "glc":
            return Party.GLC
        if far_end in (MAIL, TICKETING):
            return Party.GATEWAY
        if portal_of(far_end) is not None:
            return Party.PORTAL
        return Party.GATEWAY if is_canary(parse_lane(far_end).commune) else Party.COMMUNE

    def _pulled(self, lane: str) -> bool:
        """Does the commune fetch what is on this lane?"""
        return any(
            gru.lane_name == lane and gru.capabilities.pulled for gru in grus(self.catalogue)
        )


#: Seconds over which refused calls are a burst.
BURST_WITHIN = timedelta(minutes=10)

__all__ = ["BURST_WITHIN", "Evidence", "symptoms_of"]
