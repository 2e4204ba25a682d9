"""Puts the use cases together over one catalogue and one database."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from gateway.catalogue.catalogue import Catalogue, Gru
from gateway.core.breaker import BreakerPolicy
from gateway.core.erasure import DEADLINE
from gateway.core.errors import Fault, Unavailable
from gateway.flow import operator
from gateway.flow.alerts import AlertDesk
from gateway.flow.announcements import AnnouncementDesk
from gateway.flow.anonymised import AnonymisationWatch
from gateway.flow.antivirus import Antivirus
from gateway.flow.attachments import Attachments, open_attachments, open_objects
from gateway.flow.changes import ChangeReceiver
from gateway.flow.console.access import ConsoleAccess, open_access
from gateway.flow.decommission import Decommissioner
from gateway.flow.deliver import Deliverer
from gateway.flow.environment import Environment
from gateway.flow.erase import Eraser
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.erasure_ledger import LEDGER_FILE, ErasureLedger
from gateway.flow.erasure_reminders import ErasureReminders
from gateway.flow.far_ends import GLC, FarEnds, Transport, open_far_ends
from gateway.flow.files import FileOpener
from gateway.flow.heartbeat import Heartbeats
from gateway.flow.identity import IdentityWatch
from gateway.flow.identity_events import IdentityEvents
from gateway.flow.incidents import IncidentDesk
from gateway.flow.intake import Intake
from gateway.flow.lanes.configured import lane_policy, lanes_of, lanes_that_differ
from gateway.flow.lanes.lanes import Lanes
from gateway.flow.linking_opening import open_linking
from gateway.flow.links import LinkFinder, LinkRegister, open_register
from gateway.flow.mailbox import CommuneMailbox
from gateway.flow.masters import MasterKeeper, keeper_of
from gateway.flow.observer import Observer
from gateway.flow.pivot import PivotDesk
from gateway.flow.receive import Receiver, References
from gateway.flow.reconcile import SETTLE, Reconciler
from gateway.flow.refusals import RefusalMeter
from gateway.flow.retention import Retention
from gateway.flow.tickets import TicketDesk
from gateway.flow.tracing import Traces, open_traces
from gateway.flow.warning import CommuneWarner
from gateway.sdk import Adapter
from gateway.store.engine import Store
from gateway.wire.budget import CallBudget
from gateway.wire.formdata import Limits
from gateway.wire.portal import PortalClient

if TYPE_CHECKING:
    from gateway.flow.linking import LinkDesk

log = structlog.get_logger()


@dataclass(slots=True)
class SecretsRead:
    """The last reading of secrets and certificates; `read_at` is None before the first. `refused`
    names those that could not be read: the former ones stay in use."""

    read_at: datetime | None = None
    refused: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Engine:
    """The use cases of a running gateway. `alone`: no other process works on this database."""

    far_ends: FarEnds
    store: Store
    environment: Environment
    limits: Limits
    lanes: Lanes
    intake: Intake
    receiver: Receiver
    changes: ChangeReceiver
    reconciler: Reconciler
    eraser: Eraser
    attachments: Attachments
    antivirus: Antivirus
    pivot: PivotDesk
    mailbox: CommuneMailbox
    heartbeats: Heartbeats
    warner: CommuneWarner
    retention: Retention
    reminders: ErasureReminders
    anonymisations: AnonymisationWatch
    identity_events: IdentityEvents
    decommissioner: Decommissioner
    incidents: IncidentDesk
    alerts: AlertDesk
    tickets: TicketDesk
    refusals: RefusalMeter
    announcements: AnnouncementDesk
    #: None when GLC is not configured.
    identity: IdentityWatch | None = None
    #: None when accounts are not linked.
    linking: LinkDesk | None = None
    #: None where there is no console.
    console: ConsoleAccess | None = None
    #: None where there are none.
    traces: Traces | None = None
    alone: bool = True
    secrets: SecretsRead = field(default_factory=SecretsRead)

    @property
    def catalogue(self) -> Catalogue:
        """The configuration that runs now."""
        return self.far_ends.catalogue

    @property
    def masters(self) -> MasterKeeper | None:
        """The keeper of the master keys; None where they are made here."""
        return keeper_of(self.store.sealer)

    @property
    def links(self) -> LinkRegister | None:
        """The links of accounts; None when accounts are not linked."""
        return None if self.linking is None else self.linking.register

    @property
    def adapters(self) -> Mapping[str, Adapter]:
        """The adapters that run now, by lane name."""
        return self.far_ends.adapters

    @property
    def portals(self) -> Mapping[str, PortalClient]:
        """The clients of portals that run now, by name."""
        return self.far_ends.portals

    def lane_names(self) -> list[str]:
        """List every configured lane."""
        return [
            name for insee in self.catalogue.communes for name in lanes_of(self.catalogue, insee)
        ]

    async def follow(self, following: Catalogue, grace: float) -> list[str]:
        """Run the catalogue `following` from now on. Return the communes that changed.

        A commune is exchanged once the calls under way on its changed lanes are over; they are cut
        after `grace` seconds. Whatever is unchanged goes on. A second call waits for the first only
        where both change the same commune. The settings stay those of the start; see `prove`.
        """
        changed = self.far_ends.aim(following)
        await asyncio.gather(*(self._change(insee, grace) for insee in changed))
        return changed

    async def follow_departures(self, grace: float) -> list[str]:
        """Read which communes leave, and serve those no more that are gone. Return these. Raises
        Unavailable."""
        departures = self.far_ends.departures
        await departures.refresh(self.store)
        aimed = self.far_ends.aimed
        gone = [insee for insee in aimed.communes if departures.is_gone(insee)]
        if gone:
            await self.follow(departures.without(aimed), grace)
        return gone

    async def prove(self, following: Catalogue) -> list[str]:
        """Use the secrets and certificates of `following`. Return the names of those that changed.

        They prove us to portals, GLC and the object store, and callers to us; the master keys of
        the sealing are among them. Raises OSError and
        ssl.SSLError, and changes nothing then.
        """
        now, then = self.catalogue.settings.attachments, following.settings.attachments
        objects = None
        if now is not None and then is not None and now != then:
            objects = open_objects(then)
        changed = self.far_ends.prove(following)
        if objects is not None and then is not None:
            self.attachments.objects = objects
            self.far_ends.use_store(then)
            changed.append("attachments")
        keeper, sealing = self.masters, following.settings.sealing
        if keeper is not None and sealing is not None and await keeper.follow(sealing):
            changed.append("sealing")
        glc, source = self.catalogue.settings.glc, self.far_ends.identity
        if self.identity is not None and glc is not None and source is not None:
            self.identity.glc, self.identity.source = glc, source
        portals = self.catalogue.portals
        await self._try(
            portals[name].lane_name(insee)
            for name in changed
            if name in portals
            for insee, commune in self.catalogue.communes.items()
            if commune.portal == name
        )
        return changed

    async def _change(self, insee: str, grace: float) -> None:
        async with self.far_ends.changing(insee):
            now, aim = self.catalogue, self.far_ends.aimed
            if not self.far_ends.differs(insee):
                return
            names = lanes_that_differ(now, aim, insee)
            try:
                await self.lanes.change(names, grace, lambda: self.far_ends.replace(insee))
            except Exception as error:  # a broken adapter stops its commune alone
                log.error("release.not_taken", commune=insee, error=type(error).__name__)
                return
            await self._try(names)

    async def _try(self, lanes: Iterable[str]) -> None:
        """Send one call now on each of these lanes whose far end failed: the change may have mended
        it."""
        waiting = [name for name in lanes if self.lanes.waits_for_its_far_end(name)]
        with suppress(Unavailable):  # they wait for their own time
            await operator.try_now(self.store, self.lanes.policy, waiting, self.environment.now())
        if waiting:
            self.lanes.refresh()


def grus(catalogue: Catalogue) -> list[Gru]:
    """List every commune's GRUs."""
    return [gru for commune in catalogue.communes.values() for gru in commune.grus.values()]


