"""`mapping test`, `coverage`, `explain`, `diff`: a mapping beside its cases, its lines, another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import typer
from structlog.testing import capture_logs

from gateway.catalogue.bundle import mapping_key, read_bundle
from gateway.catalogue.explain import rule_rows
from gateway.catalogue.mapping_files import mapping_of
from gateway.cli.authoring import (
    as_it_lies,
    author_bundle,
    bundle_name,
    folder_of_mappings,
    load_file,
    path_of,
)
from gateway.cli.contract import located_report, print_report
from gateway.cli.faults import Exit
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit, print_message, print_text, table
from gateway.cli.release_words import effect_lines
from gateway.cli.setting import CONFIG, MAPPINGS, Config, Mappings, real_path
from gateway.cli.texts import say
from gateway.contracts.cases import read_cases
from gateway.contracts.coverage import coverage_of
from gateway.contracts.mapping_difference import leaves_otherwise, said_otherwise
from gateway.contracts.report import ReportedRun
from gateway.contracts.run import run as run_contracts
from gateway.core.errors import Fault
from gateway.core.messages import harmless

Named = Annotated[str, typer.Argument(metavar="MAPPING", help="teleservice/name, or a file.")]


def play_cases(
    mapping: Named,
    mappings: Mappings = MAPPINGS,
    config: Config = CONFIG,
    commune: Annotated[
        str | None, typer.Option(help="INSEE code: the cases of its own settings as well.")
    ] = None,
    weak: Annotated[
        bool, typer.Option("--weak", help="Changes that no case notices, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play the cases beside a mapping, offline against the real code. Exit code 1 if one fails."""
    path = path_of(mapping, mappings)
    bundle, file = author_bundle(path), bundle_name(path)
    key = mapping_key(file)
    with as_it_lies(path, config), capture_logs():  # the logs are of invented requests
        if commune is not None:
            bundle = {**read_bundle(config, path.absolute().parent.parent), **bundle}
        report = asyncio.run(
            run_contracts(bundle, commune=commune, weak=weak, skip=lambda other, _: other != key)
        )
    own = replace(
        report,
        contracts=tuple(one for one in report.contracts if one.mapping == key),
        lacking=tuple(fault for fault in report.lacking if fault.file == file)
        + (() if commune else _of_communes(bundle, file)),
        unchanged=(),
    )
    own = located_report(own, config, folder_of_mappings(path))
    if as_json:
        emit({"ok": own.passed(), "lacking": own.lacking, "contracts": own.contracts})
    else:
        print_report(ReportedRun(own, weak, None))
    if not own.passed():
        raise typer.Exit(Exit.NO)


def _of_communes(bundle: Mapping[str, str], file: str) -> tuple[Fault, ...]:
    """Return what to say where each case needs the settings of a commune: none is played."""
    key = mapping_key(file)
    cases = read_cases(bundle, key)
    communes = [case.commune for case in cases if case.commune is not None]
    if not communes or len(communes) < len(cases):
        return ()
    return (Fault(file, 1, say("cases_elsewhere", key=key, commune=communes[0])),)


def coverage(mapping: Named, mappings: Mappings = MAPPINGS, as_json: AsJson = False) -> None:
    """Name the lines that no case touches: rules, table entries, statuses. Exit code 1 if any."""
    path = path_of(mapping, mappings)
    bundle, file = author_bundle(path), bundle_name(path)
    with as_it_lies(path):
        found = coverage_of(mapping_of(bundle, file), read_cases(bundle, mapping_key(file)))
    if as_json:
        emit({"percent": found.percent, "parts": found.parts, "uncovered": found.uncovered})
    else:
        for one in found.uncovered:
            what = say(f"covered_{one.what}").what(language())
            place = real_path(one.file, CONFIG, folder_of_mappings(path))
            print_text(f"{place}:{one.line}: {what} {harmless(one.name)}")
        told = {"percent": found.percent, "parts": found.parts}
        print_message(say("covered", **told, left=len(found.uncovered)))
    if found.uncovered:
        raise typer.Exit(Exit.NO)


def explain(
    mapping: Named,
    field: Annotated[
        str | None, typer.Argument(help="A field of the GRU or of the form: only its rules.")
    ] = None,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say of each rule what it reads, what it does with it and where it stands, also inherited."""
    rows = [
        row
        for row in rule_rows(load_file(path_of(mapping, mappings)))
        if field is None or field in row.target or any(field in one for one in row.sources)
    ]
    if as_json:
        emit(rows)
        return
    table(
        ("event", "target", "source", "options", "line"),
        [(r.event, r.target, " + ".join(r.sources), r.options, r.place) for r in rows],
        say("explain_none"),
    )


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="teleservice/name, or a file.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The same, or that of a later day.")],
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Say in what two mappings differ, and what then leaves otherwise in the cases."""
    old, new = path_of(before, mappings), path_of(after, mappings)
    with as_it_lies(new):
        both = (author_bundle(old), bundle_name(old), author_bundle(new), bundle_name(new))
        said, left = said_otherwise(*both), leaves_otherwise(*both)
    if as_json:
        emit({"same": not said and not left, "files": said, "effects": left})
        return
    for one in said:
        folder = folder_of_mappings(old if one.after is None else new)
        place = f"{real_path(one.file, CONFIG, folder)}:{one.line}"
        print_text(f"{place}: {one.path}: {one.before or '-'} -> {one.after or '-'}")
    for title in dict.fromkeys(effect.case for effect in left):
        print_text(f"\n{harmless(title)}")
        for effect in left:
            if effect.case == title:
                print_text("\n".join(effect_lines(effect)))
    if not said and not left:
        print_message(say("diff_same"))
