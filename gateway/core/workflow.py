"""The names that the portal's workflow and the gateway share, in one place.

The shipped workflow (`wire/wcs_statuses.py`) writes these backoffice fields; the gateway reads
some of them. A designer may change labels and identifiers, never these names.
"""

from __future__ import annotations

from typing import Final

#: The instant from which the request is owed to the commune; written just before the first call.
DUE: Final = "bo_a_transmettre"
#: The commune that was first called: where the request stays, whatever the citizen edits.
COMMUNE: Final = "bo_commune_appelee"
#: The reports of ours that were carried out: their `evenement`, written by the last action.
DONE: Final = "bo_retours_traites"
#: The token of the document that follows a report, announced by the report.
AWAITED: Final = "bo_document_attendu"
#: The name it is to be shown under.
AWAITED_NAME: Final = "bo_document_nom"
#: The citizen's event: its nature, its number within the request, its text.
EVENT_KIND: Final = "bo_evt_action"
EVENT_NUMBER: Final = "bo_evt_no"
EVENT_TEXT: Final = "bo_evt_message"

#: An attribute of each message of ours in the history: the report's `evenement`.
TOLD: Final = "data-retour"

#: The global actions that the gateway calls, as the shipped mappings name them.
HOOK: Final = "retour_commune"
DOCUMENT_HOOK: Final = "document_commune"
