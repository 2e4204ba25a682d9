"""The judgement of one change of a GRU, value by value: told, kept for later, or never told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson
import pytest
from sqlalchemy import Connection, create_engine, insert
from sqlmodel import SQLModel

from gateway.catalogue.catalogue import Catalogue
from gateway.core.content import InMemory
from gateway.core.echo import fingerprint
from gateway.core.progress import CurrentStatus
from gateway.core.request import Attachment, EventKind
from gateway.core.status import FINAL, Status
from gateway.flow.telling import ChangeJudge, rules_of
from gateway.store.history import ConcernedRequest, RequestHistory, SentEvent
from gateway.store.rows import ChangeEffects, IncomingChange, StoredRequest
from gateway.store.tables import ATTACHMENT, EVENT, HEARD, REQUEST
from tests.builders import file_of
from tests.flow.rig import BRON, SLUG, catalogue

NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOBODY = "TDG-0000000000000000"
REQUEST_ROW = StoredRequest(
    id=NOBODY,
    portal="toodego",
    commune=BRON,
    teleservice=SLUG,
    ref="12",
    number="12-1",
    api_url=None,
    gru="outil",
    status=Status.TRANSMITTED,
    status_at=NOW - 60 * MINUTE,
    changed_at=None,
    gru_reference="1",
    gru_link=None,
    received_at=NOW - 61 * MINUTE,
    submitted_at=NOW - 62 * MINUTE,
    erased_at=None,
)


@cache
def mapped(old: str = "", new: str = "") -> Catalogue:
    """The sample's mapping with something else in it."""
    return catalogue(mapping=lambda text: text.replace(old, new, 1) if old else text)


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A database that knows nothing of what the citizen has or was told."""
    engine = create_engine("sqlite://")
    with engine.connect() as made:
        SQLModel.metadata.create_all(made, [REQUEST, EVENT, ATTACHMENT, HEARD])
        yield made
    engine.dispose()


Judge = Callable[..., ChangeEffects]


@pytest.fixture
def judge(connection: Connection) -> Judge:
    """Judges a change: `news` with what it says of the request, `standing` of how that stands."""

    def judged(
        news: IncomingChange,
        *,
        heard: tuple[str, ...] = (),
        untold: dict[str, str] | None = None,
        sent: tuple[SentEvent, ...] = (),
        where: Catalogue | None = None,
        polled: bool = True,
        asked_at: datetime | None = None,
        asks: bool = False,
        status: Status = Status.TRANSMITTED,
        teleservice: str = SLUG,
        **standing: Any,
    ) -> ChangeEffects:
        request = dataclasses.replace(REQUEST_ROW, status=status, teleservice=teleservice)
        known = ConcernedRequest(request, CurrentStatus(status, request.status_at, **standing))
        memory = RequestHistory(connection, NOBODY, NOW, set(heard), untold or {}, list(sent))
        decide = ChangeJudge(where or mapped(), lambda: "new", polled, asked_at, asks)
        return decide(known, news, memory)

    return judged


def change(key: str | None = "n1", **values: Any) -> IncomingChange:
    """A change of the past, unless `present`; public, unless said."""
    made: dict[str, Any] = {
        "gru_reference": "1",
        "reference": None,
        "status": None,
        "message": None,
        "public": True,
        "at": NOW,
    }
    return IncomingChange(key, **made | values)


def now_is(status: str, **values: Any) -> IncomingChange:
    return change(None, status=status, present=True, **values)


def file(content: bytes, name: str = "a.pdf") -> tuple[Attachment, InMemory]:
    return file_of(content, "document", name), InMemory(content)


def said(judged: ChangeEffects) -> list[tuple[str | None, str | None]]:
    """The statuses and texts that the portal is told."""
    return [(one.status and one.status.value, one.body["message"]) for one in judged.reports]


# --- a status -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("news", "name"),
    [
        (change("n1", status="Planned "), "status:n1:planned"),
        (change(None, status="planned"), f"status:{NOW.isoformat()}:planned"),
        (change("n1", status="planned", dated=False), "status:n1:planned"),
        (change(None, status="planned", dated=False), None),
        (now_is("planned"), None),
        (change("n1", status="planned", present=True), "status:n1:planned"),
    ],
    ids=["keyed", "dated", "keyed and undated", "undated", "now", "keyed and now"],
)
def test_a_word_of_the_past_is_heard_once_and_how_it_stands_now_each_time(
    judge: Judge, news: IncomingChange, name: str | None
) -> None:
    first = judge(news)
    assert first.names == (() if name is None else (name,))
    assert said(first) == [("planned", "Une intervention est programmée.")]
    if name is not None:
        assert judge(news, heard=(name,)).nothing
        assert said(judge(dataclasses.replace(news, again=True), heard=(name,)))


BEFORE, AFTER = NOW - MINUTE, NOW + MINUTE


@pytest.mark.parametrize(
    ("news", "changed_at", "moved"),
    [
        (now_is("planned"), None, NOW),
        (now_is("planned"), BEFORE, NOW),
        (now_is("planned"), NOW, None),
        (now_is("planned"), AFTER, NOW),
        (now_is("planned", dated=False), None, None),
        (now_is("open", doubtful=True), AFTER, None),
        (now_is("open", doubtful=True), BEFORE, NOW),
        (now_is("planned", doubtful=True), AFTER, NOW),
        (change(status="planned"), None, NOW),
        (change(status="planned"), BEFORE, NOW),
        (change(status="planned"), AFTER, None),
        (change(status="planned", dated=False), BEFORE, None),
        (now_is("open"), AFTER, NOW),
    ],
)
def test_when_the_gru_changed_it_last_follows_its_dates_but_not_one_that_cannot_be(
    judge: Judge, news: IncomingChange, changed_at: datetime | None, moved: datetime | None
) -> None:
    """A poll's date counts though it is older; a doubtful one only with a new word."""
    made = judge(news, word="open", changed_at=changed_at, heard_at=BEFORE)
    assert (made.changed_at, made.withheld) == (moved, ())


