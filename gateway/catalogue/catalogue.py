"""The configuration, checked and ready: portals, communes, their GRUs, their routes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from pathlib import Path

from pydantic import SecretStr

from gateway.catalogue.alerting import Telling
from gateway.core.announcement import AnnouncementRules
from gateway.core.console import Grant
from gateway.core.erasure import Brake
from gateway.core.errors import Fault, Rejected
from gateway.core.expression import Expression, ExpressionError
from gateway.core.ids import is_insee
from gateway.core.incident import IncidentRules
from gateway.core.lane_name import GruLane, PortalLane, portal_far_end
from gateway.core.lane_policy import LanePolicy
from gateway.core.mapping import RequestMapping
from gateway.core.request import EventKind, Json
from gateway.core.retention import (
    ATTEMPTS,
    DEFAULT_RETENTION,
    TRAIL_YEARS,
    RetentionPolicy,
    trail_delay,
)
from gateway.core.retry import RetryPolicy
from gateway.core.sealing import MasterKey, RemoteMaster
from gateway.core.ticket import TicketRules
from gateway.sdk import Adapter, Capabilities, Options
from gateway.wire.clamav import Clamd
from gateway.wire.deletions import DeletionsShape
from gateway.wire.formdata import Limits
from gateway.wire.mail import MailSettings
from gateway.wire.network import Network
from gateway.wire.oidc_client import OpenIdClient
from gateway.wire.security_events import EventShape
from gateway.wire.vault import Vault


@dataclass(frozen=True, slots=True)
class GlcAuth:
    """Our credentials at GLC: `kind` is basic, signature or oauth2. `name` is the user name, orig
    or client id; `token_url` and `scope` belong to OAuth2."""

    kind: str
    name: str
    secret: SecretStr
    token_url: str | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Glc:
    """GrandLyon Connect. `source` is deletions or synchronization; times are seconds."""

    base_url: str
    source: str
    auth: GlcAuth
    poll: float
    timeout: float
    canary: str | None
    brake: Brake
    confirm_after: float
    deadline: float
    deletions: DeletionsShape
    network: Network | None = None
    #: None: accounts are not linked.
    openid: OpenIdClient | None = None
    events: EventShape | None = None
    event_secret: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class AttachmentStore:
    """The files' object store. `write` False: new files go to the database."""

    url: str
    options: Mapping[str, SecretStr]
    write: bool


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """The master keys, and the address of the database of wrapped keys if it is one of its own;
    `at` is their file and line. `vault` has those that are remote."""

    masters: tuple[MasterKey | RemoteMaster, ...]
    keys: SecretStr | None
    at: tuple[str, int]
    vault: Vault | None = None

    @property
    def remote(self) -> tuple[RemoteMaster, ...]:
        """The master keys that never leave their key service."""
        return tuple(one for one in self.masters if isinstance(one, RemoteMaster))


@dataclass(frozen=True, slots=True)
class ConsoleProgram:
    """A program with a token by secret reference: two while one is replaced."""

    name: str
    tokens: tuple[SecretStr, ...]
    grant: Grant


@dataclass(frozen=True, slots=True)
class ClaimGrant:
    """The grant of the people whose `claim` is, or has, `value`."""

    claim: str
    value: str
    grant: Grant


@dataclass(frozen=True, slots=True)
class ConsoleOpenId:
    """The provider where the console's people sign in; `timeout` is in seconds."""

    client: OpenIdClient
    label: str
    timeout: float
    network: Network | None
    roles: tuple[ClaimGrant, ...]


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """The console. A session ends after `idle` without an act, and after `longest` in any case.
    `contact`: who is told that a page cannot be used; None: the operators."""

    idle: timedelta
    longest: timedelta
    accounts: bool
    forwarded: bool
    openid: ConsoleOpenId | None
    programs: tuple[ConsoleProgram, ...]
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class OpsSettings:
    """The place of `/ops`: host and port of its own, None for those of all the rest. `tokens`:
    either is taken; none are asked where there are none."""

    listen: tuple[str, int] | None = None
    tokens: tuple[SecretStr, ...] = ()


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """The collector of spans. `share` of the requests are traced; `pass_on` names the kinds of far
    ends that are told."""

    endpoint: str
    headers: Mapping[str, SecretStr]
    share: float
    service: str
    pass_on: frozenset[str]
    timeout: float
    network: Network


