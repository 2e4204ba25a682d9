"""*Effacements*: those that the brake holds, what communes have yet to confirm, and one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.console.sight import MOST, Sight
from gateway.console.sight_erasures import (
    CommuneReceipt,
    ErasureLine,
    certificate_of,
    erasure_of,
    erasures_of,
)
from gateway.console.sight_trail import chains
from gateway.console.views.view import ConsoleFile, View
from gateway.contracts.erasure_page import certificate
from gateway.core import reasons
from gateway.core.console import ConsoleRole
from gateway.core.erasure import Phase

_ALL: Final = frozenset({ConsoleRole.OPERATOR, ConsoleRole.AUDITOR})


@dataclass(frozen=True, slots=True)
class HeldRun:
    """Erasures of one run that wait for two people. `first_by`: who has agreed."""

    run: str
    source: str
    reason: str
    found_at: datetime
    people: int
    first_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenReceipt:
    """The requests of one erasure that one commune has yet to confirm. `target`: both, for acts."""

    target: str
    erasure: str
    commune: str
    insee: str
    due_at: datetime | None
    late: bool
    receipts: tuple[CommuneReceipt, ...]


@dataclass(frozen=True, slots=True)
class ErasuresPage:
    """The page."""

    held: tuple[HeldRun, ...]
    owed: tuple[OpenReceipt, ...]
    lines: tuple[ErasureLine, ...]
    everything: bool
    more: bool


@dataclass(frozen=True, slots=True)
class ErasurePage:
    """The page of one erasure. `certified`: its certificate is the reader's to have."""

    title: str
    line: ErasureLine
    certified: bool


async def load_erasures(sight: Sight, query: Mapping[str, str]) -> ErasuresPage:
    """List erasures, as far as they are the reader's."""
    everything = query.get("etat") == "tous"
    lines = await erasures_of(sight, everything=everything)
    runs: dict[str, list[ErasureLine]] = {}
    for one in lines:
        if one.phase == Phase.HELD.value and sight.reader.role is not ConsoleRole.AGENT:
            runs.setdefault(one.run, []).append(one)
    owed = [o for one in lines if one.phase == Phase.TELLING.value for o in _owed(sight, one)]
    return ErasuresPage(
        tuple(_held(run, held) for run, held in runs.items()),
        tuple(sorted(owed, key=lambda one: (one.due_at is None, one.due_at, one.commune))),
        tuple(lines),
        everything,
        len(lines) >= MOST,
    )


def _held(run: str, held: list[ErasureLine]) -> HeldRun:
    first = tuple(dict.fromkeys(one.first_by for one in held if one.first_by))
    one = held[0]
    reason = reasons.of(one.reason).said.what("fr") if one.reason else ""
    return HeldRun(run, one.source, reason, one.found_at, len(held), first)


def _owed(sight: Sight, line: ErasureLine) -> list[OpenReceipt]:
    waits: dict[str, list[CommuneReceipt]] = {}
    for one in line.receipts:
        if one.open:
            waits.setdefault(one.insee, []).append(one)
    late = line.due_at is not None and line.due_at < sight.now
    return [
        OpenReceipt(
            f"{line.id}:{insee}", line.id, found[0].commune, insee, line.due_at, late, tuple(found)
        )
        for insee, found in waits.items()
    ]


async def load_erasure(sight: Sight, query: Mapping[str, str]) -> ErasurePage:
    """Return an erasure. Raises NotFound."""
    line = await erasure_of(sight, query.get("id", ""))
    return ErasurePage(f"Effacement {line.id}", line, sight.reader.grant.sees_all)


async def load_certificate(sight: Sight, query: Mapping[str, str]) -> ConsoleFile:
    """Return the certificate of an erasure, a page of A4. Raises NotFound."""
    found, targets = await certificate_of(sight, query.get("id", ""))
    (chain,) = await chains(sight, ["erasure"])
    html = await asyncio.to_thread(certificate, found, targets, sight.now, broken=not chain.intact)
    return ConsoleFile(f"effacement-{found.id}.html", "text/html", html)


ERASURES: Final = View(
    name="erasures",
    title="Effacements",
    path="/effacements",
    api="/erasures",
    load=load_erasures,
    menu="Effacements",
)
ERASURE: Final = View(
    name="erasure",
    title="Effacement",
    path="/effacements/{id}",
    api="/erasures/{id}",
    load=load_erasure,
)
CERTIFICATE: Final = View(
    name="certificate",
    title="Attestation d'effacement",
    path="/effacements/{id}/attestation",
    api="/erasures/{id}/certificate",
    load=load_certificate,
    roles=_ALL,
)

__all__ = ["CERTIFICATE", "ERASURE", "ERASURES"]
