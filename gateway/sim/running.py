"""Runs a workflow: actions in order under their conditions, as w.c.s. runs them.

While actions run, the formdata is being processed and refuses outside calls. The effect of an
action is kept once an action stores the formdata. A worker that dies loses the rest, and leaves the
formdata marked as being processed.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from gateway.core.request import Json
from gateway.sim.formdata import (
    PARIS,
    Evolution,
    SimulatedFormdata,
    attachment_part,
    is_file_value,
    message_part,
    payload_file,
)
from gateway.sim.template import Lookup
from gateway.sim.wcs_signature import wcs_sign
from gateway.sim.workflow import Action, HistoryComment, Jump, SetFields, WebserviceCall
from gateway.sim.wscall import CallVerdict, adopted_number, post, stored

if TYPE_CHECKING:
    from gateway.sim.portal import Callout, SimulatedPortal

_AGENT = "w.c.s./0 (https://dev.entrouvert.org/projects/wcs/)"
#: More statuses in a row are a loop.
_MOST = 100
_STOP, _PASS = ":stop", ":pass"


class WorkerKilled(Exception):
    """The process that ran the actions is gone: no answer comes, and the mark stays."""


@dataclass(slots=True)
class ActionRun:
    """The actions of one event on one formdata. Calls go to `callout`, or to the workflow's
    address."""

    portal: SimulatedPortal
    item: SimulatedFormdata
    callout: Callout | None = None
    client: httpx.AsyncClient | None = None
    verdict: CallVerdict | None = None
    _unsaved: list[dict[str, Json]] = field(default_factory=list)

    async def enter(
        self,
        status: str,
        who: Mapping[str, Json] | None = None,
        who_id: str | None = None,
        parts: Sequence[dict[str, Json]] = (),
    ) -> None:
        """Put the formdata into a status, and run the actions of that status and of all that
        follow.

        `parts` are the texts of the person who moves it.
        """
        self._begin()
        self._arrive(status, who, who_id)
        self.item.history[-1].parts.extend(parts)
        await self._follow(self.item.form.status(self.item.status).all_actions)
        self._end()

    async def perform(self, actions: Sequence[Action]) -> None:
        """Run a global action, and the status that its jump leads to."""
        self._begin()
        await self._follow(actions)
        self._end()

    def _begin(self) -> None:
        self.item.processing = self.portal.clock()

    def _end(self) -> None:
        self._store()
        self.item.processing = None
        if self.portal.busy_seconds > 0:
            self.portal.process(self.item.form.slug, self.item.id, self.portal.busy_seconds)

    async def _follow(self, actions: Sequence[Action]) -> None:
        for _ in range(_MOST):
            target = await self._one_after_the_other(actions)
            if target is None:
                return
            self._arrive(target)
            actions = self.item.form.status(target).all_actions
        raise RecursionError("the workflow goes round in circles")

    async def _one_after_the_other(self, actions: Sequence[Action]) -> str | None:
        """Run the actions in order. Return the next status, or None where the formdata rests."""
        for action in actions:
            if action.when is not None and not action.when(self.lookup):
                continue
            if action.id and action.id == self.portal.kill_at:
                self.portal.kill_at = None
                self._lose()
                raise WorkerKilled
            match action:
                case SetFields():
                    for name, template in action.values.items():  # each is a write of its own
                        text = None if template is None else template(self.lookup)
                        self.item.set_fields({name: text}, self.portal.clock())
                        self._store()
                case HistoryComment():
                    self._comment(action)
                case WebserviceCall():
                    branch = await self._call(action)
                    if branch == _STOP:
                        return None
                    if branch != _PASS:
                        return branch
                case Jump(trigger=None, after=None):
                    return action.target
                case _:
                    continue  # it waits for somebody
        return None

    def _arrive(
        self, status: str, who: Mapping[str, Json] | None = None, who_id: str | None = None
    ) -> None:
        self._store()
        self.item.status = self.item.form.status(status).id
        self.item.history.append(Evolution(self.portal.clock(), status, who, who_id))
        self.item.touch()

    # --- what is written ------------------------------------------------------------------------

    def _comment(self, action: HistoryComment) -> None:
        found: list[dict[str, Json]] = []
        for template in action.attachments:
            file = template.value(self.lookup)
            if is_file_value(file):
                content_type = str(file.get("content_type") or "application/octet-stream")
                name = _plain_name(str(file["filename"]))
                found.append(attachment_part(name, content_type, payload_file(file)))
        text = action.text(self.lookup).strip() if action.text is not None else ""
        if text:
            found.append(message_part(text))
        self.item.history[-1].parts.extend(found)
        self._unsaved.extend(found)

    def _store(self) -> None:
        self._unsaved.clear()
        self.item.touch()

    def _lose(self) -> None:
        parts = self.item.history[-1].parts
        parts[:] = [part for part in parts if not any(part is one for one in self._unsaved)]
        self._unsaved.clear()

    # --- the webservice call --------------------------------------------------------------------

    async def _call(self, action: WebserviceCall) -> str:
        """Make the call. Return the status that it leads to, or one of the two words."""
        url, key, orig = action.url(self.lookup), None, None
        if action.key is not None:
            key = action.key(self.lookup)
        if self.callout is not None:
            # The path after `/requests` says which call it is.
            base, mark, rest = self.callout.url.partition("?")
            url = base + url.partition("/requests")[2] + mark + rest
            key, orig = self.callout.key, self.callout.orig
        payload = {name: template.value(self.lookup) for name, template in action.payload.items()}
        body: dict[str, Json] = payload
        if action.whole:
            body = self.item.document(self.portal.base_url, push=True) | {"extra": payload}
        self.verdict = await self.send(url, key, orig, body, action.name)
        if self.verdict.status is not None:
            await asyncio.sleep(self.portal.linger)
        return action.branches.get(self.verdict.judgement.value, _PASS)

    async def send(
        self, url: str, key: str | None, orig: str | None, body: Json, name: str
    ) -> CallVerdict:
        """Post once, judge the answer, and write it into the workflow's data."""
        item, portal = self.item, self.portal
        headers = {
            "User-agent": _AGENT,
            "Accept": "application/json",
            "Content-type": "application/json",
            "Publik-Caller-URL": item.backoffice_url(portal.base_url),
        }
        if key is not None:
            nonce = secrets.token_hex(16)
            url = wcs_sign(url, key, orig=orig, now=portal.clock(), nonce=nonce)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        verdict = await post(url, headers, body, self.client)
        now = portal.clock()
        local = now.astimezone(PARIS).replace(tzinfo=None).isoformat()
        item.workflow_data.update(stored(name, verdict, local))
        item.display_id = adopted_number(verdict) or item.display_id
        portal.note_push(item, loop.time() - begun, verdict)
        return verdict

    # --- what templates see ---------------------------------------------------------------------

    @property
    def lookup(self) -> Lookup:
        return lambda name: variable(self.portal, self.item, name)


