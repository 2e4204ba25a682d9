"""The models of the configuration files: `gateway.yaml` and one file per commune.

They are the files as written; validation with a `SecretSource` reads the secrets. The gateway works
with the values of `gateway.catalogue.catalogue`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, GetPydanticSchema, ValidationInfo, model_validator
from pydantic_core import core_schema

from gateway.catalogue.adapter_entries import AdapterEntry, TicketingEntry
from gateway.catalogue.alerting import TellingEntry
from gateway.catalogue.announcements import AnnouncementsEntry
from gateway.catalogue.catalogue import DueMark, PortalCanary
from gateway.catalogue.console import ConsoleEntry
from gateway.catalogue.glc import GlcEntry
from gateway.catalogue.incidents import IncidentsEntry
from gateway.catalogue.linking import LinkingEntry
from gateway.catalogue.mail import MailEntry
from gateway.catalogue.network import TIMEOUT, BasicEntry, NetworkEntry
from gateway.catalogue.ops import OpsEntry
from gateway.catalogue.retention import FormRetentionEntry, RetentionEntry
from gateway.catalogue.scalars import (
    Address,
    Identifier,
    Insee,
    JmesPath,
    MappingKey,
    Name,
    Slug,
    StrictModel,
    Text,
)
from gateway.catalogue.sealing import SealingEntry
from gateway.catalogue.secrets import StoreSecret
from gateway.catalogue.texts import say
from gateway.catalogue.traces import TracesEntry
from gateway.core.lane_policy import LanePolicy
from gateway.core.retry import RetryPolicy
from gateway.core.workflow import DUE
from gateway.sdk.duration import Duration
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secret, Secrets, WholeSecret, is_reference
from gateway.wire.formdata import Limits
from gateway.wire.relay import EVENTS

_DEFAULT_RETRY = RetryPolicy()
_MEGABYTE = 1024 * 1024
EventWord = Literal["message", "document", "modification", "annulation"]


class ListenEntry(StrictModel):
    host: Text = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: int = Field(8700, ge=1, le=65535)


class LimitsEntry(StrictModel):
    body_mb: int = Field(80, ge=1, le=1024, description="Largest body taken, in megabytes.")
    file_mb: int = Field(30, ge=1, le=1024, description="Largest file within it, in megabytes.")
    files: int = Field(20, ge=0, le=1000, description="Most files in one request.")
    depth: int = Field(40, ge=4, le=100, description="Deepest nesting of its JSON.")

    def limits(self) -> Limits:
        """Return the bounds of a body, in bytes."""
        return Limits(
            max_bytes=self.body_mb * _MEGABYTE,
            max_file_bytes=self.file_mb * _MEGABYTE,
            max_files=self.files,
            max_depth=self.depth,
        )


#: The bounds where there are no settings.
DEFAULT_LIMITS: Final = LimitsEntry().limits()


class RetryEntry(StrictModel):
    """Keys left out are those of the level above: GRU or portal, then the settings."""

    delays: tuple[Duration, ...] = Field(
        _DEFAULT_RETRY.delays,
        min_length=1,
        description="The n-th follows the n-th failure; the last one repeats.",
    )
    jitter: float = Field(
        _DEFAULT_RETRY.jitter, ge=0, le=1, description="Share of a delay added at random."
    )
    retry_after_max: Duration = Field(
        _DEFAULT_RETRY.retry_after_max, description="Longest Retry-After that is believed."
    )
    limit: Duration = Field(
        _DEFAULT_RETRY.limit, description="After this long a delivery waits for a person."
    )

    def over(self, base: RetryPolicy) -> RetryPolicy:
        """Return `base` with this entry's keys."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        kept: dict[str, Any] = {
            name: getattr(base, name) for name in type(self).model_fields if name not in own
        }
        return RetryPolicy(**kept, **own)


class LogEntry(StrictModel):
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: coloured on a terminal, JSON elsewhere."
    )
    level: Literal["debug", "info", "warning", "error"] = "info"


class LaneEntry(StrictModel):
    concurrency: int = Field(4, ge=1, le=64, description="Calls at once.")
    rate: float | None = Field(None, gt=0, le=1000, description="Calls per second; null: no bound.")

    def policy(self, timeout: float, retry: RetryPolicy, report_delay: float = 0.0) -> LanePolicy:
        """Return the bounds of a lane, of which this entry is a part."""
        return LanePolicy(**dict(self), timeout=timeout, retry=retry, report_delay=report_delay)


#: The bounds of a lane that is no longer configured.
DEFAULT_LANE: Final = LaneEntry().policy(TIMEOUT, RetryPolicy())


