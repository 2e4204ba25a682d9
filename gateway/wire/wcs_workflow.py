"""The workflow of a relay, ready for w.c.s., and its recognition in service."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.wire.relay import Relay
from gateway.wire.wcs_statuses import AGENTS, GATEWAY, RelayWriter
from gateway.wire.wcs_xml import FieldElement, workflow

#: The prefix of the field that names the workflow in service. The field holds nothing: its name is
#: shown by the portal's API, and no designer has a reason to change it.
VERSION: Final = "bo_relais_"


@dataclass(frozen=True, slots=True)
class WorkflowOutline:
    """The outline of a workflow in the portal's API: its version, fields and statuses by id."""

    version: str
    fields: frozenset[str]
    statuses: frozenset[str]


def workflow_of(relay: Relay) -> str:
    """Return the workflow of a relay, as the text of a `.wcs` file. The same relay gives the same
    text."""
    writer = RelayWriter(relay)
    version = FieldElement("version", _version(writer), "Version du relais")
    return _text(writer, [*writer.fields, version])


def outline_of(relay: Relay) -> WorkflowOutline:
    """Return the outline of a relay's workflow, as seen in service."""
    writer = RelayWriter(relay)
    version = _version(writer)
    return WorkflowOutline(
        version,
        frozenset({version, *(one.varname for one in writer.fields)}),
        frozenset(status.id for status in writer.statuses()),
    )


def _version(writer: RelayWriter) -> str:
    text = _text(writer, writer.fields)
    return VERSION + hashlib.sha256(text.encode()).hexdigest()[:8]


def _text(writer: RelayWriter, fields: Sequence[FieldElement]) -> str:
    return workflow(
        writer.relay.name,
        writer.relay.slug,
        roles={GATEWAY: "Passerelle", AGENTS: "Destinataire"},
        statuses=writer.statuses(),
        global_actions=writer.global_actions(),
        fields=fields,
    )
