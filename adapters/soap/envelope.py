"""Packs an envelope: adds WS-Security's header, and puts files within it or beside it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.soap.options import UsernameToken, X509Signature
from adapters.soap.xop import XopPart, content_id, write_parts
from gateway.sdk import File

_INCLUDE: Final = "{http://www.w3.org/2004/08/xop/include}Include"
_TYPES: Final = {"1.1": "text/xml", "1.2": "application/soap+xml"}
#: Namespaces and types of UsernameToken Profile 1.1 and SOAP Message Security 1.1.
_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE: Final = f"{_WSS}wssecurity-secext-1.0.xsd"
_BASE64: Final = f"{_WSS}soap-message-security-1.0#Base64Binary"


def secure_envelope(
    envelope: Any, user: UsernameToken | None, signature: X509Signature | None, now: datetime
) -> None:
    """Add what WS-Security asks for, but the signature itself."""
    if user is not None:
        _add_user(envelope, user, now)
    if signature is not None and (user is None or user.timestamp is None):
        from zeep.wsse.utils import get_security_header  # slow to load

        get_security_header(envelope).append(_stamp(now, signature.timestamp))


def pack_envelope(
    envelope: Any, version: str, parts: Sequence[tuple[str, File]]
) -> tuple[bytes, str]:
    """Return the body of a call and its Content-Type.

    `parts` are the files that become MIME parts, each with its placeholder in the envelope.
    """
    from lxml import etree  # slow to load

    files, beside_it = dict(parts), []
    for element in list(envelope.iter()) if files else ():
        file = files.get(element.text or "")
        if file is not None:
            part = XopPart(content_id(), file.content_type, element.text.encode())
            beside_it.append(part)
            element.text = None
            etree.SubElement(element, _INCLUDE, {"href": f"cid:{part.content_id}"})
    content: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    if not beside_it:
        return content, f"{_TYPES[version]}; charset=utf-8"
    return write_parts(content, _TYPES[version], beside_it)


def _stamp(now: datetime, seconds: float) -> Any:
    from zeep.wsse.utils import WSU, get_timestamp

    ends = now + timedelta(seconds=seconds)
    return WSU.Timestamp(
        WSU.Created(get_timestamp(now, True)), WSU.Expires(get_timestamp(ends, True))
    )


def _add_user(envelope: Any, token: UsernameToken, now: datetime) -> None:
    """Add the sender's credentials (UsernameToken Profile 1.1)."""
    from zeep.wsse.username import UsernameToken as ZeepToken
    from zeep.wsse.utils import WSSE, WSU, get_timestamp

    password = token.password.get_secret_value()
    zeep_token = ZeepToken(
        token.username,
        password,
        use_digest=token.digest,
        created=now,
        zulu_timestamp=True,
        timestamp_token=None if token.timestamp is None else _stamp(now, token.timestamp),
    )
    zeep_token.apply(envelope, {})
    if not token.digest:  # zeep gives these with a digest alone
        element = envelope.find(f".//{{{_WSSE}}}UsernameToken")
        nonce = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
        element.append(WSSE.Nonce(nonce, EncodingType=_BASE64))
        element.append(WSU.Created(get_timestamp(now, True)))


__all__ = ["pack_envelope", "secure_envelope"]
