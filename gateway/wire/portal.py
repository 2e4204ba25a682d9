"""The portal as a far end: hooks, jumps, and reading formdata through the API of w.c.s.

Every call is signed anew, goes to the portal's own origin only and follows no redirect. Every
answer becomes an outcome; a far end's fault raises nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from gateway.core.content import Content, InMemory
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
)
from gateway.core.request import Json
from gateway.sdk import Answer, File, FilePlaceholders, Unreadable, beside, read_json
from gateway.sdk.exchange import Take
from gateway.sdk.http import classify_status
from gateway.sdk.publik.formdata_state import (
    LIGHT,
    WITH_HISTORY,
    FormdataState,
    attached_in,
    hook_action,
    jump_action,
)
from gateway.sdk.publik.localtime import filter_text
from gateway.wire.addresses import formdata_url
from gateway.wire.answer import (
    holds_event,
    is_error,
    json_kind,
    refused_credentials,
    with_answer,
    write_outcome,
)
from gateway.wire.portal_calls import Payload, PortalCalls, PortalCredentials
from gateway.wire.spool import BodyReader, SpooledBody

_MIB = 1024 * 1024
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,200}")
#: Bytes read of the answer to a write, of which a few hundred matter.
_MAX_ANSWER = _MIB


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, as w.c.s. gives them, without file contents. `more`: there is a next page."""

    rows: tuple[Mapping[str, Json], ...]
    more: bool


def _rows(value: Json) -> list[Mapping[str, Json]] | None:
    """Return the rows of a list, given alone or as `data`; None for anything else."""
    rows = value.get("data") if isinstance(value, dict) else value
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows


def _changed_since(since: datetime | None) -> dict[str, str]:
    """Return a list's filter by last change; `since` is aware, None: no filter."""
    if since is None:
        return {}
    return {"filter-start-mtime": "on", "filter-start-mtime-value": filter_text(since)}


def names_nobody(row: Mapping[str, Json]) -> bool:
    """Is its citizen named nowhere in this row, nor that somebody submitted it? Without the parts
    that were asked for it proves nothing. Agents may have written since."""
    history = row.get("evolution")
    if row.get("user") is not None or not isinstance(history, list) or not history:
        return False
    first = history[0]
    said = ("who", "parts", "comment")
    if not isinstance(first, dict) or any(first.get(name) for name in said):
        return False
    # Of a citizen without an account, too, it is `_submitter` until it is anonymised.
    return first.get("who_id", "") is None


def _says_not_found(content: bytes) -> bool:
    try:
        told = read_json(content)
    except Unreadable:
        return False
    return isinstance(told, dict) and told.get("err_code") == "not-found"


