"""Opens the desk of account linking, with its own way to the provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.catalogue.catalogue import Glc
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.far_ends import FarEnds, Transport
from gateway.flow.links import LinkRegister
from gateway.flow.observer import Observer
from gateway.wire.clients import open_client

if TYPE_CHECKING:
    from gateway.flow.linking import LinkDesk
    from gateway.wire.oidc import OpenIdProvider

#: The name of GLC among the far ends, as OpenID provider.
OPENID: Final = "openid"
#: Calls to it at once.
_CONNECTIONS = 4


@asynccontextmanager
async def open_linking(
    register: LinkRegister | None,
    far_ends: FarEnds,
    environment: Environment,
    erased: AccountHasher,
    observer: Observer,
    transport: Transport,
) -> AsyncIterator[LinkDesk | None]:
    """Open the desk, and close its connections at the end; None where accounts are not linked."""
    glc = far_ends.catalogue.settings.glc
    if register is None or glc is None:
        yield None
        return
    # They take a while to load, and few need them.
    from gateway.flow.linking import LinkDesk

    async with open_provider(far_ends, glc, environment, transport) as provider:
        yield LinkDesk(far_ends, provider, register, environment, erased, observer)


@asynccontextmanager
async def open_provider(
    far_ends: FarEnds, glc: Glc, environment: Environment, transport: Transport
) -> AsyncIterator[OpenIdProvider]:
    """Open our way to GLC as OpenID provider, and close it at the end."""
    from gateway.wire.oidc import OpenIdProvider

    client = open_client(
        timeout=glc.timeout,
        connections=_CONNECTIONS,
        transport=transport(OPENID),
        shared=far_ends.shared,
        far_end=OPENID,
        network=glc.network,
        served=partial(far_ends.served.__setitem__, OPENID),
    )
    try:
        yield OpenIdProvider(client, environment.now)
    finally:
        await client.aclose()
