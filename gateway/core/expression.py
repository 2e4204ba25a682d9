"""One JMESPath expression, compiled once, that knows which paths of the document it reads."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from gateway.core.messages import Message, Messages, Text
from gateway.core.request import Json

#: Functions whose result is (a choice or an order of) their first arguments, untouched.
_PASSING = frozenset({"not_null", "reverse", "sort", "sort_by", "to_array"})
_PICKING = frozenset({"max_by", "min_by"})
_PROJECTIONS = frozenset({"projection", "filter_projection", "value_projection", "flatten"})
#: Nodes that read their first child on the given value, and the others on what that gave.
_CHAINS = _PROJECTIONS | {"subexpression", "index_expression", "pipe", "slice"}
#: Nodes that give true or false.
_TRUTHS = frozenset({"comparator", "not_expression"})
#: Far above what a mapping needs.
_MOST_GROWTH = 1000
#: Marks a path as standing for the list of its values.
_LIST = "\0"


class ExpressionError(Exception):
    """The expression does not fit the document. Its text never holds a value of the document."""


class BadExpression(ValueError):
    """Not JMESPath: `position` is the 0-based column in the text."""

    def __init__(self, said: Message, position: int = 0) -> None:
        super().__init__(said.what())
        self.said = said
        self.position = position


# fmt: off
say = Messages(
    Text("backquotes", "between backquotes stands JSON; text goes in 'quotes'", "",
         "entre accents graves se met du JSON ; un texte va entre 'apostrophes'", ""),
    Text("not_jmespath_at", "not a JMESPath expression, at character {at}", "",
         "ce n'est pas une expression JMESPath, au caractère {at}", ""),
    Text("not_jmespath", "not a JMESPath expression", "",
         "ce n'est pas une expression JMESPath", ""),
    Text("too_long", "the expression is too long", "", "l'expression est trop longue", ""),
    Text("no_function", "unknown function {name}()", "", "fonction {name}() inconnue", ""),
    Text("multiplies", "the expression multiplies what it reads", "",
         "l'expression multiplie ce qu'elle lit", ""),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; equal to another of the same text.

    `reads` are the paths it reads, relative to what it is given, each item of a list as `[]`:
    `fields.enfants_raw[?pai].nom` reads `fields.enfants_raw[].pai` and `fields.enfants_raw[].nom`.
    `@` is the whole of what it is given. `item` is one item of its result: `fields.enfants_raw[]`
    for both `fields.enfants_raw` and `fields.enfants_raw[?pai]`. `roots` are the names that it
    reads first, `fields` all names, `functions` those it calls.
    """

    text: str
    reads: tuple[str, ...] = ()
    item: str = "@"
    roots: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    steps: tuple[str, ...] | None = field(default=None, repr=False, compare=False)
    parsed: Any = field(default=None, repr=False, compare=False)
    options: jmespath.Options | None = field(default=None, repr=False, compare=False)

    def search(self, value: Json) -> Json:
        """Return the value at the path, None when there is none; `ExpressionError` when it cannot
        say."""
        if self.steps is not None:
            for step in self.steps:
                if not isinstance(value, dict):
                    return None
                value = value.get(step)
            return value
        try:
            return self.parsed.search(value, options=self.options)
        except Exception as error:
            # The interpreter raises many kinds on a form's odd values, and puts these in its texts.
            raise ExpressionError(type(error).__name__) from None

    def read(self, value: Json) -> Json:
        """Return the value in somebody else's document: None where it cannot be computed as
        well."""
        try:
            return self.search(value)
        except ExpressionError:
            return None


