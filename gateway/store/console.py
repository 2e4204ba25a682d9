"""Stores the console's accounts, sessions and tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from gateway.core.console import ConsoleRole, Grant, granted
from gateway.core.errors import Conflict, NotFound
from gateway.store import trail
from gateway.store.console_tables import (
    CONSOLE_ACCOUNT,
    CONSOLE_BROWSER,
    CONSOLE_SESSION,
    CONSOLE_TOKEN,
)
from gateway.store.dialect import upsert
from gateway.store.texts import say

#: The stream of the trail that has every act of a person.
STREAM = "people"
LOCAL = "local:"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ConsoleAccount:
    """A local account. Without a `password` it waits for its set-up link to be used."""

    name: str
    grant: Grant
    password: str | None = field(repr=False)
    setup_until: datetime | None
    disabled: bool
    created_at: datetime
    signed_in_at: datetime | None


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """An open session."""

    mark: str
    account: str
    shown_as: str
    grant: Grant
    began_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ConsoleToken:
    """A token of a program. `mark` is its hash."""

    name: str
    mark: str = field(repr=False)
    grant: Grant
    created_at: datetime
    created_by: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class PersonalAct:
    """An act of a person: who, by which way and from where, why. `told` is what else there is to
    say of it, without a citizen's data."""

    kind: str
    by: str
    way: str
    place: str
    because: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)

    def data(self) -> dict[str, Any]:
        """Return it as an entry of the trail has it."""
        said = {"by": self.by, "way": self.way, "from": self.place, "because": self.because}
        return {**self.told, **{name: value for name, value in said.items() if value}}


def perform(
    connection: Connection, unit: Callable[[Connection], _T], act: PersonalAct, now: datetime
) -> _T:
    """Run a unit and note the act in the trail, both or neither."""
    trail.lock_trail(connection)  # before any row: whoever acts locks in one order
    result = unit(connection)
    trail.append(connection, STREAM, act.kind, act.data(), now)
    return result


# --- accounts --------------------------------------------------------------------------------


def add_account(
    connection: Connection, name: str, grant: Grant, setup: str, until: datetime, now: datetime
) -> ConsoleAccount:
    """Add an account with the hash of its set-up link. Raises Conflict for a name that is there."""
    if find_account(connection, name) is not None:
        raise Conflict(say("console_account_there", name=name))
    connection.execute(
        insert(CONSOLE_ACCOUNT).values(
            name=name,
            role=grant.role.value,
            communes=" ".join(sorted(grant.communes or ())),
            setup_mark=setup,
            setup_until=until,
            created_at=now,
        )
    )
    return account(connection, name)


def account(connection: Connection, name: str) -> ConsoleAccount:
    """Return an account. Raises NotFound."""
    found = find_account(connection, name)
    if found is None:
        raise NotFound(say("no_console_account", name=name))
    return found


def accounts(connection: Connection) -> list[ConsoleAccount]:
    """List the accounts."""
    rows = connection.execute(select(CONSOLE_ACCOUNT).order_by(CONSOLE_ACCOUNT.c.name))
    return [_to_account(row) for row in rows]


def reset_account(connection: Connection, name: str, setup: str, until: datetime) -> ConsoleAccount:
    """Give an account a new set-up link: its password, sessions and locks end. It is enabled again.
    Raises NotFound."""
    account(connection, name)
    values = {"password": None, "setup_mark": setup, "setup_until": until, "disabled": False}
    connection.execute(
        update(CONSOLE_ACCOUNT).where(CONSOLE_ACCOUNT.c.name == name).values(**values)
    )
    end_sessions(connection, LOCAL + name)
    connection.execute(delete(CONSOLE_BROWSER).where(CONSOLE_BROWSER.c.account == name))
    return account(connection, name)


def disable_account(connection: Connection, name: str) -> ConsoleAccount:
    """Let nobody in by an account any more; its sessions end. Raises NotFound."""
    account(connection, name)
    values = {"disabled": True, "setup_mark": None, "setup_until": None}
    connection.execute(
        update(CONSOLE_ACCOUNT).where(CONSOLE_ACCOUNT.c.name == name).values(**values)
    )
    end_sessions(connection, LOCAL + name)
    return account(connection, name)


