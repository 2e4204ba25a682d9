"""Lies of a GRU about its tickets, as real ones were seen to tell them.

Only lists and dates lie. The tickets themselves stay true, and so does the answer about one ticket
by number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

Row = TypeVar("Row")


@dataclass(slots=True)
class Lies:
    """The lies of one GRU. Without any of them it is honest.

    `ahead`: by ticket, how far its dates lie in the future. `hide`: each list lacks every n-th row,
    each time another one. `repeat`: every n-th row comes twice. `shift`: each list begins at
    another row. `bad_row`: every list has a row that is not a ticket. `echo`: texts of a connector
    come back as public texts of an agent. `told` counts the lists with lies.
    """

    ahead: dict[str, timedelta] = field(default_factory=dict)
    hide: int | None = None
    repeat: int | None = None
    shift: bool = False
    bad_row: bool = False
    echo: bool = False
    told: int = 0

    def date(self, ticket_id: str, moment: datetime) -> datetime:
        """Return the date that the GRU gives for a ticket."""
        return moment + self.ahead.get(ticket_id, timedelta())

    def rows(self, rows: Sequence[Row], bad: Row, *, whole: bool = False) -> list[Row]:
        """Return the list that the GRU gives instead of `rows`. `bad` is the row that is not a
        ticket.

        A list of one row that was asked for by number is honest. `whole`: nothing is left out, as
        in the search for a lost creation.
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
