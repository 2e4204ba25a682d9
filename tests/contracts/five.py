"""Five communes on disk, as an operator has them: two share one mapping, three another."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.cli.root import app
from tests import life
from tests.command import CliRunner, Result
from tests.files import edit

SLUG = "signalement-anomalie"
#: Two of the first mapping, three of the second.
FIRST = ("69001", "69002")
SECOND = ("69003", "69004", "69005")
FIVE = (*FIRST, *SECOND)
#: Nothing listens there: port 9 of the loopback.
DEAD = "http://127.0.0.1:9"

_GATEWAY = """\
data_dir: {folder}/var
listen: {{host: 127.0.0.1, port: {port}}}
public_url: http://127.0.0.1:{port}
shutdown_grace: 2
log: {{format: json, level: info}}
portals:
  toodego:
    base_url: {portal}
    environment: test
    orig: passerelle
    key: env:FIVE_KEY
    callers: [{{orig: toodego, key: env:FIVE_KEY}}]
    teleservices:
      signalement-anomalie: {{reconcile: null}}
"""
_COMMUNE = """\
commune: "{insee}"
name: Commune fictive {insee}
portal: toodego
contacts: {{technical: dsi@exemple.invalid}}
gru:
  mairie:
    adapter: rest
    environment: test
    poll: null
    options:
      base_url: http://127.0.0.1:9/api
      auth: {{kind: bearer, token: env:FIVE_KEY}}
      create: {{path: /demandes, reference: id}}
routes:
  signalement-anomalie: {{gru: mairie, mapping: signalement-anomalie/{mapping}}}
"""
_MAPPING = """\
mapping: 1
teleservice: signalement-anomalie
adapter: rest
version: 1
tables:
  services:
    entries:
      voirie: VOIRIE
      proprete: PROPRETE
submit:
  reference: id
  service: {path: fields.categorie_raw, table: services, required: true}
  texte: fields.description
statuses:
  nouveau: accepted
  clos: {status: done, message: "C'est fait."}
portal: {hook: retour_commune}
"""
_BENCH = """\
case: 1
formdata: base.json
options:
  base_url: https://gru.exemple.invalid
  auth: {kind: bearer, token: "env:CLE"}
  create: {path: /demandes, reference: id}
answers:
  - {method: POST, path: /demandes, status: 201, json: {id: "{n}"}}
"""
_CASES = """\
case: 1
cases:
  - title: Un trou dans la chaussée
    given: {}
    expect:
      calls:
        - POST: /demandes
          json: {reference: "{reference}", service: VOIRIE, texte: Un trou}
  - title: La commune a fini
    given: {status: clos}
    expect:
      portal: {hook: retour_commune, statut: terminee, message: "C'est fait."}
"""
BASE: dict[str, Any] = {
    "id": "7",
    "api_url": f"https://portail.exemple.invalid/api/forms/{SLUG}/7/",
    "display_id": "12-7",
    "receipt_time": "2026-03-02T10:00:00",
    "user": {"name": "Zoé Fictive-Exemple", "email": "zoe@exemple.invalid"},
    "fields": {"categorie": "Voirie", "categorie_raw": "voirie", "description": "Un trou"},
    "workflow": {"status": {"id": "1", "name": "Nouveau"}, "fields": {}},
    "extra": {},
}


@dataclass(frozen=True)
class Home:
    """A configured place with its command line."""

    folder: Path
    config: Path
    mappings: Path

    @property
    def where(self) -> list[str]:
        return ["--config", str(self.config), "--mappings", str(self.mappings)]

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder}/var/gateway.db"

    def run(self, *arguments: str) -> Result:
        """The command in this process; nothing but its own exit may leave it."""
        result = CliRunner().invoke(app, [*arguments, *self.where])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    def spawn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command as a process of its own, for what sets up a process: `serve`."""
        return life.run(*arguments, *self.where)

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Return the output of a command with --json, after a check of its exit code."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, result.output
        try:
            return json.loads(result.stdout)
        except ValueError:
            raise AssertionError(result.stdout) from None

    def sign(self, commune: str, *more: str) -> Result:
        return self.run(
            *("release", "sign", commune, "--by", "Ana Inventée", "--function", "DGS"),
            *("--means", "courrier", "--date", "2026-03-02", *more),
        )

    def edit(self, file: str, old: str, new: str) -> None:
        edit(self.folder / file, old, new)

    def release_all(self) -> None:
        """All five signed, passed and active."""
        assert self.run("db", "upgrade").exit_code == 0
        for commune in FIVE:
            assert self.sign(commune).exit_code == 0
        applied = self.run("release", "apply")
        assert applied.exit_code == 0, applied.output


def build(folder: Path, portal: str = DEAD, port: int = 8701) -> Home:
    """The place; no database yet."""
    config, mappings = folder / "config", folder / "mappings"
    (config / "communes").mkdir(parents=True)
    (config / "gateway.yaml").write_text(
        _GATEWAY.format(folder=folder, portal=portal, port=port), "utf-8"
    )
    for insee in FIVE:
        mapping = "premiere" if insee in FIRST else "seconde"
        text = _COMMUNE.format(insee=insee, mapping=mapping)
        (config / "communes" / f"{insee}.yaml").write_text(text, "utf-8")
    here = mappings / SLUG
    here.mkdir(parents=True)
    (here / "base.json").write_text(json.dumps(BASE, ensure_ascii=False), "utf-8")
    for name in ("premiere", "seconde"):
        (here / f"{name}.yaml").write_text(_MAPPING, "utf-8")
        cases = here / f"{name}.cases"
        cases.mkdir()
        (cases / "bench.yaml").write_text(_BENCH, "utf-8")
        (cases / "nominal.yaml").write_text(_CASES, "utf-8")
    return Home(folder, config, mappings)


def copied(home: Home, folder: Path) -> Home:
    """The same place elsewhere, database included."""
    shutil.copytree(home.folder, folder)
    made = Home(folder, folder / "config", folder / "mappings")
    made.edit("config/gateway.yaml", str(home.folder), str(folder))
    return made
