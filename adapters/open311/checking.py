"""`check`: does the server fit its options? All calls are reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from adapters.open311.client import GeoReport, as_setting
from adapters.open311.georeport import GeoReportRows, Row, format_time, items, text
from adapters.open311.options import Open311Options
from adapters.open311.parameters import Pairs
from adapters.open311.searching import ATTRIBUTES
from adapters.open311.texts import say
from gateway.sdk import Message, Note, Outcome, Refused


def fault(what: Message, outcome: Outcome) -> Note:
    return Note.fault(what, as_setting(outcome))


def _read(what: Message, rows: GeoReportRows | Outcome) -> Note:
    return Note("ok", what) if isinstance(rows, GeoReportRows) else fault(what, rows)


async def check_server(
    options: Open311Options, server: GeoReport, now: datetime, *, production: bool
) -> Sequence[Note]:
    notes = [Note("ok", say("key_given"))]
    if production and options.endpoint.startswith("http:"):
        notes.append(Note("warning", say("no_https")))
    services = await server.get("services")
    if not isinstance(services, GeoReportRows):
        return [*notes, fault(say("service_list"), services)]
    notes.append(Note("ok", say("services", count=len(services))))
    for code in options.service_codes:
        notes += await _service(options, server, services, code)
    if options.find != "none":
        notes.append(await _searched(options, server, now))
    if options.poll == "ids":
        # A number that no request has: any answer is good except that it cannot be asked.
        rows = await server.get("requests", pairs=[("service_request_id", "0")])
        if isinstance(rows, Refused) and rows.reason == "unknown":
            rows = GeoReportRows()
        notes.append(_read(say("statuses"), rows))
    if options.poll == "window":
        hour = format_time(now - timedelta(hours=1))
        window = [("updated_after", hour), ("updated_before", format_time(now))]
        rows = await server.get("requests", pairs=window)
        notes.append(_read(say("statuses"), rows))
    if options.updates and options.updates.read:
        window = _window(now, timedelta(minutes=1))
        rows = await server.get("servicerequestupdates", pairs=window)
        notes.append(_read(say("updates"), rows))
    return notes


async def _service(
    options: Open311Options, server: GeoReport, services: Sequence[Row], code: str
) -> list[Note]:
    row = next((row for row in services if text(row, "service_code") == code), None)
    if row is None:
        return [Note("fault", say("no_service", code=code))]
    notes = [Note("ok", say("service", code=code))]
    if text(row, "type") == "blackbox" and code not in options.blackbox:
        notes.append(Note("fault", say("no_number", code=code)))
    if text(row, "metadata") != "true":
        return notes
    definition = await server.definition(code)
    if not isinstance(definition, Mapping):
        notes.append(fault(say("service", code=code), definition))
    else:
        attributes = items(definition.get("attributes"))
        codes = {text(attribute, "code") for attribute in attributes}
        wanted = options.reference_attribute
        if wanted and wanted not in codes:
            notes.append(Note("warning", say("no_attribute", code=code, name=wanted)))
        required = sorted(
            name
            for attribute in attributes
            if text(attribute, "required") == "true" and (name := text(attribute, "code"))
        )
        if required:
            notes.append(Note("ok", say("asks_for", code=code, names=tuple(required))))
    return notes


async def _searched(options: Open311Options, server: GeoReport, now: datetime) -> Note:
    pairs = _window(now, timedelta(days=1))
    wanted: tuple[str, ...] = ("description",)
    if options.find == "by_attribute":
        pairs, wanted = [*pairs, ("extensions", "true")], ATTRIBUTES
    rows = await server.get("requests", pairs=pairs)
    if not isinstance(rows, GeoReportRows):
        return fault(say("search"), rows)
    if all(any(name in row for name in wanted) for row in rows):
        return Note("ok", say("searchable"))
    return Note("fault", say("lists_without", name=wanted[0]))


def _window(now: datetime, span: timedelta) -> Pairs:
    return [("start_date", format_time(now - span)), ("end_date", format_time(now))]


__all__ = ["check_server"]
