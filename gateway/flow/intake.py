"""The portal's calls: it brings a request or a later event, or asks for a request's state.

`target` is found before the body is read. Then comes a `push`, or a later event (`find`,
`receive_event`), or a question (`state`). All refuse with Rejected, in French.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial

import structlog

from gateway.catalogue.catalogue import Catalogue, Route, Teleservice
from gateway.core.canary import is_canary
from gateway.core.errors import Rejected, Unavailable
from gateway.core.ids import displaced_ref, named
from gateway.core.request import EventKind
from gateway.core.tracing import TraceContext
from gateway.flow.departures import LEFT
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.observer import Observer
from gateway.flow.receive import Receiver, SpentNonce
from gateway.flow.request_state import RequestState, is_owed, state_of
from gateway.sdk import beside
from gateway.store import intake, nonces, requests
from gateway.store.engine import Store
from gateway.store.rows import Acceptance, Reception, StoredRequest
from gateway.wire.event import AnnouncedEvent
from gateway.wire.event_content import without_form
from gateway.wire.formdata import Formdata

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sender:
    """A proven caller. `communes` are those it may act for; None is all of its portal."""

    portal: str
    communes: frozenset[str] | None
    nonce: SpentNonce | None
    #: Its call's place in a trace, where it named one and there are traces.
    trace: TraceContext | None = None

    @property
    def name(self) -> str:
        """The name of a key, the same for all its calls."""
        return f"{self.portal} {'' if self.communes is None else ' '.join(sorted(self.communes))}"

    def may(self, commune: str) -> bool:
        """May it act for this commune?"""
        return self.communes is None or commune in self.communes


@dataclass(frozen=True, slots=True)
class CallTarget:
    """The form that a call names, and the route of the commune in its address, if any. `catalogue`
    is where both were found."""

    sender: Sender
    teleservice: Teleservice
    route: Route | None
    catalogue: Catalogue

    @property
    def commune(self) -> str | None:
        """The commune that the address names."""
        return None if self.route is None else self.route.commune


@dataclass(frozen=True, slots=True)
class IntakeResult:
    """The result of a call that brought something. `number` is ours, where the portal is to show
    it."""

    state: RequestState
    created: bool
    number: str | None
    #: The caller's place in a trace, as it lies with the request.
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """The use cases of the portal's calls. One per process."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    receiver: Receiver
    observer: Observer

    def target(self, sender: Sender, commune: str | None, slug: str) -> CallTarget:
        """Find the form and route of a call. Raises Rejected as `Catalogue.route` does, and 410 for
        a commune that is gone."""
        catalogue, departures = self.far_ends.catalogue, self.far_ends.departures
        if commune is not None:
            one = departures.commune_of(commune, catalogue)
            if departures.is_gone(one):
                raise departures.refusal(one)
        route = None if commune is None else catalogue.route(sender.portal, commune, slug)
        return CallTarget(sender, catalogue.teleservice(sender.portal, slug), route, catalogue)

    async def pass_over(
        self, sender: Sender, commune: str | None, slug: str, ref: str | None, code: str
    ) -> None:
        """Note for the operator a request that has no route. The portal is told as well. Of a
        commune that has left nothing is noted."""
        portal = sender.portal
        if code == LEFT:
            self.observer.departed("push")
            return
        known = slug if slug in self.far_ends.catalogue.portals[portal].teleservices else None
        self.observer.passed_over(portal, known, code)
        log.warning("request.passed_over", portal=portal, teleservice=known, code=code)
        # A key may write nothing about another commune.
        theirs = commune is not None and not sender.may(commune)
        if ref is not None and known is not None and not theirs:
            now = self.environment.now()
            with contextlib.suppress(Unavailable):
                await self.store.write(intake.pass_over, portal, slug, ref, code, commune, now)

    async def push(
        self, target: CallTarget, formdata: Formdata, event: AnnouncedEvent
    ) -> IntakeResult:
        """Take in a request or a later event of one.

        Notes a request without a route. Raises as `Receiver.receive`, and Rejected (404, 409, 410)
        for a request that is not the sender's, has moved to another commune or is erased.
        """
        if event.kind is EventKind.CREATION:
            route = await self._route_of(target, formdata)
            return await self._receive(target, route, formdata, event)
        found = await self.find(target, formdata.ref)
        filled_in = partial(
            self.far_ends.catalogue.filled_in_for, target.teleservice, formdata.document
        )
        if await beside(formdata.size, filled_in) not in (None, found.commune):
            if event.kind is EventKind.CHANGE:
                raise _moved()
            # A message goes to the sender's request; the form is another commune's.
            formdata = await beside(formdata.size, partial(without_form, formdata))
        return await self._add(target, found, formdata, event)

    async def receive_event(
        self, target: CallTarget, found: StoredRequest, formdata: Formdata, event: AnnouncedEvent
    ) -> IntakeResult:
        """Take in a later event. Raises as `push`, and Rejected 400 when there is no event."""
        if event.kind is EventKind.CREATION:
            text = "L'action manque : message, document, modification ou annulation."
            raise Rejected(400, "missing_action", text)
        return await self._add(target, found, formdata, event)

    async def state(self, target: CallTarget, ref: str) -> tuple[RequestState, bool]:
        """Return a request's state, and whether a delivery of it is pending. Spends the nonce.
        Raises Rejected 403 for a repeated call, and as `find` does."""
        spent = target.sender.nonce
        if spent and not await self.store.write(nonces.spend, spent.key, spent.until):
            raise _replayed()
        found = await self.find(target, ref)
        try:
            route = self._route(target, found.commune)
        except Rejected:
            route = None  # it has been removed since
        return state_of(found, route), await is_owed(self.store, found.id)

    async def find(self, target: CallTarget, ref: str) -> StoredRequest:
        """Return the request of this id (the formdata's or ours) if the sender may know of it.
        Raises Rejected 404, and 410 for an erased one."""
        sender, slug = target.sender, target.teleservice.slug
        found = None
        if ref.isprintable() and len(ref) <= 200:
            # A request that a key brought under another's number is the key's own.
            theirs = sorted(one for one in sender.communes or () if target.commune in (None, one))
            for one in (ref, *(displaced_ref(ref, commune) for commune in theirs)):
                found = await self.store.read(requests.find, sender.portal, slug, one)
                if found is not None and _is_for(target, found):
                    break
                found = None
        if found is None:
            raise _unknown()
        if found.erased_at is not None:
            raise _erased()
        return found

    async def _route_of(self, target: CallTarget, formdata: Formdata) -> Route:
        """Find the route of a new request. Notes one that has none, and raises Rejected."""
        sender, teleservice, commune = target.sender, target.teleservice, target.commune
        told = partial(self.far_ends.catalogue.commune_of, teleservice, formdata.document, commune)
        try:
            commune = await beside(formdata.size, told)
            catalogue = self.far_ends.catalogue
            commune = self.far_ends.departures.commune_of(commune, catalogue)
            if not sender.may(commune):
                raise Rejected(403, "other_commune", "Cette clé n'est pas celle de la commune.")
            self.far_ends.departures.check_open(commune)
            return self._route(target, commune)
        except Rejected as refusal:
            await self.pass_over(sender, commune, teleservice.slug, formdata.ref, refusal.code)
            raise

    def _route(self, target: CallTarget, commune: str) -> Route:
        """Return the commune's route; looked up again when the catalogue changed since."""
        catalogue = self.far_ends.catalogue
        if target.route is not None and target.catalogue is catalogue:
            return target.route
        return catalogue.route(target.sender.portal, commune, target.teleservice.slug)

    async def _add(
        self, target: CallTarget, found: StoredRequest, formdata: Formdata, event: AnnouncedEvent
    ) -> IntakeResult:
        if self.far_ends.departures.is_closed(found.commune):
            self.observer.departed("event")
        self.far_ends.departures.check_open(found.commune)
        route = self._route(target, found.commune)
        aside = found.ref != named(found.ref, found.commune)
        return await self._receive(target, route, formdata, event, aside=aside)

    async def _receive(
        self,
        target: CallTarget,
        route: Route,
        formdata: Formdata,
        event: AnnouncedEvent,
        *,
        aside: bool = False,
    ) -> IntakeResult:
        acceptance = await self.receiver.receive(
            route,
            formdata,
            event,
            nonce=target.sender.nonce,
            vouched=target.sender.communes is None,
            aside=aside,
            traceparent=None if target.sender.trace is None else target.sender.trace.stored,
        )
        if not is_canary(route.commune):
            self.observer.received(route.portal, route.teleservice, acceptance.reception)
        request = _accepted(acceptance, route.commune)
        return IntakeResult(
            state_of(request, route),
            acceptance.reception is Reception.NEW,
            # Our number replaces the portal's only where the configuration says so.
            request.gru_reference or request.id if target.teleservice.adopt_number else None,
            request.traceparent,
        )


