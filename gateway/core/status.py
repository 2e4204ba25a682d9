"""Canonical statuses of a request, and the words the portal's workflows receive for them."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The status of a request, whatever the GRU calls it."""

    RECEIVED = "received"
    TRANSMITTED = "transmitted"
    ACCEPTED = "accepted"
    IN_PROGRESS = "in_progress"
    PLANNED = "planned"
    WAITING_CITIZEN = "waiting_citizen"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.DONE, Status.REFUSED, Status.CANCELLED})

#: Default `statut` sent to a workflow's hook; a mapping may override each word.
PORTAL_WORDS: dict[Status, str] = {
    Status.RECEIVED: "recue",
    Status.TRANSMITTED: "transmise",
    Status.ACCEPTED: "acceptee",
    Status.IN_PROGRESS: "en_cours",
    Status.PLANNED: "planifiee",
    Status.WAITING_CITIZEN: "attente_usager",
    Status.DONE: "terminee",
    Status.REFUSED: "refusee",
    Status.CANCELLED: "annulee",
}
