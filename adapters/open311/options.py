"""The options of an Open311 server, as an integrator sets them in a commune's file."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from adapters.open311.texts import say
from gateway.sdk import BaseAddress, Duration, EventKind, Html, Options, Secret, refuse

Text = Annotated[str, Field(min_length=1)]


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error:
        raise refuse(say("no_pattern")) from None
    return text


def _link(text: str) -> str:
    if text.count("{id}") != 1:
        raise refuse(say("link_id"))
    return text


class PagingParameters(Options):
    """Names of the paging parameters, which v2 does not standardise (`page`, `page_size`)."""

    page: Text = "page"
    size: Text = "page_size"
    rows: int = Field(100, ge=1, le=1000)
    first: int = Field(1, ge=0, le=1)


class TokenPoll(Options):
    """The polls for a creation's number when the server answers with a token."""

    tries: int = Field(3, ge=1, le=10)
    wait_s: float = Field(1.0, ge=0, le=10)


class Updates(Options):
    """mySociety's updates. `updates: {}` in a commune's file turns them on.

    `duplicates` says what the server does with a repeated `update_id`: `deduplicated` (drops it, as
    the proposal says), `echo` (gives our id back in its list of updates, so that it can be
    searched), `none` (neither: a person decides after a lost reply).
    """

    send: bool = True
    read: bool = True
    duplicates: Literal["deduplicated", "echo", "none"] = "deduplicated"
    overlap_s: int = Field(3600, ge=0, le=7 * 86400)
    window_days: int = Field(30, ge=1, le=89)
    statuses: dict[EventKind, Text] = Field(
        default_factory=lambda: {EventKind.CANCELLATION: "CLOSED"},
        description="Status sent with each kind of event when the mapping gives none; else OPEN.",
    )


class Open311Options(Options):
    """One Open311 server of one commune."""

    endpoint: BaseAddress = Field(
        description="Address under which /services.xml answers, without the trailing slash."
    )
    api_key: Secret = Field(min_length=1)
    key_on_reads: bool = Field(
        False, description="Send api_key on reads too. It then stands in URLs: avoid."
    )
    jurisdiction_id: Text | None = None
    format: Literal["xml", "json"] = "xml"
    service_codes: tuple[Text, ...] = Field((), description="Codes that `check` looks for.")
    blackbox: tuple[Text, ...] = Field(
        (), description="Service codes that give neither a number nor a token, ever."
    )
    link: Annotated[str, AfterValidator(_link)] | None = Field(
        None, description="Public address of a request, with {id}."
    )

    media: Literal["none", "multipart", "url"] = "none"
    description_max: int = Field(4000, ge=100, le=4000)
    too_long: Literal["refuse", "cut"] = "refuse"
    temporary_400: tuple[Annotated[str, AfterValidator(_pattern)], ...] = Field(
        (
            r"\b(crm|back[ -]?end|back[ -]?office)\b.*\b(down|unreachable|error)\b",
            r"\b(temporar|unavailable|try again|time[d ]*out|maintenance)",
            r"\b(indisponible|réessay|panne)",
        ),
        description="A 400 whose description matches one of these is tried again (no case).",
    )

    lists: Literal["brackets", "repeated"] = Field(
        "brackets",
        description="How an attribute with several values goes: attribute[CODE][], as GeoReport has"
        " it, or attribute[CODE] again and again, as mySociety's server takes it.",
    )
    reference_attribute: Text | None = Field(
        "toodego_ref", description="Attribute that carries our reference; null sends none."
    )
    find: Literal["by_attribute", "by_text", "none"] = Field(
        "none",
        description="by_attribute: the server gives attributes back (extensions=true). by_text: it"
        " gives the description back, at the end of which our reference then stands.",
    )
    find_window_days: int = Field(30, ge=1, le=89)
    find_settle: Annotated[Duration, Field(le=86_400)] = Field(
        0.0, description="A new request may show so much later in the server's list."
    )
    paging: PagingParameters | None = None
    max_pages: int = Field(50, ge=1, le=1000)

    poll: Literal["ids", "window", "none"] = Field(
        "ids", description="window: the server knows updated_after (v2.1 draft)."
    )
    poll_batch: int = Field(50, ge=1, le=500)
    poll_overlap_s: int = Field(600, ge=0, le=86400)
    public_notes: bool = Field(
        False, description="The server's notes and updates may be shown to the citizen."
    )
    html: Html = Field(
        "auto", description="Whether notes are HTML is told by the text itself, or said here."
    )
    hosts: tuple[Annotated[str, Field(pattern=r"^https?://[^/\s?#@]+/?$")], ...] = Field(
        (), description="Hosts that files of updates may be fetched from, beside the server's own."
    )
    media_max_mb: float = Field(20, gt=0, le=50)
    max_answer: int = Field(5_000_000, ge=1000, le=50_000_000)
    token: TokenPoll = TokenPoll()
    updates: Updates | None = None

    @model_validator(mode="after")
    def _fits(self) -> Open311Options:
        if self.find == "by_attribute" and self.reference_attribute is None:
            raise refuse(say("needs_attribute"))
        return self


__all__ = ["Open311Options", "PagingParameters", "TokenPoll", "Updates"]
