"""`check` reads what GLC says of itself as OpenID provider, and tries our registration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.check_openid import check_openid
from tests.web.linking_town import LinkTown, open_town

#: How the provider changes -> the lines: level, key of `glc.openid`, the word of the text.
CASES: dict[str, tuple[dict[str, Any], list[tuple[str, str, str]]]] = {
    "all is well": ({}, [("ok", "", "well")]),
    "another issuer": ({"issuer": "https://autre.exemple.invalid/"}, [("fault", "issuer", "")]),
    "no token endpoint": ({"token_endpoint": None}, [("fault", "issuer", "")]),
    "no code flow": ({"response_types_supported": ["token"]}, [("fault", "algorithms", "")]),
    "shared secrets alone": (
        {"id_token_signing_alg_values_supported": ["HS256"]},
        [("fault", "issuer", "")],
    ),
    "another proof": (
        {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
        [("fault", "client_auth", "no_auth")],
    ),
    "other scopes, levels and claims": (
        {"scopes_supported": ["openid"], "claims_supported": ["sub", "given_name"]},
        [("warning", "scopes", "not_offered"), ("warning", "account_claim", "not_offered")],
    ),
    "what is no list": ({"scopes_supported": {"a": 1}}, [("fault", "issuer", "")]),
}


@pytest.fixture
async def town(tmp_path: Path, template: Path) -> AsyncIterator[LinkTown]:
    async with open_town(tmp_path, template) as made:
        yield made


async def lines(town: LinkTown) -> list[tuple[str, str, str]]:
    found = await check_openid(town.gw.engine.far_ends)
    assert {one.far_end for one in found} == {"glc"}
    return [(one.level, str([*one.at, ""][1] if one.at else ""), one.said.word) for one in found]


async def test_what_the_provider_says_of_itself_is_held_against_our_settings(
    town: LinkTown,
) -> None:
    for case, (changed, expected) in CASES.items():
        town.provider.metadata = changed
        told = await lines(town)
        assert len(told) == len(expected), case
        for found, wanted in zip(told, expected, strict=True):
            assert found[:2] == wanted[:2], case
            assert found[2] == wanted[2] or not wanted[2], case


async def test_keys_and_our_own_proof_are_tried(town: LinkTown) -> None:
    keys = town.provider.keys
    town.provider.keys = []
    assert await lines(town) == [("fault", "algorithms", "no_key")]
    town.provider.keys = keys
    assert await lines(town) == [("ok", "", "well")]
    assert town.provider.forms[-1]["code"] == "essai"
    town.provider.secret = "un-autre-secret"
    (refused,) = await check_openid(town.gw.engine.far_ends)
    assert (refused.level, refused.at) == ("fault", ("openid", "client_id"))
    assert "client_secret_post" in refused.said.told("en")
    town.provider.down = True
    (away,) = await check_openid(town.gw.engine.far_ends)
    assert away.level == "fault"