def setup_account(connection: Connection, setup: str, now: datetime) -> str | None:
    """Return the name of the account of a set-up link; None for one that is used up or too old."""
    name: str | None = connection.execute(
        select(CONSOLE_ACCOUNT.c.name).where(
            CONSOLE_ACCOUNT.c.setup_mark == setup,
            CONSOLE_ACCOUNT.c.setup_until > now,
            CONSOLE_ACCOUNT.c.disabled.is_(False),
        )
    ).scalar()
    return name


def set_password(connection: Connection, setup: str, password: str, now: datetime) -> str | None:
    """Set the password (its hash) of the account of a set-up link, once. Return its name."""
    name = setup_account(connection, setup, now)
    if name is not None:
        values = {"password": password, "setup_mark": None, "setup_until": None}
        mine = CONSOLE_ACCOUNT.c.setup_mark == setup
        connection.execute(update(CONSOLE_ACCOUNT).where(mine).values(**values))
    return name


def rehash(
    connection: Connection, name: str, former: str, password: str, *, ends: bool = False
) -> None:
    """Replace the hash of a password. `ends`: it is another one, and all sessions end."""
    mine = (CONSOLE_ACCOUNT.c.name == name) & (CONSOLE_ACCOUNT.c.password == former)
    connection.execute(update(CONSOLE_ACCOUNT).where(mine).values(password=password))
    if ends:
        end_sessions(connection, LOCAL + name)


def find_account(connection: Connection, name: str) -> ConsoleAccount | None:
    """Return an account; None for an unknown one."""
    row = connection.execute(select(CONSOLE_ACCOUNT).where(CONSOLE_ACCOUNT.c.name == name)).first()
    return None if row is None else _to_account(row)


def _to_account(row: Row[Any]) -> ConsoleAccount:
    return ConsoleAccount(
        row.name,
        granted(ConsoleRole(row.role), row.communes.split()),
        row.password,
        row.setup_until,
        row.disabled,
        row.created_at,
        row.signed_in_at,
    )


# --- browsers --------------------------------------------------------------------------------


def is_locked(connection: Connection, mark: str, account: str, now: datetime) -> bool:
    """May a browser not sign in to an account now?"""
    until: datetime | None = connection.execute(
        select(CONSOLE_BROWSER.c.locked_until).where(
            CONSOLE_BROWSER.c.mark == mark, CONSOLE_BROWSER.c.account == account
        )
    ).scalar()
    return until is not None and until > now


def is_known_browser(connection: Connection, mark: str, account: str, now: datetime) -> bool:
    """Has this browser signed in to the account before?"""
    return (
        connection.execute(
            select(CONSOLE_BROWSER.c.mark).where(
                CONSOLE_BROWSER.c.mark == mark,
                CONSOLE_BROWSER.c.account == account,
                CONSOLE_BROWSER.c.expires_at > now,
            )
        ).first()
        is not None
    )


def count_failure(
    connection: Connection,
    mark: str,
    account: str,
    most: int,
    lock: timedelta,
    life: timedelta,
    now: datetime,
) -> None:
    """Count a failed sign-in; every `most` in a row lock for `lock`. `life`: of a new row."""
    row = connection.execute(select(CONSOLE_BROWSER).where(CONSOLE_BROWSER.c.mark == mark)).first()
    failures = (0 if row is None else row.failures) + 1
    upsert(
        connection,
        CONSOLE_BROWSER,
        "mark",
        mark=mark,
        account=account,
        failures=failures,
        locked_until=now + lock if failures % most == 0 else None,
        expires_at=now + life if row is None else row.expires_at,
    )


def note_browser(
    connection: Connection, mark: str, account: str, life: timedelta, now: datetime
) -> None:
    """Note that a browser has signed in: its failures are forgotten."""
    upsert(
        connection,
        CONSOLE_BROWSER,
        "mark",
        mark=mark,
        account=account,
        failures=0,
        locked_until=None,
        expires_at=now + life,
    )


# --- sessions --------------------------------------------------------------------------------


def open_session(connection: Connection, session: ConsoleSession, now: datetime) -> None:
    """Store a session."""
    communes = session.grant.communes
    connection.execute(
        insert(CONSOLE_SESSION).values(
            mark=session.mark,
            account=session.account,
            shown_as=session.shown_as,
            role=session.grant.role.value,
            communes=None if communes is None else " ".join(sorted(communes)),
            began_at=session.began_at,
            seen_at=session.seen_at,
            ends_at=session.ends_at,
        )
    )
    if session.account.startswith(LOCAL):
        mine = CONSOLE_ACCOUNT.c.name == session.account.removeprefix(LOCAL)
        connection.execute(update(CONSOLE_ACCOUNT).where(mine).values(signed_in_at=now))


