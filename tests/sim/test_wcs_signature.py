"""w.c.s.'s own signature against the published vectors and the recorded exchange."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from gateway.sdk.publik import signature as ours
from gateway.sim.wcs_signature import AccessDenied, WcsVerifier, wcs_sign

RECORDED = Path(__file__).parent.parent / "samples" / "recorded-wcs-exchange.json"
NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
KEYS = {"connecteur": "cle-de-test-0001", "autre": "s3cr3t/plus+tard="}
URL = "https://demarches.example.org/api/forms/signalement/list?full=on"


def _query(
    nonce: str = "n1", orig: str | None = "connecteur", key: str = "cle-de-test-0001"
) -> str:
    return urlsplit(wcs_sign(URL, key, orig=orig, now=NOW, nonce=nonce)).query


def test_vector_one() -> None:
    url = wcs_sign(
        "https://demarches.example.org/api/forms/signalement/12/",
        "cle-de-test-0001",
        orig="connecteur.bron.example.org",
        now=NOW,
        nonce="0123456789abcdef0123456789abcdef",
    )
    assert url.endswith("&signature=4L3KhSqHwVb0bydYJnt5aVRCbOeRjsRNq4ZcWJVLSdE%3D")


def test_vector_two_keeps_its_slash_raw() -> None:
    url = wcs_sign(
        "https://demarches.example.org/api/forms/signalement/list"
        "?full=on&filter=all&order_by=-last_update_time",
        "s3cr3t/plus+tard=",
        orig="connecteur.villeurbanne.example.org",
        now=datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC),
        nonce="f00dcafe",
    )
    assert url.endswith("&signature=tGTu%2BojkC1kP48qUfFkyCcFDvAuTU/LfPJe1VSdoIzU%3D")


def test_the_recorded_call_is_reproduced() -> None:
    path = json.loads(RECORDED.read_text("utf-8"))["wscall_out"]["path"]
    nonce = "3949945ebdb4522fc3a59f3d5083390f"
    now = datetime(2026, 11, 23, 19, 7, 18, tzinfo=UTC)
    signed = wcs_sign("http://127.0.0.1:8499/hook", "1234", orig=None, now=now, nonce=nonce)
    assert signed == f"http://127.0.0.1:8499{path}"


def test_what_the_gateway_signs_is_accepted_and_the_other_way_round() -> None:
    url = ours.sign_url(URL, KEYS["autre"], orig="autre", now=NOW, nonce="n")
    assert WcsVerifier(KEYS).verify(urlsplit(url).query, NOW) == "autre"
    parsed = ours.parse_signed(_query())
    assert parsed is not None
    ours.verify_query(parsed, ["cle-de-test-0001"], NOW)


def test_a_nonce_serves_once_and_is_forgotten_after_the_window() -> None:
    verifier = WcsVerifier(KEYS)
    assert verifier.verify(_query("N/1"), NOW) == "connecteur"
    with pytest.raises(AccessDenied, match="Nonce already used"):
        verifier.verify(_query("N/1"), NOW)
    with pytest.raises(AccessDenied, match="Nonce already used"):
        verifier.verify(_query("n-1"), NOW)
    assert verifier.verify(_query("n2"), NOW) == "connecteur"


@pytest.mark.parametrize("seconds", [-31, 31])
def test_thirty_seconds_are_the_limit(seconds: int) -> None:
    verifier = WcsVerifier(KEYS)
    with pytest.raises(AccessDenied, match="more than 30 seconds"):
        verifier.verify(_query(), NOW + timedelta(seconds=seconds))
    side = timedelta(seconds=30 if seconds > 0 else -30)
    assert verifier.verify(_query(), NOW + side) == "connecteur"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (_query(key="fausse"), "Invalid signature"),
        (_query(orig="inconnu"), "Invalid orig"),
        (_query(orig=None), "Missing/multiple orig"),
        ("orig=a&" + _query(), "Missing/multiple orig"),
        (_query().replace("full=on", "full=off"), "Invalid signature"),
        (_query().partition("&signature=")[0], "missing signature"),
        ("signature=abc", "missing signature"),
        (_query().replace("sha256", "sha512"), "Invalid signature"),
        (_query().replace("sha256", "rot13"), "Invalid algo"),
        (_query().partition("&signature=")[0] + "&signature=" + quote("é"), "Invalid signature"),
    ],
)
def test_refusals(query: str, words: str) -> None:
    with pytest.raises(AccessDenied, match=words):
        WcsVerifier(KEYS).verify(query, NOW)
