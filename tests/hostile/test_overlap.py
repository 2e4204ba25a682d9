"""A secret that proves a sender is replaced without a stop: for a while two of them are taken."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.requests import Request

from adapters.rest.answers import Verify
from adapters.rest.proof import _proven
from gateway.catalogue.build import build
from gateway.core.errors import Rejected
from gateway.sdk import WebhookCall
from gateway.sdk.publik.signature import sign_url
from gateway.web.senders import sender_of
from tests.catalogue.config_samples import ADAPTERS, BUNDLE, ENVIRON, faults

NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
SLUG = "signalement-anomalie"
#: Every secret of a caller, while it is replaced.
OVERLAP = {
    file: text.replace("key: env:BRON_KEY", "key: [env:BRON_KEY, env:FORMER]")
    .replace("key: env:TOODEGO_PUSH_KEY", "key: [env:TOODEGO_PUSH_KEY, env:FORMER]")
    .replace(
        "password: env:TOODEGO_PUSH_PASSWORD", "password: [env:TOODEGO_PUSH_PASSWORD, env:FORMER]"
    )
    for file, text in BUNDLE.items()
}


def called(url: str, **headers: str) -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    query = url.partition("?")[2].encode()
    return Request({"type": "http", "query_string": query, "headers": raw})


def test_either_of_two_secrets_proves_a_sender_and_no_third() -> None:
    catalogue = build(OVERLAP, environ={**ENVIRON, "FORMER": "ancien"}, adapters=ADAPTERS)

    def signed(key: str, orig: str | None) -> Request:
        url = sign_url("https://passerelle.invalid/x", key, orig=orig, now=NOW, nonce="n" * 32)
        return called(url)

    def basic(password: str) -> Request:
        pair = base64.b64encode(f"toodego:{password}".encode()).decode()
        return called("", authorization=f"Basic {pair}")

    ways: tuple[Callable[[str], Request], ...] = (
        lambda secret: signed(secret, "demarches.example.org"),
        lambda secret: signed(secret, None),
        basic,
    )
    present = ("TOODEGO_PUSH_KEY", "BRON_KEY", "TOODEGO_PUSH_PASSWORD")
    for way, name in zip(ways, present, strict=True):
        for good in (ENVIRON[name], "ancien"):
            assert sender_of(catalogue, way(good), "69029", SLUG, NOW).portal == "toodego"
        with pytest.raises(Rejected):
            sender_of(catalogue, way("autre"), "69029", SLUG, NOW)


def test_one_that_cannot_be_had_is_a_fault_at_its_line() -> None:
    (first, *others) = faults(OVERLAP, dict(ENVIRON))
    assert "env:FORMER" in first.what
    assert len(others) == 2
    three = {f: t.replace("env:FORMER]", "env:FORMER, env:BRON_KEY]") for f, t in OVERLAP.items()}
    assert "two while it is replaced" in " ".join(fault.what for fault in faults(three))


def test_a_webhook_may_have_two_as_well() -> None:
    secrets = ["secret-nouveau-de-test", "secret-ancien-de-test"]
    rules = Verify.model_validate({"kind": "query", "name": "cle", "secret": secrets})
    for secret in secrets:
        assert _proven(rules, WebhookCall("POST", {}, {"cle": secret}, b""))
    assert not _proven(rules, WebhookCall("POST", {}, {"cle": "secret-inconnu-de-test"}, b""))
    assert "nouveau" not in repr(rules)


def test_of_two_of_ours_the_first_is_used() -> None:
    bundle = {
        file: text.replace("key: env:TOODEGO_KEY", "key: [env:NEXT, env:TOODEGO_KEY]")
        for file, text in BUNDLE.items()
    }
    catalogue = build(bundle, environ={**ENVIRON, "NEXT": "suivant"}, adapters=ADAPTERS)
    portal = catalogue.portals["toodego"]
    assert portal.key is not None
    assert portal.key.get_secret_value() == "suivant"
    (fault,) = faults(bundle, dict(ENVIRON))
    assert "env:NEXT" in fault.what


def test_a_secret_s_file_may_hold_two_by_itself(tmp_path: Path) -> None:
    """Replacing a secret then changes no setting, and needs no new signature."""
    file = tmp_path / "cle"
    bundle = {
        name: text.replace("env:BRON_KEY", f"file:{file}")
        .replace("key: env:TOODEGO_KEY", f"key: file:{file}")
        .replace("env:TOODEGO_PUSH_KEY", f"file:{file}")
        for name, text in BUNDLE.items()
    }
    file.write_text("nouveau\nancien\n", "utf-8")
    catalogue = build(bundle, environ=ENVIRON, adapters=ADAPTERS)
    for secrets in (
        next(one.keys for one in catalogue.communes.values() if one.keys),
        catalogue.portals["toodego"].callers[0].secrets,
    ):
        assert [one.get_secret_value() for one in secrets] == ["nouveau", "ancien"]
    ours = catalogue.portals["toodego"].key
    assert ours is not None
    assert ours.get_secret_value() == "nouveau", "of two of ours the first is used"
    file.write_text("un\n\ndeux\r\ntrois\n", "utf-8")
    assert {"3 secrets" in fault.what for fault in faults(bundle, dict(ENVIRON))} == {True}
    both = "secret-nouveau-de-test\nsecret-ancien-de-test"
    rules = Verify.model_validate({"kind": "query", "name": "cle", "secret": both})
    assert rules.secrets == tuple(both.split("\n"))
