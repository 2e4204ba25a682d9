"""A small Vault that answers as OpenBao 2.7.2 was seen to (`tests/wire/vault_seen.json`): transit,
AppRole, tokens, its seal. It runs in a thread of its own."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROOT = "root"
_DENIED = {"errors": ["permission denied"]}
_POLICY = {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
Told = tuple[int, Any]


@dataclass
class TransitKey:
    """A key of the transit engine, by its versions."""

    versions: dict[int, bytes] = field(default_factory=lambda: {1: secrets.token_bytes(32)})
    oldest: int = 1
    exportable: bool = False
    deletion_allowed: bool = False
    signs: bool = False

    @property
    def newest(self) -> int:
        return max(self.versions)

    def told(self, name: str) -> dict[str, Any]:
        return {
            "allow_plaintext_backup": False,
            "auto_rotate_period": 0,
            "deletion_allowed": self.deletion_allowed,
            "derived": False,
            "exportable": self.exportable,
            "imported_key": False,
            "keys": {str(n): 1795837592 for n in self.versions if n >= self.oldest},
            "latest_version": self.newest,
            "min_available_version": 0,
            "min_decryption_version": self.oldest,
            "min_encryption_version": 0,
            "name": name,
            "soft_deleted": False,
            "supports_decryption": not self.signs,
            "supports_derivation": True,
            "supports_encryption": not self.signs,
            "supports_signing": self.signs,
            "type": "ed25519" if self.signs else "aes256-gcm96",
        }


@dataclass
class Token:
    """`acts` are the transit calls that its policy allows, at the key that it allows."""

    whole: int = 0
    renewable: bool = False
    acts: tuple[str, ...] = ("encrypt", "decrypt", "keys")
    key: str = "gru"
    since: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> int:
        return max(0, round(self.whole - (time.monotonic() - self.since))) if self.whole else 0

    @property
    def over(self) -> bool:
        return bool(self.whole) and not self.left


@dataclass
class SimulatedVault:
    """`instead`: its answer to each call, if any. `lies`: what it opens is another key."""

    keys: dict[str, TransitKey] = field(default_factory=lambda: {"gru": TransitKey()})
    tokens: dict[str, Token] = field(default_factory=lambda: {ROOT: Token(key="*")})
    secret_id: str = "secret-de-role"
    token_ttl: int = 1200
    mount: str = "transit"
    sealed: bool = False
    instead: Told | None = None
    lies: bool = False
    calls: list[str] = field(default_factory=list)
    address: str = ""

    def answer(self, method: str, path: str, body: dict[str, Any], proof: str) -> Told:
        self.calls.append(path)
        if self.instead is not None:
            return self.instead
        if path == "sys/seal-status":
            return 200, {"type": "shamir", "initialized": True, "sealed": self.sealed, "t": 1}
        if self.sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if path == "auth/approle/login":
            return self._login(body)
        token = self.tokens.get(proof)
        if token is None or token.over:
            return 403, _DENIED
        if path == "auth/token/lookup-self":
            ttl = {"creation_ttl": token.whole, "ttl": token.left, "renewable": token.renewable}
            return 200, {"data": ttl | {"id": proof, "policies": [], "type": "service"}}
        if path == "auth/token/renew-self":
            token.since = time.monotonic()
            told = {"client_token": proof, "lease_duration": token.whole}
            return 200, {"auth": told | {"renewable": token.renewable}}
        return self._transit(method, path, body, token)

    def _login(self, body: dict[str, Any]) -> Told:
        if body.get("secret_id") != self.secret_id:
            return 400, {"errors": ["invalid role or secret ID"]}
        name = f"s.{secrets.token_hex(8)}"
        self.tokens[name] = Token(self.token_ttl, renewable=True)
        told = {"client_token": name, "lease_duration": self.token_ttl, "renewable": True}
        return 200, {"data": None, "auth": told}

    def _transit(self, method: str, path: str, body: dict[str, Any], token: Token) -> Told:
        mount, act, name = [*path.split("/"), "", ""][:3]
        named = mount == "transit" and token.key == name and act in token.acts
        if token.key != "*" and not named:
            return 403, _POLICY
        if mount != self.mount:
            said = f'no handler for route "{path}". route entry not found.'
            return 404, {"errors": [said]}
        key = self.keys.get(name)
        if act == "keys":
            return (404, {"errors": []}) if key is None else (200, {"data": key.told(name)})
        if key is None and act == "encrypt":
            key = self.keys[name] = TransitKey()  # as the real one does, where policy allows
        if key is None:
            return 400, {"errors": ["encryption key not found"]}
        return self._wrap(key, body) if act == "encrypt" else self._unwrap(key, body)

    def _wrap(self, key: TransitKey, body: dict[str, Any]) -> Told:
        nonce, version = secrets.token_bytes(12), key.newest
        plain = base64.b64decode(body["plaintext"])
        sealed = nonce + AESGCM(key.versions[version]).encrypt(nonce, plain, None)
        text = f"vault:v{version}:{base64.b64encode(sealed).decode()}"
        return 200, {"data": {"ciphertext": text, "key_version": version}}

    def _unwrap(self, key: TransitKey, body: dict[str, Any]) -> Told:
        mark, version, text = [*body["ciphertext"].split(":"), "", ""][:3]
        if mark != "vault" or not version[1:].isdigit():
            return 400, {"errors": ["invalid ciphertext: no prefix"]}
        number = int(version[1:])
        if number > key.newest:
            return 400, {"errors": ["invalid ciphertext: version is too new"]}
        if number < key.oldest:
            said = "ciphertext or signature version is disallowed by policy (too old)"
            return 400, {"errors": [said]}
        data = base64.b64decode(text)
        try:
            plain = AESGCM(key.versions[number]).decrypt(data[:12], data[12:], None)
        except (InvalidTag, ValueError):
            return 400, {"errors": ["cipher: message authentication failed"]}
        plain = secrets.token_bytes(32) if self.lies else plain
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


@contextmanager
def running(vault: SimulatedVault | None = None) -> Iterator[SimulatedVault]:
    """A simulated Vault at an address of this machine."""
    simulated = vault or SimulatedVault()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            proof = self.headers.get("X-Vault-Token", "")
            path = self.path.removeprefix("/v1/")
            status, told = simulated.answer(self.command, path, body, proof)
            content = told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _answer  # noqa: N815 - the names that http.server asks for

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    simulated.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield simulated
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
