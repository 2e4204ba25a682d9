"""Redmine's and Znuny's manners, by their YAML alone: what goes over the wire and comes back."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import respx

from gateway.sdk import (
    Accepted,
    Amendment,
    CannotTell,
    EventKind,
    Files,
    Found,
    Misconfigured,
    Refused,
    Submission,
    Tracked,
    TryLater,
    Unsure,
)
from gateway.sdk.conformance import NOW, REFERENCE, file
from tests.adapters.rest_systems import adapter, options

REDMINE = "https://redmine.exemple.invalid"
ZNUNY = "https://znuny.exemple.invalid/otrs/nph-genericinterface.pl/Webservice/Toodego"


def sent(route: respx.Route, call: int = -1) -> Any:
    """The JSON that a route received."""
    return json.loads(route.calls[call].request.content)


# --- Redmine --------------------------------------------------------------------------------


async def test_redmine_gets_the_file_first_then_the_issue(router: respx.MockRouter) -> None:
    upload = router.post(f"{REDMINE}/uploads.json", params={"filename": "piece-1.png"})
    upload.respond(201, json={"upload": {"token": "7.abc"}})
    create = router.post(f"{REDMINE}/issues.json").respond(201, json={"issue": {"id": 42}})
    photo = file(b"image", filename="Zoé Fictive-Exemple.png")
    async with adapter(options("redmine"), router) as redmine:
        payload = {"project_id": 3, "subject": "Nid de poule"}
        outcome = await redmine.submit(Submission(REFERENCE, payload, [photo]))
    assert outcome == Accepted("42", f"{REDMINE}/issues/42", {"status": "201"})
    request = upload.calls.last.request
    assert request.content == b"image"
    assert request.headers["content-type"] == "application/octet-stream"
    assert request.headers["x-redmine-api-key"] == "cle-redmine-de-test"
    assert sent(create) == {
        "issue": {
            **payload,
            "custom_fields": [{"id": 7, "value": REFERENCE}],
            "uploads": [
                {"token": "7.abc", "filename": photo.filename, "content_type": "image/png"}
            ],
        }
    }


async def test_redmine_refuses_a_file_and_nothing_is_created(router: respx.MockRouter) -> None:
    router.post(f"{REDMINE}/uploads.json").respond(413)
    async with adapter(options("redmine"), router) as redmine:
        outcome = await redmine.submit(Submission(REFERENCE, {}, [file()]))
    assert outcome == Refused("file_refused", "file 1: HTTP 413")


async def test_redmine_takes_a_note_and_answers_nothing(router: respx.MockRouter) -> None:
    note = router.put(f"{REDMINE}/issues/42.json").respond(204)
    amendment = Amendment(REFERENCE, "42", "evt-7", EventKind.MESSAGE, {}, "Toujours là.")
    async with adapter(options("redmine"), router) as redmine:
        assert isinstance(await redmine.amend(amendment), Accepted)
        body = sent(note)
        held = {"issue": {"journals": [{"id": 1, "notes": body["issue"]["notes"]}]}}
        router.get(f"{REDMINE}/issues/42.json").respond(200, json=held)
        assert isinstance(await redmine.find_amend(amendment), Found)
    assert body == {"issue": {"notes": "Toujours là.\n\n[evt-7]"}}


async def test_redmine_takes_a_later_document(router: respx.MockRouter) -> None:
    router.post(f"{REDMINE}/uploads.json").respond(201, json={"upload": {"token": "8.x"}})
    note = router.put(f"{REDMINE}/issues/42.json").respond(204)
    amendment = Amendment(REFERENCE, "42", "evt-8", EventKind.DOCUMENT, {}, None, [file()])
    async with adapter(options("redmine"), router) as redmine:
        assert isinstance(await redmine.amend(amendment), Accepted)
    assert [u["token"] for u in sent(note)["issue"]["uploads"]] == ["8.x"]


async def test_redmine_is_polled_by_offset_and_private_notes_stay(
    router: respx.MockRouter,
) -> None:
    issues = [
        {"id": n, "status": {"name": "Nouveau"}, "updated_on": f"2026-03-16T09:0{n}:00Z"}
        for n in (1, 2, 3)
    ]

    def page(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        assert params["updated_on"] == ">=2026-03-16T08:50:00Z", "ten minutes are read again"
        assert (params["status_id"], params["limit"]) == ("*", "2")
        begin = int(params["offset"])
        return httpx.Response(200, json={"issues": issues[begin : begin + 2]})

    def detail(request: httpx.Request) -> httpx.Response:
        number = int(request.url.path.removesuffix(".json").rsplit("/", 1)[-1])
        journals = [
            {"id": 10 * number, "notes": "Interne", "private_notes": True},
            {"id": 10 * number + 1, "notes": "Publique", "private_notes": False},
            {"id": 10 * number + 2, "notes": "Non dit"},
            {"id": 10 * number + 3, "notes": ""},
        ]
        return httpx.Response(200, json={"issue": {**issues[number - 1], "journals": journals}})

    router.get(f"{REDMINE}/issues.json").mock(side_effect=page)
    router.get(url__regex=rf"{REDMINE}/issues/\d\.json").mock(side_effect=detail)
    async with adapter(options("redmine"), router) as redmine:
        changes = await redmine.statuses([], NOW.replace(minute=0).isoformat())
    assert changes.failure is None
    assert [c.gru_reference for c in changes.items if c.status] == ["1", "2", "3"]
    notes = [(c.message, c.public) for c in changes.items if c.gru_reference == "1"][1:]
    assert notes == [("Interne", False), ("Publique", True), ("Non dit", False)]
    # The end of the first page: an issue may have slipped over while the second was read.
    assert changes.cursor == "2026-03-16T09:02:00+00:00"


async def test_an_ignored_filter_is_no_proof_of_absence(router: respx.MockRouter) -> None:
    others = [{"id": n, "custom_fields": []} for n in range(25)]
    router.get(f"{REDMINE}/issues.json").respond(200, json={"issues": others})
    async with adapter(options("redmine"), router) as redmine:
        finding = await redmine.find(REFERENCE)
    assert isinstance(finding, CannotTell)
    assert (finding.reason, finding.forever) == ("filter_ignored", True)


# --- Znuny ----------------------------------------------------------------------------------


def znuny_session(router: respx.MockRouter) -> respx.Route:
    numbers = iter(range(1, 10))
    return router.post(f"{ZNUNY}/Session").mock(
        side_effect=lambda _: httpx.Response(200, json={"SessionID": f"s{next(numbers)}"})
    )


async def test_znuny_gets_the_session_and_the_files_in_the_body(router: respx.MockRouter) -> None:
    login = znuny_session(router)
    create = router.post(f"{ZNUNY}/Ticket").respond(200, json={"TicketID": "42"})
    payload = {"Ticket": {"Title": "Nid"}, "Article": {"Body": "Rue =1"}}
    async with adapter(options("znuny"), router) as znuny:
        assert znuny.capabilities.files is Files.WITHIN
        outcome = await znuny.submit(Submission(REFERENCE, payload, [file(b"image")]))
    assert outcome == Accepted("42", None, {"status": "200"})
    assert sent(login) == {"UserLogin": "toodego", "Password": "mot-de-passe-de-test"}
    body = sent(create)
    assert body["SessionID"] == "s1"
    assert body["Article"] == {"Body": "Rue =1"}, "what the citizen wrote is never computed"
    assert body["DynamicField"] == [{"Name": "Toodego", "Value": REFERENCE}]
    assert base64.b64decode(body["Attachment"][0]["Content"]) == b"image"


async def test_znuny_session_over_in_a_200_is_opened_anew(router: respx.MockRouter) -> None:
    login = znuny_session(router)

    def create(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["SessionID"] == "s1":
            return httpx.Response(200, json={"Error": {"ErrorCode": "TicketCreate.AuthFail"}})
        return httpx.Response(200, json={"TicketID": 43})

    route = router.post(f"{ZNUNY}/Ticket").mock(side_effect=create)
    async with adapter(options("znuny"), router) as znuny:
        assert isinstance(await znuny.submit(Submission(REFERENCE, {})), Accepted)
    assert (login.call_count, route.call_count) == (2, 2)


async def test_znuny_that_turns_every_session_away_is_asked_twice_only(
    router: respx.MockRouter,
) -> None:
    znuny_session(router)
    route = router.post(f"{ZNUNY}/Ticket")
    route.respond(200, json={"Error": {"ErrorCode": "TicketCreate.AuthFail"}})
    async with adapter(options("znuny"), router) as znuny:
        outcome = await znuny.submit(Submission(REFERENCE, {}))
    assert isinstance(outcome, Misconfigured)
    assert route.call_count == 2


async def test_znuny_errors_inside_a_200(router: respx.MockRouter) -> None:
    znuny_session(router)
    route = router.post(f"{ZNUNY}/Ticket")
    async with adapter(options("znuny"), router) as znuny:
        outcomes = []
        for code in ("TicketCreate.InvalidParameter", "Unavailable", "Autre", "Zoé Fictive, 3 r."):
            error = {"ErrorCode": code, "ErrorMessage": "Zoé Fictive-Exemple est inconnue"}
            route.respond(200, json={"Error": error})
            outcomes.append(await znuny.submit(Submission(REFERENCE, {})))
    assert outcomes == [
        Refused("invalid", "HTTP 200, code TicketCreate.InvalidParameter"),
        TryLater("busy", "HTTP 200"),
        Unsure("unknown_error", "HTTP 200, code Autre"),
        Unsure("unknown_error", "HTTP 200"),
    ]


async def test_znuny_message_is_escaped_for_its_html(router: respx.MockRouter) -> None:
    znuny_session(router)
    route = router.patch(f"{ZNUNY}/Ticket/42").respond(200, json={"TicketID": "42"})
    text = "<script>alert(1)</script>\nMerci"
    async with adapter(options("znuny"), router) as znuny:
        await znuny.amend(Amendment(REFERENCE, "42", "e", EventKind.MESSAGE, {}, text))
    expected = "&lt;script&gt;alert(1)&lt;/script&gt;<br>Merci"
    assert sent(route)["Article"]["Body"] == expected


async def test_znuny_is_polled_request_by_request_in_its_own_time(
    router: respx.MockRouter,
) -> None:
    znuny_session(router)
    for number, state in (("42", "new"), ("43", "closed")):
        articles = [
            {"ArticleID": 1, "SenderType": "agent", "Body": "Vu", "IsVisibleForCustomer": 0},
            {"ArticleID": 2, "SenderType": "agent", "Body": "Fait", "IsVisibleForCustomer": "1"},
            {"ArticleID": 3, "SenderType": "agent", "Body": "Muet"},
            {"ArticleID": 4, "SenderType": "customer", "Body": "Merci"},
        ]
        ticket = {"TicketID": number, "State": state, "Changed": "2026-07-01 12:00:00"}
        body = {"Ticket": [{**ticket, "Article": articles}]}
        router.get(f"{ZNUNY}/Ticket/{number}").respond(200, json=body)
    router.get(f"{ZNUNY}/Ticket/44").respond(404)
    tracked = [Tracked(f"R{n}", n, NOW) for n in ("44", "42", "43", "45")]
    given = options("znuny")
    given["statuses"]["max_requests"] = 3
    async with adapter(given, router) as znuny:
        first = await znuny.statuses(tracked, None)
        second = await znuny.statuses(tracked[:1], first.cursor)
    statuses = [(c.gru_reference, c.status) for c in first.items if c.status]
    assert statuses == [("42", "new"), ("43", "closed")]
    assert first.items[0].at == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
    assert [(c.message, c.public) for c in first.items if c.gru_reference == "42"][1:] == [
        ("Vu", False),
        ("Fait", True),
        ("Muet", False),
    ]
    # Those that were asked about, the one that the GRU does not know, and none for want of room.
    assert (first.asked, first.seen, first.gone) == (["R44", "R42", "R43"], ["R42", "R43"], ["R44"])
    assert first.failure is None
    assert (second.asked, second.seen, second.gone) == (["R44"], [], ["R44"])
