"""YAML that is written to have it unfold, nest or go in a circle: refused at a line, at once."""

from __future__ import annotations

import pytest

from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault

TOO_MUCH, TOO_DEEP = "too many values", "nested too deep"
TENS = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 7)]
MERGES = [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 7)]
CHAIN = [f"a{n}: &a{n}\n  <<: *a{n - 1}" for n in range(1, 2000)]
WIDE = "a: &a {" + ", ".join(f"k{n}: 1" for n in range(500)) + "}\n"

HOSTILE = {
    # Once composed, these have filled the stack: no exception, no process.
    "flow within flow": ("[" * 50_000, TOO_DEEP),
    "flow within flow, closed": ("[" * 50_000 + "]" * 50_000, TOO_DEEP),
    "keys within keys": ("{a: " * 50_000, TOO_DEEP),
    "items within items": ("- " * 50_000 + "a", TOO_DEEP),
    "keys as keys": ("? " * 50_000 + "a", TOO_DEEP),
    "aliases of aliases": ("\n".join(["a0: &a0 [1, 2]", *TENS]), TOO_MUCH),
    "merges of merges": ("\n".join(["a0: &a0 {k: 1}", *MERGES]), TOO_MUCH),
    "a chain of merges": ("\n".join(["a0: &a0 {k: 1}", *CHAIN]), TOO_DEEP),
    "many merges of the same": (WIDE + f"b:\n  <<: [{', '.join(['*a'] * 500)}]", TOO_MUCH),
    "many values": ("a:\n" + "- x\n" * 200_001, TOO_MUCH),
    "an alias of itself": ("a: &a {b: *a}", "contains itself"),
    "a merge of itself": ("a: &a\n  <<: *a", "contains itself"),
    "a merge of a list as key": ("x: &x\n  ? [a]\n  : 1\na:\n  <<: *x", "a key must be plain text"),
}
UNPRINTED = ("\\e[2J", "\\x9b31m", "\\0", "\\x7f", "\\u202e", "\\u2066")
HOSTILE |= {
    f"a {where} of {escape}": (text.format(escape), "cannot be printed")
    for escape in UNPRINTED
    for where, text in (
        ("value", 'a: "Bron{}"'),
        ("key", '? "Bron{}"\n: 1'),
        ("merged key", 'x: &x\n  "b{}": 1\na:\n  <<: *x'),
    )
}


@pytest.mark.parametrize(("text", "what"), HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_at_a_line(text: str, what: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        load_yaml(text, "bron.yaml")
    assert what in str(caught.value)
    assert "bron.yaml:" in str(caught.value)


def test_of_a_thousand_faults_a_hundred_are_told() -> None:
    with pytest.raises(ConfigurationFault) as caught:
        load_yaml("a: 1\n" * 1000, "bron.yaml")
    assert len(caught.value.faults) == 100


def test_what_has_more_than_one_line_or_other_letters_is_taken() -> None:
    text = '"Bron\\n\\tet \\u2019Écully\\u00a0: \\U0001F600\\r\\n"'
    assert (
        load_yaml(f"a: {text}", "bron.yaml").value["a"]
        == "Bron\n\tet ’Écully\u00a0: \U0001f600\r\n"
    )


def test_merges_go_on_as_they_are_meant() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  y: 3\nc:\n  <<: [*b, *a]\n"
    assert load_yaml(text, "bron.yaml").value["c"] == {"x": 1, "y": 3}
