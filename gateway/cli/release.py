"""`release`: the active release of each commune, the agreements to it, and its history."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from structlog.testing import capture_logs

from gateway.catalogue.parts import CatalogueParts
from gateway.cli import release_words as words
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, CommuneRow, Each, communes, emit, print_message, print_text
from gateway.cli.progress import progress
from gateway.cli.release_texts import say
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    all_located,
    load_parts,
    open_database,
    real_path,
    taken_with_releases,
    tell_left_out,
)
from gateway.cli.states import state_word
from gateway.cli.usage import Misuse
from gateway.contracts import applying
from gateway.contracts.leaving import releases_of
from gateway.contracts.passing import ContractOutcome, passing
from gateway.contracts.planning import CommuneChoice, PlanState, ReleaseFiles, offer
from gateway.contracts.planning import plan as make_plan
from gateway.core.errors import Fault
from gateway.core.messages import Message
from gateway.store.engine import Database
from gateway.store.releases import Signature

app = typer.Typer(help="What runs for each commune, and its agreement.", no_args_is_help=True)

TAKEN = say("taken_release", seconds=10)
#: So long a running daemon's word of what was applied is waited for, in seconds.
PATIENCE = 5.0
_MADE = (PlanState.NEW, PlanState.CHANGED, PlanState.UNSIGNED)
Communes = Annotated[list[str] | None, typer.Argument(metavar="COMMUNE", help="INSEE codes.")]
Named = Annotated[list[str] | None, typer.Option("--commune", help="INSEE code; may be repeated.")]
OfMapping = Annotated[
    list[str] | None,
    typer.Option("--mapping", metavar="NAME", help="The communes with this mapping; repeatable."),
]
Everybody = Annotated[bool, typer.Option("--all", help="All communes.")]


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """The present files, and the database."""

    parts: CatalogueParts
    files: ReleaseFiles
    database: Database


def open_place(stack: ExitStack, config: Path, mappings: Path) -> ReleaseContext:
    parts = load_parts(config, mappings)
    broken: dict[str, tuple[Fault, ...]] = {}
    found = releases_of(parts.bundle, parts.catalogue, broken=broken)
    tell_left_out(chain.from_iterable(broken.values()), config, mappings)
    broken |= {insee: parts.broken[file] for file, insee in parts.communes.items()}
    files = ReleaseFiles(
        found, all_located(broken, config, mappings), all_located(parts.strays, config, mappings)
    )
    return ReleaseContext(
        parts, files, stack.enter_context(open_database(parts.catalogue.settings))
    )


def _call(place: ReleaseContext) -> dict[str, str]:
    """Return the contacts by commune."""
    return {
        insee: ", ".join(f"{whom} ({role})" for role, whom in one.contacts.items())
        for insee, one in place.parts.catalogue.communes.items()
    }


@app.command()
def plan(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    commune: Named = None,
    mapping: OfMapping = None,
    each: Each = False,
    offered: Annotated[
        bool, typer.Option("--offer", help="Have communes see it in the console, and agree there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show whose output the files would change, in what, and what is missing. Changes nothing that
    runs.

    Exit code 3 where files are at fault.
    """
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        choice = CommuneChoice(tuple(commune or ()), tuple(mapping or ()))
        planned = asyncio.run(make_plan(place.database, place.files, choice))
        if offered:
            asyncio.run(offer(place.database, planned, now()))
    call = _call(place)
    if as_json:
        emit([words.planned_document(one) for one in planned])
    else:
        communes(
            ("commune", "name", "state", "release", "active", "signed by", "contract", "call"),
            [
                CommuneRow(
                    one.commune,
                    one.name,
                    2 if one.faults else int(one.state is not PlanState.SAME),
                    (
                        one.commune,
                        one.name,
                        state_word(one.state),
                        None if one.release is None else one.release.short,
                        None if one.active is None else one.active.short,
                        ", ".join(signature.by for signature in one.signatures),
                        None if one.run is None else _judged(one.run.passed),
                        call.get(one.commune) if one.missing else None,
                    ),
                )
                for one in planned
            ],
            say("calm_planned"),
            say("no_commune_configured"),
            each=each,
        )
        for line in words.changes(planned, partial(real_path, config=config, mappings=mappings)):
            print_text(line)
    if any(one.faults for one in planned):
        raise typer.Exit(Exit.CONFIGURATION)


def _judged(passed: bool) -> Message:
    return state_word("passed" if passed else "failed")


