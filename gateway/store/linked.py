"""Stores linked accounts and the sessions in which they are made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from gateway.core.sealing import NotOpened, Place
from gateway.store import nonces, sealed, tombstones
from gateway.store.linked_tables import ACCOUNT_LINK, LINK_SESSION

log = structlog.get_logger()

#: A link that its commune's portal did not confirm is dropped after this.
UNCONFIRMED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class StoredLink:
    """A link as it is stored: see `gateway.core.linking.AccountLink`."""

    commune: str
    identity: str
    account_mark: str
    portal_mark: str
    sealed: str = field(repr=False)
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it is stored. `session_mark` is of the provider's own session."""

    mark: str
    subject_mark: str
    session_mark: str | None
    account_mark: str
    sealed: str = field(repr=False)
    expires_at: datetime


_LINK = tuple(ACCOUNT_LINK.c[name] for name in StoredLink.__slots__)
_SESSION = tuple(LINK_SESSION.c[name] for name in StoredSession.__slots__)
_CONFIRMED = ACCOUNT_LINK.c.confirmed.is_(True)


def answer(
    connection: Connection,
    session: str,
    given: StoredSession,
    link: StoredLink | None,
    erased: Collection[str],
) -> bool | None:
    """End a session with the citizen's answer, which is `given` again for a while: with a `link`
    they agree, and it is stored until their commune confirms it.

    None, and nothing is stored, when the session is over; False when the account (`erased`: its
    hashes) is one that was erased.
    """
    if not close_session(connection, session):
        return None
    if link is not None:
        if tombstones.was_erased(connection, tuple(erased)):
            return False
        proposed = ACCOUNT_LINK.c.confirmed.is_(False)
        _drop(connection, and_(_named(link.commune, link.identity), proposed))
        values = {name: getattr(link, name) for name in StoredLink.__slots__}
        values["sealed"] = _seal(connection, _place(link.commune, link.identity), link.sealed)
        connection.execute(insert(ACCOUNT_LINK).values(confirmed=False, **values))
    open_session(connection, given)
    return True


def confirm(
    connection: Connection, commune: str, identity: str, meant: Callable[[StoredLink], bool]
) -> StoredLink | None:
    """Let the proposed link that is `meant` count, in place of a former one. Return it, also where
    it counts already; None where what was proposed, or counts, is another."""
    here = _named(commune, identity)
    proposed = connection.execute(
        select(*_LINK).where(here, ACCOUNT_LINK.c.confirmed.is_(False)).with_for_update()
    ).all()
    if any(meant(one) for one in _opened(connection, proposed)):
        _drop(connection, and_(here, _CONFIRMED))
        connection.execute(update(ACCOUNT_LINK).where(here).values(confirmed=True))
    found = _opened(connection, connection.execute(select(*_LINK).where(here, _CONFIRMED)).all())
    return found[0] if found and meant(found[0]) else None


def find(connection: Connection, account_marks: Collection[str]) -> list[StoredLink]:
    """Return the links of a GLC account, by its hashes; the newest first."""
    statement = select(*_LINK).where(ACCOUNT_LINK.c.account_mark.in_(account_marks), _CONFIRMED)
    rows = connection.execute(statement.order_by(ACCOUNT_LINK.c.linked_at.desc())).all()
    return _opened(connection, rows)


def by_identity(connection: Connection, commune: str, identity: str) -> StoredLink | None:
    """Return the link of a citizen as a commune knows them; None where none counts."""
    rows = connection.execute(select(*_LINK).where(_named(commune, identity), _CONFIRMED)).all()
    return next(iter(_opened(connection, rows)), None)


