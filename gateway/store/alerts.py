"""Notes that are owed by the clock: digests, which are about no one incident, and trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, or_, select

from gateway.core.alerting import MARK
from gateway.core.incident import IncidentState
from gateway.store import cursors, incident_notices, incidents
from gateway.store.incident_tables import COMMUNE, INCIDENT, NOTICE
from gateway.store.incidents import Incident

#: The names, in the cursors, of the last digest of a channel, and of the last trial.
DIGEST, TRIAL = "digest:", "alert_trial"
#: The steps of these notes.
OF_DIGEST, OF_TRIAL = "digest", "trial"
_DAY = timedelta(days=1)


def in_digest(connection: Connection, commune: str, now: datetime) -> list[Incident]:
    """List the incidents that are open, and those that ended within a day; of one commune, or with
    an empty one of all."""
    since = now - _DAY
    ended = or_(INCIDENT.c.resolved_at >= since, INCIDENT.c.closed_at >= since)
    is_open = INCIDENT.c.state == IncidentState.OPEN.value
    wanted = and_(INCIDENT.c.opened_at.is_not(None), INCIDENT.c.opened_at <= now)
    wanted = and_(wanted, or_(is_open, ended))
    if commune:
        hit = select(COMMUNE.c.incident_id).where(COMMUNE.c.commune == commune)
        wanted = and_(wanted, INCIDENT.c.id.in_(hit))
    return incidents.read(connection, wanted, limit=200)


def owe_digest(
    connection: Connection, channel: str, communes: Sequence[str] | None, day: str, now: datetime
) -> None:
    """Owe the digest of a day, to those for whom there is something; to nobody a second one."""
    known = cursors.get(connection, f"{DIGEST}{channel}")
    if known is not None and known.value is not None and known.value >= day:
        return
    for reader in [""] if communes is None else communes:
        if in_digest(connection, reader, now):
            audience = f"{MARK}{channel}:{reader}" if reader else f"{MARK}{channel}"
            name = f"DIGEST-{day}"
            incident_notices.owe(connection, name, [audience], OF_DIGEST, 0, now)
    cursors.move(connection, f"{DIGEST}{channel}", day, now)


def owe_monthly_trial(
    connection: Connection, month: str, audiences: Iterable[str], now: datetime
) -> None:
    """Owe the trial of a month, once."""
    known = cursors.get(connection, TRIAL)
    if known is None or known.value is None or known.value < month:
        owe_trial(connection, month, audiences, now)
        cursors.move(connection, TRIAL, month, now)


def owe_trial(connection: Connection, name: str, audiences: Iterable[str], now: datetime) -> None:
    """Owe a note of trial to each."""
    incident_notices.owe(connection, f"TEST-{name}", audiences, OF_TRIAL, 0, now)


def untold(connection: Connection, before: datetime) -> list[str]:
    """List the incidents that are open since before then, and of which nobody was told."""
    told = select(NOTICE.c.incident_id).where(
        NOTICE.c.state == incident_notices.SENT, NOTICE.c.audience.not_like("@%")
    )
    wanted = and_(
        INCIDENT.c.state == IncidentState.OPEN.value,
        INCIDENT.c.opened_at < before,
        INCIDENT.c.id.not_in(told),
    )
    return list(connection.execute(select(INCIDENT.c.id).where(wanted)).scalars())


__all__ = ["DIGEST", "OF_DIGEST", "OF_TRIAL", "TRIAL", "in_digest", "owe_digest"]
__all__ += ["owe_monthly_trial", "owe_trial", "untold"]