def internal_id(row: Mapping[str, Json]) -> int:
    """Return a row's number within its form; 0 when it has none."""
    text = str(row.get("internal_id") or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


@dataclass(frozen=True, slots=True)
class WholeList:
    """Formdata that a form has, by id; `wiped` name their citizen no more: no user, and a
    submission without person or content."""

    there: frozenset[str]
    wiped: frozenset[str]


class PortalClient:
    """One portal. Signs with `key`, adds HTTP Basic with `basic`; `former` is the former secret,
    tried when this one is refused.

    `now` gives aware UTC, `nonce` a fresh random text for each attempt. The client has the
    timeouts. `max_bytes` bounds a formdata or a list, `max_file_bytes` a download.
    """

    def __init__(
        self,
        base_url: str,
        client: httpx.AsyncClient,
        *,
        orig: str | None,
        key: str | None,
        basic: tuple[str, str] | None,
        former: str | None = None,
        now: Callable[[], datetime],
        nonce: Callable[[], str],
        max_file_bytes: int,
        max_bytes: int = 100 * _MIB,
    ) -> None:
        self._base = base_url.rstrip("/")
        proof = PortalCredentials(orig, key, basic, former)
        self._calls = PortalCalls(base_url, client, proof, now=now, nonce=nonce)
        self._now = now
        self._max_bytes = max_bytes
        self._max_file_bytes = max_file_bytes

    def prove(
        self, client: httpx.AsyncClient, proof: PortalCredentials
    ) -> Coroutine[Any, Any, None]:
        """Use another client and other credentials from now on. The result closes the former client
        once its calls are over."""
        return self._calls.prove(client, proof)

    async def aclose(self) -> None:
        """Close the client."""
        await self._calls.aclose()

    # --- writes ------------------------------------------------------------------------------

    async def hook(
        self,
        api_url: str,
        identifier: str,
        payload: Mapping[str, Json],
        files: FilePlaceholders | None = None,
    ) -> Outcome:
        """Run the global action `identifier` of a formdata, in any status.

        `TryLater("processing")` while the formdata's actions run. `Misconfigured("unknown_hook")`
        for a 404 of an existing formdata: the workflow lacks the action, and the report goes
        through once its designer adds it. `Refused("unknown_formdata")` for a formdata that is
        gone. `Misconfigured("no_right_on_formdata")` and `("no_right_on_hook")` for rights that the
        account lacks on this formdata. `files` stand in `payload` for a document's content, which
        is sent in a stream.
        """
        return await self._hook(api_url, identifier, Payload.of(payload, files))

    async def put_document(self, api_url: str, identifier: str, file: File) -> Outcome:
        """Send a file's bytes, as they are, to the global action `identifier`; otherwise as `hook`.
        w.c.s. takes the name from a header, without accents: see `header_text`."""
        return await self._hook(api_url, identifier, Payload.raw(file))

    async def _hook(self, api_url: str, identifier: str, payload: Payload) -> Outcome:
        answer = await self._trigger(api_url, "hooks", identifier, payload)
        if not isinstance(answer, Answer):
            return answer
        if answer.status not in (403, 404):
            return write_outcome(answer)
        state = await self.state(api_url)
        if not isinstance(state, FormdataState):
            return state
        if answer.status == 404:
            # A missing action and a missing formdata give the same answer.
            missing = "the workflow has no global action of this name"
            return with_answer(Misconfigured("unknown_hook", missing), answer)
        if hook_action(identifier) in state.actions:
            # The right is there, so the formdata's actions are running. (Or a proxy sent the same
            # call twice: the mark tells at the next try.)
            return TryLater("processing", "the portal runs the actions of this request")
        lacks = "the account may read this request, not call it"
        return with_answer(Misconfigured("no_right_on_hook", lacks), answer)

    async def jump(
        self,
        api_url: str,
        trigger: str,
        payload: Mapping[str, Json],
        files: FilePlaceholders | None = None,
    ) -> Outcome:
        """Fire a jump trigger. `TryLater("not_in_status")` for a 404: the status has no such jump,
        which another event may change; `Refused("unknown_formdata")` when the formdata is gone."""
        answer = await self._trigger(api_url, "jump/trigger", trigger, Payload.of(payload, files))
        if not isinstance(answer, Answer):
            return answer
        if answer.status not in (403, 404):
            return write_outcome(answer)
        state = await self.state(api_url)
        if not isinstance(state, FormdataState):
            return state
        if answer.status == 403 and jump_action(trigger) in state.actions:
            return TryLater("processing", "the portal runs the actions of this request")
        missing = "no such trigger in the formdata's present status"
        return with_answer(TryLater("not_in_status", missing), answer)

    async def _trigger(
        self, api_url: str, path: str, name: str, payload: Payload
    ) -> Answer | Outcome:
        if not _WORD.fullmatch(name):
            return Misconfigured("bad_trigger", "the name of a hook or trigger is malformed")
        url = _below(api_url, f"{path}/{name}/")
        if url is None:
            return Misconfigured("bad_address")
        return await self._calls.send(
            payload.method, url, safe=False, limit=_MAX_ANSWER, payload=payload
        )

    def api_url(self, slug: str, ref: str) -> str:
        """Return the API address of one formdata of a form."""
        return formdata_url(self._base, slug, ref)

    # --- reads -------------------------------------------------------------------------------

    async def formdata(
        self, api_url: str, body_reader: BodyReader | None = None, *, at: datetime | None = None
    ) -> SpooledBody | Outcome:
        """Fetch the JSON text of one formdata with its file contents, for `parse_formdata`.

        The text is in memory, or read by `body_reader`, which may raise Unavailable. `at` (aware):
        with the values of that time; `Refused` where the portal has none.
        """
        # The workflow's data hold nothing of a request, and perhaps former documents.
        switches = {"include-workflow-data": "off", "include-roles": "off"}
        if at is not None:
            switches["at"] = at.isoformat()
        answer = await self._read_formdata(
            api_url, switches, body_reader.read if body_reader else None
        )
        if not isinstance(answer, Answer):
            return answer
        whole = SpooledBody(answer.content, len(answer.content))
        return answer.taken if isinstance(answer.taken, SpooledBody) else whole

    async def fields(
        self, api_url: str, *, at: datetime | None = None
    ) -> dict[str, Json] | Outcome:
        """Fetch one formdata with its fields and little else; `at` as for `formdata`."""
        off = ("workflow-data", "roles", "evolution", "user", "files-content")
        switches = {f"include-{part}": "off" for part in off}
        if at is not None:
            switches["at"] = at.isoformat()
        answer = await self._read_formdata(api_url, switches)
        return _object(answer) if isinstance(answer, Answer) else answer

    async def state(self, api_url: str, *, history: bool = False) -> FormdataState | Outcome:
        """Return what this account may call on a formdata now, and its backoffice fields."""
        answer = await self._read_formdata(api_url, WITH_HISTORY if history else LIGHT)
        return FormdataState.read(_object(answer)) if isinstance(answer, Answer) else answer

    async def attached(self, api_url: str) -> frozenset[str] | Outcome:
        """Fetch the SHA-256, in hexadecimal, of each document in a formdata's history. w.c.s. only
        shows them there when asked for files' contents."""
        switches = {**WITH_HISTORY, "include-files-content": "on"}
        answer = await self._read_formdata(api_url, switches)
        if not isinstance(answer, Answer):
            return answer
        document = _object(answer)
        return await beside(len(answer.content), lambda: attached_in(document))

    async def find_report(
        self, api_url: str, identifier: str, events: Sequence[str], *, mark: str, jump: bool = False
    ) -> Finding:
        """Did the workflow carry out a report? The first of its `events` went to the hook.

        `mark` is the backoffice field in which the last action notes the events carried out.
        Without it, a payload in `workflow.data` proves that it came, not that it was acted upon:
        nobody can tell (`forever`), and a person is asked. With `jump`, `identifier` is a jump
        trigger, which was fired if the formdata left its status. A formdata that is gone has
        nothing.
        """
        state = await self.state(api_url)
        if not isinstance(state, FormdataState):
            return _untold(state)
        done = [state.carried_out(mark, event) for event in events]
        if all(done):
            # A mapping that has lost its `document_hook` no longer names the document's event.
            return Absent() if state.awaits_document(mark, events[0]) else Found()
        if None not in done and not jump:
            return Absent()
        action = jump_action(identifier) if jump else hook_action(identifier)
        answer = await self._read_formdata(api_url, {**LIGHT, "include-workflow-data": "on"})
        if not isinstance(answer, Answer):
            return _untold(answer)
        document = _object(answer)
        workflow = document.get("workflow")
        data = workflow.get("data") if isinstance(workflow, dict) else None
        callable_now = action in FormdataState.read(document).actions
        if not isinstance(data, dict):
            # Absent while there are none; hidden from an account that reads anonymised data.
            hidden = "the portal shows no workflow data to this account"
            return Absent() if callable_now else CannotTell("no_proof", hidden, forever=True)
        if jump:
            came = holds_event(data, events[0])
            return Found() if came and not callable_now else Absent()
        if not holds_event(data.get(identifier), events[0]):
            return Absent()
        unproven = f"it came, and no field {mark} tells whether the workflow acted upon it"
        return CannotTell("no_proof", unproven, forever=True)

    async def listing(
        self,
        slug: str,
        since: datetime | None,
        offset: int,
        limit: int,
        *,
        full: bool = False,
    ) -> Page | Outcome:
        """Return formdata of a form changed since `since` (aware), oldest change first.

        Rows hold ids and times; with `full`, everything but file contents. The portal's bound is
        inclusive and blind to silent edits: overlap the windows, and drop repeats.
        """
        query = {"filter": "all", "order_by": "last_update_time"}
        if full:
            query["full"] = "on"
        query |= _changed_since(since) | {"limit": str(limit), "offset": str(offset)}
        url = f"{self._base}/api/forms/{quote(slug, safe='')}/list?{urlencode(query)}"
        answer = await self._read(url, self._max_bytes, "unknown_teleservice")
        if not isinstance(answer, Answer):
            return answer
        value = answer.value
        if isinstance(value, dict) and is_error(value):
            return Refused("application_error")
        rows = _rows(value)
        if rows is None:
            return TryLater("unreadable_answer", json_kind(value))
        more = isinstance(value, dict) and bool(value.get("next"))
        return Page(tuple(rows), more or len(rows) >= limit)

    async def due(
        self,
        slug: str,
        field: str | None,
        *,
        since: datetime | None = None,
        after: int = 0,
        refs: Sequence[str] = (),
        limit: int,
    ) -> Page | Outcome:
        """Return formdata of a form whose backoffice field `field` is filled (None: all), by
        internal id, after the id `after`.

        `since` (aware): changed since then. `refs`: only those. Rows hold fields, history and
        workflow, without files' contents and the workflow's data. Our own reports move no row
        between two pages. `Misconfigured("no_due_field")`: the form has no such field.
        """
        query = {"filter": "all", "order_by": "id", "limit": str(limit)}
        query |= {f"include-{part}": "on" for part in ("fields", "evolution", "workflow")}
        query |= {"filter-internal-id": str(after), "filter-internal-id-operator": "gt"}
        if field is not None:
            query |= {f"filter-{field}": "on", f"filter-{field}-operator": "existing"}
        query |= _changed_since(since)
        if refs:
            query["filter-identifier"] = ",".join(refs)
        url = f"{self._base}/api/forms/{quote(slug, safe='')}/list?{urlencode(query)}"
        answer = await self._read(url, self._max_bytes, "unknown_teleservice")
        if isinstance(answer, Refused) and answer.reason == "refused" and field is not None:
            return Misconfigured("no_due_field", f"the form has no field {field}")
        if not isinstance(answer, Answer):
            return answer
        rows = _rows(answer.value)
        if rows is None:
            return TryLater("unreadable_answer", json_kind(answer.value))
        ids = [internal_id(row) for row in rows]
        if any(one <= before for before, one in pairwise([after, *ids])):
            # An older w.c.s. does not know the bound, and gives other rows.
            return TryLater("unreadable_answer", "the portal's list is not in the order asked")
        return Page(tuple(rows), len(rows) >= limit)

    async def listed(self, slug: str, refs: Sequence[str]) -> frozenset[str] | Outcome:
        """Return those of these formdata that the form's list shows: not those that were anonymised
        or deleted, nor those that this account may not see."""
        rows = await self._named(slug, refs, {})
        return rows if isinstance(rows, Outcome) else frozenset(str(row["id"]) for row in rows)

    async def with_anonymised(self, slug: str, refs: Sequence[str]) -> WholeList | Outcome:
        """Return those of these formdata that the form has, anonymised or not."""
        switches = {f"include-{part}": "on" for part in ("anonymised", "user", "evolution")}
        rows = await self._named(slug, refs, switches)
        if isinstance(rows, Outcome):
            return rows
        wiped = frozenset(str(row["id"]) for row in rows if names_nobody(row))
        return WholeList(frozenset(str(row["id"]) for row in rows), wiped)

    async def is_deleted(self, slug: str, ref: str) -> bool | Outcome:
        """Does the portal itself say that there is no such formdata? A proxy's page does not count,
        nor that we may not read it."""
        parts = ("workflow-data", "roles", "evolution", "user", "files-content", "fields")
        switches = urlencode({f"include-{part}": "off" for part in parts})
        path = "/".join(quote(part, safe="") for part in (slug, ref))
        url = f"{self._base}/api/forms/{path}/?{switches}"
        answer = await self._calls.send("GET", url, safe=True, limit=self._max_bytes)
        if not isinstance(answer, Answer):
            return answer
        if answer.status != 404:
            return False
        return await beside(answer.size, lambda: _says_not_found(answer.content))

    async def _named(
        self, slug: str, refs: Sequence[str], switches: Mapping[str, str]
    ) -> list[Mapping[str, Json]] | Outcome:
        query = {"filter": "all", "order_by": "id", "limit": str(len(refs)), **switches}
        query["filter-identifier"] = ",".join(refs)
        url = f"{self._base}/api/forms/{quote(slug, safe='')}/list?{urlencode(query)}"
        answer = await self._read(url, self._max_bytes, "unknown_teleservice")
        if not isinstance(answer, Answer):
            return answer
        rows = _rows(answer.value)
        if rows is None or not {str(row.get("id")) for row in rows} <= {*refs}:
            return TryLater("unreadable_answer", "the portal's list is not what was asked for")
        return rows

    async def schema(self, slug: str) -> dict[str, Json] | Outcome:
        """Fetch the form's definition: fields, workflow statuses and options."""
        url = f"{self._base}/api/formdefs/{quote(slug, safe='')}/schema"
        answer = await self._read(url, self._max_bytes, "unknown_teleservice")
        if not isinstance(answer, Answer):
            return answer
        value = answer.value
        if not isinstance(value, dict):
            return TryLater("unreadable_answer", json_kind(value))
        if is_error(value):
            return Refused("application_error")
        return value

    async def card_ids(self, slug: str, view: str = "") -> tuple[str, ...] | Outcome:
        """Fetch the ids of a model's cards, which may be a list's options; or of one view of it."""
        path = "/".join(quote(part, safe="") for part in (slug, "list", view) if part)
        answer = await self._read(
            f"{self._base}/api/cards/{path}", self._max_bytes, "unknown_teleservice"
        )
        if not isinstance(answer, Answer):
            return answer
        rows = _object(answer).get("data")
        if not isinstance(rows, list):
            return TryLater("unreadable_answer", json_kind(answer.value))
        return tuple(str(row["id"]) for row in rows if isinstance(row, dict) and "id" in row)

    async def download(self, url: str, body_reader: BodyReader) -> tuple[Content, str] | Outcome:
        """Fetch a file's bytes by `body_reader`, and its media type. Raises Unavailable.

        Returns `Misconfigured("foreign_address")` for any origin but the portal's.
        """
        limit = self._max_file_bytes
        answer = await self._read(url, limit, "unknown_file", body_reader.read_file)
        if not isinstance(answer, Answer):
            return answer
        content = answer.taken if isinstance(answer.taken, Content) else InMemory(answer.content)
        return content, answer.content_type or "application/octet-stream"

    async def _read_formdata(
        self, api_url: str, switches: Mapping[str, str], take: Take | None = None
    ) -> Answer | Outcome:
        url = _below(api_url, "?" + urlencode(switches) if switches else "")
        if url is None:
            return Misconfigured("bad_address")
        answer = await self._read(url, self._max_bytes, "unknown_formdata", take)
        if isinstance(answer, Misconfigured) and answer.reason == "access_denied":
            return await self._no_right(api_url, answer)
        if not isinstance(answer, Answer):
            return answer
        value = answer.value
        if not isinstance(value, dict):
            return TryLater("unreadable_answer", json_kind(value))
        if is_error(value):
            return Refused("application_error")
        return answer

    async def _read(
        self, url: str, limit: int, missing: str, take: Take | None = None
    ) -> Answer | Outcome:
        answer = await self._calls.send("GET", url, safe=True, limit=limit, take=take)
        if not isinstance(answer, Answer):
            return answer
        code = answer.status
        if code in (404, 410):
            return with_answer(Refused(missing, f"HTTP {code}"), answer)
        if code in (401, 403):
            return with_answer(refused_credentials(answer.response, self._now()), answer)
        failure = classify_status(answer.response, safe=True)
        return answer if failure is None else with_answer(failure, answer)

    async def _no_right(self, api_url: str, refused: Misconfigured) -> Outcome:
        """Decide about one refused formdata: bad credentials, or no role of the account on it? Any
        access of the portal may list a form."""
        form = api_url.rstrip("/").rpartition("/")[0]
        answer = await self._read(f"{form}/list?limit=1", self._max_bytes, "unknown_teleservice")
        if not isinstance(answer, Answer):
            return answer
        lacks = "the account may list the form, and not read this request: it lacks a role"
        return Misconfigured("no_right_on_formdata", lacks, refused.answer)


def _object(answer: Answer) -> dict[str, Json]:
    """Return the JSON object that `_read_formdata` has checked."""
    value = answer.value
    return value if isinstance(value, dict) else {}


def _untold(failure: Outcome) -> Finding:
    """Return the finding about an event after a failed read."""
    match failure:
        case Refused("unknown_formdata"):
            return Absent()
        case TryLater(reason, detail, after, answer):
            return CannotTell(reason, detail, after=after, answer=answer)
        case Accepted():
            return CannotTell("unreadable_answer")
        case _:
            return CannotTell(failure.reason, failure.detail, answer=failure.answer)


def _below(api_url: str, rest: str) -> str | None:
    if "?" in api_url or "#" in api_url or not api_url:
        return None
    return api_url.rstrip("/") + "/" + rest
