"""Lies of a GRU about what it holds, as real ones were seen to tell them.

Lies are told in lists and dates alone: what a GRU holds, and what it says of one ticket that it is
asked for by its number, stays true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

Row = TypeVar("Row")


@dataclass(slots=True)
class Lies:
    """The lies of one GRU; without any it is honest.

    `ahead`: by ticket, how far ahead its dates are told. `hide`: of each list, every n-th row is
    left out, another one each time. `repeat`: every n-th row is told twice. `shift`: a list begins
    at another row each time. `bad_row`: every list holds a row that is no ticket. `echo`: what a
    connector wrote is told like an agent's public word. `told` counts the lists that were lies.
    """

    ahead: dict[str, timedelta] = field(default_factory=dict)
    hide: int | None = None
    repeat: int | None = None
    shift: bool = False
    bad_row: bool = False
    echo: bool = False
    told: int = 0

    def date(self, ticket_id: str, moment: datetime) -> datetime:
        """Return the date that is told of a ticket."""
        return moment + self.ahead.get(ticket_id, timedelta())

    def rows(self, rows: Sequence[Row], bad: Row, *, whole: bool = False) -> list[Row]:
        """Return the list that is told instead of `rows`; `bad` is the row that is no ticket.

        A list of one row is what was asked for by its number, and is told as it is. `whole`: it
        leaves nothing out, as the search by which a lost creation is found.
        """
        if len(rows) < 2 or not (self.hide or self.repeat or self.shift or self.bad_row):
            return list(rows)
        self.told += 1
        turn, told = self.told, list(rows)
        if self.hide and not whole:
            told = [row for n, row in enumerate(told) if (n + turn) % self.hide]
        if self.shift and told:
            at = turn % len(told)
            told = told[at:] + told[:at]
        if self.repeat:
            told += told[:: self.repeat]
        if self.bad_row:
            told.insert(turn % (len(told) + 1), bad)
        return told
