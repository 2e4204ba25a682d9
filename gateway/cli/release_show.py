"""`release list`, `show`, `verify`: what runs, what was done, and whether it is as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.catalogue.insee import COMMUNES
from gateway.catalogue.release import file_digest, read_release
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, CommuneRow, Each, communes, emit, shown_time
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    last_heard,
    load_settings,
    open_database,
    tell_daemon,
)
from gateway.contracts import gate
from gateway.core.errors import Conflict, NotFound
from gateway.store import releases, running_releases
from gateway.store.releases import ReleaseLedger
from gateway.store.running_releases import RunningRelease


def show_all(
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    each: Each = False,
    as_json: AsJson = False,
) -> None:
    """The active release of each commune; those first of which something is to be told."""
    with open_database(load_settings(config, mappings).settings) as database:
        ledger = asyncio.run(database.read(releases.ledger))
        runs = last_heard(database)
        # What one noted that was killed runs no more.
        words = asyncio.run(database.read(running_releases.get_all)) if runs else {}
    shown = [_active(ledger, insee, words.get(insee)) for insee in sorted(ledger.active)]
    if as_json:
        emit(shown)
        return
    communes(
        ("commune", "release", "runs", "since", "how", "signed by", "contract", "previous"),
        [
            CommuneRow(
                one["commune"],
                COMMUNES.get(one["commune"], ""),
                _need(one),
                (
                    one["commune"],
                    one["digest"][:12],
                    one["runs"],
                    one["since"],
                    one["how"],
                    _agreed(one),
                    "passed" if one["passed"] else "NOT PASSED",
                    (one["previous"] or "")[:12],
                ),
            )
            for one in shown
        ],
        "run what is signed and passed" if runs else "are signed and passed",
        "no release is active: release plan, sign, apply",
        each=each,
    )
    if shown:
        tell_daemon(runs)
    for one in shown:
        if one["refused"] is not None:
            typer.echo(f"{one['commune']} does not run: {one['refused']}", err=True)


def _need(one: Mapping[str, Any]) -> int:
    """Return how much a commune needs somebody."""
    if one["refused"]:
        return 3
    if not one["passed"] or not one["signatures"]:
        return 2
    return int(one["runs"] == "not yet")


def _agreed(one: Mapping[str, Any]) -> str:
    """Return who agreed to what runs, or had it run before anybody did."""
    signed = ", ".join(signature.by for signature in one["signatures"])
    urgent = one["urgent"]
    if urgent is None or signed:
        return signed or "NOBODY"
    return f"NOBODY YET (urgent: {urgent.by}, {urgent.why})"


def _active(ledger: ReleaseLedger, insee: str, word: RunningRelease | None) -> dict[str, Any]:
    """Return the releases in service. `runs`: what the daemon says; None where none runs."""
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
        "urgent": one.urgent,
        "signatures": ledger.signatures.get(one.digest, ()),
        "passed": ledger.passed(one.digest),
        "previous": None if previous is None else previous.digest,
    }


def show(
    what: Annotated[str, typer.Argument(metavar="COMMUNE|DIGEST", help="Or a digest's beginning.")],
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Show what was done for a commune, or with a release and what it holds."""
    with open_database(load_settings(config, mappings).settings) as database:
        ledger = asyncio.run(database.read(releases.ledger))
        trail = asyncio.run(database.read(releases.entries))
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
        stored = asyncio.run(database.read(releases.contents, fitting))
    held = [read_release(content) for content in stored.values()]
    if as_json:
        emit({"trail": chosen, "releases": held})
        return
    for entry in chosen:
        rest = {k: v for k, v in entry.data.items() if k not in ("commune", "digest", "sha256")}
        said = "  ".join(f"{key}: {value}" for key, value in rest.items() if value not in ("", []))
        digest = str(entry.data.get("digest", ""))[:12]
        typer.echo(f"{entry.n:>4}  {shown_time(entry.at)}  {entry.kind:<11} {digest:<12}  {said}")
    for release in held:
        typer.echo(f"\n{release.digest} {release.commune} {release.name}")
        for kind, version in sorted(release.adapters.items()):
            typer.echo(f"  adapter {kind} {version}")
        for file, text in sorted(release.files.items()):
            typer.echo(f"  {file_digest(file, text)[:12]}  {file}")


def verify(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Is the trail intact, and is what runs what was agreed to? Exit code 1 if not."""
    with open_database(load_settings(config, mappings).settings) as database:
        found, faults = asyncio.run(gate.verified(database))
        entries = asyncio.run(database.read(releases.last_entry))
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
