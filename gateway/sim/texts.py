"""The texts of w.c.s.'s refusals, in its own English and in a French site's French.

A text is translated only if a running w.c.s. was seen to translate it.
"""

from __future__ import annotations

BUSY = "Formdata currently processing actions."
NONCE = "Nonce already used."
SIGNATURE = "Invalid signature."
ORIG = "Invalid orig."
ROLES = "Insufficient roles."
NOBODY = "User not authenticated."
NAME_ID = "Unknown NameID."
METHOD = "Wrong HTTP method (must be POST or PUT)."
FILTER = 'Invalid filter "{}".'
OPERATOR = 'Invalid operator "{}" for "{}".'
#: Of what is no field.
OPERATOR_OF = 'Invalid operator "{}" for {}.'
VALUE = 'Invalid value "{}" for "{}".'
NO_DATA_THEN = "No data found for this datetime."
NOT_JSON = "Invalid JSON payload ({})."
NO_SUBMISSION_ROLE = "No backoffice submission roles on this form."
NOT_FOUND = "Page not found"

_FRENCH = {
    BUSY: "Actions en cours de traitement sur ce formulaire.",
    NONCE: "Nonce déjà utilisé.",
    SIGNATURE: "Signature invalide.",
    ORIG: "Paramètre «\u00a0orig\u00a0» invalide.",
    ROLES: "Rôles insuffisants.",
    NOBODY: "Utilisateur non authentifié.",
    NAME_ID: "NameID inconnu.",
    METHOD: "Méthode HTTP invalide (doit être POST ou PUT).",
    FILTER: "Filtre invalide «\u00a0{}\u00a0».",
    OPERATOR: "Opérateur «\u00a0{}\u00a0» invalide pour «\u00a0{}\u00a0».",
    OPERATOR_OF: "Opérateur «\u00a0{}\u00a0» invalide pour le «\u00a0{}\u00a0».",
    VALUE: "Valeur invalide («\u00a0{}\u00a0») pour «\u00a0{}\u00a0».",
    NOT_JSON: "Contenu JSON invalide ({}).",
    NO_SUBMISSION_ROLE: "Pas de rôles de saisie backoffice sur ce formulaire.",
    NOT_FOUND: "Page non trouvée",
}


def translated(language: str, text: str | None, *values: str) -> str | None:
    """Return `text` in the site's language ("fr" or "en"), with `values` filled in."""
    if text is None:
        return None
    found = _FRENCH.get(text, text) if language == "fr" else text
    return found.format(*values) if values else found
