"""The scenarios of deleted accounts, as a user starts them."""

from __future__ import annotations

import base64

import pytest

from gateway.demo.forgetting import MARKER, _in
from tests.demo.test_demo import summary
from tests.life import run


@pytest.mark.parametrize(("name", "held"), [("all-unknown", 8), ("half-rights", 4)])
def test_a_provider_that_lies_has_nobody_erased(name: str, held: int) -> None:
    done = run("demo", "--once", "--json", "--scenario", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(done) == {"scenario": name, "erased": 0, "held": held, "ok": True}


def test_a_person_is_erased_and_none_of_it_comes_back() -> None:
    done = run("demo", "--once", "--json", "--scenario", "erasure")
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(done) == {
        "scenario": "erasure",
        "erased": 1,
        "markers_found": 0,
        "communes_acknowledged": 2,
        "revived": 0,
        "ok": True,
    }


def test_the_search_finds_what_is_there() -> None:
    for before in (b"", b"x", b"xy", b"xyz"):
        content = before + MARKER.encode() + b" et la suite"
        assert _in(content)
        assert _in(b"..." + base64.b64encode(content))
    assert not _in(b"nothing of the kind")
