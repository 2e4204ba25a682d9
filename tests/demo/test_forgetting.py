"""The traces that the scenario of an erasure looks for."""

from __future__ import annotations

import base64

from gateway.demo.forgetting import MARKER, _in


def test_the_search_finds_what_is_there() -> None:
    for before in (b"", b"x", b"xy", b"xyz"):
        content = before + MARKER.encode() + b" et la suite"
        assert _in(content)
        assert _in(b"..." + base64.b64encode(content))
    assert not _in(b"nothing of the kind")
