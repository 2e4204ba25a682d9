"""`/linking/v1`: a commune's portal confirms, lists and ends links; GLC tells of logouts."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.core.errors import Rejected
from gateway.core.linking import AccountLink
from gateway.flow.link_sessions import LinkCall
from gateway.flow.linking import LinkDesk
from gateway.web.body import read_body
from gateway.web.contract import Insee, failures
from gateway.web.state import Web, exchange_of

_LONGEST_FORM = 20_000
MOST = 200
Identity = Annotated[
    str, Path(description="The citizen as this commune knows them: `sub` of the answer.")
]
After = Annotated[str, Query(description="`next` of the page before.")]
_CALLED: dict[str, Any] = {
    "responses": failures(401, 404, 410, 503),
    "openapi_extra": {"security": [{"linkCall": []}]},
}


class LinkBody(BaseModel):
    """One link."""

    identity: str = Field(description="The citizen as this commune knows them.")
    account: str = Field(description="The account at the commune's portal, as it named it.")
    acr: str | None = Field(description="The level at which the citizen signed in when linking.")
    claims: dict[str, Any] = Field(description="What GLC told, to the letter.")
    linked_at: str = Field(description="When the citizen agreed.")


class LinksPage(BaseModel):
    """Some links. `next` is null on the last page."""

    links: list[LinkBody]
    next: str | None


def linking_api_router(web: Web, desk: LinkDesk) -> APIRouter:
    """Return the calls of communes' portals, and of the provider."""
    router = APIRouter(prefix="/linking/v1", tags=["linking"])
    base = "/communes/{insee}/links"
    one = base + "/{identity}"

    async def proven(request: Request, insee: str) -> LinkCall:
        found = await desk.caller(insee, request.headers.get("authorization", ""))
        exchange_of(request.scope).proven = True
        return found

    @router.get(base, **_CALLED, operation_id="list_links")
    async def links(request: Request, insee: Insee, after: After = "") -> LinksPage:
        """List the links of the commune, 200 a page. One that is missing has ended."""
        whose = (await proven(request, insee)).commune
        found = await desk.register.links_page(whose, after[:100], MOST)
        following = found[-1].identity if len(found) == MOST else None
        return LinksPage(links=[_body(one) for one in found], next=following)

    @router.get(one, **_CALLED, operation_id="read_link")
    async def link(request: Request, insee: Insee, identity: Identity) -> LinkBody:
        """Read one link; 404: it has ended. To be asked when the citizen comes."""
        whose = (await proven(request, insee)).commune
        found = await desk.register.of_identity(whose, identity[:100])
        if found is None:
            raise desk.refusal("no_link", whose)
        return _body(found)

    @router.put(one, **_CALLED, operation_id="confirm_link")
    async def confirm(request: Request, insee: Insee, identity: Identity) -> LinkBody:
        """Confirm a link, once its answer has come in the session that asked: the call's JWT names
        that request (`in_response_to`). It takes the place of the citizen's former one."""
        call = await proven(request, insee)
        return _body(await desk.confirm(call, identity[:100]))

    @router.delete(one, status_code=204, **_CALLED, operation_id="end_link")
    async def end(request: Request, insee: Insee, identity: Identity) -> Response:
        """End a link, or refuse one that was not confirmed. That there is none is well, too."""
        await desk.unlink((await proven(request, insee)).commune, identity[:100])
        return Response(status_code=204)

    @router.post("/backchannel-logout", include_in_schema=False)
    async def logged_out(request: Request) -> Response:
        headers = {"Cache-Control": "no-store"}
        try:
            with web.unproven.lease() as lease:
                body = await read_body(request, _LONGEST_FORM, lease)
            form = dict(parse_qsl(body.decode("latin-1"), max_num_fields=10))
            await desk.logged_out(form.get("logout_token", ""))
        except (Rejected, ValueError) as refusal:
            exchange_of(request.scope).code = getattr(refusal, "code", "bad_logout")
            status = 503 if getattr(refusal, "status", 400) == 503 else 400
            return JSONResponse({"error": "invalid_request"}, status, headers)
        exchange_of(request.scope).proven = True
        return Response(status_code=200, headers=headers)

    return router


def _body(link: AccountLink) -> LinkBody:
    return LinkBody(**{name: link.document()[name] for name in LinkBody.model_fields})
