"""GrandLyon Connect: its part of `gateway.yaml`, and the value that the watch takes."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gateway.catalogue.catalogue import Glc, GlcAuth
from gateway.catalogue.network import TIMEOUT, NetworkEntry, NetworkReader, without_tls
from gateway.catalogue.openid import OpenIdEntry
from gateway.catalogue.scalars import Address, Identifier, JmesPath, MomentForm, StrictModel, Text
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.account import normal_account
from gateway.core.erasure import Brake
from gateway.core.errors import Fault
from gateway.sdk.duration import Duration
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secret, Secrets
from gateway.wire.deletions import DeletionsShape
from gateway.wire.security_events import ACCOUNT_PURGED, EventShape

#: Those of `signed_tokens.ASYMMETRIC`.
EventAlgorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384"]


class GlcAuthEntry(StrictModel):
    """One of: username and password (HTTP Basic), orig and key (Publik signature), token_url,
    client_id and client_secret (OAuth2 client credentials; scope may be left out). Of two secrets,
    [env:NEW, env:OLD], the first is used."""

    username: Identifier | None = None
    password: Secrets | None = None
    orig: Identifier | None = None
    key: Secrets | None = None
    token_url: Address | None = None
    client_id: Text | None = None
    client_secret: Secrets | None = None
    scope: Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        named = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if named - {"scope"} == {"token_url", "client_id", "client_secret"}:
            return self
        if named not in ({"username", "password"}, {"orig", "key"}):
            raise refuse(say("glc_ways"))
        return self


class BrakeEntry(StrictModel):
    ratio: float = Field(
        0.05, gt=0, le=1, description="Share of the known accounts; above it two people decide."
    )
    count: int = Field(
        20, ge=0, description="Accounts, those of the last 24 hours included; above it the same."
    )

    def brake(self) -> Brake:
        return Brake(**dict(self))


def _path(text: str, description: str) -> Any:
    """Declare a JMESPath, with a compiled default."""
    return Field(text, description=description, validate_default=True)


# Its keys are the fields of DeletionsShape.
class DeletionsEntry(StrictModel):
    """The shape of the API that lists deleted accounts; expressions are JMESPath."""

    path: Text = Field("/api/deletions/", pattern="^/", description="Below base_url.")
    params: dict[Text, Text] = Field(
        default_factory=lambda: {"limit": "100"}, description="Query parameters of every call."
    )
    items: JmesPath = _path("results", "The accounts within a page.")
    uuid: JmesPath = _path("uuid", "The account's uuid within an item.")
    deleted_at: JmesPath | None = _path(
        "deleted_at", "The date within an item; null: none is told."
    )
    dates: MomentForm = Field(
        "iso",
        description="How dates are written, since_param's too: iso, epoch (seconds), epoch_ms, or"
        " a strptime pattern such as %d/%m/%Y %H:%M:%S. Without an offset they are Paris time.",
    )
    next: JmesPath | None = _path("next", "What leads to the next page; null: there is only one.")
    next_param: Text | None = Field(
        None, description="Query parameter that takes `next`; null: `next` is an address."
    )
    since_param: Text | None = Field(
        None, description="Query parameter that takes the date to begin from; null: none does."
    )

    @model_validator(mode="after")
    def _dated(self) -> Self:
        if self.since_param is not None and self.deleted_at is None:
            raise refuse(say("since_param"))
        return self

    def shape(self) -> DeletionsShape:
        """Return the list's shape."""
        return DeletionsShape(**dict(self))


