"""The tests of the relaying workflow, in w.c.s.'s own form: a designer runs them after a change.

Each is a test of the form (« Tests » on the form's page) with a test of its workflow and the
gateway's answers: the calls, their content, and the next status. w.c.s. cannot fire a global action
in a test, so reports are not among them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

from gateway.core.request import EventKind
from gateway.core.status import Status
from gateway.core.workflow import EVENT_NUMBER
from gateway.wire.relay import (
    CANCEL,
    EVENT_NOT_SENT,
    EVENT_SENDING,
    EVENTS,
    NOT_SENT,
    RELEASE,
    SEND_MESSAGE,
    SENDING,
    SHOWN,
    Relay,
)
from gateway.wire.wcs_statuses import edit_action
from gateway.wire.wcs_xml import FLOOR, xml_text

_SPACE: Final = uuid.UUID("8a3d5c0e-58a1-5d0b-9a54-4d5e6c1b7f20")
_TAKEN: Final = {"err": 0, "data": {"id": "TDG-0000000000000000", "status": "received"}}
_DOWN: Final = {"err_desc": "La passerelle ne peut pas enregistrer maintenant."}
_NO: Final = {"err_desc": "Rien n'est réglé pour cette commune et cette démarche."}
_TEXT: Final = "Bonjour, quand passez-vous ?"


@dataclass(frozen=True, slots=True)
class WebserviceResponse:
    """The gateway's answer to a call with `payload`. `url` is a template. w.c.s. takes the first
    that fits, by name."""

    name: str
    url: str
    status: int
    body: Mapping[str, object]
    payload: Mapping[str, str]


@dataclass(slots=True)
class FormTest:
    """One test: the gateway's answers, and steps in w.c.s.'s words."""

    name: str
    answers: list[WebserviceResponse] = field(default_factory=list)
    steps: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    def answer(self, one: WebserviceResponse) -> WebserviceResponse:
        self.answers.append(one)
        return one

    def called(self, answer: WebserviceResponse) -> None:
        self.steps.append(
            ("assert-webservice-call", {"webservice_response_uuid": self.uuid(answer.name)})
        )

    def stands_in(self, status: str) -> None:
        self.steps.append(("assert-status", {"status_name": status}))

    def later(self) -> None:
        self.steps.append(("skip-time", {"seconds": str(FLOOR + 60)}))

    def press(self, button: str, who: str = "submitter") -> None:
        self.steps.append(("button-click", {"who": who, "button_name": button}))

    def write(self, text: str) -> None:
        self.steps.append(("fill-comment", {"comment": text}))

    def edit(self, action: str) -> None:
        self.steps.append(
            ("edit-form", {"who": "submitter", "edit_action_id": action, "form_data": "{}"})
        )

    def uuid(self, part: str) -> str:
        return str(uuid.uuid5(_SPACE, f"{self.name}/{part}"))


def tests_of(relay: Relay) -> dict[str, str]:
    """Return the tests of a relay's workflow: file names, and the texts that w.c.s. imports."""
    made = {
        "creation": _created(relay),
        "creation-en-panne": _created_late(relay),
        "creation-refusee": _refused(relay),
    }
    if EventKind.MESSAGE in relay.amends:
        made["message-en-panne"] = _message_late(relay)
        made["message-refuse"] = _message_refused(relay)
    if EventKind.CHANGE in relay.amends:
        made["modification"] = _changed(relay)
    if EventKind.CANCELLATION in relay.amends:
        made["annulation"] = _cancelled(relay)
    return {f"test-{name}.wcs": _text(test) for name, test in made.items()}


def _created(relay: Relay) -> FormTest:
    test = FormTest("Création : la passerelle prend la demande")
    taken = test.answer(_creation(relay, "prise", 201, _TAKEN))
    _submit(test, relay)
    test.called(taken)
    test.stands_in(_name(Status.TRANSMITTED))
    return test


def _created_late(relay: Relay) -> FormTest:
    test = FormTest("Création : la passerelle est arrêtée, puis revient")
    down = test.answer(_creation(relay, "1. arrêtée", 503, _DOWN, until="passerelle"))
    taken = test.answer(_creation(relay, "2. revenue", 201, _TAKEN))
    _submit(test, relay)
    test.called(down)
    test.stands_in(SENDING[1])
    test.later()
    test.called(taken)
    test.stands_in(_name(Status.TRANSMITTED))
    return test


def _refused(relay: Relay) -> FormTest:
    test = FormTest("Création : la passerelle refuse")
    refused = test.answer(_creation(relay, "refusée", 404, _NO))
    _submit(test, relay)
    test.called(refused)
    test.stands_in(NOT_SENT[1])
    return test


