"""The house: one meaning for each public name, and pages that tell the truth about the code."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
#: The pages that name files of the house.
PAGES = sorted(
    ["docs/architecture.md", "docs/glossary.md"]
    + [str(page.relative_to(ROOT)) for page in (ROOT / "docs" / "adr").glob("*.md")]
)
_ROOMS = (
    "app|catalogue|cli|contracts|core|demo|flow|following|ops|sandbox|sdk|sim|store|timers|web|wire"
)
#: A module as the pages write it, from `gateway/` or from the root.
_FILE = re.compile(rf"`((?:gateway/|adapters/|tests/)?(?:{_ROOMS}|\w+)[\w/]*\.py|tests/[\w/]+)`")
_PLACE = re.compile(r"`((?:gateway|adapters)(?:\.\w+)+)`")
#: Questions and relative clauses: they make the reader look for the subject.
_BACKWARDS = ("What", "How", "Where", "Who", "Whom", "Whose", "Which", "Why")
#: Functions of the same name that are imported by themselves, and why they may be.
ENTRANCES = {"main": "the entry point of a command, named as everybody names it"}
#: Verbs of too many acts: receive, store, record, read, report, log, lock and others say which.
VAGUE_VERBS = {"hold", "keep", "look", "mark", "said", "take", "tell", "told"}
#: Words of the SDK and of published contracts, and what they mean there.
VAGUE_FUNCTIONS = {
    "gateway.core.errors.said": "all faults as a message; as `GatewayError.said`",
    "gateway.core.errors.told": "a fault on one line; as `Message.told`",
    "gateway.core.messages.told": "a message on one line, in one language; of the SDK",
    "gateway.core.reasons.said": "a reason as a message; of the SDK",
    "gateway.ops.why.told": "a cause as plain values; as `Message.told`",
    "gateway.sdk.adapter.said": "a note as a message; of the SDK",
    "gateway.store.schema.said": "a fault as a message; as `Note.said`",
    "gateway.web.portal.tell": "the operation's name in the published contract",
}
#: The last word of a class's name: what was done to a thing does not say what it is.
VAGUE_CLASS_WORDS = {
    *("Anew", "Answered", "Applied", "Asked", "Done", "Everybody", "Handled", "Held", "Judged"),
    *("Kept", "Listed", "Lost", "Needed", "Noted", "Noting", "Owed", "Said", "Sifted", "Taken"),
    *("Taker", "Taking", "Told", "Undoing", "Wanted", "Watched", "Wish"),
}
VAGUE_CLASSES = {
    "gateway.sdk.pivot_models.ClaimResultTold": "the schema's name in the published contract",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@cache
def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module of `gateway` and `adapters`, by dotted name."""
    found = {}
    for path in [*(ROOT / "gateway").rglob("*.py"), *(ROOT / "adapters").rglob("*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "migrations" not in parts:
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = ast.parse(path.read_bytes())
    return found


def public(tree: ast.Module, *kinds: type[ast.stmt]) -> Iterator[ast.stmt]:
    for node in tree.body:
        if isinstance(node, kinds) and not getattr(node, "name", "_").startswith("_"):
            yield node


def is_command(function: Function) -> bool:
    """Is the function named for people, who type its name?"""
    return any(".command" in ast.unparse(one) for one in function.decorator_list)


def doubled(homes: dict[str, set[str]]) -> dict[str, list[str]]:
    return {name: sorted(where) for name, where in homes.items() if len(where) > 1}


def test_a_public_class_name_means_one_thing() -> None:
    homes = defaultdict(set)
    for module, tree in modules().items():
        for node in public(tree, ast.ClassDef):
            homes[getattr(node, "name", "")].add(module)
    assert doubled(homes) == {}


def test_a_class_of_ours_bears_one_name_everywhere() -> None:
    renamed = [
        f"{module}: {alias.name} as {alias.asname}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in modules()
        for alias in node.names
        if alias.asname and alias.name[0].isupper() and not alias.name.isupper()
    ]
    assert renamed == []


def test_a_function_of_a_common_name_is_called_through_its_module() -> None:
    """`apply` or `get` may stand in several modules: then nobody imports it by itself."""
    homes = defaultdict(set)
    for module, tree in modules().items():
        for node in public(tree, ast.FunctionDef, ast.AsyncFunctionDef):
            assert isinstance(node, Function)
            if not is_command(node):
                homes[node.name].add(module)
    common = doubled(homes)
    bare = {
        (module, alias.name): common[alias.name]
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module in modules()
        for alias in node.names
        if alias.name in common and f"{node.module}.{alias.name}" not in modules()
    }
    assert {name for _, name in bare} - ENTRANCES.keys() == set(), bare


def test_a_function_is_named_by_a_verb_of_one_act() -> None:
    vague = {
        f"{module}.{node.name}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, Function) and node.name.strip("_") in VAGUE_VERBS
    }
    assert vague == VAGUE_FUNCTIONS.keys()


def test_a_class_is_named_by_what_it_is() -> None:
    vague = {
        f"{module}.{node.name}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and re.findall("[A-Z][a-z0-9]*", node.name)[-1] in VAGUE_CLASS_WORDS
    }
    assert vague == VAGUE_CLASSES.keys()


def test_public_docstrings_begin_with_their_subject_or_a_verb() -> None:
    backwards = [
        f"{module}:{getattr(node, 'lineno', 1)} {text[:70]}"
        for module, tree in modules().items()
        for node, text in docstrings(tree)
        if text.split()[0] in _BACKWARDS
    ]
    assert backwards == []


def test_comments_and_helpers_of_tests_begin_so_as_well() -> None:
    """The comments on constants in the code, and all docstrings of tests and clients."""
    words = "|".join((*_BACKWARDS, "Whether"))
    comment = re.compile(rf"^ *#: ((?:{words})\b.*)$", re.MULTILINE)
    docstring = re.compile(rf'^ *"""((?:{words})\b[^?]*?)$', re.MULTILINE)
    backwards = [
        f"{path.relative_to(ROOT)}: {text[:70]}"
        for base, pattern in (
            ("gateway", comment),
            ("adapters", comment),
            ("tests", docstring),
            ("clients", docstring),
        )
        for path in (ROOT / base).rglob("*.py")
        for text in pattern.findall(path.read_text("utf-8"))
    ]
    assert backwards == []


def docstrings(tree: ast.Module) -> Iterator[tuple[Documented, str]]:
    """Public things of a module with what is said of them; a sentence that ends with `?` asks."""
    for node in ast.walk(tree):
        if isinstance(node, Documented) and not getattr(node, "name", "").startswith("_"):
            text = ast.get_docstring(node) or ""
            first = re.split(r"(?<=[.?])\s", text)[0]
            if text and not first.endswith("?"):
                yield node, text


def rows(page: str) -> list[list[str]]:
    lines = (ROOT / page).read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [row for row in cells if row[0] != "English" and not row[0].startswith("--")]


@pytest.mark.parametrize("row", rows("docs/glossary.md"), ids=lambda row: row[0])
def test_a_word_of_the_glossary_is_where_it_says(row: list[str]) -> None:
    english, french, meaning, where = row
    assert english
    assert french
    assert meaning
    places = _PLACE.findall(where)
    assert places
    for place in places:
        assert is_there(place), place


def test_the_glossary_has_each_word_once() -> None:
    words = [row[0] for row in rows("docs/glossary.md")]
    assert sorted(words) == sorted(set(words))


def is_there(place: str) -> bool:
    """Is it a module, or a name that a module defines (a class's own with a dot more)?"""
    parts = place.split(".")
    for cut in range(len(parts), 0, -1):
        module = ".".join(parts[:cut])
        if module in modules():
            return _holds(modules()[module].body, parts[cut:])
    return False


def _holds(body: list[ast.stmt], names: list[str]) -> bool:
    if not names:
        return True
    for node in body:
        if isinstance(node, ast.ClassDef | Function) and node.name == names[0]:
            return _holds(node.body, names[1:])
        if isinstance(node, ast.ImportFrom) and any(one.name == names[0] for one in node.names):
            return len(names) == 1
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(one, ast.Name) and one.id == names[0] for one in targets):
            return len(names) == 1
    return False


def test_names_that_code_and_pages_mention_are_there() -> None:
    room = re.compile(rf"`(gateway\.(?:{_ROOMS})(?:\.\w+)*)`")
    pages = [ROOT / "adapters" / "README.md", *(ROOT / "docs").rglob("*.md")]
    sources = [path for base in ("gateway", "adapters") for path in (ROOT / base).rglob("*.py")]
    stale = {
        f"{path.relative_to(ROOT)}: {place}"
        for path in [*pages, *sources]
        for place in room.findall(path.read_text("utf-8"))
        if not is_there(place)
    }
    assert stale == set()


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_names_are_there(page: str) -> None:
    named = set(_FILE.findall((ROOT / page).read_text("utf-8")))
    gone = [
        one for one in named if not any((ROOT / base / one).exists() for base in ("", "gateway"))
    ]
    assert gone == []


def decisions() -> list[Path]:
    return sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


@pytest.mark.parametrize("path", decisions(), ids=lambda path: path.stem)
def test_a_decision_has_its_context_and_consequence(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequence"]
    assert len(text.split()) <= 450, "a decision is short; a second one has its own number"


def test_decisions_are_numbered_and_listed() -> None:
    assert [path.name[:4] for path in decisions()] == [
        f"{n:04}" for n in range(1, len(decisions()) + 1)
    ]
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", index)
    assert listed == [path.name for path in decisions()]


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert [one for one in links if not ((ROOT / page).parent / one).exists()] == []
