"""Linking of accounts in the files: what is refused, at its line, and what is only told."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.pivot import PivotAdapter
from gateway.catalogue.build import build
from gateway.core.errors import ConfigurationFault
from tests.web.harness import MemoAdapter, OtherAdapter
from tests.web.linking_town import SECRETS, files

ADAPTERS = {"memo": MemoAdapter, "other": OtherAdapter, "pivot": PivotAdapter}
SETTINGS, BRON = "config/gateway.yaml", "config/communes/bron.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (SETTINGS, "issuer: https://", "issuer: http://", "https://"),
        (SETTINGS, "client_secret: env:OPENID_SECRET", "scopes: [openid]", "client_secret"),
        (SETTINGS, "client_id", "client_auth: private_key_jwt\n    client_id", "private_key"),
        (SETTINGS, "client_id", "scopes: [profile]\n    client_id", "openid"),
        (SETTINGS, "client_id", "algorithms: [HS256]\n    client_id", "algorithms"),
        (SETTINGS, "env:LINK_KEY", "env:TOKEN", "32 characters"),
        (SETTINGS, "public_url: https://", "public_url: http://", "in the clear"),
        (SETTINGS, "public_url: https://", "public_url: https://a.exemple.invalid/b&", "a path"),
        (BRON, "key: env:LINK_BRON", "key: env:TOKEN", "32 characters"),
        (BRON, "key: env:LINK_BRON", "key: sesame", "by reference"),
        (BRON, "page=comptes", "page#comptes", "#"),
        (BRON, "https://famille", "javascript://famille", "https://"),
        (BRON, "logo: bron.svg", "logo: lyon.svg", "config/files/lyon.svg"),
        (BRON, "given_name", "'a b'", "claims"),
    ],
)
def test_what_is_refused(tmp_path: Path, file: str, old: str, new: str, told: str) -> None:
    bundle = files(tmp_path)
    assert old in bundle[file]
    bundle[file] = bundle[file].replace(old, new, 1)
    with pytest.raises(ConfigurationFault) as caught:
        build(bundle, environ=SECRETS, adapters=ADAPTERS)
    assert {one.file for one in caught.value.faults} == {file}
    assert all(one.line > 1 for one in caught.value.faults)
    assert any(told in str(one) for one in caught.value.faults), str(caught.value)


def test_a_commune_that_links_where_nobody_signs_in_is_told(tmp_path: Path) -> None:
    bundle = files(tmp_path)
    bundle[SETTINGS] = bundle[SETTINGS].partition("  openid:")[0]
    bundle[BRON] = bundle[BRON].replace("https://famille", "http://famille")
    warnings = build(bundle, environ=SECRETS, adapters=ADAPTERS).warnings
    told = [one.what for one in warnings if one.file == BRON]
    assert any("no glc.openid" in one for one in told)
    assert any("in the clear" in one for one in told)