class EventsEntry(StrictModel):
    """Security event tokens (RFC 8417) that GLC, or another provider, pushes to
    `public_url`/glc/events (RFC 8935)."""

    issuer: Text = Field(description="Its `iss`, to the letter: often an address that ends in /.")
    audience: Text | tuple[Text, ...] = Field(
        description="Our name in its `aud`; several: any of them."
    )
    jwks_url: Address = Field(description="Where its public keys are.")
    algorithms: tuple[EventAlgorithm, ...] = Field(
        ("RS256", "PS256", "ES256"), min_length=1, description="By which it may sign."
    )
    types: tuple[Text, ...] = Field(
        (ACCOUNT_PURGED,),
        min_length=1,
        description="Events that say that an account is gone for good; others are passed over.",
    )
    subject: JmesPath | None = Field(
        None,
        description="The account within the claims, with the event itself as `event`; null: where"
        " RFC 9493 and the drafts before it have it.",
    )
    typed: bool = Field(
        True, description="The token must call itself secevent+jwt; false for older providers."
    )
    max_age: Duration = Field(7 * 86400.0, description="An older token is refused.")
    secret: Secret | None = Field(
        None, description="What it sends as `Authorization: Bearer`, besides its signature."
    )

    def shape(self) -> EventShape:
        """Return what is taken."""
        told = (self.audience,) if isinstance(self.audience, str) else self.audience
        return EventShape(
            issuer=self.issuer,
            audiences=frozenset(told),
            jwks_url=self.jwks_url,
            algorithms=tuple(self.algorithms),
            types=frozenset(self.types),
            subject=self.subject,
            typed=self.typed,
            max_age=self.max_age,
        )


class GlcEntry(StrictModel):
    """GrandLyon Connect: whose accounts are deleted there is erased here and at the communes."""

    base_url: Address
    source: Literal["deletions", "synchronization"] = Field(
        "deletions",
        description="deletions: an API that lists them; synchronization: Authentic is asked which"
        " of the accounts that we know it knows no more.",
    )
    auth: GlcAuthEntry
    poll: Duration = Field(3600.0, description="How often it is asked.")
    timeout: Duration = Field(TIMEOUT, description="Of one call, as a whole.")
    network: NetworkEntry = NetworkEntry()
    canary: Identifier | None = Field(
        None,
        description="uuid of an account that must exist: if it is told to be gone, no"
        " answer is believed. Needed by synchronization.",
    )
    brake: BrakeEntry = BrakeEntry()
    confirm_after: Duration = Field(
        6 * 3600.0,
        description="An account must be found unknown twice, at least so long apart.",
    )
    deadline: Duration = Field(30 * 86400.0, description="Time for the communes to erase.")
    deletions: DeletionsEntry = DeletionsEntry()
    openid: OpenIdEntry | None = Field(
        None, description="Where citizens sign in to link accounts; null: accounts are not linked."
    )
    events: EventsEntry | None = Field(
        None, description="Deletions that it tells by itself, besides `source`; null: none."
    )

    @model_validator(mode="after")
    def _witness(self) -> Self:
        if self.source == "synchronization" and self.canary is None:
            raise refuse(say("canary_needed"))
        return self


def read_glc(
    entry: GlcEntry, located: LocatedData, networks: NetworkReader, warnings: list[Fault]
) -> Glc:
    """Read the entry as the watch takes it."""
    if without_tls(entry.base_url):
        warnings.append(located.fault(("glc", "base_url"), say("glc_no_tls")))
    if entry.canary is None:
        warnings.append(located.fault(("glc",), say("no_canary")))
    return Glc(
        base_url=entry.base_url,
        source=entry.source,
        auth=_auth(entry.auth),
        poll=entry.poll,
        timeout=entry.timeout,
        canary=None if entry.canary is None else normal_account(entry.canary),
        brake=entry.brake.brake(),
        confirm_after=entry.confirm_after,
        deadline=entry.deadline,
        deletions=entry.deletions.shape(),
        events=None if entry.events is None else entry.events.shape(),
        event_secret=None if entry.events is None else entry.events.secret,
        network=networks.read(
            entry.network,
            located,
            ("glc", "network"),
            [
                entry.base_url,
                entry.auth.token_url or "",
                "" if entry.openid is None else entry.openid.issuer,
                "" if entry.events is None else entry.events.jwks_url,
            ],
        ),
        openid=None if entry.openid is None else entry.openid.client(located, networks.faults),
    )


def _auth(entry: GlcAuthEntry) -> GlcAuth:
    for kind, name, secrets in (
        ("basic", entry.username, entry.password),
        ("signature", entry.orig, entry.key),
        ("oauth2", entry.client_id, entry.client_secret),
    ):
        if name is not None and secrets is not None:
            return GlcAuth(kind, name, secrets[0], entry.token_url, entry.scope)
    raise AssertionError("the entry proves itself in one way")
