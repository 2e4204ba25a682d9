"""Builders of w.c.s.'s exports (`.wcs`): the form of workflows, not their meaning.

Elements have w.c.s.'s own names and order, so a designer's later export can be compared with what
was imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

#: Seconds. A timed jump is never sooner: w.c.s. looks every 20 minutes.
FLOOR: Final = 1200

SUBMITTER: Final = "_submitter"
STOP: Final = ":stop"


@dataclass(slots=True)
class Actions:
    """The actions of a status or global action, numbered from 1."""

    items: list[ET.Element] = field(default_factory=list)

    def _add(self, kind: str, when: str | None = None) -> ET.Element:
        item = ET.Element("item", type=kind, id=str(len(self.items) + 1))
        self.items.append(item)
        if when:
            condition = ET.SubElement(item, "condition")
            _texts(condition, type="django", value=when)
        return item

    def set_fields(self, label: str, values: Mapping[str, str], *, when: str | None = None) -> None:
        """Set backoffice fields by id, one after the other: w.c.s. stores after each."""
        item = self._add("set-backoffice-fields", when)
        _texts(item, label=label)
        fields = ET.SubElement(item, "fields")
        for field_id, value in values.items():
            _texts(ET.SubElement(fields, "field"), field_id=field_id, value=value)

    def call(
        self,
        label: str,
        url: str,
        payload: Mapping[str, str],
        *,
        varname: str,
        key: str | None,
        whole: bool,
        refused: str,
        failed: str,
        when: str | None = None,
    ) -> None:
        """POST the whole formdata or the payload alone; say where to go when it fails.

        `refused`: a 4xx or an error in the answer; `failed`: a 5xx, no answer, no JSON. Each is a
        status or STOP. Without `key` the server signs with its own.
        """
        item = self._add("webservice_call", when)
        _texts(item, label=label, method="POST", url=url, post=str(whole))
        data = ET.SubElement(item, "post_data")
        for name, value in payload.items():
            _texts(ET.SubElement(data, "item"), name=name, value=value)
        _texts(item, response_type="json", varname=varname)
        if key is not None:
            _texts(item, request_signature_key=key)
        _texts(
            item,
            store_all_responses="False",
            attach_file_to_history="True",
            action_on_app_error=refused,
            action_on_4xx=refused,
            action_on_5xx=failed,
            action_on_bad_data=failed,
            action_on_network_errors=failed,
            record_errors="False",
            record_on_errors="True",
            notify_on_errors="False",
            set_marker_on_status="False",
        )

    def jump(self, to: str, *, when: str | None = None, in_global: bool = False) -> None:
        item = self._add("jump", when)
        _texts(item, status=to)
        if not in_global:
            _texts(item, mode="immediate")
        _texts(item, set_marker_on_status="False")

    def jump_later(self, to: str) -> None:
        """Add a jump that w.c.s. makes when the request has not moved for 20 minutes."""
        item = self._add("jump")
        _texts(item, status=to, mode="timeout", timeout=str(FLOOR), set_marker_on_status="False")

    def say(self, text: str, *, when: str) -> None:
        """Add a message to the history, for all who see its status."""
        _texts(self._add("register-comment", when), comment=text)

    def attach(self, file: str, *, when: str) -> None:
        """Add a document to the history, without words."""
        item = self._add("register-comment", when)
        _texts(ET.SubElement(item, "attachments"), attachment=file)

    def show(self, text: str, *, to: str, error: bool = False, when: str | None = None) -> None:
        """Show a message on the request's page while it is in this status."""
        item = self._add("displaymsg", when)
        _roles(item, "to", [to])
        _texts(item, message=text)
        if error:
            _texts(item, level="error")
        _texts(item, position="top")

    def box(self, label: str, varname: str) -> None:
        """Add the citizen's comment box, sent by a button of the same status."""
        item = self._add("commentable")
        _texts(item, label=label)
        ET.SubElement(item, "button_label")
        _roles(item, "by", [SUBMITTER])
        _texts(item, varname=varname, required="True")

    def button(
        self,
        label: str,
        to: str,
        *,
        by: str,
        when: str | None = None,
        confirm: bool = False,
        without_box: bool = False,
    ) -> None:
        """Add a button. `without_box`: it may be pressed with an empty comment box."""
        item = self._add("choice", when)
        _texts(item, label=label)
        _roles(item, "by", [by])
        _texts(
            item,
            status=to,
            require_confirmation=str(confirm),
            ignore_form_errors=str(without_box),
            set_marker_on_status="False",
        )

    def edit(self, label: str, to: str) -> str:
        """Let the citizen edit the whole form; return the action's id."""
        item = self._add("editable")
        _roles(item, "by", [SUBMITTER])
        _texts(item, status=to, label=label, operation_mode="full", set_marker_on_status="False")
        return item.attrib["id"]


