"""The names that the portal's workflow and the gateway share.

The shipped workflow (`wire/wcs_statuses.py`) writes these backoffice fields; the gateway reads
some. A designer may change labels and identifiers, never these names.
"""

from __future__ import annotations

from typing import Final

#: The instant from which the request is due to the commune; written just before the first call.
DUE: Final = "bo_a_transmettre"
#: The commune of the first call: the request stays there, whatever the citizen edits.
COMMUNE: Final = "bo_commune_appelee"
#: The `evenement` of each report carried out, written by the last action.
DONE: Final = "bo_retours_traites"
#: The token of the document that a report announces.
AWAITED: Final = "bo_document_attendu"
#: The name under which it is shown.
AWAITED_NAME: Final = "bo_document_nom"
#: The citizen's event: its nature, its number within the request, its text.
EVENT_KIND: Final = "bo_evt_action"
EVENT_NUMBER: Final = "bo_evt_no"
EVENT_TEXT: Final = "bo_evt_message"

#: An attribute of each of our messages in the history: the report's `evenement`.
TOLD: Final = "data-retour"

#: The global actions that the gateway calls, as the shipped mappings name them.
HOOK: Final = "retour_commune"
DOCUMENT_HOOK: Final = "document_commune"


def document_event(event_id: str) -> str:
    """Name the event of a document that goes apart from the report that announces it."""
    return f"{event_id}-document"
