"""The words of `release` about plans and acts: each thing once, with its communes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from textwrap import wrap
from typing import Any, TypeVar

from gateway.catalogue.bundle import COMMUNES
from gateway.contracts.applying import Applied
from gateway.contracts.difference import Difference
from gateway.contracts.planning import CommunePlan, PlanState
from gateway.core.errors import file_line

Thing = TypeVar("Thing", bound=Hashable)
Who = tuple[str, ...]

#: The word for the files of several communes that say the same otherwise.
EACH = f"{COMMUNES}*.yaml"
_WIDTH = 100


def planned_document(one: CommunePlan) -> dict[str, Any]:
    """Return one commune's plan, for scripts."""
    return {
        "commune": one.commune,
        "name": one.name,
        "state": one.state,
        "digest": None if one.release is None else one.release.digest,
        "active": None if one.active is None else one.active.digest,
        "signatures": one.signatures,
        "run": one.run,
        "missing": one.missing,
        "differences": one.differences,
        "effects": one.effects,
        "operation": one.operation,
    }


def changes(planned: Sequence[CommunePlan]) -> Iterator[str]:
    """Yield what changes, for the communes' agents, hence in French; each change once."""
    changed = [one for one in planned if one.state is PlanState.CHANGED]
    names = {one.commune: one.name for one in changed}
    where = {(one.commune, _anywhere(d)): d for one in changed for d in one.differences}
    said = _shared((one.commune, map(_anywhere, one.differences)) for one in changed)
    sent = _shared((one.commune, one.effects) for one in changed)
    quiet = tuple(one.commune for one in changed if not one.effects)
    for who in dict.fromkeys([*said, *sent, *([quiet] if quiet else [])]):
        yield ""
        yield from _heading(who, names)
        for difference in said.get(who, ()):
            yield from _difference(difference if who[1:] else where[who[0], difference])
        case = None
        for effect in sent.get(who, ()):
            if (effect.place, effect.case) != case:
                case = effect.place, effect.case
                yield f"  Cas « {effect.case} » ({effect.mapping}, {effect.place})"
            yield from (f"  {line}" for line in effect.lines())
        if who == quiet:
            yield "  Aucun cas ne montre de différence dans ce qui est envoyé."
    for one in planned:
        if one.operation:
            yield f"{one.commune} {one.name} : prend effet à apply : {', '.join(one.operation)}"


def _anywhere(difference: Difference) -> Difference:
    """Without the name of the commune's own file, and its line there."""
    own = difference.file.startswith(COMMUNES)
    return replace(difference, file=EACH, line=0) if own else difference


def _shared(having: Iterable[tuple[str, Iterable[Thing]]]) -> dict[Who, list[Thing]]:
    """Things by the communes that have them."""
    users: dict[Thing, list[str]] = {}
    for commune, things in having:
        for thing in things:
            users.setdefault(thing, []).append(commune)
    found: dict[Who, list[Thing]] = {}
    for thing, who in users.items():
        found.setdefault(tuple(who), []).append(thing)
    return found


def _heading(who: Who, names: dict[str, str]) -> list[str]:
    if len(who) == 1:
        return [f"{names[who[0]]} ({who[0]}) : ce qui change"]
    named = ", ".join(f"{names[insee]} ({insee})" for insee in who)
    return [f"{len(who)} communes : ce qui change", *_indented(named)]


def _difference(d: Difference) -> list[str]:
    return [
        f"  {file_line(d.file, d.line)}  {d.path}",
        f"    - avant : {d.before or '(rien)'}",
        f"    + après : {d.after or '(rien)'}",
    ]


def _indented(text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)


# --- applied ------------------------------------------------------------------------------------


def applied(
    done: Sequence[Applied], refused: Mapping[str, str], call: Mapping[str, str]
) -> Iterator[str]:
    """Yield what became of each, then what keeps some from going, each thing once with its
    communes.

    `refused`: why the daemon does not run what was made active; `call`: whom to call, by commune.
    """
    missing = _shared((one.commune, one.missing) for one in done)
    changed = _shared((one.commune, one.changes) for one in done if not one.done)
    for one in done:
        yield _became(one)
        alone = (one.commune,)
        yield from (f"  missing: {text}" for text in missing.pop(alone, ()))
        yield from (f"  change: {text}" for text in changed.pop(alone, ()))
        if not one.done and call.get(one.commune):
            yield f"  call: {call[one.commune]}"
        if one.operation:
            yield f"  set: {', '.join(one.operation)}"
        if one.commune in refused:
            yield f"  the daemon does not run it: {refused[one.commune]}"
    for word, shared in (("missing", missing), ("change", changed)):
        for who, texts in shared.items():
            yield from (f"{word}: {text}" for text in texts)
            yield from _indented(f"{len(who)} communes: {', '.join(who)}")


def _became(one: Applied) -> str:
    head = f"{one.commune} {one.name}"
    short = (one.digest or "")[:12]
    if one.state is PlanState.SAME:
        return f"{head}: same ({short} is active already)"
    if one.state is PlanState.URGENT:
        return f"{head}: same ({short} is active by the urgent path, to be signed still)"
    if one.state is PlanState.GONE:
        return f"{head}: gone"
    if one.done:
        how = ", UNSIGNED OR NOT PASSED (--dev)" if one.unsigned else ""
        return f"{head}: applied {short}{how}"
    return f"{head}: refused {short or '-'} ({one.state.value})"


def applied_document(one: Applied, refused: str | None) -> dict[str, Any]:
    """Return what became of one commune, for scripts."""
    return asdict(one) | {"refused": refused}
