"""A gateway with two portals and four communes, called through its ASGI application."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import respx
from fastapi import FastAPI

from adapters.pivot import PivotAdapter
from gateway.catalogue.build import build
from gateway.catalogue.catalogue import AttachmentStore
from gateway.console.opening import console_application
from gateway.core.outcome import Accepted, Finding, Found, Outcome, Refused
from gateway.core.reasons import About, Reason, Who
from gateway.core.request import EventKind
from gateway.flow.engine import Engine, open_engine
from gateway.flow.environment import Environment
from gateway.ops.metrics import Metrics
from gateway.sdk import (
    Adapter,
    Amendment,
    Capabilities,
    Change,
    Changes,
    Note,
    Options,
    Secret,
    Submission,
    WebhookCall,
)
from gateway.sdk.publik.signature import sign_url
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from gateway.web import connection
from gateway.web.application import application
from gateway.web.state import DaemonCondition
from tests.sealing import in_memory
from tests.wire.samples import sample

NOW = datetime(2026, 11, 23, 19, 7, 20, tzinfo=UTC)
BASE = "http://passerelle.exemple.invalid"
ORIG = "demarches.exemple.invalid"
MARKER = "Zoé-Fictive-MARQUEUR"
ENVIRON = {
    "PUSH_KEY": "sesame-push",
    "PUSH_PASSWORD": "sesame-é-password",
    "OUR_KEY": "sesame-ours",
    "OTHER_KEY": "sesame-other",
    "BRON_KEY": "1234",
    "VILLEURBANNE_KEY": "sesame-villeurbanne",
    "LYON_KEY": "sesame-lyon",
    "TOKEN": "sesame-token",
}
SLUGS = ("signalement-anomalie", "inscription-scolaire", "demande-stationnement", "voirie")


class MemoOptions(Options):
    token: Secret
    webhook: bool = True


class MemoAdapter(Adapter):
    """An adapter with its far end in memory, which never fails."""

    kind = "memo"
    reasons = (
        Reason("bad_signature", About.SENDER, Who.GRU, "it is not the GRU", "ce n'est pas la GRU"),
    )
    Options = MemoOptions

    def __init__(self, options: Any, context: Any) -> None:
        super().__init__(options, context)
        self.submitted: dict[str, Mapping[str, Any]] = {}
        self.amended: list[Amendment] = []
        #: Its token is looked at before the body of a call is read.
        self.by_head = False
        #: Webhooks that it works on at once, and the most of them.
        self.busy = self.busiest = 0

    @property
    def capabilities(self) -> Capabilities:
        amends = frozenset(EventKind) - {EventKind.CREATION}
        return Capabilities(find=True, amends=amends, statuses=True, webhook=self.options.webhook)

    async def check(self) -> Sequence[Note]:
        return ()

    async def submit(self, submission: Submission) -> Outcome:
        self.submitted[submission.reference] = submission.payload
        return Accepted(f"GRU-{len(self.submitted)}", "https://gru.exemple.invalid/1")

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        return Found("GRU-1")

    async def amend(self, amendment: Amendment) -> Outcome:
        self.amended.append(amendment)
        return Accepted(amendment.gru_reference)

    def proven(self, head: WebhookCall) -> bool | None:
        return self._knows(head) if self.by_head else None

    def _knows(self, hook: WebhookCall) -> bool:
        return hook.headers.get("x-token") == str(self.options.token.get_secret_value())

    async def webhook(self, hook: WebhookCall) -> Changes:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        for _ in range(200):
            await asyncio.sleep(0)  # others come in meanwhile
        self.busy -= 1
        if not self._knows(hook):
            return Changes(failure=Refused("bad_signature", "the token is wrong"))
        if hook.method == "GET":
            return Changes()
        if hook.body == b"boom":
            raise RuntimeError(f"the adapter chokes on {MARKER}")
        try:
            told = json.loads(hook.body)
            change = Change(told["key"], reference=told["reference"], status=told["status"])
        except (ValueError, KeyError, TypeError):
            return Changes(failure=Refused("unreadable", "the call is not of the agreed form"))
        return Changes([change])


GATEWAY = """\
data_dir: {data_dir}
public_url: https://passerelle.exemple.invalid/
limits: {{body_mb: 1, file_mb: 1, files: 8, depth: 20}}
portals:
  toodego:
    base_url: https://{orig}
    orig: passerelle.exemple.invalid
    key: env:OUR_KEY
    report_delay: null
    callers:
      - orig: {orig}
        key: env:PUSH_KEY
      - username: toodego
        password: env:PUSH_PASSWORD
    teleservices:
      signalement-anomalie: {{commune: fields.commune_raw}}
      inscription-scolaire: {{commune: fields.commune_raw, adopt_number: true}}
      demande-stationnement: {{commune: "to_string(abs(to_number(fields.commune_raw)))"}}
      voirie: {{}}
  autre:
    base_url: https://autre.exemple.invalid
    environment: test
    callers:
      - orig: autre.exemple.invalid
        key: env:OTHER_KEY
    teleservices:
      signalement-anomalie: {{commune: fields.commune_raw}}
