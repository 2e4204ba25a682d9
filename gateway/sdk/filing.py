"""Facts that the law wants told of a request: its filing, who is in charge (CRPA, R112-11-1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from gateway.sdk.options import Options


@dataclass(frozen=True, slots=True)
class Filing:
    """The filing of a request: where and when it was filed, whatever the mapping renders. `number`
    is the citizen's; `sequence` is the position of this delivery in the request."""

    portal: str
    teleservice: str
    number: str | None
    submitted_at: datetime
    received_at: datetime
    sequence: int = 1


class ServiceInCharge(Options):
    """The service that the law has named to the citizen, and how it is reached."""

    name: str = Field(min_length=1, max_length=200)
    email: str | None = Field(None, max_length=200)
    phone: str | None = Field(None, max_length=50)
    address: str | None = Field(None, max_length=500)


__all__ = ["Filing", "ServiceInCharge"]
