"""Reads YAML strictly, with the line of every value.

`on`, `off`, `yes`, `no`, dates and digits with a leading zero stay text; keys are text; duplicate
keys and tags are refused; anchors and `<<` merges work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import yaml

from gateway.catalogue.texts import say
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.messages import Message

Path = tuple[str | int, ...]
T = TypeVar("T")

_PLAIN, _TEXT, _LIST, _MAP = "plain", "text", "list", "map"
_OURS = frozenset({_PLAIN, _TEXT, _LIST, _MAP})
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?\Z")
#: Characters that control a terminal or disguise a text. No file needs them: `"\\e"` and
#: `"\\u202e"` can be written.
_UNPRINTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True} | {
    "false": False,
    "False": False,
    "FALSE": False,
}
# Aliases can turn a small text into a huge value; no honest file comes near these.
_MOST_VALUES = 200_000
#: Values beyond the number of characters.
_MOST_UNFOLDED = 10_000
_DEEPEST = 100
#: The words of libyaml and PyYAML for a fault, and ours.
_PROBLEMS = (
    ("mapping values are not allowed", "not_yaml_colon"),
    ("expected a single document", "several_documents"),
    ("but found another document", "several_documents"),
    ("undefined alias", "not_yaml_alias"),
    ("cannot start any token", "not_yaml_start"),
    ("found unexpected end of stream", "not_yaml_open"),
    ("while parsing a flow", "not_yaml_open"),
    ("while scanning a quoted scalar", "not_yaml_open"),
    ("did not find expected key", "not_yaml_indent"),
    ("expected <block end>", "not_yaml_indent"),
    ("did not find expected '-' indicator", "not_yaml_indent"),
    ("could not find expected ':'", "not_yaml_indent"),
)
_MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class LocatedData:
    """Plain data (dict, list, str, int, float, bool, None) read from `file`, with lines. `files`
    names the file of each value that comes from another one."""

    value: Any
    file: str
    lines: Mapping[Path, int] = field(default_factory=dict)
    columns: Mapping[Path, int] = field(default_factory=dict)
    files: Mapping[Path, str] = field(default_factory=dict)

    def line(self, path: Path = ()) -> int:
        """Return the 1-based line of the value at `path`, or of its nearest existing ancestor."""
        return self.place(path)[1]

    def place(self, path: Path = ()) -> tuple[str, int, int]:
        """Return file, line and column (0: unknown) of the value at `path`, or of its nearest
        existing ancestor."""
        for end in range(len(path), -1, -1):
            at = tuple(path[:end])
            if (line := self.lines.get(at)) is not None:
                return self.files.get(at, self.file), line, self.columns.get(at, 0)
        return self.file, 1, 0

    def fault(self, path: Path, said: Message) -> Fault:
        """Make a fault at `path`."""
        file, line, column = self.place(path)
        return Fault(file, line, said, column)

    def at(self, path: Path) -> LocatedData:
        """Return the part below `path` (which must exist), with its lines."""
        value = self.value
        for step in path:
            value = value[step]
        start = len(path)

        def below(known: Mapping[Path, T]) -> dict[Path, T]:
            return {p[start:]: one for p, one in known.items() if p[:start] == tuple(path)}

        return LocatedData(
            value, self.file, below(self.lines), below(self.columns), below(self.files)
        )


class _Tags:
    """Records how a node was written, to find explicit tags."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _LIST if kind is yaml.SequenceNode else _MAP


class _Composer(_Tags, yaml.SafeLoader):
    """Turns text into nodes."""


_composer: Callable[[str], Any] = _Composer
if hasattr(yaml, "CSafeLoader"):  # without libyaml, PyYAML is slower

    class _FastComposer(_Tags, yaml.CSafeLoader):
        """Turns text into nodes, with libyaml."""

    _composer = _FastComposer


def load_yaml(text: str, file: str) -> LocatedData:
    """Read one YAML document; an empty one is None. Raises `ConfigurationFault` with `file` and
    line for bad syntax, duplicate keys, tags, and a second document."""
    if text.startswith("\ufeff"):
        text = text[1:]
    loader = None
    try:
        _measure(text, file)
        loader = _composer(text)
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        why = _why(f"{error.problem} {error.context}")
        if why == "not_yaml_open":  # tell where it was opened
            mark = error.context_mark or mark
        # At the end of the text, the mark's line does not exist.
        last = text.rstrip().count("\n") + 1
        line = min(mark.line + 1, last) if mark else 1
        for sign, word in (("\t", "tab"), ("\u00a0", "odd_blank")):
            if (indented := _indented_with(sign, text, line)) is not None:
                lines = text.split("\n")
                _refuse(file, indented, say(word), lines[indented - 1].index(sign) + 1)
        if why == "not_yaml_colon" and mark and _first_colon(text, mark):
            why = "not_yaml_indent"
        column = mark.column + 1 if mark and mark.line + 1 == line else 0
        _refuse(file, line, say(why), column)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        _refuse(file, line, say("unprintable"))
    except (yaml.YAMLError, RecursionError):
        _refuse(file, 1, say("too_deep"))
    finally:
        if loader is not None:
            loader.dispose()
    builder = _Builder(file, min(_MOST_VALUES, len(text) + _MOST_UNFOLDED))
    builder.lines[()] = 1
    value = None if node is None else builder.value(node, ())
    if builder.faults:
        raise ConfigurationFault(builder.faults)
    return LocatedData(value, file, builder.lines, builder.columns)


