"""Builds a catalogue from a bundle: reads every file, resolves every name, tells every fault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from pydantic import SecretStr

from gateway.catalogue import registry
from gateway.catalogue.alerting import read_telling
from gateway.catalogue.bundle import COMMUNES, SETTINGS, config_files, files_named
from gateway.catalogue.catalogue import (
    AttachmentStore,
    Caller,
    Catalogue,
    Commune,
    Portal,
    Settings,
    Teleservice,
)
from gateway.catalogue.communes import CommuneContext, CommuneReader, declared
from gateway.catalogue.config_faults import validate_all
from gateway.catalogue.console import read_console
from gateway.catalogue.glc import read_glc
from gateway.catalogue.mail import read_mail
from gateway.catalogue.mapping_files import load_mappings
from gateway.catalogue.network import NetworkReader, without_tls
from gateway.catalogue.openid import unfit_for_pages
from gateway.catalogue.ops import read_ops
from gateway.catalogue.sealing import is_database, read_sealing
from gateway.catalogue.secrets import NeededSecrets, SecretSource
from gateway.catalogue.settings import (
    AntivirusEntry,
    AttachmentsEntry,
    CommuneFile,
    PortalEntry,
    SettingsFile,
)
from gateway.catalogue.texts import say
from gateway.catalogue.ticketing import with_ticketing
from gateway.catalogue.traces import read_traces
from gateway.catalogue.yaml_reader import LocatedData, load_yaml
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.retention import DEFAULT_RETENTION, trail_delay
from gateway.core.retry import RetryPolicy
from gateway.sdk import Adapter
from gateway.store.objects import S3_OPTIONS, S3_SECRETS, BadObjects, Objects
from gateway.wire.clamav import BadScannerAddress, Clamd
from gateway.wire.event import WORDS

#: Placeholders for what a commune's file lacks, so that the rest of it is still checked.
_UNREAD = {"commune": "00000", "name": "unread", "portal": "unread"}


def build(
    bundle: Mapping[str, str],
    *,
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]] | None = None,
    secrets: NeededSecrets = NeededSecrets.ALL,
    folder: Path = Path(),
) -> Catalogue:
    """Build the catalogue of a bundle; secrets come from `environ` and from files.

    `adapters` None: the installed ones. With fewer than all `secrets`, the catalogue may call no
    far end. A relative data_dir starts at `folder`, where gateway.yaml lies.

    Raises one ConfigurationFault with every fault, each at its file and line.
    """
    source = SecretSource(environ, secrets, config_files=config_files(bundle))
    return _Builder(source, folder).build(bundle, adapters)


@dataclass(frozen=True, slots=True)
class Base:
    """Settings and portals alone; `catalogue` has no commune. `located` is their file."""

    catalogue: Catalogue
    located: LocatedData


def build_base(
    bundle: Mapping[str, str],
    *,
    environ: Mapping[str, str],
    adapters: Mapping[str, type[Adapter]] | None = None,
    secrets: NeededSecrets = NeededSecrets.ALL,
    folder: Path = Path(),
) -> Base:
    """Build the settings and portals of a bundle alone; otherwise as `build`. Raises
    ConfigurationFault."""
    alone: dict[str, str] = {}
    if SETTINGS in bundle:
        alone = {SETTINGS: bundle[SETTINGS], **files_named(bundle, bundle[SETTINGS])}
    found = build(alone, environ=environ, adapters=adapters, folder=folder, secrets=secrets)
    warnings = tuple(one for one in found.warnings if one.file != COMMUNES)
    return Base(replace(found, warnings=warnings), load_yaml(alone[SETTINGS], SETTINGS))


def build_over(base: Base, bundle: Mapping[str, str], *, environ: Mapping[str, str]) -> Catalogue:
    """Build the communes and mappings of a bundle over settings that are built already. Reads the
    communes' own secrets and certificates only. Raises ConfigurationFault."""
    source = SecretSource(environ, config_files=config_files(bundle))
    return _Builder(source, Path()).over(base, bundle)


