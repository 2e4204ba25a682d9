"""Views as data: each is a function that gives a page's data as its reader may see them.

A page of the console and a call of `/api/v1` are made of one row: HTML by its template, JSON of the
same value.
"""

from __future__ import annotations

from typing import Final

from gateway.console.views.availability import (
    ANNOUNCEMENTS,
    AVAILABILITY,
    AVAILABILITY_REPORT,
    AVAILABILITY_SHEET,
)
from gateway.console.views.commune import COMMUNE
from gateway.console.views.erasures import CERTIFICATE, ERASURE, ERASURES
from gateway.console.views.incidents import INCIDENT, INCIDENTS
from gateway.console.views.journal import JOURNAL_VIEW
from gateway.console.views.releases import RELEASES, TOWN_RELEASES
from gateway.console.views.request import REQUEST
from gateway.console.views.requests import REQUESTS
from gateway.console.views.today import TODAY
from gateway.console.views.view import View
from gateway.console.views.waiting import WAITING

#: Every view. Add a row, and the console, its navigation and the API have it. Fixed addresses come
#: before those with a part in braces.
VIEWS: Final[tuple[View, ...]] = (
    TODAY,
    WAITING,
    REQUESTS,
    COMMUNE,
    REQUEST,
    INCIDENTS,
    INCIDENT,
    RELEASES,
    TOWN_RELEASES,
    AVAILABILITY,
    AVAILABILITY_SHEET,
    AVAILABILITY_REPORT,
    ANNOUNCEMENTS,
    ERASURES,
    ERASURE,
    CERTIFICATE,
    JOURNAL_VIEW,
)