def test_a_call_that_is_out_of_order_is_for_a_person_unless_a_poll_will_tell(judge: Judge) -> None:
    late = change(status="planned", message="Vu.")
    full = dataclasses.replace(late, documents=(file(b"one"),), unreadable=1)
    (kept,) = (
        one for one in judge(full, polled=False, changed_at=AFTER).withheld if one.name == "status"
    )
    assert (kept.name, kept.reason, kept.detail) == ("status", "out_of_order", "planned")
    assert kept.person
    assert kept.body is not None
    alone = [kept.body[part] for part in ("message", "documents", "unreadable")]
    assert alone == [None, [], 0], "the note is judged by itself"
    polled = judge(late, polled=True, changed_at=AFTER)
    assert (polled.withheld, polled.word, polled.changed_at) == ((), None, None)
    assert "status:n1:planned" in polled.names, "it is judged once"
    assert said(polled) == said(judge(late, polled=False, changed_at=AFTER)) == [(None, "Vu.")]


@pytest.mark.parametrize(("rule", "person"), [("park", True), ("ignore", False)])
def test_a_word_that_nobody_knows_waits_and_the_mapping_says_for_whom(
    judge: Judge, rule: str, person: bool
) -> None:
    where = mapped("unknown_status: park", f"unknown_status: {rule}")
    made = judge(now_is("é" * 300), where=where)
    (kept,) = made.withheld
    assert (kept.name, kept.reason, kept.person) == ("status", "unknown_status", person)
    assert kept.detail == "é" * 100
    assert (made.reports, made.word) == ((), "é" * 300)
    assert judge(now_is("é" * 300), where=where, word="é" * 300).withheld == (), "it waits already"


def test_a_status_that_waited_waits_no_more_once_another_is_heard(judge: Judge) -> None:
    waiting = {"status": "rules"}
    assert judge(now_is("planned"), untold=waiting).settled == ("status",)
    assert judge(now_is("planned")).settled == ()
    same = judge(now_is("planned", at=BEFORE), untold=waiting, word="planned", changed_at=NOW)
    assert same.settled == (), "nothing new was heard"


