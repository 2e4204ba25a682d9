"""The certificate of an erasure: a French page to print, without anything of the person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.contracts.report import french, render_page
from gateway.core.erasure import Phase
from gateway.core.outcome import ErasureResult
from gateway.store.erasures import Erasure, Target

_ANSWERS = {
    ErasureResult.ERASED: "effacée",
    ErasureResult.ANONYMISED: "anonymisée",
    ErasureResult.KEPT: "conservée",
    ErasureResult.ABSENT: "absente de la GRU",
}
_VERDICTS = {
    Phase.HELD: "Effacement retenu : deux personnes doivent donner leur accord",
    Phase.OPEN: "Effacement en cours",
    Phase.SCRUBBED: "Effacement en cours",
    Phase.TELLING: "Effacé à la passerelle ; des communes n'ont pas encore répondu",
    Phase.CLOSED: "Effacement achevé",
    Phase.WITHDRAWN: "Effacement abandonné : le compte existe",
}
_SOURCES = {
    "deletions": "liste des comptes supprimés de GrandLyon Connect",
    "synchronization": "GrandLyon Connect ne connaît plus le compte",
    "events": "événement signé de GrandLyon Connect (account-purged)",
    "portal": "le portail a anonymisé la demande",
    "command": "demande d'effacement, par deux personnes de la Métropole",
    "ledger": "registre des effacements, après la restauration d'une sauvegarde",
}


@dataclass(frozen=True, slots=True)
class _Row:
    """A request as the page tells it."""

    request: str
    commune: str
    answer: str
    at: str
    by: str
    ground: str | None
    until: str


def certificate(
    found: Erasure, targets: Sequence[Target], now: datetime, *, broken: bool = False
) -> str:
    """Return the page (HTML, A4). `broken`: the chain of the trail does not hold."""
    rows = [_row(one) for one in targets]
    return render_page(
        "erasure.html.j2",
        erasure=found,
        rows=rows,
        counts=Counter(row.answer for row in rows),
        verdict=_VERDICTS[found.state],
        done=found.state is Phase.CLOSED,
        source=_SOURCES.get(found.source, found.source),
        report={"at": now},
        broken=broken,
    )


def _row(one: Target) -> _Row:
    if one.delivery_id is None:
        return _Row(one.request_id, one.commune, "jamais transmise", "", "", None, "")
    if one.acknowledged_at is None:
        return _Row(one.request_id, one.commune, "réponse attendue", "", "", None, "")
    answer = "envoi abandonné" if one.answer is None else _ANSWERS[ErasureResult(one.answer)]
    by = "la GRU" if one.acknowledged_by == "gru" else one.acknowledged_by or ""
    decided = one.decided_by or ("la commune" if one.ground else "")
    until = french(one.until).partition(" à ")[0] if one.until else "sans terme indiqué"
    ground = None if one.ground is None else f"{one.ground} (décidé par : {decided})"
    return _Row(one.request_id, one.commune, answer, french(one.acknowledged_at), by, ground, until)


__all__ = ["certificate"]