@asynccontextmanager
async def open_engine(
    catalogue: Catalogue,
    store: Store,
    *,
    environment: Environment | None = None,
    owner: str | None = None,
    alone: bool = True,
    transport: Transport = lambda lane: None,
    breaker: BreakerPolicy | None = None,
    settle: timedelta = SETTLE,
    shared: CallBudget | None = None,
    observer: Observer | None = None,
    links: LinkFinder | None = None,
) -> AsyncIterator[Engine]:
    """Open the far ends and the use cases; close them at the end. `alone`: no other process works
    on this database. `shared` bounds all calls together. `observer` counts what happens.
    `links` finds what a mapping reads as `link`, in place of the register."""
    observer = observer or Observer()
    environment = environment or Environment()
    breaker = breaker or BreakerPolicy()
    async with AsyncExitStack() as opened:
        far_ends = await opened.enter_async_context(
            open_far_ends(catalogue, environment=environment, transport=transport, shared=shared)
        )
        await far_ends.departures.refresh(store)
        attachments = open_attachments(catalogue.settings.attachments, store, environment)
        antivirus = Antivirus(catalogue.settings.antivirus, environment)
        files = FileOpener(store, environment, attachments)
        register = open_register(catalogue.settings, store)
        deliverer = Deliverer(store, far_ends, files, links or register)
        lanes = Lanes(
            store,
            deliverer,
            environment,
            owner=owner or secrets.token_hex(8),
            policy=lambda name: lane_policy(far_ends.catalogue, name, breaker),
            turns=far_ends.shared.turns,
            caller=far_ends.caller,
            alone=alone,
        )
        hasher = AccountHasher(catalogue.settings)
        receiver = Receiver(
            store,
            far_ends,
            environment,
            lanes.wake,
            attachments,
            antivirus,
            References(store),
            hasher,
        )
        glc, source = catalogue.settings.glc, far_ends.identity
        deadline = DEADLINE if glc is None else timedelta(seconds=glc.deadline)
        identity: IdentityWatch | None = None
        if glc is not None and source is not None:
            identity = IdentityWatch(
                store, glc, source, hasher, environment, lambda: far_ends.using(GLC), register
            )
        changes = ChangeReceiver(
            store,
            far_ends,
            environment,
            lanes.wake,
            attachments,
            antivirus,
            waits=lanes.waits_for_its_far_end,
        )
        lanes.attempts.on_number = changes.numbered
        lanes.attempts.on_attempt = observer.attempted
        traces = await opened.enter_async_context(
            open_traces(catalogue.settings.traces, environment, transport)
        )
        lanes.attempts.traces = traces
        attachments.health.on_failure = observer.attachments_failed
        mailbox = CommuneMailbox(store, far_ends, deliverer, lanes, environment)
        relay = far_ends.mail_relay()
        announcements = AnnouncementDesk(store, far_ends, environment, hasher)
        linking = await opened.enter_async_context(
            open_linking(register, far_ends, environment, hasher, observer, transport)
        )
        console = await opened.enter_async_context(
            open_access(far_ends, store, environment, transport)
        )
        mail = None if relay is None else relay.send
        alert_desk = AlertDesk(store, far_ends, environment, mail)
        yield Engine(
            far_ends,
            store,
            environment,
            far_ends.limits,
            lanes,
            Intake(store, far_ends, environment, receiver, observer),
            receiver,
            changes,
            Reconciler(store, far_ends, receiver, environment, far_ends.limits, settle),
            Eraser(
                store,
                hasher,
                environment,
                lanes.wake,
                attachments,
                ErasureLedger(catalogue.settings.data_dir / LEDGER_FILE, hasher.check_value),
                deadline,
                register,
            ),
            attachments,
            antivirus,
            PivotDesk(store, far_ends, changes, files, far_ends.limits.max_file_bytes),
            mailbox,
            Heartbeats(store, far_ends, environment),
            CommuneWarner(store, mailbox, environment, None if relay is None else relay.send),
            Retention(store, far_ends, environment),
            ErasureReminders(store, far_ends, environment, None if relay is None else relay.send),
            AnonymisationWatch(store, far_ends, hasher, environment, deadline),
            IdentityEvents(store, hasher, environment, register),
            Decommissioner(
                store,
                far_ends,
                environment,
                lanes.wake,
                attachments,
                register,
                None if relay is None else relay.send,
            ),
            IncidentDesk(
                store,
                far_ends,
                environment,
                None if relay is None else relay.send,
                announcements,
                alert_desk,
            ),
            alert_desk,
            TicketDesk(store, far_ends, environment),
            RefusalMeter(store, environment),
            announcements,
            identity,
            linking,
            console,
            traces,
            alone,
        )
