"""The changes of addresses that the urgent path allows."""

from __future__ import annotations

import json

import pytest

from gateway.contracts import urgent
from gateway.contracts.difference import Difference

BRON, PATH = "config/communes/69029.yaml", "gru.outil.options.base_url"


@pytest.mark.parametrize(
    ("before", "after", "address"),
    [
        ("https://gru.exemple.invalid", "https://autre.exemple.invalid/api", True),
        ("http://127.0.0.1:9", "https://gru.exemple.invalid", True),
        ("http://127.0.0.1:9", "http://127.0.0.1:10", True),
        ("https://gru.exemple.invalid", "http://gru.exemple.invalid", False),
        ("https://gru.exemple.invalid", "file:///etc/passwd", False),
        ("https://gru.exemple.invalid", "https://[x", False),
        ("https://gru.exemple.invalid", {"https": 1}, False),
        ("https://gru.exemple.invalid", None, False),
    ],
)
def test_an_address_is_another_address_as_safe_as_it_was(
    before: str, after: object, address: bool
) -> None:
    written = Difference(
        BRON, 1, PATH, json.dumps(before), None if after is None else json.dumps(after)
    )
    assert urgent.is_another_address(written) is address
