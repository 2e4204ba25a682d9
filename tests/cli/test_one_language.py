"""Commands print in the reader's language: no command holds a sentence itself.

All texts stand in tables, in both languages (`tests/core/test_messages.py`); what is printed goes
through `gateway.cli.output`. This reads the code of every command, so a new one is held to it too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.headings import headings
from tests.life import ROOT

FILES = sorted((ROOT / "gateway" / "cli").glob("*.py"))
#: They make the output and the errors; the version is in no language.
PRINTERS = {"output.py", "faults.py", "progress.py", "root.py", "usage.py"}
#: Calls whose text a person reads. `print_text` is for what was put together from messages.
TOLD = {"print_text", "print_message", "ask_person", "Misuse"}
#: Their text may be plain in other rooms, for what no command raises.
RAISED = {"NotFound", "Conflict", "GatewayError", "BadParameter", "Unavailable"}


#: Words in a row, or a word with a colon; `erasure approve ` is a command.
_PROSE = re.compile(r"(?<![-\w])[A-Za-z]{3,}(?: [a-z]+){2,}|(?<![-\w])[a-z]{3,}:")


def _calls(file: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func
            if isinstance(name, ast.Name | ast.Attribute):
                yield (name.id if isinstance(name, ast.Name) else name.attr), node


def _sentences(call: ast.Call) -> list[str]:
    """Return the sentences among a call's own arguments."""
    found = []
    for argument in call.args:
        inside = [argument]
        if isinstance(argument, ast.JoinedStr):
            inside = list(argument.values)
        for one in inside:
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                found += re.findall(
                    r"(?<![-\w])[A-Za-z]{3,}(?: [a-z]+){2,}|(?<![-\w])[a-z]{3,}:", one.value
                )
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_command_holds_a_sentence_of_its_own(file: Path) -> None:
    for name, call in _calls(file):
        place = f"{file.name}:{call.lineno}"
        if name in ("echo", "secho", "confirm", "prompt", "print"):
            assert file.name in PRINTERS, f"{place}: print_message, or print_text"
        if name in TOLD | RAISED and file.name != "usage.py":
            assert name != "BadParameter", f"{place}: Misuse(say(...))"
            assert not _sentences(call), f"{place}: say(...) of a table"
            if name in RAISED:
                assert not isinstance(call.args[0], ast.Constant | ast.JoinedStr), place


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_heading_is_there_in_both_languages(file: Path) -> None:
    for name, call in _calls(file):
        if name in ("table", "communes", "print_value") and call.args and file.name != "output.py":
            for one in ast.walk(call.args[0]):
                if isinstance(one, ast.Constant) and isinstance(one.value, str):
                    assert one.value in headings, f"{file.name}:{call.lineno}: {one.value}"
