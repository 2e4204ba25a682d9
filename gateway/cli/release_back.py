"""`release rollback`, `undo`, `withdraw`: revert acts on releases."""

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
from gateway.cli.output import AsJson, ask_person, emit, print_message, print_text
from gateway.cli.release import TAKEN, Communes, Everybody, OfMapping, chosen, now, open_place
from gateway.cli.release_texts import say
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
from gateway.cli.states import state_word
from gateway.cli.usage import Misuse
from gateway.contracts import taking_back
from gateway.contracts.connected import ConnectedCommune
from gateway.contracts.leaving import rendered_otherwise
from gateway.contracts.planning import CommuneChoice
from gateway.contracts.taking_back import TakeBackResult, UndoStep
from gateway.core.errors import Conflict, Fault
from gateway.core.messages import Message

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
                said = say("back_to", release=one.activation.digest[:12])
                print_message(say("of_one", commune=one.commune, name=one.name, said=said))
        if any(one.activation is not None for one in done):
            print_message(when)
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
    choice = CommuneChoice(tuple(commune or ()), tuple(mapping or ()), everybody)
    if as_json and not yes:
        raise Misuse(say("json_asks_nothing"))
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        fits = partial(_unfit, place.parts.bundle, config, mappings)
        what = asyncio.run(taking_back.undoing(place.database, choice, fits))
        going = [one for one in what.steps if not (one.why or one.faults)]
        if not as_json:
            for one in going:
                said = _taken_back(one)
                print_message(say("of_one", commune=one.commune, name=one.name, said=said))
        if going:
            ask_person(say("take_back"), yes=yes)
        asyncio.run(taking_back.undo(place.database, now, what))
        when = taken_with_releases(place.database, TAKEN)
    if as_json:
        emit(what.steps)
    elif not all(one.agreement for one in going):
        print_message(when)
    _stay([one for one in what.steps if one.why or one.faults])


def _taken_back(one: UndoStep) -> Message:
    if one.agreement:
        return say("agreement_back", release=one.digest[:12])
    kind = state_word(one.kind)
    if one.before is None:
        return say("act_back", kind=kind)
    return say("act_back_to", kind=kind, release=one.before[:12])


def _unfit(
    bundle: Mapping[str, str], config: Path, mappings: Path, releases: Mapping[str, Release]
) -> dict[str, tuple[Fault, ...]]:
    """Return the faults that prevent releases from running today, by commune."""
    unfit = rendered_otherwise(releases)
    with in_place(config, mappings):
        found = build_released(bundle, releases, environ=os.environ, folder=config, unfit=unfit)
    why = {insee: refused.faults for insee, refused in found.refused.items()}
    return all_located(why, config, mappings)


def _stay(stays: Sequence[TakeBackResult | UndoStep]) -> None:
    """Print the communes that go on as before, and why. The exit code says whether there are
    any."""
    for one in stays:
        if one.faults:
            print_text("\n".join(fault.told(language()) for fault in one.faults), err=True)
        elif one.why is not None:
            why = one.why.told(language())
            said = say("of_one", commune=one.commune, name=one.name, said=why)
            print_message(said, err=True)
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
        raise Misuse(say("json_asks_nothing"))
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        known = asyncio.run(read_connected(place.database, place.parts, config, mappings))
        leaving = [known.get(insee) for insee in dict.fromkeys(choice.communes)]
        for one in leaving:
            if one.commune is not None or one.faults or place.files.strays:
                raise Conflict(say("still_has_file", commune=one.insee, name=one.name))
        if not as_json:
            for one in leaving:
                for said in _left_lying(one):
                    print_message(said)
        ask_person(say("withdraw"), yes=yes)
        asyncio.run(taking_back.withdraw(place.database, now, choice.communes))
        when = taken_with_releases(place.database, TAKEN)
    if as_json:
        emit([{"commune": one.insee, "left": one.left} for one in leaving])
    else:
        communes = tuple(one.insee for one in leaving)
        print_message(say("withdrawn", communes=communes, when=when))


def _left_lying(one: ConnectedCommune) -> list[Message]:
    """Return what happens to the open work of a commune."""
    left = one.left
    told = [
        say("leaving", commune=one.insee, name=one.name),
        say("left_open", count=left.open),
        say("left_waiting", count=left.waiting),
        say("left_person", count=left.person),
    ]
    if left.erasures:
        told.append(say("left_erasures", count=left.erasures))
    return [*told, *calling(one.contacts)]