def test_a_word_that_means_what_holds_already_is_remembered_and_not_told(judge: Judge) -> None:
    made = judge(now_is("open"), status=Status.ACCEPTED, word="new")
    assert (made.word, made.reports) == ("open", ())


POLL_AT = NOW - 2 * MINUTE
HALF_HOUR = timedelta(minutes=30)


@pytest.mark.parametrize(
    ("heard_at", "changed_at", "overtaken"),
    [
        (POLL_AT, AFTER, True),
        (POLL_AT - timedelta(seconds=1), AFTER, False),
        (POLL_AT + HALF_HOUR, AFTER, True),
        (POLL_AT + HALF_HOUR + timedelta(seconds=1), AFTER, False),
        (None, AFTER, False),
        (POLL_AT, NOW, False),
        (POLL_AT, None, False),
    ],
    ids=["during", "before", "at the end", "by another clock", "never", "same date", "no date"],
)
def test_what_a_poll_read_before_a_call_said_something_newer_is_read_again(
    judge: Judge, heard_at: datetime | None, changed_at: datetime | None, overtaken: bool
) -> None:
    how: dict[str, Any] = {"asked_at": POLL_AT, "heard_at": heard_at, "changed_at": changed_at}
    made = judge(now_is("planned"), word="open", **how)
    assert made.unread is overtaken
    assert bool(made.reports) is not overtaken
    if overtaken:
        assert not judge(now_is("planned"), **how | {"asked_at": None}).unread, "no poll"
        assert not judge(now_is("planned", dated=False), **how).unread
        assert not judge(change(status="planned"), **how).unread, "it is not how it stands now"


# --- a note -------------------------------------------------------------------------------------

WORDS = "Le matelas est enlevé."
MARK = fingerprint(WORDS)


def test_a_note_with_a_number_is_told_once_by_its_number(judge: Judge) -> None:
    made = judge(change(message=WORDS))
    assert said(made) == [(None, WORDS)]
    assert made.names == (f"text:{MARK}", "key:n1")
    assert judge(change(message=WORDS), heard=made.names).nothing
    other = judge(change("n2", message=WORDS), heard=made.names)
    assert said(other) == [(None, WORDS)], "another note, though it says the same"


def test_a_text_without_a_number_is_told_once_by_its_words(judge: Judge) -> None:
    made = judge(change(None, message=WORDS))
    assert said(made) == [(None, WORDS)]
    assert made.names == (f"state:{MARK}", f"text:{MARK}")
    for name in made.names:
        assert judge(change(None, message=WORDS), heard=(name,)).nothing


def test_a_text_that_the_list_of_notes_has_too_is_told_once(judge: Judge) -> None:
    state, claimed = f"state:{MARK}", f"claimed:{MARK}"
    listed = judge(change(message=WORDS), heard=(state,))
    assert (listed.reports, listed.names) == ((), (claimed, "key:n1"))
    again = judge(change("n2", message=WORDS), heard=(state, claimed))
    assert said(again) == [(None, WORDS)], "a second note of these words is an agent's"


def test_what_the_citizen_was_told_without_a_number_is_not_told_again(
    judge: Judge, connection: Connection
) -> None:
    body = orjson.dumps({"message": f"<p>{WORDS}</p>"}).decode()
    _event(connection, "gru", body)
    assert judge(change(None, message=WORDS)).reports == ()
    assert said(judge(change(message=WORDS))) == [(None, WORDS)], "a numbered note is another"


def _event(connection: Connection, origin: str, body: str | None = None) -> None:
    row = {"request_id": NOBODY, "origin": origin, "key": "k", "kind": "note", "digest": ""}
    connection.execute(insert(EVENT).values(id=origin, at=NOW, received_at=NOW, body=body, **row))


