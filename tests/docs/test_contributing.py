"""CONTRIBUTING.md: what it tells a developer to run, read or open is there."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
from functools import cache

import pytest
import yaml

from gateway.flow.crash_points import CRASH_POINTS, CRASH_VARIABLE
from tests.docs.test_operators import parsed, spans
from tests.life import ROOT

PAGE = "CONTRIBUTING.md"
_FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)
#: What stands for somebody's own.
PLACEHOLDERS = {"NAME", "AREA", "OVER"}
#: Where the page's files are; those of the gateway are named from its folder.
IN = ("", "gateway")
_FILE = re.compile(r"^(?:\.?[\w-]+/)+[\w.-]*$|^[\w./-]+\.(?:md|py|toml|yaml|sql|json)$")


@cache
def text() -> str:
    return (ROOT / PAGE).read_text("utf-8")


@cache
def commands() -> tuple[tuple[str, ...], ...]:
    lines = [line for block in _FENCE.findall(text()) for line in block.splitlines()]
    return tuple(tuple(shlex.split(line, comments=True)) for line in lines if line.strip())


def program(words: tuple[str, ...]) -> tuple[str, ...]:
    """A command without the environment that is set before it."""
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    return words


def test_the_page_has_commands() -> None:
    assert len(commands()) > 20
    programs = {program(words)[0] for words in commands()}
    assert programs == {"make", "pre-commit", "curl", ".venv/bin/python", ".venv/bin/gru-gateway"}


def test_each_target_of_make_is_there() -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text("utf-8")))
    named = {words[1] for words in commands() if words[0] == "make"}
    named |= {span.split()[1] for span in spans(text()) if re.fullmatch(r"make [a-z-]+", span)}
    assert len(named) > 6
    assert named <= targets


def test_make_help_names_each_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    told = set(re.findall(r'@echo "make ([a-z-]+) ', makefile))
    assert told == set(_TARGET.findall(makefile)) - {"help", "style"}


def test_each_command_of_the_gateway_is_taken() -> None:
    found = [program(words)[1:] for words in commands()]
    ours = [program(words)[0].endswith("gru-gateway") for words in commands()]
    for words, mine in zip(found, ours, strict=True):
        if mine:
            parsed(list(words), whole=True)


def test_each_module_and_test_that_is_run_is_there() -> None:
    for words in map(program, commands()):
        if words[0] != ".venv/bin/python":
            continue
        assert words[1] == "-m"
        assert importlib.util.find_spec(words[2]) is not None, words[2]
        for word in words[3:]:
            assert not word.startswith("tests/") or (ROOT / word).exists(), word


def test_each_crash_point_is_one() -> None:
    points = [word.partition("=")[2] for words in commands() for word in words if "=" in word]
    wanted = [words[0] for words in commands() if words[0].startswith(CRASH_VARIABLE)]
    assert wanted
    for point in (one.partition("=")[2] for one in wanted):
        assert point in CRASH_POINTS
        assert point in points
    for words in commands():
        if "-k" in words and "." in words[words.index("-k") + 1]:
            assert words[words.index("-k") + 1] in CRASH_POINTS


def test_each_file_is_there() -> None:
    named = {span.rstrip("/") for span in spans(text()) if _FILE.match(span)}
    links = set(re.findall(r"\]\(([^)#]+)\)", text()))
    files = {name for name in named | links if not PLACEHOLDERS & set(re.split(r"\W|_", name))}
    files -= {"reasons.py", "quality.yaml", "glc.py", "network.py"}  # one of many of that name
    assert len(files) > 25
    missing = {
        name for name in files if not any((ROOT / at / name).exists() for at in ("", "gateway"))
    }
    assert missing == {".hypothesis", "htmlcov/index.html"} & missing, missing


def test_the_hooks_are_of_the_project_and_need_no_network() -> None:
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert repo["repo"] == "local"
    for hook in repo["hooks"]:
        if hook["language"] == "system":
            assert hook["entry"].startswith(".venv/bin/")
        else:
            assert hook["language"] == "pygrep"


def test_the_container_is_set_up_as_the_page_says() -> None:
    made = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    (packages,) = re.findall(r"`apt-get install ([^`]+)`", text())
    installed = made["onCreateCommand"].partition("install")[2].split()
    assert set(packages.split()) <= set(installed)
    assert made["postCreateCommand"] == "make venv"


@pytest.mark.parametrize("named", ["decide", "decide_finding"])
def test_what_decides_is_where_the_page_says(named: str) -> None:
    from gateway.core import delivery
    from gateway.flow.lanes.state import Lane

    assert hasattr(delivery, named)
    assert hasattr(Lane, "room")
