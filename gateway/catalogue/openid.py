"""GrandLyon Connect as OpenID provider: its part of `glc` in `gateway.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from gateway.catalogue.logo import Logo
from gateway.catalogue.network import without_tls
from gateway.catalogue.scalars import StrictModel, Text, address_parts
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.errors import Fault
from gateway.core.linking import SHORTEST_KEY
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secrets, WholeSecret
from gateway.wire.oidc_client import OpenIdClient, OpenIdClientAuth

OpenIdAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]


def unfit_for_pages(public_url: str, located: LocatedData) -> list[Fault]:
    """List what keeps citizens' pages from working at our own address: their cookies are for TLS,
    and their links begin at its root."""
    found = []
    if without_tls(public_url):
        found.append(located.fault(("public_url",), say("pages_no_tls")))
    if urlsplit(public_url).path.strip("/"):
        found.append(located.fault(("public_url",), say("pages_path")))
    return found


def issuer_address(value: str) -> str:
    """Refuse an address that is no issuer's."""
    address_parts(value)
    if "?" in value or "#" in value or without_tls(value):
        raise refuse(say("bad_issuer"))
    return value


class OpenIdEntry(StrictModel):
    """We are registered there as a relying party, with the redirect address
    PUBLIC_URL/lien/retour."""

    issuer: Annotated[str, AfterValidator(issuer_address)] = Field(
        description="To the letter as the provider says it, a final slash included."
    )
    client_id: Text
    client_secret: Secrets | None = Field(None, description="Of two, the first is used.")
    private_key: WholeSecret | None = Field(
        None, description="PEM of an RSA or EC key, instead of a secret (private_key_jwt)."
    )
    client_auth: OpenIdClientAuth | None = Field(
        None, description="null: client_secret_basic, or private_key_jwt with a private key."
    )
    scopes: tuple[Text, ...] = Field(
        ("openid", "profile"),
        max_length=20,
        description="profile, so that the citizen sees with which account they have signed in.",
    )
    account_claim: Text = Field(
        "sub",
        description="The claim that names the account as the portal's formdata do (NameID). Under a"
        " pairwise policy `sub` is another: have a claim made for it.",
    )
    acr_values: tuple[Text, ...] = Field(
        (), max_length=10, description="Levels of authentication to ask for, the preferred first."
    )
    algorithms: tuple[OpenIdAlgorithm, ...] = Field(
        ("RS256", "PS256", "ES256"), min_length=1, description="Of tokens; others are refused."
    )
    link_key: WholeSecret = Field(
        description="Key of links, of at least 32 characters: what communes know citizens by is"
        " made with it. It may never change."
    )
    logo: Logo | None = Field(
        None,
        description="Its logo beside the commune's, as its charter asks: an SVG file in"
        " config/files/. null: its name alone.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.client_secret is None) == (self.private_key is None):
            raise refuse(say("openid_ways"))
        by_key = self.private_key is not None
        if self.client_auth is not None and (self.client_auth == "private_key_jwt") != by_key:
            raise refuse(say("openid_ways"))
        if "openid" not in self.scopes:
            raise refuse(say("no_openid_scope"))
        return self

    def client(self, located: LocatedData, faults: list[Fault]) -> OpenIdClient:
        """Return our registration."""
        if len(self.link_key.get_secret_value().encode()) < SHORTEST_KEY:
            said = say("short_link_key", least=SHORTEST_KEY)
            faults.append(located.fault(("glc", "openid", "link_key"), said))
        shared = None if self.client_secret is None else self.client_secret[0]
        secret = shared or self.private_key
        if secret is None:
            raise AssertionError("the entry proves itself in one way")
        default: OpenIdClientAuth = (
            "client_secret_basic" if self.private_key is None else "private_key_jwt"
        )
        return OpenIdClient(
            issuer=self.issuer,
            client_id=self.client_id,
            secret=secret,
            link_key=self.link_key,
            client_auth=self.client_auth or default,
            scopes=self.scopes,
            algorithms=self.algorithms,
            acr_values=self.acr_values,
            account_claim=self.account_claim,
            logo=None if self.logo is None else self.logo.text,
        )