class CallerEntry(StrictModel):
    """A sender that may call us, by `orig` and `key` (signed query) or `username` and `password`.

    While a secret is replaced there may be two, [env:NEW, env:OLD]: either is taken."""

    orig: Identifier | None = None
    key: Secrets | None = None
    username: Identifier | None = None
    password: Secrets | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if named not in ({"orig", "key"}, {"username", "password"}):
            raise refuse(say("caller_ways"))
        return self


def _shipped_events() -> dict[str, Any]:
    """Return the events of the shipped workflow."""
    return {status: word for status, _, word in EVENTS.values()}


class DueEntry(StrictModel):
    """The mark of a request that is due to its commune: only those are taken without a push."""

    field: Identifier | None = Field(
        DUE,
        description="Backoffice field that the workflow fills just before its call, with the time.",
    )
    statuses: tuple[Text, ...] = Field(
        (), description="Instead of a field: ids of the statuses in which the workflow calls us."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.statuses and self.field is not None and "field" in self.model_fields_set:
            raise refuse(say("due_ways"))
        return self

    def due(self) -> DueMark:
        """Return the mark: the named statuses, or else the field."""
        return DueMark(None, frozenset(self.statuses)) if self.statuses else DueMark(self.field)


class TeleserviceEntry(StrictModel):
    commune: JmesPath | None = Field(
        None, description="JMESPath over the raw formdata, when the address names no commune."
    )
    reconcile: Duration | None = Field(
        15 * 60.0, description="How often pushes that never arrived are looked for; null: never."
    )
    due: DueEntry = DueEntry()
    events: dict[Text, EventWord] = Field(
        default_factory=_shipped_events,
        description="Later events in the formdata's history: what a status announces, by its id in"
        " the workflow. As pushed: message, document, modification or annulation.",
    )
    retention: FormRetentionEntry | None = Field(
        None, description="Keys of `retention` above that differ for this form."
    )
    adopt_number: bool = Field(
        False, description="Answer with the GRU's number as the request's own at the portal."
    )


class CanaryEntry(StrictModel):
    """A synthetic request each minute, from the push to the portal's hook. Its commune has a file
    with a code from 00000 to 00099, its GRU is the adapter `demo`."""

    formdata: Slug = Field(description="Number of a formdata of the canary form.")
    through: Address | None = Field(
        None, description="Address that it is pushed to; null: where this process listens."
    )

    def canary(self) -> PortalCanary:
        """Return the canary."""
        return PortalCanary(self.formdata, self.through)


class PortalEntry(StrictModel):
    base_url: Address
    environment: Literal["production", "test"] = "production"
    orig: Identifier | None = Field(None, description="How we sign our calls to the portal.")
    key: Secrets | None = Field(
        None,
        description="Of these signatures; of two, [env:NEW, env:OLD], the other is tried when the"
        " portal turns one away.",
    )
    basic: BasicEntry | None = Field(None, description="HTTP Basic instead of a signature.")
    callers: tuple[CallerEntry, ...] = ()
    timeout: Duration = Field(TIMEOUT, description="Of one call to the portal, as a whole.")
    network: NetworkEntry = NetworkEntry()
    drift: Duration | None = Field(
        3600.0, description="How often its forms are held against the mappings; null: never."
    )
    report_delay: Duration | None = Field(
        2.0,
        description="How long a report waits after the push that it answers: w.c.s. refuses it"
        " while it still runs the actions that follow our answer; null: not at all.",
    )
    retry: RetryEntry | None = None
    lane: LaneEntry = LaneEntry()
    calls: int = Field(
        16, ge=1, le=1024, description="Calls at once of all communes together, who take turns."
    )
    teleservices: dict[Slug, TeleserviceEntry] = Field(default_factory=dict)
    canary: CanaryEntry | None = Field(
        None, description="A synthetic request each minute; null: none is sent."
    )

    @model_validator(mode="after")
    def _signs(self) -> Self:
        if (self.orig is None) != (self.key is None):
            raise refuse(say("orig_and_key"))
        if self.key is not None and self.basic is not None:
            raise refuse(say("portal_ways"))
        return self


def _store_option(value: str, info: ValidationInfo) -> Secret:
    return Secret.whole(value, info) if is_reference(value) else Secret(value)


#: A text, or a reference to a secret.
StoreOption = Annotated[
    Secret,
    GetPydanticSchema(
        lambda source, handler: core_schema.with_info_after_validator_function(
            _store_option,
            core_schema.str_schema(min_length=1, max_length=500),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda one: one.reference or one.get_secret_value(), when_used="json"
            ),
        )
    ),
]


