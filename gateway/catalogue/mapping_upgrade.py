"""Registered steps that lift a mapping file to the present spelling.

Each takes one key that was written otherwise. A file is lifted when it is read, so that an old one
goes on working as it is; `mapping upgrade` writes it anew, comments and layout kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from gateway.catalogue.yaml_reader import LocatedData, Path, load_yaml

_RULES: Final = frozenset({"submit", "amend"})


@dataclass(frozen=True, slots=True)
class UpgradeStep:
    """A rule's option of before, with what it is now, and why.

    `now` is by the value: the option and its value, None where it is simply left out.
    """

    option: str
    now: Mapping[Any, tuple[str, str] | None]
    why: str


STEPS: Final = (
    UpgradeStep(
        "strip_html",
        {True: ("rich_text", "text"), False: None},
        "rich text has four languages: text, html, markdown, textile",
    ),
    UpgradeStep(
        "truncate",
        {True: ("too_long", "cut"), False: None},
        "what is too long is refused, cut, or cut with a notice",
    ),
)
_BY_OPTION: Final = {step.option: step for step in STEPS}


@dataclass(frozen=True, slots=True)
class OldSpelling:
    """A key of before in a file, and what stands for it now (empty: nothing)."""

    path: Path
    line: int
    column: int
    step: UpgradeStep
    now: str


def lifted(located: LocatedData) -> LocatedData:
    """Return what a file says in the present spelling, each key at its place."""
    found = list(old_spellings(located))
    if not found:
        return located
    value = {key: _copied(one) for key, one in located.value.items()}
    places = [dict(one) for one in (located.lines, located.columns)]
    for one in found:
        inside = value
        for key in one.path[:-1]:
            inside = inside[key]
        given = inside[one.path[-1]]
        made = {}
        for key, old in inside.items():
            if key != one.path[-1]:
                made[key] = old
            elif now := one.step.now[given] if given is not None else _removal(one.step):
                made[now[0]] = None if given is None else now[1]
                for place in places:
                    place[*one.path[:-1], now[0]] = place.get(one.path, 1)
        inside.clear()
        inside.update(made)
    return dataclasses.replace(located, value=value, lines=places[0], columns=places[1])


def old_spellings(located: LocatedData) -> Iterator[OldSpelling]:
    """Yield each key of before that stands in a file's rules."""
    value = located.value if isinstance(located.value, dict) else {}
    for section in value:
        if section in _RULES:
            yield from _old(value[section], (section,), located)


def _old(value: Any, path: Path, located: LocatedData) -> Iterator[OldSpelling]:
    if isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _old(inner, (*path, n), located)
    elif isinstance(value, dict):
        for key, inner in value.items():
            step = _BY_OPTION.get(key)
            # A target of that name has a path or a rule, never a word like these.
            if step is not None and (inner is None or isinstance(inner, bool)):
                now = _removal(step) if inner is None else step.now[inner]
                if now is None or now[0] not in value:
                    _, line, column = located.place((*path, key))
                    new = "" if now is None else f"{now[0]}: {'null' if inner is None else now[1]}"
                    yield OldSpelling((*path, key), line, column, step, new)
            else:
                yield from _old(inner, (*path, key), located)


def _removal(step: UpgradeStep) -> tuple[str, str] | None:
    return next((now for now in step.now.values() if now is not None), None)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, list) else value


def upgraded(text: str, file: str) -> str:
    """Return the text of a file in the present spelling, all else to the letter.

    Raises ConfigurationFault for what is not YAML.
    """
    located = load_yaml(text, file)
    found = {one.path: one for one in old_spellings(located)}
    root = yaml.compose(text, Loader=yaml.SafeLoader) if found else None
    edits = sorted(_edits(root, (), found, text), reverse=True) if root is not None else []
    for start, end, now in edits:
        text = text[:start] + now + text[end:]
    return text


def _edits(
    node: yaml.Node, path: Path, found: Mapping[Path, OldSpelling], text: str
) -> Iterator[tuple[int, int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for n, inner in enumerate(node.value):
            yield from _edits(inner, (*path, n), found, text)
    elif isinstance(node, yaml.MappingNode):
        for key, inner in node.value:
            here = (*path, key.value)
            if here not in found:
                yield from _edits(inner, here, found, text)
                continue
            start, end = key.start_mark.index, inner.end_mark.index
            if not found[here].now:
                start, end = _without(text, start, end)
            yield start, end, found[here].now


def _without(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a key that goes by what parts it from its neighbours."""
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    line_end = len(text) if line_end < 0 else line_end
    if not text[line_start:start].strip() and not text[end:line_end].strip():
        return line_start, min(line_end + 1, len(text))
    before = text[:start].rstrip()
    if before.endswith(","):
        return len(before) - 1, end
    after = text[end:]
    if after.lstrip().startswith(","):
        return start, end + after.index(",") + 1 + (after[after.index(",") + 1 :][:1] == " ")
    return start, end


__all__ = ["STEPS", "OldSpelling", "UpgradeStep", "lifted", "old_spellings", "upgraded"]
