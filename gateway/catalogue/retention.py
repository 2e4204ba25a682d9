"""The delays of what is kept: their part of `gateway.yaml`."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from gateway.catalogue.scalars import StrictModel
from gateway.core.retention import ATTEMPTS, DEFAULT_RETENTION, TRAIL_YEARS, RetentionPolicy
from gateway.sdk.duration import Duration


class FormRetentionEntry(StrictModel):
    """The delays after which contents and files of requests go; null: never."""

    ended: Duration | None = Field(
        DEFAULT_RETENTION.ended,
        description="After the end of a request; not before its GRU is asked no more.",
    )
    silent: Duration | None = Field(
        DEFAULT_RETENTION.silent, description="After the last sign, where no end is told."
    )

    def over(self, base: RetentionPolicy) -> RetentionPolicy:
        """Return `base` with this entry's keys."""
        return replace(base, **{name: getattr(self, name) for name in self.own})

    @property
    def own(self) -> list[str]:
        """The keys that are written."""
        return [name for name in FormRetentionEntry.model_fields if name in self.model_fields_set]


class RetentionEntry(FormRetentionEntry):
    attempts: Duration | None = Field(
        ATTEMPTS, description="Attempts, once their delivery is over; null: for ever."
    )
    trail_years: int | None = Field(
        TRAIL_YEARS,
        ge=1,
        le=100,
        description="Years of the trail of erasures, rights and links, which names who did what;"
        " null: for ever. That of releases stays.",
    )
