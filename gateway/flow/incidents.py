"""Opens, follows and ends incidents, and tells people of them and of announcements.

A note is owed in the transaction that changes these, and tried until the relay takes it. It may
come twice, where we died after it had gone; both have one name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from gateway.catalogue.patterns import MAIL_ADDRESS
from gateway.core import incident, reasons
from gateway.core.alerting import MARK
from gateway.core.incident import IncidentRules, Symptom
from gateway.core.outcome import Accepted, Misconfigured, Outcome, TryLater
from gateway.core.reasons import About
from gateway.flow.alert_notes import (
    WrittenNote,
    digest_note,
    incident_note,
    reader_of,
    trial_note,
)
from gateway.flow.alerts import AlertDesk
from gateway.flow.announcements import AnnouncementDesk
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.judging import outcome_word
from gateway.flow.warning import Send
from gateway.store import alerts, announcements, incident_looks, incident_notices, incidents
from gateway.store.engine import Store
from gateway.store.incident_notices import OPERATORS, IncidentNotice

log = structlog.get_logger()

#: Seconds between two looks for notes to send.
EVERY = 30.0
#: Roles of a commune's contacts who are told: the first of these groups that has an address.
ROLES = (("incident",), ("technical", "functional"))
_ADDRESS = re.compile(MAIL_ADDRESS)
#: Addresses of one note, and notes of one run.
_MOST = 10
_BATCH = 100
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(hours=1)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class IncidentDesk:
    """The incidents. One per process. `send` hands a note to the relay; None: there is none.
    `announcements` writes the notes that are about one of these; `alerts` has the channels."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    send: Send | None
    announcements: AnnouncementDesk | None = None
    alerts: AlertDesk | None = None

    @property
    def rules(self) -> IncidentRules:
        return self.far_ends.catalogue.settings.incidents

    async def observe(self, symptoms: Iterable[Symptom], *, complete: bool = True) -> None:
        """Take in all that is amiss. Not `complete`: what is not named may be amiss as well. Raises
        Unavailable."""
        moves = await self.store.write(
            incident_looks.observe,
            incident.observe(symptoms, self.rules),
            self.rules,
            lambda: f"INC-{self.environment.new_name()}",
            self.environment.now(),
            complete=complete,
        )
        moves += await self.store.write(
            incident_looks.mark_deadlines, self.rules, self.environment.now()
        )
        for move in moves:
            one = move.incident
            log.warning(
                f"incident.{move.kind}",
                incident=one.id,
                cause=one.cause,
                severity=one.severity.value,
                communes=list(one.communes),
            )

    async def send_notes(self) -> None:
        """Send the notes that are due. Raises Unavailable."""
        #: The paths that were found to be down in this run, and why.
        down: dict[str, Outcome] = {}
        for _ in range(_BATCH):
            # One at a time: each has its whole lease.
            found = await self.store.write(incident_notices.claim, self.environment.now(), 1)
            if not found:
                return
            await self._send_note(found[0], down)

    async def _send_note(self, notice: IncidentNotice, down: dict[str, Outcome]) -> None:
        note = await self._written(notice)
        until = None if self.alerts is None else self.alerts.quiet_until(notice, note)
        if until is not None:
            quiet = TryLater("quiet_hours").reason
            await self.store.write(incident_notices.failed, notice, quiet, until)
            return
        path = notice.audience.partition(":")[0] if notice.audience.startswith(MARK) else ""
        outcome = down[path] if path in down else await self._handed_over(notice, note)
        now = self.environment.now()
        told = {"incident": notice.incident_id, "audience": notice.audience or "operators"}
        if isinstance(outcome, Accepted):
            log.info("incident.told", step=notice.step, **told)
            await self.store.write(incident_notices.sent, notice, now)
            return
        reason = reasons.of(outcome.reason or outcome_word(outcome))
        if reason.about is About.FAR_END:
            down.setdefault(path, outcome)
        failure = reason.word
        if self._is_pointless(notice, failure, now):
            log.warning("incident.nobody_to_tell", step=notice.step, reason=failure, **told)
            await self.store.write(incident_notices.drop, notice)
            return
        log.warning("incident.not_told", step=notice.step, reason=failure, **told)
        wait = min(_FIRST * 2 ** min(notice.attempts - 1, 10), _LONGEST)
        await self.store.write(incident_notices.failed, notice, failure, now + wait)

    async def _handed_over(self, notice: IncidentNotice, note: WrittenNote) -> Outcome:
        if notice.audience.startswith(MARK):
            if self.alerts is None:
                return Misconfigured("no_channel")
            return await self.alerts.send(notice, note)
        if self.send is None:
            return Misconfigured("no_mail_relay")
        recipients = self._recipients(notice.audience)
        if not recipients:
            return Misconfigured("no_contact")
        return await self.send(recipients, note.title, note.text, notice.name)

    async def _written(self, notice: IncidentNotice) -> WrittenNote:
        """Return what a note says."""
        if self.announcements is not None and notice.step in announcements.STEPS:
            title, text = await self.announcements.note_of(notice)
            return WrittenNote(title, text, {}, urgent=True)
        if notice.step == alerts.OF_TRIAL:
            return trial_note(notice.created_at)
        catalogue = self.far_ends.catalogue
        if notice.step == alerts.OF_DIGEST:
            reader = reader_of(notice)
            found = await self.store.read(alerts.in_digest, reader, notice.created_at)
            return digest_note(found, reader, notice.created_at, catalogue)
        one = await self.store.read(incidents.get, notice.incident_id)
        return incident_note(one, notice, catalogue)

    def _is_pointless(self, notice: IncidentNotice, failure: str, now: datetime) -> bool:
        """Has the commune left, or was there nobody to tell for a week?"""
        if failure not in incident_notices.NOBODY:
            return False
        if notice.audience.startswith(MARK):
            return failure == "no_channel" or now - notice.created_at >= _WEEK
        catalogue = self.far_ends.catalogue
        known = {*catalogue.communes, *catalogue.unreleased, *catalogue.refused}
        left = notice.audience != OPERATORS and notice.audience not in known
        return left or now - notice.created_at >= _WEEK

    def _recipients(self, audience: str) -> list[str]:
        if audience == OPERATORS:
            return list(self.rules.operators)
        catalogue = self.far_ends.catalogue
        commune = catalogue.communes.get(audience) or catalogue.unreleased.get(audience)
        contacts = {} if commune is None else commune.contacts
        for roles in (*ROLES, tuple(contacts)):
            found = [contacts[role] for role in roles if _ADDRESS.match(contacts.get(role, ""))]
            if found:
                return list(dict.fromkeys(found))[:_MOST]
        return []


__all__ = ["EVERY", "IncidentDesk"]