def _links(settings: Settings) -> bool:
    return settings.glc is not None and settings.glc.openid is not None


class _Builder:
    def __init__(self, secrets: SecretSource, folder: Path) -> None:
        self.folder = folder
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.secrets = secrets
        self.networks = NetworkReader(self.faults, secrets.needed is NeededSecrets.ALL)

    def build(
        self, bundle: Mapping[str, str], adapters: Mapping[str, type[Adapter]] | None
    ) -> Catalogue:
        survey = registry.survey() if adapters is None else registry.AdapterSurvey(adapters)
        adapters = survey.adapters
        self.faults += survey.faults
        mappings, broken = load_mappings(bundle)
        self.faults += chain.from_iterable(broken.values())
        located = self._load(bundle, SETTINGS)
        entry: SettingsFile | None = None
        if located is not None:
            entry, faults = validate_all(SettingsFile, located, self.secrets)
            self.faults += faults
        settings: Settings | None = None
        portals: dict[str, Portal] = {}
        if located is not None and entry is not None:
            settings = self._settings(entry, located)
            for name, portal in entry.portals.items():
                portals[name] = self._portal(name, portal, settings, located)
            self._callers(entry, located)
        context = CommuneContext(
            retry=settings.retry if settings else RetryPolicy(),
            portals=portals,
            portals_known=entry is not None,
            portal_names=declared(located, ("portals",)),
            portal_file=located,
            mappings=mappings,
            mappings_broken=frozenset(broken),
            adapters=adapters,
            adapters_broken=survey.unfit,
            public_url="" if entry is None else entry.public_url,
            openid=settings is not None and _links(settings),
        )
        reader = CommuneReader(context, self.secrets, self.networks, self.faults, self.warnings)
        if settings is not None and entry is not None and located is not None:
            settings = with_ticketing(settings, entry.ticketing, located, reader.grus)
        communes = self._communes(bundle, reader)
        self._unrouted(portals, communes, located)
        if self.faults or settings is None:
            raise ConfigurationFault(self.faults)
        warnings = tuple(sorted(set(self.warnings)))
        return Catalogue(settings, portals, communes, mappings, adapters, warnings)

    def over(self, base: Base, bundle: Mapping[str, str]) -> Catalogue:
        known = base.catalogue
        mappings, broken = load_mappings(bundle)
        self.faults += chain.from_iterable(broken.values())
        context = CommuneContext(
            retry=known.settings.retry,
            portals=known.portals,
            portals_known=True,
            portal_names=frozenset(known.portals),
            portal_file=base.located,
            mappings=mappings,
            mappings_broken=frozenset(broken),
            adapters=known.adapters,
            public_url=known.settings.public_url,
            openid=_links(known.settings),
        )
        reader = CommuneReader(context, self.secrets, self.networks, self.faults, self.warnings)
        communes = self._communes(bundle, reader)
        if self.faults:
            raise ConfigurationFault(self.faults)
        warnings = tuple(sorted(set(self.warnings)))
        return replace(known, communes=communes, mappings=mappings, warnings=warnings)

    def _load(self, bundle: Mapping[str, str], name: str) -> LocatedData | None:
        text = bundle.get(name)
        if text is None:
            self.faults.append(Fault(name, 0, say("no_file")))
            return None
        try:
            return load_yaml(text, name)
        except ConfigurationFault as error:
            self.faults += error.faults
            return None

    def _settings(self, entry: SettingsFile, located: LocatedData) -> Settings:
        data_dir = self.folder / entry.data_dir
        database = SecretStr(f"sqlite:///{data_dir / 'gateway.db'}")
        if entry.database is not None:
            database = entry.database
            if not is_database(database.get_secret_value()):
                said = say("not_a_database", reference=entry.database.reference or "")
                self.faults.append(located.fault(("database",), said))
        on_postgres = database.get_secret_value().startswith("postgresql:")
        if entry.erasure_key is None and entry.glc is not None and on_postgres:
            self.faults.append(located.fault(("glc",), say("erasure_key")))
        if entry.sealing is None and on_postgres:
            self.faults.append(located.fault(("database",), say("sealing_needed")))
        if entry.glc is not None and entry.glc.openid is not None:
            self.faults += unfit_for_pages(entry.public_url, located)
        if entry.limits.file_mb > entry.limits.body_mb:
            self.faults.append(located.fault(("limits", "file_mb"), say("file_over_body")))
        telling = read_telling(entry.telling, located, self.networks, self.faults)
        if any(one.target is None for one in telling.channels) and entry.mail is None:
            self.faults.append(located.fault(("telling",), say("channel_no_mail")))
        return Settings(
            data_dir=data_dir,
            database=database,
            host=entry.listen.host,
            port=entry.listen.port,
            public_url=entry.public_url,
            ops=read_ops(entry.ops, (entry.listen.host, entry.listen.port), located, self.faults),
            traces=read_traces(entry.traces, located, self.networks) if entry.traces else None,
            limits=entry.limits.limits(),
            retry=entry.retry.over(RetryPolicy()),
            shutdown_grace=entry.shutdown_grace,
            certificate_warning=entry.certificate_warning,
            log_format=entry.log.format,
            log_level=entry.log.level,
            glc=read_glc(entry.glc, located, self.networks, self.warnings) if entry.glc else None,
            mail=None
            if entry.mail is None
            else read_mail(entry.mail, located, self.networks, self.warnings),
            erasure_key=entry.erasure_key,
            attachments=self._attachments(entry.attachments, located),
            antivirus=self._antivirus(entry.antivirus, located),
            retention=entry.retention.over(DEFAULT_RETENTION),
            attempts_kept=entry.retention.attempts,
            trail_kept=trail_delay(entry.retention.trail_years),
            incidents=replace(entry.incidents.rules(), hearings=telling.hearings),
            telling=telling,
            announcements=entry.announcements.rules(),
            console=None
            if entry.console is None
            else read_console(entry.console, entry.public_url, located, self.networks),
            sealing=None
            if entry.sealing is None
            else read_sealing(entry.sealing, located, self.secrets, self.networks, self.faults),
        )

    def _antivirus(self, entry: AntivirusEntry | None, located: LocatedData) -> Clamd | None:
        try:
            return None if entry is None else Clamd(entry.address, entry.timeout)
        except BadScannerAddress:
            said = say("antivirus_address")
            named = say("of_value", name="antivirus.address", said=said, cure=said.cure)
            self.faults.append(located.fault(("antivirus", "address"), named))
            return None

    def _attachments(
        self, entry: AttachmentsEntry | None, located: LocatedData
    ) -> AttachmentStore | None:
        if entry is None:
            return None
        options = entry.options
        for name, value in options.items():
            if value.reference is None and name in S3_SECRETS:
                said = say("secret_in_the_clear", key=name)
                self.faults.append(located.fault(("attachments", "options", name), said))
                return None
        try:
            Objects(entry.url, {name: one.get_secret_value() for name, one in options.items()})
        except BadObjects as error:
            path: tuple[str, ...] = ("attachments", "options" if options else "url")
            unknown = next((name for name in options if name not in S3_OPTIONS), None)
            if unknown is not None and entry.url.startswith("s3:"):
                path = (*path, unknown)
            said = say("objects", error=error.said)
            if options:
                said = say("objects_options", error=error.said, options=tuple(sorted(S3_OPTIONS)))
            self.faults.append(located.fault(path, said))
            return None
        return AttachmentStore(entry.url, options, entry.write)

    def _portal(
        self, name: str, entry: PortalEntry, settings: Settings, located: LocatedData
    ) -> Portal:
        retry = settings.retry
        here = ("portals", name)
        production = entry.environment == "production"
        # Our present credential, and the former one while it is replaced.
        ours, former = (*(entry.key or (entry.basic and entry.basic.password) or ()), None, None)[
            :2
        ]
        if ours is None:
            self.warnings.append(located.fault(here, say("portal_unproven", name=name)))
        if not entry.callers:
            self.warnings.append(located.fault(here, say("no_caller", name=name)))
        if production and without_tls(entry.base_url):
            said = say("portal_no_tls", name=name)
            self.warnings.append(located.fault((*here, "base_url"), said))
        return Portal(
            name=name,
            base_url=entry.base_url,
            production=production,
            orig=entry.orig,
            key=ours if entry.basic is None else None,
            basic=(entry.basic.username, ours) if entry.basic and ours else None,
            callers=tuple(
                Caller(one.orig, one.username, one.key or one.password or ())
                for one in entry.callers
            ),
            teleservices={
                slug: Teleservice(
                    slug=slug,
                    commune_path=one.commune,
                    reconcile=one.reconcile,
                    adopt_number=one.adopt_number,
                    due=one.due.due(),
                    retention=None
                    if one.retention is None
                    else one.retention.over(settings.retention),
                    events={status: WORDS[word] for status, word in one.events.items()},
                )
                for slug, one in entry.teleservices.items()
            },
            canary=None if entry.canary is None else entry.canary.canary(),
            lane=entry.lane.policy(
                entry.timeout,
                retry if entry.retry is None else entry.retry.over(retry),
                entry.report_delay or 0.0,
            ),
            calls=entry.calls,
            drift=entry.drift,
            former=former,
            network=self.networks.read(
                entry.network, located, (*here, "network"), [entry.base_url]
            ),
        )

    def _callers(self, entry: SettingsFile, located: LocatedData) -> None:
        """Read the callers. An orig or user name is one caller's: it decides the portal."""
        seen: dict[tuple[str, str], int] = {}
        for name, portal in entry.portals.items():
            for i, caller in enumerate(portal.callers):
                word = "orig" if caller.orig else "username"
                value = caller.orig or caller.username or ""
                path = ("portals", name, "callers", i, word)
                line = located.line(path)
                if (word, value) in seen:
                    there = seen[word, value]
                    said = say("caller_twice", word=word, value=value, line=there)
                    self.faults.append(located.fault(path, said))
                seen.setdefault((word, value), line)

    def _communes(self, bundle: Mapping[str, str], reader: CommuneReader) -> dict[str, Commune]:
        found: dict[str, Commune] = {}
        where: dict[str, str] = {}
        codes: list[tuple[LocatedData, CommuneFile, int]] = []
        for file in sorted(f for f in bundle if f.startswith(COMMUNES)):
            located = self._load(bundle, file)
            if located is None:
                continue
            entry, faults = validate_all(CommuneFile, located, self.secrets, _UNREAD)
            self.faults += faults
            if entry is None:
                continue
            commune = reader.read(entry, located)
            if entry.commune in where and entry.commune != _UNREAD["commune"]:
                said = say("commune_twice", insee=entry.commune, file=where[entry.commune])
                self.faults.append(located.fault(("commune",), said))
            where.setdefault(entry.commune, file)
            found.setdefault(entry.commune, commune)
            codes += [(located, entry, n) for n in range(len(entry.codes))]
        for located, entry, n in codes:
            code = entry.codes[n]
            if code in where:
                said = say("code_twice", code=code, file=where[code])
                self.faults.append(located.fault(("codes", n), said))
            where.setdefault(code, located.file)
        if not any(f.startswith(COMMUNES) for f in bundle):
            self.warnings.append(Fault(COMMUNES, 0, say("no_commune")))
        return found

    def _unrouted(
        self,
        portals: Mapping[str, Portal],
        communes: Mapping[str, Commune],
        located: LocatedData | None,
    ) -> None:
        used = {(c.portal, slug) for c in communes.values() for slug in c.routes}
        for portal in portals.values():
            for slug in portal.teleservices:
                if (portal.name, slug) not in used and located is not None and communes:
                    path = ("portals", portal.name, "teleservices", slug)
                    self.warnings.append(located.fault(path, say("unrouted", slug=slug)))