@dataclass(frozen=True, slots=True)
class StatusElement:
    """`hidden`: the citizen does not see what is written into the history there."""

    id: str
    name: str
    actions: Actions
    final: bool = False
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class GlobalAction:
    """An action that an external call to `hooks/<identifier>/` runs, for holders of the function
    `role`."""

    id: str
    name: str
    identifier: str
    role: str
    actions: Actions


@dataclass(frozen=True, slots=True)
class FieldElement:
    id: str
    varname: str
    label: str
    long: bool = False


def workflow(
    name: str,
    slug: str,
    *,
    roles: Mapping[str, str],
    statuses: Sequence[StatusElement],
    global_actions: Sequence[GlobalAction],
    fields: Sequence[FieldElement],
) -> str:
    """Write a workflow as w.c.s. imports it. `roles`: functions by id."""
    root = ET.Element("workflow")
    _texts(root, name=name, slug=slug)
    functions = ET.SubElement(root, "roles")
    for role, label in roles.items():
        ET.SubElement(functions, "role", id=role).text = label
    possible = ET.SubElement(root, "possible_status")
    for status in statuses:
        possible.append(_status(status))
    actions = ET.SubElement(root, "global_actions")
    for action in global_actions:
        actions.append(_global_action(action))
    formdef = ET.SubElement(ET.SubElement(root, "backoffice-fields"), "formdef")
    _texts(formdef, name="-")
    all_fields = ET.SubElement(formdef, "fields")
    for one in fields:
        all_fields.append(_field(one))
    return xml_text(root)


def xml_text(root: ET.Element) -> str:
    """Return the document as text, indented as w.c.s. does."""
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _status(status: StatusElement) -> ET.Element:
    element = ET.Element("status")
    _texts(element, id=status.id, name=status.name, colour="#FFFFFF")
    if status.final:
        _texts(element, forced_endpoint="true")
    visibility = ET.SubElement(element, "visibility")
    if status.hidden:
        _texts(visibility, role="__restricted__")
    ET.SubElement(element, "items").extend(status.actions.items)
    return element


def _global_action(action: GlobalAction) -> ET.Element:
    element = ET.Element("action")
    _texts(element, id=action.id, name=action.name)
    ET.SubElement(element, "items").extend(action.actions.items)
    triggers = ET.SubElement(element, "triggers")
    trigger = ET.SubElement(triggers, "trigger", type="webservice", id=f"appel-{action.id}")
    _texts(trigger, identifier=action.identifier)
    _roles(trigger, "roles", [action.role])
    return element


def _field(one: FieldElement) -> ET.Element:
    element = ET.Element("field")
    _texts(element, type="text" if one.long else "string")
    for name, value in (("label", one.label), ("required", "optional"), ("varname", one.varname)):
        ET.SubElement(element, name, type="str").text = value
    where = ET.SubElement(element, "display_locations")
    for place in ("validation", "summary"):
        ET.SubElement(where, "item").text = place
    ET.SubElement(element, "anonymise", type="str").text = "final"
    if one.long:
        ET.SubElement(element, "display_mode", type="str").text = "plain"
    ET.SubElement(element, "id", type="str").text = one.id
    return element


def _roles(parent: ET.Element, name: str, roles: Iterable[str]) -> None:
    element = ET.SubElement(parent, name)
    for role in roles:
        ET.SubElement(element, "item", role_id=role).text = role


def _texts(parent: ET.Element, **values: str) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = value or None
