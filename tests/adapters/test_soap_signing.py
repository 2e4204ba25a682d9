"""Messages that our certificate signs: what, by which key, and what `check` says of it."""

from __future__ import annotations

import base64
import email
import email.policy
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage
from functools import cache
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import NameOID
from lxml import etree

from adapters.soap import SoapAdapter
from gateway.sdk import Accepted, Context, Misconfigured, Note, Submission
from gateway.sdk.under_test import NOW, REFERENCE, file
from tests.adapters.soap_service import SoapService, element, options
from tests.adapters.test_soap import service

DS = "{http://www.w3.org/2000/09/xmldsig#}"
WSS = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-%s-1.0.xsd}"
WSSE, WSU = WSS % "secext", WSS % "utility"
PAYLOAD = {"objet": "Nid de poule", "description": "Devant\r\nle n° 12 & <ailleurs>"}
TAKES = SoapService({"creerDemande": element("numero", "4711"), "version": ""}).answer
#: What `openssl pkcs12` writes above a key.
BAG = "Bag Attributes\n    friendlyName: passerelle\nKey Attributes: <No Attributes>\n"


@cache
def key(kind: str) -> Any:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP521R1() if kind == "p521" else ec.SECP256R1())


def pem_of(private: Any, password: str = "") -> str:
    locked = serialization.BestAvailableEncryption(password.encode()) if password else None
    text: bytes = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        locked or serialization.NoEncryption(),
    )
    return text.decode()


