"""Does acts: looks whether they are the reader's to do, says what would happen, does, notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.console.acts import LONGEST, ActInHand, ActTarget, ConsoleAct
from gateway.console.announcement_acts import ANNOUNCEMENT_ACTS
from gateway.console.delivery_acts import DELIVERY_ACTS
from gateway.console.erasure_acts import ERASURE_ACTS
from gateway.console.incident_acts import INCIDENT_ACTS
from gateway.console.release_acts import RELEASE_ACTS
from gateway.console.request_acts import REQUEST_ACTS
from gateway.console.sight import Sight
from gateway.core.errors import Conflict, NotFound, Rejected
from gateway.core.messages import Message
from gateway.store.console import PersonalAct
from gateway.store.recording import RecordingStore

#: Every act, by name. Add a row, and the console and the API have it.
ACTS: Final[Mapping[str, ConsoleAct]] = {
    one.name: one
    for one in (
        *DELIVERY_ACTS,
        *REQUEST_ACTS,
        *INCIDENT_ACTS,
        *ERASURE_ACTS,
        *ANNOUNCEMENT_ACTS,
        *RELEASE_ACTS,
    )
}
#: Targets of one bulk act.
AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True)
class ActLine:
    """One target of an act: what will happen, or has; `refused` where it cannot."""

    target: str
    label: str
    text: str
    refused: bool
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActorPlace:
    """The way by which somebody acts (console, api), and the address that they come from."""

    way: str
    address: str


def act_named(name: str, sight: Sight) -> ConsoleAct:
    """Return an act. Raises NotFound for an unknown one, Rejected 403 for one that is not the
    reader's to do."""
    act = ACTS.get(name)
    if act is None:
        raise NotFound("no such act")
    if not act.allows(sight.reader.role):
        raise Rejected(403, "not_allowed", "Votre rôle ne permet pas cet acte.")
    return act


async def foresee(act: ConsoleAct, sight: Sight, targets: Sequence[str]) -> list[ActLine]:
    """Say what an act would do to each target. Changes nothing. Raises NotFound if one is not there
    or not theirs."""
    return [await _plan(act, sight, one) for one in await _found(act, sight, targets)]


async def perform(
    act: ConsoleAct,
    sight: Sight,
    place: ActorPlace,
    targets: Sequence[str],
    because: str,
    given: Mapping[str, str],
) -> list[ActLine]:
    """Do an act to each target; what cannot be done to one leaves the others alone. Raises NotFound
    if one is not there or not theirs, and Rejected for values that are wrong."""
    because, given = check(act, because, given)
    done: list[ActLine] = []
    for target in await _found(act, sight, targets):
        planned = await _plan(act, sight, target)
        done.append(
            planned if planned.refused else await _do(act, sight, place, target, because, given)
        )
    return done


async def _do(
    act: ConsoleAct,
    sight: Sight,
    place: ActorPlace,
    target: ActTarget,
    because: str,
    given: Mapping[str, str],
) -> ActLine:
    reader, engine = sight.reader, sight.engine
    told = {"account": reader.account, "role": reader.role.value, "target": target.id}
    if target.commune is not None:
        told["commune"] = target.commune
    values = {
        one.name: given[one.name] for one in act.parameters if one.noted and one.name in given
    }
    noted = PersonalAct(
        act.name, reader.shown_as, place.way, place.address, because, {**values, **told}
    )
    store = RecordingStore(engine.store, noted, engine.environment.now)
    try:
        result = await act.do(ActInHand(sight, store, target, because, given, reader.shown_as))
    except (Conflict, NotFound) as error:
        return _refused(target, error.said)
    return ActLine(target.id, target.label, result.text, False, result.data)


async def _plan(act: ConsoleAct, sight: Sight, target: ActTarget) -> ActLine:
    try:
        text = await act.plan(sight, target)
    except Conflict as error:
        return _refused(target, error.said)
    return ActLine(target.id, target.label, text, False)


def _refused(target: ActTarget, said: Message) -> ActLine:
    return ActLine(target.id, target.label, said.told("fr"), True)


async def _found(act: ConsoleAct, sight: Sight, targets: Sequence[str]) -> list[ActTarget]:
    wanted = list(dict.fromkeys(targets))
    if not wanted or len(wanted) > (AT_ONCE if act.bulk else 1):
        text = f"Choisissez entre 1 et {AT_ONCE if act.bulk else 1} éléments."
        raise Rejected(400, "bad_targets", text)
    return [await act.find(sight, one) for one in wanted]


def check(act: ConsoleAct, because: str, given: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return the reason and the values of an act. Raises Rejected 400 for what does not fit."""
    because = because.strip()
    if act.because and not because:
        raise Rejected(400, "no_because", "Dites pourquoi : le motif est gardé au journal.")
    if len(because) > LONGEST or not because.isprintable():
        raise Rejected(400, "bad_because", f"Le motif tient en une ligne de {LONGEST} caractères.")
    values: dict[str, str] = {}
    for one in act.parameters:
        value = given.get(one.name, "").strip().replace("\r\n", "\n")
        flat = value.replace("\n", "") if one.lines else value
        fits = len(value) <= one.longest and flat.isprintable()
        if one.choices and value and value not in dict(one.choices):
            fits = False
        if not fits or (one.required and not value):
            raise Rejected(400, "bad_parameter", f"« {one.label} » n'est pas valable.")
        if value:
            values[one.name] = value
    return because, values


__all__ = ["ACTS", "ActLine", "ActorPlace", "act_named", "foresee", "perform"]