def _first_colon(text: str, mark: yaml.Mark) -> bool:
    """Is the colon at `mark` the first of its line? Then the line is indented too far."""
    lines = text.split("\n")
    return mark.line < len(lines) and ":" not in lines[mark.line][: mark.column]


def _indented_with(sign: str, text: str, line: int) -> int | None:
    """Return the line indented with `sign` that may cause the fault at `line`: libyaml names the
    next unexpected thing."""
    lines = text.split("\n")
    for number in (line, line - 1):
        if 0 < number <= len(lines):
            indented = lines[number - 1]
            if sign in indented[: len(indented) - len(indented.lstrip())]:
                return number
    return None


def _measure(text: str, file: str) -> None:
    """Refuse what is too deep or too large before it is built: libyaml recurses, and a full stack
    kills the process."""
    reader = _composer(text)
    deep = count = 0
    try:
        while reader.check_event():
            event = reader.get_event()
            deep += isinstance(event, yaml.CollectionStartEvent)
            deep -= isinstance(event, yaml.CollectionEndEvent)
            count += isinstance(event, yaml.NodeEvent)
            if deep > _DEEPEST or count > _MOST_VALUES:
                word = "too_deep" if deep > _DEEPEST else "too_many_values"
                _refuse(file, event.start_mark.line + 1, say(word))
    finally:
        reader.dispose()


def _why(problem: str) -> str:
    """Find our sentence for one of libyaml's, in either build's words."""
    return next((word for text, word in _PROBLEMS if text in problem), "not_yaml")


def _refuse(file: str, line: int, said: Message, column: int = 0) -> NoReturn:
    raise ConfigurationFault([Fault(file, line, said, column)]) from None


class _Builder:
    """Turns nodes into values, with lines and faults."""

    def __init__(self, file: str, most: int) -> None:
        self.file = file
        self.most = most
        self.lines: dict[Path, int] = {}
        self.columns: dict[Path, int] = {}
        self.faults: list[Fault] = []
        self.open: set[int] = set()
        self.count = 0

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self.columns.setdefault(path, node.start_mark.column + 1)
        self.counted(1, line)
        if node.tag not in _OURS:
            self.fault(node, say("tagged", tag=node.tag))
            return None
        if isinstance(node, yaml.ScalarNode):
            self.printed(node)
            return _plain(node.value) if node.tag == _PLAIN else node.value
        if id(node) in self.open:
            self.fault(node, say("alias_loop"))
            return None
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self.mapping(node, path)
        finally:
            self.open.discard(id(node))

    def mapping(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        seen: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not _is_text(key_node) or key_node.tag not in _OURS:
                self.fault(key_node, say("odd_key"))
                continue
            self.printed(key_node)
            key = key_node.value
            if key == "<<" and key_node.tag == _PLAIN:
                many = isinstance(value_node, yaml.SequenceNode)
                merged.extend(value_node.value if many else [value_node])
                continue
            if key in seen:
                self.fault(key_node, say("key_twice", key=key, line=seen[key]))
                continue
            seen[key] = line
            self.lines[(*path, key)] = line
            self.columns[(*path, key)] = key_node.start_mark.column + 1
            found[key] = self.value(value_node, (*path, key))
        for other in merged:
            line = other.start_mark.line + 1
            if not isinstance(other, yaml.MappingNode):
                self.fault(other, say("odd_merge"))
                continue
            if id(other) in self.open:
                self.fault(other, say("alias_loop"))
                continue
            # Keys that exist already are passed over, which takes time as well.
            self.counted(len(other.value), line)
            # A key that is a list, or in another's keys, is reported where it is read.
            own = [p for p in other.value if not (_is_text(p[0]) and p[0].value in found)]
            part = yaml.MappingNode(other.tag, own, other.start_mark, other.end_mark)
            self.open.add(id(other))
            found.update(self.mapping(part, path))
            self.open.discard(id(other))
        return found

    def printed(self, node: yaml.ScalarNode) -> None:
        if _UNPRINTED.search(node.value):
            _refuse(self.file, node.start_mark.line + 1, say("unprintable"))

    def counted(self, values: int, line: int) -> None:
        self.count += values
        if self.count > self.most or len(self.open) > _DEEPEST:
            word = "too_deep" if len(self.open) > _DEEPEST else "too_many_values"
            _refuse(self.file, line, say(word))

    def fault(self, node: yaml.Node, said: Message) -> None:
        mark = node.start_mark
        self.faults.append(Fault(self.file, mark.line + 1, said, mark.column + 1))
        if len(self.faults) >= _MOST_FAULTS:
            raise ConfigurationFault(self.faults)


def _is_text(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode)


def _plain(text: str) -> Any:
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.match(text) and len(text) <= 18:
        return int(text)
    if _NUMBER.match(text):
        return float(text)
    return text