def _message_late(relay: Relay) -> FormTest:
    test = FormTest("Message : la passerelle est arrêtée, puis revient ; même clé, même texte")
    test.answer(_creation(relay, "création", 201, _TAKEN))
    down = test.answer(_event(relay, EventKind.MESSAGE, "1. arrêtée", 503, _DOWN, until=True))
    taken = test.answer(_event(relay, EventKind.MESSAGE, "2. revenue", 202, _TAKEN))
    _submit(test, relay)
    test.write(_TEXT)
    test.press(SEND_MESSAGE)
    test.called(down)
    test.stands_in(EVENT_SENDING[1])
    test.later()
    test.called(taken)
    test.stands_in(_name(Status.TRANSMITTED))
    return test


def _message_refused(relay: Relay) -> FormTest:
    test = FormTest("Message : la passerelle refuse")
    test.answer(_creation(relay, "création", 201, _TAKEN))
    refused = test.answer(_event(relay, EventKind.MESSAGE, "refusé", 409, _NO))
    _submit(test, relay)
    test.write(_TEXT)
    test.press(SEND_MESSAGE)
    test.called(refused)
    test.stands_in(EVENT_NOT_SENT[1])
    return test


def _changed(relay: Relay) -> FormTest:
    test = FormTest("Modification : la demande entière part")
    taken = test.answer(_event(relay, EventKind.CHANGE, "1. modification", 202, _TAKEN))
    test.answer(_creation(relay, "2. création", 201, _TAKEN))
    _submit(test, relay)
    test.edit(edit_action(relay))
    test.called(taken)
    test.stands_in(_name(Status.TRANSMITTED))
    return test


def _cancelled(relay: Relay) -> FormTest:
    test = FormTest("Annulation : plus rien ne bouge ensuite")
    test.answer(_creation(relay, "création", 201, _TAKEN))
    taken = test.answer(_event(relay, EventKind.CANCELLATION, "annulation", 202, _TAKEN))
    _submit(test, relay)
    test.press(CANCEL)
    test.called(taken)
    test.stands_in(_name(Status.CANCELLED))
    return test


def _submit(test: FormTest, relay: Relay) -> None:
    """Have w.c.s. fill in the form, and an agent release it where one must."""
    if relay.moderated:
        test.press(RELEASE, who="receiver")


def _creation(
    relay: Relay, name: str, status: int, body: Mapping[str, object], *, until: str = ""
) -> WebserviceResponse:
    return WebserviceResponse(name, _until(until, relay.requests), status, body, {})


def _event(
    relay: Relay,
    kind: EventKind,
    name: str,
    status: int,
    body: Mapping[str, object],
    *,
    until: bool = False,
) -> WebserviceResponse:
    word = EVENTS[kind][2]
    if kind is EventKind.CHANGE:
        # The address is a creation's; its number tells it apart.
        url = f"{{% if form_var_{EVENT_NUMBER} %}}{relay.requests}{{% endif %}}"
        return WebserviceResponse(name, url, status, body, {})
    payload = {"action": word, "evenement": f"{{{{ form_number_raw }}}}-{word}-1"}
    if kind is EventKind.MESSAGE:
        payload["message"] = _TEXT
    return WebserviceResponse(
        name, _until("passerelle_evt" if until else "", relay.events), status, body, payload
    )


def _until(varname: str, url: str) -> str:
    """Return an address that is right before the first answer, and wrong after it."""
    if not varname:
        return url
    return f"{{% if not form_workflow_data_{varname}_status %}}{url}{{% endif %}}"


def _name(standing: Status) -> str:
    return SHOWN[standing][1]


def _text(test: FormTest) -> str:
    root = ET.Element("testdef")
    _texts(root, uuid=test.uuid("test"), name=test.name, object_type="formdefs", object_id="0")
    _texts(root, data=json.dumps({"fields": {}}))
    answers = ET.SubElement(root, "_webservice_responses")
    for one in test.answers:
        answers.append(_answer(test, one))
    steps = ET.SubElement(ET.SubElement(root, "workflow_tests"), "actions")
    for number, (key, values) in enumerate(test.steps, start=1):
        step = ET.SubElement(steps, "test-action")
        _texts(step, id=str(number), uuid=test.uuid(str(number)), key=key, **values)
    return xml_text(root)


def _answer(test: FormTest, one: WebserviceResponse) -> ET.Element:
    element = ET.Element("webservice-response")
    _texts(
        element,
        uuid=test.uuid(one.name),
        name=one.name,
        payload=json.dumps(one.body, ensure_ascii=False),
        url=one.url,
        status_code=str(one.status),
        method="POST",
    )
    if one.payload:
        data = ET.SubElement(element, "post_data")
        for name, value in one.payload.items():
            _texts(ET.SubElement(data, "item"), name=name, value=value)
    return element


def _texts(parent: ET.Element, **values: str) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = value
