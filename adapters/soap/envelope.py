"""Packs an envelope: adds WS-Security's header, and puts files within it or beside it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.soap.options import UsernameToken
from adapters.soap.xop import XopPart, content_id, write_parts
from gateway.sdk import File

_INCLUDE: Final = "{http://www.w3.org/2004/08/xop/include}Include"
_TYPES: Final = {"1.1": "text/xml", "1.2": "application/soap+xml"}
#: Namespaces and types of UsernameToken Profile 1.1 and SOAP Message Security 1.1.
_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE: Final = f"{_WSS}wssecurity-secext-1.0.xsd"
_BASE64: Final = f"{_WSS}soap-message-security-1.0#Base64Binary"


def pack_envelope(
    envelope: Any,
    security: UsernameToken | None,
    now: datetime,
    version: str,
    parts: Sequence[tuple[str, File]],
) -> tuple[bytes, str]:
    """Return the body of a call and its Content-Type.

    `parts` are the files that become MIME parts, each with its placeholder in the envelope.
    """
    from lxml import etree  # slow to load

    if security is not None:
        _secure(envelope, security, now)
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


def _secure(envelope: Any, token: UsernameToken, now: datetime) -> None:
    """Add the sender's credentials (UsernameToken Profile 1.1)."""
    from zeep.wsse.username import UsernameToken as ZeepToken
    from zeep.wsse.utils import WSSE, WSU, get_timestamp

    stamp = None
    if token.timestamp is not None:
        ends = now + timedelta(seconds=token.timestamp)
        stamp = WSU.Timestamp(
            WSU.Created(get_timestamp(now, True)), WSU.Expires(get_timestamp(ends, True))
        )
    password = token.password.get_secret_value()
    zeep_token = ZeepToken(
        token.username,
        password,
        use_digest=token.digest,
        created=now,
        zulu_timestamp=True,
        timestamp_token=stamp,
    )
    zeep_token.apply(envelope, {})
    if not token.digest:  # zeep gives these with a digest alone
        element = envelope.find(f".//{{{_WSSE}}}UsernameToken")
        nonce = base64.b64encode(secrets.token_bytes(16)).decode("ascii")
        element.append(WSSE.Nonce(nonce, EncodingType=_BASE64))
        element.append(WSU.Created(get_timestamp(now, True)))


__all__ = ["pack_envelope"]
