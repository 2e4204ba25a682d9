"""The provider's tokens and our proofs, apart from the flow (tests/web/test_linking.py)."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws, jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr

from gateway.wire.oidc import OpenIdProvider, ProviderFault
from gateway.wire.oidc_client import OpenIdClient
from gateway.wire.oidc_tokens import ExpectedToken, read_id_token
from gateway.wire.signed_tokens import TokenFault, UnknownKey
from tests.web.openid_provider import CLIENT, ISSUER, SECRET, OpenIdSim

NOW = datetime(2026, 11, 27, 20, tzinfo=UTC)
EXPECTED = ExpectedToken(ISSUER, CLIENT, ("RS256", "ES256"), NOW)


def client(**changed: Any) -> OpenIdClient:
    ours = OpenIdClient(ISSUER, CLIENT, SecretStr(SECRET), SecretStr("k" * 32))
    return dataclasses.replace(ours, **changed)


def provider(sim: OpenIdSim) -> OpenIdProvider:
    transport = httpx.MockTransport(lambda request: sim.answer(request))
    return OpenIdProvider(httpx.AsyncClient(transport=transport), lambda: NOW)


def public(key: ECKey, **changed: Any) -> dict[str, Any]:
    told = dict(key.as_dict(private=False)) | changed
    return {name: one for name, one in told.items() if one is not None}


def signed(key: ECKey, **header: Any) -> str:
    head = {"alg": "ES256", **header}
    claims: dict[str, Any] = {"iss": ISSUER, "sub": "s", "aud": CLIENT, "nonce": "n"}
    claims |= {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 30}
    return jws.serialize_compact(head, json.dumps(claims), key, algorithms=["ES256"])


def read(text: object, *keys: dict[str, Any]) -> str:
    return read_id_token(text, keys, EXPECTED, nonce="n", access_token="a").subject


def test_the_one_key_that_is_meant_counts() -> None:
    one, two = (ECKey.generate_key("P-256", {"kid": kid}) for kid in "ab")
    assert read(signed(one, kid="a"), public(one), public(two)) == "s"
    assert read(signed(one), public(one)) == "s", "without a name there is one"
    # Authentic names none with ES256, and has two while they are exchanged.
    assert read(signed(one), public(two), public(one)) == "s", "or any of a few"
    for keys in (
        [public(ECKey.generate_key("P-256", {"kid": f"{n}"})) for n in range(6)],
        [public(two)],
        [public(one, use="enc")],
        [public(one, alg="ES384")],
        [public(one, kty="RSA")],
        [],
    ):
        kid = {} if len(keys) > 1 else {"kid": "a"}
        with pytest.raises(UnknownKey):
            read(signed(one, **kid), *keys)
    with pytest.raises(TokenFault, match="bad_signature"):
        read(signed(two, kid="a"), public(one))
    with pytest.raises(TokenFault, match="bad_signature"):
        read(signed(one, kid="a"), public(one, x="!", y="!"))


@pytest.mark.parametrize("text", [None, 7, "", "a.b", "a.b.c", "é.é.é", "x" * 20_000])
def test_what_is_no_token_is_malformed(text: object) -> None:
    with pytest.raises(TokenFault, match="malformed"):
        read(text)


@pytest.mark.parametrize("kind", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
async def test_we_prove_ourselves_in_each_way(kind: Any) -> None:
    sim = OpenIdSim(lambda: NOW)
    told: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            told.append(request)
            return httpx.Response(400, json={"error": "invalid_grant"})
        return sim.answer(request)

    desk = OpenIdProvider(httpx.AsyncClient(transport=httpx.MockTransport(answer)), lambda: NOW)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    secret = pem if kind == "private_key_jwt" else "a:é %"
    ours = client(client_auth=kind, secret=SecretStr(secret))
    with pytest.raises(TokenFault, match="bad_code"):
        await desk.sign_in(ours, "c", "https://x.invalid/r", "n", "v" * 43)
    (request,) = told
    form = {name: one[0] for name, one in parse_qs(request.content.decode()).items()}
    assert form["code_verifier"] == "v" * 43
    if kind == "client_secret_post":
        assert form["client_secret"] == secret
    if kind == "client_secret_basic":
        assert request.headers["Authorization"] == "Basic cGFzc2VyZWxsZTphJTNBJUMzJUE5KyUyNQ=="
    if kind == "private_key_jwt":
        claims = jwt.decode(form["client_assertion"], ECKey.import_key(pem)).claims
        assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT, CLIENT, ISSUER)
        assert claims["exp"] - claims["iat"] == 120


async def test_a_refused_client_is_ours_to_mend_and_a_key_is_never_told() -> None:
    desk = provider(OpenIdSim(lambda: NOW))
    with pytest.raises(ProviderFault, match="client_refused"):
        await desk.sign_in(client(secret=SecretStr("autre")), "c", "r", "n", "v" * 43)
    odd = client(client_auth="private_key_jwt", secret=SecretStr("pas une clé"))
    with pytest.raises(ProviderFault, match="bad_private_key"):
        await desk.sign_in(odd, "c", "r", "n", "v" * 43)


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": ISSUER.rstrip("/")},
        {"issuer": None},
        {"token_endpoint": "http://glc.exemple.invalid/token"},
        {"userinfo_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"id_token_signing_alg_values_supported": ["HS256", "none"]},
        {"response_types_supported": "code"},
        {"authorization_endpoint": 7},
        {"subject_types_supported": None},
    ],
)
async def test_a_provider_that_says_odd_things_of_itself(changed: dict[str, Any]) -> None:
    desk = provider(OpenIdSim(lambda: NOW, metadata=changed))
    with pytest.raises(ProviderFault):
        await desk.metadata(client())


async def test_what_a_provider_said_goes_on_while_it_is_away() -> None:
    now = [NOW]
    sim = OpenIdSim(lambda: now[0])
    client_ = httpx.AsyncClient(transport=httpx.MockTransport(lambda one: sim.answer(one)))
    desk = OpenIdProvider(client_, lambda: now[0])
    said = await desk.metadata(client())
    sim.down = True
    now[0] += timedelta(hours=2)
    assert await desk.metadata(client()) == said
    assert await desk.metadata(client()) == said
    assert len(sim.calls) == 2, "not asked again at once"
    now[0] += timedelta(minutes=1)
    sim.down = False
    await desk.metadata(client())
    assert len(sim.calls) == 3
