"""The console: its part of `gateway.yaml`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gateway.catalogue.catalogue import (
    ClaimGrant,
    ConsoleOpenId,
    ConsoleProgram,
    ConsoleSettings,
)
from gateway.catalogue.network import TIMEOUT, NetworkEntry, NetworkReader
from gateway.catalogue.openid import OpenIdAlgorithm, issuer_address, unfit_for_pages
from gateway.catalogue.patterns import CLAIM
from gateway.catalogue.scalars import Insee, Name, StrictModel, Text
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.console import ConsoleRole, granted
from gateway.core.errors import Fault
from gateway.sdk.duration import Duration
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secrets, WholeSecret
from gateway.wire.oidc_client import OpenIdClient, OpenIdClientAuth

#: Characters of a token of ours at least.
_SHORTEST: Final = 32


class _GrantEntry(StrictModel):
    role: ConsoleRole = Field(
        description="operator: acts for all communes. agent: acts for those of `communes`. auditor:"
        " reads all, or those of `communes`."
    )
    communes: tuple[Insee, ...] = Field((), max_length=100, description="INSEE codes, in quotes.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.role is ConsoleRole.AGENT) != bool(
            self.communes
        ) and self.role is not ConsoleRole.AUDITOR:
            raise refuse(say("console_communes"))
        return self


class ConsoleRoleEntry(_GrantEntry):
    """The people whose claim has this value, or has it among others."""

    claim: Annotated[str, Field(pattern=CLAIM)] = Field(
        description="As groups, or email, which counts where email_verified is told."
    )
    value: Text


class ConsoleTokenEntry(_GrantEntry):
    """A program that reads or acts by /api/v1, with `Authorization: Bearer`."""

    name: Name
    token: Secrets = Field(
        description="Of at least 32 characters; two while it is replaced: either is taken."
    )


class ConsoleOpenIdEntry(StrictModel):
    """The provider where people of the console sign in. We are registered there with the redirect
    address PUBLIC_URL/console/retour."""

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
    scopes: tuple[Text, ...] = Field(("openid", "profile", "email"), max_length=20)
    acr_values: tuple[Text, ...] = Field((), max_length=10)
    algorithms: tuple[OpenIdAlgorithm, ...] = Field(("RS256", "PS256", "ES256"), min_length=1)
    label: Text = Field("Se connecter avec le compte de la Métropole", description="Of its button.")
    timeout: Duration = Field(TIMEOUT, description="Of one call, as a whole.")
    network: NetworkEntry = NetworkEntry()
    roles: tuple[ConsoleRoleEntry, ...] = Field(
        min_length=1,
        max_length=500,
        description="Who may do what. Of several that fit the strongest counts; nobody else gets"
        " in.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_key = self.private_key is not None
        twice = (self.client_secret is None) == (self.private_key is None)
        if twice or (
            self.client_auth is not None and (self.client_auth == "private_key_jwt") != by_key
        ):
            raise refuse(say("openid_ways"))
        if "openid" not in self.scopes:
            raise refuse(say("no_openid_scope"))
        return self


class ConsoleEntry(StrictModel):
    """Pages at PUBLIC_URL/console, and the same for programs at PUBLIC_URL/api/v1."""

    idle: Duration = Field(
        1800.0, ge=60, le=86400, description="A session ends when nobody acts for so long."
    )
    longest: Duration = Field(10 * 3600.0, ge=600, le=7 * 86400, description="A session's end.")
    accounts: bool = Field(
        True, description="Local accounts, of `gru-gateway console user`, may sign in."
    )
    forwarded: bool = Field(
        False,
        description="Our own proxy sets X-Forwarded-For: its last address is noted with what people"
        " do.",
    )
    contact: Text | None = Field(
        None,
        description="Address or telephone for whoever cannot use a page, shown on the declaration"
        " of accessibility.",
    )
    openid: ConsoleOpenIdEntry | None = Field(None, description="null: local accounts alone.")
    tokens: tuple[ConsoleTokenEntry, ...] = Field(
        (), max_length=100, description="Beside those of `gru-gateway console token`."
    )


def read_console(
    entry: ConsoleEntry, public_url: str, located: LocatedData, networks: NetworkReader
) -> ConsoleSettings:
    """Return the settings of the console."""
    faults: list[Fault] = networks.faults
    faults += unfit_for_pages(public_url, located)
    if entry.longest < entry.idle:
        faults.append(located.fault(("console", "longest"), say("console_times")))
    if not entry.accounts and entry.openid is None:
        faults.append(located.fault(("console", "accounts"), say("console_no_way_in")))
    names: dict[str, int] = {}
    for n, one in enumerate(entry.tokens):
        here = ("console", "tokens", n)
        if names.setdefault(one.name, n) != n:
            faults.append(located.fault((*here, "name"), say("console_token_twice", name=one.name)))
        if any(_is_short(secret) for secret in one.token):
            said = say("console_token_short", least=_SHORTEST)
            faults.append(located.fault((*here, "token"), said))
    return ConsoleSettings(
        idle=timedelta(seconds=entry.idle),
        longest=timedelta(seconds=entry.longest),
        accounts=entry.accounts,
        contact=entry.contact,
        forwarded=entry.forwarded,
        openid=None if entry.openid is None else _openid(entry.openid, located, networks),
        programs=tuple(
            ConsoleProgram(one.name, one.token, granted(one.role, one.communes))
            for one in entry.tokens
        ),
    )


def _is_short(secret: SecretStr) -> bool:
    # A secret that is not read here is empty: what is checked is the file alone.
    value = secret.get_secret_value()
    return 0 < len(value) < _SHORTEST


def _openid(
    entry: ConsoleOpenIdEntry, located: LocatedData, networks: NetworkReader
) -> ConsoleOpenId:
    shared = None if entry.client_secret is None else entry.client_secret[0]
    secret = shared or entry.private_key
    if secret is None:
        raise AssertionError("the entry proves itself in one way")
    default: OpenIdClientAuth = (
        "client_secret_basic" if entry.private_key is None else "private_key_jwt"
    )
    here = ("console", "openid", "network")
    return ConsoleOpenId(
        client=OpenIdClient(
            issuer=entry.issuer,
            client_id=entry.client_id,
            secret=secret,
            client_auth=entry.client_auth or default,
            scopes=entry.scopes,
            algorithms=entry.algorithms,
            acr_values=entry.acr_values,
        ),
        label=entry.label,
        timeout=entry.timeout,
        network=networks.read(entry.network, located, here, [entry.issuer]),
        roles=tuple(
            ClaimGrant(one.claim, one.value, granted(one.role, one.communes)) for one in entry.roles
        ),
    )


__all__ = ["ConsoleEntry", "read_console"]
