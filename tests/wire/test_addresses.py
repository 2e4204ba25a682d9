"""A body's addresses at the portal are its own formdata's, or nothing is called."""

from __future__ import annotations

import pytest

from gateway.core.errors import Rejected
from gateway.wire.addresses import own_api_url, own_file_url

BASE = "https://portail.invalid"
OWN = f"{BASE}/api/forms/voirie/300/"


@pytest.mark.parametrize(
    "told",
    [
        OWN,
        OWN.rstrip("/"),
        "https://PORTAIL.invalid:443/api/forms/voirie/300/",
        f"{BASE}/api/forms/voir%69e/300/",
    ],
)
def test_its_own_address_however_written_is_taken(told: str) -> None:
    assert own_api_url(BASE + "/", "voirie", "300", told) == OWN
    assert own_api_url(BASE, "voirie", "300", None) is None


def test_what_wcs_writes_plainly_is_called_encoded() -> None:
    told = f"{BASE}/api/forms/voirie/Été 3/"
    assert (
        own_api_url(BASE, "voirie", "Été 3", told) == f"{BASE}/api/forms/voirie/%C3%89t%C3%A9%203/"
    )


def test_a_portal_may_lie_below_a_path() -> None:
    told = f"{BASE}/demarches/api/forms/voirie/300/"
    assert own_api_url(f"{BASE}/demarches", "voirie", "300", told) == told
    with pytest.raises(Rejected):
        own_api_url(f"{BASE}/demarches", "voirie", "300", OWN)


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (f"{BASE}/api/forms/voirie/301/", 403),
        (f"{BASE}/api/forms/autre/300/", 403),
        (f"{BASE}/api/users/1/", 403),
        (f"{BASE}/api/users/1/hooks/x/", 403),
        (f"{BASE}/api/forms/voirie/300/hooks/x/", 403),
        (f"{BASE}/api/forms/voirie/301/../300/hooks/", 403),
        (f"{BASE}/api/forms/voirie/300/..", 403),
        (f"{BASE}/api/forms/voirie/300%2F", 403),
        (f"{BASE}/api/forms/voirie%2F300/", 403),
        (f"{BASE}/api/forms/voirie/%33%30%31/", 403),
        (f"{BASE}/API/forms/voirie/300/", 403),
        (f"{BASE}//api/forms/voirie/300/", 403),
        (BASE, 403),
        ("", 400),
        ("https://ailleurs.invalid/api/forms/voirie/300/", 400),
        ("http://portail.invalid/api/forms/voirie/300/", 400),
        ("https://portail.invalid:8443/api/forms/voirie/300/", 400),
        ("https://portail.invalid.ailleurs.invalid/api/forms/voirie/300/", 400),
        ("https://portail.invalid@ailleurs.invalid/api/forms/voirie/300/", 400),
        ("https://moi@portail.invalid/api/forms/voirie/300/", 400),
        ("https://portail.invalid./api/forms/voirie/300/", 400),
        ("//portail.invalid/api/forms/voirie/300/", 400),
        ("/api/forms/voirie/300/", 400),
        ("file:///etc/passwd", 400),
        ("https://[", 400),
        ("https://portail.invalid:99999/api/forms/voirie/300/", 400),
        ("https://\ud800/", 400),
        ("https://portail.invalid/\x00", 400),
        ("a" * 100_000, 400),
    ],
)
def test_any_other_is_refused_without_a_word_of_it(told: str, status: int) -> None:
    for check in (own_api_url, own_file_url):
        with pytest.raises(Rejected) as refusal:
            check(BASE, "voirie", "300", told)
        assert refusal.value.status == status
        assert refusal.value.code == {400: "foreign_address", 403: "other_formdata"}[status]
        assert "portail.invalid" in refusal.value.text
        assert "ailleurs" not in refusal.value.text


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/voirie/300/download?hash=ab", "?hash=ab"),
        ("/categorie/voirie/300/download?f=19$0$3", "?f=19$0$3"),
        ("/api/forms/voirie/300/download?f=9&thumbnail=1", "?f=9&thumbnail=1"),
        ("/voirie/300/download", ""),
    ],
)
def test_a_file_is_read_through_the_api(path: str, query: str) -> None:
    assert own_file_url(BASE, "voirie", "300", BASE + path) == f"{OWN}download{query}"


@pytest.mark.parametrize(
    "path",
    [
        "/voirie/301/download?hash=ab",
        "/voirie/301/download?x=/voirie/300/download",
        "/voirie/301/download#/voirie/300/download",
        "/autre/300/download?hash=ab",
        "/voirie/300/files/download",
        "/voirie/300%2Fdownload",
        "/api/users/1/",
    ],
)
def test_a_file_of_another_formdata_is_refused(path: str) -> None:
    with pytest.raises(Rejected) as refusal:
        own_file_url(BASE, "voirie", "300", BASE + path)
    assert (refusal.value.status, refusal.value.code) == (403, "other_formdata")
