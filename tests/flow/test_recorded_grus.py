"""Recorded changes of Redmine and RT, played through the gateway with the shipped options.

`tests/adapters/recorded/*-told.json` are exchanges with running servers: a citizen's message, an
agent's reply and internal note, files (one of 0 bytes), then the note made public. The options are
the packs', without their line that leaves our account's own entries out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.core.delivery import State
from gateway.store import untold
from tests.flow.conftest import Builder
from tests.flow.rig import GRU_A, GRU_B, OPTIONS, Rig

ROOT = Path(__file__).resolve().parents[2]
PACKS = ROOT / "adapters" / "packs"
WORDS = "Toujours là : rien n'a bougé, merci de passer."
PRIVATE = "Note interne : voir avec M. Dupont."
NAMES = ("redmine", "rt")
PHOTO = {
    "filename": "photo.jpg",
    "content_type": "image/jpeg",
    "content_is_base64": True,
    "content": "/9j/IGltYWdl",
}
EMPTY = {**PHOTO, "filename": "vide.jpg", "content": ""}


class Recorded:
    """Answers as the server did at this step."""

    def __init__(self, name: str) -> None:
        path = ROOT / "tests" / "adapters" / "recorded" / f"{name}-told.json"
        self.exchanges: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        self.prefix = "/REST/2.0" if name == "rt" else ""
        self.step = "sent"
        self.bodies: list[bytes] = []
        self.clock: Any = None

    @property
    def app(self) -> Starlette:
        async def answer(request: Request) -> Response:
            self.bodies.append(await request.body())
            path = request.url.path.removeprefix(self.prefix)
            (one,) = (
                one
                for one in self.exchanges
                if (one["step"], one["method"], one["path"]) == (self.step, request.method, path)
                and one.get("page") == (request.query_params.get("page") if "page" in one else None)
            )
            if "json" in one:
                return JSONResponse(one["json"], one["status"])
            return Response(one.get("text", ""), one["status"], media_type=one.get("type"))

        methods = ["GET", "POST", "PUT"]
        return Starlette(routes=[Route("/{path:path}", answer, methods=methods)])


def _options(name: str) -> Mapping[str, Any]:
    commune = yaml.safe_load((PACKS / name / "commune.yaml").read_text("utf-8"))
    given: dict[str, Any] = commune["gru"][name]["options"]
    given["auth"]["value"] = "env:GRU_KEY"
    # Entries of our own account come, too: they are known by their words.
    del given["statuses"]["item"]["notes"]["author"]
    return {**dict.fromkeys(OPTIONS), **given}


def _rig(build_rig: Builder, name: str) -> tuple[Rig, Recorded]:
    mapping = (PACKS / name / "mapping.yaml").read_text("utf-8")
    server = Recorded(name)
    rig = build_rig(
        options=_options(name),
        mapping=lambda _: mapping,
        grus={GRU_A: server, GRU_B: Recorded(name)},
    )
    rig.clock.now = datetime(2026, 11, 27, 4, 45, 8, tzinfo=UTC)
    return rig, server


def _messages(rig: Rig, item: Any) -> list[str]:
    return [one["message"] for one in rig.told(item)[1:] if one["message"]]


@pytest.mark.parametrize("name", NAMES)
async def test_our_words_do_not_come_back_and_a_note_made_public_is_told_then(
    build_rig: Builder, name: str
) -> None:
    rig, server = _rig(build_rig, name)
    async with rig.gateway() as engine:
        item, request = await rig.send(photo=PHOTO, photo_2=EMPTY)
        await rig.state(request, State.DONE)
        await rig.push(item, action="message", evenement="m1", message=WORDS)
        await rig.rest(request)
        assert b"vide.jpg" not in b"".join(server.bodies), "a file of 0 bytes is left out"
        assert "0 octet" in str(rig.told(item)[0]["message"]), "and the citizen is told"

        async def poll(step: str) -> list[str]:
            before = len(_messages(rig, item))
            server.step = step
            rig.clock.now += timedelta(seconds=30)
            await engine.changes.poll(rig.gru_config)
            await rig.rest(request)
            return _messages(rig, item)[before:]

        assert await poll("ours") == [], "our own message is no news"
        replied = ["Nous passons mardi."] if name == "redmine" else []
        assert await poll("comment") == replied, "an internal note stays inside"
        if name == "redmine":
            assert await poll("files") == ["Fichier devis", "Fichier vide."]
        assert await poll("public") == [PRIVATE]
        assert await poll("public") == []
        waiting = await rig.database.read(untold.of_request, request)
        if name == "redmine":
            assert [(n, len(c)) for n, c in rig.documents(item)] == [("devis _ ete.pdf", 10)]
            # An agent's file of 0 bytes is for a person: there is nothing to give to the citizen.
            assert [(one.reason, one.person) for one in waiting] == [("unreadable_document", True)]
        else:
            assert waiting == ()
