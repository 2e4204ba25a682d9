"""`check`: find all faults before the first request, and report them at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from gateway.catalogue import registry
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue, Portal, Route, Teleservice
from gateway.catalogue.insee import code_doubt, unknown_communes
from gateway.catalogue.mapping_files import lint
from gateway.catalogue.release import commune_files
from gateway.catalogue.secrets import NeededSecrets
from gateway.catalogue.texts import say as files_say
from gateway.catalogue.yaml_reader import load_yaml
from gateway.cli.check_glc import check_glc
from gateway.cli.check_openid import check_openid
from gateway.cli.check_own import (
    CheckLine,
    check_antivirus,
    check_attachments,
    check_database,
    check_mail,
    check_sealing,
    check_telling,
    check_ticketing,
)
from gateway.cli.check_places import placed_lines
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit, print_message
from gateway.cli.portal import FORM
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_catalogue, located
from gateway.cli.texts import counted, say
from gateway.contracts.linting import dropped_targets
from gateway.contracts.portal_check import check_form, check_saved
from gateway.contracts.recorded import RecordedAnswers
from gateway.contracts.texts import say as contracts_say
from gateway.core.error_place import error_place
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.lane_name import parse_lane
from gateway.core.messages import Message
from gateway.flow.far_ends import FarEnds, open_far_ends
from gateway.ops.at_rest import open_to_others
from gateway.sdk import Adapter

#: Of one far end's whole check, in seconds.
PATIENCE = 60.0


#: Of so many far ends or places with the same warning, some are named.
NAMED = 3


def check(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave the far ends alone: files and secrets only.")
    ] = False,
    answers: Annotated[
        Path | None,
        typer.Option(
            "--answers",
            metavar="FILE",
            help="Ask nobody: the GRU answers as recorded in this file. What finds nothing is a"
            " fault then.",
        ),
    ] = None,
    commune: Annotated[
        str | None, typer.Option(metavar="INSEE", help="With --answers: whose GRUs.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="All that was looked at, also what is well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check configuration, mappings, adapters, then every GRU and portal (reads only), and the
    object store of the attachments, the virus scanner, the mail relay and the tool of the
    tickets.

    --offline holds the mappings against the forms saved beside them (`portal form`), and the
    settings against the files that they name, as a WSDL. Exit code 3
    for faults in the configuration, 4 when a far end cannot be used.
    """
    try:
        catalogue = load_catalogue(config, mappings, secrets=NeededSecrets.ALL)
    except ConfigurationFault as error:
        if not as_json:
            raise
        emit(_document(error.faults, (), ()))
        raise typer.Exit(Exit.CONFIGURATION) from None
    warnings = _warnings(catalogue, config, mappings)
    saved: tuple[CheckLine, ...] = ()
    if offline:
        own = asyncio.run(_own_files(catalogue))
        saved = (*own, *_saved_forms(catalogue, mappings))
    if answers is not None:
        saved = tuple(asyncio.run(_recorded(catalogue, answers, commune)))
    asked = not offline and answers is None
    lines = tuple(asyncio.run(_far_ends(catalogue))) if asked else saved
    lines = placed_lines(lines, config, mappings)
    if as_json:
        emit(_document((), warnings, lines))
    else:
        _print(catalogue, warnings, lines, offline=offline, verbose=verbose)
    if any(line.level == "fault" for line in lines):
        raise typer.Exit(Exit.CONFIGURATION if offline else Exit.FAR_END)


def _saved_forms(catalogue: Catalogue, mappings: Path) -> tuple[CheckLine, ...]:
    """Return the forms whose schema is saved beside their mappings (`portal form`), compared with
    these."""
    lines: list[CheckLine] = []
    for portal in catalogue.portals.values():
        for slug in portal.teleservices:
            file = mappings / slug / FORM
            try:
                text = file.read_text("utf-8")
            except FileNotFoundError:
                continue
            except (OSError, UnicodeDecodeError):
                text = ""
            noted = check_saved(catalogue, portal.name, slug, text)
            lines += [CheckLine(file.as_posix(), one.level, one.said) for one in noted]
    return tuple(lines)