@dataclass(frozen=True, slots=True)
class Settings:
    """The daemon's own settings. `database` is an SQLAlchemy address; times are seconds. `glc`
    None: deleted accounts are not followed. `erasure_key` None: it is in the data directory."""

    data_dir: Path
    database: SecretStr
    host: str
    port: int
    public_url: str
    limits: Limits
    retry: RetryPolicy
    shutdown_grace: float
    log_format: str
    log_level: str
    #: A certificate is reported this long before its end.
    certificate_warning: float
    glc: Glc | None = None
    erasure_key: SecretStr | None = None
    #: None: nobody is told by mail.
    mail: MailSettings | None = None
    #: None: files are in the database.
    attachments: AttachmentStore | None = None
    #: None: files are not looked at for viruses.
    antivirus: Clamd | None = None
    retention: RetentionPolicy = DEFAULT_RETENTION
    #: Seconds that an attempt is kept, None for ever.
    attempts_kept: float | None = ATTEMPTS
    #: Seconds that the trail of erasures, rights and links is kept, None for ever.
    trail_kept: float | None = trail_delay(TRAIL_YEARS)
    #: None: the master key is in the data directory.
    sealing: SealingKeys | None = None
    incidents: IncidentRules = field(default_factory=IncidentRules)
    announcements: AnnouncementRules = field(default_factory=AnnouncementRules)
    #: None: there is none.
    console: ConsoleSettings | None = None
    telling: Telling = field(default_factory=Telling)
    ops: OpsSettings = field(default_factory=OpsSettings)
    #: None: there are none.
    traces: TraceSettings | None = None
    #: None: incidents have no tickets.
    ticketing: TicketTool | None = None


