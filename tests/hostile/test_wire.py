"""The portal and the identity provider, taken over or broken: the same bounds as for a GRU."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from gateway.catalogue.glc import DeletionsEntry
from gateway.core.outcome import Refused, TryLater, Unsure
from gateway.ops.stalls import StallMeter
from gateway.wire.clients import open_client
from gateway.wire.deletions import Deletions
from gateway.wire.identity import Outage
from gateway.wire.identity_call import BasicAccess
from gateway.wire.portal import PortalClient
from gateway.wire.spool import BodyReader
from gateway.wire.synchronization import Synchronization
from tests.hostile.answers import Pieces, bad_answers, far_end
from tests.hostile.bounds import MOST_STALLED, TRIES

NOW = datetime(2026, 3, 16, 9, 30, tzinfo=UTC)
BAD = (
    *("a gzip bomb", "a bomb gzipped twice", "an answer without end", "1 GB announced"),
    *("empty rows", "nested lists", "a drip of the body", "102 without end"),
)
SHAPE = DeletionsEntry.model_validate(
    {"params": {}, "items": "@", "deleted_at": None, "next": None}
).shape()


async def tried(
    pieces: Pieces, call: Callable[[str, httpx.AsyncClient], Awaitable[object]]
) -> object:
    """Return the result of a call that stalls nobody; a busy machine gets some tries."""
    for _ in range(TRIES):
        async with far_end(pieces) as url, open_client(timeout=0.3, connections=1) as client:
            with StallMeter() as stalls:
                async with asyncio.timeout(30):
                    came = await call(url, client)
        if stalls.longest < MOST_STALLED:
            return came
    raise AssertionError(f"the loop stood still for {stalls.longest:.3f} s")


def portal(url: str, client: httpx.AsyncClient) -> PortalClient:
    return PortalClient(
        url,
        client,
        orig="passerelle",
        key="cle-de-test",
        basic=None,
        now=lambda: NOW,
        nonce=lambda: "n" * 32,
        max_bytes=5_000_000,
        max_file_bytes=5_000_000,
    )


@pytest.mark.parametrize("name", BAD)
async def test_a_list_of_the_portal(name: str) -> None:
    came = await tried(
        bad_answers()[name], lambda url, http: portal(url, http).listing("s", None, 0, 10)
    )
    assert isinstance(came, TryLater | Refused), came


@pytest.mark.parametrize("name", ["a gzip bomb", "an answer without end", "a drip of the body"])
async def test_a_formdata_and_a_file_of_the_portal(name: str, tmp_path: Path) -> None:
    async def formdata(url: str, client: httpx.AsyncClient) -> object:
        with BodyReader(tmp_path) as reader:
            return await portal(url, client).formdata(f"{url}/api/forms/s/1/", reader)

    async def file(url: str, client: httpx.AsyncClient) -> object:
        with BodyReader(tmp_path) as reader:
            return await portal(url, client).download(f"{url}/api/forms/s/1/download?f=1", reader)

    for call in (formdata, file):
        came = await tried(bad_answers()[name], call)
        assert isinstance(came, TryLater | Refused), came


@pytest.mark.parametrize("name", BAD)
async def test_a_report_to_the_portal(name: str) -> None:
    async def call(url: str, client: httpx.AsyncClient) -> object:
        return await portal(url, client).hook(f"{url}/api/forms/s/1/", "retour", {"a": 1})

    came = await tried(bad_answers()[name], call)
    assert isinstance(came, Unsure), came


@pytest.mark.parametrize("name", BAD)
async def test_the_identity_provider(name: str) -> None:
    access = BasicAccess("passerelle", "mot-de-passe")

    async def asked(url: str, client: httpx.AsyncClient) -> object:
        return await Synchronization(url, client, access, "0" * 32).read(["1" * 32], None)

    async def listed(url: str, client: httpx.AsyncClient) -> object:
        return await Deletions(url, client, access, SHAPE, lambda: NOW).read(["1" * 32], None)

    for call in (asked, listed):
        came = await tried(bad_answers()[name], call)
        assert isinstance(came, Outage), came
