"""Accounts in the tables: keyed hashes, beside a sealed account for who has to name it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, insert, select, text, update
from sqlmodel import SQLModel

from gateway.core.content import InMemory
from gateway.core.delivery import State
from gateway.core.erasure import Brake, Judgement, Phase, ProviderRun
from gateway.core.request import Person
from gateway.core.status import Status
from gateway.flow.sealing import hash_accounts
from gateway.store import (
    accepting,
    accounts,
    condemned,
    erasure_marks,
    erasures,
    installation,
    person,
    scrub,
    untold,
)
from gateway.store.engine import Database
from gateway.store.erasure_tables import ERASURE, SUSPECT
from gateway.store.erasures import DeletionRun
from gateway.store.outbox import settling
from gateway.store.outbox.rows import AttemptRecord, NewReport
from gateway.store.tables import REQUEST
from tests.builders import NOW, PORTAL_LANE, file_of, incoming, new_id, service_request
from tests.sealing import in_memory
from tests.store.acts import claim_one, settled
from tests.store.test_sealed import opened

ZOE, LEO = "b1a7c0de00000000000000000000feed", "b1a7c0de00000000000000000000beef"


def ids() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"id-{next(numbers):06}"


async def takes(store: Database, account: str, ref: str) -> str:
    request = dataclasses.replace(service_request(ref=ref), user=Person("Zoé", None, account))
    accepted = await store.write(accepting.accept, incoming(request))
    assert accepted.request is not None
    return accepted.request.id


def run_of(*gone: str, known: tuple[str, ...], positive: bool) -> DeletionRun:
    return DeletionRun(
        id="RUN-1",
        source="synchronization",
        reading=ProviderRun(frozenset(gone), positive=positive),
        accounts=known,
        marks=dict.fromkeys(gone, "ab" * 32),
        cursor=None,
        brake=Brake(1.0, 20),
        confirm_after=timedelta(0),
        deadline=timedelta(0),
    )


def _in_clear(connection: Connection) -> list[str]:
    """Return the columns in which an account stands."""
    found = []
    for table in ("request", "suspect", "erasure"):
        for row in connection.execute(text(f"SELECT * FROM {table}")).mappings():
            found += [f"{table}.{name}" for name, value in row.items() if value in (ZOE, LEO)]
    return sorted(set(found))


async def test_accounts_are_in_no_column_and_known_all_the_same(store: Database) -> None:
    first, second = await takes(store, ZOE, "1"), await takes(store, ZOE.upper(), "2")
    await takes(store, LEO, "3")
    assert await store.read(_in_clear) == []
    assert sorted(await store.read(erasures.known_accounts)) == sorted([ZOE, LEO])
    assert await store.read(person.requests_of, ZOE) == [first, second]
    assert await store.read(person.account_of, second) == ZOE
    held = await store.read(person.held, first)
    assert held is not None
    assert held.request["account"] == ZOE
    assert "sealed_account" not in held.request
    named = await store.read(lambda c: [one.account for one in erasure_marks.held_requests(c)])
    assert sorted(filter(None, named)) == sorted([ZOE, ZOE, LEO])


async def test_one_damaged_value_keeps_no_person_from_being_known(store: Database) -> None:
    first = await takes(store, ZOE, "1")
    await takes(store, ZOE, "2")
    await takes(store, LEO, "3")
    await store.write(lambda c: installation.note_hashed(c))
    mine = update(REQUEST).where(REQUEST.c.id == first)
    for text_of in ("\x01AAAA", None):  # altered, and then gone with its content
        altered = mine.values(sealed_account=text_of)
        await store.write(partial(Connection.execute, statement=altered))
        assert set(await store.read(accounts.known)) == {ZOE, LEO}
        assert await store.read(accounts.of_requests, [first]) == {}, "a hash names nobody"


async def test_a_suspect_is_confirmed_erased_and_gone_from_a_copy(store: Database) -> None:
    request_id = await takes(store, ZOE, "1")
    await takes(store, LEO, "2")
    known = (ZOE, LEO)
    run = run_of(ZOE, known=known, positive=False)
    judged = await store.write(erasures.record_run, run, ids(), NOW)
    assert isinstance(judged, Judgement)
    assert [one.account for one in judged.suspects] == [ZOE]
    rows = await store.read(person.rows_of_account, ZOE)
    assert [row["account"] for row in rows["suspect"]] == [ZOE]
    judged = await store.write(erasures.record_run, run, ids(), NOW)
    assert isinstance(judged, Judgement)
    assert judged.erase == {ZOE}
    assert await store.read(_in_clear) == []
    (erasure,) = await store.read(erasures.in_phases, Phase.OPEN)
    assert await store.read(accounts.of_erasure, erasure) == ZOE
    copied = await store.read(_sealed)
    destroyed: list[str] = []
    links = lambda connection, account: destroyed.append(account)  # noqa: E731
    assert await store.write(scrub.scrub, erasure, ids(), NOW, links) == []
    assert destroyed == [ZOE]
    assert await condemned.destroy(store) == 2
    assert await store.read(erasures.known_accounts) == [LEO]
    await store.write(_put_back, copied)
    assert await store.read(accounts.of_requests, [request_id]) == {}
    assert await store.read(accounts.of_erasure, erasure) is None


#: Columns in clear that lead to one citizen; docs/security.md tells of each why.
IN_CLEAR = {
    "ref": {"request.ref"},
    "uuid": {"request.uuid"},
    "number": {"request.number"},
    "api_url": {"request.api_url"},
    "gru_reference": {"request.gru_reference", "untold.gru_reference"},
}


async def test_what_stands_in_clear_about_a_citizen_is_what_the_documents_say(
    store: Database,
) -> None:
    values = {
        "ref": "ref-73105",
        "uuid": "0b5e7a1c-portail",
        "number": "12-73105",
        "api_url": "https://portail.exemple.invalid/api/forms/x/73105/",
        "gru_reference": "GRU-73105",
        "name": "Zoé Marqueur",
        "mail": "zoe-73105@exemple.invalid",
        "account": ZOE,
        "field": "au 3 rue Marqueur",
        "file": "photo-73105.jpg",
        "message": "écrit 73105",
        "answer": "réponse 73105",
    }
    photo = f"JPEG {ZOE}".encode()
    file = file_of(photo, filename=values["file"])
    request = service_request(
        ref=values["ref"],
        uuid=values["uuid"],
        number=values["number"],
        api_url=values["api_url"],
        user=Person(values["name"], values["mail"], ZOE),
        fields={"description": values["field"]},
        attachments=(file,),
    )
    told = dataclasses.replace(incoming(request), blobs={file.sha256: InMemory(photo)})
    taken = (await store.write(accepting.accept, told)).request
    assert taken is not None
    report = NewReport(
        new_id("evt"), new_id("dlv"), taken.id, PORTAL_LANE, "gru", "note-1", NOW,
        {"status": "accepted", "message": values["message"]}, Status.ACCEPTED,
    )  # fmt: skip
    answered = AttemptRecord("send", NOW, 12, "accepted", answer=values["answer"])
    claimed = await claim_one(store)
    reference = values["gru_reference"]
    done = settled(claimed, State.DONE, reference=reference, reports=(report,))
    await store.write(settling.settle, dataclasses.replace(done, tried=answered))
    early = {"m": values["message"]}
    await store.write(
        untold.record_early, claimed.request.commune, "mairie", reference, early, NOW, "UNT-2"
    )
    run = run_of(ZOE, known=(ZOE,), positive=False)
    await store.write(erasures.record_run, run, ids(), NOW)

    def columns(connection: Connection) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for table in SQLModel.metadata.sorted_tables:
            for row in connection.execute(select(table)).mappings():
                for name, value in row.items():
                    shown = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                    for one in (word for word, told in values.items() if told in shown):
                        found.setdefault(one, set()).add(f"{table.name}.{name}")
        return found

    assert await store.read(columns) == IN_CLEAR


def _sealed(connection: Connection) -> list[tuple[Any, str, str]]:
    found = []
    for table in (REQUEST, ERASURE):
        rows = connection.execute(
            select(table.c.id, table.c.account, table.c.sealed_account).where(
                table.c.sealed_account.is_not(None)
            )
        )
        found += [(table, row.id, row.sealed_account) for row in rows]
    return found


def _put_back(connection: Connection, rows: list[tuple[Any, str, str]]) -> None:
    for table, row_id, told in rows:
        change = update(table).where(table.c.id == row_id).values(sealed_account=told)
        connection.execute(change)


async def test_those_of_before_are_hashed_at_a_start_that_may_be_killed(url: str) -> None:
    with opened(url, None) as store:
        await takes(store, ZOE, "1")
        for n in range(2, 6):
            await takes(store, LEO, str(n))
        waits = run_of(LEO, known=(ZOE, LEO), positive=False)
        await store.write(erasures.record_run, waits, ids(), NOW)
        held: dict[str, Any] = {"id": "ERA-1", "run": "RUN-0", "account": ZOE, "mark": "cd" * 32}
        held |= {"source": "deletions", "state": "held", "found_at": NOW}
        await store.write(lambda c: c.execute(insert(ERASURE).values(**held)))
        assert await store.read(_in_clear) == [
            "erasure.account",
            "request.account",
            "suspect.account",
        ]
    sealer = in_memory()
    with opened(url, sealer) as store:
        assert await store.write(accounts.hash_some, 2) == 2  # and was killed
    with opened(url, sealer) as store:
        assert await hash_accounts(store) == 3
        assert await store.read(_in_clear) == []
        assert await hash_accounts(store) == 0
        assert sorted(await store.read(erasures.known_accounts)) == sorted([ZOE, LEO])
        assert await store.read(accounts.of_erasure, "ERA-1") == ZOE
        assert await store.read(erasures.accounts_among, {LEO, "another"}) == {LEO}
        # The one that was held is known again, and the suspect of before is still the same.
        judged = await store.write(erasures.record_run, waits, ids(), NOW)
        assert isinstance(judged, Judgement)
        assert judged.cleared == {ZOE}
        assert await store.read(accounts.of_erasure, "ERA-1") is None
        judged = await store.write(erasures.record_run, waits, ids(), NOW)
        assert isinstance(judged, Judgement)
        assert judged.erase == {LEO}
        assert await store.read(lambda c: c.execute(select(SUSPECT)).all()) == []
