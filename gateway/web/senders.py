"""The sender of a portal's call, proven by signature or HTTP Basic before the body is read."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from datetime import datetime

from starlette.requests import Request

from gateway.catalogue.catalogue import Catalogue
from gateway.core.errors import Rejected
from gateway.flow.intake import Sender
from gateway.flow.receive import SpentNonce
from gateway.sdk.publik.signature import (
    NONCE_LIFE,
    SignatureFault,
    SignedQuery,
    nonce_key,
    parse_signed,
    verify_query,
)

#: Compared in place of an unknown user's password, so that both take the same time.
_NOBODY = secrets.token_bytes(32)


def sender_of(
    catalogue: Catalogue, request: Request, insee: str | None, slug: str, now: datetime
) -> Sender:
    """Return the proven sender of a call for `slug`, and for `insee` if the address has a commune.

    Verifies the raw query. Raises Rejected 401 for missing credentials or bad Basic ones, 403
    (SignatureFault) for a signature that proves nothing.
    """
    signed = parse_signed(request.scope["query_string"].decode("latin-1"))
    if signed is not None:
        if signed.orig is not None:
            return _by_orig(catalogue, signed, signed.orig, now)
        return _by_commune(catalogue, signed, insee, slug, now)
    authorization = request.headers.get("authorization")
    if authorization is None:
        raise Rejected(
            401, "no_credentials", "L'appel doit être signé, ou porter une authentification Basic."
        )
    return _by_basic(catalogue, authorization)


def _by_orig(catalogue: Catalogue, signed: SignedQuery, orig: str, now: datetime) -> Sender:
    known = catalogue.keys_for(None, orig, None)
    verify_query(signed, [key.get_secret_value() for _, key in known], now)
    return Sender(known[0][0], None, _nonce(signed, f"orig:{orig}"))


def _by_commune(
    catalogue: Catalogue, signed: SignedQuery, insee: str | None, slug: str, now: datetime
) -> Sender:
    """Find the commune by its key: an explicit key in a workflow's action sends no `orig`."""
    candidates = [insee] if insee is not None else _communes_with(catalogue, slug)
    keys = [
        (commune, *pair)
        for commune in candidates
        for pair in catalogue.keys_for(None, None, commune)
    ]
    good: dict[str, str] = {}
    fault = SignatureFault("wrong_signature", "La signature n'est pas valable.")
    for commune, portal, key in keys:
        try:
            verify_query(signed, [key.get_secret_value()], now)
        except SignatureFault as error:
            if error.code != "wrong_signature":
                fault = error
        else:
            good[commune] = portal
    if not good:
        raise fault
    portal = next(iter(good.values()))
    communes = frozenset(commune for commune, name in good.items() if name == portal)
    return Sender(portal, communes, _nonce(signed, "commune:" + ",".join(sorted(communes))))


def _communes_with(catalogue: Catalogue, slug: str) -> list[str]:
    return [
        commune.insee
        for commune in catalogue.communes.values()
        if slug in catalogue.portals[commune.portal].teleservices
    ]


def _by_basic(catalogue: Catalogue, authorization: str) -> Sender:
    username, password = _credentials(authorization)
    known = catalogue.basic(username)
    wanted = [] if known is None else [one.get_secret_value().encode() for one in known[1]]
    # All are compared, so that the time tells nothing.
    good = [hmac.compare_digest(password, one) for one in wanted or [_NOBODY]]
    if known is None or not any(good):
        raise Rejected(401, "bad_credentials", "Identifiant ou mot de passe inconnu.")
    return Sender(known[0], None, None)


def _credentials(authorization: str) -> tuple[str, bytes]:
    scheme, _, value = authorization.partition(" ")
    try:
        username, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
        if scheme.lower() == "basic" and colon:
            return username.decode(), password
    except (binascii.Error, ValueError):
        pass
    raise Rejected(401, "bad_credentials", "L'authentification est mal formée.")


def _nonce(signed: SignedQuery, who: str) -> SpentNonce | None:
    if signed.nonce is None:
        return None
    return SpentNonce(f"{who}:{nonce_key(signed.nonce)}", signed.timestamp + NONCE_LIFE)
