"""The data of the simulated w.c.s.: forms and formdata, and the changes that tests make to them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from gateway.core.request import Json
from gateway.sim.control import Clock, now_utc
from gateway.sim.form import Field, Form
from gateway.sim.formdata import Evolution, SimulatedFormdata, comment_part, file_value, stable_uuid
from gateway.sim.workflow import Workflow, WorkflowStatus, plain_workflow, relay


@dataclass(slots=True)
class Holdings:
    """Forms by slug, and formdata by slug and id.

    Set `base_url` once the server is up. A form without global actions of its own has `hooks`.
    After a submission or a trigger a formdata "processes actions" for `busy_seconds` of `clock`.
    """

    base_url: str = "http://portail.invalid"
    hooks: tuple[str, ...] = ("retour_commune", "document_commune")
    busy_seconds: float = 0.0
    clock: Clock = now_utc
    forms: dict[str, Form] = field(default_factory=dict)
    formdata: dict[tuple[str, str], SimulatedFormdata] = field(default_factory=dict)

    def define(
        self,
        slug: str,
        title: str | None = None,
        *,
        fields: Sequence[Field] = (),
        statuses: Sequence[WorkflowStatus] | None = None,
        hooks: Sequence[str] | None = None,
        workflow: Workflow | None = None,
    ) -> Form:
        """Create the form, or replace the given parts of it.

        The form follows `workflow`. Without one it follows a plain workflow of `statuses`, or the
        relay; `hooks` are then its global actions.
        """
        form = self.forms.get(slug)
        if form is None:
            name = title or slug.replace("-", " ").capitalize()
            form = self.forms[slug] = Form(slug, name, len(self.forms) + 1)
            form.follow(relay())
            hooks = self.hooks if hooks is None and workflow is None else hooks
        if title is not None:
            form.title = title
        if fields:
            form.fields = list(fields)
        if workflow is not None:
            form.follow(workflow)
        if statuses is not None:
            form.follow(plain_workflow(tuple(statuses), self.hooks[0]))
            hooks = None
        if hooks is not None:
            form.hooks.clear()
            for hook in hooks:
                form.add_hook(hook)
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
    ) -> SimulatedFormdata:
        """Submit the form as a citizen. An unknown form is defined first.

        `files` maps a field name to (file name, media type, bytes). `user` is as in the formdata's
        JSON (`name`, `email`, `NameID` list). Nothing is validated, as in w.c.s.
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
        item = SimulatedFormdata(
            form=form,
            id=name,
            internal_id=name if name.isdigit() else str(number),
            uuid=stable_uuid(slug, number) if id is None else stable_uuid(f"{slug}/{id}", 0),
            fields=values,
            received=now,
            status=form.status(status).id if status else form.statuses[0].id,
            user=who,
            display_id=f"{form.number}-{name}",
            digest=digest,
            channel=channel,
            geolocations=dict(geolocations) if geolocations else None,
            workflow_fields=dict(workflow_fields or {}),
            workflow_data={"_source_ip": "192.0.2.10"},
        )
        item.history.append(Evolution(now, item.status, who, "_submitter"))
        self.formdata[slug, name] = item
        if self.busy_seconds > 0:
            self.process(slug, name, self.busy_seconds)
        return item

    def submit_sample(
        self, sample: Mapping[str, Any], *, keep_id: bool = False
    ) -> SimulatedFormdata:
        """Copy a complete formdata (as pushed) into a new one with present times."""
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

    def get(self, slug: str, id: str) -> SimulatedFormdata:
        """Return the formdata. Raises KeyError when there is none."""
        return self.formdata[slug, id]

    def user_of(self, given: Mapping[str, Json] | None) -> Mapping[str, Json] | None:
        """Return the person of `{"NameID": [...]}` or `{"email": ...}`, or None for nobody."""
        asked = (given or {}).get("NameID") or []
        for item in self.formdata.values():
            user = item.user or {}
            same = given is not None and given.get("email") in (user.get("email"),)
            if user and (same or set(asked) & set(user.get("NameID") or [])):
                return user
        return None

    def edit(self, slug: str, id: str, fields: Mapping[str, Json]) -> None:
        """Change values silently: no history entry is added, and `last_update_time` stays."""
        self.get(slug, id).change(fields, self.clock())

    def say(self, slug: str, id: str, text: str) -> None:
        """Add a citizen's message that triggers nothing."""
        item = self.get(slug, id)
        part = comment_part("message_usager", html.escape(text))
        item.history.append(Evolution(self.clock(), None, item.user, "_submitter", [part]))
        item.touch()

    def move(self, slug: str, id: str, status: str) -> None:
        """Put the formdata into a status. Raises KeyError when the workflow has no such status."""
        item = self.get(slug, id)
        item.status = item.form.status(status).id
        item.history.append(Evolution(self.clock(), status))
        item.touch()

    def process(self, slug: str, id: str, seconds: float) -> None:
        """Refuse triggers for this many seconds: "formdata currently processing actions"."""
        self.get(slug, id).busy_until = self.clock() + timedelta(seconds=seconds)

    def anonymise(self, slug: str, id: str) -> None:
        """Wipe a formdata's person, personal values and backoffice fields, and who acted and what
        was said in its history. Lists leave it out afterwards; what a hook writes later stays.
        Recorded: `10-anonymised`. Values of a list keep their text there, and lose their id."""
        item = self.get(slug, id)
        item.anonymised, item.user, item.workflow_data = True, None, {}
        item.fields = {
            name: None if item.form.is_wiped(name) else value for name, value in item.fields.items()
        }
        item.workflow_fields = dict.fromkeys(item.workflow_fields)
        for entry in item.history:
            entry.who, entry.who_id, entry.parts = None, None, []

    def find(self, id: str, slug: str | None) -> SimulatedFormdata:
        if slug is not None:
            return self.get(slug, id)
        found = [item for item in self.formdata.values() if item.id == id]
        if len(found) != 1:
            raise KeyError(f"{len(found)} formdata with id {id}: give the slug")
        return found[0]