def variable(portal: SimulatedPortal, item: SimulatedFormdata, name: str) -> Any:
    """Return the value of a template's variable, or None when it does not exist."""
    head, *attributes = name.split(".")
    value = _variable(portal, item, head)
    for attribute in attributes:
        value = value.get(attribute) if isinstance(value, Mapping) else None
    return value


def _variable(portal: SimulatedPortal, item: SimulatedFormdata, name: str) -> Any:
    for prefix, values in (
        ("form_var_", item.fields | item.workflow_fields),
        ("form_workflow_data_", item.workflow_data),
        ("form_trigger_", {t.name: {"content": t.content} for t in item.triggers.values()}),
    ):
        if name.startswith(prefix):
            return _walk(values, name.removeprefix(prefix))
    status = item.form.status(item.status)
    match name:
        case "now":
            return portal.clock().astimezone(PARIS)
        case "form_number":
            return item.display_id
        case "form_number_raw":
            return item.id
        case "form_uuid":
            return item.uuid
        case "form_slug":
            return item.form.slug
        case "form_name":
            return item.form.title
        case "form_status":
            return status.name
        case "form_status_is_endpoint":
            return status.endpoint
        case "form_comment":
            parts = item.history[-1].parts
            texts = [part["comment_plain_text"] for part in parts if "comment_plain_text" in part]
            return texts[-1] if texts else ""
    return portal.variables.get(name)


def _walk(value: Any, path: str) -> Any:
    """Return the value at a path of names joined by `_`. The names may contain `_` too."""
    if not path:
        return value
    if isinstance(value, list):
        number, _, rest = path.partition("_")
        if number.isdigit() and int(number) < len(value):
            return _walk(value[int(number)], rest)
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        for key in sorted(value, key=len, reverse=True):
            if path.startswith(f"{key}_"):
                found = _walk(value[key], path[len(key) + 1 :])
                if found is not None:
                    return found
    return None


def _plain_name(filename: str) -> str:
    """Return a document's name as w.c.s. stores it in the history."""
    return re.sub(r"[^\w\s.()-]", "_", filename)
