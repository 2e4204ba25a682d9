"""The sentences for citizens and communes' portals when a link cannot be made."""

from __future__ import annotations

from typing import Final

_AGAIN = "Revenez sur le portail de votre commune et recommencez."

#: Word -> (HTTP status, the sentence for the reader).
REFUSALS: Final[dict[str, tuple[int, str]]] = {
    "no_linking": (404, "Cette commune ne propose pas de rattacher un compte."),
    "commune_left": (410, "Cette commune n'est plus raccordée : rien ne s'y rattache plus."),
    "bad_request": (403, f"La demande du portail de la commune n'est pas valable. {_AGAIN}"),
    "expired_request": (403, f"La demande du portail de la commune a expiré. {_AGAIN}"),
    "replayed_request": (403, f"La demande du portail de la commune a déjà servi. {_AGAIN}"),
    "foreign_return": (
        403,
        "La demande renvoie vers une adresse que cette commune n'a pas déclarée.",
    ),
    "personal_in_address": (
        400,
        "Un libellé de compte ne passe pas par l'adresse : le portail l'envoie par formulaire.",
    ),
    "not_begun": (
        400,
        f"Cette étape n'a pas commencé dans ce navigateur, ou il y a plus de dix minutes. {_AGAIN}",
    ),
    "foreign_state": (403, f"Cette réponse n'est pas celle de votre connexion. {_AGAIN}"),
    "replayed_answer": (403, f"Cette réponse a déjà servi. {_AGAIN}"),
    "sign_in_refused": (
        403,
        f"GrandLyon Connect indique que la connexion n'a pas été accordée. {_AGAIN}",
    ),
    "bad_token": (403, f"La réponse de GrandLyon Connect n'est pas valable. {_AGAIN}"),
    "provider_fails": (
        503,
        "GrandLyon Connect ne répond pas comme prévu. Réessayez dans quelques minutes.",
    ),
    "no_account": (
        503,
        "GrandLyon Connect n'a pas dit de quel compte il s'agit. La Métropole en est avertie.",
    ),
    "no_session": (403, f"Votre session est terminée. {_AGAIN}"),
    "foreign_form": (403, "Ce formulaire n'est pas celui de cette page."),
    "erased_account": (410, "Ce compte GrandLyon Connect a été supprimé."),
    "bad_call": (401, "L'appel n'est pas signé comme il le doit, ou a déjà servi."),
    "no_link": (404, "Il n'y a pas de rattachement de ce nom."),
    "no_logo": (404, "Il n'y a pas de logo à cette adresse."),
    "bad_logout": (400, "This is no logout token for us."),
}
