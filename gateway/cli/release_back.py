"""`release rollback`, `undo`, `withdraw`: what was done to releases, taken back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.release import Release
from gateway.catalogue.released import build_released
from gateway.cli.commune import calling
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit
from gateway.cli.release import TAKEN, Communes, Everybody, OfMapping, chosen, now, open_place
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    all_located,
    in_place,
    read_connected,
    taken_with_releases,
)
from gateway.contracts import taking_back
from gateway.contracts.connected import ConnectedCommune
from gateway.contracts.leaving import rendered_otherwise
from gateway.contracts.planning import Choice
from gateway.contracts.taking_back import TakenBack, Undoing
from gateway.core.errors import Conflict, Fault

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def rollback(
    commune: Communes = None,
    mapping: OfMapping = None,
    everybody: Everybody = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Have communes go back at once to what ran before, signed and passed as it was: one change.

    Exit code 1 if one has nothing to go back to, 3 if what it had cannot be built today.
    """
    choice = chosen(commune, mapping, everybody)
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        fits = partial(_unfit, place.parts.bundle, config, mappings)
        done = asyncio.run(taking_back.roll_back(place.database, now, choice, fits))
        when = taken_with_releases(place.database, TAKEN)
    if as_json:
        emit(done)
    else:
        for one in done:
            if one.activation is not None:
                typer.echo(
                    f"{one.commune} {one.name}: back to release {one.activation.digest[:12]}"
                )
        if any(one.activation is not None for one in done):
            typer.echo(when)
    _stay([one for one in done if one.activation is None])


def undo(
    commune: Communes = None,
    mapping: OfMapping = None,
    everybody: Everybody = False,
    yes: Yes = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Take back the last act (sign, apply, rollback, withdraw) for all that it was done for; with
    communes chosen, the last act of each. The consequences are told, and asked about, before.

    With --json it needs --yes. Exit code 1 if one cannot be taken back, 3 if what ran before cannot
    be built today.
    """
    choice = Choice(tuple(commune or ()), tuple(mapping or ()), everybody)
    if as_json and not yes:
        raise typer.BadParameter("--json asks nothing: give --yes, too")
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        fits = partial(_unfit, place.parts.bundle, config, mappings)
        what = asyncio.run(taking_back.undoing(place.database, choice, fits))
        going = [one for one in what.steps if not (one.why or one.faults)]
        if not as_json:
            for one in going:
                typer.echo(f"{one.commune} {one.name}: {_taken_back(one)}")
        if going and not yes:
            typer.confirm("Take it back?", abort=True)
        asyncio.run(taking_back.undo(place.database, now, what))
        when = taken_with_releases(place.database, TAKEN)
    if as_json:
        emit(what.steps)
    elif not all(one.agreement for one in going):
        typer.echo(when)
    _stay([one for one in what.steps if one.why or one.faults])


def _taken_back(one: Undoing) -> str:
    if one.agreement:
        return f"its agreement to release {one.digest[:12]} is taken back"
    runs = "nothing runs" if one.before is None else f"release {one.before[:12]} runs again"
    return f"{one.kind.replace('_', ' ')} is taken back: {runs}"


def _unfit(
    bundle: Mapping[str, str], config: Path, mappings: Path, releases: Mapping[str, Release]
) -> dict[str, tuple[Fault, ...]]:
    """Return what keeps releases from being run today, by commune."""
    unfit = rendered_otherwise(releases)
    with in_place(config, mappings):
        found = build_released(bundle, releases, environ=os.environ, folder=config, unfit=unfit)
    why = {insee: refused.faults for insee, refused in found.refused.items()}
    return all_located(why, config, mappings)


def _stay(stays: Sequence[TakenBack | Undoing]) -> None:
    """Tell who goes on as before, and why; the exit code says whether any does."""
    for one in stays:
        if one.faults:
            typer.echo("\n".join(fault.told(language()) for fault in one.faults), err=True)
        elif one.why:
            typer.echo(f"{one.commune} {one.name}: {one.why}", err=True)
    if any(one.faults for one in stays):
        raise typer.Exit(Exit.CONFIGURATION)
    if stays:
        raise typer.Exit(Exit.NO)


def withdraw(
    commune: Communes = None,
    yes: Yes = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Have nothing run for communes any more whose files are gone: what that leaves lying is told,
    and asked about, before.

    With --json it needs --yes.
    """
    choice = chosen(commune, None, False)
    if as_json and not yes:
        raise typer.BadParameter("--json asks nothing: give --yes, too")
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        known = asyncio.run(read_connected(place.database, place.parts, config, mappings))
        leaving = [known.get(insee) for insee in dict.fromkeys(choice.communes)]
        for one in leaving:
            if one.commune is not None or one.faults or place.files.strays:
                raise Conflict(
                    f"{one.insee} {one.name} has a file, which the next release apply would take up"
                    " again: take it away first"
                )
        if not as_json:
            for one in leaving:
                typer.echo("\n".join(_left_lying(one)))
        if not yes:
            typer.confirm("Withdraw?", abort=True)
        asyncio.run(taking_back.withdraw(place.database, now, choice.communes))
        when = taken_with_releases(place.database, TAKEN)
    if as_json:
        emit([{"commune": one.insee, "left": one.left} for one in leaving])
    else:
        typer.echo(f"withdrawn: {', '.join(one.insee for one in leaving)}; {when}")


def _left_lying(one: ConnectedCommune) -> list[str]:
    """Return what becomes of what a commune has on its hands."""
    left = one.left
    lines = [
        f"{one.insee} {one.name}:",
        f"  {left.open} requests are open: what its GRU says of them is not asked for any more, nor"
        " told to the citizens; new ones get 404 from us, and stay at the portal",
        f"  {left.waiting} deliveries wait to be sent: they are kept, and go once a release of it"
        " is applied again",
        f"  {left.person} wait for a person: they stay in `outbox list`",
    ]
    if left.erasures:
        lines.append(
            f"  {left.erasures} orders to erase a person are among them: they are still owed"
            " (erasure list)"
        )
    return [*lines, *(f"  {line}" for line in calling(one.contacts))]
