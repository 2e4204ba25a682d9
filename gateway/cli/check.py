"""`check`: everything that can be wrong before the first request, told at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gateway.catalogue.bundle import COMMUNES
from gateway.catalogue.catalogue import Catalogue, Portal, Route, Teleservice
from gateway.catalogue.mapping_files import lint
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, table
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_catalogue, located
from gateway.contracts.portal_check import check_form
from gateway.core.errors import ConfigurationFault, Fault, Unavailable
from gateway.flow.attachments import attempt, open_objects
from gateway.flow.far_ends import FarEnds, open_far_ends
from gateway.sdk import Adapter
from gateway.wire.identity import Outage

#: Of one far end's whole check, in seconds.
PATIENCE = 60.0


_GLC_REMEDY = "see that GLC is up, and that base_url is right"
_GLC_REMEDIES = {
    "access_denied": "check auth, and that GLC lets us search all users",
    "oauth2_refused": "check token_url, client_id, client_secret and scope",
    "malformed": "check source, and the paths of deletions",
    "refused": "check base_url, source and the path of deletions",
    "answer_too_large": "have GLC give the list in pages: params, next, next_param",
}
_CANARY_REMEDY = (
    "check its uuid, that the account exists, and that we may search the unit it belongs to"
)


@dataclass(frozen=True, slots=True)
class Line:
    """What was found out about one far end."""

    far_end: str
    level: Literal["ok", "warning", "fault"]
    what: str
    remedy: str = ""


def check(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave the far ends alone: files and secrets only.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check configuration, mappings, adapters, then every GRU and portal (reads only), and the
    object store of the attachments.

    Exit code 3 for faults in the configuration, 4 when a far end cannot be used.
    """
    try:
        catalogue = load_catalogue(config, mappings)
    except ConfigurationFault as error:
        if not as_json:
            raise
        emit(_document(error.faults, (), ()))
        raise typer.Exit(Exit.CONFIGURATION) from None
    warnings = _warnings(catalogue, config, mappings)
    lines = () if offline else tuple(asyncio.run(_far_ends(catalogue)))
    if as_json:
        emit(_document((), warnings, lines))
    else:
        _print(catalogue, warnings, lines, offline=offline)
    if any(line.level == "fault" for line in lines):
        raise typer.Exit(Exit.FAR_END)


def _warnings(catalogue: Catalogue, config: Path, mappings: Path) -> tuple[Fault, ...]:
    found = [*catalogue.warnings]
    for mapping in catalogue.mappings.values():
        used = [
            route
            for commune in catalogue.communes.values()
            for route in commune.routes.values()
            if route.mapping.key == mapping.key
        ]
        referenced = bool(used) and all(r.gru.capabilities.sends_reference for r in used)
        found += lint(mapping, referenced=referenced)
    for commune in catalogue.communes.values():
        for route in commune.routes.values():
            found += _untaken(route, catalogue.portals[commune.portal].teleservices)
    return tuple(sorted({located(fault, config, mappings) for fault in found}))


def _untaken(route: Route, teleservices: Mapping[str, Teleservice]) -> list[Fault]:
    """Events of the citizen that the workflow may announce and the GRU does not take."""
    if route.teleservice not in teleservices:
        return []
    announced = set(teleservices[route.teleservice].events.values())
    left = sorted(kind.value for kind in announced - route.gru.capabilities.amends)
    if not left:
        return []
    what = (
        f"{route.commune} {route.teleservice}: the GRU `{route.gru.name}` takes no"
        f" {', '.join(left)}; each will wait for a person"
    )
    return [Fault(COMMUNES, 0, what, "have its options take them, or leave them out of `events`")]


def _document(
    faults: tuple[Fault, ...], warnings: tuple[Fault, ...], lines: tuple[Line, ...]
) -> dict[str, Any]:
    well = not faults and all(line.level != "fault" for line in lines)
    return {"ok": well, "faults": faults, "warnings": warnings, "far_ends": lines}