class AttachmentsEntry(StrictModel):
    """An object store for the files of requests, that all replicas read."""

    url: Text = Field(
        description="s3://bucket/prefix, or file:///folder on a file system that all replicas share"
    )
    options: dict[Slug, StoreOption] = Field(
        default_factory=dict,
        description="Of S3: access_key_id, secret_access_key, session_token, region, endpoint..."
        " Any may be env:NAME or file:PATH; the secret ones must.",
    )
    write: bool = Field(
        True,
        description="false: new files go to the database; those that lie there are read.",
    )


class AntivirusEntry(StrictModel):
    """A ClamAV daemon (clamd) that looks at each file from outside, whoever sent it.

    What it finds is refused; while it is away, what bears a file is not taken, and comes again."""

    address: Text = Field(description="unix:/run/clamav/clamd.ctl or tcp://HOST:PORT")
    timeout: Annotated[Duration, Field(gt=0, le=120)] = Field(
        20.0, description="Of the look at one file."
    )


class SettingsFile(StrictModel):
    """`gateway.yaml`."""

    data_dir: Text = Field(
        "var",
        description="Database, and large bodies while they come in: on a disk, not in memory."
        " Relative to the folder of this file.",
    )
    database: StoreSecret | None = Field(
        None, description="null: SQLite in data_dir; or env:NAME holding postgresql://..."
    )
    attachments: AttachmentsEntry | None = Field(
        None, description="Where files of requests are kept; null: in the database."
    )
    antivirus: AntivirusEntry | None = Field(
        None, description="Who looks for viruses in files, both ways; null: nobody."
    )
    listen: ListenEntry = ListenEntry()
    ops: OpsEntry = OpsEntry()
    public_url: Address = Field(
        "http://127.0.0.1:8700", description="Where the portal reaches us; stands in our answers."
    )
    limits: LimitsEntry = LimitsEntry()
    retry: RetryEntry = RetryEntry()
    shutdown_grace: Duration = Field(20.0, description="Time for what is under way at a stop.")
    certificate_warning: Duration = Field(
        30 * 86400.0,
        description="So long before its end a certificate is told in health, log and metrics.",
    )
    log: LogEntry = LogEntry()
    traces: TracesEntry | None = Field(None, description="OpenTelemetry; null: no traces.")
    retention: RetentionEntry = RetentionEntry()
    incidents: IncidentsEntry = IncidentsEntry()
    announcements: AnnouncementsEntry = AnnouncementsEntry()
    console: ConsoleEntry | None = Field(
        None, description="Pages for operators, communes' agents and auditors; null: none."
    )
    glc: GlcEntry | None = Field(
        None, description="Accounts deleted at GrandLyon Connect; null: they are not followed."
    )
    mail: MailEntry | None = Field(
        None, description="The relay by which communes are told; null: health alone tells of them."
    )
    telling: TellingEntry = TellingEntry()
    ticketing: TicketingEntry | None = Field(
        None, description="The tool in which each incident has a ticket; null: none has."
    )
    erasure_key: WholeSecret | None = Field(
        None,
        description="Key of the hashes by which erased accounts are refused; null: made in"
        " data_dir. Needed with PostgreSQL; it may never change.",
    )
    sealing: SealingEntry | None = Field(
        None,
        description="Keys with which what is stored of people is sealed; null: a master key made"
        " in data_dir. Needed with PostgreSQL.",
    )
    portals: dict[Name, PortalEntry] = Field(min_length=1)


class GruEntry(AdapterEntry):
    lane: LaneEntry = LaneEntry()
    follow_after_end: Duration | None = Field(
        90 * 86400.0,
        description="So long after its end a request is still asked about, every six hours, as the"
        " commune may reopen it; null: not at all.",
    )
    retry: RetryEntry | None = None


class RouteEntry(StrictModel):
    gru: Name
    mapping: MappingKey


class CommuneFile(StrictModel):
    """One file of `communes/`."""

    commune: Insee = Field(description="INSEE code, in quotes.")
    codes: tuple[Insee, ...] = Field(
        (),
        description="Further codes that forms send for it, as those of Lyon's arrondissements.",
    )
    name: Text
    portal: Name
    key: Secrets | None = Field(
        None,
        description="Signature key of pushes that name no orig; two while it is replaced, either of"
        " which is taken.",
    )
    contacts: dict[Name, Text] = Field(
        default_factory=dict, description="Who to tell, by role: technical, functional, dpo..."
    )
    paused: bool = Field(False, description="Requests are taken and kept, nothing is sent.")
    gru: dict[Name, GruEntry] = Field(default_factory=dict)
    routes: dict[Slug, RouteEntry] = Field(default_factory=dict, description="By teleservice.")
    linking: LinkingEntry | None = Field(
        None, description="Linking of its own portal's accounts; null: they are not linked."
    )
