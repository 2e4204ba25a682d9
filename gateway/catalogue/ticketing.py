"""The tool of the tickets: its part of `gateway.yaml`."""

from __future__ import annotations

from dataclasses import replace

from gateway.catalogue.adapter_entries import TicketingEntry
from gateway.catalogue.catalogue import Settings, TicketTool
from gateway.catalogue.gru_reading import GruReader
from gateway.catalogue.settings import LaneEntry
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.request import EventKind
from gateway.core.retry import RetryPolicy
from gateway.core.ticket import TicketRules

#: The key of `gateway.yaml`, and the name of the tool among the far ends.
TICKETING = "ticketing"


def with_ticketing(
    settings: Settings, entry: TicketingEntry | None, located: LocatedData, reader: GruReader
) -> Settings:
    """Return the settings with the tool, by which incidents have tickets."""
    if entry is None:
        return settings
    tool = read_ticketing(entry, located, settings.retry, reader)
    return replace(settings, ticketing=tool, incidents=replace(settings.incidents, ticketing=True))


def read_ticketing(
    entry: TicketingEntry, located: LocatedData, retry: RetryPolicy, reader: GruReader
) -> TicketTool | None:
    """Return the tool. Adds a fault where what is told to it could be lost or doubled."""
    here = (TICKETING,)
    lane = LaneEntry().policy(entry.timeout, retry)
    tool = reader.read(("", TICKETING), entry, lane, None, located, here)
    if tool is None:
        return None
    able = tool.capabilities
    if EventKind.MESSAGE not in able.amends:
        said = say("ticket_no_comment", kind=entry.adapter)
        reader.faults.append(located.fault((*here, "options"), said))
    if entry.lost_answer == "ask":
        unasked = sorted(kind.value for kind in able.amends - able.find_amend)
        unasked = [one for one in unasked if one != EventKind.DOCUMENT]
        if not able.find or unasked:
            where = ("create" if not able.find else "", *(f"amend.{one}" for one in unasked))
            said = say("ticket_unasked", where=tuple(one for one in where if one))
            reader.faults.append(located.fault((*here, "options"), said))
    return TicketTool(
        tool,
        TicketRules(
            fields=tuple(entry.fields.items()),
            closed=frozenset(entry.closed),
            closes=entry.closes,
            ask=entry.lost_answer == "ask",
        ),
    )


__all__ = ["TICKETING", "read_ticketing", "with_ticketing"]
