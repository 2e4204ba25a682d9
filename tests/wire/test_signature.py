"""Signed URLs: the vectors both ways, a recorded call, and everything that must be refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import Rejected
from gateway.sdk.publik.signature import (
    SignatureFault,
    nonce_key,
    parse_signed,
    sign_url,
    verify_query,
)
from tests.wire.samples import sample

FORMS = "https://demarches.example.org/api/forms/signalement/"
VECTORS = {
    "no query beforehand": (
        FORMS + "12/",
        "cle-de-test-0001",
        "connecteur.bron.example.org",
        datetime(2026, 1, 15, 9, 30, tzinfo=UTC),
        "0123456789abcdef0123456789abcdef",
        None,
        FORMS + "12/?orig=connecteur.bron.example.org&algo=sha256"
        "&timestamp=2026-01-15T09%3A30%3A00Z&nonce=0123456789abcdef0123456789abcdef"
        "&signature=4L3KhSqHwVb0bydYJnt5aVRCbOeRjsRNq4ZcWJVLSdE%3D",
    ),
    "existing query, plus and slash": (
        FORMS + "list?full=on&filter=all&order_by=-last_update_time",
        "s3cr3t/plus+tard=",
        "connecteur.villeurbanne.example.org",
        datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC),
        "f00dcafe",
        None,
        FORMS + "list?full=on&filter=all&order_by=-last_update_time"
        "&orig=connecteur.villeurbanne.example.org&algo=sha256"
        "&timestamp=2026-02-28T23%3A59%3A59Z&nonce=f00dcafe"
        "&signature=tGTu%2BojkC1kP48qUfFkyCcFDvAuTU%2FLfPJe1VSdoIzU%3D",
    ),
    "accents, acting as a user": (
        FORMS + "list?q=D%C3%A9p%C3%B4t%20sauvage&filter-quartier=%C3%89tats-Unis",
        "clé-accentuée-é",
        "vaulx.example.org",
        datetime(2026, 7, 14, 12, tzinfo=UTC),
        "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a",
        {"NameID": "b1a7c0de00000000000000000000feed"},
        FORMS + "list?q=D%C3%A9p%C3%B4t%20sauvage&filter-quartier=%C3%89tats-Unis"
        "&orig=vaulx.example.org&NameID=b1a7c0de00000000000000000000feed&algo=sha256"
        "&timestamp=2026-07-14T12%3A00%3A00Z&nonce=5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"
        "&signature=3NUb36VfyDw34a0v%2B8nrpsup%2BOse%2BsBhPCST3JsQmmc%3D",
    ),
}
KEY = "cle-de-test-0001"
NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)


def signed_query(text: str = "", key: str = KEY) -> str:
    """The query of a URL signed over `text`."""
    url = sign_url(f"https://gw.example.org/in?{text}", key, orig="o", now=NOW, nonce="n1")
    return urlsplit(url).query


def hand_signed(text: str, key: str = KEY) -> str:
    """A signature over any text, as somebody holding the key could make it."""
    mac = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}&signature={quote(base64.b64encode(mac).decode(), safe='')}"


def check(query: str, key: str = KEY, now: datetime = NOW) -> None:
    signed = parse_signed(query)
    assert signed is not None
    verify_query(signed, [key], now)


@pytest.mark.parametrize("name", VECTORS)
def test_vector_is_signed(name: str) -> None:
    url, key, orig, now, nonce, extra, expected = VECTORS[name]
    assert sign_url(url, key, orig=orig, now=now, nonce=nonce, extra=extra) == expected


@pytest.mark.parametrize("name", VECTORS)
def test_vector_is_verified(name: str) -> None:
    _, key, orig, now, nonce, extra, expected = VECTORS[name]
    signed = parse_signed(urlsplit(expected).query)
    assert signed is not None
    assert (signed.orig, signed.nonce, signed.timestamp, signed.algo) == (
        orig,
        nonce,
        now,
        "sha256",
    )
    assert signed.params.items() >= (extra or {}).items()
    verify_query(signed, ["another key", key], now)
    with pytest.raises(SignatureFault) as fault:
        verify_query(signed, ["another key"], now)
    assert (fault.value.status, fault.value.code) == (403, "wrong_signature")


def test_params_are_decoded() -> None:
    signed = parse_signed(urlsplit(VECTORS["accents, acting as a user"][-1]).query)
    assert signed is not None
    assert signed.params["q"] == "Dépôt sauvage"
    assert signed.params["filter-quartier"] == "États-Unis"
    assert not signed.params.keys() & {"orig", "algo", "timestamp", "nonce", "signature"}


def test_recorded_call_of_a_running_wcs() -> None:
    path = sample("recorded-wcs-exchange")["wscall_out"]["path"]
    query = urlsplit(path).query
    assert "/" in query.rpartition("signature=")[2]
    check(query, "1234", datetime(2026, 11, 23, 19, 7, 18, tzinfo=UTC))
    signed = parse_signed(query)
    assert signed is not None
    assert signed.orig is None
    # The same signature with the slash percent-encoded stands for the same bytes.
    check(
        query.replace("Khs/F0C", "Khs%2FF0C"), "1234", datetime(2026, 11, 23, 19, 7, 18, tzinfo=UTC)
    )


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(30, None), (31, "stale"), (-30, None), (-31, "early")],
)
def test_window(seconds: int, code: str | None) -> None:
    query, now = signed_query(), NOW + timedelta(seconds=seconds)
    if code is None:
        check(query, now=now)
        return
    with pytest.raises(SignatureFault) as fault:
        check(query, now=now)
    assert fault.value.code == code


GOOD = "orig=o&algo=sha256&timestamp=2026-01-15T09%3A30%3A00Z&nonce=n1"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("signature=abcd", "bad_signature"),
        ("signature=abcd&" + GOOD, "bad_signature"),
        ("a=1&%73ignature=abcd", "bad_signature"),
        (hand_signed(GOOD) + "&a=1", "text_after_signature"),
        (hand_signed(GOOD) + "&", "text_after_signature"),
        (hand_signed(GOOD) + "&signature=x", "text_after_signature"),
        (hand_signed("orig=a&" + GOOD), "repeated_parameter"),
        (hand_signed(GOOD + "&orig=o"), "repeated_parameter"),
        (hand_signed(GOOD + "&%6Frig=o"), "repeated_parameter"),
        (hand_signed(GOOD + "&nonce=n2"), "repeated_parameter"),
        (hand_signed(GOOD + "&email=a%40b&email=c%40d"), "repeated_parameter"),
        (hand_signed(GOOD.replace("sha256", "md5")), "bad_algo"),
        (hand_signed(GOOD.replace("sha256", "sha1")), "bad_algo"),
        (hand_signed(GOOD.replace("sha256", "SHA256")), "bad_algo"),
        (hand_signed(GOOD.replace("algo=sha256&", "")), "bad_algo"),
        (hand_signed("orig=o&algo=sha256&nonce=n"), "bad_timestamp"),
        (hand_signed("algo=sha256&timestamp=2026-01-15T09%3A30%3A00"), "bad_timestamp"),
        (hand_signed("algo=sha256&timestamp=2026-01-15T09%3A30%3A00%2B01%3A00"), "bad_timestamp"),
        (hand_signed("algo=sha256&timestamp=2026-01-15T09%3A30%3A00.0Z"), "bad_timestamp"),
        (hand_signed("algo=sha256&timestamp=2026-02-30T09%3A30%3A00Z"), "bad_timestamp"),
        (hand_signed("algo=sha256&timestamp=2026-1-15T9%3A30%3A0Z"), "bad_timestamp"),
        (hand_signed("algo=sha256&timestamp=%D9%A2026-01-15T09%3A30%3A00Z"), "bad_timestamp"),
        (hand_signed(GOOD.replace("orig=o", "orig=")), "bad_orig"),
        (GOOD + "&signature=", "bad_signature"),
        (GOOD + "&signature=abc", "bad_signature"),
        (GOOD + "&signature=YWJj", "bad_signature"),
        (GOOD + "&signature=%zz", "bad_query"),
        (hand_signed(GOOD + "&a=%zz"), "bad_query"),
        (hand_signed(GOOD + "&a=%E9"), "bad_query"),
        (hand_signed(GOOD + "&a=%00"), "bad_query"),
        (hand_signed(GOOD + "&a=b c"), None),
        (hand_signed(GOOD + "&a=é"), "bad_query"),
        (hand_signed(GOOD + "&a=\x01"), "bad_query"),
        ("&signature=" + "A" * 43 + "%3D", "bad_algo"),
        ("a=" + "b" * 20_000, "query_too_long"),
    ],
)
def test_refused(query: str, code: str | None) -> None:
    if code is None:
        check(query)
        return
    with pytest.raises(SignatureFault) as fault:
        check(query)
    assert (fault.value.status, fault.value.code) == (403, code)


def test_raw_plus_in_the_signature_fails() -> None:
    expected = VECTORS["existing query, plus and slash"][-1]
    with pytest.raises(SignatureFault) as fault:
        parse_signed(urlsplit(expected.replace("%2B", "+")).query)
    assert fault.value.code == "bad_signature"


@pytest.mark.parametrize("query", ["", "a=1", "nosignature=1", "a=signature", "a=b%26signature=c"])
def test_unsigned_is_none(query: str) -> None:
    assert parse_signed(query) is None


def test_any_change_of_the_text_fails() -> None:
    query = signed_query("commune=69029")
    check(query)
    for changed in (
        query.replace("69029", "69266"),
        query.replace("%3A", ":"),
        query.replace("&nonce=n1", ""),
        "b=1&" + query,
        "&" + query,
    ):
        assert changed != query
        with pytest.raises(SignatureFault) as fault:
            check(changed)
        assert fault.value.code == "wrong_signature"


def test_empty_key_never_verifies() -> None:
    query = signed_query(key="")
    signed = parse_signed(query)
    assert signed is not None
    for keys in (["", "x"], []):
        with pytest.raises(SignatureFault):
            verify_query(signed, keys, NOW)


def test_signing_twice_is_refused() -> None:
    once = sign_url("https://a.example.org/", KEY, orig=None, now=NOW, nonce="n")
    with pytest.raises(ValueError, match="signed already"):
        sign_url(once, KEY, orig=None, now=NOW, nonce="n")


@pytest.mark.parametrize(
    ("nonce", "key"),
    [
        ("0123abcdEF", "0123abcdef"),
        ("a/b", "a-b"),
        ("É té", "e-te"),
        ("x" * 300, "x" * 128),
        ("a--b", "a-b"),
    ],
)
def test_nonce_key(nonce: str, key: str) -> None:
    assert nonce_key(nonce) == key


def test_nonces_of_which_nothing_remains_stay_apart() -> None:
    assert len({nonce_key(n) for n in ("***", "+++", "中文", "--", "\ud800")}) == 5


@given(
    query=st.dictionaries(st.text("abc-_", min_size=1), st.text(max_size=10), max_size=4),
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    orig=st.none() | st.text("abc.é &=", min_size=1),
    nonce=st.text("0123456789abcdef", min_size=1, max_size=40),
    now=st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.just(UTC)),
)
def test_what_is_signed_is_verified(
    query: dict[str, str], key: str, orig: str | None, nonce: str, now: datetime
) -> None:
    clean = {k: "".join(c for c in v if c.isprintable()) for k, v in query.items()}
    base = "https://gw.example.org/in" + ("?" + urlencode(clean) if clean else "")
    signed = parse_signed(urlsplit(sign_url(base, key, orig=orig, now=now, nonce=nonce)).query)
    assert signed is not None
    verify_query(signed, [key], now)
    assert (signed.orig, signed.nonce) == (orig, nonce)
    assert signed.params == clean


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda b: b.decode("latin-1")))
def test_garbage_is_rejected_or_unsigned(garbage: str) -> None:
    statuses = set()
    for query in (garbage, garbage + "&signature=" + garbage, GOOD + garbage + "&signature=YQ"):
        try:
            signed = parse_signed(query)
        except Rejected as error:
            statuses.add(error.status)
        else:
            assert signed is None
    assert statuses <= {403}
