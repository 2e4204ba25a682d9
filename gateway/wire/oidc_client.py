"""Our registration at an OpenID provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

#: The way in which we prove ourselves at the token endpoint.
OpenIdClientAuth = Literal["client_secret_basic", "client_secret_post", "private_key_jwt"]


@dataclass(frozen=True, slots=True)
class OpenIdClient:
    """Our registration at a provider.

    `secret` is the client secret, or the private key (PEM) of `private_key_jwt`. `account_claim`
    names the claim that holds the account as the portal's formdata name it. `link_key` is the key
    of links (`gateway.core.linking`), empty where nothing is linked. `logo` is the provider's, an
    SVG, for our pages.
    """

    issuer: str
    client_id: str
    secret: SecretStr
    link_key: SecretStr = field(default_factory=lambda: SecretStr(""))
    client_auth: OpenIdClientAuth = "client_secret_basic"
    scopes: tuple[str, ...] = ("openid", "profile")
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256")
    acr_values: tuple[str, ...] = ()
    account_claim: str = "sub"
    logo: str | None = None
