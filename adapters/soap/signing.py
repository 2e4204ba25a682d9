"""Signs messages with a certificate of ours (WS-Security X.509 Token Profile 1.1, XML Signature).

The body, the time and the user's name are signed: exclusive canonical XML, SHA-256, RSA or ECDSA.
A file counts as its Base64, whether it lies within the envelope or beside it.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx

from adapters.soap.options import X509Signature
from adapters.soap.texts import say
from gateway.sdk import File, FilePlaceholders, Message

_OASIS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_WSSE: Final = f"{_OASIS}wssecurity-secext-1.0.xsd"
_WSU: Final = f"{_OASIS}wssecurity-utility-1.0.xsd"
_X509: Final = f"{_OASIS}x509-token-profile-1.0#X509v3"
_BASE64: Final = f"{_OASIS}soap-message-security-1.0#Base64Binary"
_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_CANONICAL: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"
_METHOD: Final = "http://www.w3.org/2001/04/xmldsig-more#{}-sha256"
_KEY: Final = re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CERTIFICATE: Final = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)


class UnusableKey(Exception):
    """The options' key and certificate cannot sign. `said` says why, without quoting them."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.said: Message = say(word)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its certificate in DER, which is valid until `ends`."""

    key: Any
    certificate: bytes
    ends: datetime

    @classmethod
    def read(cls, options: X509Signature) -> SigningKey:
        """Read the PEM texts of the options. Raises UnusableKey."""
        from cryptography import x509  # slow to load, and few need it
        from cryptography.hazmat.primitives.asymmetric import ec, rsa
        from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

        text = options.key.get_secret_value()
        beside = text if options.certificate is None else options.certificate.get_secret_value()
        found = _KEY.search(text)
        if found is None:
            raise UnusableKey("key_none")
        try:
            key = load_pem_private_key(found.group().encode(), None)
        except TypeError:
            raise UnusableKey("key_locked") from None
        except Exception:  # any error of the library: its texts may quote the key
            raise UnusableKey("key_none") from None
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise UnusableKey("key_kind")
        try:
            given = [
                x509.load_pem_x509_certificate(one.encode()) for one in _CERTIFICATE.findall(beside)
            ]
            own = [one for one in given if one.public_key() == key.public_key()]
        except Exception:  # as above
            raise UnusableKey("certificate_none") from None
        if not own:
            raise UnusableKey("certificate_other" if given else "certificate_none")
        return cls(key, own[0].public_bytes(Encoding.DER), own[0].not_valid_after_utc)

    @property
    def method(self) -> str:
        return _METHOD.format("rsa" if hasattr(self.key, "decrypt") else "ecdsa")

    def sign(self, content: bytes) -> bytes:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

        if not isinstance(self.key, ec.EllipticCurvePrivateKey):
            signed: bytes = self.key.sign(content, padding.PKCS1v15(), hashes.SHA256())
            return signed
        r, s = utils.decode_dss_signature(self.key.sign(content, ec.ECDSA(hashes.SHA256())))
        size = (self.key.key_size + 7) // 8
        return r.to_bytes(size) + s.to_bytes(size)


def signed_parts(envelope: Any) -> dict[str, bytes]:
    """Name the parts that are signed. Return the canonical form of each by its name."""
    body = next(one for one in envelope if one.tag.endswith("}Body"))
    security = envelope.find(f".//{{{_WSSE}}}Security")
    beside = [f"{{{_WSU}}}Timestamp", f"{{{_WSSE}}}UsernameToken"]
    parts = [body, *(one for one in security if one.tag in beside)]
    named = {_name(one): one for one in parts}  # the names are part of what is signed
    return {name: _canonical(one) for name, one in named.items()}


async def digest_of(content: bytes, files: Mapping[str, File]) -> bytes:
    """Return the digest of a canonical form in which each placeholder stands for a file's Base64.

    The files are read in a stream.
    """
    places = FilePlaceholders()
    for token, file in files.items():
        content = content.replace(token.encode(), places.of(file, base64=True).encode())
    whole = places.filled(httpx.Request("POST", "https://signed.invalid", content=content))
    assert isinstance(whole.stream, httpx.AsyncByteStream)  # noqa: S101 - for mypy
    hashed = hashlib.sha256()
    async for piece in whole.stream:
        hashed.update(piece)
    return hashed.digest()


def add_signature(envelope: Any, key: SigningKey, digests: Mapping[str, bytes]) -> None:
    """Add our certificate, and the signature over the parts of these digests."""
    from lxml import etree

    security = envelope.find(f".//{{{_WSSE}}}Security")
    told = {"EncodingType": _BASE64, "ValueType": _X509}
    token = etree.SubElement(security, f"{{{_WSSE}}}BinarySecurityToken", told)
    token.text = base64.b64encode(key.certificate).decode("ascii")
    signature = etree.SubElement(security, f"{{{_DS}}}Signature", nsmap={"ds": _DS})
    info = etree.SubElement(signature, f"{{{_DS}}}SignedInfo")
    _algorithm(info, "CanonicalizationMethod", _CANONICAL)
    _algorithm(info, "SignatureMethod", key.method)
    for name, digest in digests.items():
        reference = etree.SubElement(info, f"{{{_DS}}}Reference", {"URI": f"#{name}"})
        _algorithm(etree.SubElement(reference, f"{{{_DS}}}Transforms"), "Transform", _CANONICAL)
        _algorithm(reference, "DigestMethod", _SHA256)
        _encoded(reference, "DigestValue", digest)
    _encoded(signature, "SignatureValue", key.sign(_canonical(info)))
    by = etree.SubElement(signature, f"{{{_DS}}}KeyInfo")
    there = etree.SubElement(by, f"{{{_WSSE}}}SecurityTokenReference")
    of = {"URI": f"#{_name(token)}", "ValueType": _X509}
    etree.SubElement(there, f"{{{_WSSE}}}Reference", of)


def _algorithm(parent: Any, name: str, algorithm: str) -> None:
    from lxml import etree

    etree.SubElement(parent, f"{{{_DS}}}{name}", {"Algorithm": algorithm})


def _encoded(parent: Any, name: str, value: bytes) -> None:
    from lxml import etree

    etree.SubElement(parent, f"{{{_DS}}}{name}").text = base64.b64encode(value).decode("ascii")


def _name(element: Any) -> str:
    """Return the name by which the signature refers to an element; give it one if it has none."""
    name: str = element.get(f"{{{_WSU}}}Id") or f"id-{secrets.token_hex(16)}"
    element.set(f"{{{_WSU}}}Id", name)
    return name


def _canonical(element: Any) -> bytes:
    from lxml import etree

    content: bytes = etree.tostring(element, method="c14n", exclusive=True, with_comments=False)
    return content


__all__ = ["SigningKey", "UnusableKey", "add_signature", "digest_of", "signed_parts"]
