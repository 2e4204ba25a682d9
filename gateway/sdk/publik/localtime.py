"""The portal's times: naive texts in Europe/Paris, with the two traps of clock changes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
#: A history entry this near to one reading of an ambiguous time decides for it.
_NEAR = timedelta(minutes=5)
_HOUR = timedelta(hours=1)


def parse_aware(value: object) -> datetime | None:
    """Return the UTC instant of an ISO text with an offset; None for anything else."""
    moment = _parse(value)
    return None if moment is None or moment.tzinfo is None else _utc(moment)


def parse_local(value: object, hints: Iterable[datetime] = ()) -> datetime | None:
    """Return the UTC instant of a portal time (ISO text, Paris time unless it has an offset).

    In the double hour of autumn, the first of `hints` (aware) near one of the two readings decides,
    else the earlier reading. A time in spring's missing hour moves past the gap. None for what is
    no time.
    """
    moment = _parse(value)
    if moment is None or moment.tzinfo is not None:
        return None if moment is None else _utc(moment)
    first = _utc(moment.replace(tzinfo=PARIS))
    second = _utc(moment.replace(tzinfo=PARIS, fold=1))
    # In spring's gap the second reading is the earlier instant: no choice.
    if first is None or second is None or second <= first:
        return first
    for hint in hints:
        if abs(hint - second) <= _NEAR:
            return second
        if abs(hint - first) <= _NEAR:
            return first
    return first


def filter_text(since: datetime) -> str:
    """Return `since` (aware) for the portal's filters: naive Paris time, to the second.

    The portal compares naive texts, in which the autumn hour comes twice. A bound inside it moves
    one hour back, so that nothing is missed; the reader drops repeats.
    """
    local = since.astimezone(PARIS).replace(microsecond=0)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        return (local.replace(tzinfo=None) - _HOUR).isoformat()
    return local.replace(tzinfo=None).isoformat()


def _parse(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def _utc(moment: datetime) -> datetime | None:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None