def _print(
    catalogue: Catalogue, warnings: tuple[Fault, ...], lines: tuple[Line, ...], *, offline: bool
) -> None:
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    routes = sum(len(commune.routes) for commune in catalogue.communes.values())
    typer.echo(
        f"configuration: ok ({len(catalogue.portals)} portals, {len(catalogue.communes)} communes,"
        f" {routes} routes, {len(catalogue.mappings)} mappings)"
    )
    if offline:
        typer.echo("far ends: not asked (--offline)")
        return
    table(
        ("far end", "result", "what", "remedy"),
        [(line.far_end, line.level, line.what, line.remedy) for line in lines],
        "no far end is configured",
    )


async def _far_ends(catalogue: Catalogue) -> list[Line]:
    async with open_far_ends(catalogue) as far_ends:
        checks = [_gru(adapter, lane) for lane, adapter in far_ends.adapters.items()]
        checks += [_portal(far_ends, portal) for portal in catalogue.portals.values()]
        checks += [_glc(far_ends), _attachments(catalogue)]
        return [line for lines in await asyncio.gather(*checks) for line in lines]


async def _gru(adapter: Adapter, lane: str) -> list[Line]:
    try:
        async with asyncio.timeout(PATIENCE):
            notes = await adapter.check()
    except TimeoutError:
        return [Line(lane, "fault", f"no answer within {PATIENCE:.0f} s", "see that it is up")]
    except Exception as error:  # an adapter's bug must not hide what the others say
        what = f"the adapter failed: {type(error).__name__}"
        return [Line(lane, "fault", what, "tell the adapter's author")]
    return [Line(lane, note.level, note.what, note.remedy) for note in notes]


async def _attachments(catalogue: Catalogue) -> list[Line]:
    objects = open_objects(catalogue.settings.attachments)
    if objects is None:
        return []
    try:
        await attempt(objects)
    except Unavailable as error:
        remedy = "see that it is up, and that url and options are right"
        return [Line("attachments", "fault", str(error), remedy)]
    return [Line("attachments", "ok", "a small object was put, read and deleted")]


async def _glc(far_ends: FarEnds) -> list[Line]:
    glc = far_ends.catalogue.settings.glc
    if far_ends.identity is None or glc is None:
        return []
    source = glc.source
    told = await far_ends.identity.check()
    if isinstance(told, Outage):
        what = f"{source}: {told.reason}" + (f" ({told.detail})" if told.detail else "")
        return [Line("glc", "fault", what, _GLC_REMEDIES.get(told.reason, _GLC_REMEDY))]
    if told.canary_gone:
        what = "the canary is told to be gone: no answer would be believed"
        return [Line("glc", "fault", what, _CANARY_REMEDY)]
    if source == "synchronization":
        return [Line("glc", "ok", "our credentials may ask, and the canary is known")]
    if not told.entries:
        what = "our credentials read the list, which is empty: its paths could not be tried"
        return [Line("glc", "warning", what, "check again once an account was deleted")]
    if told.skipped:
        what = f"{told.skipped} of {told.entries} entries of the list cannot be read"
        return [Line("glc", "warning", what, "check uuid, deleted_at and dates")]
    return [Line("glc", "ok", f"our credentials read the list ({told.entries} entries tried)")]


async def _portal(far_ends: FarEnds, portal: Portal) -> list[Line]:
    name = f"portal:{portal.name}"
    if portal.key is None and portal.basic is None:
        return [Line(name, "warning", "not asked: we have no credentials", "give orig and key")]
    if not portal.teleservices:
        return [Line(name, "warning", "not asked: no teleservice", "declare one")]
    lines = []
    for slug in portal.teleservices:
        client = far_ends.portals[portal.name]
        noted = await check_form(client, far_ends.catalogue, portal.name, slug)
        lines += [Line(name, one.level, one.what, one.remedy) for one in noted]
    return lines