@pytest.mark.parametrize(
    ("rule", "public", "told", "kept"),
    [
        ("when_marked", True, True, False),
        ("when_marked", False, False, False),
        ("never", True, False, True),
        ("never", False, False, False),
        ("always", False, True, False),
    ],
)
def test_an_internal_note_stays_inside_and_a_public_one_may_wait(
    judge: Judge, rule: str, public: bool, told: bool, kept: bool
) -> None:
    """Only what the GRU itself has made public is kept for a mapping that lets it through."""
    where = mapped("public: when_marked", f"public: {rule}")
    note = change(message=WORDS, status="planned", public=public)
    made = judge(note, where=where)
    assert (WORDS in [text for _, text in said(made)]) is told
    assert [one.name for one in made.withheld] == (["note:n1"] if kept else [])
    if kept:
        (one,) = made.withheld
        assert (one.reason, one.person) == ("note_kept_back", False)
        assert one.body is not None
        assert (one.body["message"], one.body["status"]) == (WORDS, None)
        known = {"note:n1": made.judged_by}
        assert judge(note, where=where, untold=known).withheld == (), "it is kept already"
    elif not told:
        assert "key:n1" not in made.names, "made public later, it is news"


@pytest.mark.parametrize(
    ("rule", "public", "told", "kept"),
    [
        ("when_marked", True, True, 0),
        ("when_marked", False, False, 0),
        ("never", True, False, 1),
        ("never", False, False, 0),
        ("always", False, True, 0),
    ],
)
@pytest.mark.parametrize("key", ["n1", None])
def test_a_file_without_a_text_is_as_internal_as_a_text(
    judge: Judge, key: str | None, rule: str, public: bool, told: bool, kept: int
) -> None:
    """An agent's internal attachment was handed to the citizen when nothing was written to it."""
    where = mapped("public: when_marked", f"public: {rule}")
    files = change(key, documents=(file(b"one"),), public=public)
    made = judge(files, where=where)
    assert (len(made.reports), len(made.withheld)) == (int(told), kept)
    if kept:
        (one,) = made.withheld
        assert one.body is not None
        assert len(one.body["documents"]) == 1
        other = judge(change(key, documents=(file(b"two"),)), where=where).withheld
        assert (other[0].name == one.name) is (key is not None), "each waits by itself"
    elif not told:
        assert made.nothing, "made public later, it is news"


def test_a_note_that_waited_waits_no_more_once_it_is_told(judge: Judge) -> None:
    assert judge(change(message=WORDS), untold={"note:n1": ""}).settled == ("note:n1",)
    bare = change(None, message=WORDS)
    assert judge(bare, untold={f"note:{MARK}": ""}).settled == (f"note:{MARK}",)
    assert judge(bare, untold={"note:n2": ""}).settled == ()


def test_what_has_to_be_fetched_is_fetched_only_where_it_is_news(judge: Judge) -> None:
    async def more() -> None: ...

    note = change(message=WORDS, more=more)
    assert judge(note) == ChangeEffects(unfetched=True)
    assert not judge(note, heard=("key:n1",)).unfetched
    assert not judge(dataclasses.replace(note, public=False)).unfetched
    assert not judge(change(message=WORDS)).unfetched


# --- what we wrote ourselves --------------------------------------------------------------------

SENT = SentEvent("M-1", EventKind.MESSAGE, {"event": {"message": WORDS}}, BEFORE, NOW)


def test_an_entry_that_bears_our_key_is_ours_whatever_it_says(judge: Judge) -> None:
    entry = change(status="Open", message="Autre chose", sender_key="m-1")
    made = judge(entry, sent=(SENT,))
    assert made == ChangeEffects(names=("key:n1", "status:n1:open"))
    assert judge(entry, sent=(SENT,), heard=made.names).nothing
    assert judge(dataclasses.replace(entry, status=None), sent=(SENT,)).names == ("key:n1",)
    assert judge(dataclasses.replace(entry, sender_key="m-2"), sent=(SENT,)).reports
    assert judge(dataclasses.replace(entry, key=None), sent=(SENT,)).reports, "it is no entry"


def test_an_entry_with_our_words_brings_no_status(judge: Judge) -> None:
    made = judge(change(status="planned", message=WORDS), sent=(SENT,))
    assert made.reports == ()
    assert made.names == ("key:n1", "status:n1:planned", f"echo:{MARK}:1")
    assert judge(change(status="planned"), sent=(SENT,)).reports, "without words it is a status"


