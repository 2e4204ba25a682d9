"""Acts on erasures: two different people agree to what is held, or one gives it up; a commune says
that it has erased by hand."""

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
from gateway.console.sight_erasures import APPROVE, erasure_of, has_approved, held_under
from gateway.console.words import ERASURE_RESULTS
from gateway.core.erasure import same_person
from gateway.core.errors import Conflict, NotFound
from gateway.core.messages import in_both
from gateway.core.outcome import ErasureAnswer, ErasureResult
from gateway.flow import operator

#: Between the erasure and the commune of a target.
_AND: Final = ":"


async def _held(sight: Sight, which: str) -> ActTarget:
    found = await held_under(sight, which)
    label = f"{len(found)} personnes" if len(found) > 1 else "1 personne"
    return ActTarget(which, None, label, found)


async def _approve_plan(sight: Sight, target: ActTarget) -> str:
    mine = sight.reader.shown_as
    waits = [one for one in target.value if not same_person(one.first_by or "-", mine)]
    if not waits or await has_approved(sight, target.value):
        english, french = "agreed already", "Vous avez déjà donné votre accord : il faut une autre"
        raise Conflict(in_both(f"{target.id}: {english}", f"{french} personne."))
    second = sum(bool(one.first_by) for one in waits)
    if second:
        return f"Second accord : {second} effacements commencent aussitôt, et ne se reprennent pas."
    return "Premier accord : rien n'est effacé avant celui d'une autre personne."


async def _approve(act: ActInHand) -> ActResult:
    engine = act.sight.engine
    agreed, opened = await operator.approve(
        act.store, engine.catalogue.settings.glc, act.target.id, act.by, act.sight.now
    )
    text = f"Accord donné pour {agreed} ; {opened} effacements commencent."
    return ActResult(text, {"agreed": agreed, "opened": opened})


async def _withdraw_plan(sight: Sight, target: ActTarget) -> str:
    return "Rien n'est effacé : les comptes existent, et GrandLyon Connect s'est trompé."


async def _withdraw(act: ActInHand) -> ActResult:
    now = act.sight.now
    count = await operator.withdraw(act.store, act.target.id, act.by, act.because, now)
    return ActResult(f"{count} effacements abandonnés.", {"withdrawn": count})


async def _owed(sight: Sight, which: str) -> ActTarget:
    erasure, _, insee = which.partition(_AND)
    sight.theirs(insee)
    line = await erasure_of(sight, erasure)
    mine = [one for one in line.receipts if one.insee == insee]
    if not mine:
        raise NotFound("it owes nothing")
    return ActTarget(which, insee, f"{mine[0].commune}, {erasure}", mine)


async def _done_plan(sight: Sight, target: ActTarget) -> str:
    waits = sum(one.open for one in target.value)
    if not waits:
        raise Conflict(in_both(f"{target.id}: nothing is owed", "Plus rien n'est attendu."))
    return f"Votre réponse vaut pour {waits} demande{'s' if waits > 1 else ''}, et est définitive."


async def _done(act: ActInHand) -> ActResult:
    erasure, _, insee = act.target.id.partition(_AND)
    result, ground = ErasureResult(act.given["answer"]), act.given.get("ground")
    if (result is ErasureResult.KEPT) != bool(ground):
        text = "Dites la loi ou la règle si, et seulement si, des données sont conservées."
        raise Conflict(in_both("the ground goes with what is kept", text))
    by = act.by if result is ErasureResult.KEPT else None
    answer = ErasureAnswer(result, ground, None, by)
    count = await operator.done_by_hand(
        act.store, erasure, insee, act.by, act.sight.now, answer=answer
    )
    return ActResult(f"Réponse prise pour {count} demandes.", {"requests": count})


ERASURE_ACTS: Final = (
    ConsoleAct(
        APPROVE,
        "Donner son accord à un effacement retenu",
        "Donner mon accord",
        OPERATORS,
        _held,
        _approve_plan,
        _approve,
        danger=True,
        command="erasure approve",
    ),
    ConsoleAct(
        "erasure.withdraw",
        "Abandonner un effacement retenu",
        "Abandonner l'effacement",
        OPERATORS,
        _held,
        _withdraw_plan,
        _withdraw,
        because=True,
        command="erasure withdraw",
    ),
    ConsoleAct(
        "erasure.done",
        "Dire ce que la commune a fait des données",
        "Répondre pour la commune",
        ACTORS,
        _owed,
        _done_plan,
        _done,
        parameters=(
            Parameter("answer", "Ce qui est fait", choices=tuple(ERASURE_RESULTS.items())),
            Parameter(
                "ground",
                "La loi ou la règle par laquelle c'est conservé",
                required=False,
                hint="Seulement si c'est conservé.",
            ),
        ),
        command="erasure done",
    ),
)
