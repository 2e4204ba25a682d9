"""The simulated w.c.s. put into the states in which the real one was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.sim.form import Field, Form
from gateway.sim.formdata import PARIS, Evolution, SimulatedFormdata
from gateway.sim.portal import SimulatedPortal
from gateway.sim.workflow import Workflow, read_workflow
from tests.recorded.recordings import (
    ENGLISH,
    KEYS,
    PORTAL,
    WORKFLOW,
    Exchange,
    document,
    exchange,
    moment,
)

SLUG = "signalement-anomalie"
SENDING = "evtenvoi"
#: Exchanges of `05-hooks` and `03-formdata` while actions ran.
BUSY = {("05-hooks", n) for n in (26, 27, 28, 29, 32, 33, 34)} | {
    ("03-formdata", n) for n in (21, 22)
}


def workflow() -> Workflow:
    return read_workflow(WORKFLOW.read_text("utf-8"))


def recorded_portal(one: Exchange | None = None) -> SimulatedPortal:
    """The portal as it stood when `one` was recorded."""
    portal = SimulatedPortal(
        base_url=PORTAL,
        keys=dict(KEYS),
        roleless=frozenset({"passerelle-sans-role"}),
        read_only=frozenset({"passerelle-autre-role"}),
        site_wide=frozenset({"passerelle.exemple.invalid"}),
        language="en" if one is not None and ENGLISH in one.path else "fr",
    )
    form = portal.define(SLUG, workflow=workflow())
    form.fields = [field_of(shown) for shown in exchange("04-schema", 1).answered["fields"]]
    form.title = "Signaler une anomalie sur l'espace public"
    if one is not None:
        portal.clock = lambda: clock_of(one)
        _put(portal, form, one)
    return portal


def clock_of(one: Exchange) -> datetime:
    """The recorded server's time when it judged the request."""
    now = one.now or moment("2026-11-26T23:36:00Z")
    if one.what == "timestamp 60 s old":
        return now + timedelta(seconds=60.95)
    if one.what == "timestamp 60 s ahead":
        return now - timedelta(seconds=59.02)
    return now


def field_of(shown: Mapping[str, Any]) -> Field:
    """A field from what the schema shows of it."""
    rows = shown.get("schema", {}).get("fields", [])
    return Field(
        shown["varname"],
        shown["label"],
        shown["type"],
        shown["required"] == "required",
        tuple(shown.get("items", ())),
        shown.get("block_slug") or (shown.get("data_source") or {}).get("type"),
        tuple(field_of(row) for row in rows),
        shown.get("schema", {}).get("digest_template"),
        shown.get("id", ""),
    )


def load(form: Form, told: Mapping[str, Any], ref: str | None = None) -> SimulatedFormdata:
    """A formdata from what was recorded of it."""
    workflow = told.get("workflow", {})
    entries = [
        Evolution(
            moment(one["time"]),
            one.get("status"),
            one.get("who"),
            one["who_id"],
            one.get("parts", []),
        )
        for one in told.get("evolution", [])
    ]
    status = workflow.get("real_status", {}).get("id", "chez")
    seen = workflow.get("status", {}).get("id", status)
    # Times are shown in seconds, and were not the same: later ones have higher numbers here.
    within = timedelta(microseconds=int(told["id"]))
    received = _local(told["receipt_time"]) + within
    updated = _local(told["last_update_time"]) + within
    return SimulatedFormdata(
        form=form,
        id=ref or told["id"],
        internal_id=ref or told["internal_id"],
        uuid=told["uuid"],
        fields=dict(told.get("fields", {})),
        received=received,
        status=status,
        user=told.get("user"),
        display_id=told["display_id"],
        workflow_fields=dict(workflow.get("fields", {})),
        workflow_data=dict(workflow.get("data", {})),
        history=entries or [Evolution(updated, seen), Evolution(updated, status)],
        roles=told.get("roles", {}),
    )


def _local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)


