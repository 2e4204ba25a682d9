"""GLC pushes that an account was purged: who may say so, what is believed, and once."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.cli.check_glc import check_glc
from gateway.core.erasure import Brake, Phase
from gateway.core.expression import compile_expression
from gateway.ops.metrics import Metrics
from gateway.sim.glc import Lie
from gateway.web import connection
from gateway.web.application import application
from gateway.web.state import DaemonCondition
from gateway.wire.security_events import ACCOUNT_PURGED, LARGEST, EventShape
from tests.erasure.conftest import Build
from tests.erasure.following import CANARY, Following, uuid

ISSUER = "https://glc.exemple.invalid/"
AUDIENCE = "https://passerelle.exemple.invalid"
RSA = RSAKey.generate_key(2048, {"kid": "r1", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "e1"})
STRANGER = RSAKey.generate_key(2048, {"kid": "r1"})
TYPE = "application/secevent+jwt"
SHAPE = EventShape(
    issuer=ISSUER,
    audiences=frozenset({AUDIENCE}),
    jwks_url="http://glc.invalid/jwks",
    algorithms=("RS256", "ES256"),
    types=frozenset({ACCOUNT_PURGED}),
    subject=None,
    typed=True,
    max_age=7 * 86400.0,
)


class Provider:
    """Serves its keys, and pushes to the gateway."""

    def __init__(self, world: Following) -> None:
        self.world = world
        self.keys: list[dict[str, Any]] = [RSA.as_dict(private=False), EC.as_dict(private=False)]
        self.asked = 0
        world.rig.lines["glc"].inner = httpx.ASGITransport(self._keys)
        self.app = application(
            world.rig.engine,
            DaemonCondition(),
            Metrics(DaemonCondition().stalls, connection.refused),
        )

    async def _keys(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        assert Request(scope).url.path == "/jwks"
        await JSONResponse({"keys": self.keys})(scope, receive, send)

    async def push(self, token: str | bytes, content_type: str = TYPE) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://p.invalid") as client:
            headers = {"Content-Type": content_type, "Accept": "application/json"}
            return await client.post("/glc/events", content=token, headers=headers)

    def claims(self, account: str, **changes: Any) -> dict[str, Any]:
        made = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": int(self.world.rig.clock.now.timestamp()),
            "jti": f"jeton-{account}",
            "sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": account},
            "events": {ACCOUNT_PURGED: {}},
        }
        return {name: value for name, value in (made | changes).items() if value is not None}


def token(claims: Mapping[str, Any], key: Any = RSA, alg: str = "RS256", **head: Any) -> str:
    header = {"alg": alg, "typ": "secevent+jwt", "kid": key.kid} | head
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[alg])


def unsigned(claims: Mapping[str, Any]) -> str:
    head = {"alg": "none", "typ": "secevent+jwt"}
    return ".".join([*(packed(json.dumps(one).encode()) for one in (head, claims)), ""])


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def confused(claims: Mapping[str, Any]) -> str:
    """Signed with the public key, as if it were a shared secret."""
    head = {"alg": "HS256", "typ": "secevent+jwt", "kid": "r1"}
    said = ".".join(packed(json.dumps(one).encode()) for one in (head, claims))
    return f"{said}.{packed(hmac.digest(RSA.as_pem(private=False), said.encode(), 'sha256'))}"


def signed_by_hand(claims: Mapping[str, Any], **head: Any) -> str:
    """A token whose header says what must be understood, which no library would sign."""
    header = {"alg": "RS256", "typ": "secevent+jwt", "kid": "r1"} | head
    said = ".".join(packed(json.dumps(one).encode()) for one in (header, claims))
    assert RSA.private_key is not None
    made = RSA.private_key.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{said}.{packed(made)}"


async def test_a_purged_account_is_erased_once_however_often_it_is_told(follow: Build) -> None:
    world = follow("deletions", events=SHAPE)
    async with world.rig.gateway() as engine:
        provider = Provider(world)
        await world.people_kept(3)
        told = token(provider.claims(uuid(2)))
        for _ in range(2):
            answer = await provider.push(told)
            assert (answer.status_code, answer.content) == (202, b"")
        assert (await world.the()).source == "events"
        await engine.eraser.advance()
        # Of somebody unknown, and of another kind: taken, and nothing follows.
        assert (await provider.push(token(provider.claims("ff" * 16)))).status_code == 202
        other: dict[str, Any] = {
            "https://schemas.openid.net/secevent/ssf/event-type/verification": {}
        }
        claims = provider.claims(uuid(1), jti="autre", events=other)
        assert (await provider.push(token(claims, EC, "ES256"))).status_code == 202
        assert await world.count() == 1
        assert provider.asked == 1


async def test_what_is_refused_erases_nobody(follow: Build) -> None:
    world = follow("deletions", events=SHAPE)
    async with world.rig.gateway():
        provider = Provider(world)
        await world.people_kept(3)
        good = provider.claims(uuid(1))
        now = good["iat"]
        refused = {
            "authentication_failed": [
                token(good, STRANGER),
                token(good)[:-8] + "AAAAAAAA",
                signed_by_hand(good, crit=["exp"], exp=now),
            ],
            "invalid_key": [
                unsigned(good),
                confused(good),
                token(good, RSA, "PS256"),
                token(good, EC, "ES256", kid="r1"),
                token(good, RSA, kid="inconnue"),
            ],
            "invalid_issuer": [token(good | {"iss": ISSUER.rstrip("/")})],
            "invalid_audience": [
                token(good | {"aud": "https://autre.exemple.invalid"}),
                token(provider.claims(uuid(1), aud=None)),
            ],
            "invalid_request": [
                "",
                "pas.un.jeton",
                token(good, typ="JWT"),
                signed_by_hand(good, crit=["b64"], b64=False),
                token(good | {"events": json.loads("[" * 900 + "]" * 900)}),
                token(good | {"aud": [AUDIENCE], "jti": "j" * 300}),
                token(good | {"iat": now + 3600}),
                token(good | {"iat": now - 8 * 86400}),
                token(good | {"iat": True}),
                token(good | {"exp": now - 3600}),
                token(provider.claims(uuid(1), jti=None)),
                token(good | {"events": {}}),
                token(good | {"events": [ACCOUNT_PURGED]}),
            ],
        }
        for err, tokens in refused.items():
            for one in tokens:
                answer = await provider.push(one)
                assert (answer.status_code, answer.json()["err"]) == (400, err), one
                assert uuid(1) not in answer.text
        assert (await provider.push(token(good), "application/json")).status_code == 400
        assert (await provider.push("x" * (LARGEST + 1))).status_code == 413
        assert await world.every() == []
        # A key that nobody knows is looked for once, not at each call.
        assert provider.asked <= 2


SUBJECTS: list[tuple[str | None, dict[str, Any]]] = [
    (None, {"sub_id": {"format": "opaque", "id": uuid(1)}}),
    (None, {"sub_id": None, "sub": uuid(1).upper()}),
    (
        None,
        {
            "sub_id": None,
            "events": {
                ACCOUNT_PURGED: {
                    "subject": {"subject_type": "iss-sub", "iss": ISSUER, "sub": uuid(1)}
                }
            },
        },
    ),
    ("event.compte.uuid", {"events": {ACCOUNT_PURGED: {"compte": {"uuid": uuid(1)}}}}),
]
UNNAMED: list[dict[str, Any]] = [
    {"sub_id": {"format": "email", "email": "zoe@exemple.invalid"}},
    {"sub_id": {"format": "iss_sub", "iss": "https://autre.invalid", "sub": uuid(1)}},
    {"sub_id": None},
]


@pytest.mark.parametrize(("subject", "claims"), SUBJECTS)
async def test_the_account_stands_where_the_provider_has_it(
    follow: Build, subject: str | None, claims: dict[str, Any]
) -> None:
    import dataclasses

    expression = None if subject is None else compile_expression(subject)
    shape = dataclasses.replace(SHAPE, subject=expression)
    world = follow("deletions", events=shape)
    async with world.rig.gateway(run=False):
        provider = Provider(world)
        await world.people_kept(3)
        made = token(provider.claims(uuid(1), **claims))
        assert (await provider.push(made)).status_code == 202
        assert await world.count() == 1


async def test_who_is_not_named_as_an_account_and_the_canary_are_passed_over(
    follow: Build,
) -> None:
    world = follow("deletions", events=SHAPE)
    async with world.rig.gateway(run=False):
        provider = Provider(world)
        await world.people_kept(3)
        for n, claims in enumerate(UNNAMED):
            made = token(provider.claims(uuid(1), jti=f"n{n}", **claims))
            assert (await provider.push(made)).status_code == 202
        assert (await provider.push(token(provider.claims(CANARY)))).status_code == 202
        assert await world.every() == []


async def test_an_account_that_the_other_source_knows_waits(follow: Build) -> None:
    """Two sources disagree: two people decide, or the next poll lets go."""
    world = follow(events=SHAPE, brake=Brake(1.0, 10))
    async with world.rig.gateway(run=False):
        line = world.rig.lines["glc"]
        honest = line.inner
        provider = Provider(world)
        line.inner = Beside(line.inner, honest)
        people = await world.people_kept(3)
        world.provider.delete(people[0])
        for account in people[:2]:
            assert (await provider.push(token(provider.claims(account)))).status_code == 202
        states = {one.state: one.reason for one in await world.every()}
        assert states == {Phase.OPEN: "", Phase.HELD: "contradiction"}
        world.provider.lie = Lie.NO_RIGHT
        assert (await provider.push(token(provider.claims(people[2])))).status_code == 503
        world.provider.lie = Lie.NONE
        await world.poll()
        assert (await world.count(), await world.held()) == (1, 0)
        assert (await provider.push(token(provider.claims(people[2])))).status_code == 202


async def test_many_events_are_braked_as_a_poll_is(follow: Build) -> None:
    world = follow("deletions", events=SHAPE, brake=Brake(0.5, 3))
    async with world.rig.gateway(run=False):
        provider = Provider(world)
        people = await world.people_kept(12)
        for account in people[:5]:
            assert (await provider.push(token(provider.claims(account)))).status_code == 202
        assert (await world.count(), await world.held()) == (3, 2)
        world.rig.advance(timedelta(days=2).total_seconds())


async def test_a_key_for_another_use_or_of_few_bits_proves_nothing(follow: Build) -> None:
    world = follow("deletions", events=SHAPE)
    async with world.rig.gateway():
        provider = Provider(world)
        await world.people_kept(3)
        with pytest.warns(SecurityWarning):
            short = RSAKey.generate_key(1024, {"kid": "r2"})
        provider.keys = [
            RSA.as_dict(private=False) | {"use": "enc"},
            EC.as_dict(private=False) | {"alg": "ES384"},
            short.as_dict(private=False),
        ]
        told = provider.claims(uuid(1))
        for one in (token(told), token(told, EC, "ES256"), token(told, short, kid="r2")):
            answer = await provider.push(one)
            assert (answer.status_code, answer.json()["err"]) == (400, "invalid_key")
        assert await world.every() == []


class Beside(httpx.AsyncBaseTransport):
    """Answers for the keys by one transport, for everything else by another."""

    def __init__(self, keys: httpx.AsyncBaseTransport, rest: httpx.AsyncBaseTransport) -> None:
        self.keys, self.rest = keys, rest

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        one = self.keys if request.url.path == "/jwks" else self.rest
        return await one.handle_async_request(request)


async def test_check_says_which_keys_the_provider_has(follow: Build) -> None:
    world = follow("deletions", events=SHAPE)
    async with world.rig.gateway(run=False) as engine:
        line = world.rig.lines["glc"]
        source = line.inner
        provider = Provider(world)
        line.inner = Beside(line.inner, source)
        provider.keys.append({"kty": "oct", "k": "c2VzYW1l"})
        lines = await check_glc(engine.far_ends)
        assert "can be read: 2 (" in " ".join(one.said.told() for one in lines)
        provider.keys = [{}] * 51
        assert [one.level for one in await check_glc(engine.far_ends)].count("fault") > 0


async def test_without_keys_it_is_to_be_sent_again(follow: Build) -> None:
    world = follow("deletions", events=SHAPE)
    async with world.rig.gateway(run=False):
        provider = Provider(world)
        made = token(provider.claims(uuid(1)))

        asked = 0

        async def away(scope: Any, receive: Any, send: Any) -> None:
            nonlocal asked
            asked += 1
            await Response(status_code=503)(scope, receive, send)

        world.rig.lines["glc"].inner = httpx.ASGITransport(away)
        for _ in range(3):
            answer = await provider.push(made)
            assert answer.status_code == 503
        assert asked == 1, "whoever pushes, the provider is asked once a minute"
