"""The parts of the published contract beside its types: parameters, failures, credentials."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Path
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from gateway import __version__
from gateway.web.models import ProblemDetails, PublikFailure
from gateway.web.pivot_document import CLIENT_SCHEME, complete_document
from gateway.web.problems import PROBLEM_TYPE, TITLES

Insee = Annotated[str, Path(description="The commune's INSEE code, five characters.")]
Slug = Annotated[str, Path(description="The form's slug at the portal.")]
Ref = Annotated[str, Path(description="The formdata's id at the portal, or our identifier.")]

_AUTH: list[dict[str, list[str]]] = [{"publikSignature": []}, {"basic": []}]
_SCHEMES = {
    "publikSignature": {
        "type": "apiKey",
        "in": "query",
        "name": "signature",
        "description": "Publik's signed query: algo=sha256, timestamp, nonce, optional orig, and"
        " last the signature, over the raw query.",
    },
    "basic": {"type": "http", "scheme": "basic"},
}
#: The proof of calls of a commune's own portal.
CALL_SCHEME = {
    "linkCall": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A JWT of the commune's portal, under the secret that both share (HS256,"
        " `typ` link-call+jwt): iss, aud, iat, exp, jti. It is good once, for 5 minutes at most.",
    }
}
DESCRIPTION = (
    "Gateway between the Toodego portal and the request-management systems of the communes."
    " `/portal` speaks Publik's envelope; everything else answers errors as problem details."
    " `/ops` holds no personal data and is not protected here: keep it inside."
)


def failures(*statuses: int, publik: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return the responses of an operation other than its successes."""
    every = (*statuses, 405, 500)
    if publik:
        return {s: {"model": PublikFailure, "description": TITLES[s][1]} for s in every}
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {
        s: {"description": TITLES[s][1], "content": {PROBLEM_TYPE: {"schema": schema}}}
        for s in every
    }


def takes(model: type[BaseModel]) -> dict[str, Any]:
    """Return the part of an operation that says who may call, and with what JSON."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {
        "security": _AUTH,
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
    }


#: The part of an operation without a body that says who may call.
SIGNED: dict[str, Any] = {"security": _AUTH}


def publish(app: FastAPI, *bodies: type[BaseModel]) -> None:
    """Have `app` describe itself truly; handlers read the models `bodies` by hand."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title="toodego-gru-gateway",
                version=__version__,
                description=DESCRIPTION,
                routes=app.routes,
            )
            components = schema.setdefault("components", {})
            models = components.setdefault("schemas", {})
            described: list[type[BaseModel]] = [*bodies, ProblemDetails]
            for model in described:
                models[model.__name__] = model.model_json_schema(
                    ref_template="#/components/schemas/{model}"
                )
            components["securitySchemes"] = {**_SCHEMES, **CLIENT_SCHEME, **CALL_SCHEME}
            # Every parameter is text: the framework's own 422 is never answered.
            complete_document(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