def self_contained(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue for a temporary database: it leaves no file in a real store, and asks no
    scanner."""
    settings = dataclasses.replace(catalogue.settings, attachments=None, antivirus=None)
    return dataclasses.replace(catalogue, settings=settings)


@dataclass(frozen=True, slots=True)
class Caller:
    """A sender that may call us: by signature (`orig`) or by HTTP Basic (`username`), never both.
    There are two `secrets` while one is replaced; either proves the caller."""

    orig: str | None
    username: str | None
    secrets: tuple[SecretStr, ...]


@dataclass(frozen=True, slots=True)
class DueMark:
    """The mark of a request that is due to its commune: a filled backoffice field, or a status.
    With neither, no request is taken without a push."""

    field: str | None = None
    statuses: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return self.field is not None or bool(self.statuses)


@dataclass(frozen=True, slots=True)
class Teleservice:
    """A form of a portal. `reconcile` is the interval in seconds, None for never."""

    slug: str
    commune_path: Expression | None
    reconcile: float | None
    adopt_number: bool
    due: DueMark = DueMark()
    #: None: that of the settings.
    retention: RetentionPolicy | None = None
    #: The event that a status of the workflow announces, by the status's id.
    events: Mapping[str, EventKind] = field(default_factory=dict)

    def code_in(self, formdata: Mapping[str, Json]) -> str:
        """Return the INSEE code in the configured field of a raw formdata. Raises Rejected: 404
        `no_commune` when there is none, 400 `bad_commune` when it cannot be read."""
        try:
            value = None if self.commune_path is None else self.commune_path.search(formdata)
        except ExpressionError:
            text = f"Le champ de la commune est illisible pour « {self.slug} »."
            raise Rejected(400, "bad_commune", text) from None
        if isinstance(value, int) and not isinstance(value, bool):
            value = f"{value:05}"
        if not isinstance(value, str) or not value.strip():
            text = f"Le champ de la commune est vide pour « {self.slug} »."
            raise Rejected(404, "no_commune", text)
        return value.strip()


@dataclass(frozen=True, slots=True)
class PortalCanary:
    """The formdata of the canary form that synthetic requests are for, and the address at which
    they are pushed to us; None: our own."""

    formdata: str
    through: str | None = None


@dataclass(frozen=True, slots=True)
class Portal:
    """An instance of w.c.s. We prove ourselves by `orig` and `key`, or by `basic`; `former` is the
    former secret, while it is replaced.

    `calls` bounds the calls at once, of all communes together. `drift` is the interval, in seconds,
    at which its forms are compared with the mappings, None for never. `lane` bounds its lane for
    each commune.
    """

    name: str
    base_url: str
    production: bool
    orig: str | None
    key: SecretStr | None
    basic: tuple[str, SecretStr] | None
    callers: tuple[Caller, ...]
    teleservices: Mapping[str, Teleservice]
    lane: LanePolicy
    calls: int
    drift: float | None
    network: Network | None = None
    former: SecretStr | None = None
    #: None: no synthetic requests are sent.
    canary: PortalCanary | None = None

    def lane_name(self, insee: str) -> str:
        """Return the name of one commune's lane to this portal."""
        return str(PortalLane(self.name, insee))

    @property
    def far_end(self) -> str:
        """The portal's name among the far ends, shared by the lanes of all its communes."""
        return portal_far_end(self.name)


@dataclass(frozen=True, slots=True)
class Gru:
    """One commune's GRU. `lane` bounds its lane; `options` are the adapter's own.

    `poll` is the interval in seconds, None for never. `follow` is how long an ended request is
    still asked about, in seconds; None for not at all.
    """

    commune: str
    name: str
    adapter: str
    options: Options
    production: bool
    lane: LanePolicy
    poll: float | None
    capabilities: Capabilities
    follow: float | None
    network: Network | None = None

    @property
    def lane_name(self) -> str:
        """The name of the lane to this GRU; of the tool of the tickets, its own."""
        return str(GruLane(self.commune, self.name)) if self.commune else self.name


@dataclass(frozen=True, slots=True)
class TicketTool:
    """The tool of the tickets, as a far end without a commune, and what is told to it."""

    tool: Gru
    rules: TicketRules


@dataclass(frozen=True, slots=True)
class Route:
    """The way of one teleservice's requests for one commune."""

    portal: str
    commune: str
    teleservice: str
    gru: Gru
    mapping: RequestMapping


@dataclass(frozen=True, slots=True)
class CommuneLinking:
    """The settings of a commune's links. `keys` are shared with its portal: two while one is
    replaced. `returns` are the addresses to which a citizen may go back, `claims` what the portal
    is given of them. `logo` is an SVG."""

    keys: tuple[SecretStr, ...]
    portal: str
    returns: frozenset[str]
    claims: tuple[str, ...] = ()
    logo: str | None = None


@dataclass(frozen=True, slots=True)
class Commune:
    """A connected commune. `routes` are by teleservice, `contacts` by role.

    `codes` are INSEE codes beside `insee` that mean it as well. `keys` prove its signatures: two
    while one is replaced, none when it calls otherwise.
    """

    insee: str
    name: str
    portal: str
    keys: tuple[SecretStr, ...]
    grus: Mapping[str, Gru]
    routes: Mapping[str, Route]
    contacts: Mapping[str, str]
    paused: bool
    codes: frozenset[str] = frozenset()
    #: None: accounts of its own portal are not linked.
    linking: CommuneLinking | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A commune whose active release cannot be run, and why."""

    name: str
    portal: str
    digest: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything configured, as one consistent value. `warnings` stop nothing.

    `unreleased` communes have files but no active release: they are known, and not served. The
    active release of `refused` ones cannot be run: they wait alone, and what ran before goes on.
    `releases` are the digests that run, by commune; None where files are run.
    """

    settings: Settings
    portals: Mapping[str, Portal]
    communes: Mapping[str, Commune]
    mappings: Mapping[str, RequestMapping]
    adapters: Mapping[str, type[Adapter]]
    warnings: tuple[Fault, ...] = field(default=())
    unreleased: Mapping[str, Commune] = field(default_factory=dict)
    releases: Mapping[str, str] | None = None
    refused: Mapping[str, Refusal] = field(default_factory=dict)

    def keeping(self, running: Catalogue) -> Catalogue:
        """Return this catalogue, but with `refused` communes as they run in `running`."""
        kept = [insee for insee in self.refused if insee in running.communes]
        if not kept or self.releases is None or running.releases is None:
            return self
        communes = {insee: running.communes[insee] for insee in kept}
        mappings = {
            route.mapping.key: route.mapping
            for commune in communes.values()
            for route in commune.routes.values()
        }
        releases = {insee: running.releases[insee] for insee in kept if insee in running.releases}
        return dataclasses.replace(
            self,
            communes={**self.communes, **communes},
            mappings={**mappings, **self.mappings},
            releases={**self.releases, **releases},
        )

    def insee(self, code: str) -> str:
        """Return the commune of a code: the one that has it, or else `code` itself."""
        if code in self.communes or code in self.unreleased or code in self.refused:
            return code
        known = chain(self.communes.values(), self.unreleased.values())
        return next((one.insee for one in known if code in one.codes), code)

    def filled_in_for(self, teleservice: Teleservice, formdata: Mapping[str, Json]) -> str | None:
        """Return the commune that a raw formdata names; None where its field holds no INSEE
        code."""
        try:
            named = self.insee(teleservice.code_in(formdata))
        except Rejected:
            return None
        return named if is_insee(named) else None

    def commune_of(
        self, teleservice: Teleservice, formdata: Mapping[str, Json], insee: str | None
    ) -> str:
        """Return the commune of a raw formdata: `insee` of its address, or else the field's.

        Raises Rejected: 404 or 400 when neither names one, 409 when they differ: what is filled in
        for one commune is not for another, and reconcile goes by the field.
        """
        if insee is None:
            return self.insee(teleservice.code_in(formdata))
        if self.filled_in_for(teleservice, formdata) not in (None, insee):
            text = "Le formulaire est rempli pour une autre commune que celle de l'adresse appelée."
            raise Rejected(409, "other_commune", text)
        return insee

    def teleservice(self, portal: str, slug: str) -> Teleservice:
        """Return a configured form of a portal. Raises Rejected 404 for another form."""
        configured = self.portals[portal].teleservices
        if slug not in configured:
            text = "Cette démarche n'est pas déclarée pour ce portail."
            raise _missing("unknown_teleservice", text, configured)
        return configured[slug]

    def route(self, portal: str, commune: str, teleservice: str) -> Route:
        """Return the route of a request, by any code of the commune.

        Raises Rejected 404 `unknown_portal`, `unknown_commune`, `no_release`, `unknown_teleservice`
        or `no_route`, with a French text that lists what is configured; 503 `release_refused` for a
        commune that waits.
        """
        known = self.portals.get(portal)
        if known is None:
            raise _missing("unknown_portal", "Ce portail n'est pas configuré.", self.portals)
        commune = self.insee(commune)
        one = self.communes.get(commune)
        if one is not None and one.portal != portal:
            one = None
        waiting = self.unreleased.get(commune)
        if one is None and waiting is not None and waiting.portal == portal:
            text = f"La commune {waiting.name} n'a pas encore de version en service."
            raise Rejected(404, "no_release", text)
        refused = self.refused.get(commune)
        if one is None and refused is not None and refused.portal == portal:
            raise _waits(refused)
        if one is None:
            here = [c for c in self.communes.values() if c.portal == portal]
            names = [f"{c.name} ({c.insee})" for c in here]
            text = "Cette commune n'est pas raccordée à ce portail."
            raise _missing("unknown_commune", text, names)
        self.teleservice(portal, teleservice)
        found = one.routes.get(teleservice)
        if found is None:
            text = f"La commune {one.name} n'a pas raccordé cette démarche."
            raise _missing("no_route", text, one.routes)
        return found

    def keys_for(
        self, portal: str | None, orig: str | None, commune: str | None
    ) -> list[tuple[str, SecretStr]]:
        """Return the (portal, key) pairs that may have made a signature.

        They are the caller's with this `orig`; without one, the keys of `commune`. `portal` None
        means any. Raises Rejected 503 for a commune that waits: its key may be unknown.
        """
        if orig is not None:
            return [
                (one.name, secret)
                for one in self.portals.values()
                if portal in (None, one.name)
                for caller in one.callers
                if caller.orig == orig
                for secret in caller.secrets
            ]
        insee = self.insee(commune or "")
        known = self.communes.get(insee) or self.unreleased.get(insee)
        if known is None and insee in self.refused:
            raise _waits(self.refused[insee])
        if known is None or portal not in (None, known.portal):
            return []
        return [(known.portal, key) for key in known.keys]

    def basic(self, username: str) -> tuple[str, tuple[SecretStr, ...]] | None:
        """Return the portal that calls us by HTTP Basic as `username`, and its passwords."""
        for portal in self.portals.values():
            for caller in portal.callers:
                if caller.username == username:
                    return portal.name, caller.secrets
        return None


def _waits(refused: Refusal) -> Rejected:
    text = f"La version de la commune {refused.name} ne peut pas être mise en marche."
    return Rejected(503, "release_refused", text)


def _missing(code: str, text: str, configured: Iterable[str]) -> Rejected:
    listed = ", ".join(sorted(configured))
    return Rejected(404, code, f"{text} Configuré : {listed or 'rien'}.")
