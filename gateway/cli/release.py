"""`release`: what runs for each commune, who agreed to it, and how it came about."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from structlog.testing import capture_logs

from gateway.catalogue import releases as made
from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.released import build_released
from gateway.catalogue.releases import Release
from gateway.catalogue.secrets import Needed
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, moment, table
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, located, open_database
from gateway.contracts import gate
from gateway.contracts.gate import Applied, Planned, State
from gateway.contracts.leaving import releases_of, rendered_otherwise
from gateway.core.errors import ConfigurationFault, Conflict, NotFound
from gateway.store import releases, said
from gateway.store.engine import Database
from gateway.store.releases import Ledger, Signature
from gateway.store.said import Word

app = typer.Typer(help="What runs for each commune, and its agreement.", no_args_is_help=True)

TAKEN = "a running daemon takes it within 10 s; release list says what it runs"
#: So long a running daemon's word of what was applied is waited for, in seconds.
PATIENCE = 5.0
_MADE = (State.NEW, State.CHANGED, State.UNSIGNED)
Insee = Annotated[str, typer.Argument(metavar="COMMUNE", help="INSEE code.")]


@dataclass(frozen=True, slots=True)
class Files:
    """What the files say now."""

    bundle: Mapping[str, str]
    releases: Mapping[str, Release]
    database: Database


def _open(stack: ExitStack, config: Path, mappings: Path) -> Files:
    try:
        bundle = read_bundle(config, mappings)
        catalogue = build(bundle, environ=os.environ, secrets=Needed.DATABASE, folder=config)
        found = releases_of(bundle, catalogue)
    except ConfigurationFault as error:
        raise ConfigurationFault(
            [located(fault, config, mappings) for fault in error.faults]
        ) from None
    return Files(bundle, found, stack.enter_context(open_database(catalogue.settings)))


@app.command()
def plan(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    commune: Annotated[list[str] | None, typer.Option(help="INSEE code; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Whose output the files would change, in what, and what is missing. Changes nothing."""
    with ExitStack() as stack:
        files = _open(stack, config, mappings)
        planned = asyncio.run(gate.plan(files.database, files.releases))
    if commune:
        _known(commune, [one.commune for one in planned])
        planned = [one for one in planned if one.commune in commune]
    if as_json:
        emit([_planned(one) for one in planned])
        return
    table(
        ("commune", "name", "state", "release", "active", "signed by", "contract"),
        [
            (
                one.commune,
                one.name,
                one.state,
                None if one.release is None else one.release.short,
                None if one.active is None else one.active.short,
                ", ".join(signature.by for signature in one.signatures),
                None if one.run is None else ("passed" if one.run.passed else "failed"),
            )
            for one in planned
        ],
        "no commune is configured",
    )
    for one in planned:
        if one.state is State.CHANGED:
            typer.echo("\n" + "\n".join(_changes(one)))


def _planned(one: Planned) -> dict[str, Any]:
    return {
        "commune": one.commune,
        "name": one.name,
        "state": one.state,
        "digest": None if one.release is None else one.release.digest,
        "active": None if one.active is None else one.active.digest,
        "signatures": one.signatures,
        "run": one.run,
        "missing": one.missing,
        "differences": one.differences,
        "effects": one.effects,
    }


def _changes(one: Planned) -> list[str]:
    """For the commune's agent, hence in French."""
    lines = [f"{one.name} ({one.commune}) : ce qui change"]
    for d in one.differences:
        where = f"{d.file}:{d.line}" if d.line else d.file
        lines.append(f"  {where}  {d.path}")
        lines.append(f"    - avant : {d.before or '(rien)'}")
        lines.append(f"    + après : {d.after or '(rien)'}")
    case = None
    for effect in one.effects:
        if effect.place != case:
            case = effect.place
            lines.append(f"  Cas « {effect.case} » ({effect.mapping}, {effect.place})")
        lines += [f"  {line}" for line in effect.lines()]
    if not one.effects:
        lines.append("  Aucun cas ne montre de différence dans ce qui est envoyé.")
    return lines + [f"  missing: {what}" for what in one.missing]


