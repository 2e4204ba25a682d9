"""The act on a request: to see a citizen's data, for a reason that is kept."""

from __future__ import annotations

from typing import Final

from gateway.console.acts import ACTORS, ActInHand, ActResult, ActTarget, ConsoleAct
from gateway.console.sight import Sight
from gateway.console.sight_requests import revealed


async def _request(sight: Sight, which: str) -> ActTarget:
    trace = await sight.trace(which)
    request = trace.request
    return ActTarget(which, request.commune, f"Demande {request.teleservice}", trace)


async def _reveal_plan(sight: Sight, target: ActTarget) -> str:
    return (
        "Les valeurs envoyées à la GRU et ses réponses seront affichées une fois, à vous seul."
        " Votre nom et votre motif restent au journal."
    )


async def _reveal(act: ActInHand) -> ActResult:
    await act.store.note()
    values = await revealed(act.sight, act.target.value)
    told = {"values": [{"target": one.target, "value": one.value} for one in values]}
    text = "Données personnelles : ne les copiez pas ailleurs."
    return ActResult(text if values else "Il n'y a plus rien à montrer.", told)


REQUEST_ACTS: Final = (
    ConsoleAct(
        "request.reveal",
        "Voir les données personnelles d'une demande",
        "Voir les valeurs",
        ACTORS,
        _request,
        _reveal_plan,
        _reveal,
        because=True,
        command="request explain --values",
    ),
)
