"""`release list`, `show`, `verify`: the active releases, their history, and whether both are
intact."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from gateway.catalogue.config_faults import nearest
from gateway.catalogue.insee import COMMUNES
from gateway.catalogue.release import file_digest, read_release
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import (
    AsJson,
    CommuneRow,
    Each,
    cell,
    communes,
    emit,
    print_message,
    print_text,
    shown_time,
)
from gateway.cli.release_texts import say
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
from gateway.cli.states import state_word
from gateway.cli.texts import counted
from gateway.contracts import gate
from gateway.core.errors import Conflict, NotFound
from gateway.core.messages import Message
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
        # The notes of a killed process are no more true.
        words = asyncio.run(database.read(running_releases.get_all)) if runs else {}
    shown = [_active(ledger, insee, words.get(insee)) for insee in sorted(ledger.active)]
    if as_json:
        emit([{key: value for key, value in one.items() if key != "said"} for one in shown])
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
                    None if one["runs"] is None else state_word(one["runs"]),
                    one["since"],
                    state_word(one["how"]),
                    _agreed(one),
                    state_word("passed" if one["passed"] else "NOT PASSED"),
                    (one["previous"] or "")[:12],
                ),
            )
            for one in shown
        ],
        say("calm_run" if runs else "calm_signed"),
        say("none_active"),
        each=each,
    )
    if shown:
        tell_daemon(runs)
    for one in shown:
        if one["refused"] is not None:
            runs_now = one["runs_digest"]
            told = {"commune": one["commune"], "release": one["digest"][:12], "why": one["said"]}
            if runs_now is None:
                print_message(say("runs_nothing", **told), err=True)
            else:
                print_message(say("runs_other", **told, runs=runs_now[:12]), err=True)


def _need(one: Mapping[str, Any]) -> int:
    """Return how urgently somebody must look at a commune."""
    if one["refused"]:
        return 3
    if not one["passed"] or not one["signatures"]:
        return 2
    return int(one["runs"] == "not yet")


def _agreed(one: Mapping[str, Any]) -> str | Message:
    """Return the people who agreed to the active release, or who applied it without an
    agreement."""
    signed = ", ".join(signature.by for signature in one["signatures"])
    urgent = one["urgent"]
    if urgent is None or signed:
        return signed or state_word("NOBODY")
    return say("nobody_yet", by=urgent.by, why=urgent.why)


def _active(ledger: ReleaseLedger, insee: str, word: RunningRelease | None) -> dict[str, Any]:
    """Return the active releases.

    `runs` is the daemon's statement about a release; None where no daemon runs. `runs_digest` is
    the release that it runs, which may be the former one.
    """
    one = ledger.active[insee]
    runs = refused = running = None
    if word is not None:
        refused = word.refused if word.digest == one.digest else None
        running = word.runs
        runs = "REFUSED" if refused else "yes" if word.digest == one.digest else "not yet"
    previous = ledger.previous(insee)
    return {
        "commune": insee,
        "digest": one.digest,
        "runs": runs,
        "runs_digest": running,
        "refused": None if refused is None else refused.told(),
        "said": refused,
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
            known = [*ledger.history, *ledger.kept]
            cure = nearest(what, sorted({*ledger.history}) if known else [])
            raise NotFound(say("never_done", what=what, cure=cure))
        if len(fitting) > 1 and not any(e.data.get("commune") == what for e in chosen):
            raise Conflict(say("digest_of_several", what=what, count=len(fitting)))
        stored = asyncio.run(database.read(releases.contents, fitting))
    held = [read_release(content) for content in stored.values()]
    if as_json:
        emit({"trail": chosen, "releases": held})
        return
    for entry in chosen:
        rest = {k: v for k, v in entry.data.items() if k not in ("commune", "digest", "sha256")}
        said = "  ".join(f"{key}: {cell(rest[key])}" for key in rest if rest[key] not in ("", []))
        digest = str(entry.data.get("digest", ""))[:12]
        kind = state_word(entry.kind).what(language())
        print_text(f"{entry.n:>4}  {shown_time(entry.at)}  {kind:<14} {digest:<12}  {said}")
    for release in held:
        print_text(f"\n{release.digest} {release.commune} {release.name}")
        for name, version in sorted(release.adapters.items()):
            print_text(f"  {name} {version}")
        for file, text in sorted(release.files.items()):
            print_text(f"  {file_digest(file, text)[:12]}  {file}")


def verify(config: Config = CONFIG, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Is the trail intact, and is what runs what was agreed to? Exit code 1 if not."""
    with open_database(load_settings(config, mappings).settings) as database:
        found, faults = asyncio.run(gate.verified(database))
        entries = asyncio.run(database.read(releases.last_entry))
    if as_json:
        emit({"ok": not faults, "entries": entries, "active": sorted(found), "faults": faults})
    else:
        for fault in faults:
            print_text(fault.told(language()), err=True)
        counts = {
            "active": counted("active_releases", len(found)),
            "entries": counted("entries", entries),
            "faults": counted("faults", len(faults)) if faults else say("as_it_should"),
        }
        print_message(say("verified", **counts))
    if faults:
        raise typer.Exit(Exit.NO)
