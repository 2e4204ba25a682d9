"""The attacks of the hostile scenario: by far ends, by strangers, and by senders with a key."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.demo import bad_answers as bad
from gateway.demo.calls import CallResult, call, hold_open, repeated, signed
from gateway.demo.samples import ANOMALY, SCHOOL
from gateway.demo.stage import BRON, VILLEURBANNE, Stage, intake, webhook
from gateway.sim.faults import FaultCondition
from gateway.sim.formdata import SimulatedFormdata

MIB = 1 << 20
#: Seconds after which a connection must be closed that sends its head a byte a second.
PATIENT = 20.0
#: The status of a call that never ended.
NEVER = 599

Attack = Callable[["Ground"], Awaitable[Iterable[CallResult]]]


@dataclass(slots=True)
class Ground:
    """The targets of the attacks, and their results. `scale` is 1 at full size; `said` holds all
    answers."""

    stage: Stage
    scale: float
    victims: list[SimulatedFormdata]
    elsewhere: str
    attacks: int = 0
    said: list[CallResult] = field(default_factory=list)

    def size(self, full: int) -> int:
        return max(1, int(full * self.scale))

    def push_url(self, insee: str, slug: str) -> str:
        return intake(self.stage.url, insee, slug)

    async def push(
        self, document: Any, *, key: str | None = None, slug: str = ANOMALY
    ) -> CallResult:
        """Push as the portal, or as Villeurbanne with its own key."""
        stage, insee = self.stage, BRON if slug == ANOMALY else VILLEURBANNE
        orig: str | None = "toodego"
        if key is not None:
            insee, orig = VILLEURBANNE, None
        body = document if isinstance(document, bytes) else orjson.dumps(document)
        url = signed(self.push_url(insee, slug), key or stage.caller_key, orig)
        return await call(url, [body], size=len(body))


# --- the far ends -------------------------------------------------------------------------------


def arm(ground: Ground) -> None:
    """Give the GRUs, the identity provider and the portal a harmful answer from time to time."""
    stage, size = ground.stage, ground.size
    moved = bad.page(307, b"", (b"location", f"{ground.elsewhere}/vol".encode()))
    creations = (
        bad.bomb(size(1000)),
        bad.page(500, b"@" * 16_000),
        bad.page(200, b"", (b"location", "http://é/".encode("latin-1"))),
        bad.flood(size(300)),
        moved,
        bad.nested(200_000),
        bad.page(503, b"", (b"retry-after", b"9" * 40)),
    )
    lists = (
        bad.rows(size(1_500_000)),
        bad.bomb(size(1000)),
        bad.drip(0.5),
        bad.flood(size(300)),
        bad.page(502, b"<p>" + b"<a " * 20_000),
        bad.page(200, b" " * size(4 * MIB) + b"<", (b"content-type", b"text/xml; charset=\xe9")),
        moved,
    )
    tickets = bad.rows(size(1_500_000), b'{"tickets":[', b"{}", b"]}")
    for gru, making, path in (
        (stage.bron, "/requests", "/requests"),
        (stage.villeurbanne, "/api/tickets", "/api/tickets"),
    ):
        for n, answer in enumerate(creations):
            done = n % 2 == 0
            gru.faults.say(answer, FaultCondition(making, "POST", after=2 * n, first=1), done=done)
            ground.attacks += 1
        mine = lists if gru is stage.bron else (tickets, *lists[1:])
        for n, answer in enumerate(mine):
            gru.faults.say(answer, FaultCondition(path, "GET", after=2 * n + 1, first=1))
            ground.attacks += 1
    for n, answer in enumerate((lists[3], lists[1], lists[2], creations[2])):
        stage.glc.faults.say(answer, FaultCondition(after=2 * n, first=1))
        stage.portal.faults.say(
            answer,
            FaultCondition(f"/api/forms/{ANOMALY}/", "POST", after=3 * n, first=1),
            done=n % 2 == 0,
        )
        ground.attacks += 2


# --- strangers ----------------------------------------------------------------------------------


async def _unsigned_bodies(ground: Ground) -> Iterable[CallResult]:
    """Send bodies of 39 MB without proof to a webhook, fifty at once."""
    size = ground.size(39 * MIB)
    hook = webhook(ground.stage.url, VILLEURBANNE, "education")
    calls = (call(hook, repeated(b"x", size), size=size) for _ in range(50))
    return await asyncio.gather(*calls)


async def _endless_head(ground: Ground) -> Iterable[CallResult]:
    """Send one header of 150 MB to a probe's address."""
    size = ground.size(150 * MIB)
    live = f"{ground.stage.url}/ops/live"
    return [await call(live, method="GET", head=[b"X: ", *repeated(b"a", size), b"\r\n"])]


async def _slow_heads(ground: Ground) -> Iterable[CallResult]:
    """Open four hundred connections that send a head a byte a second."""
    holds = (hold_open(ground.stage.url, PATIENT) for _ in range(ground.size(400)))
    closed = await asyncio.gather(*holds)
    return [CallResult(0 if one else NEVER) for one in closed]


