"""Tries what the daemon will need of a portal's form, before the first request.

Reading the list says little: any access of the portal may list a form. So one formdata is read, and
checked for the right to call the mappings' hooks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.catalogue.catalogue import Catalogue, Route, Teleservice
from gateway.contracts.drift import Drift, DriftKind, find_drift, find_unwatched, routes_of
from gateway.contracts.form_schema import CARDS, field_names, read_schema, seen_of
from gateway.contracts.in_service import differing, lacking_in
from gateway.contracts.texts import say
from gateway.core import reasons
from gateway.core.errors import file_line
from gateway.core.messages import Message, plain
from gateway.core.outcome import Accepted, Misconfigured, Outcome
from gateway.core.request import Json
from gateway.sdk.publik.formdata_state import FormdataState, hook_action
from gateway.wire.portal import Page, PortalClient

_GUIDE = "docs/fr/workflow-publik.md"
#: Usual names of the field that holds the commune.
_COMMUNE = frozenset({"commune", "code_commune", "commune_insee", "code_insee", "insee"})
#: Worth a look, though reports go on.
_MILD = frozenset({DriftKind.MISSING_MARK, DriftKind.MISSING_FIELD})


@dataclass(frozen=True, slots=True)
class PortalFinding:
    """One thing that was tried: its state, and the remedy."""

    level: Literal["ok", "warning", "fault"]
    said: Message


async def check_form(
    client: PortalClient, catalogue: Catalogue, portal: str, slug: str
) -> list[PortalFinding]:
    """Try what one form needs: its list, one formdata, the hooks, the schema. Reads only."""
    page = await client.listing(slug, None, 0, 1)
    if not isinstance(page, Page):
        return [_fault(plain(slug), page)]
    routes = routes_of(catalogue, portal, slug)
    noted = [PortalFinding("ok", say("reads_list", slug=slug))]
    schema = await read_schema(client, slug)
    if not isinstance(schema, dict):
        return [*noted, _fault(say("its_schema", slug=slug), schema)]
    drift = find_drift(catalogue, portal, slug, routes, None, schema)
    lacking = {one.what for one in drift if one.kind is DriftKind.MISSING_HOOK}
    hooks = [hook for hook in _hooks(routes) if hook not in lacking]
    noted += await _one_formdata(client, slug, page, hooks)
    noted += _held(catalogue, portal, slug, schema)
    noted += _in_service(catalogue, portal, slug, schema)
    noted.append(await _due(client, catalogue.portals[portal].teleservices[slug]))
    return noted


def check_saved(catalogue: Catalogue, portal: str, slug: str, text: str) -> list[PortalFinding]:
    """Compare a form's schema, saved as a file, with what the mappings read and call."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict) or not isinstance(schema.get("fields"), list):
        return [PortalFinding("fault", say("bad_form", slug=slug))]
    return _held(catalogue, portal, slug, schema) or [
        PortalFinding("ok", say("saved_form", slug=slug))
    ]


def _held(
    catalogue: Catalogue, portal: str, slug: str, schema: Mapping[str, Json]
) -> list[PortalFinding]:
    """Compare a form with what the mappings read and call, and with its communes."""
    routes = routes_of(catalogue, portal, slug)
    drift = find_drift(catalogue, portal, slug, routes, None, schema)
    noted = [_drifted(slug, one) for one in drift]
    for list_ in find_unwatched(routes, schema):
        cure = say("cards_right" if list_.source.startswith(CARDS) else "give_default")
        said = say("unwatched", slug=slug, field=list_.field, source=list_.source, cure=cure)
        noted.append(PortalFinding("warning", said))
    return noted + _for_whom(catalogue.portals[portal].teleservices[slug], schema)


def _for_whom(teleservice: Teleservice, schema: Mapping[str, Json]) -> list[PortalFinding]:
    """Report a form's field for the commune that nobody reads: all would go to the address's."""
    if teleservice.commune_path is not None:
        return []
    named = sorted(_COMMUNE & {*field_names(schema)})
    return [
        PortalFinding("fault", say("commune_unread", slug=teleservice.slug, name=n)) for n in named
    ]


