"""A w.c.s. form: its fields, its workflow, and the schema that its API shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core.request import Json
from gateway.sim.workflow import BackofficeField, Hook, Workflow, WorkflowStatus, relay

#: The keys that w.c.s. shows of every form, with the values of a fresh form.
_OPTIONS: dict[str, Json] = {
    "always_advertise": False,
    "appearance_keywords": None,
    "confirmation": True,
    "description": None,
    "detailed_emails": True,
    "disabled": False,
    "disabled_redirection": None,
    "discussion": False,
    "documentation": None,
    "drafts_lifespan": None,
    "drafts_max_per_user": None,
    "enable_tracking_codes": False,
    "expiration_date": None,
    "has_captcha": False,
    "history_pane_default_mode": "expanded",
    "id_template": None,
    "keywords": None,
    "lateral_template": None,
    "management_sidebar_items": ["__default__"],
    "old_but_non_anonymised_warning": None,
    "only_allow_one": False,
    "publication_date": None,
    "skip_from_360_view": False,
    "submission_lateral_template": None,
    "submission_sidebar_items": ["__default__"],
    "submission_user_association": "any",
    "tracking_code_verify_fields": None,
    "user_support": None,
}
_CHOICE: dict[str, Json] = {
    "display_disabled_items": False,
    "image_desktop_size": 150,
    "image_mobile_size": 75,
    "in_filters": False,
}
#: Further keys that w.c.s. shows of a field, by type.
_KINDS: dict[str, dict[str, Json]] = {
    "string": {"data_source": {}, "validation": {}},
    "email": {},
    "text": {"display_mode": "plain"},
    "numeric": {"min_value": 0, "restrict_to_integers": True},
    "bool": {},
    "map": {},
    "date": {"date_can_be_today": False, "date_in_the_past": False, "minimum_is_future": False},
    "item": _CHOICE
    | {
        "data_source": {},
        "display_mode": "list",
        "radio_orientation": "auto",
        "use_hint_as_first_option": True,
    },
    "items": _CHOICE
    | {"data_source": {}, "display_mode": "checkboxes", "max_choices": 0, "min_choices": 0},
    "file": {
        "allow_portfolio_picking": False,
        "automatic_image_resize": True,
        "document_type": {},
        "storage": "default",
    },
    "block": {
        "add_element_label": "",
        "default_items_count": "1",
        "label_display": "normal",
        "max_items": "5",
        "remove_button": False,
        "remove_element_label": "",
    },
}
#: Kinds that w.c.s. does not treat as personal by default.
_PLAIN = frozenset({"item", "bool"})


@dataclass(slots=True)
class Field:
    """A form field; tests rename or remove one to make a form drift.

    `items` are a list's own options; those of a `source` are in no schema. `rows` are a block's
    fields, `digest` the template that names a row.
    """

    varname: str
    label: str
    type: str = "string"
    required: bool = False
    items: tuple[str, ...] = ()
    source: str | None = None
    rows: tuple[Field, ...] = ()
    digest: str | None = None
    id: str = ""

    @property
    def personal(self) -> bool:
        """Is it wiped when a formdata is anonymised?"""
        return self.type not in _PLAIN

    def schema(self, *, ids: bool = False) -> dict[str, Json]:
        shown: dict[str, Json] = {
            "anonymise": "final" if self.personal else "no",
            "in_statistics": False,
            "label": self.label,
            "prefill": {},
            "required": "required" if self.required else "optional",
            "type": self.type,
            "varname": self.varname,
        } | _KINDS.get(self.type, {})
        if ids:
            shown["id"] = self.id
        if self.source is not None:
            shown["data_source"] = {"type": self.source}
        elif self.items:
            shown["items"] = list(self.items)
        if self.type == "block":
            slug = self.source or self.varname
            rows = [row.schema(ids=ids) for row in self.rows]
            shown.pop("data_source", None)
            shown["block_slug"] = slug
            shown["schema"] = {
                "digest_template": self.digest,
                "documentation": None,
                "fields": rows,
                "name": self.label,
                "slug": slug,
            } | ({"id": "1"} if ids else {})
        return shown


@dataclass(slots=True)
class Form:
    """A teleservice.

    `statuses` (the first one is the initial status), `hooks` and `backoffice` come from the
    workflow. API accesses in `closed_to` have no role: they list formdata and read none.
    """

    slug: str
    title: str
    number: int
    fields: list[Field] = field(default_factory=list)
    statuses: list[WorkflowStatus] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)
    backoffice: list[BackofficeField] = field(default_factory=list)
    functions: Mapping[str, str] = field(default_factory=dict)
    closed_to: frozenset[str] = frozenset()

    def follow(self, workflow: Workflow) -> None:
        """Replace the workflow by this one."""
        self.statuses = list(workflow.statuses)
        self.hooks = list(workflow.hooks)
        self.backoffice = list(workflow.fields)
        self.functions = workflow.functions

    def add_hook(self, identifier: str) -> None:
        """Add a global action: the relay's action of this name, or a copy of the first one."""
        known = {hook.identifier: hook for hook in relay().hooks}
        self.hooks.append(known.get(identifier) or relay(identifier).hooks[0])

    def status(self, status_id: str) -> WorkflowStatus:
        """Return the status with this id. Raises KeyError when the workflow has none."""
        for status in self.statuses:
            if status.id == status_id:
                return status
        raise KeyError(status_id)

    def hook(self, identifier: str) -> Hook:
        """Return the global action with this name. Raises KeyError when the workflow has none."""
        for hook in self.hooks:
            if hook.identifier == identifier:
                return hook
        raise KeyError(identifier)

    def find_field(self, varname: str) -> Field:
        """Return the field with this name. Raises KeyError when there is none."""
        for one in self.fields:
            if one.varname == varname:
                return one
        raise KeyError(varname)

    def rename_field(self, old: str, new: str) -> None:
        self.find_field(old).varname = new

    def remove_field(self, varname: str) -> None:
        self.fields.remove(self.find_field(varname))

    def learn_fields(self, values: Mapping[str, Json]) -> None:
        """Add the fields in `values` that the form lacks."""
        known = {one.varname for one in self.fields}
        for name, value in values.items():
            if name in known or name.endswith(("_raw", "_structured", "_digests")):
                continue
            kind = _kind(value, values.get(f"{name}_raw"))
            label = name.replace("_", " ").capitalize()
            self.fields.append(Field(name, label, kind, id=str(len(self.fields) + 1)))

    def is_personal(self, name: str) -> bool:
        """Is the value of this key in `fields` wiped when a formdata is anonymised?"""
        for suffix in ("_raw", "_structured", "_digests"):
            name = name.removesuffix(suffix)
        return all(one.personal for one in self.fields if one.varname == name)

    def is_wiped(self, name: str) -> bool:
        """Does the value of this key in `fields` go for good when a formdata is anonymised? Of a
        list that has a source, the id goes, whatever the field says."""
        listed = [one.varname for one in self.fields if one.type == "item" and one.source]
        return self.is_personal(name) or name in {f"{one}_raw" for one in listed}

    def schema(self, *, ids: bool = False) -> dict[str, Json]:
        """Return the answer of `/api/formdefs/<slug>/schema`; with `ids`, also the fields' ids."""
        own: dict[str, Json] = {"id": str(self.number)} if ids else {}
        return (
            _OPTIONS
            | own
            | {
                "name": self.title,
                "url_name": self.slug,
                "geolocations": {"base": "Lieu"},
                "fields": [one.schema(ids=ids) for one in self.fields],
                "workflow": own
                | {
                    "name": self.title,
                    "functions": dict(self.functions),
                    "statuses": [
                        {
                            "id": status.id,
                            "name": status.name,
                            "endpoint": status.endpoint,
                            "waitpoint": status.waits,
                            "forced_endpoint": status.endpoint,
                        }
                        for status in self.statuses
                    ],
                    "fields": [
                        Field(one.varname, one.label, one.type, id=one.id).schema(ids=ids)
                        for one in self.backoffice
                    ],
                    "actions": {
                        f"global-action:{hook.identifier}": {
                            "label": f"{hook.name} ({hook.identifier})"
                        }
                        for hook in self.hooks
                    },
                },
            }
        )

    def listed(self, base: str) -> dict[str, Json]:
        """Return the form's row in the list of forms."""
        return {
            "title": self.title,
            "slug": self.slug,
            "url": f"{base}/{self.slug}/",
            "description": "",
            "keywords": [],
            "authentication_required": False,
            "always_advertise": False,
            "redirection": False,
            "functions": {
                name: {"label": label, "role": role(label)}
                for name, label in self.functions.items()
            },
        }


def role(name: str) -> dict[str, Json]:
    """Return a role as w.c.s. shows it."""
    return {
        "name": name,
        "text": name,
        "allows_backoffice_access": True,
        "emails": [],
        "details": "",
        "emails_to_members": False,
        "slug": name.lower().replace(" ", "-"),
        "id": str(1 + sum(map(ord, name)) % 97),
    }


def roles_of(functions: Mapping[str, str]) -> dict[str, Sequence[Json]]:
    """Return the `roles` of a formdata's JSON."""
    held: dict[str, Any] = {name: [role(label)] for name, label in functions.items()}
    return held | {"concerned": [role(label) for label in functions.values()], "actions": []}


def _kind(value: Json, raw: Json) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Mapping):
        return "file" if "filename" in value else "map"
    if isinstance(raw, list):
        return "block" if raw and isinstance(raw[0], Mapping) else "items"
    if raw is not None:
        return "item"
    return "items" if isinstance(value, list) else "string"
