"""`commune add`: connect a commune: its file, secrets, a check, its cases, the portal's part."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.insee import france
from gateway.catalogue.new_commune import (
    CommuneDraft,
    commune_file_name,
    commune_text,
    write_secret,
    write_whole,
)
from gateway.catalogue.own_secrets import commune_file_of
from gateway.catalogue.parts import CatalogueParts
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.check import check_commune
from gateway.cli.commune_answers import KEY, Answers, GivenAnswers, Several, draft_of
from gateway.cli.contract import located_report, print_report, run_cases
from gateway.cli.departure_texts import say
from gateway.cli.faults import Exit
from gateway.cli.output import (
    AsJson,
    emit,
    print_message,
    print_text,
    writing,
)
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    load_catalogue,
    load_parts,
    open_database,
    real_path,
)
from gateway.cli.usage import Misuse
from gateway.contracts.portal_note import portal_note
from gateway.contracts.report import ReportedRun
from gateway.core.errors import ConfigurationFault, Conflict
from gateway.core.ids import is_insee
from gateway.flow import decommission
from gateway.store import decommissions

#: Folders below that of gateway.yaml.
SECRETS, COMMUNES_FOLDER = "secrets", "communes"


def add_commune(
    insee: Annotated[str, typer.Argument(metavar="INSEE", help="The commune's INSEE code.")],
    name: Annotated[str | None, typer.Option(help="Its name; else Insee's.")] = None,
    portal: Annotated[str | None, typer.Option(help="One of the portals.")] = None,
    adapter: Annotated[str | None, typer.Option(help="The adapter of its GRU.")] = None,
    gru: Annotated[str, typer.Option(metavar="NAME", help="A name for its GRU.")] = "main",
    production: Annotated[
        bool | None, typer.Option("--production/--test", help="Its GRU; else as the portal.")
    ] = None,
    route: Annotated[
        Several,
        typer.Option(metavar="SLUG[=MAPPING]", help="A teleservice; several by repetition."),
    ] = None,
    option: Annotated[
        Several,
        typer.Option(
            metavar="KEY=VALUE",
            help="Of the adapter. A secret: env:NAME, file:/PATH, or `new`, which makes one.",
        ),
    ] = None,
    options: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The adapter's options, in YAML.")
    ] = None,
    contact: Annotated[
        Several, typer.Option(metavar="ROLE=TEXT", help="technical, functional, dpo...")
    ] = None,
    own_key: Annotated[
        bool, typer.Option("--own-key/--no-own-key", help="Make a signature key of its own.")
    ] = True,
    again: Annotated[
        bool, typer.Option("--again", help="It has left, and comes again; with --by.")
    ] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="With --again; for the trail.")
    ] = None,
    no_input: Annotated[
        bool, typer.Option("--no-input", help="Ask nothing: what is missing is told.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave its far ends alone for now.")
    ] = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Connect a commune: ask the few questions, write communes/INSEE-name.yaml (never over another
    file) and its secrets (files that their owner alone reads), check it, play its cases, and say in
    French what the portal's designer has to do.

    Nothing is left while anything is at fault: exit code 3. With 1 (its cases fail) and 4 (a far
    end cannot be used) the file is there.
    """
    parts = load_parts(config, mappings)
    if not is_insee(insee):
        raise Misuse(say("no_insee", given=insee[:20]))
    back = _left_before(parts, insee, by, again=again)
    file = commune_file_of(parts, insee)
    if file is not None:
        place = real_path(file, config, mappings)
        if back is None:
            raise Conflict(say("has_file", commune=insee, file=place))
        _reopen(parts, insee, back)
        _tell_reopened(insee, place, as_json=as_json)
        return
    answers = Answers(not (no_input or as_json))
    given = GivenAnswers(
        name, portal, adapter, gru, production, route, option, options, contact, own_key
    )
    draft, wanted = draft_of(answers, parts.catalogue, insee, given)
    if answers.faults:
        raise ConfigurationFault(answers.faults)
    with _writing(config, draft, wanted) as (made, kept):
        catalogue = load_catalogue(config, mappings, secrets=NeededSecrets.ALL)
    if back is not None:
        _reopen(parts, insee, back)
    _report(catalogue, insee, made, kept, config, mappings, offline=offline, as_json=as_json)


