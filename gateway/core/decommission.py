"""The end of a commune's connection: its steps, and what its citizens are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from gateway.core.status import Status


class DecommissionStep(StrEnum):
    """The step of a commune's decommission.

    announced: nothing has changed yet. draining: nothing is taken from the portal any more; what
    waits goes to the GRU. telling: what did not go is dropped, the portal is told of each open
    request. erasing: the commune is served no more, and what is held of it is deleted. cancelled:
    given up before anything was dropped.
    """

    ANNOUNCED = "announced"
    DRAINING = "draining"
    TELLING = "telling"
    ERASING = "erasing"
    ENDED = "ended"
    CANCELLED = "cancelled"


_PARIS = ZoneInfo("Europe/Paris")
OVER = frozenset({DecommissionStep.ENDED, DecommissionStep.CANCELLED})
#: A person may still give it up: nothing was dropped.
REVOCABLE = frozenset({DecommissionStep.ANNOUNCED, DecommissionStep.DRAINING})
#: The portal's pushes and citizens' links are refused.
CLOSED = frozenset(
    {
        DecommissionStep.DRAINING,
        DecommissionStep.TELLING,
        DecommissionStep.ERASING,
        DecommissionStep.ENDED,
    }
)
#: The words of the commune's GRU are refused, too.
SETTLED = CLOSED - {DecommissionStep.DRAINING}
#: Nothing of the commune is served any more.
GONE = SETTLED - {DecommissionStep.TELLING}


@dataclass(frozen=True, slots=True)
class Departure:
    """A commune that leaves, or has left. `closed_at` is None until nothing is taken any more.
    `codes` are INSEE codes beside `commune` that mean it as well."""

    commune: str
    name: str
    step: DecommissionStep
    closed_at: datetime | None = None
    codes: tuple[str, ...] = ()


class Handover(StrEnum):
    """The part of a request that its GRU has: nothing, perhaps it, or all."""

    NOTHING = "nothing"
    PERHAPS = "perhaps"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Farewell:
    """The last word about a request: a status (None: it stays), and a text for the citizen."""

    status: Status | None
    message: str


def announcement(name: str, stop_at: datetime, because: str) -> tuple[str, str]:
    """Return subject and text of the note to a commune's contacts: nothing of any citizen."""
    local = stop_at.astimezone(_PARIS)
    day = local.strftime("%d/%m/%Y à %H:%M")
    subject = f"Toodego, {name} : fin du raccordement le {local.strftime('%d/%m/%Y')}"
    text = f"""\
Bonjour,

Le raccordement de {name} à Toodego prend fin le {day} (heure de Paris).
Motif : {because}

À partir de là, la passerelle ne prend plus aucune demande pour la commune. Ce qui attend lui est
encore remis pendant un temps limité, les usagers dont la demande est ouverte sont prévenus, puis
tout ce que la passerelle tient de la commune est supprimé. Ce que la commune a reçu dans sa GRU lui
reste.

À faire : répondre aux effacements en attente, et fermer ensuite le compte de la passerelle sur la
GRU de la commune.

La passerelle Toodego (message automatique, ne pas répondre)
"""
    return subject, text


def farewell(
    name: str, day: str, handover: Handover, reference: str | None, *, dropped: bool
) -> Farewell:
    """Return what the citizen is told. `dropped`: something that they added did not leave.

    A request that the GRU has goes on there: to end it here would tell a lie.
    """
    left = f"La commune de {name} ne passe plus par ce service depuis le {day}."
    match handover:
        case Handover.NOTHING:
            return Farewell(
                Status.CANCELLED,
                f"{left} Votre demande ne lui a pas été transmise et ne le sera pas :"
                " adressez-vous directement à la commune.",
            )
        case Handover.PERHAPS:
            return Farewell(
                None,
                f"{left} Il n'est pas certain qu'elle ait reçu votre demande :"
                " vérifiez-le auprès d'elle.",
            )
    under = f" sous la référence {reference}" if reference else ""
    lost = " Vos derniers ajouts ne lui ont pas été transmis." if dropped else ""
    return Farewell(
        None,
        f"{left} Elle a votre demande{under} et la traite, mais la suite ne s'affichera plus"
        f" ici : adressez-vous directement à elle.{lost}",
    )
