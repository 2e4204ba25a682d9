"""The portal: a w.c.s. that holds formdata, calls us out, and takes our triggers and hooks."""

from __future__ import annotations

import asyncio
import html
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
from starlette.types import ASGIApp

from gateway.core.request import Json
from gateway.sim.control import Clock, now_utc
from gateway.sim.faults import Faults
from gateway.sim.formdata import (
    PARIS,
    Busy,
    Entry,
    Field,
    Form,
    Formdata,
    Status,
    attachment_part,
    comment_part,
    file_value,
    payload_file,
    stable_uuid,
    usual_statuses,
)
from gateway.sim.portal_http import portal_app
from gateway.sim.wcs_signature import WcsVerifier, wcs_sign
from gateway.sim.wscall import Verdict, adopted_number, post, stored

#: The backoffice field in which the workflow's last action notes what it has carried out.
MARK = "bo_retours_traites"
#: The one that holds the name of a document which is to come.
EXPECTED = "bo_document_attendu"
_AGENT = "w.c.s./0 (https://dev.entrouvert.org/projects/wcs/)"


@dataclass(frozen=True, slots=True)
class Callout:
    """A webservice action of the workflow: where it posts and how it signs.

    With no `key` nothing is signed (HTTP Basic may stand in the URL). w.c.s. adds no `orig` to a
    call that carries its own key; give one when the designer wrote it in the query data.
    """

    url: str
    key: str | None = None
    orig: str | None = None
    name: str = "envoi"


@dataclass(frozen=True, slots=True)
class Received:
    """A call of ours that was executed: a hook or a jump."""

    at: datetime
    slug: str
    id: str
    kind: str
    name: str
    payload: Json


@dataclass(frozen=True, slots=True)
class Pushed:
    """A webservice call made, and what became of it."""

    at: datetime
    slug: str
    id: str
    seconds: float
    verdict: Verdict


