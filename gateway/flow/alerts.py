"""Tells people by the channels of `telling`, beside the mails to communes and operators: of
incidents at once or in a daily digest, and of a trial each month; calls a dead man's switch.

Each note is a row of the queue of notices, whatever its channel, and is tried until it is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

import httpx
import structlog

from gateway.catalogue.alerting import TELLING, AlertChannel, Telling
from gateway.catalogue.catalogue import Settings
from gateway.catalogue.network import TIMEOUT
from gateway.catalogue.patterns import MAIL_ADDRESS
from gateway.core import reasons
from gateway.core.alerting import MARK, digest_due, parse_audience
from gateway.core.outcome import Accepted, Misconfigured, Outcome
from gateway.core.working_time import PARIS
from gateway.flow.alert_notes import WrittenNote
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.judging import outcome_word
from gateway.flow.warning import Send
from gateway.store import alerts, cursors, incident_notices
from gateway.store.engine import Store
from gateway.store.incident_notices import OPERATORS, IncidentNotice
from gateway.wire.alerting import AlertNote, ChannelTarget, call_switch, hand_over, try_channel
from gateway.wire.clients import open_client

log = structlog.get_logger()

#: Seconds between two looks for digests and trials.
EVERY: Final = 60.0
#: The name, in the cursors, of the last call of the switch.
SWITCH: Final = "dead_man"
#: Notes that wait for so long show that nobody can be told: then the switch is not called.
SILENT = timedelta(hours=1)
_TRIAL = time(10)
_ADDRESS = re.compile(MAIL_ADDRESS)


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """The channels. One per process. `mail` hands a note to the relay; None: there is none."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    mail: Send | None

    @property
    def telling(self) -> Telling:
        return self.far_ends.catalogue.settings.telling

    def quiet_until(self, notice: IncidentNotice, note: WrittenNote) -> datetime | None:
        """Return until when a note waits for people to be up; None: it goes now."""
        if note.urgent:
            return None
        hours = self.telling.quiet
        if notice.audience.startswith(MARK):
            channel = self.telling.channel(parse_audience(notice.audience)[0])
            hours = None if channel is None else channel.quiet
        return None if hours is None else hours.until(self.environment.now())

    async def send(self, notice: IncidentNotice, note: WrittenNote) -> Outcome:
        """Hand a note to its channel."""
        name, commune = parse_audience(notice.audience)
        channel = self.telling.channel(name)
        if channel is None:
            return Misconfigured("no_channel")
        if channel.target is None:
            recipients = self._addresses(channel, commune)
            if self.mail is None:
                return Misconfigured("no_mail_relay")
            if not recipients:
                return Misconfigured("no_contact")
            return await self.mail(recipients, note.title, note.text, _plain(notice.name))
        kind = f"incident.{notice.step}" if notice.incident_id.startswith("INC-") else notice.step
        at = notice.created_at
        told = AlertNote(_plain(notice.name), kind, note.title, note.text, at, note.data)
        async with _client(self.far_ends, channel.name, channel.target) as client:
            return await hand_over(channel.target, told, client, self.environment.now())

    def _addresses(self, channel: AlertChannel, commune: str) -> list[str]:
        if channel.role is None:
            return list(channel.addresses)
        catalogue = self.far_ends.catalogue
        found = catalogue.communes.get(commune) or catalogue.unreleased.get(commune)
        address = "" if found is None else found.contacts.get(channel.role, "")
        return [address] if _ADDRESS.match(address) else []

    # --- by the clock ---------------------------------------------------------------------------

    async def owe_by_clock(self) -> None:
        """Owe the digests and the trial that are due. Raises Unavailable."""
        now = self.environment.now()
        for one in self.telling.channels:
            if one.digest is not None:
                await self._owe_digest(one, one.digest, now)
        day = self.telling.self_test
        local = now.astimezone(PARIS)
        if day is not None and (local.day, local.time()) >= (day, _TRIAL):
            month, whom = f"{local:%Y-%m}", trial_audiences(self.far_ends.catalogue.settings)
            await self.store.write(alerts.owe_monthly_trial, month, whom, now)

    async def _owe_digest(self, channel: AlertChannel, at: time, now: datetime) -> None:
        known = await self.store.read(cursors.get, f"{alerts.DIGEST}{channel.name}")
        day = digest_due(at, None if known is None else known.value, now)
        if day is not None:
            communes = self._communes_of(channel)
            await self.store.write(alerts.owe_digest, channel.name, communes, day, now)

    def _communes_of(self, channel: AlertChannel) -> list[str] | None:
        hearing = channel.hearing
        if hearing.communes is None:
            return None
        known = self.far_ends.catalogue.communes
        return [one for one in known if hearing.everywhere or one in hearing.communes]

    async def call_switch(self) -> None:
        """Call the dead man's switch, unless nobody can be told of incidents. Raises
        Unavailable."""
        target = self.telling.heartbeat
        if target is None:
            return
        now = self.environment.now()
        since = await self.store.read(incident_notices.failing_since)
        silent = since is not None and now - since >= SILENT
        failure = Misconfigured("nobody_told").reason if silent else None
        # A database that cannot be written is an alarm as well: this raises then.
        await self.store.write(cursors.move, SWITCH, None, now, failure)
        if failure is not None:
            log.warning("switch.let_go", since=since)
            return
        async with _client(self.far_ends, "heartbeat", target) as client:
            outcome = await call_switch(target, client)
        if not isinstance(outcome, Accepted):
            word = reasons.of(outcome.reason or outcome_word(outcome)).word
            log.warning("switch.not_called", reason=word)
            await self.store.write(cursors.move, SWITCH, None, now, word)


async def try_channels(far_ends: FarEnds) -> dict[str, Outcome]:
    """Ask the server of each channel whether it is there. Nobody is told anything."""
    found: dict[str, Outcome] = {}
    for one in far_ends.catalogue.settings.telling.channels:
        if one.target is not None:
            async with _client(far_ends, one.name, one.target) as client:
                found[one.name] = await try_channel(one.target, client)
    return found


def trial_audiences(settings: Settings) -> list[str]:
    """Return the audiences of a trial: the operators' mail, and each channel that is no commune's
    own contact."""
    found = [OPERATORS] if settings.incidents.operators else []
    return found + [f"{MARK}{one.name}" for one in settings.telling.channels if one.role is None]


async def order_trial(store: Store, settings: Settings, now: datetime) -> list[str]:
    """Owe a note of trial to everybody, now; return to whom. Raises Unavailable."""
    audiences = trial_audiences(settings)
    await store.write(alerts.owe_trial, f"{now:%Y-%m-%dT%H:%M:%S}", audiences, now)
    return audiences


def _client(far_ends: FarEnds, name: str, target: ChannelTarget) -> httpx.AsyncClient:
    far_end = f"{TELLING}:{name}"
    return open_client(
        timeout=TIMEOUT,
        connections=1,
        transport=far_ends.transport(far_end),
        shared=far_ends.shared,
        far_end=far_end,
        network=target.network,
    )


def _plain(name: str) -> str:
    """Return a note's name for a Message-ID, or a path."""
    return re.sub(r"[^a-z0-9.-]", "-", name)


__all__ = ["EVERY", "SWITCH", "AlertDesk", "order_trial", "trial_audiences", "try_channels"]