def _warnings(catalogue: Catalogue, config: Path, mappings: Path) -> tuple[Fault, ...]:
    found = [*catalogue.warnings]
    for mapping in catalogue.mappings.values():
        used = [
            route
            for commune in catalogue.communes.values()
            for route in commune.routes.values()
            if route.mapping.key == mapping.key
        ]
        if used:
            referenced: bool | None = all(r.gru.capabilities.sends_reference for r in used)
        else:
            adapter = registry.survey().adapters.get(mapping.adapter)
            referenced = None if adapter is None else adapter.sends_reference
        found += lint(mapping, referenced=referenced)
    bundle = read_bundle(config, mappings)
    files = commune_files(bundle)
    for commune in catalogue.communes.values():
        file = files[commune.insee]
        written = load_yaml(bundle[file], file)
        if (odd := code_doubt(commune.insee, commune.name)) is not None:
            found.append(written.fault(("name",), odd))
        for route in commune.routes.values():
            said = _untaken(route, catalogue.portals[commune.portal].teleservices)
            found += [written.fault(("routes", route.teleservice), one) for one in said]
    found += open_to_others(catalogue.settings)
    return tuple(sorted({located(fault, config, mappings) for fault in found}))


def _untaken(route: Route, teleservices: Mapping[str, Teleservice]) -> list[Message]:
    """Return the citizen's events that the workflow may announce and the GRU does not take."""
    if route.teleservice not in teleservices:
        return []
    announced = set(teleservices[route.teleservice].events.values())
    left = sorted(kind.value for kind in announced - route.gru.capabilities.amends)
    if not left:
        return []
    told = {"slug": route.teleservice, "gru": route.gru.name}
    return [files_say("untaken", **told, kinds=tuple(left))]


def _document(
    faults: tuple[Fault, ...], warnings: tuple[Fault, ...], lines: tuple[CheckLine, ...]
) -> dict[str, Any]:
    well = not faults and all(line.level != "fault" for line in lines)
    spoken = language()
    far_ends = [
        {
            "far_end": line.far_end,
            "level": line.level,
            "what": line.said.what(spoken),
            "remedy": line.said.remedy(spoken),
            "place": line.place,
        }
        for line in lines
    ]
    return {"ok": well, "faults": faults, "warnings": warnings, "far_ends": far_ends}


def _print(
    catalogue: Catalogue,
    warnings: tuple[Fault, ...],
    lines: tuple[CheckLine, ...],
    *,
    offline: bool,
    verbose: bool,
) -> None:
    """Print faults, then warnings (the same one only once, with all places), then the findings."""
    spoken = language()
    told = [(one.place, one.said) for one in warnings]
    for level, word in (("fault", "fault"), ("warning", "warning")):
        found = [(line.place or line.far_end, line.said) for line in lines if line.level == level]
        for said, places in _together(found + (told if level == "warning" else [])):
            named = places if verbose or len(places) <= NAMED + 1 else places[:NAMED]
            more = len(places) - len(named)
            shown = [*named, *([say("more_with_v", count=more).what(spoken)] if more else [])]
            told_at = say("at", where=", ".join(shown), what=said.told(spoken))
            print_message(say(word, told=told_at), err=True)
    if verbose:
        for line in lines:
            if line.level == "ok":
                told_at = say("at", where=line.far_end, what=line.said.told(spoken))
                print_message(say("well", told=told_at))
    _summary(catalogue, warnings, lines, offline=offline)


def _together(found: Sequence[tuple[str, Message]]) -> list[tuple[Message, list[str]]]:
    """Return each sentence once, with all its places."""
    places: dict[Message, list[str]] = {}
    for place, said in found:
        places.setdefault(said, []).append(place)
    return list(places.items())


def _summary(
    catalogue: Catalogue,
    warnings: tuple[Fault, ...],
    lines: tuple[CheckLine, ...],
    *,
    offline: bool,
) -> None:
    counts = {
        "portals": len(catalogue.portals),
        "communes": len(catalogue.communes),
        "routes": sum(len(commune.routes) for commune in catalogue.communes.values()),
        "mappings": len(catalogue.mappings),
    }
    told = {word: counted(word, count) for word, count in counts.items()}
    print_message(say("configuration", **told))
    asked = {line.far_end for line in lines}
    far_ends = say("not_asked") if offline else counted("asked", len(asked))
    print_message(far_ends)
    well = 0
    for insee, commune in sorted(catalogue.communes.items()):
        lanes = {gru.lane_name for gru in commune.grus.values()}
        levels = [line.level for line in lines if line.far_end in lanes]
        faults = levels.count("fault")
        odd = levels.count("warning") + sum(_is_of(fault, insee) for fault in warnings)
        if not faults and not odd:
            well += 1
            continue
        told = {"faults": counted("faults", faults), "warnings": counted("warnings", odd)}
        print_message(say("of_communes", name=commune.name, insee=insee, **told))
    if well:
        print_message(say("communes_well", communes=counted("communes", well)))
    faults = sum(line.level == "fault" for line in lines)
    odd = len(warnings) + sum(line.level == "warning" for line in lines)
    if not faults and not odd:
        print_message(say("all_well"))
        return
    told = {"faults": counted("faults", faults), "warnings": counted("warnings", odd)}
    print_message(say("result", **told))


