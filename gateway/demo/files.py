"""Writes the configuration of the demo, as an operator would: YAML, and secrets in files."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import gateway
from gateway.core.errors import GatewayError
from gateway.demo.texts import say

#: The secrets that the two halves of the demo share, by file name.
SECRETS = (
    "portal-key",
    "caller-key",
    "open311-key",
    "ticketing-token",
    "webhook-key",
    "glc-password",
    "villeurbanne-key",
)

_GATEWAY = """\
data_dir: {folder}/var
listen: {{host: 127.0.0.1, port: {port}}}
public_url: http://127.0.0.1:{port}
shutdown_grace: 3
log: {{format: console, level: error}}
# Short, so that a demonstration shows within a minute what takes hours in production.
retry: {{delays: [1, 2, 4], jitter: 0.1, retry_after_max: 5, limit: 10m}}
portals:
  toodego:
    base_url: {portal}
    environment: test
    orig: gru-gateway
    key: file:{folder}/secrets/portal-key
    callers: [{{orig: toodego, key: "file:{folder}/secrets/caller-key"}}]
    timeout: 5
    report_delay: 0.2
    lane: {{concurrency: 3}}
    teleservices:
      signalement-anomalie: {{commune: fields.commune_raw}}
      inscription-scolaire: {{commune: fields.commune_raw}}
"""

_CONSOLE = "console: {{}}\n"
#: An account that always exists at the simulated GLC, and sorts before all others.
CANARY = "00000000000000000000000000c0ffee"

# The brake is looser than in production, where more people are known.
GLC = """\
glc:
  base_url: {glc}
  source: synchronization
  auth: {{username: passerelle, password: "file:{folder}/secrets/glc-password"}}
  poll: {poll}
  timeout: 5
  canary: "{canary}"
  confirm_after: 3
  brake: {{ratio: 0.2}}
"""

#: The beginning of a commune's file; its GRUs and routes follow.
COMMUNE = """\
commune: "{insee}"
name: {name}
portal: toodego
gru:
"""

#: An Open311 GRU at `url`; `gru_key` names the file of its secret.
OPEN311 = """\
  voirie:
    adapter: open311
    environment: test
    timeout: 5
    lane: {{concurrency: 3}}
    poll: {poll}
    options:
      endpoint: {url}
      api_key: file:{folder}/secrets/{gru_key}
      format: json
      media: multipart
      find: by_attribute
      paging: {{rows: 100}}
      public_notes: true
      service_codes: [DS01, VO01, EC01]
"""

#: A GRU with a REST interface of its own.
REST = """\
  education:
    adapter: rest
    environment: test
    timeout: 5
    lane: {{concurrency: 3}}
    poll: {poll}
    options:
      base_url: {url}
      auth:
        kind: header
        name: X-Api-Key
        value: file:{folder}/secrets/{gru_key}
      check: {{path: /api/tickets, query: {{per_page: 1}}}}
      create:
        path: /api/tickets
        body: "=merge(payload, {{external_id: reference, uploads: files[].{{token: token}}}})"
        reference: ticket.id
        success: [201]
      files:
        mode: first
        upload:
          path: /api/uploads
          query: {{filename: "=file.name"}}
          token: upload.token
      amend:
        message: &amend
          path: "/api/tickets/{{gru_reference}}/comments"
          body: {{text: "=payload.body", external_id: "=event.key"}}
          find:
            path: "/api/tickets/{{gru_reference}}"
            list: ticket.comments
            match: external_id
            strays: ignore
        change: *amend
        cancellation: *amend
      find:
        path: /api/tickets
        query: {{external_id: "=reference"}}
        list: tickets
        match: external_id
        reference: id
      erase: {{path: "/api/tickets/{{gru_reference}}/person", answer: any}}
      errors:
        - {{status: 422, outcome: refused, reason: invalid}}
      statuses:
        path: /api/tickets
        query: {{updated_since: "=since"}}
        list: tickets
        paging: {{style: page, param: page, size_param: per_page, size: 100}}
        overlap: 30
        item: &ticket
          gru_reference: id
          reference: external_id
          status: status
          at: {{value: updated_at}}
          key: updated_at
          notes:
            list: "comments[?author=='agent']"
            message: text
            internal: internal
            key: id
            at: {{value: created_at}}
"""

_WEBHOOK = """\
      webhook:
        verify:
          kind: hmac-sha256
          header: X-Hub-Signature-256
          prefix: "sha256="
          secret: file:{folder}/secrets/webhook-key
        items: "[ticket]"
        item: *ticket
"""

_BRON_ROUTES = """\
routes:
  signalement-anomalie: {{gru: voirie, mapping: signalement-anomalie/open311}}
"""
_VILLEURBANNE_ROUTES = """\
routes:
  inscription-scolaire: {{gru: education, mapping: inscription-scolaire/rest}}
"""
#: A second commune for a form, with a key of its own.
_SHARED = """\
  signalement-anomalie: {{gru: education, mapping: signalement-anomalie/rest}}
key: file:{folder}/secrets/villeurbanne-key
"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """The base URLs of all far ends, and the port of the daemon."""

    portal: str
    bron: str
    villeurbanne: str
    port: int
    #: Empty: GLC is not followed.
    glc: str = ""


def write_secrets(folder: Path, names: Iterable[str] = SECRETS) -> dict[str, str]:
    """Write random secrets, each in a private file. Return them by file name."""
    home = folder / "secrets"
    home.mkdir(mode=0o700, exist_ok=True)
    made = {name: secrets.token_urlsafe(24) for name in names}
    for name, value in made.items():
        path = home / name
        path.touch(mode=0o600)
        path.write_text(value, "utf-8")
    return made


def write_configuration(
    folder: Path, addresses: Addresses, *, shared: bool = False, console: bool = False
) -> Path:
    """Write `gateway.yaml` and the two communes' files. Return their folder.

    `shared`: Villeurbanne has Bron's form too, and a key of its own. `console`: there is one.
    """
    config = folder / "config"
    (config / "communes").mkdir(parents=True)
    values: dict[str, object] = {
        "folder": folder.as_posix(),
        "portal": addresses.portal,
        "port": addresses.port,
        "glc": addresses.glc,
        "canary": CANARY,
        "poll": 1,
    }
    bron = {"insee": "69029", "name": "Bron", "url": addresses.bron, "gru_key": "open311-key"}
    villeurbanne = {
        "insee": "69266",
        "name": "Villeurbanne",
        "url": addresses.villeurbanne,
        "gru_key": "ticketing-token",
    }
    routes = _VILLEURBANNE_ROUTES + (_SHARED if shared else "")
    settings = _GATEWAY + (GLC if addresses.glc else "") + (_CONSOLE if console else "")
    for name, text, own in (
        ("gateway.yaml", settings, {}),
        ("communes/69029-bron.yaml", COMMUNE + OPEN311 + _BRON_ROUTES, bron),
        (
            "communes/69266-villeurbanne.yaml",
            COMMUNE + REST + _WEBHOOK + routes,
            villeurbanne,
        ),
    ):
        (config / name).write_text(text.format_map({**values, **own}), "utf-8")
    return config


def shipped_mappings() -> Path:
    """Return the folder of the mappings, in the project or beside the installed package. Raises
    GatewayError when there is none."""
    package = Path(gateway.__file__).parent
    for folder in (Path("mappings"), package.parent / "mappings"):
        if (folder / "signalement-anomalie" / "open311.yaml").is_file():
            return folder.resolve()
    raise GatewayError(say("no_mappings"))