def links_page(
    connection: Connection, commune: str | None, after: tuple[str, str], limit: int
) -> list[StoredLink]:
    """List links by commune and identity, from after a place on."""
    whose = true() if commune is None else ACCOUNT_LINK.c.commune == commune
    found: list[StoredLink] = []
    while len(found) < limit:  # some may have lost their key
        place = or_(
            ACCOUNT_LINK.c.commune > after[0],
            and_(ACCOUNT_LINK.c.commune == after[0], ACCOUNT_LINK.c.identity > after[1]),
        )
        statement = select(*_LINK).where(_CONFIRMED, whose, place).limit(limit)
        ordered = statement.order_by(ACCOUNT_LINK.c.commune, ACCOUNT_LINK.c.identity)
        rows = connection.execute(ordered).all()
        found += _opened(connection, rows)
        if len(rows) < limit:
            break
        after = (rows[-1].commune, rows[-1].identity)
    return found[:limit]


def count(
    connection: Connection, commune: str | None = None, until: datetime | None = None
) -> dict[str, int]:
    """Count the links that count, by commune: of all or of one, made by now or before `until`."""
    whose = true() if commune is None else ACCOUNT_LINK.c.commune == commune
    made = true() if until is None else ACCOUNT_LINK.c.linked_at < until
    rows = connection.execute(
        select(ACCOUNT_LINK.c.commune, func.count())
        .where(_CONFIRMED, whose, made)
        .group_by(ACCOUNT_LINK.c.commune)
    )
    return {row[0]: row[1] for row in rows}


def linked_communes(connection: Connection) -> list[str]:
    """List the communes of all links, confirmed or not."""
    every = select(ACCOUNT_LINK.c.commune).distinct().order_by(ACCOUNT_LINK.c.commune)
    return list(connection.execute(every).scalars())


def unlink(connection: Connection, commune: str, identity: str) -> int:
    """Drop a link, and what was proposed in its place; return how many counted."""
    return _drop(connection, _named(commune, identity))


def unlink_portal_account(connection: Connection, commune: str, portal_mark: str) -> int:
    """Drop the links of an account at a commune's portal; return how many counted."""
    whose = ACCOUNT_LINK.c.portal_mark == portal_mark
    return _drop(connection, and_(ACCOUNT_LINK.c.commune == commune, whose))


def drop_commune(connection: Connection, commune: str) -> int:
    """Drop all links of a commune; return how many counted."""
    return _drop(connection, ACCOUNT_LINK.c.commune == commune)


def destroy(connection: Connection, account_marks: Collection[str], session_mark: str) -> int:
    """Drop all links of a GLC account, by its hashes, and its open sessions; return how many links
    counted."""
    _end(connection, LINK_SESSION.c.account_mark == session_mark)
    return _drop(connection, ACCOUNT_LINK.c.account_mark.in_(account_marks))


def open_session(connection: Connection, session: StoredSession) -> None:
    """Store a session."""
    values = {name: getattr(session, name) for name in StoredSession.__slots__}
    values["sealed"] = _seal(connection, _session_place(session.mark), session.sealed)
    connection.execute(insert(LINK_SESSION).values(**values))


def session(connection: Connection, mark: str, now: datetime) -> StoredSession | None:
    """Return a session that is not over."""
    row = connection.execute(
        select(*_SESSION).where(LINK_SESSION.c.mark == mark, LINK_SESSION.c.expires_at > now)
    ).first()
    if row is None:
        return None
    found = StoredSession(*row)
    try:
        text = sealed.unseal(connection, _session_place(mark), found.sealed)
    except NotOpened:
        return None  # as one that is over: who has it signs in again
    return None if text is None else replace(found, sealed=text)


def session_answer(
    connection: Connection, mark: str, given: str, now: datetime
) -> StoredSession | None:
    """Return what is left of a session that has its answer; `given` is its mark. Waits for who ends
    that session at this moment, whose key goes before its row does."""
    mine = select(LINK_SESSION.c.mark).where(LINK_SESSION.c.mark == mark)
    connection.execute(mine.with_for_update()).all()
    return session(connection, given, now)


