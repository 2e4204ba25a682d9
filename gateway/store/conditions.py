"""The conditions of the partial indexes, once each. Statements repeat them as literals: with bound
parameters the planner could not use the indexes."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from gateway.core.delivery import STUCK_FAILURES

#: Deliveries that may be claimed once they are due.
DUE: Final = text("head AND state IN ('waiting', 'unsure')")
#: Deliveries that failed so often that a person may have to look.
FAILING: Final = text(f"{DUE.text} AND failures >= {STUCK_FAILURES}")
SENDING: Final = text("state = 'sending'")
#: Deliveries that are not over.
OPEN: Final = text("state NOT IN ('done', 'discarded')")
#: Deliveries that wait for a person.
PERSON: Final = text("state IN ('question', 'parked', 'dead')")
#: Deliveries that are in their lane's feed.
FED: Final = text("feed IS NOT NULL")
#: Requests that their GRU can be asked about.
ASKABLE: Final = text("gru_reference IS NOT NULL AND ask_at IS NOT NULL AND erased_at IS NULL")
#: Requests whose content may be here.
PURGEABLE: Final = text("purged_at IS NULL AND erased_at IS NULL")
#: Erasures that are not over.
LIVE: Final = text("state NOT IN ('closed', 'withdrawn')")
#: Untold changes that a person has to look at.
FOR_A_PERSON: Final = text("person")
#: The incident to which what is seen of its cause belongs.
LIVE_INCIDENT: Final = text("live")
#: Notes about incidents that are still owed.
OWED_NOTICE: Final = text("state = 'waiting'")
