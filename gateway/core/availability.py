"""The rules of availability: whose a minute is that is down, and what a month comes to. Pure.

A minute is down where it was down all the time, and then somebody's: the first of `BLAME` that had
a part in it. The order is against us, so that nobody's outage hides ours. A minute without a record
is ours, too. Minutes are counted since 1970; an end is not part of what it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType

from gateway.core.incident import Party, Symptom, SymptomWord
from gateway.core.working_time import PARIS

_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: The share of minutes, outside announced maintenance, that the convention promises.
TARGET = 0.999
#: The share of incidents that the convention wants solved in time, for each commune.
SOLVED_TARGET = 0.95


class MinuteVerdict(StrEnum):
    """up, or whose minute it is. announced: down, and told in time."""

    UP = "up"
    GATEWAY = "gateway"
    PORTAL = "portal"
    GLC = "glc"
    COMMUNE = "commune"
    ANNOUNCED = "announced"


#: The first of these is to blame, where several have a part in it.
BLAME = (MinuteVerdict.GATEWAY, MinuteVerdict.PORTAL, MinuteVerdict.GLC, MinuteVerdict.COMMUNE)
#: Those whose minutes count against the convention: the portal and GLC are the Métropole's as well.
OURS = (MinuteVerdict.GATEWAY, MinuteVerdict.PORTAL, MinuteVerdict.GLC)
#: A network that most far ends are behind is taken for ours.
VERDICTS: Mapping[Party, MinuteVerdict] = MappingProxyType(
    {
        Party.GATEWAY: MinuteVerdict.GATEWAY,
        Party.NETWORK: MinuteVerdict.GATEWAY,
        Party.PORTAL: MinuteVerdict.PORTAL,
        Party.GLC: MinuteVerdict.GLC,
        Party.COMMUNE: MinuteVerdict.COMMUNE,
    }
)
#: The symptoms of a request or an answer that cannot pass. Lateness follows from these; what waits
#: for a person stops nobody else.
STOPPING = frozenset(
    {
        SymptomWord.PORTAL_AWAY,
        SymptomWord.GRU_AWAY,
        SymptomWord.POLL_FAILS,
        SymptomWord.NOT_FETCHED,
        SymptomWord.NETWORK_AWAY,
        SymptomWord.DATABASE_AWAY,
        SymptomWord.DISK_FULL,
        SymptomWord.OBJECTS_AWAY,
        SymptomWord.RELEASE_REFUSED,
    }
)


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """A synthetic request, as far as it came: taken by the intake, at our own far end, told to the
    portal. `party` is whose fault it is that the portal was not told."""

    accepted: bool
    delivered: bool = False
    told: bool = False
    party: Party = Party.PORTAL


def service_verdict(
    portal: str, seen: Iterable[Symptom], canary: CanaryRun | None
) -> MinuteVerdict:
    """Judge a minute of a portal's service. `portal` is the cause of its symptoms.

    | what is seen | whose |
    |---|---|
    | the synthetic request is not taken, or not at our own far end | gateway |
    | it is there, and the portal was not told | the portal, or us where our call is at fault |
    | it went all the way | up, whatever a commune's own lane to the portal says |
    | none is sent; the portal does not answer | the portal, or us |
    | the network, the database, the disk, the store of files | gateway, whatever else |
    """
    faults = {
        VERDICTS[one.party]
        for one in seen
        if one.word in STOPPING and (one.cause == portal or _everywhere(one))
    }
    if canary is not None:
        faults -= {MinuteVerdict.PORTAL}
        if not canary.delivered or not canary.accepted:
            faults.add(MinuteVerdict.GATEWAY)
        elif not canary.told:
            faults.add(VERDICTS[canary.party])
    return _first(faults)


def commune_verdict(
    insee: str, service: MinuteVerdict, seen: Iterable[Symptom], paused: MinuteVerdict | None = None
) -> MinuteVerdict:
    """Judge a minute of a commune, whose portal's `service` was judged before. `paused`: who keeps
    one of its lanes still.

    What stops the service stops the commune. Of its own lanes one that is stopped is enough: some
    of its requests or answers do not pass.
    """
    faults = {VERDICTS[one.party] for one in seen if one.word in STOPPING and insee in one.communes}
    faults |= {verdict for verdict in (service, paused) if verdict is not None}
    return _first(faults)


def glc_verdict(seen: Iterable[Symptom]) -> MinuteVerdict:
    """Judge a minute of GLC, which citizens' requests do not pass."""
    return _first({VERDICTS[one.party] for one in seen if one.word is SymptomWord.GLC_AWAY})


def _everywhere(one: Symptom) -> bool:
    """Is it a part of the gateway itself?"""
    return one.party in (Party.GATEWAY, Party.NETWORK) and one.word in {
        SymptomWord.NETWORK_AWAY,
        SymptomWord.DATABASE_AWAY,
        SymptomWord.DISK_FULL,
        SymptomWord.OBJECTS_AWAY,
    }


