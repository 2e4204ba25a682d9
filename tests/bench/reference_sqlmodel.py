"""Reference: the service that one writes first. FastAPI, SQLModel, one session per request.

It does what a 2xx of ours promises, by the shortest way: the signature is checked, the body is
validated, and nonce, request, event and delivery are committed to the same kind of database
(SQLite in WAL, synchronous=FULL).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import uvloop
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import Engine, event
from sqlmodel import Field, Session, SQLModel, create_engine

from tests.bench.bundle import KEY
from tests.bench.listening import serve
from tests.bench.processes import options


class NonceRow(SQLModel, table=True):
    __tablename__ = "ref_nonce"
    key: str = Field(primary_key=True)
    expires_at: datetime


class RequestRow(SQLModel, table=True):
    __tablename__ = "ref_request"
    id: str = Field(primary_key=True)
    slug: str
    ref: str = Field(unique=True)
    commune: str
    digest: str
    received_at: datetime


class EventRow(SQLModel, table=True):
    __tablename__ = "ref_event"
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="ref_request.id", index=True)
    kind: str
    body: str


class DeliveryRow(SQLModel, table=True):
    __tablename__ = "ref_delivery"
    id: str = Field(primary_key=True)
    request_id: str = Field(foreign_key="ref_request.id", index=True)
    lane: str
    state: str = "waiting"
    next_at: datetime = Field(index=True)


class UserBody(BaseModel):
    name: str | None = None
    email: str | None = None
    NameID: list[str] = []


class Pushed(BaseModel):
    id: str
    uuid: str | None = None
    display_id: str | None = None
    receipt_time: datetime | None = None
    api_url: str | None = None
    user: UserBody | None = None
    fields: dict[str, Any]


def signed(request: Request) -> str:
    """The nonce of a call that proves who sent it."""
    query = request.scope["query_string"].decode()
    text, _, signature = query.partition("&signature=")
    made = hmac.new(KEY.encode(), text.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64decode(unquote(signature)), made):
        raise HTTPException(403)
    sent = datetime.strptime(request.query_params["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    if abs((datetime.now(UTC) - sent.replace(tzinfo=UTC)).total_seconds()) > 30:
        raise HTTPException(403)
    return request.query_params["nonce"]


def application(path: str) -> FastAPI:
    engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    SQLModel.metadata.create_all(
        engine, tables=[t for n, t in SQLModel.metadata.tables.items() if n.startswith("ref_")]
    )
    app = FastAPI()

    def session() -> Iterator[Session]:
        with Session(engine) as one:
            yield one

    @app.post("/portal/v1/communes/{insee}/teleservices/{slug}/requests", status_code=201)
    def push(
        insee: str,
        slug: str,
        pushed: Pushed,
        nonce: str = Depends(signed),
        session: Session = Depends(session),
    ) -> dict[str, Any]:
        now = datetime.now(UTC)
        request_id = secrets.token_hex(10)
        body = pushed.model_dump_json()
        session.add(NonceRow(key=nonce, expires_at=now))
        session.add(
            RequestRow(
                id=request_id,
                slug=slug,
                ref=pushed.id,
                commune=insee,
                digest=hashlib.sha256(json.dumps(pushed.fields).encode()).hexdigest(),
                received_at=now,
            )
        )
        session.flush()
        event_id = secrets.token_hex(10)
        session.add(EventRow(id=event_id, request_id=request_id, kind="creation", body=body))
        session.add(
            DeliveryRow(
                id=secrets.token_hex(10), request_id=request_id, lane=f"gru:{insee}", next_at=now
            )
        )
        session.commit()
        return {"err": 0, "data": {"reference": request_id}}

    return app


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(application(options()["path"])))
