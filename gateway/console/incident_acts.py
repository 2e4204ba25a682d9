"""Acts on incidents: those of `gru-gateway incident`."""

from __future__ import annotations

from typing import Final

from gateway.console.acts import (
    OPERATORS,
    ActInHand,
    ActResult,
    ActTarget,
    ConsoleAct,
    Parameter,
    Planner,
)
from gateway.console.sight import Sight
from gateway.console.words import PARTIES
from gateway.core.errors import Conflict
from gateway.core.incident import IncidentKind, IncidentState, Party, Severity
from gateway.core.messages import in_both
from gateway.flow import incident_acts
from gateway.flow.incident_notes import paris_time
from gateway.flow.incident_texts import symptoms
from gateway.store.incidents import Incident

#: Characters of a post-mortem.
_LONGEST: Final = 20_000


async def _find(sight: Sight, which: str) -> ActTarget:
    one = await sight.incident(which)
    alone = one.communes[0] if len(one.communes) == 1 else None
    return ActTarget(one.id, alone, symptoms(one.worst).what("fr").capitalize(), one)


def _plan(text: str, *, opened: bool = False, kind: IncidentKind | None = None) -> Planner:
    """Make a planner that refuses what is closed, and with `opened` or `kind` what is not so."""

    async def plan(sight: Sight, target: ActTarget) -> str:
        one: Incident = target.value
        if one.state is IncidentState.CLOSED:
            raise _refused(one, "it is closed", "Cet incident est clos.")
        if opened and one.state is not IncidentState.OPEN:
            raise _refused(one, "it is resolved", "Cet incident est résolu.")
        if kind is not None and one.kind is not kind:
            raise _refused(one, "of another kind", "Ne va pas avec ce genre d'incident.")
        return text

    return plan


def _refused(one: Incident, english: str, french: str) -> Conflict:
    return Conflict(in_both(f"{one.id}: {english}", french))


async def _ack_plan(sight: Sight, target: ActTarget) -> str:
    plan = _plan("Votre nom est noté : chacun voit que l'incident est vu, et par qui.")
    text = await plan(sight, target)
    if target.value.acked_by is not None:
        raise _refused(target.value, "acknowledged", f"Déjà fait par {target.value.acked_by}.")
    return text


async def _ack(act: ActInHand) -> ActResult:
    one = await incident_acts.acknowledge(act.store, act.target.id, act.by, now=act.sight.now)
    return _result(act, one, f"{one.id} : vous l'avez pris en charge.")


async def _assign(act: ActInHand) -> ActResult:
    to = act.given["to"]
    one = await incident_acts.assign(act.store, act.target.id, to, act.by, now=act.sight.now)
    return _result(act, one, f"{one.id} : {to} s'en occupe.")


async def _severity(act: ActInHand) -> ActResult:
    new, now = Severity(act.given["severity"]), act.sight.now
    one = await incident_acts.set_severity(
        act.store, act.target.id, new, act.because, act.by, now=now
    )
    due = paris_time(one.deadline(act.sight.engine.incidents.rules))
    return _result(act, one, f"{one.id} est {new.value} ; échéance : {due}.")


async def _pause(act: ActInHand) -> ActResult:
    town, now = act.sight.town(act.given["commune"]), act.sight.now
    one = await incident_acts.pause(
        act.store, act.target.id, town.insee, act.because, act.by, now=now
    )
    return _result(act, one, f"{one.id} : délai suspendu, {town.name} doit agir.")


async def _resume(act: ActInHand) -> ActResult:
    one = await incident_acts.resume(act.store, act.target.id, act.by, now=act.sight.now)
    due = paris_time(one.deadline(act.sight.engine.incidents.rules))
    return _result(act, one, f"{one.id} : le délai court de nouveau ; échéance : {due}.")


async def _notified(act: ActInHand) -> ActResult:
    to, now = act.given["to"], act.sight.now
    one = await incident_acts.note_notified(act.store, act.target.id, to, act.by, now=now)
    return _result(act, one, f"{one.id} : {to} est avisé.")