async def _junk(ground: Ground) -> Iterable[CallResult]:
    """Send invalid methods, paths, queries and bodies, without proof."""
    base, long = ground.stage.url, "a" * 8_000
    paths = ("/%00", "/ops/communes/%2e%2e", f"/portal/v1/{long}", "/?" + "&".join(["a=b"] * 2000))
    said = [await call(base + path, method="GET") for path in paths]
    for slug in (ANOMALY, "x" * 500):
        for query in ("?signature=x", "?orig=toodego&signature=" + "A" * 4000, "?algo=md5"):
            said.append(await call(ground.push_url(BRON, slug) + query, [b"{}"], size=2))
    said.append(await call(base, method="A" * 3000))
    said.append(await call(f"{base}/ops/live", [b"\xff" * 100], size=10))
    return said


# --- senders with a key ---------------------------------------------------------------------------


async def _lists_of_nothing(ground: Ground) -> Iterable[CallResult]:
    """Send 80 MB of empty lists, signed."""
    size = ground.size(80 * MIB) // 3 * 3 + 4
    url = signed(ground.push_url(BRON, ANOMALY), ground.stage.caller_key, "toodego")
    body = [b"[", *repeated(b"[],", size - 4), b"[]]"]
    return [await call(url, body, size=size)]


async def _large_webhooks(ground: Ground) -> Iterable[CallResult]:
    """Send twelve signed webhooks of 9 MB at once."""
    size = 9 * ground.scale
    return await asyncio.gather(*[large_webhook(ground.stage, size) for _ in range(12)])


async def large_webhook(stage: Stage, mib: float) -> CallResult:
    """Send a signed webhook for Villeurbanne with many comments."""
    row, text = b'{"id":%d,"internal":false,"text":"%b"}', b"Un nid de poule. " * 12
    rows = b",".join(row % (n, text) for n in range(int(mib * MIB) // 245))
    body = b'{"ticket":{"id":1,"status":"open","comments":[' + rows + b"]}}"
    mac = hmac.new(stage.villeurbanne.webhook_key.encode(), body, hashlib.sha256).hexdigest()
    hook = webhook(stage.url, VILLEURBANNE, "education")
    headers = {"X-Hub-Signature-256": f"sha256={mac}"}
    return await call(hook, [body], size=len(body), headers=headers)


async def _odd_formdata(ground: Ground) -> Iterable[CallResult]:
    """Push formdata with wrong types, with characters that databases refuse, and with our own
    marks."""
    said = []
    odd: tuple[dict[str, Any], ...] = (
        {"fields": {"file": 99}},
        {"fields": {"commune_raw": BRON, "x": {"file": 99}}},
        {"uuid": "a\x00b"},
        {"display_id": "37-\x00"},
        {"api_url": f"{ground.stage.portal.base_url}/api/forms/{ANOMALY}/\x00/"},
        {"user": {"name": "Z", "NameID": ["\x00" * 3]}},
        {"api_url": f"{ground.elsewhere}/api/forms/{ANOMALY}/1/"},
        {"api_url": "http://169.254.169.254/latest/meta-data/"},
        {"id": "x" * 300},
        {"id": 10**18},
        {"evolution": [{}] * 50_000},
        {"receipt_time": "9" * 5000},
        {"workflow": []},
        {"actions": {"global-action:x": f"{ground.elsewhere}/vol"}},
    )
    for n, changes in enumerate(odd):
        document = _document(ground, f"{7000 + n}") | changes
        said.append(await ground.push(document))
    for raw in (
        b"",
        b"{",
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b"1e999999",
        b"1" * 5000,
        b'"\\ud800"',
    ):
        said.append(await ground.push(raw))
    return said


async def _for_another(ground: Ground) -> Iterable[CallResult]:
    """Name Bron's requests, documents and addresses with Villeurbanne's key."""
    base, key = ground.stage.portal.base_url, ground.stage.commune_key
    said = []
    for n, victim in enumerate(ground.victims):
        theirs: dict[str, Any] = victim.document(base, push=True)
        ours = theirs["fields"] | {"commune_raw": VILLEURBANNE, "photo": None}
        api_url = victim.api_url(base)
        own = f"{8000 + n}"
        for changes in (
            {"id": own, "api_url": api_url},
            {"id": own, "api_url": api_url.replace(ANOMALY, SCHOOL)},
            {"id": own, "api_url": f"{base}/api/users/1/hooks/x/"},
            {"id": own, "api_url": f"{api_url}../../../users/1/hooks/x"},
            {"id": own, "fields": ours | {"photo": file_of(victim, base)}},
            {},
        ):
            said.append(await ground.push(theirs | {"fields": ours} | changes, key=key))
    return said


def file_of(victim: SimulatedFormdata, base: str) -> dict[str, Any]:
    """Return the address of the victim's document, as the portal's lists give it."""
    shown: dict[str, Any] = victim.document(base, files=False)
    photo: dict[str, Any] = shown["fields"]["photo"]
    return photo


def _document(ground: Ground, id_: str) -> dict[str, Any]:
    base = ground.stage.portal.base_url
    document: dict[str, Any] = ground.victims[0].document(base, push=True)
    api_url = f"{base}/api/forms/{ANOMALY}/{id_}/"
    return document | {"id": id_, "api_url": api_url, "uuid": f"hostile-{id_}"}


ATTACKS: tuple[Attack, ...] = (
    _unsigned_bodies,
    _endless_head,
    _slow_heads,
    _junk,
    _lists_of_nothing,
    _large_webhooks,
    _odd_formdata,
    _for_another,
)
