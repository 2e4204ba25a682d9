"""The words of `release` about plans and acts: each fact once, with its communes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from textwrap import wrap
from typing import Any, TypeVar

from gateway.catalogue.bundle import COMMUNES
from gateway.cli.language import language
from gateway.cli.release_texts import say
from gateway.cli.states import state_word
from gateway.contracts.applying import ApplyResult
from gateway.contracts.difference import Difference, Effect
from gateway.contracts.planning import CommunePlan, PlanState
from gateway.core.errors import file_line
from gateway.core.messages import Message, plain

Thing = TypeVar("Thing", bound=Hashable)
Who = tuple[str, ...]
#: Gives the path of a file of the bundle, for a reader to open.
RealPath = Callable[[str], str]

#: The word for the files of several communes that say the same otherwise.
EACH = f"{COMMUNES}*.yaml"
_WIDTH = 100


def planned_document(one: CommunePlan) -> dict[str, Any]:
    """Return the plan of one commune, for scripts."""
    return {
        "commune": one.commune,
        "name": one.name,
        "state": one.state,
        "digest": None if one.release is None else one.release.digest,
        "active": None if one.active is None else one.active.digest,
        "signatures": one.signatures,
        "run": one.run,
        "missing": [said.told(language()) for said in one.missing],
        "differences": one.differences,
        "effects": one.effects,
        "operation": one.operation,
    }


def changes(planned: Sequence[CommunePlan], real: RealPath) -> Iterator[str]:
    """Yield the changes, each one once."""
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
            yield from _difference(difference if who[1:] else where[who[0], difference], real)
        case = None
        for effect in sent.get(who, ()):
            if (effect.place, effect.case) != case:
                case = effect.place, effect.case
                case_of = {
                    "case": effect.case,
                    "mapping": effect.mapping,
                    "place": real(effect.place),
                }
                yield _line(say("case_of", **case_of))
            yield from effect_lines(effect)
        if who == quiet:
            yield _line(say("no_effect"))
    for one in planned:
        if one.operation:
            what = say("takes_effect", keys=one.operation)
            yield _line(say("of_one", commune=one.commune, name=one.name, said=what))


def _anywhere(difference: Difference) -> Difference:
    """Return the text without the name and the line of the commune's own file."""
    own = difference.file.startswith(COMMUNES)
    return replace(difference, file=EACH, line=0) if own else difference


def _shared(having: Iterable[tuple[str, Iterable[Thing]]]) -> dict[Who, list[Thing]]:
    """Group facts by the communes that share them."""
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
        return [_line(say("changes_of_one", name=names[who[0]], commune=who[0]))]
    named = ", ".join(f"{names[insee]} ({insee})" for insee in who)
    return [_line(say("changes_of", count=len(who))), *_indented(named)]


def _difference(d: Difference, real: RealPath) -> list[str]:
    place = f"  {file_line(real(d.file), d.line)}  {d.path}"
    return [place, *_before_after(d.before, d.after, say("nothing"))]


def effect_lines(effect: Effect) -> Iterator[str]:
    """Yield the lines of one field that changes, before and after."""
    yield f"    {_line(_field(effect.field))}"
    yield from _before_after(effect.before, effect.after, say("nothing_sent"))


def _before_after(before: str | None, after: str | None, nothing: Message) -> Iterator[str]:
    """Yield the lines of two values, each with the word for its side."""
    for word, value in (("before", before), ("after", after)):
        lines = nothing.what(language()).splitlines() if not value else value.splitlines()
        for line in lines:
            yield f"    {_line(say(word, value=line))}"


def _field(name: str) -> Message:
    """Return the name of a field of the GRU as it is, that of anything else in words."""
    word = f"field_{name}"
    return say(word) if word in say else plain(name)


def _line(said: Message) -> str:
    return said.told(language())


def _indented(text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)


# --- applied ------------------------------------------------------------------------------------


def applied(
    done: Sequence[ApplyResult],
    refused: Mapping[str, Message],
    call: Mapping[str, str],
    real: RealPath,
) -> Iterator[str]:
    """Yield the result for each commune, then the obstacles, each once with its communes.

    `refused`: why the daemon does not run an activated release. `call`: the contacts by commune.
    """
    missing = _shared((one.commune, one.missing) for one in done)
    changed = _shared((one.commune, one.changes) for one in done if not one.done)
    for one in done:
        yield _became(one)
        alone = (one.commune,)
        yield from (f"  {_line(say('missing', what=_line(one)))}" for one in missing.pop(alone, ()))
        yield from (f"  {_line(say('change', what=real(one)))}" for one in changed.pop(alone, ()))
        if not one.done and call.get(one.commune):
            yield f"  {_line(say('to_call', who=call[one.commune]))}"
        if one.operation:
            yield f"  {_line(say('is_set', keys=one.operation))}"
        if one.commune in refused:
            yield f"  {_line(say('not_run', why=refused[one.commune]))}"
    for who, lacking in missing.items():
        yield from (_line(say("missing", what=_line(what))) for what in lacking)
        yield from _indented(_line(say("of_communes", count=len(who), communes=who)))
    for who, texts in changed.items():
        yield from (_line(say("change", what=real(text))) for text in texts)
        yield from _indented(_line(say("of_communes", count=len(who), communes=who)))


def _became(one: ApplyResult) -> str:
    short = (one.digest or "")[:12]
    if one.state is PlanState.SAME:
        said = say("became_same", release=short)
    elif one.state is PlanState.URGENT:
        said = say("became_urgent", release=short)
    elif one.state is PlanState.GONE:
        said = say("became_gone")
    elif one.done:
        said = say("became_unsigned" if one.unsigned else "became_applied", release=short)
    else:
        said = say("became_refused", release=short or "-", state=state_word(one.state.value))
    return _line(say("of_one", commune=one.commune, name=one.name, said=said))


def applied_document(one: ApplyResult, refused: str | None) -> dict[str, Any]:
    """Return the result for one commune, for scripts."""
    missing = [said.told(language()) for said in one.missing]
    return asdict(one) | {"missing": missing, "refused": refused}
