"""The shapes of `/ops/health`: the whole and each part. No personal data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from typing import Self

# These keep their schema; of plain ones it is made anew for each route of each application.
from pydantic.dataclasses import dataclass


class Overall(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"


class LaneState(StrEnum):
    """`held`: the far end asked for a break; `open`: its breaker holds calls back."""

    OK = "ok"
    PAUSED = "paused"
    OPEN = "open"
    HALF_OPEN = "half_open"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `detail` says what is not well."""

    state: Overall
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DiskPart:
    """The data directory's disk, in bytes; None when it cannot be asked."""

    state: Overall
    free: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class LanePart:
    """One lane: `waiting` counts what goes by itself, `needs_person` what a person must decide.

    `says` is what `reason` means, and `who` can act on it; both are empty where nothing ails it.
    `rate` is good answers a second of late; with it, `estimated_end` says when what waits for no
    person is through. Both are known to the replica that works on the lane, and None elsewhere.
    """

    state: LaneState
    running: int
    waiting: int
    needs_person: int
    oldest_waiting_seconds: float | None
    reason: str
    probe_at: datetime | None
    says: str = ""
    who: str = ""
    rate: float | None = None
    estimated_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class TimerPart:
    """A poll or reconcile: `every` seconds; `failure` is why its last run could not do all.

    `says` is what `failure` means and what to do about it, empty where nothing failed. `fault` is
    what the far end says wrongly though it is read: `future_dates`, `bad_items`.
    """

    state: Overall
    every: float
    last_run: datetime | None
    failure: str | None
    late: bool
    fault: str | None = None
    says: str = ""


@dataclass(frozen=True, slots=True)
class GlcPart:
    """Deleted accounts. `failure` is why the last run of the provider was not believed, or braked.

    `held` erasures wait for two people, `open` are being made, `telling` wait for communes, and
    `overdue` do so past their deadline; `suspects` are accounts still to be confirmed.
    """

    state: Overall
    detail: str
    last_run: datetime | None
    failure: str | None
    suspects: int
    held: int
    open: int
    telling: int
    overdue: int


@dataclass(frozen=True, slots=True)
class ReleasesPart:
    """The releases that run: digests by commune, None where files are run as they are (`--dev`).

    `unreleased` are communes whose files are there while no release of theirs is active; `refused`
    those whose active release is not fit to run, each with why, a sentence each. What these ran
    before goes on, and is in `active`; at a start there is nothing, and they wait.
    """

    state: Overall
    active: dict[str, str] | None
    unreleased: tuple[str, ...]
    refused: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SecretsPart:
    """Secrets and certificates: when they were last read anew (None: at the start), and what of
    the settings could not be had then and is as it was. Of a commune, `releases` says it."""

    state: Overall
    read_at: datetime | None
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CertificatePart:
    """One of a far end: ours (`certificate`), an authority's (`ca`) or its own (`server`)."""

    far_end: str
    which: str
    ends: datetime
    days_left: int


@dataclass(frozen=True, slots=True)
class CertificatesPart:
    """Certificates that end soon (`certificate_warning`), or have."""

    state: Overall
    detail: str
    ending: tuple[CertificatePart, ...]


@dataclass(frozen=True, slots=True)
class DriftedForm:
    """One thing in a portal's form that the mappings no longer fit, or a form that was not read."""

    portal: str
    teleservice: str
    kind: str
    what: str
    detail: str
    places: tuple[str, ...]
    communes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DriftPart:
    """The findings of the last look at the portals' forms."""

    state: Overall
    found: tuple[DriftedForm, ...]


@dataclass(frozen=True, slots=True)
class PassedOverGroup:
    """Requests that the portal has for us and that were not taken, all for one reason.

    `commune` is the code told (None: none, or no code), `code` that of the refusal. `later`: the
    requests are here, and what the citizen added to them was not taken.
    """

    portal: str
    teleservice: str
    commune: str | None
    code: str
    later: bool
    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class PassedOverPart:
    """The requests that were passed over: pushed without a route, or due at the portal and not to
    be taken.

    An edit by which a citizen moves a request to another commune degrades nothing: the portal's
    agent is told by its push, and is to settle it with the citizen.
    """

    state: Overall
    found: tuple[PassedOverGroup, ...]


@dataclass(frozen=True, slots=True)
class AttachmentsPart:
    """The object store of the attachments, by what this replica's own calls of it came to.

    `since` is when the first of the operations in `detail` began to fail. `doomed` objects wait to
    be deleted; None when the database did not say.
    """

    state: Overall
    detail: str
    since: datetime | None
    doomed: int | None


