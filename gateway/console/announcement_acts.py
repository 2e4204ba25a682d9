"""Acts on announcements: a commune says that it has read one, an operator calls one off."""

from __future__ import annotations

from typing import Final

from gateway.console.acts import ACTORS, OPERATORS, ActInHand, ActResult, ActTarget, ConsoleAct
from gateway.console.sight import Sight
from gateway.console.sight_availability import announcement_of
from gateway.core.errors import Conflict, NotFound
from gateway.core.messages import in_both
from gateway.flow import announcements

#: Between the announcement and the commune of a target.
_AND: Final = ":"


async def _of_commune(sight: Sight, which: str) -> ActTarget:
    name, _, insee = which.partition(_AND)
    one = await announcement_of(sight, name)
    for concerned in one.communes:
        if concerned.commune == insee:
            return ActTarget(which, insee, f"{one.title}, {sight.name_of(insee)}", concerned)
    raise NotFound("it does not concern it")


async def _read_plan(sight: Sight, target: ActTarget) -> str:
    if target.value.read_at is not None:
        raise Conflict(in_both(f"{target.id}: read already", "Déjà noté comme lue."))
    return (
        "Votre lecture est notée, avec votre nom : la Métropole sait que la commune est prévenue."
    )


async def _read(act: ActInHand) -> ActResult:
    name, _, insee = act.target.id.partition(_AND)
    await announcements.note_read(act.store, name, insee, act.by, now=act.sight.now)
    return ActResult("Lecture notée.")


async def _one(sight: Sight, which: str) -> ActTarget:
    one = await announcement_of(sight, which)
    return ActTarget(which, None, one.title, one)


async def _cancel_plan(sight: Sight, target: ActTarget) -> str:
    return "Les communes qui ont été prévenues apprennent que c'est annulé, et pourquoi."


async def _cancel(act: ActInHand) -> ActResult:
    await announcements.cancel(act.store, act.target.id, act.because, act.by, now=act.sight.now)
    return ActResult("Annonce annulée.")


ANNOUNCEMENT_ACTS: Final = (
    ConsoleAct(
        "announcement.read",
        "Noter qu'une annonce est lue",
        "J'ai lu",
        ACTORS,
        _of_commune,
        _read_plan,
        _read,
        command="maintenance read",
    ),
    ConsoleAct(
        "announcement.cancel",
        "Annuler une annonce",
        "Annuler",
        OPERATORS,
        _one,
        _cancel_plan,
        _cancel,
        because=True,
        danger=True,
        command="maintenance cancel",
    ),
)
