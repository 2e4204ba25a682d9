"""The options of a commune's w.c.s., as an integrator sets them in the commune's file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from adapters.publik.texts import say
from gateway.sdk import BaseAddress, Duration, EventKind, Options, Secret, Secrets, refuse

#: The name of a field, status, hook or form, as w.c.s. writes it in addresses.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}$")]


class PublikOptions(Options):
    """One form of one w.c.s."""

    endpoint: BaseAddress = Field(description="Address of the site, under which /api/ answers.")
    identifier: str = Field(min_length=1, description="Identifier of our API access (`orig`).")
    key: Secret = Field(min_length=8, description="Its key: signature key, or password.")
    auth: Literal["signature", "basic"] = "signature"
    form: Name = Field(description="Identifier of the form, as in its address.")

    reference_field: Name = Field(
        "reference_toodego", description="Field that carries our reference, by which it is found."
    )
    find_settle: Annotated[Duration, Field(le=86_400)] = Field(
        180.0, description="How long w.c.s. may still work on a creation whose answer was lost."
    )
    file_fields: tuple[Name, ...] = Field(
        (), description="Fields of the type file that take the citizen's files, in this order."
    )

    hooks: dict[EventKind, Name] = Field(
        default_factory=dict,
        description="Global action with an external call for each kind of later event.",
    )
    done_field: Name | None = Field(
        None,
        description="Backoffice field in which the last action of these notes `evenement`.",
    )
    erase_hook: Name | None = Field(
        None, description="Global action that anonymises or deletes the request."
    )

    poll: bool = True
    batch: int = Field(100, ge=1, le=500, description="Requests in one page of a list.")
    hidden_statuses: tuple[Name, ...] = Field(
        (), description="Identifiers of the statuses that no citizen is told of."
    )
    public_comments: tuple[Name, ...] = Field(
        (), description="Identifiers of the comment boxes whose text is for the citizen."
    )
    public_messages: bool = Field(
        False, description="Messages and files of the history meant for everybody are for him, too."
    )
    webhook_key: Secrets | None = Field(
        None, description="Signature key of the webservice calls that w.c.s. makes to us."
    )
    max_answer: int = Field(
        20_000_000, ge=10_000, le=100_000_000, description="Bytes of one answer, files included."
    )

    @model_validator(mode="after")
    def _fits(self) -> PublikOptions:
        if EventKind.CREATION in self.hooks:
            raise refuse(say("creation_hook"))
        return self

    @field_validator("webhook_key")
    @classmethod
    def _long(cls, keys: Secrets | None) -> Secrets | None:
        if any(len(one.get_secret_value()) < 8 for one in keys or ()):
            raise refuse(say("short_key"))
        return keys


__all__ = ["PublikOptions"]
