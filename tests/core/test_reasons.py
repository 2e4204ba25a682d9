"""The table of reasons is whole: every word that code emits is in it, and each says who acts."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters import email, open311, pivot, publik, rest, sftp, soap
from gateway.core import reasons
from gateway.core.outcome import (
    Absent,
    Accepted,
    CannotTell,
    Finding,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    TryLater,
    Unsure,
)
from gateway.core.reasons import About, Reason, Who
from gateway.flow.judging import lane_health

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = (
    *rest.reasons.REASONS,
    *open311.reasons.REASONS,
    *email.reasons.REASONS,
    *pivot.texts.REASONS,
    *publik.texts.REASONS,
    *sftp.reasons.REASONS,
    *soap.reasons.REASONS,
)
KNOWN = (*reasons.BUILT_IN, *ADAPTERS)
#: Constructors whose reason is the argument at this place.
REASON_AT = {
    "Unreached": 0,
    "Refused": 0,
    "TryLater": 0,
    "Unsure": 0,
    "Misconfigured": 0,
    "CannotTell": 0,
    "Settlement": 1,
    "WithheldPart": 1,
    "UnusableAnswer": 0,
}


#: Of other tables: deleted accounts, logs, the demonstration, answers over HTTP.
OTHERS = (
    "gateway/core/erasure.py",
    "gateway/flow/identity.py",
    "gateway/demo/",
    "gateway/sim/",
    "gateway/contracts/",
    "gateway/web/problems.py",
)


def _name(called: ast.expr) -> str:
    return called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")


def _handing(tree: ast.Module) -> dict[str, int]:
    """Functions of this module that make one of their arguments a reason, and which."""
    found: dict[str, int] = {}
    functions = [
        (
            function.name,
            [a.arg for a in function.args.args if a.arg != "self"],
            [node for node in ast.walk(function) if isinstance(node, ast.Call)],
        )
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    while True:
        known = REASON_AT | found
        before = len(found)
        for name, names, calls in functions:
            for call in calls:
                given = [k.value for k in call.keywords if k.arg == "reason"]
                at = known.get(_name(call.func))
                given += call.args[at : at + 1] if at is not None else []
                for value in given:
                    if isinstance(value, ast.Name) and value.id in names:
                        found[name] = names.index(value.id)
        if len(found) == before:
            return found


def _literals(value: ast.expr) -> Iterator[str | None]:
    """The words an expression can come to. None where a reason is handed on: one that was given,
    or that an integrator wrote in YAML."""
    match value:
        case ast.Constant(value=str(word)):
            yield word
        case ast.IfExp(body=one, orelse=other):
            yield from _literals(one)
            yield from _literals(other)
        case ast.BoolOp(values=several):
            for one in several:
                yield from _literals(one)
        case ast.Name() | ast.Attribute() | ast.Call() | ast.Starred():
            yield None
        case _:
            raise AssertionError(f"a reason that this test cannot follow: {ast.unparse(value)}")


@functools.cache
def emitted() -> tuple[tuple[str, str], ...]:
    """(word, place) of every reason that the code writes out."""
    return tuple(_emitted())


def _emitted() -> Iterator[tuple[str, str]]:
    paths = sorted([*ROOT.glob("gateway/**/*.py"), *ROOT.glob("adapters/**/*.py")])
    trees = {path: ast.parse(path.read_text()) for path in paths}
    handing = {path: _handing(tree) for path, tree in trees.items()}
    public = {f: at for of in handing.values() for f, at in of.items() if not f.startswith("_")}
    for path, tree in trees.items():
        places = REASON_AT | public | handing[path]
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(OTHERS):
            continue
        for node in ast.walk(tree):
            given: list[ast.expr] = []
            if isinstance(node, ast.Assign) and _name(node.targets[0]) == "reason":
                given = [node.value]
            elif isinstance(node, ast.Call):
                given = [k.value for k in node.keywords if k.arg == "reason"]
                if (at := places.get(_name(node.func))) is not None:
                    given += node.args[at : at + 1]
            for value in given:
                for word in _literals(value):
                    if word is not None:
                        yield word, f"{name}:{value.lineno}"
    for path in sorted((ROOT / "gateway/store/sql").glob("*.sql")):
        for word in re.findall(r"\breason = '(\w*)'", path.read_text("utf-8")):
            yield word, path.relative_to(ROOT).as_posix()


def test_every_reason_that_code_emits_is_in_the_table() -> None:
    words = {(word, place) for word, place in emitted() if word}
    assert len(words) > 60, "the search finds them"
    table = {reason.word for reason in KNOWN}
    assert {(word, place) for word, place in words if word not in table} == set()


def test_no_reason_of_the_table_is_dead() -> None:
    used = {word for word, _ in emitted()}
    own = {"person_said_yes", "person_said_no"}  # chosen between in two lines
    assert {reason.word for reason in KNOWN} - used - own == set()


@pytest.mark.parametrize("reason", KNOWN, ids=lambda reason: reason.word)
def test_a_reason_says_what_is_so_and_who_acts(reason: Reason) -> None:
    assert reason.en
    assert reason.fr
    assert bool(reason.do) <= bool(reason.faire), "who acts is told how, in French too"
    if reason.who not in (Who.NOBODY, Who.OPERATOR):
        assert reason.do


def of(reason: str) -> dict[str, Outcome | Finding]:
    return {
        "refused": Refused(reason),
        "try_later": TryLater(reason),
        "misconfigured": Misconfigured(reason),
        "unsure": Unsure(reason),
        "cannot_tell": CannotTell(reason),
        "never_tells": CannotTell(reason, forever=True),
    }


Told = dict[str, bool | None]
FAILS: Told = {
    "try_later": False,
    "misconfigured": False,
    "unsure": False,
    "cannot_tell": False,
}
ANSWERED: Told = {"refused": True, "never_tells": True}
SILENT = dict.fromkeys([*FAILS, *ANSWERED])
#: What each kind of reason tells the breaker, by outcome: good, bad, or nothing.
BREAKER: dict[About, Told] = {
    About.FAR_END: FAILS | ANSWERED,
    About.SETTINGS: FAILS | ANSWERED,
    About.CONTENT: SILENT | ANSWERED,
    About.REQUEST: SILENT | ANSWERED,
    About.UNSENT: SILENT,
    About.GATEWAY: SILENT,
    About.SENDER: SILENT,
}


def test_every_kind_is_held_against_the_breaker() -> None:
    assert set(BREAKER) == set(About)


@pytest.mark.parametrize("reason", KNOWN, ids=lambda reason: reason.word)
def test_what_a_reason_tells_the_breaker(reason: Reason) -> None:
    told = {name: lane_health(outcome) for name, outcome in of(reason.word).items()}
    assert told == BREAKER[reason.about]


def test_a_word_that_nobody_described_is_taken_for_what_its_outcome_is() -> None:
    told = {name: lane_health(outcome) for name, outcome in of("mot_d_integrateur").items()}
    assert told == FAILS | ANSWERED
    unknown = reasons.of("mot_d_integrateur")
    assert (unknown.en, unknown.busy, unknown.believed) == ("mot d integrateur", True, False)


def test_what_called_nobody_tells_nothing() -> None:
    for outcome in (Accepted, Found, Absent):
        assert lane_health(outcome()) is True
        assert lane_health(outcome(called=False)) is None


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        (
            "busy",
            {
                *("bug", "busy", "far_end_error", "no_answer", "owner_died", "stopped"),
                *("timeout", "unreadable_answer"),
            },
        ),
        ("believed", {"busy"}),
        ("parks", {"bug", "conflict"}),
    ],
)
def test_what_is_decided_on_a_word_is_decided_here(flag: str, words: set[str]) -> None:
    assert {reason.word for reason in KNOWN if getattr(reason, flag)} == words


def test_a_word_has_one_meaning() -> None:
    busy = reasons.of("busy")
    reasons.register(busy)
    with pytest.raises(ValueError, match="'busy' has another meaning"):
        reasons.register(Reason("busy", About.CONTENT, Who.GRU, "x", "x"))


def test_what_never_reached_the_far_end_and_what_waits_for_a_person_is_marked() -> None:
    unconnected = {one.word for one in reasons.BUILT_IN if one.unconnected}
    assert {"unreachable", "connection_refused", "unknown_name", "tls_refused"} <= unconnected
    assert not unconnected & {"timeout", "conflict", "refused"}
    assert {one.word for one in reasons.BUILT_IN if one.parks} == {"conflict", "bug"}