@cache
def certificate(kind: str, days: int = 400) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "passerelle.exemple.invalid")])
    made = x509.CertificateBuilder(name, name, key(kind).public_key(), 42)
    made = made.not_valid_before(NOW - timedelta(days=500)).not_valid_after(
        NOW + timedelta(days=days)
    )
    signed = made.sign(key(kind), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def signing(kind: str = "rsa", **more: Any) -> dict[str, Any]:
    return {"signature": {"key": pem_of(key(kind)), "certificate": certificate(kind), **more}}


async def sent(files: tuple[Any, ...] = (), **more: Any) -> httpx.Request:
    async with service(TAKES, **more) as (adapter, calls):
        outcome = await adapter.submit(Submission(REFERENCE, PAYLOAD, files))
        assert isinstance(outcome, Accepted), outcome
        (call,) = calls
        assert isinstance(call, httpx.Request)
        await call.aread()
        return call


def parts_of(call: httpx.Request) -> tuple[Any, dict[str, bytes]]:
    """The envelope as the service reads it, and the files beside it by their name."""
    kind = call.headers["content-type"]
    if not kind.startswith("multipart"):
        return etree.fromstring(call.content), {}
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    whole = email.message_from_bytes(head + call.content, policy=email.policy.HTTP)
    root, *parts = (one for one in whole.iter_parts() if isinstance(one, EmailMessage))
    return etree.fromstring(root.get_content()), {
        part["content-id"].strip("<>"): part.get_content() for part in parts
    }


def proven(envelope: Any, beside: dict[str, bytes]) -> list[str]:
    """Verify the signature as XML Signature says. Return the names of the elements signed."""
    for include in list(envelope.iter("{http://www.w3.org/2004/08/xop/include}Include")):
        parent = include.getparent()
        parent.remove(include)
        parent.text = base64.b64encode(beside[include.get("href").removeprefix("cid:")]).decode()
    token = envelope.find(f".//{WSSE}BinarySecurityToken")
    signature = envelope.find(f".//{DS}Signature")
    assert signature.find(f".//{WSSE}Reference").get("URI") == f"#{token.get(f'{WSU}Id')}"
    public = x509.load_der_x509_certificate(base64.b64decode(token.text)).public_key()
    named = []
    for reference in signature.iter(f"{DS}Reference"):
        (there,) = envelope.xpath("//*[@*=$id]", id=reference.get("URI")[1:])
        canonical = etree.tostring(there, method="c14n", exclusive=True)
        digest = base64.b64decode(reference.findtext(f"{DS}DigestValue"))
        assert digest == hashlib.sha256(canonical).digest(), there.tag
        named.append(etree.QName(there).localname)
    signed = etree.tostring(signature.find(f"{DS}SignedInfo"), method="c14n", exclusive=True)
    value = base64.b64decode(signature.findtext(f"{DS}SignatureValue"))
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(value, signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        r, s = (
            int.from_bytes(half) for half in (value[: len(value) // 2], value[len(value) // 2 :])
        )
        public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    return named


@pytest.mark.parametrize("port", ["Demandes11", "Demandes12"])
@pytest.mark.parametrize("kind", ["rsa", "p256", "p521"])
async def test_the_body_the_time_and_the_users_name_are_signed(port: str, kind: str) -> None:
    call = await sent(port=port, **signing(kind))
    assert proven(*parts_of(call)) == ["Body", "UsernameToken", "Timestamp"]
    assert call.content.count(b"Timestamp") == 2, "its beginning and end: there is one"


async def test_a_signature_alone_bears_a_time() -> None:
    envelope, beside = parts_of(await sent(security=None, **signing(timestamp="2m")))
    assert proven(envelope, beside) == ["Body", "Timestamp"]
    assert envelope.findtext(f".//{WSU}Created") == "2026-03-16T09:30:00Z"
    assert envelope.findtext(f".//{WSU}Expires") == "2026-03-16T09:32:00Z"


@pytest.mark.parametrize("mtom", [False, True])
async def test_files_are_signed_as_their_base64_wherever_they_lie(mtom: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(7):
            yield b"\xff\x00" * 50_001

    large = replace(file(), size=700_014, pieces=pieces)
    call = await sent((file(), large), mtom=mtom, **signing())
    envelope, beside = parts_of(call)
    assert len(beside) == (2 if mtom else 0)
    assert "Body" in proven(envelope, beside)


async def test_what_is_altered_on_the_way_is_not_proven() -> None:
    call = await sent(**signing())
    for part, other in ((b"Nid de poule", b"Nid de coucou"), (b">2026-", b">2027-")):
        assert part in call.content
        with pytest.raises(AssertionError):
            proven(etree.fromstring(call.content.replace(part, other)), {})


@pytest.mark.parametrize("above", ["", BAG])
async def test_key_and_certificate_may_lie_in_one_file(above: str) -> None:
    other = certificate("p256")
    for text in (
        f"{certificate('rsa')}{above}{pem_of(key('rsa'))}",
        f"{above}{pem_of(key('rsa'))}{other}{certificate('rsa')}",
    ):
        call = await sent(signature={"key": text})
        assert "Body" in proven(*parts_of(call))


LACKING: dict[str, dict[str, Any]] = {
    "une clé privée en PEM": {"key": "mot-de-passe"},
    "clé privée en PEM (donner": {"key": pem_of(key("rsa")).replace("MII", "MIJ")},
    "mot de passe": {"key": pem_of(key("rsa"), "secret-de-test")},
    "certificat en PEM manque": {"key": pem_of(key("rsa")), "certificate": None},
    "celui de cette clé": {"key": pem_of(key("rsa")), "certificate": certificate("p256")},
}


@pytest.mark.parametrize("said", LACKING)
async def test_a_key_that_cannot_sign_is_told_and_nothing_is_sent_unsigned(said: str) -> None:
    given = {"key": pem_of(key("rsa")), "certificate": certificate("rsa"), **LACKING[said]}
    checked = SoapAdapter.Options.model_validate(options(signature=given))
    calls: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return TAKES(request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        live: Any = object()  # that there is one says that calls are made
        adapter = SoapAdapter(
            checked, Context("69029", "essai", client, lambda: NOW, connector=live)
        )
        outcome = await adapter.submit(Submission(REFERENCE, PAYLOAD))
        assert (type(outcome), outcome.reason) == (Misconfigured, "signing_key")  # type: ignore[union-attr]
        assert calls == []
        for notes in (await adapter.check(), await adapter.check_files()):
            fault = next(note for note in notes if note.level == "fault")
            assert fault.at == ("signature", "key")
            assert said in fault.said.told("fr")
            assert "PRIVATE" not in repr((outcome, notes))
            assert "MII" not in repr((outcome, notes))


async def test_where_nothing_is_sent_no_key_is_needed() -> None:
    call = await sent(signature={"key": "postgresql://this-secret-is-unread.invalid"})
    assert b"Signature" not in call.content


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [(400, "ok", "signés"), (20, "warning", "expire"), (-1, "fault", "a expiré")],
)
async def test_check_says_until_when_the_certificate_is_valid(
    days: int, level: str, said: str
) -> None:
    given = {"key": pem_of(key("rsa")), "certificate": certificate("rsa", days)}
    async with service(TAKES, signature=given) as (adapter, _):
        notes: list[Note] = [*await adapter.check_files()]
    assert (notes[0].level, said in notes[0].said.told("fr")) == (level, True)
    assert (NOW + timedelta(days=days)).date().isoformat() in notes[0].said.told("fr")