def _reopen(parts: CatalogueParts, insee: str, by: str) -> None:
    with open_database(parts.catalogue.settings) as database:
        asyncio.run(decommission.reopen(database, insee, by, datetime.now(UTC)))


def _tell_reopened(insee: str, file: str, *, as_json: bool) -> None:
    if as_json:
        emit({"commune": insee, "file": file, "secrets": []})
    else:
        print_message(say("reopened", commune=insee, file=file))


def _left_before(parts: CatalogueParts, insee: str, by: str | None, *, again: bool) -> str | None:
    """Return who lets a commune come again that has left; None for one that never did. Raises
    Conflict, Misuse."""
    url = parts.catalogue.settings.database.get_secret_value()
    path = url.removeprefix("sqlite:///")
    if path != url and not Path(path).is_file():
        return None  # nothing ever ran here
    with open_database(parts.catalogue.settings) as database:
        known = asyncio.run(database.read(decommissions.current, insee))
    if known is None:
        return None
    if known.live:
        raise Conflict(say("still_leaving", commune=insee, id=known.id))
    if not again:
        raise Conflict(say("left_before", commune=insee, id=known.id))
    name = " ".join((by or "").split())
    if not name:
        raise Misuse(say("again_by"))
    return name[:100]


@contextmanager
def _writing(
    config: Path, draft: CommuneDraft, wanted: dict[str, str | None]
) -> Iterator[tuple[Path, dict[str, Path]]]:
    """Write the secrets and the file; within the block they are tried. What was written goes again
    if that fails."""
    made: list[Path] = []
    kept: dict[str, Path] = {}
    for name in wanted:
        place = config / SECRETS / _secret_name(draft.insee, name)
        if place.exists():
            raise Conflict(say("secret_there", file=str(place)))
    file = config / COMMUNES_FOLDER / commune_file_name(draft.insee, draft.name)
    try:
        with writing(file):
            for name, value in wanted.items():
                where = _secret_name(draft.insee, name)
                kept[name] = write_secret(config / SECRETS, where, value)
                made.append(kept[name])
            references = {name: f"file:{place}" for name, place in kept.items()}
            key = references.pop(KEY, None)
            options = {**draft.options, **references}
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, commune_text(replace(draft, options=options, key=key)), 0o644)
            made.append(file)
        yield file, kept
    except BaseException:
        for place in made:
            place.unlink(missing_ok=True)
        raise


def _secret_name(insee: str, name: str) -> str:
    return f"{insee}-{name.replace('_', '-')}"


def _report(
    catalogue: Catalogue,
    insee: str,
    file: Path,
    kept: dict[str, Path],
    config: Path,
    mappings: Path,
    *,
    offline: bool,
    as_json: bool,
) -> None:
    """Say what was written; check it, play its cases, and say what is left to people."""
    commune = catalogue.communes[insee]
    note = portal_note(catalogue, commune, [str(kept[KEY])] if KEY in kept else [])
    told = ReportedRun(
        located_report(run_cases(insee, None, {}, config, mappings, weak=False), config, mappings)
    )
    well: bool | None = None
    if as_json:
        emit(
            {
                "commune": insee,
                "name": commune.name,
                "file": file,
                "secrets": sorted(str(place) for place in kept.values()),
                "cases_passed": told.passed,
                "for_the_portal": note,
            }
        )
    else:
        print_message(say("added", name=commune.name, commune=insee, file=str(file)))
        if insee not in france():
            print_message(say("not_of_insee", commune=insee))
        for name, place in kept.items():
            print_message(say("secret_kept", name=name, file=str(place)))
        if not offline:
            well = check_commune(catalogue, insee, config, mappings)
        print_report(told)
        print_text("")
        print_text(note)
        print_message(say("then_release", commune=insee))
    if not told.passed:
        raise typer.Exit(Exit.NO)
    if well is False:
        raise typer.Exit(Exit.FAR_END)
