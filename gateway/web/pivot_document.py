"""The OpenAPI document of the pivot contract, generated from its routes and models.

`python -m gateway.web.pivot_document .` writes it, and the registry of problems, into `docs/`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.sdk import pivot_models as models
from gateway.sdk.pivot_models import API_VERSION, PivotFailure
from gateway.web.pivot_deprecation import mark_deprecated
from gateway.web.pivot_problems import PROBLEMS_PAGE, TABLE, registry_page
from gateway.web.problems import PROBLEM_TYPE

DOCUMENT = "docs/pivot/openapi.json"
DESCRIPTION = """\
Contrat entre la passerelle de la Métropole de Lyon et le demi-connecteur qu'une commune écrit.

**Aller.** Chaque événement d'une demande est un message (`webhooks`), que la passerelle envoie
signé selon Standard Webhooks. Prendre chaque `id` une seule fois : un message dont la réponse
s'est perdue est renvoyé. La signature est le HMAC-SHA256, en Base64, de `webhook-id`, un point,
`webhook-timestamp`, un point, le corps tel qu'il arrive (vide pour le GET de `check`). La clé est
ce qui suit `whsec_`, décodé du Base64 ; un secret sans ce préfixe est la clé même. Répondre dans
le délai que la Métropole a réglé (20 s si rien n'est dit) : enregistrer d'abord, traiter ensuite.
`data` est ce que fait le fichier de correspondance de la commune : le demander avec les secrets.

**Retour.** Un seul appel, `POST /pivot/v1/requests/{reference}/changes`, dit l'état, le texte,
les documents et le numéro : tout est pris, ou rien. Le refaire avec la même clé jusqu'à une
réponse. L'usager lit les changements dans l'ordre où ils sont pris : n'en dire un d'une demande
qu'après la réponse au précédent.

**Preuve.** Un jeton OAuth 2.0 (`client_credentials`), demandé à `/pivot/v1/token`. L'adresse de
base, `client_id` et les secrets viennent de la Métropole. Le jeton survit à un redémarrage.

**Erreurs.** RFC 9457, avec `fault` (qui peut y remédier) et `retry` (faut-il refaire l'appel).
Chaque `type` est au registre des problèmes.

**Versions.** La majeure est dans l'adresse. Dans une majeure on ne fait qu'ajouter : ignorer les
champs, types d'événements et en-têtes inconnus. Ce qui va disparaître est annoncé douze mois avant
au moins : `deprecated` ici, et dans chaque réponse `Deprecation` (RFC 9745), `Sunset` (RFC 8594) et
`Link` (`rel="deprecation"`) vers la page qui dit quoi faire.

**Débit.** Dix appels par seconde et par client, six cents d'un coup. Au-delà, 429 et
`Retry-After`."""
#: Bodies that no handler declares to the framework.
_BODIES: tuple[type[BaseModel], ...] = (
    models.PivotChange,
    models.PivotClaim,
    models.ClaimAnswer,
    models.EventsPage,
    models.PivotEvent,
    models.PivotErasure,
    models.Acknowledgement,
    PivotFailure,
)
#: The proof of a half-connector.
CLIENT_SCHEME = {
    "client": {
        "type": "oauth2",
        "flows": {"clientCredentials": {"tokenUrl": "/pivot/v1/token", "scopes": {}}},
    }
}
_AUTH: list[dict[str, list[str]]] = [{"client": []}]
_HEADERS = [
    {
        "name": name,
        "in": "header",
        "required": True,
        "schema": {"type": "string"},
        "description": description,
    }
    for name, description in (
        ("webhook-id", "The message's `id`: the same however often it is sent. Of a ping, any."),
        ("webhook-timestamp", "Seconds since 1970; refuse what is 5 minutes away."),
        ("webhook-signature", "`v1,` and Base64, several with a space between: one must fit."),
    )
]

#: The answer that is a file.
FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"application/octet-stream": {}}},
    206: {"description": "A part of it.", "content": {"application/octet-stream": {}}},
}
FILE_HEADERS: dict[str, Any] = {"description": "`Content-Length`, `Content-Type`, `ETag`."}


def _parameters(*told: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": place,
            "required": False,
            "schema": {"type": "string"},
            "description": description,
        }
        for name, place, description in told
    ]


#: The parameters of a link.
SHOWS_LINK: dict[str, Any] = {
    "parameters": _parameters(
        ("client", "query", "Stands in the link."),
        ("expires", "query", "Stands in the link: its end, in seconds since 1970."),
        ("signature", "query", "Stands in the link."),
    )
}
#: The parameters of a link, and those of its reader.
READS_LINK: dict[str, Any] = {
    "parameters": [
        *SHOWS_LINK["parameters"],
        *_parameters(
            ("Range", "header", "`bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-COUNT`."),
            ("If-Range", "header", "The `ETag` of the first read: `Range` counts for it alone."),
        ),
    ]
}
_FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"const": "client_credentials"},
        "client_id": {
            "type": "string",
            "description": "INSEE code, dot, name: `69029.main`. It and the secret may be given in"
            " HTTP Basic instead (RFC 6749, 2.3.1).",
        },
        "client_secret": {"type": "string"},
    },
}
#: The part of the token's operation that says what it takes; Basic does instead of the two fields.
TAKES_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/x-www-form-urlencoded": {"schema": _FORM}},
    }
}
_TOKEN_FAILURE = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"enum": ["invalid_client", "unsupported_grant_type"]}},
}


def pivot_failures(*statuses: int, never: Collection[str] = ()) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation other than its successes; `never` are the words of these
    statuses that it does not answer."""
    schema = {"$ref": f"#/components/schemas/{PivotFailure.__name__}"}
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted((*statuses, 405, 429, 500)):
        said = (one.word for one in TABLE if one.status == status and one.word not in never)
        words = ", ".join(f"`{word}`" for word in said)
        found[status] = {"description": words, "content": {PROBLEM_TYPE: {"schema": schema}}}
    return found


#: The failures of the token's operation: those of RFC 6749, and ours.
TOKEN_FAILURES: dict[int | str, dict[str, Any]] = {
    **pivot_failures(408, 413, 503, never={"document_too_large"}),
    **{
        status: {
            "description": f"RFC 6749, 5.2: `{error}`.",
            "content": {"application/json": {"schema": _TOKEN_FAILURE}},
        }
        for status, error in ((400, "unsupported_grant_type"), (401, "invalid_client"))
    },
}


def takes_told(model: type[BaseModel]) -> dict[str, Any]:
    """Return the part of an operation that says who may call, and with what JSON."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {
        "security": _AUTH,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


#: The part of an operation without a body that says who may call.
CALLED: dict[str, Any] = {"security": _AUTH}


def pivot_openapi(router: APIRouter) -> dict[str, Any]:
    """Return the document of these routes, with the messages that we send as `webhooks`."""
    found = get_openapi(
        title="Contrat pivot",
        version=API_VERSION,
        openapi_version="3.1.0",
        description=DESCRIPTION,
        routes=router.routes,
        separate_input_output_schemas=False,
    )
    complete_document(found)
    mark_deprecated(found)
    found["components"]["securitySchemes"] = CLIENT_SCHEME
    found["webhooks"] = {
        "event": {"post": _pushed("PivotEvent", "An event of a request.")},
        "erasure": {"post": _pushed("PivotErasure", "A person is to be forgotten.")},
        "ping": {
            "get": {
                "description": "A signed call without a body, which `check` makes: answer 2xx, and"
                " 401 to a signature that does not fit.",
                "parameters": _HEADERS,
                "responses": {"2XX": {"description": "Here."}},
            }
        },
    }
    return found


def complete_document(document: dict[str, Any]) -> None:
    """Complete a document with the bodies of the contract, and drop what no route answers."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _, made = models_json_schema(
        [(model, "validation") for model in _BODIES], ref_template="#/components/schemas/{model}"
    )
    schemas.update(made["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation["responses"]
            if "HTTPValidationError" in json.dumps(responses.get("422", "")):
                del responses["422"]


def _pushed(model: str, description: str) -> dict[str, Any]:
    answer = {"schema": {"$ref": "#/components/schemas/Acknowledgement"}}
    return {
        "description": description,
        "parameters": _HEADERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{model}"}}},
        },
        "responses": {
            "2XX": {"description": "Taken.", "content": {"application/json": answer}},
            "4XX": {
                "description": "Refused: a person has to look. Sent again are 408, 425, 429 and any"
                " with `retry`: `after` or `now` in a JSON body; and, slowly, 401, 403, 404, 405,"
                " 410 and 3XX: there a setting is wrong."
            },
            "5XX": {"description": "Not taken: sent again, when `Retry-After` says or later."},
        },
    }


def files(router: APIRouter) -> dict[str, str]:
    """Return what lies in the documentation, by its name."""
    document = json.dumps(pivot_openapi(router), ensure_ascii=False, indent=1, sort_keys=True)
    return {DOCUMENT: document + "\n", PROBLEMS_PAGE: registry_page()}


def main(folder: Path) -> None:
    """Write the files into the project in `folder`."""
    from gateway.web.pivot import pivot_router

    nobody: Any = None
    for name, text in files(pivot_router(nobody)).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