def session(
    connection: Connection, mark: str, idle: timedelta, now: datetime
) -> ConsoleSession | None:
    """Return an open session, with the grant that its local account has now; None for none."""
    row = connection.execute(
        select(CONSOLE_SESSION).where(
            CONSOLE_SESSION.c.mark == mark,
            CONSOLE_SESSION.c.ends_at > now,
            CONSOLE_SESSION.c.seen_at > now - idle,
        )
    ).first()
    if row is None:
        return None
    grant = _grant(row)
    if row.account.startswith(LOCAL):
        own = find_account(connection, row.account.removeprefix(LOCAL))
        if own is None or own.disabled or own.password is None:
            return None
        grant = own.grant
    return ConsoleSession(
        row.mark, row.account, row.shown_as, grant, row.began_at, row.seen_at, row.ends_at
    )


def touch_session(connection: Connection, mark: str, now: datetime) -> None:
    """Note that somebody is there."""
    connection.execute(
        update(CONSOLE_SESSION).where(CONSOLE_SESSION.c.mark == mark).values(seen_at=now)
    )


def end_session(connection: Connection, mark: str) -> bool:
    """End a session; return whether it was there."""
    return (
        connection.execute(delete(CONSOLE_SESSION).where(CONSOLE_SESSION.c.mark == mark)).rowcount
        == 1
    )


def end_sessions(connection: Connection, account: str) -> int:
    """End all sessions of an account; return how many."""
    return connection.execute(
        delete(CONSOLE_SESSION).where(CONSOLE_SESSION.c.account == account)
    ).rowcount


def forget(connection: Connection, idle: timedelta, now: datetime) -> None:
    """Drop sessions and browsers whose time is over."""
    over = or_(CONSOLE_SESSION.c.ends_at <= now, CONSOLE_SESSION.c.seen_at <= now - idle)
    connection.execute(delete(CONSOLE_SESSION).where(over))
    connection.execute(delete(CONSOLE_BROWSER).where(CONSOLE_BROWSER.c.expires_at <= now))


# --- tokens ----------------------------------------------------------------------------------


def add_token(connection: Connection, token: ConsoleToken) -> ConsoleToken:
    """Store a token's hash. Raises Conflict for a name that is there."""
    if any(one.name == token.name for one in tokens(connection)):
        raise Conflict(say("console_token_there", name=token.name))
    communes = token.grant.communes
    connection.execute(
        insert(CONSOLE_TOKEN).values(
            name=token.name,
            mark=token.mark,
            role=token.grant.role.value,
            communes=None if communes is None else " ".join(sorted(communes)),
            created_at=token.created_at,
            created_by=token.created_by,
            ends_at=token.ends_at,
        )
    )
    return token


def token(connection: Connection, mark: str, now: datetime) -> ConsoleToken | None:
    """Return the token with this hash; None for an unknown one, or one whose time is over."""
    row = connection.execute(
        select(CONSOLE_TOKEN).where(CONSOLE_TOKEN.c.mark == mark, CONSOLE_TOKEN.c.ends_at > now)
    ).first()
    return None if row is None else _to_token(row)


def tokens(connection: Connection) -> list[ConsoleToken]:
    """List the tokens."""
    rows = connection.execute(select(CONSOLE_TOKEN).order_by(CONSOLE_TOKEN.c.name))
    return [_to_token(row) for row in rows]


def remove_token(connection: Connection, name: str) -> None:
    """Make a token worthless. Raises NotFound."""
    gone = connection.execute(delete(CONSOLE_TOKEN).where(CONSOLE_TOKEN.c.name == name)).rowcount
    if not gone:
        raise NotFound(say("no_console_token", name=name))


def _to_token(row: Row[Any]) -> ConsoleToken:
    return ConsoleToken(
        row.name, row.mark, _grant(row), row.created_at, row.created_by, row.ends_at
    )


def _grant(row: Row[Any]) -> Grant:
    named = None if row.communes is None else frozenset(row.communes.split())
    return Grant(ConsoleRole(row.role), named)
