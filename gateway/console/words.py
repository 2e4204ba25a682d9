"""The console's French words for the constant words of the rooms below."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

PARIS: Final = ZoneInfo("Europe/Paris")

KINDS: Final[Mapping[str, str]] = {
    "submit": "Envoi à la GRU",
    "amend": "Complément à la GRU",
    "report": "Retour au portail",
    "erase": "Effacement à la GRU",
}
STATES: Final[Mapping[str, str]] = {
    "waiting": "en attente",
    "sending": "en cours",
    "unsure": "réponse perdue",
    "question": "question posée",
    "parked": "mis de côté",
    "dead": "délai dépassé",
    "done": "fait",
    "discarded": "abandonné",
}
WHO: Final[Mapping[str, str]] = {
    "gateway": "personne : la passerelle s'en occupe",
    "gru": "la commune, dans sa GRU",
    "portal": "l'équipe du portail",
    "far_end": "le destinataire",
    "operator": "l'exploitation de la passerelle",
    "integrator": "l'intégrateur de la commune",
}
LANES: Final[Mapping[str, str]] = {
    "ok": "ouverte",
    "paused": "en pause",
    "open": "coupée : le destinataire ne répond pas",
    "half_open": "à l'essai",
    "held": "le destinataire demande une pause",
}
ROLES: Final[Mapping[str, str]] = {
    "operator": "exploitation",
    "agent": "agent de commune",
    "auditor": "audit (lecture seule)",
}
STATUSES: Final[Mapping[str, str]] = {
    "received": "reçue",
    "transmitted": "transmise",
    "accepted": "prise en charge",
    "in_progress": "en cours",
    "planned": "planifiée",
    "waiting_citizen": "en attente du citoyen",
    "done": "terminée",
    "refused": "refusée",
    "cancelled": "annulée",
}
EVENTS: Final[Mapping[str, str]] = {
    "creation": "Demande déposée",
    "message": "Message",
    "document": "Document",
    "change": "Modification",
    "cancellation": "Annulation",
    "status": "Changement d'état",
    "note": "Note",
}
ORIGINS: Final[Mapping[str, str]] = {
    "portal": "du portail",
    "gru": "de la GRU",
    "gateway": "de la passerelle",
}
ACTIONS: Final[Mapping[str, str]] = {"send": "envoi", "find": "question « l'avez-vous ? »"}
OUTCOMES: Final[Mapping[str, str]] = {
    "accepted": "pris",
    "refused": "refusé",
    "try_later": "à réessayer",
    "unsure": "sans réponse",
    "misconfigured": "mal configuré",
    "found": "trouvé",
    "absent": "absent",
    "cannot_tell": "sans réponse utilisable",
}
SEVERITIES: Final[Mapping[str, str]] = {
    "bloquant": "bloquant",
    "majeur": "majeur",
    "mineur": "mineur",
    "securite": "sécurité",
}
INCIDENT_STATES: Final[Mapping[str, str]] = {
    "suspected": "soupçonné",
    "open": "ouvert",
    "resolved": "résolu, à clore",
    "closed": "clos",
}
PARTIES: Final[Mapping[str, str]] = {
    "gateway": "la passerelle",
    "portal": "le portail",
    "glc": "GrandLyon Connect",
    "commune": "la commune",
    "network": "le réseau",
}
NOTICES: Final[Mapping[str, str]] = {
    "waiting": "à envoyer",
    "sent": "envoyé",
    "superseded": "remplacé par un autre avis, ou sans destinataire",
}


def day(moment: datetime | None) -> str:
    """Write a day as France does, in Paris's time."""
    return "" if moment is None else moment.astimezone(PARIS).strftime("%d/%m/%Y")


def day_and_time(moment: datetime | None) -> str:
    """Write a moment as France does, in Paris's time."""
    return "" if moment is None else moment.astimezone(PARIS).strftime("%d/%m/%Y à %H h %M")


def hours(span: timedelta) -> str:
    """Write a time of a budget, to the minute."""
    whole, minutes = divmod(int(abs(span.total_seconds()) // 60), 60)
    return f"{whole} h {minutes:02}"


def to_the_second(moment: datetime | None) -> str:
    """Write a moment to the second."""
    return "" if moment is None else moment.astimezone(PARIS).strftime("%d/%m/%Y à %H:%M:%S")


def lasting(span: timedelta | float | None) -> str:
    """Write how long something lasts, roughly. None: not known."""
    if span is None:
        return ""
    seconds = span.total_seconds() if isinstance(span, timedelta) else span
    minutes = int(abs(seconds) // 60)
    days, hours = minutes // 1440, minutes // 60
    if days >= 2:
        return f"{days} jours"
    if hours >= 2:
        return f"{hours} heures"
    return f"{minutes} min" if minutes else "moins d'une minute"