"""
COMMUNE = """\
commune: "{insee}"
name: {name}
portal: {portal}
{key}
gru:
  main:
    adapter: memo
    options: {{token: env:TOKEN}}
  second:
    adapter: memo
    options: {{token: env:TOKEN, webhook: false}}
  third:
    adapter: other
    options: {{token: env:TOKEN}}
routes:
{routes}
"""
MAPPING = """\
mapping: 1
teleservice: {slug}
adapter: memo
version: 1
submit:
  title: fields.description
  ours: id
amend:
  message:
    text: event.message
  change:
    title: fields.description
statuses:
  ouvert: accepted
  clos: {{status: done, message: "C'est fait."}}
portal:
  hook: retour_commune
  words: {{received: bien_recue}}
"""


class OtherAdapter(MemoAdapter):
    kind = "other"


def bundle(data_dir: Path) -> dict[str, str]:
    """Return the files of the configuration."""

    def commune(insee: str, name: str, portal: str, key: str, *slugs: str) -> str:
        routes = "\n".join(f"  {s}: {{gru: main, mapping: {s}/memo}}" for s in slugs)
        key = f"key: env:{key}" if key else ""
        return COMMUNE.format(insee=insee, name=name, portal=portal, key=key, routes=routes)

    mappings = {f"mappings/{s}/memo.yaml": MAPPING.format(slug=s) for s in SLUGS}
    return mappings | {
        "config/gateway.yaml": GATEWAY.format(data_dir=data_dir, orig=ORIG),
        "config/communes/bron.yaml": commune(
            "69029", "Bron", "toodego", "BRON_KEY", "signalement-anomalie", "voirie"
        ),
        "config/communes/villeurbanne.yaml": commune(
            "69266", "Villeurbanne", "toodego", "VILLEURBANNE_KEY", *SLUGS[:3]
        ),
        "config/communes/vaulx.yaml": commune(
            "69256", "Vaulx-en-Velin", "toodego", "", "demande-stationnement"
        ),
        "config/communes/lyon.yaml": commune(
            "69123", "Lyon", "autre", "LYON_KEY", "signalement-anomalie"
        )
        + 'codes: ["69381", "69383", "69389"]\n',
    }


@dataclass
class Gateway:
    """A gateway under test. `now` is its clock; set it at will."""

    engine: Engine
    database: Database
    client: httpx.AsyncClient
    portal: respx.MockRouter
    condition: DaemonCondition
    clock: list[datetime]
    app: FastAPI
    nonces: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)

    def advance(self, **by: float) -> None:
        self.clock[0] += timedelta(**by)

    def signed(
        self,
        path: str,
        *,
        key: str = "sesame-push",
        orig: str | None = ORIG,
        nonce: str | None = None,
        late: float = 0,
    ) -> str:
        """Sign a path as a portal does, with a new nonce each time."""
        self.nonces.append(nonce or f"nonce{len(self.nonces):026}")
        now = self.clock[0] - timedelta(seconds=late)
        url = sign_url(BASE + path, key, orig=orig, now=now, nonce=self.nonces[-1])
        return url.removeprefix(BASE)

    async def push(self, formdata: Any, path: str | None = None, **signing: Any) -> httpx.Response:
        path = path or requests_path("69029", "signalement-anomalie")
        return await self.client.post(self.signed(path, **signing), json=formdata)

    async def get(self, path: str, **signing: Any) -> httpx.Response:
        return await self.client.get(self.signed(path, **signing))

    def memo(self, lane: str = "gru:69029:main") -> MemoAdapter:
        adapter = self.engine.adapters[lane]
        assert isinstance(adapter, MemoAdapter)
        return adapter


def requests_path(insee: str | None, slug: str) -> str:
    """Return the path to which requests are pushed."""
    commune = f"/communes/{insee}" if insee else ""
    return f"/portal/v1{commune}/teleservices/{slug}/requests"


def basic(username: str, password: str) -> dict[str, str]:
    credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


BASIC = basic("toodego", ENVIRON["PUSH_PASSWORD"])


def small(ref: str = "7", **changes: Any) -> dict[str, Any]:
    """Return a formdata without files, for Bron."""
    value: dict[str, Any] = {
        "id": ref,
        "fields": {"commune_raw": "69029", "description": "Un nid de poule"},
        "user": {"name": MARKER, "email": "zoe@exemple.invalid"},
    }
    return value | changes


def anomaly() -> dict[str, Any]:
    return from_here(sample("signalement-anomalie"))


def from_here(formdata: dict[str, Any]) -> dict[str, Any]:
    """Return a sample as the harness's portal writes it."""
    text = json.dumps(formdata)
    for elsewhere in ("https://demarches-toodego.example.org", "http://127.0.0.1:8490"):
        text = text.replace(elsewhere, f"https://{ORIG}")
    value: dict[str, Any] = json.loads(text)
    return value


