"""The proofs of half-connectors: a token for a client's secret, and the links that we gave them.

A token is opaque to whoever holds it: the client's name and an end, under a key made of the
client's own secret. So every replica knows it, nothing of it is kept, and taking a secret out of
the configuration ends its tokens and links.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, unquote

from starlette.requests import Request

from gateway.catalogue.catalogue import Gru
from gateway.flow.pivot import PivotDesk, PivotRefusal, left
from gateway.sdk.links import FileLinks, link_signatures
from gateway.sdk.pivot import PivotClient
from gateway.web.body import read_body
from gateway.web.room import Lease

#: A token is good for so many seconds.
TOKEN_LIFE = 3600
_LONGEST_FORM = 4096
#: Stands for the secret of a client that does not exist, so that both take the same time.
_NOBODY = ("personne-n-a-ce-secret-la",)


@dataclass(frozen=True, slots=True)
class TokenRefusal(Exception):
    """A token that is not given: RFC 6749, 5.2."""

    status: int
    error: str


def client_of(desk: PivotDesk, request: Request, now: datetime) -> tuple[Gru, PivotClient]:
    """Return the half-connector that a call's token proves. Raises PivotRefusal 401; 410 for one
    whose commune has left, which proves nothing any more and is told nothing else."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    name, until = _read(token.strip())
    if desk.has_left(name):
        raise left()
    found = desk.client(name)
    secrets = _NOBODY if found is None else found[1].secrets
    good = _is_one(token.strip(), [make_token(one, name, until) for one in secrets])
    if not good or found is None or kind.lower() != "bearer" or now.timestamp() >= until:
        raise PivotRefusal(401, "bad_token", "Ce jeton ne prouve rien, ou n'est plus valable.")
    return found


async def give_token(
    desk: PivotDesk, request: Request, lease: Lease, now: datetime
) -> tuple[PivotClient, str]:
    """Return who asks, and a token for its secret (RFC 6749, 4.4). Raises TokenRefusal."""
    form = dict(parse_qsl((await read_body(request, _LONGEST_FORM, lease)).decode("latin-1")))
    name, secret = _credentials(request, form)
    found = desk.client(name)
    secrets = _NOBODY if found is None else found[1].secrets
    if not _is_one(secret, secrets) or found is None:
        raise TokenRefusal(401, "invalid_client")
    if form.get("grant_type") != "client_credentials":
        raise TokenRefusal(400, "unsupported_grant_type")
    return found[1], make_token(secret, name, int(now.timestamp()) + TOKEN_LIFE)


def linked(
    desk: PivotDesk, request: Request, reference: str, sha256: str, now: datetime
) -> tuple[Gru, FileLinks]:
    """Return the GRU that a link to a file was given. Raises PivotRefusal 403."""
    query = request.query_params
    name, until = query.get("client", ""), _number(query.get("expires", ""))
    found = desk.links(name)
    given = None if found is None else found[1]
    wanted = link_signatures(given, name, reference, sha256, until)
    good = _is_one(query.get("signature", ""), wanted)
    if not good or found is None or now.timestamp() >= until:
        raise PivotRefusal(403, "bad_link", "Ce lien a été altéré, ou n'est plus valable.")
    return found


def make_token(secret: str, name: str, until: int) -> str:
    """Return the token of a client that is good until then."""
    said = f"{name}|{until}".encode()
    proof = hmac.digest(secret.encode(), b"pivot token\0" + said, "sha256")
    return f"{_packed(said)}.{_packed(proof)}"


def _is_one(told: str, wanted: Sequence[str]) -> bool:
    """Is it one of these? That is told in the same time, whichever it is."""
    found = False
    for one in wanted:
        found = hmac.compare_digest(told.encode("utf-8", "replace"), one.encode()) or found
    return found


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    kind, _, packed = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        told = base64.b64decode(packed.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    name, _, secret = told.partition(":")
    return unquote(name), unquote(secret)


def _read(token: str) -> tuple[str, int]:
    """Return what a token says of itself, proven or not."""
    try:
        said = base64.urlsafe_b64decode(token.partition(".")[0] + "==").decode()
    except (binascii.Error, ValueError):
        return "", 0
    name, _, until = said.partition("|")
    return name, _number(until)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
