"""The portal's forms as last accepted, and their drift since."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from gateway.store.dialect import upsert
from gateway.store.release_tables import FORM_SCHEMA

Drifted = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FormState:
    """One form. `accepted` None: it could never be read. `failure`: why the last read failed."""

    portal: str
    teleservice: str
    accepted: Mapping[str, Any] | None
    drift: tuple[Drifted, ...]
    read_at: datetime
    failure: str | None


def form(connection: Connection, portal: str, teleservice: str) -> FormState | None:
    """Return what is known of one form."""
    row = connection.execute(
        select(FORM_SCHEMA).where(
            FORM_SCHEMA.c.portal == portal, FORM_SCHEMA.c.teleservice == teleservice
        )
    ).first()
    return None if row is None else _state(row)


def forms(connection: Connection) -> list[FormState]:
    """Return what is known of all forms."""
    rows = connection.execute(
        select(FORM_SCHEMA).order_by(FORM_SCHEMA.c.portal, FORM_SCHEMA.c.teleservice)
    )
    return [_state(row) for row in rows]


def record_reading(
    connection: Connection,
    portal: str,
    teleservice: str,
    schema: Mapping[str, Any],
    drift: Sequence[Drifted],
    now: datetime,
    *,
    accept: bool,
) -> None:
    """Store a read; with `accept`, later ones are compared with its `schema`."""
    values: dict[str, Any] = {"drift": _json(list(drift)), "read_at": now, "failure": None}
    accepted = {"accepted": _json(schema), "accepted_at": now}
    _upsert(connection, portal, teleservice, accepted | values, accepted if accept else {}, values)


def record_failure(
    connection: Connection, portal: str, teleservice: str, failure: str, now: datetime
) -> None:
    """Record that a form could not be read; what was known of it stays."""
    values: dict[str, Any] = {"read_at": now, "failure": failure}
    fresh = {"accepted": "null", "accepted_at": now, "drift": "[]"} | values
    _upsert(connection, portal, teleservice, fresh, {}, values)


def _upsert(
    connection: Connection,
    portal: str,
    teleservice: str,
    fresh: Mapping[str, Any],
    accepted: Mapping[str, Any],
    values: Mapping[str, Any],
) -> None:
    key = {"portal": portal, "teleservice": teleservice}
    upsert(connection, FORM_SCHEMA, *key, changed={**accepted, **values}, **key, **fresh)


def _state(row: Any) -> FormState:
    accepted = json.loads(row.accepted)
    return FormState(
        row.portal,
        row.teleservice,
        accepted if isinstance(accepted, dict) else None,
        tuple(json.loads(row.drift)),
        row.read_at,
        row.failure,
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
