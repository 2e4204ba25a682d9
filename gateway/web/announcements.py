"""`/annonces`: a commune reads an announcement by the link of its mail, and says so.

To open the page notes nothing: mail programs open links by themselves.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from gateway.core.announcement import AnnouncementKind
from gateway.flow.announcements import PATH, Announcement
from gateway.flow.incident_notes import commune_named, paris_time
from gateway.web.linking_pages import STYLE, page_headers, people_page
from gateway.web.state import Web

_TITLES = {
    AnnouncementKind.MAINTENANCE: "Maintenance planifiée",
    AnnouncementKind.CHANGE: "Changement technique",
}


def announcements_router(web: Web) -> APIRouter:
    """Return the pages."""
    router = APIRouter(prefix=PATH, include_in_schema=False)
    desk = web.engine.announcements

    @router.get("/style.css")
    async def style() -> Response:
        headers = page_headers() | {"Cache-Control": "public, max-age=3600"}
        return Response(STYLE, 200, headers, media_type="text/css")

    @router.get("/{announcement}/{insee}/{token}")
    async def show(announcement: str, insee: str, token: str) -> Response:
        return _page(web, await desk.of_link(announcement, insee, token), insee)

    @router.post("/{announcement}/{insee}/{token}")
    async def read(announcement: str, insee: str, token: str) -> Response:
        one = await desk.read_by_link(announcement, insee, token)
        return RedirectResponse(desk.link(one.id, insee), 303, page_headers())

    return router


def _page(web: Web, one: Announcement, insee: str) -> Response:
    read_at = next((c.read_at for c in one.communes if c.commune == insee), None)
    return people_page(
        "announcement",
        _TITLES[one.kind],
        one=one,
        commune=commune_named(insee, web.engine.catalogue),
        starts=paris_time(one.starts_at),
        ends=None if one.ends_at is None else paris_time(one.ends_at),
        read=None if read_at is None else paris_time(read_at),
        cancelled=None if one.cancelled_at is None else one.because,
    )