def names_of(found: StoredRequest) -> tuple[str, str]:
    """Return the ids that a later event may give: the formdata's and ours."""
    return named(found.ref, found.commune), found.id


def _is_for(target: CallTarget, found: StoredRequest) -> bool:
    return target.sender.may(found.commune) and target.commune in (None, found.commune)


def _accepted(acceptance: Acceptance, commune: str) -> StoredRequest:
    """Return the accepted request. Raises Rejected when none was accepted."""
    known = acceptance.request
    match acceptance.reception:
        case Reception.REPLAYED:
            raise _replayed()
        case Reception.ERASED:
            raise _erased()
        case Reception.UNKNOWN:
            raise _unknown()
    if known is not None and known.commune != commune:
        raise _moved()
    if acceptance.reception is Reception.CONFLICT:
        text = "Cet identifiant est déjà pris par un contenu différent."
        raise Rejected(409, "different_content", text)
    if known is None:
        raise AssertionError("a request that was taken is there")
    return known


def _moved() -> Rejected:
    text = "Cette demande a été transmise à une autre commune ; elle ne peut en changer."
    return Rejected(409, "other_commune", text)


def _unknown() -> Rejected:
    return Rejected(404, "unknown_request", "Cette demande n'est pas connue de la passerelle.")


def _replayed() -> Rejected:
    return Rejected(403, "replayed", "Cet appel signé a déjà servi (nonce).")


def _erased() -> Rejected:
    return Rejected(410, "erased", "Les données de cette demande ont été effacées.")
