"""The portal: a w.c.s. that holds formdata, calls the gateway, and takes triggers and hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.faults import Faults
from gateway.sim.form import Form
from gateway.sim.formdata import (
    FormdataBusy,
    SimulatedFormdata,
    Trigger,
    comment_part,
)
from gateway.sim.holdings import Holdings
from gateway.sim.portal_http import portal_app
from gateway.sim.running import ActionRun
from gateway.sim.wcs_signature import WcsVerifier
from gateway.sim.workflow import (
    FLOOR,
    Button,
    CommentBox,
    Edition,
    Hook,
    Jump,
    WebserviceCall,
    WorkflowStatus,
)
from gateway.sim.wscall import CallVerdict

#: An hourly job frees what has been processed for longer than this.
STALLED = timedelta(hours=1)
#: As seen: the seconds that a workflow's last actions take once its call is answered.
LINGER = 0.03
#: Timed jumps are looked at this often.
CRON = timedelta(minutes=20)
_AGENT_USER: dict[str, Json] = {
    "id": 4,
    "name": "Agent Bron Fictif",
    "email": "agent@exemple.invalid",
    "NameID": ["cccccccccccccccccccccccccccccccc"],
}


@dataclass(frozen=True, slots=True)
class Callout:
    """The address that the workflow's webservice actions post to, and their signature.

    `url` is the address for a creation; the addresses for later events lie below it. Without `key`
    nothing is signed (the URL may hold HTTP Basic). w.c.s. adds no `orig` to a call that has its
    own key; give `orig` when the designer wrote it into the query data.
    """

    url: str
    key: str | None = None
    orig: str | None = None
    name: str = "envoi"


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A call of the gateway that was executed: a hook or a jump."""

    at: datetime
    slug: str
    id: str
    kind: str
    name: str
    payload: Json


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A webservice call that the portal made, and its result."""

    at: datetime
    slug: str
    id: str
    seconds: float
    verdict: CallVerdict


@dataclass(slots=True)
class SimulatedPortal(Holdings):
    """An instance of w.c.s. in memory.

    `keys` are the API accesses: `orig` (also the HTTP Basic name) to shared key. An access in
    `roleless` has no role: it lists formdata, but reads none and triggers no hook. An access in
    `read_only` reads and triggers none. A key in `site_wide` is not an API access but a key of the
    whole site. `language` is the site's, "fr" or "en"; `variables` are its variables.

    `linger`: the real seconds for which actions still run after our answer to a push. `kill_at`:
    the id of the action before which the worker of the next run dies. `client` makes the calls, if
    one is given. `received` and `pushes` only grow.
    """

    keys: dict[str, str] = field(default_factory=dict)
    callout: Callout | None = None
    roleless: frozenset[str] = frozenset()
    read_only: frozenset[str] = frozenset()
    site_wide: frozenset[str] = frozenset()
    language: str = "fr"
    variables: dict[str, str] = field(default_factory=dict)
    linger: float = LINGER
    kill_at: str | None = None
    client: httpx.AsyncClient | None = None
    faults: Faults = field(default_factory=Faults)
    received: list[ReceivedCall] = field(default_factory=list)
    pushes: list[MadeCall] = field(default_factory=list)
    verifier: WcsVerifier = field(init=False)
    _callouts: dict[tuple[str, str], Callout] = field(default_factory=dict)
    _looked: datetime | None = None

    def __post_init__(self) -> None:
        self.base_url = self.base_url.rstrip("/")
        self.verifier = WcsVerifier(self.keys)

    @property
    def app(self) -> ASGIApp:
        """The ASGI application of `gateway.sim.portal_http`."""
        return portal_app(self)

    # --- the citizen and the agent ----------------------------------------------------------------

    async def press(self, slug: str, id: str, label: str) -> CallVerdict | None:
        """Press a button of the present status as a person. Return the verdict of the last call
        made.

        `button` is its label, or the id of the status that it leads to. Raises KeyError when there
        is none.
        """
        item = self.get(slug, id)
        for action in item.form.status(item.status).all_actions:
            if isinstance(action, Button) and label in (action.label, action.target):
                citizen = "_submitter" in action.by
                who, who_id = (item.user, "_submitter") if citizen else (_AGENT_USER, "4")
                return await self._enter(item, action.target, who, who_id)
        raise KeyError(label)

    async def write(
        self, slug: str, id: str, text: str, button: str = "Envoyer ce message"
    ) -> CallVerdict | None:
        """Write into the comment box as the citizen, and press its button. Raises KeyError without
        a box."""
        item = self.get(slug, id)
        actions = item.form.status(item.status).all_actions
        box = next((one for one in actions if isinstance(one, CommentBox)), None)
        found = next((a for a in actions if isinstance(a, Button) and a.label == button), None)
        if box is None or found is None:
            raise KeyError(button)
        parts = []
        if text:  # with an empty box, the former text stays in the data
            item.workflow_data[f"comment_{box.name}"] = text
            parts = [comment_part(box.name, text)]
        return await self._enter(item, found.target, item.user, "_submitter", parts)

    async def amend(self, slug: str, id: str, fields: Mapping[str, Json]) -> CallVerdict | None:
        """Change the fields as the citizen. Raises KeyError where the present status does not allow
        it."""
        item = self.get(slug, id)
        actions = item.form.status(item.status).all_actions
        edition = next((one for one in actions if isinstance(one, Edition)), None)
        if edition is None:
            raise KeyError("no edition in this status")
        item.change(fields, self.clock())
        return await self._enter(item, edition.target, item.user, "_submitter")

    async def cancel(self, slug: str, id: str) -> CallVerdict | None:
        """Withdraw the request as the citizen. Raises KeyError where the status has no such
        button."""
        return await self.press(slug, id, "Annuler ma demande")

    async def _enter(
        self,
        item: SimulatedFormdata,
        status: str,
        who: Mapping[str, Json] | None,
        who_id: str | None,
        parts: Sequence[dict[str, Json]] = (),
    ) -> CallVerdict | None:
        run = self._run(item)
        await run.enter(status, who, who_id, parts)
        return run.verdict

    def _run(self, item: SimulatedFormdata, client: httpx.AsyncClient | None = None) -> ActionRun:
        callout = self._callouts.get((item.form.slug, item.id), self.callout)
        return ActionRun(self, item, callout, client or self.client)

    async def tick(self) -> None:
        """Run the cron of the machine: timed jumps, every 20 minutes."""
        now = self.clock()
        if self._looked is not None and now - self._looked < CRON:
            return
        self._looked = now
        for item in list(self.formdata.values()):
            jump = self._due(item, now)
            if jump is not None:
                await self._enter(item, jump.target, None, None)

    def _due(self, item: SimulatedFormdata, now: datetime) -> Jump | None:
        if item.processing is not None:
            return None
        arrived = next(e.time for e in reversed(item.history) if e.status is not None)
        for action in item.form.status(item.status).all_actions:
            if isinstance(action, Jump) and action.after is not None:
                least = timedelta(seconds=max(action.after, FLOOR))
                if now - arrived >= least:
                    return action
        return None

    # --- out: the webservice call ---------------------------------------------------------------

    async def push(
        self,
        formdata_id: str,
        url: str | None = None,
        key: str | None = None,
        *,
        slug: str | None = None,
        orig: str | None = None,
        extra: Mapping[str, Json] | None = None,
        name: str | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> CallVerdict:
        """Post the complete formdata once, judge the answer, and record it in the workflow data.

        Values that are not given come from `callout`. `slug` may be left out while the id is
        unambiguous. A formdata that rests goes to the status whose first call posts the whole of
        it, and on from there as the workflow says. With `extra`, or where the workflow has no such
        call, the post is made once and moves nothing. Raises KeyError for an unknown formdata,
        ValueError without a URL.
        """
        item = self.find(formdata_id, slug)
        callout = self._callouts.get((item.form.slug, item.id), self.callout)
        if url is not None:
            callout = Callout(url, key, orig, name or "envoi")
        if callout is None:
            raise ValueError("no URL to push to: give one, or set the portal's callout")
        self._callouts[item.form.slug, item.id] = callout
        run = self._run(item, client)
        status = None if extra else _sending(item.form)
        if status is not None:
            await run.enter(status.id, _AGENT_USER, "4")
            if run.verdict is not None:
                return run.verdict
        body = item.document(self.base_url, push=True)
        if extra:
            body["extra"] = dict(extra)
        return await run.send(callout.url, callout.key, callout.orig, body, name or callout.name)

    def note_push(self, item: SimulatedFormdata, seconds: float, verdict: CallVerdict) -> None:
        """Record a webservice call and its verdict."""
        pushed = MadeCall(self.clock(), item.form.slug, item.id, seconds, verdict)
        self.pushes.append(pushed)

    # --- in: hooks and jumps ----------------------------------------------------------------------

    def events(self, slug: str, id: str) -> list[Json]:
        """Return the payloads of all hooks that ran on a formdata, in order, with repeats."""
        return [
            one.payload
            for one in self.received
            if (one.kind, one.slug, one.id) == ("hook", slug, id)
        ]

    def check_idle(self, item: SimulatedFormdata) -> None:
        """Raise FormdataBusy while the formdata runs its actions.

        A mark that a dead worker left behind is removed at the first full hour at which it is older
        than one hour.
        """
        now = self.clock()
        if item.processing is not None and _freed(item.processing) <= now:
            item.processing = None
        if item.processing is not None or (item.busy_until is not None and now < item.busy_until):
            raise FormdataBusy

    async def run_hook(
        self, item: SimulatedFormdata, hook: Hook, payload: Json, *, keeps: bool = True
    ) -> None:
        """Run a global action. Its payload is stored (`keeps`) before anything else is done.

        Raises WorkerKilled.
        """
        item.triggers[hook.identifier] = Trigger(hook.identifier, payload)
        if keeps and payload is not None:
            item.workflow_data[hook.identifier] = payload
        await self._run(item).perform(hook.actions)
        self._note(item, "hook", hook.identifier, payload)

    async def run_jump(self, item: SimulatedFormdata, jump: Jump, payload: Json) -> None:
        """Leave the present status by a trigger. Raises WorkerKilled."""
        trigger = jump.trigger or ""
        item.triggers[trigger] = Trigger(trigger, payload)
        if isinstance(payload, dict):
            item.workflow_data.update(payload)
        elif payload is not None:
            item.workflow_data[trigger] = payload
        await self._run(item).enter(jump.target)
        self._note(item, "jump", trigger, payload)

    def _note(self, item: SimulatedFormdata, kind: str, name: str, payload: Json) -> None:
        self.received.append(
            ReceivedCall(self.clock(), item.form.slug, item.id, kind, name, payload)
        )

    def state(self) -> dict[str, Json]:
        """Return the answer of `GET /_sim/state`: counts, and every call that was executed."""
        return {
            "formdata": [
                {
                    "slug": item.form.slug,
                    "id": item.id,
                    "display_id": item.display_id,
                    "status": item.status,
                    "account": item.account,
                }
                for item in self.formdata.values()
            ],
            "received": [
                {
                    "slug": one.slug,
                    "id": one.id,
                    "kind": one.kind,
                    "name": one.name,
                    "payload": one.payload,
                }
                for one in self.received
            ],
            "pushes": [
                {
                    "slug": one.slug,
                    "id": one.id,
                    "judgement": one.verdict.judgement.value,
                    "status": one.verdict.status,
                }
                for one in self.pushes
            ],
        }


def _sending(form: Form) -> WorkflowStatus | None:
    """Return the status that hands a request over: the first with a call that posts the whole
    formdata."""
    for status in form.statuses:
        if any(
            isinstance(action, WebserviceCall) and action.whole for action in status.all_actions
        ):
            return status
    return None


def _freed(since: datetime) -> datetime:
    """Return the time at which the hourly job frees a formdata that has been processed since
    then."""
    stalled = since + STALLED
    return stalled.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
