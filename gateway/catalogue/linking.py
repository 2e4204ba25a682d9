"""Linking of accounts: its part of a commune's file."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from gateway.catalogue.catalogue import CommuneLinking
from gateway.catalogue.logo import Logo
from gateway.catalogue.network import without_tls
from gateway.catalogue.patterns import CLAIM
from gateway.catalogue.scalars import StrictModel, Text, address_parts
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.errors import Fault
from gateway.core.linking import SHORTEST_KEY
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secrets


def _return(value: str) -> str:
    address_parts(value)
    if "#" in value or len(value) > 800:
        raise refuse(say("return_rest"))
    return value


ReturnAddress = Annotated[str, AfterValidator(_return)]
ClaimName = Annotated[str, Field(pattern=CLAIM)]


class LinkingEntry(StrictModel):
    """Accounts of the commune's own portal, linked with accounts at GrandLyon Connect.

    Needs `glc.openid` in gateway.yaml."""

    key: Secrets = Field(
        description="Secret that the commune's portal shares with us, of at least 32 characters: it"
        " signs requests and calls, we sign answers by the first; two while it is replaced."
    )
    portal: Text = Field(description="The portal's name, as citizens know it.")
    returns: tuple[ReturnAddress, ...] = Field(
        min_length=1,
        max_length=20,
        description="Addresses of the portal to which a citizen may go back, to the letter.",
    )
    claims: tuple[ClaimName, ...] = Field(
        (),
        max_length=20,
        description="What GLC tells of the citizen that the portal is given, as given_name; the"
        " citizen sees it before agreeing.",
    )
    logo: Logo | None = Field(None, description="The commune's logo: an SVG file in config/files/.")


def read_linking(
    entry: LinkingEntry,
    located: LocatedData,
    production: bool,
    faults: list[Fault],
    warnings: list[Fault],
) -> CommuneLinking:
    """Return the settings of a commune's links."""
    if any(len(key.get_secret_value().encode()) < SHORTEST_KEY for key in entry.key):
        said = say("short_link_key", least=SHORTEST_KEY)
        faults.append(located.fault(("linking", "key"), said))
    for n, address in enumerate(entry.returns):
        if production and without_tls(address):
            warnings.append(located.fault(("linking", "returns", n), say("return_no_tls")))
    return CommuneLinking(
        keys=entry.key,
        portal=entry.portal,
        returns=frozenset(entry.returns),
        claims=entry.claims,
        logo=None if entry.logo is None else entry.logo.text,
    )
