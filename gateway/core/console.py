"""The people of the console, and what they may see. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Characters of a password. A long one is hashed as well as a short one, up to a bound.
SHORTEST: Final = 12
LONGEST: Final = 128
#: Different characters of a password at least.
DIFFERENT: Final = 6
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")


class ConsoleRole(StrEnum):
    """operator: acts for all communes. agent: acts for their own communes. auditor: reads."""

    OPERATOR = "operator"
    AGENT = "agent"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Grant:
    """A role, and the communes that it is for: None for all of them."""

    role: ConsoleRole
    communes: frozenset[str] | None

    def sees(self, insee: str) -> bool:
        """Is the commune theirs?"""
        return self.communes is None or insee in self.communes

    @property
    def sees_all(self) -> bool:
        return self.communes is None


def granted(role: ConsoleRole, communes: Iterable[str]) -> Grant:
    """Return the grant of a role. An agent sees the named communes alone; an operator sees all; an
    auditor those that are named, or all where none is."""
    named = frozenset(communes)
    if role is ConsoleRole.OPERATOR or (role is ConsoleRole.AUDITOR and not named):
        return Grant(role, None)
    return Grant(role, named)


def strongest(grants: Iterable[Grant]) -> Grant | None:
    """Return what several grants come to: the strongest role, for the communes of all of it."""
    found = list(grants)
    for role in (ConsoleRole.OPERATOR, ConsoleRole.AUDITOR, ConsoleRole.AGENT):
        mine = [one for one in found if one.role is role]
        if mine:
            everything = any(one.communes is None for one in mine)
            named = frozenset[str]().union(*(one.communes or () for one in mine))
            return Grant(role, None if everything else named)
    return None


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who has proven who they are. `account` is `local:NAME`, `openid:SUBJECT`,
    `token:NAME` or, of a command, `cli:NAME`."""

    account: str
    shown_as: str
    grant: Grant

    @property
    def role(self) -> ConsoleRole:
        return self.grant.role


def is_account_name(name: str) -> bool:
    """May a local account be called so?"""
    return _NAME.fullmatch(name) is not None


def password_fault(password: str, name: str) -> str:
    """Return the word for what is wrong with a new password; empty where nothing is."""
    if len(password) < SHORTEST:
        return "password_short"
    if len(password) > LONGEST:
        return "password_long"
    if len(set(password)) < DIFFERENT or name in password.lower():
        return "password_easy"
    return ""


__all__ = [
    "ConsoleRole",
    "Grant",
    "Reader",
    "granted",
    "is_account_name",
    "password_fault",
    "strongest",
]
