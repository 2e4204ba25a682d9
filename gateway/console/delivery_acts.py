"""Acts on deliveries that wait for a person, and on communes' lanes."""

from __future__ import annotations

from typing import Final

from gateway.console.acts import (
    ACTORS,
    OPERATORS,
    ActInHand,
    ActResult,
    ActTarget,
    ConsoleAct,
    Parameter,
)
from gateway.console.sight import Sight
from gateway.console.words import KINDS
from gateway.core.delivery import State
from gateway.core.errors import Conflict
from gateway.core.lane_name import parse_lane
from gateway.core.messages import in_both
from gateway.flow import operator
from gateway.store.outbox.rows import Delivery
from gateway.store.rows import Untold


async def _delivery(sight: Sight, which: str) -> ActTarget:
    found = await sight.delivery(which)
    request = found.request_id or "sans demande"
    kind = KINDS[found.kind.value] if isinstance(found, Delivery) else "Changement de la GRU"
    return ActTarget(which, parse_lane(found.lane).commune, f"{kind}, {request}", found)


def _refuse(target: ActTarget, english: str, french: str) -> Conflict:
    return Conflict(in_both(f"{target.id}: {english}", french))


async def _replay_plan(sight: Sight, target: ActTarget) -> str:
    one = target.value
    if isinstance(one, Untold):
        return "Sera jugé de nouveau, comme s'il venait d'arriver de la GRU."
    if one.state not in (State.PARKED, State.DEAD):
        raise _refuse(target, "it is not parked", "Ne peut être rejoué : il n'attend personne.")
    return (
        "Repartira. Si un envoi a déjà été tenté, on demande d'abord au destinataire s'il l'a"
        " reçu : rien n'arrive deux fois."
    )


async def _replay(act: ActInHand) -> ActResult:
    moved = await operator.replay(act.store, act.target.id, act.sight.now)
    act.sight.engine.lanes.wake(_lane(act.target))
    return ActResult(f"Rejoué : {moved}.", {"delivery": moved})


async def _discard_plan(sight: Sight, target: ActTarget) -> str:
    one = target.value
    if isinstance(one, Untold):
        return "Le citoyen n'en sera pas informé."
    if one.state in (State.DONE, State.DISCARDED, State.SENDING):
        raise _refuse(target, "it is over, or under way", "Ne peut être abandonné dans cet état.")
    return "Ne sera jamais envoyé. Ce qui attendait derrière, de la même demande, part."


async def _discard(act: ActInHand) -> ActResult:
    moved = await operator.discard(act.store, act.target.id, act.because, act.sight.now)
    act.sight.engine.lanes.wake(_lane(act.target))
    return ActResult(f"Abandonné : {moved.id}.", {"delivery": moved.id})


def _question(target: ActTarget) -> Delivery:
    one = target.value
    if not isinstance(one, Delivery) or one.state is not State.QUESTION:
        raise _refuse(target, "no answer is awaited", "Aucune réponse n'est attendue.")
    return one


async def _yes_plan(sight: Sight, target: ActTarget) -> str:
    _question(target)
    return "Compte comme reçu, et n'est plus envoyé. Le portail en est informé."


async def _no_plan(sight: Sight, target: ActTarget) -> str:
    _question(target)
    return "Sera envoyé de nouveau, tout de suite."


async def _yes(act: ActInHand) -> ActResult:
    return await _resolve(act, there=True)


async def _no(act: ActInHand) -> ActResult:
    return await _resolve(act, there=False)


async def _resolve(act: ActInHand, *, there: bool) -> ActResult:
    reference = act.given.get("reference") or None
    moved = await operator.resolve(
        act.store, act.target.id, there, act.sight.now, reference=reference
    )
    act.sight.engine.lanes.wake(_lane(act.target))
    word = "compte comme reçu" if there else "repart"
    return ActResult(f"Réponse prise : {moved.id} {word}.", {"delivery": moved.id})


def _lane(target: ActTarget) -> str:
    lane: str = target.value.lane
    return lane


# --- lanes ----------------------------------------------------------------------------------


async def _town(sight: Sight, which: str) -> ActTarget:
    town = sight.town(which)
    return ActTarget(which, which, town.name, tuple(sight.lane_names(which)))


async def _pause_plan(sight: Sight, target: ActTarget) -> str:
    return "Les demandes sont prises et gardées ; rien ne part, dans aucun sens, avant la reprise."


async def _pause(act: ActInHand) -> ActResult:
    await operator.pause(act.store, act.target.value)
    act.sight.engine.lanes.refresh()
    return ActResult(f"{act.target.label} : en pause.")


async def _resume_plan(sight: Sight, target: ActTarget) -> str:
    return "Ce qui attend part, dans l'ordre, en commençant par un essai sur chaque voie."


async def _resume(act: ActInHand) -> ActResult:
    return await _try(act, resume=True)


async def _probe_plan(sight: Sight, target: ActTarget) -> str:
    return "Un appel part tout de suite sur chaque voie, sans attendre la fin d'une coupure."


async def _probe(act: ActInHand) -> ActResult:
    return await _try(act, resume=False)


async def _try(act: ActInHand, *, resume: bool) -> ActResult:
    engine = act.sight.engine
    await operator.try_now(
        act.store, engine.lanes.policy, act.target.value, act.sight.now, resume=resume
    )
    engine.lanes.refresh()
    word = "reprend" if resume else "est essayée"
    return ActResult(f"{act.target.label} {word}.")


DELIVERY_ACTS: Final = (
    ConsoleAct(
        "delivery.replay",
        "Rejouer",
        "Rejouer",
        ACTORS,
        _delivery,
        _replay_plan,
        _replay,
        bulk=True,
        command="outbox replay",
    ),
    ConsoleAct(
        "delivery.discard",
        "Abandonner",
        "Abandonner",
        OPERATORS,
        _delivery,
        _discard_plan,
        _discard,
        because=True,
        bulk=True,
        danger=True,
        command="outbox discard",
    ),
    ConsoleAct(
        "delivery.yes",
        "Répondre oui : le destinataire l'a reçu",
        "Oui, il l'a reçu",
        ACTORS,
        _delivery,
        _yes_plan,
        _yes,
        bulk=True,
        parameters=(
            Parameter("reference", "Son numéro dans la GRU, si vous l'avez lu", required=False),
        ),
        command="outbox resolve --yes",
    ),
    ConsoleAct(
        "delivery.no",
        "Répondre non : le destinataire ne l'a pas",
        "Non, il ne l'a pas",
        ACTORS,
        _delivery,
        _no_plan,
        _no,
        bulk=True,
        command="outbox resolve --no",
    ),
    ConsoleAct(
        "commune.pause",
        "Mettre en pause les envois d'une commune",
        "Mettre en pause",
        OPERATORS,
        _town,
        _pause_plan,
        _pause,
        because=True,
        command="commune pause",
    ),
    ConsoleAct(
        "commune.resume",
        "Reprendre les envois d'une commune",
        "Reprendre",
        OPERATORS,
        _town,
        _resume_plan,
        _resume,
        command="commune resume",
    ),
    ConsoleAct(
        "commune.probe",
        "Essayer tout de suite les voies d'une commune",
        "Essayer tout de suite",
        ACTORS,
        _town,
        _probe_plan,
        _probe,
        command="commune probe",
    ),
)