def _in_service(
    catalogue: Catalogue, portal: str, slug: str, schema: Mapping[str, Json]
) -> list[PortalFinding]:
    differs = differing(catalogue, portal, slug, *seen_of(schema))
    if differs is None:
        return []
    if not differs:
        return [PortalFinding("ok", say("our_workflow", slug=slug))]
    said = say("other_workflow", slug=slug, differs=lacking_in(differs), guide=_GUIDE)
    return [PortalFinding("warning", said)]


async def _due(client: PortalClient, teleservice: Teleservice) -> PortalFinding:
    """Does the form show which requests are due?"""
    slug, due = teleservice.slug, teleservice.due
    if teleservice.reconcile is None:
        return PortalFinding("warning", say("not_reconciled", slug=slug))
    if not due:
        return PortalFinding("warning", say("due_unsaid", slug=slug))
    if due.field is None:
        return PortalFinding(
            "ok", say("due_statuses", slug=slug, statuses=tuple(sorted(due.statuses)))
        )
    page = await client.due(slug, due.field, limit=1)
    if isinstance(page, Page):
        return PortalFinding("ok", say("due_field", slug=slug, field=due.field))
    if isinstance(page, Misconfigured) and page.reason == "no_due_field":
        said = say("due_no_field", slug=slug, field=due.field, guide=_GUIDE)
        return PortalFinding("warning", said)
    return _fault(say("what_is_due", slug=slug), page)


async def _one_formdata(
    client: PortalClient, slug: str, page: Page, hooks: list[str]
) -> list[PortalFinding]:
    refs = [str(row["id"]) for row in page.rows if "id" in row]
    if not refs:
        return [PortalFinding("warning", say("no_request", slug=slug))]
    state = await client.state(client.api_url(slug, refs[0]))
    if not isinstance(state, FormdataState):
        return [_fault(say("one_request", slug=slug, ref=refs[0]), state)]
    noted = []
    for hook in hooks:
        if hook_action(hook) in state.actions:
            noted.append(PortalFinding("ok", say("hook_ours", slug=slug, hook=hook)))
            continue
        noted.append(
            PortalFinding("fault", say("hook_not_ours", slug=slug, hook=hook, guide=_GUIDE))
        )
    return noted


def _drifted(slug: str, one: Drift) -> PortalFinding:
    return PortalFinding("warning" if one.kind in _MILD else "fault", said_of(slug, one))


def said_of(slug: str, one: Drift) -> Message:
    """Return the sentence of a drift."""
    places = tuple(file_line(place.file, place.line) for place in one.places)
    named = {"slug": slug, "what": one.what, "guide": _GUIDE}
    return say("drifted", **named, kind=say(one.kind.value), detail=one.detail, places=places)


def _hooks(routes: list[Route]) -> Iterator[str]:
    """Yield the global actions that these routes' mappings call, each once."""
    names: dict[str, None] = {}
    for route in routes:
        told = route.mapping.portal
        hooks = [name for kind, name in told.triggers.values() if kind == "hook"]
        names |= dict.fromkeys(name for name in (told.hook, told.document_hook, *hooks) if name)
    yield from names


def _fault(what: Message, failure: Outcome) -> PortalFinding:
    if isinstance(failure, Accepted):  # of a call that should have given something
        return PortalFinding("fault", say("unreadable", what=what))
    if failure.reason == "access_denied":
        return PortalFinding("fault", say("access_denied", what=what, detail=failure.detail or "-"))
    why = reasons.of(failure.reason).said
    cure = why.cure if why.remedy() else say("look_at_base_url")
    if failure.detail:
        said = say("failed_for", what=what, why=why, detail=failure.detail, cure=cure)
        return PortalFinding("fault", said)
    return PortalFinding("fault", say("failed", what=what, why=why, cure=cure))


__all__ = ["PortalFinding", "check_form", "check_saved", "said_of"]
