"""An Open311 server that limits its answers, leaves out, misspells, or gives addresses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
import respx

from gateway.core.ids import identifier
from gateway.sdk import (
    Absent,
    Accepted,
    CannotTell,
    Change,
    Document,
    EventKind,
    Found,
    Misconfigured,
    Submission,
    Tracked,
    TryLater,
    Unsure,
)
from gateway.sdk.conformance import NOW, REFERENCE, file
from tests.adapters.test_open311 import PLACE, ROOT, adapter, amendment, form

SINCE = NOW - timedelta(days=3)
UPDATES = f"{ROOT}/servicerequestupdates.json"


def tracked(*numbers: str) -> list[Tracked]:
    return [Tracked(f"TDG-{number:>016}", number, SINCE) for number in numbers]


def row(number: str, **more: Any) -> dict[str, Any]:
    return {"service_request_id": number, "status": "open", **more}


def answering(rows: list[dict[str, Any]], at_once: int) -> Any:
    """A server that gives `at_once` rows at most, of those asked for."""

    def answer(request: httpx.Request) -> httpx.Response:
        wanted = request.url.params["service_request_id"].split(",")
        found = [one for one in rows if one["service_request_id"] in wanted]
        return httpx.Response(200, json=found[:at_once])

    return answer


async def test_what_a_batch_says_nothing_of_is_asked_about_by_itself(
    router: respx.MockRouter,
) -> None:
    route = router.get(f"{ROOT}/requests.json")
    route.mock(side_effect=answering([row("1"), row("2"), row("3")], at_once=2))
    changes = await adapter(router).statuses(tracked("1", "2", "3", "4"), None)
    assert sorted(str(c.gru_reference) for c in changes.items) == ["1", "2", "3"]
    names = {one.gru_reference: one.reference for one in tracked("1", "2", "3", "4")}
    assert changes.asked == [names[n] for n in "1234"]
    assert sorted(changes.seen or ()) == [names[n] for n in "123"]
    assert changes.gone == [names["4"]]
    assert changes.failure is None


async def test_one_bad_row_costs_itself_alone_and_is_told(router: respx.MockRouter) -> None:
    body = (
        b"<service_requests><request><service_request_id>1</service_request_id>"
        b"<status>closed</status></request><request><service_request_id>2</service_request_id>"
        b"<status>open<b></status></request></service_requests>"
    )
    router.get(f"{ROOT}/requests.xml").respond(content=body)
    changes = await adapter(router, format="xml").statuses(tracked("1"), None)
    assert [(c.gru_reference, c.status) for c in changes.items] == [("1", "closed")]
    assert changes.failure == Misconfigured("unreadable_item", "1 rows cannot be read")


@pytest.mark.parametrize(
    ("notes", "html", "told"),
    [
        ("<p>Bonjour,</p><p>L&#39;équipe</p>", "auto", "Bonjour,\n\nL'équipe"),
        ("Voir <zoe@exemple.invalid>", "auto", "Voir <zoe@exemple.invalid>"),
        ("<b>x</b>", "never", "<b>x</b>"),
    ],
)
async def test_notes_are_words(router: respx.MockRouter, notes: str, html: str, told: str) -> None:
    router.get(f"{ROOT}/requests.json").respond(json=[row("1", status_notes=notes)])
    (change,) = (await adapter(router, html=html).statuses(tracked("1"), None)).items
    assert (change.key, change.status, change.message) == (None, "open", told)


async def test_a_note_that_both_lists_tell_is_told_once(router: respx.MockRouter) -> None:
    router.get(f"{ROOT}/requests.json").respond(json=[row("1", status_notes="Enlevé")])
    update = row("1", update_id="u1", status="fixed", description="Enlevé")
    router.get(UPDATES).respond(json=[update])
    changes = await adapter(router, updates={}).statuses(tracked("1"), None)
    assert [c.message for c in changes.items] == [None, "Enlevé"]


async def test_ours_are_known_by_their_shape_after_the_end_too(router: respx.MockRouter) -> None:
    ours = [
        row("1", update_id=f"{REFERENCE}-evt-1", description="x"),
        row("9", update_id=f"{REFERENCE}-a-b-0123456789ab", description="x"),
    ]
    router.get(f"{ROOT}/requests.json").respond(json=[])
    router.get(UPDATES).respond(json=[*ours, row("9", update_id="77", description="Vu")])
    changes = await adapter(router, updates={}).statuses(tracked("1"), None)
    assert [(c.gru_reference, c.key, c.message) for c in changes.items] == [("9", "u:77", "Vu")]


async def test_a_list_of_updates_that_may_be_limited_is_asked_for_in_halves(
    router: respx.MockRouter,
) -> None:
    every = [(NOW - timedelta(minutes=n), f"u{n}") for n in range(1500)]

    def answer(request: httpx.Request) -> httpx.Response:
        begin, end = request.url.params["start_date"], request.url.params["end_date"]
        rows = [
            row("1", update_id=name, description=name)
            for at, name in every
            if begin <= at.strftime("%Y-%m-%dT%H:%M:%SZ") <= end
        ]
        return httpx.Response(200, json=rows[:1000])

    router.get(UPDATES).mock(side_effect=answer)
    changes = await adapter(router, poll="none", updates={}).statuses(tracked("1"), None)
    assert len(changes.items) == 1500
    assert changes.failure is None
    assert changes.cursor is not None


# --- files ------------------------------------------------------------------------------------


async def told(router: respx.MockRouter, media_url: Any, **options: Any) -> Any:
    update = row("1", update_id="u1", description="Voici", media_url=media_url)
    update["updated_datetime"] = options.pop("at", NOW).isoformat()
    router.get(UPDATES).respond(json=[update])
    given = {"poll": "none", "updates": {}, "public_notes": True, **options}
    (change,) = (await adapter(router, **given).statuses(tracked("1"), None)).items
    return change if change.more is None else await change.more()


async def test_an_agent_s_photo_comes_with_its_update(router: respx.MockRouter) -> None:
    route = router.get("https://gru.exemple.invalid/photos/été 1.jpg").respond(
        content=b"photo", headers={"content-type": "image/jpeg"}
    )
    change = await told(router, "https://gru.exemple.invalid/photos/%C3%A9t%C3%A9%201.jpg")
    assert isinstance(change, Change)
    assert list(change.documents) == [Document("été 1.jpg", "image/jpeg", b"photo")]
    assert (change.key, change.message, change.public) == ("u:u1", "Voici", True)
    assert "api_key" not in str(route.calls.last.request.url)


@pytest.mark.parametrize("media_url", ["", None, []])
async def test_an_update_without_photo_is_told_as_it_is(
    router: respx.MockRouter, media_url: Any
) -> None:
    change = await told(router, media_url)
    assert (change.message, list(change.documents), change.unreadable) == ("Voici", [], 0)


async def test_photos_of_other_hosts_are_fetched_where_these_are_named(
    router: respx.MockRouter,
) -> None:
    router.get("https://images.exemple.invalid/a.png").respond(content=b"x")
    urls = ["https://images.exemple.invalid/a.png", "https://ailleurs.exemple.invalid/b.png"]
    change = await told(router, urls, hosts=["https://images.exemple.invalid"])
    assert [d.content for d in change.documents] == [b"x"]
    assert change.unreadable == 1


async def test_a_photo_that_cannot_be_had_is_waited_for_a_day(router: respx.MockRouter) -> None:
    router.get("https://gru.exemple.invalid/a.png").respond(503)
    assert isinstance(await told(router, "https://gru.exemple.invalid/a.png"), TryLater)
    change = await told(router, "https://gru.exemple.invalid/a.png", at=NOW - timedelta(days=2))
    assert (change.message, change.unreadable) == ("Voici", 1)


# --- identifiers, search, bounds --------------------------------------------------------------


async def test_an_update_s_id_is_within_the_grammar_of_identifiers(
    router: respx.MockRouter,
) -> None:
    route = router.post(UPDATES).respond(json=[{"update_id": "u1"}])
    gru = adapter(router, updates={}, media="multipart")
    odd = amendment(kind=EventKind.MESSAGE)
    ids = []
    for key in ("evt-1", "20-7/abc", "20 7 abc", "é" * 300):
        sent = type(odd)(REFERENCE, "42", key, EventKind.MESSAGE, {}, "Bonjour")
        assert isinstance(await gru.amend(sent), Accepted)
        ids.append(dict(form(route))["update_id"])
    assert ids[0] == f"{REFERENCE}-evt-1"
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert one.startswith(f"{REFERENCE}-")
        assert len(one) <= 100
        assert all(c.isascii() and (c.isalnum() or c in "-_") for c in one)


def test_the_same_parts_make_the_same_identifier() -> None:
    assert identifier("a", "b/c") == identifier("a", "b/c")
    assert identifier("a", "b/c") != identifier("a", "b-c") == "a-b-c"
    assert identifier("é") != identifier("è")


async def test_a_reference_is_looked_for_in_the_text_where_there_are_no_attributes(
    router: respx.MockRouter,
) -> None:
    route = router.post(f"{ROOT}/requests.json").respond(json=[row("42")])
    gru = adapter(router, find="by_text")
    await gru.submit(Submission(REFERENCE, {**PLACE, "description": "Nid de poule"}))
    assert dict(form(route))["description"] == f"Nid de poule\n\n[{REFERENCE}]"
    search = router.get(f"{ROOT}/requests.json")
    search.respond(json=[row("41", description="Autre"), row("42", description=f"x [{REFERENCE}]")])
    assert await gru.find(REFERENCE) == Found("42")
    assert "extensions" not in dict(search.calls.last.request.url.params)
    search.respond(json=[row("41", description="Autre")])
    assert await gru.find(REFERENCE) == Absent()
    search.respond(json=[row("41")])
    assert isinstance(await gru.find(REFERENCE), CannotTell)


async def test_several_values_go_under_one_name_where_the_server_wants_that(
    router: respx.MockRouter,
) -> None:
    route = router.post(f"{ROOT}/requests.json").respond(json=[row("42")])
    sent = Submission(REFERENCE, {**PLACE, "attributes": {"type": ["a", "b"]}})
    await adapter(router, lists="repeated").submit(sent)
    assert [pair for pair in form(route) if "type" in pair[0]] == [
        ("attribute[type]", "a"),
        ("attribute[type]", "b"),
    ]


async def test_a_long_text_makes_room_for_the_reference(router: respx.MockRouter) -> None:
    route = router.post(f"{ROOT}/requests.json").respond(json=[row("42")])
    gru = adapter(router, find="by_text", too_long="cut", description_max=100)
    await gru.submit(Submission(REFERENCE, {**PLACE, "description": "x" * 300}))
    sent = dict(form(route))["description"]
    assert len(sent) == 100
    assert sent.endswith(f"… [texte coupé]\n\n[{REFERENCE}]")


async def test_an_endless_answer_is_not_read_to_its_end(router: respx.MockRouter) -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                yield b" " * 65_536

    router.get(f"{ROOT}/requests.json").mock(
        side_effect=lambda _: httpx.Response(200, stream=Endless())
    )
    router.post(f"{ROOT}/requests.json").mock(
        side_effect=lambda _: httpx.Response(201, stream=Endless())
    )
    gru = adapter(router, max_answer=100_000)
    changes = await gru.statuses(tracked("1"), None)
    assert changes.failure == TryLater("answer_too_large", "more than 100000 bytes")
    outcome = await gru.submit(Submission(REFERENCE, {**PLACE, "description": "x"}, [file()]))
    assert outcome == Unsure("answer_too_large", "more than 100000 bytes")


@pytest.mark.parametrize("charset", ["latin-1", "utf-8-sig"])
async def test_an_answer_in_another_charset_is_read(router: respx.MockRouter, charset: str) -> None:
    body = json.dumps([row("1", status_notes="déjà signalé")], ensure_ascii=False)
    router.get(f"{ROOT}/requests.json").respond(content=body.encode(charset))
    (change,) = (await adapter(router).statuses(tracked("1"), None)).items
    assert change.message == "déjà signalé"