def open_sessions(connection: Connection) -> list[tuple[str, str]]:
    """Return all sessions that open: their mark, and what is sealed in them."""
    found = []
    for row in connection.execute(select(LINK_SESSION.c.mark, LINK_SESSION.c.sealed)).all():
        with suppress(NotOpened):
            text = sealed.unseal(connection, _session_place(row.mark), row.sealed)
            if text is not None:
                found.append((row.mark, text))
    return found


def close_session(connection: Connection, mark: str) -> bool:
    """End a session. Was it open?"""
    return _end(connection, LINK_SESSION.c.mark == mark) > 0


def end_session(connection: Connection, session_mark: str) -> int:
    """End the sessions that a session at the provider has opened; return how many."""
    return _end(connection, LINK_SESSION.c.session_mark == session_mark)


def close_sessions(
    connection: Connection,
    nonce: str,
    until: datetime,
    subject_mark: str | None,
    session_mark: str | None,
) -> int | None:
    """End the sessions that the provider has ended; return how many. None when it said so before
    (`nonce` was spent)."""
    if not nonces.spend(connection, nonce, until):
        return None
    told = [
        column == mark
        for column, mark in (
            (LINK_SESSION.c.subject_mark, subject_mark),
            (LINK_SESSION.c.session_mark, session_mark),
        )
        if mark is not None
    ]
    # A session that is named is the one that ended, whosever it is.
    whose = told[-1] if told else LINK_SESSION.c.mark.is_(None)
    return _end(connection, whose)


def forget(connection: Connection, now: datetime) -> int:
    """Drop sessions that are over, and links that were never confirmed; return how many."""
    over = _end(connection, LINK_SESSION.c.expires_at <= now)
    stale = ACCOUNT_LINK.c.confirmed.is_(False), ACCOUNT_LINK.c.linked_at < now - UNCONFIRMED
    rows = connection.execute(select(ACCOUNT_LINK.c.identity).where(*stale)).all()
    _drop(connection, and_(*stale))
    return over + len(rows)


def _named(commune: str, identity: str) -> ColumnElement[bool]:
    return and_(ACCOUNT_LINK.c.commune == commune, ACCOUNT_LINK.c.identity == identity)


def _place(commune: str, identity: str) -> Place:
    return Place("account_link", "sealed", f"{commune} {identity}", "")


def _session_place(mark: str) -> Place:
    return Place("link_session", "sealed", mark, "")


def _seal(connection: Connection, place: Place, text: str) -> str:
    """Seal with a key of its own, which can be destroyed for all copies."""
    told = sealed.seal(connection, sealed.new_key(connection), place, text)
    return text if told is None else told


def _opened(connection: Connection, rows: Iterable[Any]) -> list[StoredLink]:
    """Return the links of these rows; not those whose key is destroyed, nor those that are
    damaged: one of these must not keep the others from anybody."""
    links = [StoredLink(*row) for row in rows]
    sealed.load_keys(connection, [one.sealed for one in links])
    found = []
    for one in links:
        try:
            text = sealed.unseal(connection, _place(one.commune, one.identity), one.sealed)
        except NotOpened:
            log.error("link.damaged", commune=one.commune)
            continue
        if text is not None:
            found.append(replace(one, sealed=text))
    return found


def _end(connection: Connection, whose: ColumnElement[bool]) -> int:
    """Drop sessions and destroy their keys; return how many."""
    rows = connection.execute(
        delete(LINK_SESSION).where(whose).returning(LINK_SESSION.c.sealed)
    ).all()
    sealed.condemn_keys_of(connection, [row.sealed for row in rows])
    return len(rows)


def _drop(connection: Connection, whose: ColumnElement[bool]) -> int:
    """Drop links and destroy their keys; return how many counted."""
    columns = ACCOUNT_LINK.c.confirmed, ACCOUNT_LINK.c.sealed
    rows = connection.execute(delete(ACCOUNT_LINK).where(whose).returning(*columns)).all()
    sealed.condemn_keys_of(connection, [row.sealed for row in rows])
    return sum(row.confirmed for row in rows)
