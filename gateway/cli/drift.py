"""`contract drift`: do the portals' forms still fit the mappings?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.config_faults import nearest
from gateway.cli.beside import run_beside
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit, print_message, print_text
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, load_settings, real_path
from gateway.cli.texts import say as say_cli
from gateway.contracts.drift import DriftReading, FormUse, read_forms
from gateway.contracts.texts import say
from gateway.core import reasons
from gateway.core.errors import NotFound, file_line
from gateway.flow.engine import Engine


def drift(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    portal: Annotated[list[str] | None, typer.Option(help="May be repeated; else all.")] = None,
    files: Annotated[
        bool, typer.Option("--files", help="Look at the files, not at the active releases.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take the forms as they are now for the right ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read the portals' forms now and name what the mappings no longer fit.

    Exit code 1 when something drifted, 4 when a form could not be read.
    """
    settings = load_settings(config, mappings)
    unknown = sorted(set(portal or ()) - set(settings.portals))
    if unknown:
        cure = nearest(unknown[0], sorted(settings.portals))
        raise NotFound(say_cli("no_such_portal", names=tuple(unknown), cure=cure))

    async def work(engine: Engine) -> list[DriftReading]:
        names = portal or sorted(engine.catalogue.portals)
        return [form for name in names for form in await read_forms(engine, name, accept=accept)]

    found = run_beside(settings.settings, config, mappings, work, files=files)
    found = [_in_place(form, config, mappings) for form in found]
    if as_json:
        emit(found)
    else:
        for form in found:
            print_text("\n".join(_lines(form)))
        if not found:
            print_message(say_cli("no_form_routed"))
    if any(form.drift for form in found):
        raise typer.Exit(Exit.NO)
    if any(form.failure for form in found):
        raise typer.Exit(Exit.FAR_END)


def _in_place(form: DriftReading, config: Path, mappings: Path) -> DriftReading:
    """Return the same result with paths that can be opened."""

    def real(places: tuple[FormUse, ...]) -> tuple[FormUse, ...]:
        return tuple(replace(p, file=real_path(p.file, config, mappings)) for p in places)

    return replace(
        form,
        drift=tuple(replace(one, places=real(one.places)) for one in form.drift),
        unwatched=tuple(replace(one, places=real(one.places)) for one in form.unwatched),
    )


def _lines(form: DriftReading) -> list[str]:
    name, spoken = f"{form.portal} {form.teleservice}", language()
    if form.failure is not None:
        why = reasons.of(form.failure).said
        return [say_cli("form_unread", name=name, why=why).what(spoken)]
    lines = [
        say_cli("unwatched", name=name, field=one.field, source=one.source).what(spoken)
        for one in form.unwatched
    ]
    if not form.drift:
        return [say_cli("form_fits", name=name).what(spoken), *lines]
    for one in form.drift:
        kind = say(one.kind.value)
        drifted = say_cli("drifted", name=name, kind=kind, what=one.what, detail=one.detail)
        lines.append(drifted.what(spoken))
        lines += [f"  {file_line(place.file, place.line)} ({place.target})" for place in one.places]
        lines.append(say_cli("form_communes", communes=tuple(one.communes)).what(spoken))
    return lines
