"""`check`: does the server fit its options? Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from adapters.open311.client import GeoReport, as_setting
from adapters.open311.georeport import Row, items, stamp, text
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from adapters.open311.searching import ATTRIBUTES
from gateway.sdk import Misconfigured, Note, Outcome

REMEDIES = {
    "access_denied": "see api_key and key_on_reads",
    "not_found": "see endpoint and jurisdiction_id",
    "bad_address": "see endpoint",
    "redirected": "put the address it redirects to into endpoint",
    "unreadable_answer": "see format",
}


def fault(what: str, outcome: Outcome) -> Note:
    outcome = as_setting(outcome)
    reason, detail = getattr(outcome, "reason", ""), getattr(outcome, "detail", "")
    by_default = "see endpoint" if isinstance(outcome, Misconfigured) else "ask the server's owner"
    return Note("fault", f"{what}: {reason} ({detail})", REMEDIES.get(reason, by_default))


async def check(
    options: Open311Options, server: GeoReport, now: datetime, *, production: bool
) -> Sequence[Note]:
    notes = [Note("ok", "api_key is set; only a creation proves it")]
    if production and options.endpoint.startswith("http:"):
        notes.append(Note("warning", "endpoint is not encrypted", "use https"))
    services = await server.get("services")
    if not isinstance(services, list):
        return [*notes, fault("services", services)]
    notes.append(Note("ok", f"{len(services)} services"))
    for code in options.service_codes:
        notes += await _service(options, server, services, code)
    if options.find == "by_attribute":
        notes.append(await _attributes(server, now))
    if options.updates and options.updates.read:
        window = _window(now, timedelta(minutes=1))
        rows = await server.get("servicerequestupdates", pairs=window)
        notes.append(Note("ok", "updates") if isinstance(rows, list) else fault("updates", rows))
    return notes


async def _service(
    options: Open311Options, server: GeoReport, services: Sequence[Row], code: str
) -> list[Note]:
    row = next((row for row in services if text(row, "service_code") == code), None)
    if row is None:
        return [Note("fault", f"service {code} is not offered", "see service_codes")]
    notes = [Note("ok", f"service {code}")]
    if text(row, "type") == "blackbox" and code not in options.blackbox:
        remedy = "add it to blackbox"
        notes.append(Note("fault", f"service {code} gives no number", remedy))
    if text(row, "metadata") != "true":
        return notes
    definition = await server.definition(code)
    if not isinstance(definition, Mapping):
        notes.append(fault(f"service {code}", definition))
    else:
        attributes = items(definition.get("attributes"))
        codes = {text(attribute, "code") for attribute in attributes}
        wanted = options.reference_attribute
        if wanted and wanted not in codes:
            remedy = "ask the server's owner to add it, or set reference_attribute: null"
            notes.append(Note("warning", f"service {code} knows no attribute {wanted}", remedy))
        required = sorted(
            name
            for attribute in attributes
            if text(attribute, "required") == "true" and (name := text(attribute, "code"))
        )
        if required:
            notes.append(Note("ok", f"service {code} requires: {', '.join(required)}"))
    return notes


async def _attributes(server: GeoReport, now: datetime) -> Note:
    pairs = [*_window(now, timedelta(days=1)), ("extensions", "true")]
    rows = await server.get("requests", pairs=pairs)
    if not isinstance(rows, list):
        return fault("requests", rows)
    if all(any(name in row for name in ATTRIBUTES) for row in rows):
        return Note("ok", "requests can be searched")
    remedy = "set find: none; a lost reply then waits for a person"
    return Note("fault", "the server lists requests without their attributes", remedy)


def _window(now: datetime, span: timedelta) -> Pairs:
    return [("start_date", stamp(now - span)), ("end_date", stamp(now))]


__all__ = ["check"]