@app.command()
def sign(
    by: Annotated[str, typer.Option(metavar="NAME", help="Who agreed, for the commune.")],
    function: Annotated[str, typer.Option(metavar="TEXT", help="As what.")],
    means: Annotated[str, typer.Option(metavar="TEXT", help="By what: letter, mail, meeting.")],
    on: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="When; else today.")
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT")] = "",
    digest: Annotated[
        str | None, typer.Option(help="What was agreed to (its beginning is enough).")
    ] = None,
    commune: Communes = None,
    mapping: OfMapping = None,
    everybody: Everybody = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Record the agreement of communes to what their files would release, or to --digest.

    With --all or --mapping, who agreed already is left as it is.
    """
    choice = chosen(commune, mapping, everybody)
    for option, text in (("--by", by), ("--function", function), ("--means", means)):
        if not text.strip():
            raise Misuse(say("empty_option", name=option))
    if digest is not None and len(digest) < 8:
        raise Misuse(say("short_digest"))
    if digest is not None and (
        len(choice.communes) != 1 or choice != CommuneChoice(choice.communes)
    ):
        raise Misuse(say("digest_of_one"))
    day = _day(on)
    agreement = Signature(
        digest or "",
        "",
        by.strip(),
        function.strip(),
        means.strip(),
        day.isoformat(),
        note.strip(),
        now(),
    )
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        done = asyncio.run(applying.sign(place.database, agreement, place.files, choice))
    if as_json:
        emit(
            [
                {
                    "commune": one.commune,
                    "digest": None if one.release is None else one.release.digest,
                    "by": None if one.release is None else agreement.by,
                    "why": None if one.why is None else one.why.told(language()),
                }
                for one in done
            ]
        )
    else:
        for one in done:
            said = one.why
            if one.release is not None:
                said = say("agreed", by=agreement.by, release=one.release.short)
            told = "" if said is None else said.told(language())
            print_message(say("of_one", commune=one.commune, name=one.name, said=told))
    if any(one.release is None and one.commune in choice.communes for one in done):
        raise typer.Exit(Exit.NO)


def chosen(
    commune: Sequence[str] | None, mapping: Sequence[str] | None, everybody: bool
) -> CommuneChoice:
    choice = CommuneChoice(tuple(commune or ()), tuple(mapping or ()), everybody)
    if not choice:
        raise Misuse(say("name_communes"))
    return choice


def _day(text: str | None) -> date:
    if text is None:
        return now().date()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Misuse(say("odd_date")) from None
    if day > now().date():
        raise Misuse(say("future_date"))
    return day


@app.command()
def apply(
    commune: Named = None,
    mapping: OfMapping = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Make active what is not signed or fails, too.")
    ] = False,
    together: Annotated[
        bool, typer.Option("--all-or-nothing", help="If one commune cannot go, none does.")
    ] = False,
    urgent: Annotated[
        bool,
        typer.Option(
            "--urgent",
            help="In an outage, before its commune signs: addresses of GRUs and their `network`.",
        ),
    ] = False,
    by: Annotated[str, typer.Option(metavar="NAME", help="--urgent: who decided it.")] = "",
    why: Annotated[str, typer.Option(metavar="TEXT", help="--urgent: what for.")] = "",
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Make active what is signed and passes its contract run: of all communes, or of those chosen.

    It is one change for the daemon. Who cannot go keeps what runs and stops no other. Exit code 1
    if any is refused, 3 where files are at fault.
    """
    choice = CommuneChoice(tuple(commune or ()), tuple(mapping or ()))
    urgency = (by.strip(), why.strip()) if urgent else None
    if urgency is not None and not (choice.communes and all(urgency)):
        raise Misuse(say("urgent_needs"))
    with ExitStack() as stack:
        place = open_place(stack, config, mappings)
        step = stack.enter_context(progress(say("playing_contract")))
        stack.enter_context(capture_logs())  # the runs' own, of invented requests

        async def plays(
            communes: Collection[str], known: Set[str]
        ) -> Mapping[str, ContractOutcome]:
            return await passing(place.parts.bundle, communes, known, step)

        done = asyncio.run(
            applying.apply(
                place.database,
                place.files,
                plays,
                now,
                choice=choice,
                dev=dev,
                together=together,
                urgency=urgency,
            )
        )
        active = {one.commune: one.digest for one in done if one.done and one.state in _MADE}
        heard = asyncio.run(applying.heard(place.database, active, PATIENCE))
        when = taken_with_releases(place.database, TAKEN)
    refused = {insee: word.refused for insee, word in heard.items() if word.refused is not None}
    if as_json:
        told = {insee: said.told(language()) for insee, said in refused.items()}
        emit([words.applied_document(one, told.get(one.commune)) for one in done])
    else:
        real = partial(real_path, config=config, mappings=mappings)
        for line in words.applied(done, refused, _call(place), real):
            print_text(line)
        if active.keys() - heard.keys():
            print_message(when)
    unsigned = [one.commune for one in done if one.unsigned]
    if unsigned:
        print_message(say("warning", told=say("runs_unsigned", communes=tuple(unsigned))), err=True)
    if any(one.state is PlanState.BROKEN for one in done):
        raise typer.Exit(Exit.CONFIGURATION)
    if refused or not all(one.done for one in done):
        raise typer.Exit(Exit.NO)


def now() -> datetime:
    """Return the present time, in UTC."""
    return datetime.now(UTC)
