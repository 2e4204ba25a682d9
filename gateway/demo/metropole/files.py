"""Writes the files of many communes, as an operator would: few mappings, shared by many."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gateway.catalogue.insee import COMMUNES
from gateway.demo.files import CANARY, COMMUNE, GLC, OPEN311, REST, shipped_mappings
from gateway.demo.samples import ANOMALY, SCHOOL

#: Seconds between two polls of each GRU and the identity provider, as usual.
POLL = 60

# Only the limit is shorter than in production: deliveries die within a minute.
_GATEWAY = """\
data_dir: {folder}/var
listen: {{host: 127.0.0.1, port: {port}}}
public_url: http://127.0.0.1:{port}
shutdown_grace: 3
log: {{format: json, level: info}}
retry: {{delays: [1, 2, 4], jitter: 0.1, retry_after_max: 5, limit: {limit}}}
portals:
  toodego:
    base_url: {portal}
    environment: test
    orig: gru-gateway
    key: file:{folder}/secrets/portal-key
    timeout: 5
    teleservices:
      signalement-anomalie: {{commune: fields.commune_raw}}
      inscription-scolaire: {{commune: fields.commune_raw}}
"""

_PRETENDED = """\
  fictive:
    adapter: demo
    environment: test
    poll: {poll}
    options: {{ledger: {folder}/ledgers/{insee}.json}}
"""

_ROUTES = {
    ANOMALY: "  signalement-anomalie: {{gru: {gru}, mapping: signalement-anomalie/{kind}}}\n",
    SCHOOL: "  inscription-scolaire: {{gru: education, mapping: inscription-scolaire/rest}}\n",
}
_KEY = "key: file:{folder}/secrets/{insee}-key\n"

#: No mapping is shipped for the adapter without a GRU.
_DEMO_MAPPING = """\
mapping: 1
teleservice: signalement-anomalie
adapter: demo
version: 1
description: Signalement d'une anomalie, vers une GRU qui n'existe pas.
submit:
  reference: {path: id, required: true}
  texte: {path: fields.description, rich_text: text, required: true}
amend:
  message: {texte: event.message}
statuses:
  accepted: {status: accepted, message: "Votre signalement est pris en compte."}
  done: {status: done, message: "Votre signalement est traité."}
unknown_status: park
notes: {public: when_marked}
portal: {hook: retour_commune, document_hook: document_commune}
"""
_DEMO_BENCH = """\
case: 1
formdata: formulaire.json
options: {behaviour: accept}
"""
_DEMO_CASES = """\
case: 1
cases:
  - title: Un signalement part
    expect: {portal: {hook: retour_commune, statut: transmise}}
  - title: Il est traité
    given: {status: done}
    expect:
      portal: {hook: retour_commune, statut: terminee, message: Votre signalement est traité.}
"""


class BackOffice(StrEnum):
    """The kind of GRU that serves a commune's streets."""

    OPEN311 = "open311"
    REST = "rest"
    DEMO = "demo"


@dataclass(frozen=True, slots=True)
class Member:
    """A commune of the Métropole. Those of one kind share its mapping."""

    insee: str
    name: str
    kind: BackOffice

    @property
    def forms(self) -> tuple[str, ...]:
        """The teleservices of its routes."""
        return (ANOMALY,) if self.kind is BackOffice.DEMO else (ANOMALY, SCHOOL)


def members(count: int) -> list[Member]:
    """Return the first communes of the Métropole by code; a third of each kind."""
    kinds = list(BackOffice)
    return [
        Member(insee, name, kinds[n % len(kinds)])
        for n, (insee, name) in enumerate(sorted(COMMUNES.items())[:count])
    ]


def write_gateway(folder: Path, *, port: int, portal: str, glc: str, limit: int) -> Path:
    """Write `gateway.yaml`. Return its folder. After `limit` seconds a delivery dies."""
    config = folder / "config"
    (config / "communes").mkdir(parents=True)
    (folder / "ledgers").mkdir()
    text = (_GATEWAY + GLC).format(
        folder=folder.as_posix(),
        port=port,
        portal=portal,
        glc=glc,
        poll=POLL,
        canary=CANARY,
        limit=limit,
    )
    (config / "gateway.yaml").write_text(text, "utf-8")
    return config


def write_member(folder: Path, member: Member, grus: Mapping[str, str]) -> Path:
    """Write one commune's file; `grus` has the addresses of its GRUs by adapter."""
    values = {"folder": folder.as_posix(), "insee": member.insee, "name": member.name, "poll": POLL}
    parts = [COMMUNE.format_map(values)]
    for kind, text in ((BackOffice.OPEN311, OPEN311), (BackOffice.REST, REST)):
        if kind in grus:
            own = {"url": grus[kind], "gru_key": f"{member.insee}-{kind}"}
            parts.append(text.format_map({**values, **own}))
    if member.kind is BackOffice.DEMO:
        parts.append(_PRETENDED.format_map(values))
    gru = {BackOffice.OPEN311: "voirie", BackOffice.REST: "education", BackOffice.DEMO: "fictive"}[
        member.kind
    ]
    parts.append("routes:\n")
    parts += [_ROUTES[form].format(gru=gru, kind=member.kind) for form in member.forms]
    parts.append(_KEY.format_map(values))
    path = folder / "config" / "communes" / f"{member.insee}.yaml"
    path.write_text("".join(parts), "utf-8")
    return path


def write_mappings(folder: Path) -> Path:
    """Copy the shipped mappings for editing, and write one for the demo's adapter."""
    mappings = folder / "mappings"
    shutil.copytree(shipped_mappings(), mappings)
    own = mappings / ANOMALY
    (own / "demo.yaml").write_text(_DEMO_MAPPING, "utf-8")
    cases = own / "demo.cases"
    cases.mkdir()
    (cases / "bench.yaml").write_text(_DEMO_BENCH, "utf-8")
    (cases / "1-demandes.yaml").write_text(_DEMO_CASES, "utf-8")
    return mappings


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text wherever it stands. Raises ValueError when it is nowhere."""
    text = path.read_text("utf-8")
    if old not in text:
        raise ValueError(f"{path.name} does not say {old!r}")
    path.write_text(text.replace(old, new), "utf-8")


def secrets_of(all_of_them: Sequence[Member]) -> list[str]:
    """Return the names of the communes' secret files."""
    names = ["portal-key", "glc-password"]
    for member in all_of_them:
        names.append(f"{member.insee}-key")
        names += [f"{member.insee}-{kind}" for kind in far_ends_of(member)]
    return names


def far_ends_of(member: Member) -> tuple[BackOffice, ...]:
    """Return the kinds of its GRUs that are called. The demo adapter calls none."""
    match member.kind:
        case BackOffice.OPEN311:
            return (BackOffice.OPEN311, BackOffice.REST)
        case BackOffice.REST:
            return (BackOffice.REST,)
        case BackOffice.DEMO:
            return ()
