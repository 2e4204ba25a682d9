"""The configuration that the demo writes, as an operator would: YAML, and secrets in files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import gateway
from gateway.core.errors import GatewayError

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

#: An account that always exists at the simulated GLC. It sorts before all others.
CANARY = "00000000000000000000000000c0ffee"

# The brake is looser than in production, where more than a handful of people are known.
_GLC = """\
glc:
  base_url: {glc}
  source: synchronization
  auth: {{username: passerelle, password: "file:{folder}/secrets/glc-password"}}
  poll: 1
  timeout: 5
  canary: "{canary}"
  confirm_after: 3
  brake: {{ratio: 0.2}}
"""

_BRON = """\
commune: "69029"
name: Bron
portal: toodego
gru:
  voirie:
    adapter: open311
    environment: test
    timeout: 5
    lane: {{concurrency: 3}}
    poll: 1
    options:
      endpoint: {bron}
      api_key: file:{folder}/secrets/open311-key
      format: json
      media: multipart
      find: by_attribute
      paging: {{rows: 100}}
      public_notes: true
      service_codes: [DS01, VO01, EC01]
routes:
  signalement-anomalie: {{gru: voirie, mapping: signalement-anomalie/open311}}
"""

_VILLEURBANNE = """\
commune: "69266"
name: Villeurbanne
portal: toodego
gru:
  education:
    adapter: rest
    environment: test
    timeout: 5
    lane: {{concurrency: 3}}
    poll: 1
    options:
      base_url: {villeurbanne}
      auth:
        kind: header
        name: X-Api-Key
        value: file:{folder}/secrets/ticketing-token
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
      webhook:
        verify:
          kind: hmac-sha256
          header: X-Hub-Signature-256
          prefix: "sha256="
          secret: file:{folder}/secrets/webhook-key
        items: "[ticket]"
        item: *ticket
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
    """Where everybody listens: bare URLs, and the port of the daemon."""

    portal: str
    bron: str
    villeurbanne: str
    port: int
    #: Empty: GLC is not followed.
    glc: str = ""


def write_secrets(folder: Path) -> Mapping[str, str]:
    """Random secrets, each in a file that only this user can read; by file name."""
    home = folder / "secrets"
    home.mkdir(mode=0o700)
    made = {name: secrets.token_urlsafe(24) for name in SECRETS}
    for name, value in made.items():
        path = home / name
        path.touch(mode=0o600)
        path.write_text(value, "utf-8")
    return made


def write_configuration(folder: Path, addresses: Addresses, *, shared: bool = False) -> Path:
    """`gateway.yaml` and the two communes' files; the folder that holds them.

    `shared`: Villeurbanne takes the form of Bron as well, and has a key of its own.
    """
    config = folder / "config"
    (config / "communes").mkdir(parents=True)
    values = {
        "folder": folder.as_posix(),
        "portal": addresses.portal,
        "bron": addresses.bron,
        "villeurbanne": addresses.villeurbanne,
        "port": addresses.port,
        "glc": addresses.glc,
        "canary": CANARY,
    }
    for name, text in (
        ("gateway.yaml", _GATEWAY + (_GLC if addresses.glc else "")),
        ("communes/69029-bron.yaml", _BRON),
        ("communes/69266-villeurbanne.yaml", _VILLEURBANNE + (_SHARED if shared else "")),
    ):
        (config / name).write_text(text.format_map(values), "utf-8")
    return config


def shipped_mappings() -> Path:
    """The folder of the mappings: here, or beside the installed package.

    Raises GatewayError when there is none.
    """
    package = Path(gateway.__file__).parent
    for folder in (Path("mappings"), package.parent / "mappings"):
        if (folder / "signalement-anomalie" / "open311.yaml").is_file():
            return folder.resolve()
    raise GatewayError(
        "the shipped mappings are not here: run the demo from the project's folder,"
        " where mappings/ lies"
    )
