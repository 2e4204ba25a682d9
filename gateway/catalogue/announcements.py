"""Announcements: their part of `gateway.yaml`."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import Field

from gateway.catalogue.scalars import StrictModel
from gateway.core.announcement import AnnouncementRules
from gateway.sdk.duration import Duration

_DEFAULT: Final = AnnouncementRules()


class AnnouncementsEntry(StrictModel):
    """So long beforehand a commune must have been told: a maintenance that it heard of later
    counts as unavailability."""

    maintenance: Duration = Field(
        _DEFAULT.maintenance.total_seconds(), description="Of a planned maintenance."
    )
    change: Duration = Field(
        _DEFAULT.change.total_seconds(), description="Of a change that can affect a connector."
    )

    def rules(self) -> AnnouncementRules:
        """Return the notice periods."""
        return AnnouncementRules(
            timedelta(seconds=self.maintenance), timedelta(seconds=self.change)
        )
