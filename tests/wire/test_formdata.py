"""Formdata, pushed and pulled: the samples with their traps, the file forms, what is refused."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.settings import DEFAULT_LIMITS
from gateway.core.errors import Rejected
from gateway.core.request import EventKind, Person
from gateway.sdk.publik.localtime import PARIS, filter_text, parse_local
from gateway.wire.event import CREATION, AnnouncedEvent, read_event
from gateway.wire.event_content import content_of, digest, without_form
from gateway.wire.formdata import parse_formdata, parse_location
from tests.wire.samples import LIMITS, parse, sample, whole

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 90
B64 = base64.b64encode(PNG).decode()


def refusal(body: bytes | dict[str, Any], content_type: str | None = None, **limits: int) -> str:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(Rejected) as error:
        parse_formdata(raw, content_type, limits=replace(DEFAULT_LIMITS, **limits))
    return f"{error.value.status} {error.value.code}"


# --- samples ---------------------------------------------------------------------------------


def test_signalement() -> None:
    form = parse(sample("signalement-anomalie"))
    assert (form.ref, form.display_id) == ("1042", "37-1042")
    assert form.uuid == "5b0e2c1a-0000-4000-8000-00000000a042"
    assert form.slug == "signalement-anomalie"
    assert form.receipt_time == datetime(2026, 3, 12, 7, 41, 7, tzinfo=UTC)
    assert form.user == Person(
        "Zoé Fictive-Exemple", "zoe.fictive@exemple.invalid", "b1a7c0de00000000000000000000feed"
    )
    assert form.location == (45.7334, 4.9118)
    assert form.document == sample("signalement-anomalie")
    assert form.fields["commune_structured"]["code_postal"] == "69500"
    assert form.fields["complements_raw"] == ["encombrants", "gravats"]
    assert form.fields["volume_m3"] == "1.5"
    assert form.fields["deja_signale"] is False
    assert form.fields["photo_2"] is None
    assert "l’Invention" in form.fields["adresse_voie"]
    assert "\n" in form.fields["description"]
    assert form.fields["photo"] == {"file": 0}
    (photo,) = form.files
    assert (photo.field, photo.filename) == ("photo", "depot_été_2026.png")
    assert photo.content is not None
    assert photo.content.head.startswith(b"\x89PNG")
    assert form.extra["commune_insee"] == "69029"
    assert read_event(form.extra) == AnnouncedEvent(EventKind.CREATION, "37-1042-creation-1")


def test_inscription_scolaire_has_files_in_block_rows() -> None:
    form = parse(sample("inscription-scolaire"))
    assert [f.field for f in form.files] == [
        "enfants_raw.0.carnet_vaccination",
        "enfants_raw.1.carnet_vaccination",
        "enfants_raw.1.certificat_radiation",
        "justificatif_domicile",
        "livret_famille",
    ]
    rows = form.fields["enfants_raw"]
    assert [row["prenom"] for row in rows] == ["Lila", "Noé"]
    assert rows[0]["certificat_radiation"] is None
    assert rows[1]["certificat_radiation"] == {"file": 2}
    assert form.fields["enfants_digests"] == ["Lila PERSONNE-INVENTÉE", "Noé PERSONNE-INVENTÉE"]
    assert form.fields["resp1_date_naissance"] == "1988-02-29"
    assert form.fields["quotient_familial"] == "812.5"
    assert form.files[4].filename == "livret de famille – pages 1-4.pdf"
    # Summer time by then.
    assert form.receipt_time == datetime(2026, 4, 2, 17, 5, 44, tzinfo=UTC)
    assert read_event(form.extra) == CREATION


def test_demande_is_submitted_by_an_agent_and_crosses_the_clock_change() -> None:
    form = parse(sample("demande-avec-evolution"))
    assert form.channel == "phone"
    assert form.user is not None
    assert form.user.name == "Ulysse Toutafaux"
    assert form.receipt_time == datetime(2026, 3, 20, 9, 0, 12, tzinfo=UTC)
    assert [f.field for f in form.files] == ["plan", "workflow_fields.bo_arrete"]
    assert form.workflow_fields["bo_arrete"] == {"file": 1}


def test_recorded_push_and_pull_are_the_same_thing() -> None:
    recorded = sample("recorded-wcs-exchange")
    pushed, pulled = parse(recorded["wscall_out"]["body"]), parse(recorded["formdata"])
    assert pushed.receipt_time == datetime(2026, 11, 23, 19, 7, 18, tzinfo=UTC)
    assert pushed.receipt_time == pulled.receipt_time
    assert pushed.user == Person("Agent", "agent@example.org", None)
    assert whole(pushed.files[0]) == b"photo"
    assert digest(pushed) == digest(pulled)


@pytest.mark.parametrize(
    "name", ["signalement-anomalie", "inscription-scolaire", "demande-avec-evolution"]
)
def test_digest_ignores_what_is_volatile(name: str) -> None:
    before = sample(name)
    after = copy.deepcopy(before)
    for key in ("actions", "extra", "roles", "digests", "evolution", "workflow", "submission"):
        after.pop(key, None)
    after["last_update_time"] = "2027-01-01T00:00:00"
    after["url"] = "https://demarches-toodego.example.org/ailleurs/"
    assert digest(parse(before)) == digest(parse(after))


@pytest.mark.parametrize("files", [0, 1, 3])
def test_without_its_form_it_is_what_its_extra_says(files: int) -> None:
    one = {"filename": "a.png", "content_type": "image/png", "content_is_base64": True}
    mine = [{**one, "content": base64.b64encode(PNG + bytes([n])).decode()} for n in range(files)]
    whole_form = sample("signalement-anomalie")
    whole_form["extra"] = {"action": "message", "message": "Bonjour", "pieces": mine}
    # A field's name, which a designer gives.
    whole_form["fields"]["extra"] = [{**one, "content": base64.b64encode(PNG + b"form").decode()}]
    bare = {k: v for k, v in whole_form.items() if k not in ("workflow", "geolocations")}
    bare["fields"] = {}
    form = parse(whole_form)
    assert form.fields
    assert len(form.files) > files
    found, wanted = without_form(form), parse(bare)
    assert dataclasses.replace(found, files=()) == dataclasses.replace(wanted, files=())
    assert [(f.field, whole(f)) for f in found.files] == [(f.field, whole(f)) for f in wanted.files]
    assert form.fields, "the whole of it is as it was"


def test_the_ids_that_a_later_event_may_give() -> None:
    def read(body: dict[str, Any]) -> str:
        text = json.dumps(body).encode()
        return parse_formdata(text, None, limits=LIMITS, names=("7", "TDG-1")).ref

    assert read({}) == "7"
    for given_id in (None, " ", 7, " 7", "TDG-1"):
        assert read({"id": given_id}) == "7"
    for other in ("8", True, ["7"]):
        with pytest.raises(Rejected) as refusal:
            read({"id": other})
        assert refusal.value.code == "id_mismatch"


def test_digest_sees_every_change_of_substance() -> None:
    base = {
        "id": "1",
        "api_url": "https://p.example.org/api/forms/a/1/",
        "user": {"name": "Zoé"},
        "fields": {"x": "1", "f": {"filename": "a.png", "b64_content": B64}},
    }
    changes: list[dict[str, Any]] = [
        {"id": "2"},
        {"api_url": "https://p.example.org/api/forms/b/1/"},
        {"user": {"name": "Zoë"}},
        {"fields": {**base["fields"], "x": "2"}},  # type: ignore[dict-item]
        {"fields": {"x": "1", "f": {"filename": "b.png", "b64_content": B64}}},
        {"fields": {"x": "1", "f": {"filename": "a.png", "b64_content": "YQ=="}}},
    ]
    digests = {digest(parse(base))} | {digest(parse(base | change)) for change in changes}
    assert len(digests) == 1 + len(changes)


# --- times -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hints", "expected"),
    [
        ("2026-10-25T02:30:00", [], "2026-10-25T00:30:00"),
        ("2026-10-25T02:30:00", ["2026-10-25T02:30:01.5+02:00"], "2026-10-25T00:30:00"),
        ("2026-10-25T02:30:00", ["2026-10-25T02:30:01.5+01:00"], "2026-10-25T01:30:00"),
        ("2026-10-25T02:30:00", ["2026-10-25T01:30:00+00:00"], "2026-10-25T01:30:00"),
        ("2026-10-25T02:30:00", ["2026-10-27T01:30:00+00:00"], "2026-10-25T00:30:00"),
        ("2026-03-29T02:30:00", [], "2026-03-29T01:30:00"),
        ("2026-03-29T01:59:59", [], "2026-03-29T00:59:59"),
        ("2026-07-01T12:00:00", [], "2026-07-01T10:00:00"),
        ("2026-07-01T12:00:00+00:00", [], "2026-07-01T12:00:00"),
    ],
)
def test_clock_changes(text: str, hints: list[str], expected: str) -> None:
    form = parse({"id": "1", "receipt_time": text, "evolution": [{"time": h} for h in hints]})
    assert form.receipt_time == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_one_hour_in_its_two_readings() -> None:
    summer = datetime(2026, 10, 25, 0, 30, 0, 100_000, tzinfo=UTC)
    hints = [summer, summer + timedelta(hours=1)]
    first = parse_local("2026-10-25T02:30:00", hints)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert parse_local("2026-10-25T02:30:00", reversed(hints)) == first + timedelta(hours=1)


@pytest.mark.parametrize("value", [None, 12, "hier", "0001-01-01T00:00:00", "9999-99-99", "", []])
def test_what_is_not_a_time_is_none(value: object) -> None:
    assert parse_local(value) is None


def test_filter_text_never_leaves_the_repeated_hour_out() -> None:
    assert filter_text(datetime(2026, 7, 1, 10, 0, 0, 9, tzinfo=UTC)) == "2026-07-01T12:00:00"
    for since in (
        datetime(2026, 10, 25, 0, 50, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 10, tzinfo=UTC),
    ):
        # What came at 01:05 UTC is shown as 02:05.
        assert filter_text(since) < "2026-10-25T02:05:00"


# --- shapes ----------------------------------------------------------------------------------


def test_explicit_payload_alone() -> None:
    form = parse({"id": 12, "commune_insee": "69029", "action": "Annulation", "texte": None})
    assert form.ref == "12"
    assert form.fields == {}
    assert form.extra == {"commune_insee": "69029", "action": "Annulation", "texte": None}
    assert read_event(form.extra).kind is EventKind.CANCELLATION
    assert (form.user, form.slug, form.receipt_time, form.channel) == (None, None, None, "web")


def test_extra_alone_and_unknown_keys_beside_fields() -> None:
    assert parse({"id": "1", "extra": {"a": "1"}, "b": "2"}).extra == {"a": "1", "b": "2"}
    assert parse({"id": "1", "fields": {}, "b": "2"}).extra == {}


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (None, None),
        ({}, None),
        ({"NameID": []}, None),
        ({"NameID": "abc"}, Person(uuid="abc")),
        ({"NameID": ["abc", "def"], "name": "Zoé"}, Person("Zoé", None, "abc")),
        ([], None),
    ],
)
def test_user(user: object, expected: Person | None) -> None:
    assert parse({"id": "1", "user": user}).user == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"lat": 45.7, "lon": 4.9}, (45.7, 4.9)),
        ({"lat": "45.7", "lon": "4.9"}, (45.7, 4.9)),
        ({"lat": 91, "lon": 4}, None),
        ({"lat": 4, "lon": -180.1}, None),
        ({"lat": 45.7, "lon": 4.9, "id": "mairie"}, None),
        ("45.7640;4.8357", None),
        ("12;30", None),
        ({"lat": True, "lon": 1}, None),
        ({"lat": 10**400, "lon": 1}, None),
        ({"lat": 45.7}, None),
        ("45,7;4,9", None),
        (None, None),
        ([45.7, 4.9], None),
    ],
)
def test_location(value: object, expected: tuple[float, float] | None) -> None:
    assert parse_location(value) == expected


def test_location_of_a_map_field_without_geolocations() -> None:
    assert parse({"id": "1", "fields": {"horaire": "12;30"}}).location is None
    assert parse({"id": "1", "fields": {"carte": {"lat": 1, "lon": 2}}}).location == (1.0, 2.0)


# --- files -----------------------------------------------------------------------------------


def wrapped(content: bytes) -> str:
    return base64.encodebytes(content).decode()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ({"filename": "a.png", "content": B64, "content_is_base64": True}, PNG),
        ({"filename": "a.png", "content": B64, "content_is_base64": "True"}, PNG),
        ({"filename": "a.png", "b64_content": B64}, PNG),
        ({"b64_content": B64}, PNG),
        ({"filename": "a.png", "content": wrapped(PNG), "content_is_base64": True}, PNG),
        ({"filename": "a.png", "b64_content": wrapped(PNG).replace("\n", "\r\n")}, PNG),
        ({"filename": "a.png", "content": "", "content_is_base64": True, "url": "u"}, b""),
        ({"filename": "a.png", "url": "https://p.example.org/x/1/download?f=1"}, None),
        ({"filename": "a.png", "content": "", "url": "u"}, None),
        (
            {"filename": "a", "content": "", "content_is_base64": True, "storage": "s", "url": "u"},
            None,
        ),
        ({"filename": "a", "storage": "distant", "storage_attrs": {}}, None),
    ],
)
def test_file_forms(file: dict[str, Any], content: bytes | None) -> None:
    form = parse({"id": "1", "fields": {"bloc_raw": [{"piece": file}]}, "extra": {"f": file}})
    assert [f.field for f in form.files] == ["bloc_raw.0.piece", "extra.f"]
    assert [whole(f) for f in form.files] == [content, content]
    assert form.fields == {"bloc_raw": [{"piece": {"file": 0}}]}
    assert form.extra == {"f": {"file": 1}}
    assert form.files[0].url == file.get("url")


def test_structured_rows_hold_no_files() -> None:
    row = {"id": "1", "filename": "modele.pdf", "url": "https://p.example.org/modele.pdf"}
    form = parse({"id": "1", "fields": {"modele_structured": row}})
    assert form.files == ()
    assert form.fields["modele_structured"] == row


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\dossier\\été.pdf", "été.pdf"),
        ("a\x00b\r\n.pdf", "ab.pdf"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("..", "document"),
        ("", "document"),
        ("dossier/", "document"),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
    ],
)
def test_filename_is_made_safe(name: str, safe: str) -> None:
    form = parse({"id": "1", "fields": {"f": {"filename": name, "b64_content": B64}}})
    assert form.files[0].filename == safe


def test_content_type_is_cleaned() -> None:
    def declared(value: object) -> str:
        file = {"filename": "a", "b64_content": B64, "content_type": value}
        return parse({"id": "1", "fields": {"f": file}}).files[0].content_type

    assert declared("Text/Plain; charset=utf-8") == "text/plain"
    assert declared("text/html\r\nX-Evil: 1") == "application/octet-stream"
    assert declared(None) == "application/octet-stream"


def test_contents_stay_out_of_repr() -> None:
    form = parse({"id": "1", "fields": {"f": {"filename": "a", "b64_content": "c2VjcmV0"}}})
    assert whole(form.files[0]) == b"secret"
    assert "secret" not in repr(form.files[0])


# --- refusals --------------------------------------------------------------------------------


def with_file(**file: object) -> dict[str, Any]:
    return {"id": "1", "fields": {"f": {"filename": "a.png", **file}}}


def nested(depth: int) -> bytes:
    return b'{"id":"1","fields":{"a":' + b"[" * depth + b"]" * depth + b"}}"


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"", None, "400 not_json"),
        (b"<html>", None, "400 not_json"),
        (b"id=1", "application/x-www-form-urlencoded", "415 not_json"),
        (b"{}", "application/json; charset=iso-8859-1", "415 wrong_charset"),
        ('{"id": "é"}'.encode("latin-1"), "application/json", "400 not_json"),
        ('{"id": "1"}'.encode("utf-16"), "application/json", "400 not_json"),
        (b"[]", None, "400 not_an_object"),
        (b'"x"', None, "400 not_an_object"),
        (b'{"id": "1", "fields": {"a": NaN}}', None, "400 not_json"),
        (b'{"id": "1", "fields": {"a": Infinity}}', None, "400 not_json"),
        (b'{"id": "1", "fields": {"a": 1e999}}', None, "400 not_json"),
        (b'{"id": "1", "fields": {"a": "\\ud800"}}', None, "400 not_json"),
        (b'{"id": "1", "fields": {"a": "\\udc00\\ud800"}}', None, "400 not_json"),
        (b'{"fields": {}}', None, "400 missing_id"),
        (b'{"id": null}', None, "400 missing_id"),
        (b'{"id": true}', None, "400 missing_id"),
        (b'{"id": 1.5}', None, "400 missing_id"),
        (b'{"id": " "}', None, "400 missing_id"),
        (b'{"id": ".."}', None, "400 bad_id"),
        (b'{"id": "3/../4"}', None, "400 bad_id"),
        (b'{"id": "3\\\\4"}', None, "400 bad_id"),
        (b'{"id": "1", "fields": {"file": 99}}', None, "400 reserved_value"),
        (b'{"id": "1", "extra": {"file": 0}}', None, "400 reserved_value"),
        (b'{"id": "1", "file": 0}', None, "400 reserved_value"),
        (b'{"id": "1", "workflow": {"fields": {"file": 0}}}', None, "400 reserved_value"),
        (b'{"id": "1", "uuid": "a\\u0000"}', None, "400 bad_text"),
        (b'{"id": "1", "display_id": "12-\\u00003"}', None, "400 bad_text"),
        (b'{"id": "1", "api_url": "https://p.invalid/\\u0000"}', None, "400 bad_text"),
        (b'{"id": "1", "user": {"NameID": ["\\u0000"]}}', None, "400 bad_text"),
        (b'{"id": "1", "user": {"NameID": "' + b"a" * 201 + b'"}}', None, "400 bad_text"),
        (
            b'{"id": "1", "fields": {"\\u0000": {"filename": "a", "b64_content": ""}}}',
            None,
            "400 bad_name",
        ),
        (b'{"id": "a\\u0000b"}', None, "400 bad_id"),
        (b'{"id": "1", "fields": []}', None, "400 wrong_type"),
        (b'{"id": "1", "extra": "x"}', None, "400 wrong_type"),
        (b'{"id": "1", "workflow": [1]}', None, "400 wrong_type"),
        (b'{"id": "1", "fields": {"a": {"file": 0}}}', None, "400 reserved_value"),
        (b'{"id": "1", "fields": {"a_structured": {"file": 7}}}', None, "400 reserved_value"),
        (nested(40), None, "400 too_deep"),
        (nested(900), None, "400 too_deep"),
        (nested(100_000), None, "400 not_json"),
    ],
)
def test_refused_bodies(body: bytes, content_type: str | None, code: str) -> None:
    assert refusal(body, content_type) == code


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ({"content": B64}, "400 unknown_file_encoding"),
        ({"content": B64, "content_is_base64": False}, "400 unknown_file_encoding"),
        ({"content": B64, "content_is_base64": "non"}, "400 unknown_file_encoding"),
        ({"content": {"a": 1}, "content_is_base64": True}, "400 bad_base64"),
        ({"content": "é", "content_is_base64": True}, "400 bad_base64"),
        ({"b64_content": "YQ"}, "400 bad_base64"),
        ({"b64_content": "Y*Q="}, "400 bad_base64"),
        ({"b64_content": "a-_b"}, "400 bad_base64"),
        ({"b64_content": 12}, "400 bad_base64"),
        ({"content_type": "image/png"}, "400 file_without_content"),
    ],
)
def test_refused_files(file: dict[str, Any], code: str) -> None:
    assert refusal(with_file(**file)) == code


def test_limits_hold_at_the_edge() -> None:
    body = json.dumps(with_file(b64_content=B64)).encode()
    size = len(PNG)
    edge = replace(DEFAULT_LIMITS, max_file_bytes=size, max_bytes=len(body))
    assert whole(parse_formdata(body, None, limits=edge).files[0]) == PNG
    assert refusal(body, max_file_bytes=size - 1) == "413 file_too_large"
    assert refusal(body, max_bytes=len(body) - 1) == "413 body_too_large"
    assert refusal(body, max_files=0) == "413 too_many_files"
    assert refusal({"id": "1", "fields": {"a": [1, 2, 3]}}, max_fields=3) == "400 too_many_fields"
    assert parse(
        {"id": "1", "fields": {"a": [1, 2, 3]}}, limits=replace(DEFAULT_LIMITS, max_fields=4)
    ).fields
    assert parse_formdata(nested(3), None, limits=replace(DEFAULT_LIMITS, max_depth=5)).fields == {
        "a": [[[]]]
    }
    assert refusal(nested(4), max_depth=5) == "400 too_deep"


def test_byte_order_mark_and_charset_are_taken() -> None:
    body = b"\xef\xbb\xbf" + b'{"id": "\xc3\xa9"}'
    assert parse_formdata(body, 'application/json; charset="UTF-8"', limits=LIMITS).ref == "é"


def test_refusals_repeat_no_value() -> None:
    with pytest.raises(Rejected) as error:
        parse(with_file(content="donnée-personnelle"))
    assert "personnelle" not in f"{error.value} {error.value.code}"


# --- events ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, (EventKind.CREATION, None, None)),
        ({"action": "", "message": "  "}, (EventKind.CREATION, None, None)),
        (
            {"action": "message", "evenement": "m-1", "message": "Bonjour"},
            (EventKind.MESSAGE, "m-1", "Bonjour"),
        ),
        ({"event": "Création", "evenement": "c-1"}, (EventKind.CREATION, "c-1", None)),
        ({"evenement": "annulation", "event": 7}, (EventKind.CANCELLATION, "7", None)),
        ({"action": "modification", "evenement": "x"}, (EventKind.CHANGE, "x", None)),
        (
            {"action": "message", "event": "k", "message": "<p>Un &amp; deux</p><p>a<br>b</p>"},
            (EventKind.MESSAGE, "k", "Un & deux\n\na\nb"),
        ),
        ({"message": "3 < 5 et 7 > 6"}, (EventKind.CREATION, None, "3 < 5 et 7 > 6")),
    ],
)
def test_event(extra: dict[str, Any], expected: tuple[EventKind, str | None, str | None]) -> None:
    found = read_event(parse({"id": "1", "fields": {}, "extra": extra}).extra)
    assert found == AnnouncedEvent(*expected)


def test_an_event_is_told_by_what_it_says() -> None:
    def content(kind: EventKind, message: str | None = None, **fields: str) -> str:
        return content_of(parse({"id": "1", "fields": fields}), AnnouncedEvent(kind, "k", message))

    message, change = EventKind.MESSAGE, EventKind.CHANGE
    assert content(message, "Toujours rien ?", x="1") == content(message, "toujours\nrien", x="2")
    assert content(message, "a") != content(message, "b")
    assert content(message, "?!") != content(message, "…")
    assert content(change, "a", x="1") == content(change, "b", x="1") != content(change, x="2")
    assert content(change, "a") != content(change, "b")
    assert content(EventKind.CANCELLATION, "a", x="1") == content(EventKind.CANCELLATION)


def test_a_document_is_told_by_its_file() -> None:
    def content(text: str) -> str:
        file = {"filename": "a.txt", "b64_content": base64.b64encode(text.encode()).decode()}
        form = {"photo": {"filename": "p.png", "b64_content": B64}}
        document = parse({"id": "1", "fields": form, "extra": {"piece": file}})
        return content_of(document, AnnouncedEvent(EventKind.DOCUMENT, "k"))

    assert content("a") == content("a") != content("b")


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        ({"action": "relance"}, "unknown_action"),
        ({"action": ["message"]}, "unknown_action"),
        ({"action": {"message": 1}}, "unknown_action"),
        ({"action": False}, "unknown_action"),
        ({"evenement": "x" * 201}, "bad_event_key"),
        ({"evenement": "a\nb"}, "bad_event_key"),
    ],
)
def test_event_refused(extra: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as error:
        read_event(parse({"id": "1", "fields": {}, "extra": extra}).extra)
    assert (error.value.status, error.value.code) == (400, code)


# --- fuzzing ---------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ("id", "uuid", "api_url", "url", "receipt_time", "last_update_time", "user", "fields", "extra")
) | st.sampled_from(("workflow", "submission", "evolution", "geolocations", "actions", "autre"))
FILES = st.fixed_dictionaries(
    {},
    optional={
        "filename": JSON,
        "content": st.text("AQ=\n", max_size=9) | JSON,
        "b64_content": st.text("AQ=\n", max_size=9) | JSON,
        "content_is_base64": JSON,
        "content_type": JSON,
        "url": JSON,
        "file": st.integers(),
    },
)
MAPS = st.fixed_dictionaries({}, optional={"lat": JSON, "lon": JSON, "base": JSON, "NameID": JSON})
FORMDATA = st.dictionaries(
    KEYS, JSON | st.dictionaries(st.text(max_size=5), JSON | FILES | MAPS, max_size=3), max_size=8
).map(lambda d: {"id": "1", **d})


@given(FORMDATA)
def test_any_json_is_parsed_or_rejected(document: dict[str, Any]) -> None:
    try:
        form = parse(document)
        digest(form)
        content_of(form, read_event(form.extra))
    except Rejected as error:
        status = error.status
    else:
        status = 200
        assert form.ref
    assert status in (200, 400, 413, 415)


@given(st.binary(max_size=60), st.none() | st.text(max_size=20))
def test_any_bytes_are_parsed_or_rejected(body: bytes, content_type: str | None) -> None:
    for raw in (body, b'{"id":"1","fields":' + body + b"}"):
        try:
            parse_formdata(raw, content_type, limits=LIMITS)
            status = 200
        except Rejected as error:
            status = error.status
        assert status in (200, 400, 415)


@given(st.binary(max_size=200), st.booleans())
def test_content_survives(content: bytes, lines: bool) -> None:
    text = wrapped(content) if lines else base64.b64encode(content).decode()
    form = parse(with_file(content=text, content_is_base64=True))
    assert whole(form.files[0]) == content


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2035, 1, 1)))
def test_times_come_back(moment: datetime) -> None:
    instant = moment.replace(microsecond=0, tzinfo=UTC)
    shown = instant.astimezone(PARIS).replace(tzinfo=None).isoformat()
    assert parse_local(shown, [instant + timedelta(seconds=2)]) == instant
