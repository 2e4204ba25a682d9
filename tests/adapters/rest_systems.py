"""The systems of `systems/*.yaml`: nothing but YAML makes an adapter of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import respx
import yaml

from adapters.rest import RestAdapter
from gateway.sdk import Context
from gateway.sdk.conformance import NOW

SYSTEMS = Path(__file__).parent / "systems"


def options(name: str) -> dict[str, Any]:
    """The YAML of a system, as it would stand under `options:`."""
    loaded: dict[str, Any] = yaml.safe_load((SYSTEMS / f"{name}.yaml").read_text("utf-8"))
    return loaded


@asynccontextmanager
async def adapter(
    given: dict[str, Any],
    far_end: respx.MockRouter | httpx.AsyncBaseTransport,
    now: Callable[[], datetime] = lambda: NOW,
    *,
    production: bool = True,
) -> AsyncIterator[RestAdapter]:
    if isinstance(far_end, respx.MockRouter):
        far_end = httpx.MockTransport(far_end.async_handler)
    checked = RestAdapter.Options.model_validate(given)
    async with httpx.AsyncClient(transport=far_end) as client:
        yield RestAdapter(checked, Context("69029", "essai", client, now, production))
