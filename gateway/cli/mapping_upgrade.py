"""`mapping upgrade`: rewrite old spellings in mapping files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.catalogue.mapping_upgrade import old_spellings, upgraded
from gateway.catalogue.yaml_reader import load_yaml
from gateway.cli.authoring import read_author_file
from gateway.cli.faults import Exit
from gateway.cli.output import AsJson, emit, print_message, print_text, writing
from gateway.cli.texts import say


def upgrade_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    look: Annotated[
        bool, typer.Option("--check", help="Write nothing. Exit code 1 if old.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write old spellings of mapping files anew, layout kept; they work as they are."""
    told = []
    for path in files:
        text = read_author_file(path, say("no_mapping"))
        name = path.as_posix()
        found = list(old_spellings(load_yaml(text, name)))
        told += [
            {
                "file": name,
                "line": one.line,
                "old": one.step.option,
                "now": one.now,
                "why": one.step.why,
            }
            for one in found
        ]
        if found and not look:
            with writing(path):
                path.write_text(upgraded(text, name), "utf-8")
    if as_json:
        emit({"written": bool(told) and not look, "spellings": told})
    else:
        for one in told:
            print_text(f"{one['file']}:{one['line']}: {one['old']} -> {one['now'] or '-'}")
        word = "upgrade_none" if not told else "upgrade_found" if look else "upgrade_done"
        print_message(say(word, count=len(told)))
    if look and told:
        raise typer.Exit(Exit.NO)