async def _close_plan(sight: Sight, target: ActTarget) -> str:
    one: Incident = target.value
    text = "Plus personne n'a rien à faire. Les communes touchées en sont informées."
    text = await _plan(text)(sight, target)
    if one.kind is IncidentKind.SECURITY and one.notified_at is None:
        raise _refused(one, "not notified", "Une attaque se notifie avant de se clore.")
    if one.state is IncidentState.OPEN:
        text += " Ses symptômes se voient encore : il ne revient que s'il y en a davantage."
    if one.severity is Severity.BLOQUANT and not one.post_mortem:
        text += " Un incident bloquant demande un bilan."
    return text


async def _close(act: ActInHand) -> ActResult:
    party = act.given.get("cause")
    one = await incident_acts.close(
        act.store,
        act.target.id,
        act.because,
        act.by,
        now=act.sight.now,
        party=None if party is None else Party(party),
        post_mortem=act.given.get("post_mortem"),
    )
    return _result(act, one, f"{one.id} est clos.")


def _result(act: ActInHand, one: Incident, text: str) -> ActResult:
    return ActResult(text, {"incident": one.id, "state": one.state.value})


INCIDENT_ACTS: Final = (
    ConsoleAct(
        "incident.ack",
        "Prendre en charge un incident",
        "Prendre en charge",
        OPERATORS,
        _find,
        _ack_plan,
        _ack,
        command="incident ack",
    ),
    ConsoleAct(
        "incident.assign",
        "Confier un incident à quelqu'un",
        "Confier",
        OPERATORS,
        _find,
        _plan("Son nom est noté."),
        _assign,
        parameters=(Parameter("to", "À qui", longest=100),),
        command="incident assign",
    ),
    ConsoleAct(
        "incident.severity",
        "Changer la gravité d'un incident",
        "Changer la gravité",
        OPERATORS,
        _find,
        _plan("L'échéance change avec la gravité. Aucun symptôme ne la changera plus."),
        _severity,
        because=True,
        parameters=(
            Parameter("severity", "Gravité", choices=tuple((s.value, s.value) for s in Severity)),
        ),
        command="incident severity",
    ),
    ConsoleAct(
        "incident.pause",
        "Suspendre le délai d'un incident",
        "Suspendre le délai",
        OPERATORS,
        _find,
        _plan(
            "Le délai de la convention s'arrête jusqu'à ce que la commune ait agi.",
            opened=True,
            kind=IncidentKind.SERVICE,
        ),
        _pause,
        because=True,
        parameters=(
            Parameter("commune", "Commune qui doit agir", longest=5, hint="Son code INSEE."),
        ),
        command="incident pause",
    ),
    ConsoleAct(
        "incident.resume",
        "Faire courir de nouveau le délai d'un incident",
        "Reprendre le délai",
        OPERATORS,
        _find,
        _plan("La commune a agi : le délai court de nouveau.", opened=True),
        _resume,
        command="incident resume",
    ),
    ConsoleAct(
        "incident.notified",
        "Noter qu'une attaque a été notifiée",
        "Noter la notification",
        OPERATORS,
        _find,
        _plan("Les huit heures sont tenues ou non à cet instant.", kind=IncidentKind.SECURITY),
        _notified,
        parameters=(Parameter("to", "Qui a été avisé", longest=100),),
        command="incident notified",
    ),
    ConsoleAct(
        "incident.close",
        "Clore un incident",
        "Clore",
        OPERATORS,
        _find,
        _close_plan,
        _close,
        because=True,
        parameters=(
            Parameter(
                "cause",
                "Qui en est la cause, si ce qui est noté est faux",
                required=False,
                choices=tuple((one.value, PARTIES[one.value]) for one in Party),
            ),
            Parameter(
                "post_mortem",
                "Bilan : ce qui s'est passé, pourquoi, ce qui est fait pour l'éviter",
                required=False,
                lines=True,
                longest=_LONGEST,
                hint="Un incident bloquant n'est pas clos sans bilan. Sans nommer aucun citoyen.",
                noted=False,
            ),
        ),
        command="incident close",
    ),
)
