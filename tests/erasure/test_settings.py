"""GLC in gateway.yaml: what is taken, what is refused and where, what the example says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.catalogue import Glc
from gateway.catalogue.config_faults import validate
from gateway.catalogue.glc import GlcEntry
from gateway.catalogue.openid import OpenIdEntry
from gateway.catalogue.yaml_reader import load_yaml
from gateway.core.errors import ConfigurationFault
from gateway.flow.erased_accounts import AccountHasher, BadKey
from tests.catalogue.config_samples import BUNDLE, ENVIRON, SETTINGS_FILE, make
from tests.catalogue.test_config_files import undocumented

EXAMPLE = Path(__file__).parents[2] / "config" / "gateway.example.yaml"
BLOCK = """
glc:
  base_url: https://glc.invalid
  source: synchronization
  auth: {username: passerelle, password: env:TOODEGO_KEY}
  canary: c0ffee00000000000000000000000000
"""


def configured(block: str = BLOCK) -> Glc:
    found = make({**BUNDLE, SETTINGS_FILE: BUNDLE[SETTINGS_FILE] + block}).settings.glc
    assert found is not None
    return found


def test_the_defaults() -> None:
    glc = configured()
    assert (glc.poll, glc.confirm_after, glc.deadline) == (3600, 6 * 3600, 30 * 86400)
    assert (glc.brake.ratio, glc.brake.count) == (0.05, 20)
    assert (glc.auth.kind, glc.auth.name) == ("basic", "passerelle")
    assert ENVIRON["TOODEGO_KEY"] not in repr(glc)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("  canary: c0ffee00000000000000000000000000\n", "", "without a canary"),
        ("username: passerelle, ", "", "in one way"),
        ("{username: passerelle, ", "{orig: a, ", "in one way"),
        ("env:TOODEGO_KEY", "sesame", "by reference"),
        ("env:TOODEGO_KEY", "env:MISSING", "MISSING is not set"),
        ("synchronization", "guess", "source"),
        ("  canary", "  brake: {ratio: 2}\n  canary", "ratio"),
        ("  canary", "  confirm_after: 0\n  canary", "confirm_after"),
        ("  canary", "  deletions: {since_param: s, deleted_at: null}\n  canary", "dates"),
        ("  canary", "  deletions: {items: 'a b'}\n  canary", "JMESPath"),
        ("  canary", "  deletions: {dates: french}\n  canary", "dates"),
        ("  canary", "  deletions: {dates: '%d/%m'}\n  canary", "dates"),
        ("  canary", "  deletions: {dates: '%d %B %Y'}\n  canary", "dates"),
        ("  canary", "  deletions: {path: x}\n  canary", "path"),
        ("https://glc.invalid", "glc.invalid", "https://"),
    ],
)
def test_what_is_refused(old: str, new: str, told: str) -> None:
    assert old in BLOCK
    with pytest.raises(ConfigurationFault) as caught:
        configured(BLOCK.replace(old, new))
    lines = BUNDLE[SETTINGS_FILE].count("\n")
    assert any(told in str(f) and f.line > lines for f in caught.value.faults), str(caught.value)


def test_oauth2_and_a_list() -> None:
    glc = configured(
        """
glc:
  base_url: https://glc.invalid
  auth: {token_url: "https://t.invalid/x", client_id: i, client_secret: env:TOODEGO_KEY, scope: s}
  deletions: {next_param: cursor, items: "data.rows"}
"""
    )
    assert (glc.source, glc.auth.kind, glc.auth.token_url) == (
        "deletions",
        "oauth2",
        "https://t.invalid/x",
    )
    assert glc.deletions.items.text == "data.rows"


def test_replicas_share_their_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRON, "DB", "postgresql://host/name")
    monkeypatch.setitem(ENVIRON, "ERASURE", "une-clef-bien-assez-longue")
    monkeypatch.setitem(ENVIRON, "MASTER", bytes(range(32)).hex())
    block = BLOCK + "database: env:DB\nsealing: {masters: [env:MASTER]}\n"
    with pytest.raises(ConfigurationFault, match="erasure_key"):
        configured(block)
    configured(block + "erasure_key: env:ERASURE\n")


def test_the_block_of_the_example_is_whole_and_shows_the_defaults() -> None:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    start = lines.index("# glc:")
    block = []
    for line in lines[start:]:
        if not line.startswith("#"):
            break
        block.append(line.removeprefix("# "))
    text = "\n".join(block)
    located = load_yaml(text, "example")
    shown = validate(GlcEntry, located.at(("glc",)))
    required: dict[str, Any] = {
        "base_url": shown.base_url,
        "auth": shown.auth,
        "canary": shown.canary,
    }
    assert shown.openid is not None
    ours = {name: getattr(shown.openid, name) for name in ("issuer", "client_id", "client_secret")}
    assert shown.openid == OpenIdEntry(**ours, link_key=shown.openid.link_key)
    required["openid"] = shown.openid
    assert shown == GlcEntry(**required)
    value = located.value["glc"]
    other = {"orig", "key", "token_url", "client_id", "client_secret", "scope"}
    # Shown by the portal's block, to which this one points.
    network = {"ca", "certificate", "key", "proxy", "proxy_auth"}
    assert set(undocumented(GlcEntry, [value])) == {
        *(f"auth.{name}" for name in other),
        *(f"network.{name}" for name in network),
        "openid.private_key",
    }
    assert all(f"#     # {name}:" in "\n".join(lines) for name in other)


def test_the_key_is_made_once_and_may_not_be_spoilt(tmp_path: Path) -> None:
    mine = dataclasses.replace(make(BUNDLE).settings, data_dir=tmp_path / "var")
    one, other = AccountHasher(mine), AccountHasher(mine)
    assert one.hashes_of("a") == ()
    assert one.lost()
    made = one.hash_of("a")
    assert len(made) == 64
    assert other.hashes_of("a") == (made,)
    assert other.hash_of("a") == made
    assert one.hashes_of(None) == ()
    path = tmp_path / "var" / "erasure.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["erasure.key"]
    path.write_text("short")
    with pytest.raises(BadKey):
        AccountHasher(mine).hashes_of("a")


def test_a_key_that_cannot_be_looked_for_is_not_taken_for_none(tmp_path: Path) -> None:
    """Nobody would be known as erased, or a push end without a word."""
    (tmp_path / "var").write_text("no folder")
    mine = dataclasses.replace(make(BUNDLE).settings, data_dir=tmp_path / "var")
    with pytest.raises(BadKey):
        AccountHasher(mine).hashes_of("a")
