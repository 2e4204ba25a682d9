"""Writes the sandbox's configuration as an operator would: YAML and secrets of one commune."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from gateway.demo.files import write_secrets
from gateway.sandbox.citizens import INSEE, NAME

#: Addresses at which nobody listens: the portal and GLC answer within this process.
PORTAL, GLC = "http://portail.sandbox.invalid", "http://glc.sandbox.invalid"
#: The name of the half-connector among the commune's GRUs, and its `client_id`.
GRU = "main"
CLIENT_ID = f"{INSEE}.{GRU}"
#: Files of the secrets that the vendor gets.
CLIENT, CURRENT, FORMER = "client-secret", "signing-secret", "former-signing-secret"
#: Files of the simulated far ends' secrets.
_OURS = ("portal-key", "caller-key", "glc-password")

_GATEWAY = """\
data_dir: {folder}/var
public_url: {public_url}
shutdown_grace: 1
portals:
  toodego:
    base_url: {portal}
    environment: test
    orig: gru-gateway
    key: file:{folder}/secrets/portal-key
    callers: [{{orig: toodego, key: "file:{folder}/secrets/caller-key"}}]
    timeout: 10
    report_delay: 0.1
    teleservices:
{teleservices}
glc:
  base_url: {glc}
  auth: {{username: passerelle, password: "file:{folder}/secrets/glc-password"}}
  brake: {{ratio: 1, count: 1000}}
"""
_COMMUNE = """\
commune: "{insee}"
name: {name}
portal: toodego
gru:
  {gru}:
    adapter: pivot
    environment: test
    options: {options}
routes:
{routes}
"""


@dataclass(frozen=True, slots=True)
class SandboxSecrets:
    """The secrets of the sandbox, all invented. `signing`: the current one, and the former."""

    client: str
    signing: tuple[str, str]
    portal_key: str
    caller_key: str
    glc_password: str


def sandbox_secrets(folder: Path) -> SandboxSecrets:
    """Return the secrets in `folder`; make them the first time."""
    home = folder / "secrets"
    if not (home / CLIENT).exists():
        write_secrets(folder, (*_OURS, CLIENT))
        for name in (CURRENT, FORMER):
            path = home / name
            path.touch(mode=0o600)
            path.write_text(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}", "utf-8")
    client, current, former, portal, caller, glc = (
        (home / name).read_text("utf-8").strip() for name in (CLIENT, CURRENT, FORMER, *_OURS)
    )
    return SandboxSecrets(client, (current, former), portal, caller, glc)


def write_sandbox(
    folder: Path, *, public_url: str, teleservices: Sequence[str], push: str | None
) -> Path:
    """Write `gateway.yaml` and the commune's file. Return their folder."""
    config = folder / "config"
    (config / "communes").mkdir(parents=True, exist_ok=True)
    place = folder.as_posix()
    options: dict[str, object] = {
        "mode": "mailbox" if push is None else "push",
        "client": f"file:{place}/secrets/{CLIENT}",
        "service": {"name": "Relations usagers", "email": "usagers@ville.invalid"},
    }
    if push is not None:
        signing = [f"file:{place}/secrets/{name}" for name in (CURRENT, FORMER)]
        options |= {"url": push, "signature": signing}
    forms = "\n".join(f"      {slug}: {{commune: fields.commune_raw}}" for slug in teleservices)
    routes = "\n".join(f"  {slug}: {{gru: {GRU}, mapping: {slug}/pivot}}" for slug in teleservices)
    (config / "gateway.yaml").write_text(
        _GATEWAY.format(
            folder=place, public_url=public_url, portal=PORTAL, glc=GLC, teleservices=forms
        ),
        "utf-8",
    )
    (config / "communes" / f"{INSEE}.yaml").write_text(
        _COMMUNE.format(
            insee=INSEE, name=NAME, gru=GRU, options=orjson.dumps(options).decode(), routes=routes
        ),
        "utf-8",
    )
    return config


def pivot_teleservices(mappings: Path) -> list[str]:
    """Return the teleservices with a shipped mapping to the pivot contract."""
    return sorted(path.parent.name for path in mappings.glob("*/pivot.yaml"))