@dataclass(slots=True)
class Portal:
    """An instance of w.c.s. in memory.

    `keys`: API accesses, `orig` (also the HTTP Basic name) to shared key. Those in `roleless`
    have no role: they list, but do not read one formdata unless acting as a user. `base_url` may
    be set once the server is up. `busy_seconds` is how long a formdata "processes actions" after
    a submission or a trigger. `received` and `pushes` are append-only.
    """

    base_url: str = "http://portail.invalid"
    keys: dict[str, str] = field(default_factory=dict)
    callout: Callout | None = None
    roleless: frozenset[str] = frozenset()
    busy_seconds: float = 0.0
    hooks: tuple[str, ...] = ("retour_commune", "document_commune")
    clock: Clock = now_utc
    faults: Faults = field(default_factory=Faults)
    forms: dict[str, Form] = field(default_factory=dict)
    formdata: dict[tuple[str, str], Formdata] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    pushes: list[Pushed] = field(default_factory=list)
    verifier: WcsVerifier = field(init=False)

    def __post_init__(self) -> None:
        self.base_url = self.base_url.rstrip("/")
        self.verifier = WcsVerifier(self.keys)

    @property
    def app(self) -> ASGIApp:
        """The HTTP side; see `gateway.sim.portal_http`."""
        return portal_app(self)

    # --- forms and formdata -------------------------------------------------------------------

    def define(
        self,
        slug: str,
        title: str | None = None,
        *,
        fields: Sequence[Field] = (),
        statuses: Sequence[Status] | None = None,
        hooks: Sequence[str] | None = None,
    ) -> Form:
        """Create the form, or replace what is given of it."""
        form = self.forms.get(slug)
        if form is None:
            name = title or slug.replace("-", " ").capitalize()
            form = Form(slug, name, len(self.forms) + 1, hooks=list(self.hooks))
            form.statuses = usual_statuses()
            self.forms[slug] = form
        if title is not None:
            form.title = title
        if fields:
            form.fields = list(fields)
        if statuses is not None:
            form.statuses = list(statuses)
        if hooks is not None:
            form.hooks = list(hooks)
        return form

    def submit(
        self,
        slug: str,
        fields: Mapping[str, Json],
        user: Mapping[str, Json] | None = None,
        *,
        files: Mapping[str, tuple[str, str, bytes]] | None = None,
        status: str | None = None,
        workflow_fields: Mapping[str, Json] | None = None,
        geolocations: Mapping[str, Json] | None = None,
        channel: str = "web",
        digest: str | None = None,
        id: str | None = None,
    ) -> Formdata:
        """A citizen sends the form; an unknown one is defined on the way.

        `files`: field name to (file name, media type, bytes). `user` as in the formdata's JSON
        (`name`, `email`, `NameID` list). Nothing is validated, as w.c.s. does not either.
        """
        form = self.define(slug)
        values = dict(fields)
        for name, (filename, content_type, content) in (files or {}).items():
            values[name] = file_value(filename, content_type, content)
        form.learn_fields(values)
        number = sum(1 for key in self.formdata if key[0] == slug) + 1
        while id is None and (slug, str(number)) in self.formdata:
            number += 1
        name = id or str(number)
        now = self.clock()
        who = dict(user) if user is not None else None
        item = Formdata(
            form=form,
            id=name,
            internal_id=name if name.isdigit() else str(number),
            uuid=stable_uuid(slug, number) if id is None else stable_uuid(f"{slug}/{id}", 0),
            fields=values,
            received=now,
            status=status or form.statuses[0].id,
            user=who,
            display_id=f"{form.number}-{name}",
            digest=digest,
            channel=channel,
            geolocations=dict(geolocations) if geolocations else None,
            workflow_fields={MARK: None, EXPECTED: None, **(workflow_fields or {})},
            workflow_data={"_source_ip": "192.0.2.10"},
        )
        item.history.append(Entry(now, item.status, who, "_submitter"))
        self._occupy(item)
        self.formdata[slug, name] = item
        return item

    def submit_sample(self, sample: Mapping[str, Any], *, keep_id: bool = False) -> Formdata:
        """A new formdata made of a complete one (as pushed); times are of now."""
        slug = str(sample["api_url"]).rstrip("/").split("/")[-2]
        workflow = sample.get("workflow") or {}
        if slug not in self.forms:
            hooks = [
                name.partition(":")[2]
                for name in sample.get("actions") or {}
                if name.startswith("global-action:")
            ]
            form = self.define(slug, hooks=hooks or None)
            form.title = str(sample.get("display_name", form.title)).partition(" n°")[0]
            form.number = int(str(sample.get("display_id", "")).partition("-")[0] or form.number)
        return self.submit(
            slug,
            sample.get("fields") or {},
            sample.get("user"),
            workflow_fields=workflow.get("fields"),
            geolocations=sample.get("geolocations"),
            channel=(sample.get("submission") or {}).get("channel", "web"),
            digest=(sample.get("digests") or {}).get("default"),
            id=str(sample["id"]) if keep_id else None,
        )

    def get(self, slug: str, id: str) -> Formdata:
        """Raises KeyError."""
        return self.formdata[slug, id]

    def edit(self, slug: str, id: str, fields: Mapping[str, Json]) -> None:
        """Change values silently: no history entry, so `last_update_time` does not move."""
        self.get(slug, id).fields.update(fields)

    def say(self, slug: str, id: str, text: str) -> None:
        """The citizen adds a message."""
        item = self.get(slug, id)
        part: dict[str, Json] = {
            "type": "workflow-comment",
            "identifier": "message_usager",
            "comment": html.escape(text),
            "comment_plain_text": text,
        }
        item.history.append(Entry(self.clock(), None, item.user, "_submitter", (part,)))

    def move(self, slug: str, id: str, status: str) -> None:
        """Put the formdata in a status. Raises KeyError when the workflow has none such."""
        item = self.get(slug, id)
        item.status = item.form.status(status).id
        item.history.append(Entry(self.clock(), status))

    def process(self, slug: str, id: str, seconds: float) -> None:
        """For this long, refuse triggers: "formdata currently processing actions"."""
        self.get(slug, id).busy_until = self.clock() + timedelta(seconds=seconds)

    def anonymise(self, slug: str, id: str) -> None:
        """Wipe a formdata's person and values; lists leave it out from then on."""
        item = self.get(slug, id)
        item.anonymised, item.user, item.fields, item.workflow_data = True, None, {}, {}

    def _occupy(self, item: Formdata) -> None:
        if self.busy_seconds > 0:
            item.busy_until = self.clock() + timedelta(seconds=self.busy_seconds)

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
    ) -> Verdict:
        """Post the complete formdata once, judge the answer, and record it in the workflow data.

        What is not given comes from `callout`; `slug` may be left out while the id is unambiguous.
        Never tried again. Raises KeyError for an unknown formdata, ValueError without a URL.
        """
        item = self._find(formdata_id, slug)
        action = self.callout
        target = url or (action.url if action else None)
        if target is None:
            raise ValueError("no URL to push to: give one, or set the portal's callout")
        if action is not None and url is None:
            key, orig, name = key or action.key, orig or action.orig, name or action.name
        name = name or "envoi"
        body = item.document(self.base_url, push=True)
        if extra:
            body["extra"] = dict(extra)
        headers = {
            "User-agent": _AGENT,
            "Accept": "application/json",
            "Content-type": "application/json",
            "Publik-Caller-URL": item.backoffice_url(self.base_url),
        }
        if key is not None:
            target = wcs_sign(target, key, orig=orig, now=self.clock(), nonce=secrets.token_hex(16))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        verdict = await post(target, headers, body, client)
        now = self.clock()
        local = now.astimezone(PARIS).replace(tzinfo=None).isoformat()
        item.workflow_data.update(stored(name, verdict, local))
        item.display_id = adopted_number(verdict) or item.display_id
        pushed = Pushed(now, item.form.slug, item.id, loop.time() - begun, verdict)
        self.pushes.append(pushed)
        return verdict

    def _find(self, id: str, slug: str | None) -> Formdata:
        if slug is not None:
            return self.get(slug, id)
        found = [item for item in self.formdata.values() if item.id == id]
        if len(found) != 1:
            raise KeyError(f"{len(found)} formdata with id {id}: give the slug")
        return found[0]

    # --- in: hooks and jumps ----------------------------------------------------------------------

    def events(self, slug: str, id: str) -> list[Json]:
        """The payloads of all hooks executed on a formdata, in order, repeats included."""
        return [
            one.payload
            for one in self.received
            if (one.kind, one.slug, one.id) == ("hook", slug, id)
        ]

    def check_idle(self, item: Formdata) -> None:
        """Raises Busy."""
        if item.busy_until is not None and self.clock() < item.busy_until:
            raise Busy

    def run_hook(self, item: Formdata, identifier: str, payload: Json) -> None:
        """Execute a global action. Raises KeyError when the form has none such."""
        if identifier not in item.form.hooks:
            raise KeyError(identifier)
        now = self.clock()
        self.received.append(Received(now, item.form.slug, item.id, "hook", identifier, payload))
        if isinstance(payload, dict) and "b64_content" in payload:
            # A raw PUT: nothing of it stays, and the call before it has announced it.
            expected = item.workflow_fields.get(EXPECTED)
            if expected:
                self._tell_citizen(item, {"document": payload}, now)
                self._mark(item, expected)
                item.workflow_fields[EXPECTED] = None
        else:
            if payload is not None:
                item.workflow_data[identifier] = payload
            self._tell_citizen(item, payload, now)
            if isinstance(payload, dict):
                item.workflow_fields[EXPECTED] = payload.get("document_attendu")
                self._mark(item, payload.get("evenement"))
        self._occupy(item)

    def _mark(self, item: Formdata, event: Json) -> None:
        """The last action of a workflow: note what was carried out."""
        done = str(item.workflow_fields.get(MARK) or "").split()
        item.workflow_fields[MARK] = " ".join([*done, str(event)] if event else done)

    def run_jump(self, item: Formdata, trigger: str, payload: Json) -> None:
        """Leave the present status by a trigger. Raises KeyError when it has none such."""
        target = item.form.status(item.status).jumps[trigger]
        now = self.clock()
        self.received.append(Received(now, item.form.slug, item.id, "jump", trigger, payload))
        if isinstance(payload, dict):
            item.workflow_data.update(payload)
        elif payload is not None:
            item.workflow_data[trigger] = payload
        item.status = item.form.status(target).id
        self._tell_citizen(item, payload, now, moved=True)
        self._occupy(item)

    def _tell_citizen(
        self, item: Formdata, payload: Json, now: datetime, *, moved: bool = False
    ) -> None:
        """What a designer's workflow does with the connector's payload: status, message, file."""
        given = payload if isinstance(payload, dict) else {}
        word = given.get("statut")
        if not moved and isinstance(word, str) and any(s.id == word for s in item.form.statuses):
            moved = word != item.status
            item.status = word
        parts: list[dict[str, Json]] = []
        if isinstance(given.get("message"), str) and given["message"]:
            parts.append(comment_part(html.escape(given["message"])))
        document = given.get("document")
        if isinstance(document, dict) and "filename" in document:
            content_type = document.get("content_type") or "application/octet-stream"
            parts.append(
                attachment_part(
                    str(document["filename"]), str(content_type), payload_file(document)
                )
            )
        item.history.append(Entry(now, item.status if moved else None, parts=tuple(parts)))

    def state(self) -> dict[str, Json]:
        """For `GET /_sim/state`: counts, and every call executed."""
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