def test_our_words_without_a_number_are_counted_as_they_come_back(judge: Judge) -> None:
    """Written once, a second time they are an agent's."""
    made = judge(change(None, message=WORDS), sent=(SENT,))
    assert (made.reports, made.names) == ((), (f"state:{MARK}", f"echo:{MARK}:1"))
    assert judge(change(None, message=WORDS), sent=(SENT,), heard=(f"echo:{MARK}:1",)).reports


# --- files --------------------------------------------------------------------------------------


def test_a_file_is_told_once_by_its_bytes_or_by_its_name_in_a_note(judge: Judge) -> None:
    first = judge(change(documents=(file(b"one"),)))
    assert [one.documents[0][1].sha256 for one in first.reports] == [file(b"one")[0].sha256]
    assert judge(change(documents=(file(b"one"),)), heard=first.names).nothing
    anew = change(documents=(file(b"made anew"),))
    assert judge(anew, heard=first.names).nothing, "of the same name, in the same note"
    assert judge(change("n2", documents=(file(b"one", "b.pdf"),)), heard=first.names).reports == ()
    assert judge(change("n2", documents=(file(b"another"),)), heard=first.names).reports


def test_two_files_of_one_name_are_two_and_the_same_file_twice_is_one(judge: Judge) -> None:
    assert len(judge(change(documents=(file(b"one"), file(b"two")))).reports) == 2
    assert len(judge(change(documents=(file(b"one"), file(b"one", "b.pdf")))).reports) == 1


def test_the_citizen_s_own_file_is_not_told(judge: Judge, connection: Connection) -> None:
    mine = file(b"one")[0]
    _event(connection, "portal")
    row = {"id": "a", "request_id": NOBODY, "event_id": "portal", "field": "photo"}
    row |= {"filename": "x.jpg", "content_type": "image/jpeg", "address": mine.sha256}
    connection.execute(insert(ATTACHMENT).values(size=3, **row))
    made = judge(change(documents=(file(b"one"), file(b"two", "b.pdf"))))
    assert [one.documents[0][0].filename for one in made.reports] == ["b.pdf"]


def test_a_file_that_cannot_be_read_is_for_a_person_once_and_until_it_can(judge: Judge) -> None:
    made = judge(change(message=WORDS, unreadable=2))
    (kept,) = made.withheld
    assert (kept.name, kept.reason, kept.detail) == ("files:n1", "unreadable_document", "2 of them")
    assert kept.person
    assert "files:n1" in made.names
    assert judge(change(unreadable=2), heard=(*made.names, "key:n1")).withheld == ()
    assert judge(change(unreadable=1)).withheld, "with nothing else"
    waits = {"files:n1": ""}
    whole = change(documents=(file(b"one"),))
    assert judge(whole, untold=waits).settled == ("files:n1",)
    assert judge(whole).settled == ()
    assert judge(change(message=WORDS), untold=waits).settled == (), "it was not here either"
    still = dataclasses.replace(whole, unreadable=1)
    assert judge(still, heard=("files:n1",), untold=waits).settled == ()


# --- the reports --------------------------------------------------------------------------------


def test_a_note_travels_under_the_status_that_holds_and_tells_none(judge: Judge) -> None:
    (one,) = judge(change(message=WORDS), status=Status.PLANNED).reports
    assert (one.status, one.body) == (None, {"status": "planned", "message": WORDS})
    (ended,) = judge(change(message=WORDS), status=Status.DONE).reports
    assert ended.body == {"status": "done", "message": WORDS}, "a note reopens nothing"
    assert said(judge(now_is("in_progress"))) == [("in_progress", None)], "a status may stand alone"
    (both,) = judge(change(message=WORDS, status="planned")).reports
    assert (both.status, both.body["status"]) == (Status.PLANNED, "planned")
    assert both.body["message"] == WORDS, "and not the mapping's"