@asynccontextmanager
async def gateway(
    folder: Path,
    template: Path | None = None,
    attachments: AttachmentStore | None = None,
    *,
    files: Mapping[str, str] | None = None,
    environ: Mapping[str, str] = ENVIRON,
    database_url: str | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway over the SQLite database in `folder`, which keeps its data between two runs.

    `files`: another configuration than `bundle`'s. `database_url`: another database, with its
    schema.
    """
    path = folder / "gateway.db"
    url = database_url or f"sqlite:///{path}"
    if database_url is None and not path.exists() and template is not None:
        shutil.copy(template, path)
    elif database_url is None:
        upgrade(url)
    catalogue = build(
        files or bundle(folder),
        environ=environ,
        adapters={"memo": MemoAdapter, "other": OtherAdapter, "pivot": PivotAdapter},
    )
    settings = dataclasses.replace(catalogue.settings, attachments=attachments)
    catalogue = dataclasses.replace(catalogue, settings=settings)
    clock = [NOW]
    portal = respx.MockRouter(assert_all_called=False)
    far = httpx.MockTransport(portal.async_handler)
    database = Database(url, in_memory(url))
    try:
        started = time.monotonic()
        environment = Environment(
            now=lambda: clock[0],
            monotonic=lambda: time.monotonic() - started + (clock[0] - NOW).total_seconds(),
        )
        condition = DaemonCondition(ready=True, started_at=clock[0])
        metrics = Metrics(condition.stalls, connection.refused)
        async with open_engine(
            catalogue,
            database,
            environment=environment,
            transport=lambda lane: far,
            observer=metrics,
        ) as engine:
            app = (
                application(engine, condition, metrics)
                if engine.console is None
                else console_application(engine, engine.console, condition, metrics)
            )
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
                yield Gateway(engine, database, client, portal, condition, clock, app)
    finally:
        database.close()
