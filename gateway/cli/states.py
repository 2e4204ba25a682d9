"""The words for states, for people. Scripts get the state itself."""

from __future__ import annotations

from typing import Final

from gateway.core.erasure import Phase
from gateway.core.messages import Message, Messages, Text, plain
from gateway.core.outcome import ErasureResult

_FRENCH: Final = {
    # a commune, its file
    "running": "en service",
    "ready": "prête",
    "paused": "suspendue",
    "paused in its file": "suspendue dans son fichier",
    "not released": "sans version",
    "refused": "refusée",
    # a commune that leaves
    "announced": "départ annoncé",
    "draining": "part : achève ce qui attend",
    "telling": "part : prévient le portail",
    "erasing": "part : suppression",
    "ended": "partie",
    "ok": "bon",
    "broken": "en défaut",
    "gone": "disparu",
    # a lane's breaker
    "closed": "fermé",
    "open": "ouvert",
    "half_open": "à l'essai",
    # a plan
    "new": "nouveau",
    "changed": "changé",
    "same": "identique",
    "unsigned": "sans accord",
    "urgent": "en urgence",
    # an act
    "kept": "gardée",
    "signed": "signée",
    "revoked": "accord repris",
    "ran": "jouée",
    "applied": "appliquée",
    "rolled_back": "rétablie",
    "withdrawn": "retirée",
    "set": "réglée",
    # what holds an erasure
    "brake": "frein",
    "ordered": "demandé",
    "deleted": "supprimée au portail",
    # a contract, what runs
    "passed": "conforme",
    "failed": "en échec",
    "NOT PASSED": "NON CONFORME",
    "NOBODY": "PERSONNE",
    "yes": "oui",
    "not yet": "pas encore",
    "REFUSED": "REFUSÉE",
}
states: Final = Messages(*(Text(en, en, "", fr, "") for en, fr in _FRENCH.items()))

_PHASES: Final = {
    Phase.HELD: "retenu",
    Phase.OPEN: "en cours",
    Phase.SCRUBBED: "effacé ici",
    Phase.TELLING: "attend les communes",
    Phase.CLOSED: "clos",
    Phase.WITHDRAWN: "hors de cause",
}
_ANSWERS: Final = {
    ErasureResult.ERASED: "effacé",
    ErasureResult.ANONYMISED: "anonymisé",
    ErasureResult.KEPT: "conservé",
    ErasureResult.ABSENT: "absent",
}
erasure_results: Final = Messages(
    *(Text(one.value, one.value, "", fr, "") for one, fr in _ANSWERS.items())
)
phases: Final = Messages(*(Text(one.value, one.value, "", fr, "") for one, fr in _PHASES.items()))


def state_word(word: str) -> Message:
    """Return the word in the reader's language; an unknown state is returned unchanged."""
    return states(word) if word in states else plain(word)
