"""One value that was altered keeps nobody from the others, and keeps no row from going."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import Column, Connection, select, update

from gateway.core.errors import GatewayError
from gateway.core.linking import AccountLink
from gateway.flow.links import LinkRegister
from gateway.store import linked, person, requests, sealed
from gateway.store.engine import Database
from gateway.store.linked_tables import ACCOUNT_LINK, LINK_SESSION
from gateway.store.tables import ATTACHMENT, ATTEMPT, CONDEMNED_KEY, EVENT, REQUEST, UNTOLD
from tests.builders import NOW
from tests.store.test_linked import any_one, link, propose, session
from tests.store.test_person import ACCOUNT, MARK, planted

KEY = b"cle-des-rattachements-qui-ne-change-jamais"


def altered(text: str) -> str:
    """The same with another byte sealed in it."""
    at = len(text) - 12
    return text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1 :]


def damage(connection: Connection, column: Column[Any], *, wholly: bool = False) -> str:
    """Alter the first value of a column; `wholly`: no key is named in it any more. Return the id of
    its row."""
    key = next(iter(column.table.primary_key))
    row = connection.execute(
        select(key, column).where(column.is_not(None)).order_by(key).limit(1)
    ).one()
    text = row[1][:6] + "!" if wholly else altered(row[1])
    connection.execute(update(column.table).where(column == row[1]).values({column.name: text}))
    return str(row[0])


COLUMNS: list[Column[Any]] = [
    EVENT.c.body,
    ATTACHMENT.c.filename,
    UNTOLD.c.body,
    ATTEMPT.c.answer,
    REQUEST.c.sealed_account,
]


@pytest.mark.parametrize("wholly", [False, True])
async def test_a_person_is_given_the_rest_and_told_what_does_not_open(
    store: Database, wholly: bool
) -> None:
    request_id = await planted(store)
    whole = await store.read(person.held, request_id)
    assert whole is not None
    assert whole.damaged == ()
    sealed_answer = update(ATTEMPT).values(answer=select(UNTOLD.c.body).scalar_subquery())
    await store.write(lambda c: c.execute(sealed_answer))
    held = whole
    for n, column in enumerate(COLUMNS, 1):
        await store.write(partial(damage, column=column, wholly=wholly))
        found = await store.read(person.held, request_id)
        assert found is not None
        held = found
        assert len(held.damaged) >= n, (column, held.damaged)
    places = {place.partition(" ")[0] for place in held.damaged}
    assert places == {f"{c.table.name}.{c.name}" for c in COLUMNS[:4]} | {"request.account"}
    assert "sealed:" not in str(held).lower()
    assert sum(MARK in str(row) for row in held.event) >= 1, "the others are given"
    assert await store.read(person.requests_of, ACCOUNT) == [request_id], "it is found by its hash"
    assert [one.answer for one in await store.read(requests.answers, request_id)]


async def test_it_goes_as_any_other_with_the_keys_that_can_be_told(store: Database) -> None:
    request_id = await planted(store)
    await store.write(lambda c: damage(c, REQUEST.c.sealed_account, wholly=True))
    await store.write(sealed.condemn, [request_id])
    gone = await store.read(lambda c: c.execute(select(CONDEMNED_KEY.c.id)).scalars().all())
    assert len(gone) == 1, "that of the request"
    key_id = select(REQUEST.c.key_id).where(REQUEST.c.id == request_id)
    assert await store.read(lambda c: c.execute(key_id).scalar()) is None


@pytest.mark.parametrize("wholly", [False, True])
async def test_a_damaged_link_hides_no_other_and_ends_as_they_do(
    store: Database, wholly: bool
) -> None:
    for identity in ("a", "b", "c"):
        await store.write(linked.open_session, session())
        await store.write(propose, link(identity), "m", ())
        await store.write(linked.confirm, "69029", identity, any_one)
    await store.write(lambda c: damage(c, ACCOUNT_LINK.c.sealed, wholly=wholly))
    found = await store.read(linked.links_page, None, ("", ""), 2)
    assert [one.identity for one in found] == ["b", "c"]
    assert len(await store.read(linked.find, ["account 69029"])) == 2
    await store.write(linked.open_session, session("x"))
    await store.write(linked.open_session, session("y"))
    await store.write(lambda c: damage(c, LINK_SESSION.c.sealed, wholly=wholly))
    assert len(await store.read(linked.open_sessions)) == 1
    assert await store.read(linked.session, "x", NOW) is None, "it is over"
    assert await store.write(linked.drop_commune, "69029") == 3


async def test_links_of_another_key_are_no_empty_list(store: Database) -> None:
    register = LinkRegister(store, KEY)
    for identity in ("a", "b"):
        await store.write(linked.open_session, session())
        one = AccountLink("69029", identity, f"famille-{identity}", NOW, None, {})
        await store.write(propose, register.stored(one, "f" * 32, "demande"), "m", ())
        await register.confirm("69029", identity, "demande")
    assert len(await register.of_account("f" * 32)) == 2
    other = LinkRegister(store, b"une-autre-cle-donnee-par-erreur-un-jour")
    with pytest.raises(GatewayError, match="none of the 2 links opens"):
        await other.accounts()
    assert await other.end_sessions("69029") == 0
    # One that was moved there from another row.
    swap = update(ACCOUNT_LINK).where(ACCOUNT_LINK.c.identity == "a")
    moved = LinkRegister(store, KEY).cipher.seal("account_link 69266 z", {"glc": "0" * 32})
    await store.write(lambda c: c.execute(swap.values(sealed=moved)))
    assert [one.identity async for one in register.every()] == ["b"]
    assert await register.accounts() == {"f" * 32}
