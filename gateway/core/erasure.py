"""The rules of erasure: judges a provider's answer before anything is touched.

"Unknown" is not "deleted": a narrowed right, a wrong tenant or a changed secret makes everybody
look deleted. A run counts only as a whole, while a witness account is known, and below a brake; an
account must be found gone twice, some hours apart. Most of this is what w.c.s. does for itself
(`wcs/users.py`, sync_users).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: The reason for which all gone accounts wait for two people.
BRAKED = "brake"
#: The reason of a run that disagrees with a former one, or with another source.
CONTRADICTION = "contradiction"
#: The reason for which single requests that a person wants erased wait for a second one.
ORDERED = "ordered"
#: The reason for which those that the portal deleted wait for two people.
DELETED = "deleted"
#: The time for which erasures count for the brake: many small runs must not do what one large may
#: not.
BRAKE_WINDOW = timedelta(hours=24)
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d"})
#: The time that communes have to erase, where no configuration says it.
DEADLINE = timedelta(days=30)


class Phase(StrEnum):
    """The phase of one person's erasure.

    held: waits for two people. open: being stopped and scrubbed. scrubbed: gone from the tables,
    not yet from the database's log. telling: the communes have yet to acknowledge. withdrawn: the
    account turned out to exist.
    """

    HELD = "held"
    OPEN = "open"
    SCRUBBED = "scrubbed"
    TELLING = "telling"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Brake:
    """Bounds of an erasure without agreement: a share of the known accounts, and a number."""

    ratio: float
    count: int


@dataclass(frozen=True, slots=True)
class ProviderRun:
    """The result of one whole run. `gone` are the accounts that it reported gone. `positive`: the
    provider says that they were deleted, not just that it does not know them. `doubted`: of these,
    those that another source still knows."""

    gone: frozenset[str]
    canary_gone: bool = False
    positive: bool = False
    doubted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Suspect:
    """An account found unknown; `confirmed_at` is the last run that counted."""

    account: str
    first_unknown_at: datetime
    confirmed_at: datetime
    confirmations: int = 1


@dataclass(frozen=True, slots=True)
class KnownAccounts:
    """The accounts known when the run is judged.

    `accounts` are those that it asked about, `held` wait for two people, `opened` are being stopped
    and not yet scrubbed, `recent` is the number erased within `BRAKE_WINDOW` without an agreement.
    """

    accounts: frozenset[str]
    suspects: Mapping[str, Suspect]
    held: frozenset[str] = frozenset()
    recent: int = 0
    opened: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class VoidRun:
    """The run proves nothing: no account is confirmed or cleared."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The consequences of a run: accounts erased, held, suspected and cleared. `suspects` are all
    that remain. `stop` are those whose erasure had begun and that are known again. `reason` is
    `BRAKED`, `CONTRADICTION` or empty."""

    erase: frozenset[str] = frozenset()
    hold: frozenset[str] = frozenset()
    suspects: tuple[Suspect, ...] = ()
    cleared: frozenset[str] = frozenset()
    reason: str = ""
    detail: str = ""
    stop: frozenset[str] = frozenset()


def judge_run(
    reading: ProviderRun,
    before: KnownAccounts,
    brake: Brake,
    confirm_after: timedelta,
    now: datetime,
) -> VoidRun | Judgement:
    """Judge a whole run. Pure."""
    if reading.canary_gone:
        return VoidRun("canary_gone", "the witness account, which exists, is told to be gone")
    gone = reading.gone & before.accounts
    watched = (frozenset(before.suspects) | before.held) & before.accounts
    # A list of deletions starts at a cursor: an account missing from it has not come back.
    cleared = frozenset() if reading.positive else (watched | before.opened) - reading.gone
    stop = cleared & before.opened
    still = tuple(one for account, one in before.suspects.items() if account in gone)
    if gone and over(brake, len(gone) + before.recent, len(before.accounts) + before.recent):
        detail = f"{len(gone)} of {len(before.accounts)} accounts at once"
        if before.recent:
            detail += f", {before.recent} erased within a day"
        kept = tuple(before.suspects.values()) if reading.positive else still
        return Judgement(
            hold=gone, suspects=kept, cleared=cleared, reason=BRAKED, detail=detail, stop=stop
        )
    # A held account waits until two people agree, however small the later run.
    free = gone - before.held
    if reading.positive:
        doubted = gone & reading.doubted
        return Judgement(
            erase=free - doubted,
            hold=doubted,
            suspects=tuple(before.suspects.values()),
            reason=CONTRADICTION if doubted else "",
            detail=f"{len(doubted)} accounts told to be deleted are known" if doubted else "",
        )
    if cleared:
        # A deleted account does not come back: this provider was wrong, so the others are suspected
        # anew.
        anew = tuple(Suspect(account, now, now) for account in sorted(gone))
        detail = f"{len(cleared)} accounts told to be gone are known again"
        return Judgement(
            suspects=anew, cleared=cleared, reason=CONTRADICTION, detail=detail, stop=stop
        )
    erase: set[str] = set()
    suspects: list[Suspect] = []
    for account in sorted(gone):
        known = before.suspects.get(account)
        if known is None:
            suspects.append(Suspect(account, now, now))
        elif now - known.confirmed_at >= confirm_after and account in free:
            erase.add(account)
        else:
            suspects.append(known)
    return Judgement(erase=frozenset(erase), suspects=tuple(suspects))


def over(brake: Brake, gone: int, known: int) -> bool:
    """Is this more than may be erased without an agreement?"""
    return gone > brake.count or gone > brake.ratio * known


def same_person(one: str, other: str) -> bool:
    """May two names be one person's: apart from case, accents, hyphens and other signs, blanks, the
    order of their words, and a word of which only the first letter is written?"""
    first, second = _words(one), _words(other)
    for word in (first & second).elements():
        first[word] -= 1
        second[word] -= 1
    left = list(second.elements())
    for word in first.elements():
        fitting = [w for w in left if w[0] == word[0] and 1 in (len(w), len(word))]
        if not fitting:
            return False
        left.remove(fitting[0])
    return not left


def _words(name: str) -> Counter[str]:
    letters = unicodedata.normalize("NFKD", name.casefold().translate(_LIGATURES))
    kept = (c for c in letters if unicodedata.category(c) not in ("Mn", "Cf"))
    return Counter("".join(c if c.isalnum() else " " for c in kept).split())
