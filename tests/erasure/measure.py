"""`python -m tests.erasure.measure`: 100,000 known accounts, and each of the three sources.

The provider runs in a process of its own; memory is this process's.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from sqlalchemy import insert

from gateway.catalogue.catalogue import Settings
from gateway.catalogue.glc import BrakeEntry, DeletionsEntry
from gateway.core.erasure import Brake
from gateway.flow.environment import Environment
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.identity import IdentityWatch, identity_source
from gateway.flow.identity_events import IdentityEvents
from gateway.store import erasures
from gateway.store.engine import Database
from gateway.store.schema import upgrade
from gateway.store.tables import REQUEST
from gateway.wire.clients import open_client
from gateway.wire.security_events import ACCOUNT_PURGED, KeySource
from tests.erasure.conftest import glc
from tests.erasure.following import CANARY, uuid
from tests.erasure.test_events import AUDIENCE, ISSUER, RSA, SHAPE, token
from tests.flow.rig import catalogue

BRAKE = BrakeEntry().brake()


def peak() -> float:
    """Largest resident size so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(connection: Any, count: int) -> None:
    now = Environment().now()
    for start in range(0, count, 10_000):
        rows = [
            {
                "id": f"TDG-{n:016}",
                "portal": "toodego",
                "commune": "69029",
                "teleservice": "signalement-anomalie",
                "ref": str(n),
                "account": uuid(n),
                "digest": "",
                "gru": "outil",
                "status": "transmitted",
                "status_at": now,
                "received_at": now,
                "submitted_at": now,
            }
            for n in range(start, min(start + 10_000, count))
        ]
        connection.execute(insert(REQUEST), rows)


async def measure(count: int, folder: Path, source: str) -> list[dict[str, Any]]:
    """One run each: nobody gone, three gone, all gone; of events, three that are pushed."""
    url = f"sqlite:///{folder / 'gateway.db'}"
    upgrade(url)
    database = Database(url)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway.sim", "glc", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    base = (await process.stdout.readline()).decode().strip()
    try:
        await database.write(fill, count)
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as control:
            accounts = [CANARY, *(uuid(n) for n in range(count))]
            await control.post("/_sim/create", json={"uuids": accounts})
            del accounts
            if source == "events":
                return [await _pushed(n, database, folder) for n in range(3)]
            settings: Settings = dataclasses.replace(
                catalogue().settings,
                data_dir=folder,
                erasure_key=SecretStr("une-clef-inventee-pour-mesurer"),
            )
            found = []
            for what, gone, brake in (
                ("nobody gone", 0, BRAKE),
                ("3 gone", 3, BRAKE),
                ("all but the canary gone: held", count, BRAKE),
            ):
                if gone:
                    await control.post("/_sim/delete", json={"uuids": _of(gone, count)})
                found.append(await _run(what, base, database, settings, brake, source))
            return found
    finally:
        process.terminate()
        await process.wait()
        database.close()


def _of(gone: int, count: int) -> list[str]:
    return [uuid(n) for n in range(3)] if gone == 3 else [uuid(n) for n in range(3, count)]


async def _run(
    what: str, base: str, database: Database, settings: Settings, brake: Brake, source: str
) -> dict[str, Any]:
    environment = Environment()
    shape = DeletionsEntry(params={"limit": "100"}).shape()
    config = glc(source, base_url=base, brake=brake, deletions=shape)
    before, begun, used = peak(), time.monotonic(), time.process_time()
    async with open_client(timeout=20, connections=1) as client:
        watch = IdentityWatch(
            database,
            config,
            identity_source(config, client, environment),
            AccountHasher(settings),
            environment,
        )
        poll = await watch.poll()
    return {
        "source": source,
        "run": what,
        "known": poll.known,
        "gone": poll.gone,
        "suspects": poll.suspects,
        "held": poll.held,
        "failure": poll.failure,
        "calls": poll.calls,
        "seconds": round(time.monotonic() - begun, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
        "memory_grown_mb": round(peak() - before, 1),
    }


async def _pushed(n: int, database: Database, folder: Path) -> dict[str, Any]:
    """One event of a known account, from its token to what is stored."""
    settings = dataclasses.replace(
        catalogue().settings,
        data_dir=folder,
        erasure_key=SecretStr("une-clef-inventee-pour-mesurer"),
    )
    environment = Environment()
    config = glc("deletions", events=SHAPE, brake=BRAKE)
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": int(environment.now().timestamp()),
        "jti": f"jeton-{n}",
        "sub": uuid(n),
        "events": {ACCOUNT_PURGED: {}},
    }

    def served(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": [RSA.as_dict(private=False)]})

    before, begun, used = peak(), time.monotonic(), time.process_time()
    async with httpx.AsyncClient(transport=httpx.MockTransport(served)) as client:
        keys = KeySource("http://glc.invalid/jwks", client)
        events = IdentityEvents(database, AccountHasher(settings), environment)
        await events.receive(token(claims).encode(), config, keys)
    counts = await database.read(erasures.counts, environment.now())
    return {
        "source": "events",
        "run": f"event {n + 1}",
        "opened": counts.open,
        "calls": 1,
        "seconds": round(time.monotonic() - begun, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
        "memory_grown_mb": round(peak() - before, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=100_000)
    given = parser.parse_args()
    for source in ("synchronization", "deletions", "events"):
        with tempfile.TemporaryDirectory() as folder:
            for line in asyncio.run(measure(given.accounts, Path(folder), source)):
                print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
