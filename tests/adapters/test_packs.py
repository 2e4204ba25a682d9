"""Every pack is walked: its files, its configuration, its cases, and what its server answers.

The recordings of Redmine and Request Tracker are of running servers; the others are written after
their documentation, and say so.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from gateway.catalogue.mapping_files import lint
from gateway.contracts.fixture_catalogue import offline_catalogue
from gateway.contracts.run import run
from gateway.core.mapping import canonical
from gateway.sdk import Accepted, Amendment, Change, EventKind, Found, Submission, Tracked
from gateway.sdk.conformance import file
from tests.adapters import packs
from tests.adapters.rest_systems import adapter

#: Later than all that was recorded.
NOW = datetime(2026, 11, 28, tzinfo=UTC)
ROWS = (
    "create", "find", "lost_reply", "later_message", "later_document", "status", "public_note",
    "internal_note", "agent_file", "reopened", "own_words", "note_made_public",
)  # fmt: skip


def quality(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(packs.text(name, "quality.yaml"))
    return loaded


def test_the_packs_of_the_issue_are_there() -> None:
    wanted = {"glpi", "itop", "maarch", "redmine", "rt", "salesforce", "zammad", "znuny"}
    assert set(packs.NAMES) == wanted


#: Those in which incidents may have tickets: tests/flow/test_tickets.py.
TOOLS = ("glpi", "redmine", "rt", "zammad")


@pytest.mark.parametrize("name", packs.NAMES)
def test_a_pack_is_yaml_and_says_what_was_tried(name: str) -> None:
    folder = packs.PACKS / name
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    own = {"README.md", "commune.yaml", "mapping.yaml", "quality.yaml", "recorded.json"}
    own |= {"ticketing.yaml"} if name in TOOLS else set()
    assert files == own | {"cases/bench.yaml", "cases/cas.yaml"}
    told, readme = quality(name), packs.text(name, "README.md")
    assert tuple(told["rows"]) == ROWS
    assert told["product"] in readme
    untried = "D'après la documentation publique, pas encore essayé"
    if told["tried"] == "server":
        assert set(told["rows"].values()) == {"seen"}
        assert told["versions"] in readme
        assert untried not in readme + packs.text(name, "commune.yaml")
    else:
        assert told["tried"] == "documentation"
        assert "seen" not in told["rows"].values()
        assert untried in readme
        assert untried in packs.text(name, "commune.yaml")


@pytest.mark.parametrize("name", packs.NAMES)
async def test_a_pack_is_a_sound_configuration_and_its_cases_hold(name: str) -> None:
    bundle = packs.bundle(name)
    catalogue = offline_catalogue(bundle)
    assert list(catalogue.warnings) == []
    (mapping,) = catalogue.mappings.values()
    (route,) = catalogue.communes["69029"].routes.values()
    assert lint(mapping, referenced=route.gru.capabilities.sends_reference) == []
    report = await run(bundle, commune="69029", weak=False)
    assert report.failures() == []
    assert report.passed()


@pytest.mark.parametrize("name", packs.NAMES)
async def test_a_pack_sends_finds_and_tells_by_what_was_recorded(name: str) -> None:
    server = packs.recorded(name)
    photo = file(b"image", filename='photo 😀 d’été "q".png')
    payload = _payload(name)
    async with adapter(packs.options(name), server, lambda: NOW) as gru:
        created = await gru.submit(Submission(packs.REFERENCE, payload, [photo]))
        assert isinstance(created, Accepted)
        number = created.reference
        assert number is not None
        found = await gru.find(packs.REFERENCE)
        assert isinstance(found, Found)
        assert found.reference == number
        for kind, files in ((EventKind.MESSAGE, []), (EventKind.DOCUMENT, [photo])):
            key = "m-1/é" if name in ("redmine", "rt") else "m-1"
            texts = {"texte": "Toujours là"}
            event = Amendment(packs.REFERENCE, number, key, kind, texts, "x", files)
            assert isinstance(await gru.amend(event), Accepted)
            if kind in gru.capabilities.find_amend:
                assert isinstance(await gru.find_amend(event), Found)
        changes = await gru.statuses([Tracked(packs.REFERENCE, number, NOW)], None)
        assert changes.failure is None
        told = [await _whole(one) for one in changes.items]
    state = next(one for one in told if one.status is not None)
    assert canonical(packs.mapping(name), state.status or "") is not None, "a word of the mapping"
    messages = " | ".join(one.message for one in told if one.message and one.public)
    names = [document.filename for one in told for document in one.documents]
    assert "Message de l'usager" not in messages, "our own do not come back"
    assert "piece-1" not in " ".join(names)
    assert "interne" not in messages
    assert len(names) == 1
    if quality(name)["rows"]["public_note"] != "exempt":
        assert "mardi" in messages
    assert server.missing == [], "every call was recorded"


async def _whole(change: Change) -> Change:
    if change.more is None or not change.public:
        return change
    whole = await change.more()
    assert isinstance(whole, Change)
    assert whole.unreadable == 0
    return whole


def _payload(name: str) -> dict[str, Any]:
    texts = {"description": "Un trou", "content": "Un trou", "texte": "Un trou", "article": {}}
    return {**texts, "documentDate": "2026-03-12", "Ticket": {}, "Article": {}, "name": name}


@pytest.mark.parametrize("name", packs.NAMES)
async def test_check_finds_every_path_in_what_was_recorded(name: str) -> None:
    async with adapter(packs.options(name), packs.recorded(name), lambda: NOW) as gru:
        notes = await gru.check()
    wrong = [note.said.told("fr") for note in notes if note.level != "ok"]
    assert wrong == []


def test_recordings_hold_invented_people_alone() -> None:
    for name in packs.NAMES:
        recorded = json.dumps(json.loads(packs.text(name, "recorded.json")))
        assert ".invalid" in recorded or "@" not in recorded


async def test_cases_are_played_with_a_key_that_stands_for_the_commune_s() -> None:
    """A signed assertion needs a key, and no secret is read for a case."""
    bundle = packs.bundle("salesforce")
    file = "config/communes/bron.yaml"
    jwt = "grant: jwt_bearer\n        algorithm: ES256\n        private_key: env:CLE"
    bundle[file] = bundle[file].replace("client_secret: env:SALESFORCE_SECRET", jwt)
    bundle[file] = bundle[file].replace("client_auth: client_secret_post", "audience: x")
    report = await run(bundle, commune="69029", weak=False)
    assert report.failures() == []


@pytest.mark.parametrize("name", packs.NAMES)
def test_the_page_of_all_packs_says_which_ran_for_real(name: str) -> None:
    told = yaml.safe_load(packs.text(name, "quality.yaml"))
    page = (packs.PACKS / "README.md").read_text("utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith(f"| [`{name}`]("))
    words = [*told["rows"].values()]
    known = [words.count(word) for word in ("seen", "documented", "exempt")]
    real = "vrai serveur, le" if told["tried"] == "server" else "non : d'après la documentation"
    assert f"| {told['product']} {told['versions']} |" in row
    assert real in row
    assert str(told.get("date", "")) in row
    assert row.endswith("| " + " | ".join(map(str, (*known, len(words) - sum(known)))) + " |")
