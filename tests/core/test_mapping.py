"""Statuses, portal calls, notes and what a mapping reads."""

from __future__ import annotations

import pytest

from gateway.catalogue.mapping_files import load_mapping
from gateway.core.expression import BadExpression, compile_expression
from gateway.core.mapping import (
    PortalCall,
    RequestMapping,
    StatusRule,
    canonical,
    note_is_public,
    portal_call,
    source_paths,
)
from gateway.core.status import Status

TEXT = """mapping: 1
teleservice: essai
adapter: rest
version: 1
submit:
  id: id
  name: {path: user.name, when: fields.ok}
  kids:
    rows: fields.enfants_raw[?pai]
    each:
      nom: nom
      ref: {path: id, root: true}
      all: {join: [prenom, {path: fields.a, root: true}]}
attachments: {fields: ['enfants_raw[*].carnet']}
amend: {message: {body: event.message}}
statuses:
  Clos: {status: done, message: "C'est fait."}
  bruit: ignore
portal:
  hook: retour_commune
  triggers: {done: {jump: cloture}}
  words: {done: finie}
"""


def made(more: str = "") -> RequestMapping:
    return load_mapping(TEXT + more, "mappings/essai/rest.yaml")


def test_names_come_from_the_file() -> None:
    mapping = made()
    assert (mapping.key, mapping.name, mapping.teleservice) == ("essai/rest", "rest", "essai")


def test_a_status_is_found_without_case() -> None:
    assert canonical(made(), " CLOS ") == StatusRule(Status.DONE, "C'est fait.", 17)
    assert canonical(made(), "bruit") == StatusRule(None, None, 18)


def test_an_unknown_status_follows_the_file() -> None:
    assert canonical(made(), "autre") is None
    assert canonical(made("unknown_status: ignore\n"), "autre") is None
    known = canonical(made("unknown_status: in_progress\n"), "autre")
    assert known is not None
    assert known.status is Status.IN_PROGRESS


def test_the_portal_is_called_by_trigger_then_hook() -> None:
    assert portal_call(made(), Status.DONE) == PortalCall("jump", "cloture", "finie")
    assert portal_call(made(), Status.REFUSED) == PortalCall("hook", "retour_commune", "refusee")
    silent = load_mapping(TEXT[: TEXT.index("portal:")], "essai.yaml")
    assert portal_call(silent, Status.DONE) is None


@pytest.mark.parametrize(
    ("policy", "marked", "public"),
    [
        ("when_marked", True, True),
        ("when_marked", False, False),
        ("always", False, True),
        ("never", True, False),
    ],
)
def test_notes(policy: str, marked: bool, public: bool) -> None:
    assert note_is_public(made(f"notes: {{public: {policy}}}\n"), marked) is public


def test_notes_are_private_unless_marked_by_default() -> None:
    assert not note_is_public(made(), marked=False)


def test_everything_read_is_known_with_its_line() -> None:
    found = {(p.path, p.target, p.line) for p in source_paths(made())}
    assert found == {
        ("id", "id", 6),
        ("user.name", "name", 7),
        ("fields.ok", "name", 7),
        ("fields.enfants_raw[].pai", "kids", 8),
        ("fields.enfants_raw[]", "kids", 8),
        ("fields.enfants_raw[].nom", "kids[].nom", 11),
        ("id", "kids[].ref", 12),
        ("fields.enfants_raw[].prenom", "kids[].all", 13),
        ("fields.a", "kids[].all", 13),
        ("fields.enfants_raw[].carnet", "attachments", 14),
        ("event.message", "message:body", 15),
    }


def test_every_rule_counts_those_inside() -> None:
    assert [r.name for r in made().every_rule()] == [
        "id", "name", "kids", "nom", "ref", "all", "all", "all", "body",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reads", "item"),
    [
        ("a.b", ("a.b",), "a.b[]"),
        ('fields."a-b"', ("fields.a-b",), "fields.a-b[]"),
        ("a[0].b", ("a[].b",), "a[].b[]"),
        ("a[1:3].b", ("a[].b",), "a[].b"),
        ("a[?b].c | [0]", ("a[].b", "a[].c"), "a[].c[]"),
        ("a[].b[].c", ("a[].b[].c",), "a[].b[].c"),
        ("a.*.b", ("a.*.b",), "a.*.b"),
        ("a | b", ("a.b",), "a.b[]"),
        ("sort_by(a, &b)[0].c", ("a[].b", "a[].c"), "a[].c[]"),
        ("max_by(a, &b).c", ("a[].b", "a[].c"), "a[].c[]"),
        ("not_null(a, b.c)", ("a", "b.c"), "b.c[]"),
        ("length(a) > `2` && b || c", ("a", "b", "c"), "c[]"),
        ("{x: a.b, y: c}", ("a.b", "c"), "@"),
        ("!a", ("a",), "@"),
        ("@", ("@",), "[]"),
        ("'text'", (), "@"),
    ],
)
def test_an_expression_knows_what_it_reads(text: str, reads: tuple[str, ...], item: str) -> None:
    found = compile_expression(text)
    assert found.reads == reads
    assert found.item == item


@pytest.mark.parametrize(
    ("text", "position"),
    [("a.", 2), ("a[", 2), ("a..b", 2), ("", 0), ("nosuch(a)", 0), ("`text`", 0), ("a b", 2)],
)
def test_a_bad_expression_says_where(text: str, position: int) -> None:
    with pytest.raises(BadExpression) as caught:
        compile_expression(text)
    assert caught.value.position == position


def test_plain_paths_agree_with_the_interpreter() -> None:
    document = {"a": {"b": [1], "c": None}, "d": "x"}
    for text in ("a", "a.b", "a.c", "a.c.z", "d.b", "z"):
        found = compile_expression(text)
        assert found.steps is not None
        assert found.search(document) == found.parsed.search(document)
