"""What a change told by a GRU means for a request that already stands somewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.core.status import Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """`tell`: the portal is to hear of it. `move`: the request's status becomes the new one."""

    tell: bool
    move: bool
    why: str


def judge(
    current: Status,
    changed_at: datetime | None,
    new: Status | None,
    at: datetime,
    *,
    has_news: bool,
) -> Verdict:
    """Whether a change is news.

    `changed_at` is when the GRU last changed this request, by the GRU's clock. `has_news` is a
    public message or a document. A status older than the one we hold is kept in the history and
    never told, but its message still is; a final status may be reopened by a later one.
    """
    if new is None:
        return Verdict(has_news, False, "note" if has_news else "nothing_public")
    if changed_at is not None and at < changed_at:
        return Verdict(has_news, False, "out_of_order")
    if new is current:
        return Verdict(has_news, False, "same_status")
    return Verdict(True, True, "new_status")
