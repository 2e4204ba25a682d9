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
from gateway.catalogue.insee import doubt
from gateway.catalogue.mapping_files import lint
from gateway.catalogue.secrets import Needed
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, table
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_catalogue, located
from gateway.contracts.portal_check import check_form
from gateway.core import reasons
from gateway.core.blame import where
from gateway.core.errors import ConfigurationFault, Fault, Unavailable
from gateway.flow.attachments import attempt, open_objects
from gateway.flow.far_ends import FarEnds, open_far_ends
from gateway.ops.at_rest import open_to_others
from gateway.sdk import Adapter
from gateway.store.postgres import Pooled, require_sessions
from gateway.wire.identity import Outage

#: Of one far end's whole check, in seconds.
PATIENCE = 60.0


_GLC_REMEDY = "vérifier que GLC répond, et base_url"
_GLC_REMEDIES = {
    "access_denied": "vérifier auth, et que GLC nous laisse chercher parmi tous les usagers",
    "oauth2_refused": "vérifier token_url, client_id, client_secret et scope",
    "malformed": "vérifier source, et les chemins de deletions",
    "refused": "vérifier base_url, source et le chemin de deletions",
    "answer_too_large": "faire donner la liste par pages : params, next, next_param",
}
_CANARY_REMEDY = (
    "vérifier son uuid, que le compte existe, et que nous pouvons chercher dans son unité"
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
        catalogue = load_catalogue(config, mappings, secrets=Needed.ALL)
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
        odd = doubt(commune.insee, commune.name)
        if odd is not None:
            found.append(Fault(f"{COMMUNES}{commune.insee}", 0, *odd))
        for route in commune.routes.values():
            found += _untaken(route, catalogue.portals[commune.portal].teleservices)
    found += open_to_others(catalogue.settings)
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
        checks += [_glc(far_ends), _attachments(catalogue), _database(catalogue)]
        return [line for lines in await asyncio.gather(*checks) for line in lines]


async def _gru(adapter: Adapter, lane: str) -> list[Line]:
    try:
        async with asyncio.timeout(PATIENCE):
            notes = await adapter.check()
    except TimeoutError:
        return [
            Line(lane, "fault", f"pas de réponse en {PATIENCE:.0f} s", "vérifier qu'elle répond")
        ]
    except Exception as error:  # an adapter's bug must not hide what the others say
        what = f"l'adaptateur a échoué : {type(error).__name__}, {where(error)}"
        return [Line(lane, "fault", what, "prévenir l'auteur de l'adaptateur")]
    return [Line(lane, note.level, note.what, note.remedy) for note in notes]


async def _attachments(catalogue: Catalogue) -> list[Line]:
    objects = open_objects(catalogue.settings.attachments)
    if objects is None:
        return []
    try:
        await attempt(objects)
    except Unavailable as error:
        remedy = "vérifier qu'il répond, url (le seau existe), options (clés, droits) et l'horloge"
        return [Line("attachments", "fault", str(error), remedy)]
    return [Line("attachments", "ok", "un petit objet a été posé, lu et supprimé")]


async def _database(catalogue: Catalogue) -> list[Line]:
    url = catalogue.settings.database.get_secret_value()
    if not url.startswith("postgres"):
        return []
    try:
        await asyncio.to_thread(require_sessions, url)
    except Pooled as error:
        remedy = "pool_mode = session pour cette base, ou l'adresse même de PostgreSQL"
        return [Line("base de données", "fault", str(error), remedy)]
    return []


async def _glc(far_ends: FarEnds) -> list[Line]:
    glc = far_ends.catalogue.settings.glc
    if far_ends.identity is None or glc is None:
        return []
    source = glc.source
    told = await far_ends.identity.check()
    if isinstance(told, Outage):
        what = f"{source}: {told.reason}" + (f" ({told.detail})" if told.detail else "")
        remedy = _GLC_REMEDIES.get(told.reason) or reasons.of(told.reason).faire or _GLC_REMEDY
        return [Line("glc", "fault", what, remedy)]
    if told.canary_gone:
        what = "le canari est dit disparu : aucune réponse ne serait crue"
        return [Line("glc", "fault", what, _CANARY_REMEDY)]
    if source == "synchronization":
        return [Line("glc", "ok", "nos identifiants peuvent demander, et le canari est connu")]
    if not told.entries:
        what = "nos identifiants lisent la liste, qui est vide : ses chemins n'ont pu être essayés"
        return [Line("glc", "warning", what, "recommencer quand un compte aura été supprimé")]
    if told.skipped:
        what = f"{told.skipped} des {told.entries} entrées de la liste sont illisibles"
        return [Line("glc", "warning", what, "vérifier uuid, deleted_at et dates")]
    return [
        Line("glc", "ok", f"nos identifiants lisent la liste ({told.entries} entrées essayées)")
    ]


async def _portal(far_ends: FarEnds, portal: Portal) -> list[Line]:
    name = f"portal:{portal.name}"
    if portal.key is None and portal.basic is None:
        return [
            Line(
                name,
                "warning",
                "non interrogé : nous n'avons pas d'identifiants",
                "donner orig et key",
            )
        ]
    if not portal.teleservices:
        return [Line(name, "warning", "non interrogé : aucune démarche", "en déclarer une")]
    lines = []
    for slug in portal.teleservices:
        client = far_ends.portals[portal.name]
        noted = await check_form(client, far_ends.catalogue, portal.name, slug)
        lines += [Line(name, one.level, one.what, one.remedy) for one in noted]
    return lines