def test_a_report_says_whose_it_is_and_when_it_was(judge: Judge) -> None:
    (one,) = judge(change(message=WORDS), asks=True).reports
    assert (one.origin, one.at, one.request_id, one.delivery_id) == ("gru", NOW, NOBODY, "new")
    assert (one.lane, one.key, one.asks) == (REQUEST_ROW.portal_lane, one.event_id, True)
    (other,) = judge(change(message=WORDS)).reports
    assert not other.asks


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("word", ["planned", "closed"])
def test_only_what_had_ended_and_goes_on_is_reopened(
    judge: Judge, status: Status, word: str
) -> None:
    for one in judge(now_is(word), status=status).reports:
        reopened = status in FINAL and word == "planned"
        assert one.body.get("reopened", False) is reopened


def test_each_document_is_a_report_and_the_first_says_the_rest(judge: Judge) -> None:
    files = (file(b"one"), file(b"two", "b.pdf"))
    first, second = judge(change(status="planned", message=WORDS, documents=files)).reports
    assert (first.status, first.body["message"]) == (Status.PLANNED, WORDS)
    assert (second.status, second.body) == (None, {"status": "planned", "message": None})
    assert [one.documents for one in (first, second)] == [files[:1], files[1:]]
    assert first.event_id != second.event_id


def test_what_says_the_same_has_the_same_name_and_what_says_another_thing_has_not(
    judge: Judge,
) -> None:
    """Told again after a loss, the portal knows it."""
    changes = [
        change(message=WORDS),
        change("n2", message=WORDS),
        change(message="Autre chose."),
        change(message=WORDS, status="planned"),
        change(message=WORDS, status="in_progress"),
        change(message=WORDS, documents=(file(b"one"),)),
    ]
    names = [[one.event_id for one in judge(news).reports] for news in changes]
    assert names == [[one.event_id for one in judge(news).reports] for news in changes]
    assert len({name for (name,) in names}) == len(changes)


# --- the rules ----------------------------------------------------------------------------------


def test_a_bug_costs_its_change_alone_and_waits_for_a_person(judge: Judge) -> None:
    broken: Any = change(status=7)
    made = judge(broken)
    (kept,) = made.withheld
    assert (kept.name, kept.reason, kept.person) == ("change:n1", "bug", True)
    assert made.judged_by in rules_of(mapped(), BRON), "no other rules mend it"
    assert judge(broken, untold={"change:n1": made.judged_by}).nothing, "it is kept already"
    assert not judge(broken, untold={"change:n1": "others"}).nothing


def test_what_has_no_route_is_judged_again_when_the_commune_s_others_change(judge: Judge) -> None:
    made = judge(change(message=WORDS), teleservice="autre-demarche")
    assert made.withheld[0].reason == "no_route"
    assert made.judged_by in rules_of(mapped(), BRON)
    assert made.judged_by not in rules_of(
        mapped("in_progress: in_progress", "in_progress: planned"), BRON
    )


def test_what_has_no_route_waits_whole_for_a_person(judge: Judge) -> None:
    nowhere = dataclasses.replace(mapped(), communes={})
    for news, name in (
        (change(status="planned", message=WORDS), "change:n1"),
        (change(None, status="planned"), f"change:{fingerprint('planned None')}"),
    ):
        made = judge(news, where=nowhere)
        (kept,) = made.withheld
        assert (kept.name, kept.reason, kept.person) == (name, "no_route", True)
        assert kept.body is not None
        assert (kept.body["status"], kept.body["message"]) == (news.status, news.message)
        assert (made.reports, made.names) == ((), ())
        assert made.judged_by in rules_of(nowhere, BRON)
        assert judge(news, where=nowhere, untold={name: made.judged_by}).nothing


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("in_progress: in_progress", "in_progress: planned"),
        ("Une intervention est programmée.", "Bientôt."),
        ("unknown_status: park", "unknown_status: ignore"),
        ("public: when_marked", "public: never"),
    ],
)
def test_what_waits_is_judged_again_when_what_decides_it_changes(
    judge: Judge, old: str, new: str
) -> None:
    by = judge(change(message=WORDS)).judged_by
    assert by in rules_of(mapped(), BRON)
    assert by not in rules_of(mapped(old, new), BRON)
    assert by in rules_of(mapped("version: 1", "version: 2"), BRON), "which decides nothing"
    assert len(rules_of(mapped(), BRON)) == 3, "the mapping's, no route's, and a bug's"
