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

PHASES: Final[Mapping[str, str]] = {
    "held": "retenu : deux personnes décident",
    "open": "en cours ici",
    "scrubbed": "effacé ici, copies en cours",
    "telling": "attend les communes",
    "closed": "terminé",
    "withdrawn": "abandonné : le compte existe",
}
ERASURE_RESULTS: Final[Mapping[str, str]] = {
    "erased": "effacées",
    "anonymised": "anonymisées",
    "kept": "conservées par une loi",
    "absent": "il n'y en avait pas",
}
ERASURE_SOURCES: Final[Mapping[str, str]] = {
    "deletions": "liste des comptes supprimés de GrandLyon Connect",
    "synchronization": "GrandLyon Connect ne connaît plus le compte",
    "events": "événement signé de GrandLyon Connect",
    "portal": "le portail a anonymisé la demande",
    "command": "demande d'effacement",
    "ledger": "registre des effacements, après une restauration",
}
ANNOUNCEMENTS: Final[Mapping[str, str]] = {
    "maintenance": "Maintenance",
    "change": "Changement technique",
}
ANNOUNCEMENT_STATES: Final[Mapping[str, str]] = {
    "planned": "à venir",
    "under_way": "en cours",
    "ended": "fini",
    "cancelled": "annulé",
}
STREAMS: Final[Mapping[str, str]] = {
    "people": "Actes des personnes",
    "release": "Mises en service",
    "erasure": "Effacements",
    "incidents": "Incidents",
    "announcements": "Annonces",
    "decommission": "Départs de communes",
    "rights": "Droits des personnes",
    "links": "Rattachements",
}
#: Values of entries of the trail, by their names there.
DETAILS: Final[Mapping[str, str]] = {
    "account": "compte",
    "role": "rôle",
    "cause": "cause",
    "severity": "gravité",
    "digest": "version",
    "function": "qualité",
    "means": "moyen",
    "date": "date",
    "note": "remarque",
    "passed": "réussi",
    "requests": "demandes",
    "files": "fichiers",
    "source": "origine",
    "known": "connus",
    "agreed": "accords",
    "opened": "commencés",
    "withdrawn": "abandonnés",
    "to": "à",
    "answer": "réponse",
    "signatory": "signataire",
    "reference": "numéro",
}
#: Entries of the trail, by stream and kind, that are no acts of the console.
JOURNAL: Final[Mapping[str, str]] = {
    "people.console.user_added": "Compte de la console ajouté",
    "people.console.user_reset": "Nouveau lien d'ouverture d'un compte",
    "people.console.user_disabled": "Compte de la console fermé",
    "people.console.token_added": "Jeton d'API ajouté",
    "people.console.token_removed": "Jeton d'API retiré",
    "people.console.password": "Mot de passe choisi",
    "release.kept": "Version enregistrée",
    "release.signed": "Version signée par la commune",
    "release.revoked": "Signature retirée",
    "release.ran": "Contrats passés",
    "release.applied": "Version mise en service",
    "release.rolled_back": "Version précédente remise en service",
    "release.withdrawn": "Plus aucune version en service",
    "release.set": "Fichiers mis en place",
    "erasure.held": "Effacements retenus par le frein",
    "erasure.found": "Compte supprimé constaté",
    "erasure.ordered": "Effacement demandé",
    "erasure.approved": "Accord donné à un effacement",
    "erasure.withdrawn": "Effacement abandonné : le compte existe",
    "erasure.erased": "Données effacées ici",
    "erasure.commune_acknowledged": "Effacement confirmé par une commune",
    "erasure.closed": "Effacement terminé",
    "incidents.opened": "Incident ouvert",
    "incidents.reopened": "Incident revenu",
    "incidents.worse": "Incident aggravé",
    "incidents.warned": "Échéance proche",
    "incidents.breached": "Échéance dépassée",
    "incidents.resolved": "Incident résolu",
    "incidents.acknowledged": "Incident pris en charge",
    "incidents.assigned": "Incident confié",
    "incidents.severity": "Gravité changée",
    "incidents.paused": "Délai suspendu",
    "incidents.resumed": "Délai repris",
    "incidents.notified": "Attaque notifiée",
    "incidents.closed": "Incident clos",
    "announcements.announced": "Annonce faite",
    "announcements.cancelled": "Annonce annulée",
    "announcements.read": "Annonce lue",
    "decommission.announced": "Départ d'une commune annoncé",
    "decommission.draining": "Départ : fin des dépôts",
    "decommission.telling": "Départ : le portail est informé",
    "decommission.erasing": "Départ : effacement",
    "decommission.gone": "Départ achevé",
    "decommission.cancelled": "Départ annulé",
    "decommission.hurried": "Départ avancé",
    "decommission.reopened": "Départ annulé : la commune revient",
    "rights.exported": "Copie de données remise à une personne",
    "links.unlinked": "Rattachements rompus",
}


def day(moment: datetime | None) -> str:
    """Write a day as France does, in Paris's time."""
    return "" if moment is None else moment.astimezone(PARIS).strftime("%d/%m/%Y")


def day_and_time(moment: datetime | None) -> str:
    """Write a moment as France does, in Paris's time."""
    return "" if moment is None else moment.astimezone(PARIS).strftime("%d/%m/%Y à %H h %M")


def hours(seconds: float) -> str:
    """Write a time of a budget, to the minute, without its sign."""
    whole, minutes = divmod(int(abs(seconds) // 60), 60)
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