def compile_expression(text: str, library: Functions | None = None) -> Expression:
    """Compile; `BadExpression` says what is wrong and where. `library`: JMESPath's functions and
    further ones."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parsed = jmespath.compile(text)
    except Warning:
        raise BadExpression(say("backquotes")) from None
    except JMESPathError as error:
        position = getattr(error, "lex_position", None)
        if position is None:
            position = getattr(error, "lexer_position", None)
        at = position if isinstance(position, int) else len(text)
        raise BadExpression(say("not_jmespath_at", at=at + 1), at) from None
    except (ValueError, RecursionError):
        raise BadExpression(say("not_jmespath")) from None
    try:
        return _compiled(text, parsed, library)
    except RecursionError:
        raise BadExpression(say("too_long")) from None


def _compiled(text: str, parsed: Any, library: Functions | None) -> Expression:
    tree = parsed.parsed
    _growth(tree)
    functions = _named(tree, "function_expression")
    unknown = functions - set((library or Functions).FUNCTION_TABLE)
    if unknown:
        raise BadExpression(say("no_function", name=min(unknown)))
    reads = _Reads()
    result = reads.whole(tree, ("",))
    reads.add(result)
    return Expression(
        text=text,
        reads=tuple(reads.found),
        item=(_items(result)[-1] if result else "@") or "@",
        roots=frozenset(_roots(tree)),
        fields=frozenset(_named(tree, "field")),
        functions=frozenset(functions),
        steps=_steps(tree),
        parsed=parsed,
        options=None if library is None else jmespath.Options(custom_functions=library),
    )


def _growth(node: Any) -> int:
    """Return how many times, at most, what an expression reads once can stand in its result: step
    after step of `[@, @]` doubles it each time, and a short text would fill the memory. Raises
    BadExpression beyond the bound."""
    grown = [_growth(child) for child in node["children"] if isinstance(child, dict)]
    growth = math.prod(grown) if node["type"] in _CHAINS else max(1, sum(grown))
    if growth > _MOST_GROWTH:
        raise BadExpression(say("multiplies"))
    return 1 if node["type"] in _TRUTHS else growth


def _named(node: Any, kind: str) -> set[str]:
    """Return the names of all nodes of this kind, wherever they stand."""
    found = {str(node["value"])} if node["type"] == kind else set()
    for child in node["children"]:
        if isinstance(child, dict):
            found |= _named(child, kind)
    return found


def _roots(node: Any) -> set[str]:
    """Return the names that an expression reads on the value it is given."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        return {str(node["value"])}
    if kind == "expref":
        return set()
    if kind in _CHAINS:
        children = children[:1]
    return {name for child in children if isinstance(child, dict) for name in _roots(child)}


def below(base: str, path: str) -> str:
    """Return `path`, relative to `base`, as one path (`@` being `base` itself)."""
    if path == "@":
        return base or "@"
    if not base or base == "@":
        return path
    return base + path if path.startswith("[") else f"{base}.{path}"


def _steps(node: Any) -> tuple[str, ...] | None:
    """Return the names of a plain dotted path, which need no interpreter; None for anything
    else."""
    if node["type"] == "field":
        return (str(node["value"]),)
    if node["type"] != "subexpression":
        return None
    steps: tuple[str, ...] = ()
    for child in node["children"]:
        more = _steps(child)
        if more is None:
            return None
        steps += more
    return steps


class _Reads:
    """Walks a syntax tree with the paths that the current node may stand for.

    `walk` returns what the node's result stands for; what is compared, tested or given to a
    function is taken on the way.
    """

    def __init__(self) -> None:
        self.found: dict[str, None] = {}

    def add(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.found[path.rstrip(_LIST) or "@"] = None

    def whole(self, node: Any, bases: tuple[str, ...]) -> tuple[str, ...]:
        """As `walk`, for a result taken as a whole: a projection's is then a list."""
        result = self.walk(node, bases)
        if node["type"] in _PROJECTIONS:
            return tuple(path.rstrip(_LIST) + _LIST for path in result)
        return result

    def walk(self, node: Any, bases: tuple[str, ...]) -> tuple[str, ...]:  # noqa: C901 - one case a kind of node
        kind, children = node["type"], node["children"]
        match kind:
            case "literal":
                return ()
            case "current" | "identity":
                return bases
            case "field":
                names = (b.rstrip(_LIST) for b in bases)
                return tuple(f"{b}.{node['value']}" if b else str(node["value"]) for b in names)
            case "index" | "slice":
                return _items(bases)
            case "pipe":
                return self.walk(children[1], self.whole(children[0], bases))
            case "subexpression" | "index_expression":
                for child in children:
                    bases = self.walk(child, bases)
                return bases
            case "flatten":
                return self.walk(children[0], bases)
            case "projection":
                left, right = children
                # A slice stands for the items already.
                items = self.walk(left, bases)
                return self.walk(right, items if _sliced(left) else _items(items))
            case "value_projection":
                values = tuple(f"{b}.*" if b else "*" for b in self.walk(children[0], bases))
                return self.walk(children[1], values)
            case "filter_projection":
                items = _items(self.walk(children[0], bases))
                self.add(self.walk(children[2], items))
                return self.walk(children[1], items)
            case "and_expression" | "or_expression":
                return tuple(p for child in children for p in self.walk(child, bases))
            case "function_expression":
                return self.function(str(node["value"]), children, bases)
        # Comparisons, negations and built objects: their result is no path any more.
        for child in children:
            self.add(self.walk(child, bases))
        return ()

    def function(self, name: str, args: Any, bases: tuple[str, ...]) -> tuple[str, ...]:
        plain = [a for a in args if a["type"] != "expref"]
        given = tuple(p for arg in plain for p in self.whole(arg, bases))
        for arg in args:
            if arg["type"] == "expref":
                self.add(self.walk(arg["children"][0], _items(given)))
        if name in _PASSING:
            return given
        if name in _PICKING:
            return _items(given)
        self.add(given)
        return ()


def _items(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(p[:-1] if p.endswith(_LIST) else f"{p}[]" for p in paths)


def _sliced(node: Any) -> bool:
    return bool(node["type"] == "index_expression" and node["children"][-1]["type"] == "slice")
