"""Acts on releases: a commune agrees to what it has seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from gateway.console.acts import ACTORS, ActInHand, ActResult, ActTarget, ConsoleAct, Parameter
from gateway.console.sight import Sight
from gateway.console.sight_releases import ReleasePart, agreement, release_book, release_named
from gateway.contracts import applying
from gateway.contracts.planning import CommuneChoice, ReleaseFiles
from gateway.core.errors import Conflict
from gateway.core.messages import in_both
from gateway.core.working_time import PARIS

#: Between the commune and the release of a target.
_AND: Final = ":"


async def _find(sight: Sight, which: str) -> ActTarget:
    insee, _, short = which.partition(_AND)
    town = sight.town(insee)
    part = release_named(await release_book(sight), insee, short)
    return ActTarget(which, insee, f"{town.name}, version {short}", part)


async def _sign_plan(sight: Sight, target: ActTarget) -> str:
    part: ReleasePart = target.value
    if part.agreements:
        english, french = "agreed already", f"Déjà signée par {part.agreements[-1].by}."
        raise Conflict(in_both(f"{target.id}: {english}", french))
    return (
        "L'accord de la commune est noté, avec votre nom : la version peut être mise en service."
        " Rien ne change avant."
    )


async def _sign(act: ActInHand) -> ActResult:
    part: ReleasePart = act.target.value
    insee, now = act.target.id.partition(_AND)[0], act.sight.now
    by, means = act.given.get("signatory") or act.by, act.given.get("means") or "console"
    day = now.astimezone(PARIS).date().isoformat()
    word = agreement(by, act.given["function"], means, act.given.get("note", ""), now, day)
    meant = replace(word, digest=part.digest)
    await applying.sign(act.store, meant, ReleaseFiles({}), CommuneChoice((insee,)))
    return ActResult("Accord noté.", {"release": part.digest})


RELEASE_ACTS: Final = (
    ConsoleAct(
        "release.sign",
        "Donner l'accord de la commune à une version",
        "Donner l'accord",
        ACTORS,
        _find,
        _sign_plan,
        _sign,
        parameters=(
            Parameter("function", "En qualité de", hint="Par exemple : directrice des services."),
            Parameter("signatory", "Qui est d'accord, si ce n'est pas vous", required=False),
            Parameter("means", "Par quel moyen", required=False, hint="Lettre, courriel, réunion."),
            Parameter("note", "Remarque", required=False),
        ),
        command="release sign",
    ),
)