@app.command()
def sign(
    commune: Insee,
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
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Record a commune's agreement to a release: the planned one, or the one of --digest."""
    for option, text in (("--by", by), ("--function", function), ("--means", means)):
        if not text.strip():
            raise typer.BadParameter(f"{option} may not be empty")
    if digest is not None and len(digest) < 8:
        raise typer.BadParameter("--digest: at least 8 of its characters")
    day = _day(on)
    with ExitStack() as stack:
        files = _open(stack, config, mappings)
        wanted = digest
        if wanted is None:
            planned = files.releases.get(commune)
            if planned is None:
                raise NotFound(f"no commune {commune} is configured")
            wanted = planned.digest
        signature = Signature(
            wanted,
            commune,
            by.strip(),
            function.strip(),
            means.strip(),
            day.isoformat(),
            note.strip(),
            _now(),
        )
        signed = asyncio.run(gate.sign(files.database, signature, files.releases))
    if as_json:
        emit({"commune": commune, "digest": signed.digest, "by": signature.by})
    else:
        typer.echo(f"{commune} {signed.name}: {signature.by} agreed to release {signed.short}")


def _day(text: str | None) -> date:
    if text is None:
        return _now().date()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("--date is written YYYY-MM-DD") from None
    if day > _now().date():
        raise typer.BadParameter("--date lies in the future")
    return day


@app.command()
def apply(
    commune: Annotated[list[str] | None, typer.Option(help="INSEE code; may be repeated.")] = None,
    dev: Annotated[
        bool, typer.Option("--dev", help="Make active what is not signed or fails, too.")
    ] = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Make active what passes its contract run and is signed. Exit code 1 if any is refused."""
    with ExitStack() as stack:
        files = _open(stack, config, mappings)
        stack.enter_context(capture_logs())  # the runs' own, of invented requests
        done = asyncio.run(
            gate.apply(
                files.database,
                files.releases,
                files.bundle,
                gate.contract_runner,
                _now,
                only=commune or (),
                dev=dev,
            )
        )
        made = {one.commune: one.digest for one in done if one.done and one.state in _MADE}
        words = asyncio.run(_words(files.database, made))
    refused = {insee: word.refused for insee, word in words.items() if word.refused is not None}
    if as_json:
        emit([asdict(one) | {"refused": refused.get(one.commune)} for one in done])
    else:
        for one in done:
            typer.echo(_applied(one))
            if one.commune in refused:
                typer.echo(f"  the daemon does not run it: {refused[one.commune]}")
        if made.keys() - words.keys():
            typer.echo(TAKEN)
    unsigned = [one.commune for one in done if one.unsigned]
    if unsigned:
        typer.echo(f"warning: runs unsigned (--dev): {', '.join(unsigned)}", err=True)
    if refused or not all(one.done for one in done):
        raise typer.Exit(Exit.NO)


async def _words(database: Database, made: Mapping[str, str | None]) -> dict[str, Word]:
    """What a daemon says of digests that were just made active, once it has looked at them; nothing
    where none runs."""
    words: dict[str, Word] = {}
    end = time.monotonic() + PATIENCE
    while made:
        found = await database.read(said.said)
        words = {insee: word for insee, word in found.items() if word.digest == made.get(insee)}
        if not found or words.keys() == made.keys() or time.monotonic() >= end:
            break
        await asyncio.sleep(0.2)
    return words


def _applied(one: Applied) -> str:
    head = f"{one.commune} {one.name}"
    short = (one.digest or "")[:12]
    if one.done and one.state is State.SAME:
        return f"{head}: same ({short} is active already)"
    if one.state is State.GONE:
        return f"{head}: " + ("; ".join(one.missing) or "withdrawn")
    if one.done:
        how = ", UNSIGNED OR NOT PASSED (--dev)" if one.unsigned else ""
        lines = [f"{head}: applied {short}{how}"]
    else:
        lines = [f"{head}: refused {short} ({one.state.value})"]
        lines += [f"  change: {change}" for change in one.changes]
    return "\n".join(lines + [f"  missing: {what}" for what in one.missing])


@app.command()
def rollback(
    commune: Insee,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Go back at once to what ran before, signed and passed as it was."""

    def fits(release: Release) -> None:
        unfit = rendered_otherwise({commune: release})
        found = build_released(files.bundle, {commune: release}, environ=os.environ, unfit=unfit)
        if commune in found.refused:
            raise ConfigurationFault(found.refused[commune].faults)

    with ExitStack() as stack:
        files = _open(stack, config, mappings)
        release, activation = asyncio.run(gate.roll_back(files.database, commune, _now, fits))
    if as_json:
        emit(activation)
    else:
        typer.echo(f"{commune} {release.name}: back to release {release.short}; {TAKEN}")


@app.command("list")
def show_all(
    config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False
) -> None:
    """The active release of each commune."""
    with ExitStack() as stack:
        files = _open(stack, config, mappings)
        ledger = asyncio.run(files.database.read(releases.ledger))
        words = asyncio.run(files.database.read(said.said))
    shown = [_active(ledger, insee, words.get(insee)) for insee in sorted(ledger.active)]
    if as_json:
        emit(shown)
        return
    table(
        ("commune", "release", "runs", "since", "how", "signed by", "contract", "previous"),
        [
            (
                one["commune"],
                one["digest"][:12],
                one["runs"],
                one["since"],
                one["how"],
                ", ".join(signature.by for signature in one["signatures"]) or "NOBODY",
                "passed" if one["passed"] else "NOT PASSED",
                (one["previous"] or "")[:12],
            )
            for one in shown
        ],
        "no release is active: release plan, sign, apply",
    )
    for one in shown:
        if one["refused"] is not None:
            typer.echo(f"{one['commune']} does not run: {one['refused']}", err=True)


def _active(ledger: Ledger, insee: str, word: Word | None) -> dict[str, Any]:
    """`runs`: what the daemon says; None where none runs."""
    one = ledger.active[insee]
    runs = refused = None
    if word is not None:
        refused = word.refused if word.digest == one.digest else None
        runs = "REFUSED" if refused else "yes" if word.digest == one.digest else "not yet"
    previous = ledger.previous(insee)
    return {
        "commune": insee,
        "digest": one.digest,
        "runs": runs,
        "refused": refused,
        "since": one.at,
        "how": one.how,
        "unsigned": one.unsigned,
        "signatures": ledger.signatures.get(one.digest, ()),
        "passed": ledger.passed(one.digest),
        "previous": None if previous is None else previous.digest,
    }


@app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="COMMUNE|DIGEST", help="Or a digest's beginning.")],
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """What was done for a commune, or with a release and what it holds."""
    with ExitStack() as stack:
        files = _open(stack, config, mappings)
        ledger = asyncio.run(files.database.read(releases.ledger))
        trail = asyncio.run(files.database.read(releases.entries))
        fitting = [digest for digest in ledger.kept if digest.startswith(what)]
        chosen = [
            entry
            for entry in trail
            if entry.data.get("commune") == what or entry.data.get("digest") in fitting
        ]
        if not chosen:
            raise NotFound(f"nothing was ever done for {what}")
        if len(fitting) > 1 and not any(e.data.get("commune") == what for e in chosen):
            raise Conflict(f"{what} is the beginning of {len(fitting)} releases: write more of it")
        stored = asyncio.run(files.database.read(releases.contents, fitting))
    held = [made.read(content) for content in stored.values()]
    if as_json:
        emit({"trail": chosen, "releases": held})
        return
    for entry in chosen:
        rest = {k: v for k, v in entry.data.items() if k not in ("commune", "digest", "sha256")}
        said = "  ".join(f"{key}: {value}" for key, value in rest.items() if value not in ("", []))
        digest = str(entry.data.get("digest", ""))[:12]
        typer.echo(f"{entry.n:>4}  {moment(entry.at)}  {entry.kind:<11} {digest:<12}  {said}")
    for release in held:
        typer.echo(f"\n{release.digest} {release.commune} {release.name}")
        for kind, version in sorted(release.adapters.items()):
            typer.echo(f"  adapter {kind} {version}")
        for file, text in sorted(release.files.items()):
            typer.echo(f"  {made.file_digest(file, text)[:12]}  {file}")


@app.command()
def verify(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Is the trail intact, and is what runs what was agreed to? Exit code 1 if not."""
    with ExitStack() as stack:
        files = _open(stack, config, mappings)
        found, faults = asyncio.run(gate.verified(files.database))
        entries = asyncio.run(files.database.read(releases.mark))
    if as_json:
        emit({"ok": not faults, "entries": entries, "active": sorted(found), "faults": faults})
    else:
        for fault in faults:
            typer.echo(str(fault), err=True)
        typer.echo(
            f"{len(found)} active releases, {entries} entries of the trail: "
            + ("all as it should be" if not faults else f"{len(faults)} faults")
        )
    if faults:
        raise typer.Exit(Exit.NO)


def _known(wanted: list[str], known: list[str]) -> None:
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise NotFound(f"no such commune: {', '.join(unknown)}")


def _now() -> datetime:
    return datetime.now(UTC)