def _is_of(fault: Fault, insee: str) -> bool:
    """Is the warning about a file of this commune, whose name has its code?"""
    return "/communes/" in fault.file and insee in fault.file.rpartition("/")[2]


def check_commune(catalogue: Catalogue, insee: str, config: Path, mappings: Path) -> bool:
    """Ask the far ends of one commune, its portal and our own; print what came of it. Is it all
    well?"""
    commune = catalogue.communes[insee]
    portals = {commune.portal: catalogue.portals[commune.portal]}
    one = replace(catalogue, communes={insee: commune}, portals=portals)
    lines = placed_lines(tuple(asyncio.run(_far_ends(one))), config, mappings)
    _print(one, _warnings(one, config, mappings), lines, offline=False, verbose=False)
    return not any(line.level == "fault" for line in lines)


async def _far_ends(catalogue: Catalogue) -> list[CheckLine]:
    async with open_far_ends(catalogue) as far_ends:
        checks = [_gru(catalogue, adapter, lane) for lane, adapter in far_ends.adapters.items()]
        checks += [_portal(far_ends, portal) for portal in catalogue.portals.values()]
        checks += [check_glc(far_ends), check_openid(far_ends), check_attachments(catalogue)]
        checks += [check_antivirus(catalogue), check_mail(far_ends), check_database(catalogue)]
        checks += [check_sealing(catalogue), check_ticketing(far_ends)]
        checks += [check_telling(far_ends)]
        return [line for lines in await asyncio.gather(*checks) for line in lines]


async def _recorded(catalogue: Catalogue, file: Path, insee: str | None) -> list[CheckLine]:
    """Check the GRUs of a commune by recorded answers. Every doubt is then a fault."""
    if insee is not None and insee not in catalogue.communes:
        raise unknown_communes(
            [insee], {code: one.name for code, one in catalogue.communes.items()}
        )
    answers = RecordedAnswers.read(file)
    lines: list[CheckLine] = []
    async with open_far_ends(catalogue, transport=lambda lane: answers) as far_ends:
        for lane, adapter in far_ends.adapters.items():
            if insee is None or parse_lane(lane).commune == insee:
                found = await _gru(catalogue, adapter, lane)
                lines += [
                    replace(one, level="fault") if one.level != "ok" else one for one in found
                ]
    if answers.missing:
        calls = tuple(sorted(set(answers.missing)))
        lines.append(CheckLine(str(file), "fault", contracts_say("not_recorded", calls=calls)))
    return lines


async def _own_files(catalogue: Catalogue) -> list[CheckLine]:
    """Check the GRUs' settings against the files that they name. Nobody is asked."""
    lines: list[CheckLine] = []
    async with open_far_ends(catalogue, transport=lambda lane: _Nobody()) as far_ends:
        for lane, adapter in far_ends.adapters.items():
            lines += await _gru(catalogue, adapter, lane, files=True)
    return lines


class _Nobody(httpx.AsyncBaseTransport):
    """Reaches nobody, whatever an adapter tries."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("offline", request=request)


async def _gru(
    catalogue: Catalogue, adapter: Adapter, lane: str, *, files: bool = False
) -> list[CheckLine]:
    """Check one GRU; with `files`, only what its settings say of files."""
    taken = None
    try:
        async with asyncio.timeout(PATIENCE):
            notes = await adapter.check_files() if files else await adapter.check()
            if not files:
                taken = await adapter.taken_names()
    except TimeoutError:
        return [CheckLine(lane, "fault", say("no_answer", seconds=f"{PATIENCE:.0f}"))]
    except Exception as error:  # an adapter's bug must not hide what the others say
        said = say("adapter_failed", error=type(error).__name__, place=error_place(error))
        return [CheckLine(lane, "fault", said)]
    found = [CheckLine(lane, note.level, note.said, note.at) for note in notes]
    if taken is not None:
        routes = catalogue.communes[parse_lane(lane).commune].routes.values()
        found += [CheckLine(lane, "fault", one) for one in dropped_targets(routes, lane, taken)]
    return found


async def _portal(far_ends: FarEnds, portal: Portal) -> list[CheckLine]:
    name = portal.far_end
    if portal.key is None and portal.basic is None:
        return [CheckLine(name, "warning", say("portal_unasked"))]
    if not portal.teleservices:
        return [CheckLine(name, "warning", say("portal_no_form"))]
    lines = []
    for slug in portal.teleservices:
        client = far_ends.portals[portal.name]
        noted = await check_form(client, far_ends.catalogue, portal.name, slug)
        lines += [CheckLine(name, one.level, one.said) for one in noted]
    return lines
