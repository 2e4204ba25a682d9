"""An OpenID provider in memory. It answers as npm's oidc-provider 9 was seen to answer: forms of
documents and tokens, `iss` in its redirect, PKCE, one use of a code, UserInfo for the profile."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import respx
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

ISSUER = "https://glc.exemple.invalid/"
CLIENT = "passerelle"
SECRET = "secret-openid-de-la-passerelle"
SUBJECT = "sub-pairwise-Ab_9"
ACCOUNT = "b1a7c0de00000000000000000000feed"
PROFILE = {"given_name": "Zoé", "family_name": "Fictive", "birthdate": "1990-02-03"}
EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class Grant:
    """The sign-in that a code stands for."""

    asked: Mapping[str, str]
    used: bool = False


@dataclass
class OpenIdSim:
    """The provider. `tokens` changes an ID token's claims, `header` its header, `key` its key."""

    now: Callable[[], datetime]
    subject: str = SUBJECT
    acr: str | None = "eidas1"
    claims: dict[str, Any] = field(default_factory=lambda: {"uuid": ACCOUNT, **PROFILE})
    changed: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    key: Any = None
    issuer_in_answer: str | None = ISSUER
    metadata: dict[str, Any] = field(default_factory=dict)
    down: bool = False
    secret: str = SECRET
    #: Accounts that it lists as deleted.
    gone: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    grants: dict[str, Grant] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.keys = [self.new_key()]

    def new_key(self) -> ECKey:
        return ECKey.generate_key("P-256", {"kid": f"k{next(self.numbers)}", "use": "sig"})

    def install(self, router: respx.MockRouter) -> None:
        router.route(host=urlsplit(ISSUER).hostname).mock(side_effect=self.answer)

    # --- what a browser does ------------------------------------------------------------------

    def signed_in(self, url: str) -> str:
        """The citizen signs in at this address: where the browser is sent to."""
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}/" == ISSUER
        assert parts.path == "/auth"
        asked = {name: one[0] for name, one in parse_qs(parts.query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{next(self.numbers)}"
        self.grants[code] = Grant(asked)
        told = {"code": code, "state": asked["state"]}
        if self.issuer_in_answer is not None:
            told["iss"] = self.issuer_in_answer
        return f"{asked['redirect_uri']}?{urlencode(told)}"

    # --- what the gateway calls ---------------------------------------------------------------

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.calls.append(path)
        if self.down:
            return httpx.Response(503)
        match path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self.document())
            case "/jwks":
                public = [key.as_dict(private=False, alg="ES256") for key in self.keys]
                return httpx.Response(200, json={"keys": public})
            case "/token":
                return self.token(request)
            case "/api/deletions/":
                gone = [{"uuid": one, "deleted_at": self.now().isoformat()} for one in self.gone]
                return httpx.Response(200, json={"results": gone, "next": None})
            case "/me":
                if request.headers.get("Authorization") != "Bearer acces":
                    return httpx.Response(401, json={"error": "invalid_token"})
                return httpx.Response(200, json={"sub": self.subject, **self.claims})
        return httpx.Response(404)

    def document(self) -> dict[str, Any]:
        return {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}auth",
            "token_endpoint": f"{ISSUER}token",
            "jwks_uri": f"{ISSUER}jwks",
            "userinfo_endpoint": f"{ISSUER}me",
            "end_session_endpoint": f"{ISSUER}session/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def token(self, request: httpx.Request) -> httpx.Response:
        form = {name: one[0] for name, one in parse_qs(request.content.decode()).items()}
        self.forms.append(form)
        pair = base64.b64encode(f"{CLIENT}:{self.secret}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return httpx.Response(401, json={"error": "invalid_client"})
        grant = self.grants.get(form.get("code", ""))
        if grant is None or grant.used or form["redirect_uri"] != grant.asked["redirect_uri"]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        grant.used = True
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant.asked["code_challenge"]:
            return httpx.Response(400, json={"error": "invalid_grant"})
        told = {
            "access_token": "acces",
            "expires_in": 3600,
            "id_token": self.id_token(grant.asked["nonce"]),
            "scope": grant.asked["scope"],
            "token_type": "Bearer",
        }
        return httpx.Response(200, json=told)

    def id_token(self, nonce: str) -> str:
        now = int(self.now().timestamp())
        half = base64.urlsafe_b64encode(hashlib.sha256(b"acces").digest()[:16]).rstrip(b"=")
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 30,
            "nonce": nonce,
            "at_hash": half.decode(),
            "sid": "session-1",
            "uuid": self.claims.get("uuid"),
        }
        if self.acr is not None:
            claims["acr"] = self.acr
        claims.update(self.changed)
        return self.signed({name: one for name, one in claims.items() if one is not None})

    def logout_token(self, **changed: Any) -> str:
        now = int(self.now().timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 120,
            "jti": f"jti-{next(self.numbers)}",
            "events": {EVENT: {}},
            "sid": "session-1",
            "sub": self.subject,
        }
        claims.update(changed)
        told = {name: one for name, one in claims.items() if one is not None}
        return self.signed(told, typ="logout+jwt")

    def signed(self, claims: Mapping[str, Any], **header: Any) -> str:
        key = self.key or self.keys[0]
        told = {"alg": "ES256", "kid": self.keys[0].kid, **header, **self.header}
        head = {name: one for name, one in told.items() if one is not None}
        if head["alg"] == "none":
            parts = [json.dumps(one).encode() for one in ({"alg": "none"}, dict(claims))]
            texts = [base64.urlsafe_b64encode(one).rstrip(b"=").decode() for one in parts]
            return ".".join([*texts, ""])
        if isinstance(key, bytes):
            key = OctKey.import_key(key)
        return jws.serialize_compact(head, json.dumps(dict(claims)), key, algorithms=[head["alg"]])
