"""Calls whose answers were recorded on a real OpenBao 2.7.2, and are asked of the simulated one.

    bao server -dev -dev-root-token-id=root -dev-listen-address=127.0.0.1:8200
    python -m tests.wire.vault_acts http://127.0.0.1:8200

writes `vault_seen.json`: of each answer its status, and the names of what is in it.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

SEEN = Path(__file__).with_name("vault_seen.json")
#: Makes a call: method, path, body, token.
Call = Callable[[str, str, Any, str], tuple[int, Any]]
POLICY = "".join(
    f'path "transit/{act}/gru" {{ capabilities = ["{what}"] }} '
    for act, what in (("encrypt", "update"), ("decrypt", "update"), ("keys", "read"))
)


def play(call: Call, token: str, short: str, role: tuple[str, str]) -> dict[str, Any]:
    """Make the calls of a gateway; return what came of each. `token` may use the key gru alone,
    `short` has ended."""
    seen: dict[str, Any] = {}

    def ask(name: str, method: str, path: str, body: Any = None, proof: str = token) -> Any:
        status, told = call(method, path, body, proof)
        seen[name] = {"status": status, "told": _shape(told)}
        return told

    plain = base64.b64encode(bytes(range(32))).decode()
    ask("facts", "GET", "transit/keys/gru")
    wrapped = ask("wrap", "POST", "transit/encrypt/gru", {"plaintext": plain})["data"]["ciphertext"]
    opened = ask("unwrap", "POST", "transit/decrypt/gru", {"ciphertext": wrapped})
    assert opened["data"]["plaintext"] == plain
    altered = wrapped[:20] + ("A" if wrapped[20] != "A" else "B") + wrapped[21:]
    for name, text in (
        ("altered", altered),
        ("odd", "odd"),
        ("newer", wrapped.replace("v1", "v7")),
    ):
        ask(name, "POST", "transit/decrypt/gru", {"ciphertext": text})
    ask("other_key", "POST", "transit/encrypt/other", {"plaintext": plain})
    ask("other_facts", "GET", "transit/keys/other")
    ask("other_mount", "POST", "elsewhere/decrypt/gru", {"ciphertext": wrapped})
    ask("no_key", "POST", "transit/decrypt/none", {"ciphertext": wrapped}, "root")
    ask("no_facts", "GET", "transit/keys/none", None, "root")
    ask("no_mount", "GET", "elsewhere/keys/gru", None, "root")
    ask("made", "POST", "transit/encrypt/unasked", {"plaintext": plain}, "root")
    ask("self", "GET", "auth/token/lookup-self")
    ask("renewed", "POST", "auth/token/renew-self", {})
    for name, proof in (("bad", "bad"), ("ended", short)):
        ask(f"{name}_self", "GET", "auth/token/lookup-self", None, proof)
        ask(f"{name}_wrap", "POST", "transit/encrypt/gru", {"plaintext": plain}, proof)
    role_id, secret_id = role
    path = "auth/approle/login"
    ask("login", "POST", path, {"role_id": role_id, "secret_id": secret_id}, "")
    ask("login_refused", "POST", path, {"role_id": role_id, "secret_id": "x"}, "")
    return seen


def play_sealed(call: Call) -> dict[str, Any]:
    """The same of one that is sealed."""
    found = {
        "sealed_wrap": call("POST", "transit/encrypt/gru", {"plaintext": ""}, "root"),
        "sealed_self": call("GET", "auth/token/lookup-self", None, "root"),
        "sealed_login": call("POST", "auth/approle/login", {"role_id": "x"}, ""),
        "sealed_status": call("GET", "sys/seal-status", None, ""),
    }
    return {name: {"status": one[0], "told": _shape(one[1])} for name, one in found.items()}


def _shape(told: Any) -> Any:
    """Return the parts of it that a client reads, and whether it says an error."""
    if not isinstance(told, dict):
        return type(told).__name__
    shape: dict[str, Any] = {}
    for part in ("data", "auth"):
        if isinstance(told.get(part), dict):
            shape[part] = sorted(told[part].keys() & _READ)
    if "errors" in told:
        shape["errors"] = bool(told["errors"])
    if "sealed" in told:
        shape["sealed"] = told["sealed"]
    return shape


#: The fields that `gateway.wire.vault` reads.
_READ = {
    "ciphertext", "plaintext", "latest_version", "min_decryption_version", "exportable",
    "allow_plaintext_backup", "deletion_allowed", "supports_encryption", "derived", "ttl",
    "creation_ttl", "renewable", "client_token", "lease_duration",
}  # fmt: skip


def _record(url: str) -> None:
    with httpx.Client(base_url=f"{url}/v1/", trust_env=False) as client:

        def call(method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
            headers = {"X-Vault-Token": token} if token else {}
            answer = client.request(method, path, json=body, headers=headers)
            return answer.status_code, answer.json() if answer.content else {}

        def root(path: str, body: Any = None, method: str = "POST") -> Any:
            return call(method, path, body, "root")[1]

        root("sys/mounts/transit", {"type": "transit"})
        root("transit/keys/gru", {})
        root("sys/policies/acl/gru", {"policy": POLICY}, "PUT")
        root("sys/auth/approle", {"type": "approle"})
        root("auth/approle/role/gru", {"token_policies": ["gru"], "token_ttl": "20m"})
        role = root("auth/approle/role/gru/role-id", None, "GET")["data"]["role_id"]
        secret = root("auth/approle/role/gru/secret-id")["data"]["secret_id"]
        make = "auth/token/create"
        token = root(make, {"policies": ["gru"], "ttl": "1h"})["auth"]["client_token"]
        short = root(make, {"policies": ["gru"], "ttl": "1h"})["auth"]["client_token"]
        root("auth/token/revoke", {"token": short})
        seen = play(call, token, short, (role, secret))
        root("sys/seal", None, "PUT")
        seen |= play_sealed(call)
        version = call("GET", "sys/seal-status", None, "")[1]["version"]
    SEEN.write_text(json.dumps({"of": f"OpenBao {version}", "seen": seen}, indent=1) + "\n")


if __name__ == "__main__":
    _record(sys.argv[1])
