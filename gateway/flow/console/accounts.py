"""The console's local accounts and tokens, beside a running daemon or without one. Each change is
an entry of the trail."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from gateway.core.console import ConsoleRole, granted
from gateway.store import console
from gateway.store.console import ConsoleAccount, ConsoleToken
from gateway.store.engine import Store
from gateway.store.recording import RecordingStore

#: The life of a set-up link, and of a token where none is given.
SETUP: Final = timedelta(hours=24)
TOKEN: Final = timedelta(days=365)
#: A token begins with this, so that searchers for leaked secrets know it.
PREFIX: Final = "tdgc_"


def mark_of(secret: str) -> str:
    """Return the hash under which a secret of ours is stored: all have 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


async def add_user(
    store: RecordingStore, name: str, role: ConsoleRole, communes: Iterable[str], now: datetime
) -> tuple[ConsoleAccount, str]:
    """Add an account. Return it with the secret of its set-up link. Raises Conflict."""
    secret, grant = secrets.token_urlsafe(32), granted(role, communes)
    until = now + SETUP
    made = await store.write(console.add_account, name, grant, mark_of(secret), until, now)
    return made, secret


async def reset_user(store: RecordingStore, name: str, now: datetime) -> tuple[ConsoleAccount, str]:
    """Give an account a new set-up link: its password and sessions end. Raises NotFound."""
    secret = secrets.token_urlsafe(32)
    return await store.write(console.reset_account, name, mark_of(secret), now + SETUP), secret


async def disable_user(store: RecordingStore, name: str) -> ConsoleAccount:
    """Let nobody in by an account. Raises NotFound."""
    return await store.write(console.disable_account, name)


async def users(store: Store) -> list[ConsoleAccount]:
    """List the accounts."""
    return await store.read(console.accounts)


async def add_token(
    store: RecordingStore,
    name: str,
    role: ConsoleRole,
    communes: Iterable[str],
    by: str,
    now: datetime,
    *,
    life: timedelta = TOKEN,
) -> tuple[ConsoleToken, str]:
    """Make a token. Return it with its secret, which nobody can show again. Raises Conflict."""
    secret = PREFIX + secrets.token_urlsafe(32)
    made = ConsoleToken(name, mark_of(secret), granted(role, communes), now, by, now + life)
    return await store.write(console.add_token, made), secret


async def remove_token(store: RecordingStore, name: str) -> None:
    """Make a token worthless. Raises NotFound."""
    await store.write(console.remove_token, name)


async def tokens(store: Store) -> list[ConsoleToken]:
    """List the tokens."""
    return await store.read(console.tokens)
