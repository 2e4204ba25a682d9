"""Reads a workflow that w.c.s. exported (`.wcs`) for the simulator.

The simulator knows the actions that hand a request over and take answers: webservice call,
backoffice fields, history message, jump, button, comment box, edition. Any other action is a
ValueError: no part of a workflow is left out silently.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree

from gateway.core.status import PORTAL_WORDS
from gateway.core.workflow import DOCUMENT_HOOK, HOOK
from gateway.sim.template import WcsExpression, WcsTemplate
from gateway.wire.relay import Relay, SendingCommune
from gateway.wire.wcs_workflow import workflow_of

#: Seconds before which no timed jump is looked at.
FLOOR = 1200.0
#: Actions of a status that do not change the formdata.
_SHOWN = frozenset({"displaymsg", "sendmail", "notification", "dispatch", "export_to_model"})
#: A `Callout` says where calls go.
_BASE = "http://passerelle.invalid"


@dataclass(frozen=True, slots=True)
class Action:
    """A part of a status or of a global action. It is skipped unless `when` holds."""

    id: str = ""
    when: WcsExpression | None = None


@dataclass(frozen=True, slots=True)
class SetFields(Action):
    """Write backoffice fields. Maps a variable's name to its value; None empties it."""

    values: Mapping[str, WcsTemplate | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WebserviceCall(Action):
    """A webservice call. `whole`: it posts the formdata, with `payload` as `extra`; otherwise
    `payload` alone.

    `branches` maps a failure (a value of `AnswerClass`) to its target: a status, ":stop" or
    ":pass".
    """

    url: WcsTemplate = field(default_factory=lambda: WcsTemplate(""))
    whole: bool = True
    payload: Mapping[str, WcsTemplate] = field(default_factory=dict)
    name: str = ""
    key: WcsTemplate | None = None
    branches: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Jump(Action):
    """Go to the status `target`: at once, by `trigger`, or after `after` seconds."""

    target: str = ""
    trigger: str | None = None
    after: float | None = None


@dataclass(frozen=True, slots=True)
class HistoryComment(Action):
    """A message in the history, with attachments."""

    text: WcsTemplate | None = None
    attachments: tuple[WcsTemplate, ...] = ()


@dataclass(frozen=True, slots=True)
class Button(Action):
    """A button by which a person leaves the status."""

    label: str = ""
    target: str = ""
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommentBox(Action):
    """A comment box. Its text is stored in the workflow's data as `comment_<name>`."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Edition(Action):
    """A person may change the fields. The formdata then goes to `target`, if there is one."""

    label: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """A status. While it is `hidden` the citizen still sees the former one.

    `jumps` are added to `actions`; they map a trigger's name to the id of the target status.
    """

    id: str
    name: str
    endpoint: bool = False
    hidden: bool = False
    actions: tuple[Action, ...] = ()
    jumps: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_actions(self) -> tuple[Action, ...]:
        jumps = (Jump(target=to, trigger=name) for name, to in self.jumps.items())
        return (*self.actions, *jumps)

    def trigger(self, name: str) -> Jump | None:
        """Return the jump of this trigger."""
        jumps = (a for a in self.all_actions if isinstance(a, Jump))
        return next((jump for jump in jumps if jump.trigger == name), None)

    @property
    def waits(self) -> bool:
        """Does a formdata rest in this status?"""
        kinds = Button | CommentBox | Edition
        return self.endpoint or any(
            isinstance(a, kinds)
            or (isinstance(a, Jump) and (a.trigger is not None or a.after is not None))
            for a in self.all_actions
        )


@dataclass(frozen=True, slots=True)
class Hook:
    """A global action that an outside call triggers. `open`: anybody may trigger it."""

    identifier: str
    name: str
    actions: tuple[Action, ...] = ()
    open: bool = False


@dataclass(frozen=True, slots=True)
class BackofficeField:
    varname: str
    label: str
    type: str = "string"
    id: str = ""


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow. The first of `statuses` is the initial one."""

    name: str
    statuses: tuple[WorkflowStatus, ...]
    hooks: tuple[Hook, ...] = ()
    fields: tuple[BackofficeField, ...] = ()
    functions: Mapping[str, str] = field(default_factory=dict)


def read_workflow(text: str) -> Workflow:
    """Read an exported workflow. Raises ValueError for a part that the simulator does not know."""
    # A designer's own export, nothing from outside.
    root = ElementTree.fromstring(text)  # noqa: S314
    names = {}
    fields = []
    for one in root.findall("backoffice-fields/formdef/fields/field"):
        made = BackofficeField(
            _of(one, "varname"), _of(one, "label"), _of(one, "type"), _of(one, "id")
        )
        names[made.id] = made.varname
        fields.append(made)
    statuses = [_status(one, names) for one in root.findall("possible_status/status")]
    hooks = [hook for one in root.findall("global_actions/action") for hook in _hooks(one, names)]
    functions = {one.get("id", ""): one.text or "" for one in root.findall("roles/role")}
    return Workflow(_of(root, "name"), tuple(statuses), tuple(hooks), tuple(fields), functions)


@functools.cache
def relay(hook: str = HOOK) -> Workflow:
    """Return the shipped workflow, which hands a request to its commune and takes its answers."""
    senders = (SendingCommune(("69029",), None),)
    made = Relay("essai", _BASE, senders, "commune_raw", hook, DOCUMENT_HOOK, PORTAL_WORDS)
    return read_workflow(workflow_of(made))


def plain_workflow(statuses: tuple[WorkflowStatus, ...], hook: str) -> Workflow:
    """Return a workflow of other statuses. Its hook stores its payload, and jumps to the status of
    that id."""
    given = f"form_trigger_{hook}_content"
    fresh = f'{given}_evenement not in form_var_bo_retours_traites|default:""'
    told = WcsTemplate(
        f'{{{{ form_var_bo_retours_traites|default:"" }}}} {{{{ {given}_evenement }}}}'
    )
    actions: list[Action] = [
        HistoryComment(
            when=WcsExpression(f"{fresh} and {given}_message"),
            text=WcsTemplate(f"{{{{ {given}_message|force_escape|linebreaksbr }}}}"),
        ),
        HistoryComment(
            when=WcsExpression(f"{fresh} and {given}_document"),
            attachments=(WcsTemplate(f"{{{{ {given}_document }}}}"),),
        ),
        SetFields(
            when=WcsExpression(f"{given}_evenement and {fresh}"),
            values={"bo_retours_traites": told},
        ),
        *(
            Jump(
                when=WcsExpression(f'{given}_statut == "{s.id}" and form_status != "{s.name}"'),
                target=s.id,
            )
            for s in statuses
        ),
    ]
    fields = (BackofficeField("bo_retours_traites", "Retours déjà traités", "text"),)
    return Workflow("Essai", statuses, (Hook(hook, hook, tuple(actions)),), fields)


def _of(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _status(element: ElementTree.Element, names: Mapping[str, str]) -> WorkflowStatus:
    actions = tuple(_actions(element, names))
    leads = any(isinstance(a, Jump | Button | Edition | WebserviceCall) for a in actions)
    return WorkflowStatus(
        _of(element, "id"),
        _of(element, "name"),
        endpoint=_of(element, "forced_endpoint") == "true" or not leads,
        hidden=element.find("visibility/role") is not None,
        actions=actions,
    )


def _hooks(element: ElementTree.Element, names: Mapping[str, str]) -> list[Hook]:
    found = []
    for trigger in element.findall("triggers/trigger"):
        if trigger.get("type") == "webservice":
            roles = trigger.findall("roles/item")
            actions = tuple(_actions(element, names))
            hook = Hook(_of(trigger, "identifier"), _of(element, "name"), actions, not roles)
            found.append(hook)
    return found


def _actions(element: ElementTree.Element, names: Mapping[str, str]) -> list[Action]:
    found = (_action(item, names) for item in element.findall("items/item"))
    return [action for action in found if action is not None]


def _action(item: ElementTree.Element, names: Mapping[str, str]) -> Action | None:
    kind, id = item.get("type", ""), item.get("id", "")
    condition = _of(item, "condition/value")
    when = WcsExpression(condition) if condition else None
    target = _of(item, "status")
    match kind:
        case "set-backoffice-fields":
            values = {
                names[_of(one, "field_id")]: _template(one, "value")
                for one in item.findall("fields/field")
            }
            return SetFields(id, when, values)
        case "webservice_call":
            return _call(item, id, when)
        case "jump":
            mode = _of(item, "mode") or "immediate"
            after = float(_of(item, "timeout") or 0) if mode == "timeout" else None
            return Jump(id, when, target, _of(item, "trigger") or None, after)
        case "register-comment":
            attached = item.findall("attachments/attachment")
            texts = tuple(WcsTemplate(one.text or "") for one in attached)
            return HistoryComment(id, when, _template(item, "comment"), texts)
        case "choice":
            by = tuple(one.text or "" for one in item.findall("by/item"))
            return Button(id, when, _of(item, "label"), target, by)
        case "commentable":
            return CommentBox(id, when, _of(item, "varname"))
        case "editable":
            return Edition(id, when, _of(item, "label"), target)
        case _ if kind in _SHOWN:
            return None
    raise ValueError(f"the simulator plays no action of kind {kind!r}")


def _call(item: ElementTree.Element, id: str, when: WcsExpression | None) -> WebserviceCall:
    payload = {
        _of(one, "name"): WcsTemplate(one.findtext("value") or "")
        for one in item.findall("post_data/item")
    }
    branches = {
        "application_error": _of(item, "action_on_app_error") or ":pass",
        "http_4xx": _of(item, "action_on_4xx") or ":stop",
        "http_5xx": _of(item, "action_on_5xx") or ":stop",
        "bad_data": _of(item, "action_on_bad_data") or ":pass",
        "network_error": _of(item, "action_on_network_errors") or ":stop",
    }
    return WebserviceCall(
        id,
        when,
        url=WcsTemplate(_of(item, "url")),
        whole=_of(item, "post").lower() == "true",
        payload=payload,
        name=_of(item, "varname"),
        key=_template(item, "request_signature_key"),
        branches=branches,
    )


def _template(element: ElementTree.Element, path: str) -> WcsTemplate | None:
    text = element.findtext(path)
    return WcsTemplate(text) if text else None
