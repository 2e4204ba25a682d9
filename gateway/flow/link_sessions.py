"""The request of a portal to link accounts, and the session in which that is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.catalogue.catalogue import CommuneLinking
from gateway.core.request import Json
from gateway.wire.link_tokens import LinkTokenFault, VerifiedToken

#: Characters of what a portal tells: the account's name there, its state, a label for people.
_ACCOUNT, _STATE, _LABEL, _RETURN = 200, 300, 80, 800


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """The request of a commune's portal, verified. `id` is its own (`jti`)."""

    commune: str
    account: str
    return_to: str
    id: str
    state: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class LinkSession:
    """A citizen who has signed in. Without a `request` they look at their links alone."""

    mark: str
    token: str = field(repr=False)
    account: str = field(repr=False)
    subject: str = field(repr=False)
    shown_as: str = field(repr=False)
    id_token: str = field(repr=False)
    acr: str | None
    claims: Mapping[str, Json] = field(repr=False)
    request: LinkRequest | None


def read_request(insee: str, linking: CommuneLinking, verified: VerifiedToken) -> LinkRequest:
    """Read the verified request of a commune's portal. Raises LinkTokenFault."""
    told = verified.claims
    account = one_line(told.get("account"), _ACCOUNT)
    state = one_line(told.get("state", ""), _STATE)
    label = one_line(told.get("label", ""), _LABEL)
    return_to = one_line(told.get("return_to"), _RETURN)
    # An address would be a name of a person, in an address bar and in logs.
    if not account or "@" in account or state is None or label is None or not return_to:
        raise LinkTokenFault("bad_claims")
    if return_to not in linking.returns:
        raise LinkTokenFault("foreign_return")
    return LinkRequest(insee, account, return_to, verified.id, state, label)


def one_line(value: object, longest: int) -> str | None:
    """Return a text of one line; None for anything else."""
    fits = isinstance(value, str) and len(value) <= longest and value.isprintable()
    return str(value) if fits else None


def size_of(claims: Mapping[str, Json]) -> int:
    return len(json.dumps(dict(claims)))


def shown_as(claims: Mapping[str, Any]) -> str:
    """Return the name by which the citizen knows the account that they signed in with."""
    whole = " ".join(str(claims.get(name) or "") for name in ("given_name", "family_name"))
    for shown in (claims.get("name"), whole, claims.get("preferred_username"), claims.get("email")):
        told = one_line(shown, 200)
        if told is not None and told.strip():
            return told.strip()
    return ""