def _first(faults: Collection[MinuteVerdict]) -> MinuteVerdict:
    return next((one for one in BLAME if one in faults), MinuteVerdict.UP)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes from `start` to `end` that have one verdict."""

    start: int
    end: int
    verdict: MinuteVerdict


@dataclass(frozen=True, slots=True)
class Availability:
    """The minutes of some time: `total` of them, `down` by whose they are."""

    total: int
    down: Mapping[MinuteVerdict, int] = field(default_factory=dict)

    def of(self, verdict: MinuteVerdict) -> int:
        """Return the minutes down that are somebody's."""
        return self.down.get(verdict, 0)

    @property
    def counted(self) -> int:
        """The minutes that count: without announced maintenance."""
        return self.total - self.of(MinuteVerdict.ANNOUNCED)

    @property
    def ours(self) -> int:
        """The minutes down that count against the convention."""
        return sum(map(self.of, OURS))

    @property
    def share(self) -> float | None:
        """The availability by the convention; None where no minute counts."""
        return None if not self.counted else 1 - self.ours / self.counted

    @property
    def seen_share(self) -> float | None:
        """The availability that a citizen saw: the commune's outages count as well."""
        down = self.ours + self.of(MinuteVerdict.COMMUNE)
        return None if not self.counted else 1 - down / self.counted

    @property
    def kept(self) -> bool | None:
        """Was the promise kept?"""
        return None if self.share is None else self.share >= TARGET


def covered(stretches: Iterable[Stretch], since: int, until: int) -> list[Stretch]:
    """Return the stretches within a time, in order, and none of a minute twice."""
    found: list[Stretch] = []
    at = since
    for one in sorted(stretches, key=lambda stretch: (stretch.start, stretch.end)):
        start, end = max(one.start, at), min(one.end, until)
        if start < end:
            found.append(Stretch(start, end, one.verdict))
            at = end
    return found


def gaps(stretches: Sequence[Stretch], until: int) -> Iterator[tuple[int, int]]:
    """Yield the times without a record, between those of `covered` and after them to `until`."""
    ends = [following.start for following in stretches[1:]] + [until]
    for one, end in zip(stretches, ends, strict=False):
        if one.end < end:
            yield one.end, end


def add_up(
    stretches: Iterable[Stretch],
    windows: Iterable[tuple[int, int]],
    since: int,
    until: int,
    service: Sequence[Stretch] | None = None,
) -> Availability:
    """Add up a time. `windows` are announced maintenances, that were told in time.

    Where nothing was recorded after a first record, nobody was there: it is ours. Of a commune
    (`service` are the stretches of its portal's) that holds only while its service was not recorded
    either, and the commune was before: else it was not connected.
    """
    stretches = list(stretches)
    missing = _missing(stretches, until)
    if service is not None:
        theirs = _missing(service, until)
        missing = [
            (start, min(end, other_end))
            for start, end in missing
            for other, other_end in theirs
            if other <= start < other_end
        ]
    own = covered(stretches, since, until)
    times = [*own]
    for start, end in missing:
        if max(start, since) < end:
            times.append(Stretch(max(start, since), end, MinuteVerdict.GATEWAY))
    merged = _merged(windows)
    down: dict[MinuteVerdict, int] = {}
    for one in times:
        if one.verdict is MinuteVerdict.UP:
            continue
        told = sum(max(0, min(one.end, end) - max(one.start, start)) for start, end in merged)
        down[one.verdict] = down.get(one.verdict, 0) + one.end - one.start - told
        down[MinuteVerdict.ANNOUNCED] = down.get(MinuteVerdict.ANNOUNCED, 0) + told
    total = sum(one.end - one.start for one in times)
    return Availability(total, {verdict: count for verdict, count in down.items() if count})


def _missing(stretches: Collection[Stretch], until: int) -> list[tuple[int, int]]:
    """Return the times without a record after the first one."""
    first = min((one.start for one in stretches), default=until)
    return list(gaps(covered(stretches, first, until), until))


def _merged(windows: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(windows):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def burns(found: Availability, whole: int, elapsed: int) -> bool:
    """Does it use up its month's budget too fast: half of it at least, and more of it than of the
    month? `whole` and `elapsed` are minutes of the month."""
    budget = whole * (1 - TARGET)
    return 2 * found.ours >= budget and found.ours * whole > budget * elapsed


def minute_of(at: datetime) -> int:
    """Return the minute of a time."""
    return (at - _EPOCH) // _MINUTE


def begin_of_minute(minute: int) -> datetime:
    """Return the time at which a minute begins."""
    return _EPOCH + minute * _MINUTE


def window_of(starts_at: datetime, ends_at: datetime) -> tuple[int, int]:
    """Return the whole minutes of a maintenance."""
    return -((_EPOCH - starts_at) // _MINUTE), minute_of(ends_at)


def month_of(month: date) -> tuple[datetime, datetime]:
    """Return when a month begins in Paris, and when the next one does."""
    first = month.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return _begins(first), _begins(following)


def _begins(day: date) -> datetime:
    return datetime.combine(day, time(), PARIS).astimezone(UTC)


__all__ = ["BLAME", "OURS", "SOLVED_TARGET", "STOPPING", "TARGET", "VERDICTS", "Availability"]
__all__ += [
    "CanaryRun",
    "MinuteVerdict",
    "Stretch",
    "add_up",
    "burns",
    "commune_verdict",
    "covered",
]
__all__ += ["begin_of_minute", "gaps", "glc_verdict", "minute_of", "month_of", "service_verdict"]
__all__ += ["window_of"]
