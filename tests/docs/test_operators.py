"""docs/operators.md and its French twin: what they name is there, and they say the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from gateway.cli.root import app
from gateway.ops.metrics import Metrics
from gateway.ops.shapes import Health
from tests.life import ROOT

ENGLISH, FRENCH = PAGES = ("docs/operators.md", "docs/fr/exploitation.md")
#: What a page is called in the other language.
TWINS = {
    "docs/operators.md": "docs/fr/exploitation.md",
    "docs/security.md": "docs/fr/securite.md",
}
#: What is raised for wrong usage.
Refused = typer.BadParameter.__mro__[1]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
#: A file of this repository, as the pages and the unit write it.
_FILE = re.compile(r"^(?:deploy|config|docs|adapters|mappings|tests)/[\w./-]+$|^[A-Z]\w+(?:\.md)?$")


@cache
def text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def prose(page: str) -> str:
    """A page without its blocks of commands."""
    return _FENCE.sub("", text(page))


def commands(page: str) -> list[str]:
    """Each command of the blocks, without what is said of it."""
    lines = [line for _, block in _FENCE.findall(text(page)) for line in block.splitlines()]
    return [" ".join(shlex.split(line, comments=True)) for line in lines]


def shell(page: str) -> Iterator[list[str]]:
    for kind, block in _FENCE.findall(text(page)):
        for line in block.splitlines() if kind == "sh" else ():
            yield shlex.split(line, comments=True)


def spans(part: str) -> list[str]:
    return [" ".join(one.split()) for one in _SPAN.findall(part)]


def sections(page: str) -> list[str]:
    return re.split(r"^## ", prose(page), flags=re.MULTILINE)


@cache
def command_line() -> Any:
    """Return the tree of commands, which takes long to make."""
    return typer.main.get_command(app)


def parsed(words: list[str], *, whole: bool) -> None:
    """Raises Refused for what the command line would refuse. `whole`: with its arguments."""
    command = command_line()
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            if whole:
                raise Refused("no command is named")
            return
        name, *words = words
        if name not in command.commands:
            raise Refused(f"no command {name}")
        command = command.commands[name]
    command.make_context("gru-gateway", list(words), resilient_parsing=not whole)


def after_name(words: list[str]) -> list[list[str]]:
    """Return the arguments of each `gru-gateway` command in a line."""
    starts = [at for at, word in enumerate(words) if Path(word).name == "gru-gateway"]
    # As a unit, an account, a database or a file it is another's argument.
    called = [at for at in starts if at == 0 or words[at - 1] in ("exec", "gateway", "root", "|")]
    return [words[at + 1 :] for at in called]


@pytest.mark.parametrize("page", PAGES)
def test_each_command_is_one_that_the_command_line_takes(page: str) -> None:
    found = [words for line in shell(page) for words in after_name(line)]
    assert len(found) > 40
    for words in found:
        parsed(list(words), whole=True)


@pytest.mark.parametrize("page", PAGES)
def test_each_command_in_a_sentence_is_there(page: str) -> None:
    root = command_line()
    groups = {name for name, one in root.commands.items() if hasattr(one, "commands")}
    found = 0
    for span in spans(prose(page)):
        words = span.replace("…", "").split()
        if words and words[0] == "gru-gateway" and len(words) > 1:
            parsed(words[1:], whole=False)
            found += 1
        elif len(words) > 1 and words[0] in groups and words[1].isalpha():
            parsed(words, whole=False)
            found += 1
    assert found > 30


def test_what_is_no_command_is_refused() -> None:
    for words in (["helth"], ["request", "whi"], ["health", "--strickt"], ["erasure", "done"]):
        with pytest.raises(Refused):
            parsed(words, whole=True)


@pytest.mark.parametrize("page", [*PAGES, "deploy/install.sh", "deploy/gru-gateway.service"])
def test_each_file_is_there(page: str) -> None:
    if page.endswith(".md"):
        words = [word for line in shell(page) for word in line] + spans(prose(page))
    else:
        words = re.split(r"[\s\"'`]+", text(page))
    words = [word.removeprefix("/usr/local/src/gru-gateway/") for word in words]
    words = [re.sub(r"^\$source/", "", word) for word in words]
    named = {word.rstrip(".,:;") for word in words if _FILE.match(word.rstrip(".,:;"))}
    named -= {"INSEE", "GRU", "FORM", "PORTAL", "NAME", "VERSION", "BEFORE", "BROKEN", "WAITING"}
    files = {name for name in named if "/" in name or name in ("Dockerfile", "CHANGELOG.md")}
    assert files
    for name in files:
        assert (ROOT / name).exists(), name


def test_both_pages_have_the_same_sections_and_commands() -> None:
    levels = [[len(level) for level, _ in _HEADING.findall(prose(page))] for page in PAGES]
    assert levels[0] == levels[1]
    assert commands(ENGLISH) == commands(FRENCH)
    for one, other in zip(sections(ENGLISH), sections(FRENCH), strict=True):
        title = one.partition("\n")[0]
        english = sorted(TWINS.get(span, span) for span in spans(one))
        french = sorted(TWINS.get(span, span) for span in spans(other))
        assert english == french, title


def anchors(page: str) -> set[str]:
    titles = [title.lower() for _, title in _HEADING.findall(prose(page))]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_each_link_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(#([^)]+)\)", text(page))
    assert len(links) > 10
    assert set(links) <= anchors(page)


@pytest.mark.parametrize("page", PAGES)
def test_each_part_of_health_has_its_line(page: str) -> None:
    told = "".join(part for part in sections(page) if "`not ready: no answer`" in part)
    whole = {"status", "ready", "started_at", "now", "requests"}
    for part in fields(Health):
        assert part.name in whole or re.search(rf"`{part.name}\b", told), part.name


def metrics() -> set[str]:
    families = list(Metrics().registry.collect())
    return {one.name + ("_total" if one.type == "counter" else "") for one in families}


@pytest.mark.parametrize("page", PAGES)
def test_each_metric_and_event_is_there(page: str) -> None:
    named = {span for span in spans(prose(page)) if span.startswith("gru_gateway_")}
    assert len(named) > 5
    assert named <= metrics()
    code = "".join(file.read_text("utf-8") for file in (ROOT / "gateway").rglob("*.py"))
    table = [line for line in prose(page).splitlines() if line.startswith("| `")]
    events = {span for line in table for span in spans(line.split("|")[1]) if "." in span}
    events = {one for one in events if re.fullmatch(r"[a-z_]+\.[a-z_]+", one)}
    assert len(events) > 10
    for event in events:
        assert f'"{event}"' in code, event


def test_each_alert_is_of_a_metric_that_is_there_and_in_the_pages() -> None:
    rules = yaml.safe_load(text("deploy/alerts.yaml"))["groups"][0]["rules"]
    assert len(rules) > 5
    for rule in rules:
        named = set(re.findall(r"gru_gateway_\w+", rule["expr"]))
        assert named
        assert named <= metrics(), rule["alert"]
        for page in PAGES:
            assert named <= set(spans(prose(page))), rule["alert"]
        for command in re.findall(r"gru-gateway ([a-z -]+)$", rule["annotations"]["summary"]):
            parsed(command.split(), whole=True)
