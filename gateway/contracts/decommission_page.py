"""The certificate of a decommission: a French page to print, without anything of any citizen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.contracts.report import french, render_page
from gateway.core.decommission import DecommissionStep
from gateway.store.decommissions import Decommission
from gateway.store.trail import TrailEntry

_STEPS = {
    "announced": "annoncé",
    "hurried": "attente abrégée",
    DecommissionStep.DRAINING.value: "plus rien n'est pris du portail ni des usagers",
    DecommissionStep.TELLING.value: "plus rien ne part à la GRU ; le portail est prévenu",
    DecommissionStep.ERASING.value: "plus rien n'est servi ; la suppression commence",
    DecommissionStep.ENDED.value: "rien ne reste ; certificat",
}
#: The numbers of the page, in French, in its order.
_COUNTS = (
    ("mailed", "contacts de la commune prévenus par courriel"),
    ("requests", "demandes supprimées, avec leurs suites"),
    ("files", "pièces jointes supprimées"),
    ("links", "rattachements de comptes détruits"),
    ("dropped", "remises abandonnées"),
    ("told", "demandes ouvertes dont le portail a été prévenu"),
    ("untold", "demandes ouvertes dont le portail n'a pu être prévenu"),
    ("erasures_owed", "effacements que la commune n'a pas confirmés"),
    ("kept", "références sans contenu, gardées comme preuve d'un effacement"),
)


def decommission_certificate(
    one: Decommission, entries: Sequence[TrailEntry], now: datetime, *, broken: bool = False
) -> str:
    """Return the page (HTML, A4). `entries` are its part of the trail; `broken`: the chain of the
    trail does not hold."""
    left = {word: one.counts.get(word, 0) for word in ("rows", "objects", "markers_found")}
    return render_page(
        "decommission.html.j2",
        one=one,
        counts=[(text, one.counts.get(word, 0)) for word, text in _COUNTS],
        left=left,
        markers=one.counts.get("markers", 0),
        steps=[(french(e.at), _STEPS.get(e.kind, e.kind), e.n, e.hash[:16]) for e in entries],
        done=one.step is DecommissionStep.ENDED and not any(left.values()),
        report={"at": now},
        broken=broken,
    )


__all__ = ["decommission_certificate"]
