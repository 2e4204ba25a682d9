"""Times as far ends write them: ISO 8601, seconds or milliseconds since 1970, a pattern."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from gateway.core.request import Json

#: The formats that are no strptime pattern.
ISO, EPOCH, EPOCH_MS = "iso", "epoch", "epoch_ms"
#: A longer text is no time.
_LONGEST = 200


def read_moment(value: Json, form: str, zone: tzinfo) -> datetime | None:
    """Return the time that `value` says, aware UTC; None where it cannot be read.

    `form` is `iso`, `epoch`, `epoch_ms` or a strptime pattern; `zone` is that of times without an
    offset. One that the end of summer time made double is the earlier of the two: what is read
    since then is read again rather than missed.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and len(value) > _LONGEST:
        return None
    try:
        if form in (EPOCH, EPOCH_MS):
            return datetime.fromtimestamp(float(value) / (1000 if form == EPOCH_MS else 1), UTC)
        text = str(value).strip()
        when = datetime.fromisoformat(text) if form == ISO else datetime.strptime(text, form)
        if when.tzinfo is None:
            when = when.replace(tzinfo=zone, fold=0)
        return when.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def write_moment(moment: datetime, form: str, zone: tzinfo) -> str:
    """Return the text that `read_moment` reads: `iso` in UTC with Z, numbers without a fraction."""
    if form == ISO:
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if form in (EPOCH, EPOCH_MS):
        return str(int(moment.timestamp() * (1000 if form == EPOCH_MS else 1)))
    return moment.astimezone(zone).strftime(form)