@dataclass(frozen=True, slots=True)
class AntivirusPart:
    """The virus scanner, by what this replica's own calls of it came to, `since` when."""

    state: Overall
    detail: str
    since: datetime | None

    @classmethod
    def of(cls, failing_since: datetime | None) -> Self:
        """Return the part of a scanner that fails since then, or is well."""
        if failing_since is None:
            return cls(Overall.OK, "", None)
        return cls(Overall.DEGRADED, "does not answer: files are not taken", failing_since)


@dataclass(frozen=True, slots=True)
class VaultPart:
    """The key service of the master keys, as this replica last saw it: `failure` is a constant
    word. While it fails what runs goes on; a start waits for it. `token_ends` is None for a token
    that does not end, or is renewed."""

    state: Overall
    detail: str
    failure: str | None
    since: datetime | None
    token_ends: datetime | None


@dataclass(frozen=True, slots=True)
class IncidentsPart:
    """The open incidents: `open` counts them by severity (`securite`: attacks), `overdue` those
    past their deadline."""

    state: Overall
    detail: str
    open: dict[str, int]
    overdue: int


@dataclass(frozen=True, slots=True)
class TellingPart:
    """The paths by which people are told of incidents: since when notes could not be sent, open
    incidents of which nobody was told, and why the dead man's switch was not called."""

    state: Overall
    detail: str
    failing_since: datetime | None
    untold: tuple[str, ...]
    switch: str | None


@dataclass(frozen=True, slots=True)
class TicketingPart:
    """The tool of the tickets: entries that wait for it, since when, and why; `poll` is why its
    answers could not be read."""

    state: Overall
    detail: str
    waiting: int
    since: datetime | None
    reason: str | None
    poll: str | None


@dataclass(frozen=True, slots=True)
class IncidentSummary:
    """An incident, without the people who act on it. `symptom` is a constant word, `says` what it
    means; `deadline` is None without one, and while its clock stands still (`paused`). `ticket` is
    its number in the Métropole's tool."""

    id: str
    kind: str
    severity: str
    state: str
    party: str
    cause: str
    symptom: str
    says: str
    communes: tuple[str, ...]
    since: datetime
    deadline: datetime | None
    paused: bool
    overdue: bool
    ticket: str | None


@dataclass(frozen=True, slots=True)
class Health:
    """The whole. `requests` counts by canonical status; None when the database did not say.

    `attachments` is None where files lie in the database, `antivirus` where nobody looks at them,
    `vault` where no master key lies in a key service.
    """

    status: Overall
    ready: bool
    started_at: datetime
    now: datetime
    database: Part
    disk: DiskPart
    lanes: dict[str, LanePart]
    timers: dict[str, TimerPart]
    requests: dict[str, int] | None
    secrets: SecretsPart
    certificates: CertificatesPart
    glc: GlcPart | None = None
    releases: ReleasesPart | None = None
    drift: DriftPart | None = None
    attachments: AttachmentsPart | None = None
    antivirus: AntivirusPart | None = None
    passed_over: PassedOverPart | None = None
    incidents: IncidentsPart | None = None
    telling: TellingPart | None = None
    ticketing: TicketingPart | None = None
    vault: VaultPart | None = None


def lane_state(lane: LanePart) -> Overall:
    """Return the state of a lane. A pause and a far end's wish for a break are nothing to look at:
    they are meant."""
    amiss = lane.state in (LaneState.OPEN, LaneState.HALF_OPEN) or lane.needs_person
    return Overall.DEGRADED if amiss else Overall.OK


def parts(health: Health | CommuneHealth) -> Iterator[tuple[str, str, Overall]]:
    """Yield every part that is there, its name where there are several of it, and how it is."""
    for part in fields(health):
        value = getattr(health, part.name)
        several = value if isinstance(value, dict) else {"": value}
        for name, one in several.items():
            if isinstance(one, LanePart):
                yield part.name, name, lane_state(one)
            elif isinstance(getattr(one, "state", None), Overall):
                yield part.name, name, one.state


@dataclass(frozen=True, slots=True)
class CommuneHealth:
    """One commune: its lanes, its polls, and what is connected."""

    insee: str
    portal: str
    status: Overall
    database: Part
    teleservices: tuple[str, ...]
    lanes: dict[str, LanePart]
    timers: dict[str, TimerPart]
