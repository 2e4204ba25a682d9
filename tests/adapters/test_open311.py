"""The Open311 adapter's calls on the wire, and its outcomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
import respx
from pydantic import ValidationError

from adapters.open311 import Open311Adapter, Open311Options
from adapters.open311.georeport import read_rows
from gateway.sdk import (
    Accepted,
    Amendment,
    CannotTell,
    Context,
    EventKind,
    Found,
    Misconfigured,
    Outcome,
    Refused,
    Submission,
    Tracked,
    TryLater,
    Unreadable,
    Unsure,
    answer_text,
    answered,
    masked,
)
from gateway.sdk.conformance import NOW, REFERENCE, file

ROOT = "https://gru.exemple.invalid/v2"
PLACE = {"service_code": "VOIRIE", "lat": 45.78, "long": 4.88}
SINCE = NOW - timedelta(days=3)


def adapter(router: respx.MockRouter, **options: Any) -> Open311Adapter:
    client = httpx.AsyncClient(transport=httpx.MockTransport(router.async_handler))
    given = {"endpoint": ROOT, "api_key": "cle", "format": "json", **options}
    given.setdefault("token", {"tries": 2, "wait_s": 0})
    checked = Open311Options.model_validate(given)
    return Open311Adapter(checked, Context("69029", "essai", client, lambda: NOW))


def submission(**payload: Any) -> Submission:
    return Submission(REFERENCE, {**PLACE, **payload})


def amendment(kind: EventKind = EventKind.MESSAGE, **changes: Any) -> Amendment:
    given = {"message": "Toujours là", "gru_reference": "42", "payload": {}, **changes}
    return Amendment(reference=REFERENCE, key="evt-1", kind=kind, **given)


def form(route: respx.Route) -> list[tuple[str, str]]:
    return parse_qsl(route.calls.last.request.content.decode(), strict_parsing=True)


# --- creation ---------------------------------------------------------------------------------


async def test_creation_is_a_form_with_attributes_and_no_empty_parameter(
    router: respx.MockRouter,
) -> None:
    route = router.post(f"{ROOT}/requests.json").respond(json=[{"service_request_id": 42}])
    outcome = await adapter(router, jurisdiction_id="bron", link="https://v.exemple/{id}").submit(
        submission(
            description="Nid de poule\nprofond",
            email="",
            phone=None,
            attributes={"type": ["trou", "fissure"], "urgent": True, "vide": None},
        )
    )
    assert outcome == Accepted("42", "https://v.exemple/42")
    request = route.calls.last.request
    assert request.headers["content-type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert request.url.query == b""
    assert form(route) == [
        ("api_key", "cle"),
        ("jurisdiction_id", "bron"),
        ("service_code", "VOIRIE"),
        ("lat", "45.78"),
        ("long", "4.88"),
        ("description", "Nid de poule\nprofond"),
        ("attribute[type][]", "trou"),
        ("attribute[type][]", "fissure"),
        ("attribute[urgent]", "true"),
        ("attribute[toodego_ref]", REFERENCE),
    ]


async def test_files_go_as_multipart(router: respx.MockRouter) -> None:
    route = router.post(f"{ROOT}/requests.json").respond(json=[{"service_request_id": "42"}])
    sent = Submission(REFERENCE, {**PLACE, "attributes": {"t": ["a", "b"]}}, [file(b"octets")])
    assert await adapter(router, media="multipart").submit(sent) == Accepted("42")
    request = route.calls.last.request
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    body = request.content
    assert b'name="media"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\noctets' in body
    assert body.count(b'name="attribute[t][]"') == 2


@pytest.mark.parametrize(("media", "sent"), [("none", 0), ("url", 2)])
async def test_media_url_goes_only_when_asked_for(
    router: respx.MockRouter, media: str, sent: int
) -> None:
    route = router.post(f"{ROOT}/requests.json").respond(json=[{"service_request_id": "42"}])
    urls = ["https://media.exemple.invalid/1", "https://media.exemple.invalid/2"]
    await adapter(router, media=media).submit(submission(media_url=urls))
    assert [name for name, _ in form(route)].count("media_url") == sent


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ({"lat": 45.78, "long": 4.88}, "service_code"),
        ({"service_code": "VOIRIE", "lat": 45.78}, "address_string"),
        ({**PLACE, "titre": "x"}, "titre"),
        ({**PLACE, "description": {"a": 1}}, "description"),
        ({**PLACE, "attributes": {"type": {"a": 1}}}, "type"),
        ({**PLACE, "attributes": ["a"]}, "attributes"),
        ({**PLACE, "description": "x" * 4001}, "4000"),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_any_call(
    router: respx.MockRouter, payload: dict[str, Any], word: str
) -> None:
    outcome = await adapter(router).submit(Submission(REFERENCE, payload))
    assert isinstance(outcome, Refused)
    assert word in outcome.detail


async def test_a_long_description_is_cut_when_so_set(router: respx.MockRouter) -> None:
    route = router.post(f"{ROOT}/requests.json").respond(json=[{"service_request_id": "42"}])
    await adapter(router, too_long="cut").submit(submission(description="é" * 5000))
    text = dict(form(route))["description"]
    assert len(text) == 4000
    assert text.endswith("[texte coupé]")


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (400, "The CRM is down", TryLater),
        (400, "service temporarily unavailable", TryLater),
        (400, "lat is required", Refused),
        (404, "service_code not found", Misconfigured),
        (403, "api_key invalid", Misconfigured),
        (500, "exception", Unsure),
    ],
)
@pytest.mark.parametrize("format", ["xml", "json"])
async def test_errors_are_told_apart_by_their_description(
    router: respx.MockRouter, format: str, status: int, said: str, expected: type[Outcome]
) -> None:
    errors = f"<errors><error><code>1</code><description>{said}</description></error></errors>"
    answer = {"json": [{"code": 1, "description": said}]} if format == "json" else {"text": errors}
    router.post(f"{ROOT}/requests.{format}").respond(status, **answer)
    outcome = await adapter(router, format=format).submit(submission())
    assert type(outcome) is expected
    assert not isinstance(outcome, Accepted)
    assert outcome.detail == f"HTTP {status}"
    assert said in (outcome.answer or "")


async def test_an_error_text_keeps_its_sentence_and_loses_the_person(
    router: respx.MockRouter,
) -> None:
    said = "email ZOE@exemple.invalid of Zoe Fictive-Exemple is not valid (phone 04 72 00 00 00)"
    answer = [{"code": 400, "description": said}]
    router.post(f"{ROOT}/requests.json").respond(400, json=answer)
    payload = {"first_name": "Zoé", "last_name": "Fictive-Exemple", "phone": "0472000000"}
    outcome = await adapter(router).submit(submission(**payload))
    assert outcome == Refused("invalid", "HTTP 400")
    assert isinstance(outcome, Refused)
    assert "email … of … …-… is not valid (phone …)" in (outcome.answer or "")


def test_masking_knows_accents_and_case() -> None:
    assert masked("éLOïse habite ici", ["Eloise"]) == "… habite ici"
    assert masked("e\u0301loi\u0308se habite ici", ["Eloïse"]) == "… habite ici"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            rb'{"name": "Zo\u00e9 Lef\u00e8vre", "text": "a\nZo\u00e9"}',
            '{"name": "… …", "text": "a …"}',
        ),
        (rb'{"error": "{\"name\": \"Zo\\u00e9\"}"}', '{"error": "{"name": "…"}"}'),
        (b"nom=Zo%C3%A9&courriel=zoe.l%40exemple.invalid", "nom=…&courriel=…"),
        ("Zoé refusée".encode("cp1252"), "… refusée"),
        ("Zoé".encode().decode("latin-1").encode(), "…"),
        (b'{"photo": "' + b"iVBORw0KGgoAAA" * 5 + b'"}', '{"photo": "…"}'),
        (b"<p>Refus\x1b[31m pour Zo&eacute;</p>", "Refus[31m pour …"),
        (b'{"email":["zoe@exemple.invalid is not valid"]}', '{"email":["… is not valid"]}'),
        (b" " * 15_990 + "Zoé Lefèvre".encode(), "…"),
        (b"x " * 2000, "x " * 984 + "x"),
    ],
)
def test_an_answer_is_masked_however_it_is_written(body: bytes, words: str) -> None:
    said = answer_text(httpx.Response(422), body, ["Zoé", "Lefèvre", "0612345678"])
    assert said.removeprefix("HTTP 422 Unprocessable Entity\n") == words.strip()
    assert len(said) <= 2000


def test_of_a_long_text_short_words_are_everybody_s() -> None:
    sent = ["Un nid de poule devant le numéro 12", "Li"]
    assert masked("Le champ numéro de Li est vide", sent) == "Le champ … de … est vide"


def test_an_answer_shows_in_no_representation() -> None:
    outcome = answered(Refused("refused", "HTTP 422"), httpx.Response(422), b"secret du serveur")
    assert outcome == Refused("refused", "HTTP 422")
    assert "secret" not in repr(outcome)
    assert "secret" in (getattr(outcome, "answer", None) or "")


@pytest.mark.parametrize("body", [b"<html>", b"[", b"", b'"x"', b"[]", b'[{"service_notice":1}]'])
async def test_a_creation_without_a_readable_number_is_unsure(
    router: respx.MockRouter, body: bytes
) -> None:
    router.post(f"{ROOT}/requests.json").respond(200, content=body)
    assert isinstance(await adapter(router).submit(submission()), Unsure)


async def test_a_blackbox_service_gives_no_number(router: respx.MockRouter) -> None:
    router.post(f"{ROOT}/requests.json").respond(json=[{"service_notice": "Merci"}])
    assert await adapter(router, blackbox=["VOIRIE"]).submit(submission()) == Accepted(None)


# --- tokens -----------------------------------------------------------------------------------


async def test_a_token_becomes_a_number_within_the_call(router: respx.MockRouter) -> None:
    router.post(f"{ROOT}/requests.json").respond(json=[{"token": "a/b"}])
    token = router.get(f"{ROOT}/tokens/a%2Fb.json")
    known = [{"service_request_id": "42", "token": "a/b"}]
    token.side_effect = [httpx.Response(404), httpx.Response(200, json=known)]
    assert await adapter(router).submit(submission()) == Accepted("42", proof={"token": "a/b"})


@pytest.mark.parametrize("answer", [httpx.Response(404), httpx.Response(500), httpx.ReadTimeout])
async def test_once_a_token_is_given_the_creation_is_accepted(
    router: respx.MockRouter, answer: Any
) -> None:
    router.post(f"{ROOT}/requests.json").respond(json=[{"token": "XYZ"}])
    route = router.get(f"{ROOT}/tokens/XYZ.json")
    route.side_effect = answer if isinstance(answer, type) else [answer, answer]
    outcome = await adapter(router).submit(submission())
    assert outcome == Accepted("token:XYZ", proof={"token": "XYZ"})
    assert route.call_count == 2


async def test_a_poll_turns_a_token_into_a_number_once(router: respx.MockRouter) -> None:
    token = router.get(f"{ROOT}/tokens/XYZ.json").respond(json=[{"service_request_id": "42"}])
    router.get(f"{ROOT}/requests.json", params={"service_request_id": "42"}).respond(
        json=[{"service_request_id": "42", "status": "closed"}]
    )
    tested, tracked = adapter(router), [Tracked(REFERENCE, "token:XYZ", SINCE)]
    first = await tested.statuses(tracked, None)
    again = await tested.statuses(tracked, first.cursor)
    assert token.call_count == 1
    assert [(c.gru_reference, c.reference, c.status) for c in again.items] == [
        ("token:XYZ", None, "closed")
    ]
    assert first.items == again.items


async def test_an_amendment_waits_for_the_number(router: respx.MockRouter) -> None:
    router.get(f"{ROOT}/tokens/XYZ.json").respond(404)
    outcome = await adapter(router, updates={}).amend(amendment(gru_reference="token:XYZ"))
    assert isinstance(outcome, TryLater)
    assert outcome.reason == "number_pending"


# --- search -----------------------------------------------------------------------------------


async def test_find_reads_attributes_in_xml(router: respx.MockRouter) -> None:
    router.get(f"{ROOT}/requests.xml").respond(
        text="<service_requests><request><service_request_id>7</service_request_id><attributes/>"
        "</request><request><service_request_id>42</service_request_id><attributes><attribute>"
        f"<code>toodego_ref</code><value>{REFERENCE}</value></attribute></attributes></request>"
        "</service_requests>"
    )
    assert await adapter(router, format="xml", find="by_attribute").find(REFERENCE) == Found("42")


@pytest.mark.parametrize(
    "rows",
    [
        [{"service_request_id": "1"}],
        [{"service_request_id": str(n), "attributes": {}} for n in range(1000)],
    ],
    ids=["no attributes", "cut at the limit"],
)
async def test_find_does_not_say_absent_of_a_list_that_proves_nothing(
    router: respx.MockRouter, rows: list[dict[str, Any]]
) -> None:
    router.get(f"{ROOT}/requests.json").respond(json=rows)
    assert isinstance(await adapter(router, find="by_attribute").find(REFERENCE), CannotTell)


async def test_paging_ends_on_a_server_that_ignores_it(router: respx.MockRouter) -> None:
    rows = [{"service_request_id": "1", "attributes": {}}]
    route = router.get(f"{ROOT}/requests.json").respond(json=rows)
    paging = {"page": "p", "size": "per_page", "rows": 1}
    await adapter(router, find="by_attribute", paging=paging).find(REFERENCE)
    assert route.call_count == 2
    assert route.calls.last.request.url.params["per_page"] == "1"


# --- statuses ---------------------------------------------------------------------------------


async def test_statuses_are_asked_by_batches_of_numbers(router: respx.MockRouter) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["service_request_id"])
        rows = [
            {
                "service_request_id": number,
                "status": "open",
                "status_notes": None,
                "updated_datetime": "2026-03-15T10:00:00+01:00",
            }
            for number in asked[-1].split(",")
        ]
        return httpx.Response(200, json=rows)

    router.get(f"{ROOT}/requests.json").mock(side_effect=answer)
    tracked = [Tracked(f"TDG-{n}", str(n), SINCE) for n in range(5)]
    changes = await adapter(router, poll_batch=2).statuses(tracked, None)
    assert asked == ["0,1", "2,3", "4"]
    assert len(changes.items) == 5
    assert changes.items[0].at == datetime(2026, 3, 15, 9, tzinfo=UTC)
    assert changes.failure is None


async def test_an_unknown_number_does_not_hide_the_rest_of_its_batch(
    router: respx.MockRouter,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "1" in request.url.params["service_request_id"]:
            return httpx.Response(404, json=[{"code": 404, "description": "unknown"}])
        return httpx.Response(200, json=[{"service_request_id": "2", "status": "closed"}])

    router.get(f"{ROOT}/requests.json").mock(side_effect=answer)
    tracked = [Tracked("TDG-1", "1", SINCE), Tracked("TDG-2", "2", SINCE)]
    changes = await adapter(router).statuses(tracked, None)
    assert [change.gru_reference for change in changes.items] == ["2"]
    assert changes.failure is None


async def test_a_window_overlaps_the_one_before(router: respx.MockRouter) -> None:
    route = router.get(f"{ROOT}/requests.json").respond(json=[])
    tested = adapter(router, poll="window", poll_overlap_s=600)
    first = await tested.statuses([Tracked(REFERENCE, "42", SINCE)], None)
    assert route.calls.last.request.url.params["updated_after"] == "2026-03-13T09:20:00Z"
    await tested.statuses([], first.cursor)
    assert route.calls.last.request.url.params["updated_after"] == "2026-03-16T09:20:00Z"


async def test_a_window_read_by_a_clock_that_was_ahead_is_read_again(
    router: respx.MockRouter,
) -> None:
    """Between the hour it had read up to and ours, whatever changed was never seen."""
    route = router.get(f"{ROOT}/requests.json").respond(json=[])
    tested = adapter(router, poll="window", poll_overlap_s=600)
    cursor = '{"requests": "2026-03-16T11:30:00Z"}'
    changes = await tested.statuses([Tracked(REFERENCE, "42", SINCE)], cursor)
    asked = route.calls.last.request.url.params
    assert asked["updated_after"] == "2025-12-17T08:31:00Z"  # the widest that may be asked
    assert changes.cursor == '{"requests": "2026-03-16T09:30:00Z"}'


async def test_a_search_reaches_past_a_clock_that_was_set_back(router: respx.MockRouter) -> None:
    """A request made two hours after our present was absent, and was created again."""
    route = router.get(f"{ROOT}/requests.json").respond(json=[])
    await adapter(router, find="by_attribute").find(REFERENCE)
    asked = route.calls.last.request.url.params
    assert asked["end_date"] >= "2026-03-16T21:30:00Z"
    days = datetime.fromisoformat(asked["end_date"]) - datetime.fromisoformat(asked["start_date"])
    assert days < timedelta(days=90)


async def test_a_failed_poll_keeps_what_it_read_and_where_it_stood(
    router: respx.MockRouter,
) -> None:
    row = {"service_request_id": "42", "status": "open"}
    router.get(f"{ROOT}/requests.json").respond(json=[row])
    router.get(f"{ROOT}/servicerequestupdates.json").respond(503, headers={"retry-after": "9"})
    cursor = '{"updates": "2026-03-16T08:00:00Z"}'
    tested = adapter(router, updates={})
    changes = await tested.statuses([Tracked(REFERENCE, "42", SINCE)], cursor)
    assert [change.status for change in changes.items] == ["open"]
    assert changes.cursor == cursor
    assert changes.failure == TryLater("busy", "HTTP 503", 9.0)


# --- updates ----------------------------------------------------------------------------------


async def test_an_update_carries_our_key_and_an_upper_case_status(
    router: respx.MockRouter,
) -> None:
    route = router.post(f"{ROOT}/servicerequestupdates.json").respond(json=[{"update_id": 9}])
    outcome = await adapter(router, updates={}).amend(
        amendment(EventKind.CANCELLATION, message=None, payload={"first_name": "Zoé"})
    )
    assert outcome == Accepted("9", proof={"update_id": f"{REFERENCE}-evt-1"})
    assert form(route) == [
        ("api_key", "cle"),
        ("first_name", "Zoé"),
        ("description", "L’usager a annulé sa demande."),
        ("status", "CLOSED"),
        ("service_request_id", "42"),
        ("update_id", f"{REFERENCE}-evt-1"),
        ("updated_datetime", "2026-03-16T09:30:00Z"),
    ]


async def test_an_update_on_an_unknown_request_is_refused(router: respx.MockRouter) -> None:
    router.post(f"{ROOT}/servicerequestupdates.json").respond(404)
    outcome = await adapter(router, updates={}).amend(amendment())
    assert outcome == Refused("unknown_reference", "HTTP 404")


async def test_a_document_needs_multipart(router: respx.MockRouter) -> None:
    document = amendment(EventKind.DOCUMENT, message=None, files=(file(),))
    assert isinstance(await adapter(router, updates={}).amend(document), Refused)
    route = router.post(f"{ROOT}/servicerequestupdates.json").respond(json=[{"update_id": "9"}])
    tested = adapter(router, updates={}, media="multipart")
    assert isinstance(await tested.amend(document), Accepted)
    assert b'name="media"' in route.calls.last.request.content


async def test_updates_are_read_once_and_ours_are_left_out(router: respx.MockRouter) -> None:
    row = {
        "update_id": "u1",
        "service_request_id": "42",
        "status": "in_progress",
        "description": "Une équipe passera",
        "updated_datetime": "2026-03-16T10:00:00+01:00",
        "media_url": "",
    }
    note = {**row, "update_id": "u2", "status": "unchanged"}
    ours = {**row, "update_id": f"{REFERENCE}-evt-1"}
    rows = [row, row, note, ours]
    route = router.get(f"{ROOT}/servicerequestupdates.json").respond(json=rows)
    tested = adapter(router, poll="none", updates={"overlap_s": 60}, public_notes=True)
    changes = await tested.statuses([Tracked(REFERENCE, "42", SINCE)], None)
    assert [(c.key, c.status, c.message, c.public) for c in changes.items] == [
        ("u:u1", "in_progress", "Une équipe passera", True),
        ("u:u2", None, "Une équipe passera", True),
    ]
    await tested.statuses([], changes.cursor)
    assert dict(route.calls.last.request.url.params) == {
        "start_date": "2026-03-16T09:29:00Z",
        "end_date": "2026-03-17T08:30:00Z",
    }


async def test_an_echoed_update_is_found(router: respx.MockRouter) -> None:
    rows = [{"update_id": f"{REFERENCE}-evt-1", "service_request_id": "42"}]
    router.get(f"{ROOT}/servicerequestupdates.json").respond(json=rows)
    tested = adapter(router, updates={"duplicates": "echo"})
    assert await tested.find_amend(amendment()) == Found(f"{REFERENCE}-evt-1")


# --- reading ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
        b"<!  doctype a><a/>",
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a []><a/>'.encode("utf-16"),
        b"<a>" * 100_000,
    ],
)
def test_xml_with_declarations_is_not_read(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_rows(body, "xml")


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("json", b'[{"service_request_id": 638344, "lat": 45.10}]'),
        ("json", b'{"service_requests": [{"service_request_id": "638344", "lat": "45.10"}]}'),
        ("json", b'{"service_request_id": "638344", "lat": "45.10"}'),
        (
            "xml",
            b"<service_requests><request><service_request_id>638344</service_request_id>"
            b"<lat>45.10</lat></request></service_requests>",
        ),
    ],
)
def test_every_spelling_gives_the_same_rows(form: str, body: bytes) -> None:
    assert read_rows(body, form) == [{"service_request_id": "638344", "lat": "45.10"}]


@pytest.mark.parametrize("body", [b"<services/>", b"<service_requests></service_requests>"])
def test_an_empty_list_has_no_row(body: bytes) -> None:
    assert read_rows(body, "xml") == []


# --- options and check ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": "ftp://gru.exemple.invalid"},
        {"endpoint": "https://gru.exemple.invalid/?key=1"},
        {"endpoint": "https://nom:mot@gru.exemple.invalid"},
        {"api_key": ""},
        {"link": "https://gru.exemple.invalid"},
        {"temporary_400": ["("]},
        {"find": "by_attribute", "reference_attribute": None},
        {"updates": {"statuses": {"inconnu": "OPEN"}}},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Open311Options.model_validate({"endpoint": ROOT, "api_key": "cle", **options})


async def test_check_names_what_does_not_fit(router: respx.MockRouter) -> None:
    services = [
        {"service_code": "VOIRIE", "metadata": "true", "type": "realtime"},
        {"service_code": "MUET", "metadata": "false", "type": "blackbox"},
    ]
    router.get(f"{ROOT}/services.json").respond(json=services)
    definition = {"attributes": [{"code": "type", "required": True}]}
    router.get(f"{ROOT}/services/VOIRIE.json").respond(json=definition)
    router.get(f"{ROOT}/requests.json").respond(json=[{"service_request_id": "1"}])
    codes = ["VOIRIE", "MUET", "ABSENT"]
    notes = await adapter(router, service_codes=codes, find="by_attribute").check()
    assert [note.said.what("fr") for note in notes if note.level != "ok"] == [
        "le service VOIRIE n'a pas d'attribut toodego_ref",
        "le service MUET ne donne pas de numéro",
        "le service ABSENT n'est pas proposé",
        "le serveur liste les demandes sans attributes",
    ]
    assert "le service VOIRIE demande : type" in [note.said.what("fr") for note in notes]


async def test_a_refused_search_waits_for_a_person(router: respx.MockRouter) -> None:
    answer = [{"code": 400, "description": "unknown parameter extensions"}]
    router.get(f"{ROOT}/requests.json").respond(400, json=answer)
    finding = await adapter(router, find="by_attribute").find(REFERENCE)
    assert isinstance(finding, CannotTell)
    assert finding.forever


@pytest.mark.parametrize("cursor", ["", "not json", "[1]", '{"tokens": 1, "updates": "hier"}'])
async def test_an_unreadable_cursor_begins_anew(router: respx.MockRouter, cursor: str) -> None:
    route = router.get(f"{ROOT}/servicerequestupdates.json").respond(json=[])
    tested = adapter(router, poll="none", updates={"overlap_s": 0})
    await tested.statuses([Tracked(REFERENCE, "42", SINCE)], cursor)
    assert route.calls.last.request.url.params["start_date"] == "2026-03-13T09:30:00Z"


async def test_an_error_under_2xx_proves_nothing(router: respx.MockRouter) -> None:
    answer = [{"code": 500, "description": "half done"}]
    router.post(f"{ROOT}/requests.json").respond(200, json=answer)
    assert isinstance(await adapter(router).submit(submission()), Unsure)


async def test_an_update_needs_words(router: respx.MockRouter) -> None:
    outcome = await adapter(router, updates={}).amend(amendment(message=None))
    assert outcome == Refused("unmappable", "an update needs a description")
