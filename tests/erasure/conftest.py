"""A gateway that follows a simulated GLC, with two communes whose GRUs can erase."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.catalogue.catalogue import Glc, GlcAuth
from gateway.catalogue.glc import DeletionsEntry
from gateway.core.erasure import Brake
from gateway.sim.glc import SimulatedGlc
from tests.erasure.following import CANARY, Following
from tests.flow.rig import Line, catalogue, make

Build = Callable[..., Following]

ERASE = {"erase": {"path": "/api/tickets/{gru_reference}/person", "answer": "any"}}


def glc(source: str = "synchronization", **changes: Any) -> Glc:
    made = Glc(
        base_url="http://glc.invalid",
        source=source,
        auth=GlcAuth("basic", "connecteur", SecretStr("secret-essai")),
        poll=3600.0,
        timeout=5.0,
        canary=CANARY,
        brake=Brake(0.5, 20),
        confirm_after=6 * 3600.0,
        deadline=30 * 86400.0,
        deletions=DeletionsEntry(params={"limit": "10"}).shape(),
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def follow(tmp_path: Path, template: Path) -> Iterator[Build]:
    """Return a function that makes a gateway: `source` and `changes` are keywords of `Glc`,
    `options` are those of the GRUs."""
    made: list[Following] = []

    def build(source: str = "synchronization", *, options: Any = None, **changes: Any) -> Following:
        base = catalogue(options=copy.deepcopy(ERASE) if options is None else options)
        settings = dataclasses.replace(
            base.settings, data_dir=tmp_path / "data", glc=glc(source, **changes)
        )
        # In clear: these tests look for bytes in files, where sealing would hide them.
        found = dataclasses.replace(base, settings=settings)
        rig = make(tmp_path, template, found, sealed=False)
        provider = SimulatedGlc(clock=rig.clock, base_url="http://glc.invalid")
        provider.create(CANARY)
        rig.lines["glc"] = Line(provider.app)
        made.append(Following(rig, provider, tmp_path))
        return made[-1]

    yield build
    for one in made:
        one.rig.database.close()


HOURS = timedelta(hours=1)