def _put(portal: SimulatedPortal, form: Form, one: Exchange) -> None:
    if one.topic == "02-list":
        _put_list(portal, form)
    elif one.topic == "10-anonymised":
        _put_anonymised(portal, form, one.number)
    elif one.topic == "06-users-and-submit":
        _put_list(portal, form)
        for _ in range(3):  # made in between
            portal.submit(SLUG, {})
    else:
        _put_single(portal, form, one)
    if (one.topic, one.number) in BUSY:
        ref = one.path.split("/")[4]
        item = portal.get(one.slug, ref)
        item.processing = portal.clock()
        if one.topic == "05-hooks":
            item.status = SENDING


def _put_list(portal: SimulatedPortal, form: Form) -> None:
    """The twenty formdata of the recorded lists, of which most were only seen as rows."""
    whole = exchange("03-formdata", 4).answered
    for row in exchange("02-list", 10).answered:
        item = load(form, whole if row["id"] == "18" else row)
        item.fields.setdefault("commune_raw", "69029")
        if row["id"] in ("16", "19"):
            item.status = "terminee"
            item.history[-1].status = "terminee"
        if row["id"] in ("19", "20"):
            item.user = whole["user"]
        if row["id"] not in ("5", "18"):
            item.workflow_fields["bo_a_transmettre"] = row["receipt_time"]
        portal.formdata[SLUG, item.id] = item


def _put_anonymised(portal: SimulatedPortal, form: Form, number: int) -> None:
    """Six formdata of one form, before or after (from 11 on) what was done to five of them."""
    topic, slug = "10-anonymised", "effacement-essai"
    own = portal.define(slug, workflow=workflow())
    own.fields, own.title = form.fields, "Essai effacement-essai"
    done = number >= 11
    rows = {row["id"]: row for row in exchange(topic, 5).answered}
    rows |= {one["id"]: one for one in (exchange(topic, n).answered for n in (1, 2, 3))}
    if done:
        rows["3"] = exchange(topic, 18).answered
        rows.pop("4")
    for ref, row in rows.items():
        portal.formdata[slug, ref] = load(own, row)
    if not done:
        return
    for ref in ("1", "2", "6"):
        portal.anonymise(slug, ref)
    if number in (27, 28):
        told, item = exchange(topic, 27).answered, portal.get(slug, "1")
        item.workflow_fields = told["workflow"]["fields"]
        item.workflow_data = told["workflow"]["data"]
        item.history[-1].parts = told["evolution"][-1]["parts"]


def _put_single(portal: SimulatedPortal, form: Form, one: Exchange) -> None:
    stage = one.number if one.topic == "03-formdata" and one.number < 4 else 4
    eighteen = load(form, exchange("03-formdata", stage).answered)
    before = exchange("03-formdata", 16).answered
    edited = moment("2026-11-26T23:35:25.640000+00:00")
    past = (edited, exchange("03-formdata", 0).answered["fields"], before["workflow"]["fields"])
    eighteen.past.append(past)
    portal.formdata[SLUG, "18"] = eighteen
    portal.formdata[SLUG, "21"] = load(form, exchange("03-formdata", 1).answered, "21")
    number = 22 if ("03-formdata", one.number) in BUSY else 20
    portal.formdata[SLUG, "22"] = load(form, exchange("03-formdata", number).answered, "22")
    if ENGLISH in one.path:
        # This site's workflow had a jump besides, in the status where its request then stood.
        english = portal.define(ENGLISH, workflow=workflow())
        for n, status in enumerate(english.statuses):
            if status.id == "encours":
                english.statuses[n] = _with_jump(status)
        item = load(english, exchange("03-formdata", 2).answered, "2")
        item.status = "terminee" if one.what.startswith("the same jump again") else "encours"
        portal.formdata[ENGLISH, "2"] = item


def _with_jump(status: Any) -> Any:
    return replace(status, jumps={"cloture": "terminee"})


def judged() -> list[dict[str, Any]]:
    """Return w.c.s.'s judgements of ten kinds of answers."""
    found: list[dict[str, Any]] = document("08-answers-judged")["outcomes"]
    return found
