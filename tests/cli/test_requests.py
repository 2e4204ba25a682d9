"""`request` and `outbox` over a database that the real receiver filled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.cli.setting import load_catalogue
from gateway.core.delivery import Settlement, State
from gateway.flow.engine import open_engine
from gateway.store import requests, untold
from gateway.store.engine import Database
from gateway.store.outbox import backlog, settling
from gateway.store.outbox.rows import AttemptRecord, SettlementWrite
from gateway.store.rows import WithheldPart
from gateway.store.schema import upgrade
from gateway.wire.formdata import parse_formdata
from tests.builders import take
from tests.cli.conftest import MAPPINGS, Home, run
from tests.intake import take_in
from tests.life import ROOT

LANE = "gru:69029:voirie"
PERSONAL = ("Fictive", "fictive@exemple.invalid", "0199000000", "gravats", "Invention")


DIGEST, MAPPING = "4d5e6f7a8b9c" * 5, "signalement-anomalie/open311 v1"


@dataclass(frozen=True)
class Kept:
    """A request of Bron and the one delivery that it owes."""

    home: Home
    id: str
    delivery: str

    def work(self, task: Callable[[Database], Awaitable[Any]]) -> Any:
        return asyncio.run(_with_database(self.home, task))

    def stop_in(self, state: State, reason: str, answer: str | None = None) -> None:
        """Settle an attempt as the lane would."""

        async def settle(database: Database) -> None:
            now = datetime.now(UTC)
            [claimed] = await database.write(take, LANE, 1, owner="test", now=now, lease=60.0)
            await database.write(
                settling.settle,
                SettlementWrite(
                    claimed.delivery.id,
                    self.id,
                    LANE,
                    claimed.delivery.fence,
                    Settlement(state, reason, "details", failures=1),
                    AttemptRecord("send", now, 12, "refused", answer, DIGEST, MAPPING),
                    now,
                ),
            )

        self.work(settle)

    def state(self) -> State:
        async def read(database: Database) -> State:
            found = await database.read(backlog.find_delivery, self.delivery)
            assert found is not None
            return found.state

        state: State = self.work(read)
        return state


async def _with_database(home: Home, task: Callable[[Database], Awaitable[Any]]) -> Any:
    url = load_catalogue(home.config, MAPPINGS).settings.database.get_secret_value()
    database = Database(url)
    try:
        return await task(database)
    finally:
        database.close()


@pytest.fixture
def kept(home: Home) -> Kept:
    catalogue = load_catalogue(home.config, MAPPINGS)
    upgrade(catalogue.settings.database.get_secret_value())

    async def fill(database: Database) -> tuple[str, str]:
        async with open_engine(catalogue, database) as engine:
            text = (ROOT / "tests/samples/signalement-anomalie.json").read_text("utf-8")
            here = catalogue.portals["toodego"].base_url
            body = text.replace("https://demarches-toodego.example.org", here).encode()
            formdata = parse_formdata(body, "application/json", limits=engine.limits)
            taken = await take_in(engine, "toodego", "69029", "signalement-anomalie", formdata)
        assert taken.request is not None
        trace = await database.read(requests.trace, taken.request.id)
        assert trace is not None
        return taken.request.id, trace.deliveries[0].id

    return Kept(home, *asyncio.run(_with_database(home, fill)))


def test_requests_are_listed_by_what_is_asked(kept: Kept) -> None:
    told = kept.home.run("request", "list")
    assert told.exit_code == 0
    assert kept.id in told.stdout
    as_json = json.loads(kept.home.run("request", "list", "--json").stdout)
    assert [one["id"] for one in as_json] == [kept.id]
    for option in (
        ("--commune", "69266"),
        ("--teleservice", "inscription-scolaire"),
        ("--status", "done"),
    ):
        assert json.loads(kept.home.run("request", "list", "--json", *option).stdout) == []


@pytest.mark.parametrize("by", ["our id", "1042", "37-1042"])
def test_a_request_is_shown_by_any_of_its_names(kept: Kept, by: str) -> None:
    kept.stop_in(State.PARKED, "unmappable")
    name = kept.id if by == "our id" else by
    told = kept.home.run("request", "show", name)
    assert told.exit_code == 0
    for expected in (kept.id, kept.delivery, "event creation from portal", "attempt 1", "parked"):
        assert expected in told.stdout
    as_json = kept.home.run("request", "show", name, "--json")
    assert json.loads(as_json.stdout)["request"]["id"] == kept.id
    assert not [text for text in PERSONAL if text in told.output + as_json.output]


def test_what_the_gru_said_is_shown_on_demand_alone(kept: Kept) -> None:
    kept.stop_in(State.PARKED, "refused", "HTTP 422\n\tLe champ « quartier » manque")
    for file in ("gateway.yaml", "communes/69029-bron.yaml"):
        kept.home.replace(file, "environment: test", "environment: production")
    for command in ("show", "why"):
        for options in ((), ("--json",)):
            assert "quartier" not in kept.home.run("request", command, kept.id, *options).output
    asked = kept.home.run("request", "show", kept.id, "--answers")
    assert f"answer to attempt 1 (send) of {kept.delivery}:\n  HTTP 422\n" in asked.stdout
    assert "Le champ « quartier » manque" in asked.stdout
    assert "personal data" in asked.stderr
    as_json = json.loads(kept.home.run("request", "show", kept.id, "--answers", "--json").stdout)
    assert [(one["n"], "quartier" in one["answer"]) for one in as_json["answers"]] == [(1, True)]


def test_what_a_test_instance_said_is_shown_at_once(kept: Kept) -> None:
    kept.stop_in(State.PARKED, "refused", "HTTP 422\nLe champ « quartier » manque")
    for command in ("show", "why"):
        assert "quartier" in kept.home.run("request", command, kept.id).stdout
    [cause] = json.loads(kept.home.run("request", "why", kept.id, "--json").stdout)
    assert cause["detail"] == "details: HTTP 422\nLe champ « quartier » manque"


def test_an_unknown_request_is_1(kept: Kept) -> None:
    for command in ("show", "why", "explain"):
        told = kept.home.run("request", command, "TDG-UNKNOWN")
        assert told.exit_code == 1
        assert told.stderr.startswith("error: no request TDG-UNKNOWN (")


def test_why_says_what_to_do(kept: Kept) -> None:
    assert "queued" in kept.home.run("request", "why", kept.id).stdout
    french = kept.home.run("request", "why", kept.id, "--lang", "fr").stdout
    assert "queued : attend une place sur sa voie" in french
    assert "  qui peut agir : gateway" in french
    kept.stop_in(State.QUESTION, "no_find")
    told = kept.home.run("request", "why", kept.id)
    assert f"outbox resolve {kept.delivery}" in told.stdout
    causes = json.loads(kept.home.run("request", "why", kept.id, "--json").stdout)
    assert [(cause["code"], cause["who"]) for cause in causes] == [("question", "operator")]


def test_explain_gives_sources_and_no_value_unless_asked(kept: Kept) -> None:
    told = kept.home.run("request", "explain", kept.id)
    assert told.exit_code == 0
    assert "fields.categorie_raw" in told.stdout
    assert "last_name" in told.stdout
    assert not [text for text in PERSONAL if text in told.output]
    as_json = json.loads(kept.home.run("request", "explain", kept.id, "--json").stdout)
    assert all("value" not in field for field in as_json["fields"])

    asked = kept.home.run("request", "explain", kept.id, "--values")
    assert "Fictive" in asked.stdout
    assert "personal data" in asked.stderr


def test_each_delivery_says_which_release_and_mapping_made_it(kept: Kept) -> None:
    kept.stop_in(State.PARKED, "unmappable")
    made = f"by {MAPPING} of release {DIGEST[:12]}"
    assert made in kept.home.run("request", "show", kept.id).stdout
    assert f"sent {made}" in kept.home.run("request", "explain", kept.id).stdout
    shown = json.loads(kept.home.run("request", "show", kept.id, "--json").stdout)
    assert shown["attempts"][kept.delivery][0]["release_digest"] == DIGEST
    explained = json.loads(kept.home.run("request", "explain", kept.id, "--json").stdout)
    assert explained["sent_with"] == {"mapping": MAPPING, "release": DIGEST}
    assert explained["version"] == 1


def test_what_waits_for_a_person_is_listed(kept: Kept) -> None:
    assert "nothing waits" in kept.home.run("outbox", "list").stdout
    waiting = kept.home.run("outbox", "list", "--state", "waiting", "--json")
    assert [one["id"] for one in json.loads(waiting.stdout)] == [kept.delivery]
    kept.stop_in(State.PARKED, "unmappable")
    told = kept.home.run("outbox", "list")
    assert kept.delivery in told.stdout
    assert kept.delivery not in kept.home.run("outbox", "list", "--commune", "69266").stdout


def test_what_a_gru_told_and_cannot_be_told_yet_is_listed(kept: Kept) -> None:
    def wait(reason: str, body: dict[str, Any] | None) -> str:
        async def keep(database: Database) -> str:
            trace = await database.read(requests.trace, kept.id)
            assert trace is not None
            now = datetime.now(UTC)
            told = WithheldPart(f"{reason}!", reason, body, "En pause", person=True)
            await database.write(
                untold.record, trace.request, told, "rules", now, now, f"u-{reason}"
            )
            return f"u-{reason}"

        return str(kept.work(keep))

    def listed() -> list[tuple[str, str]]:
        found = json.loads(kept.home.run("outbox", "list", "--json").stdout)
        return [(one["id"], one["detail"]) for one in found]

    which, other = wait("unknown_status", {"status": "En pause"}), wait("not_told_of", None)
    assert listed() == [(which, "En pause"), (other, "En pause")]
    shown = kept.home.run("outbox", "list").stdout
    assert "change" in shown
    assert "En pause" in shown
    why = kept.home.run("request", "why", kept.id).stdout
    assert f"outbox discard {which}" in why
    assert which in kept.home.run("request", "show", kept.id).stdout
    replayed = json.loads(kept.home.run("outbox", "replay", which, other, "--json").stdout)
    assert replayed == {"replayed": [which, other], "failed": []}
    assert listed() == [(which, "En pause")], "what is not kept waits for the GRU's next word"
    done = kept.home.run("outbox", "discard", which, "--because", "La commune a appelé.")
    assert done.exit_code == 0
    assert listed() == []
    assert kept.home.run("outbox", "discard", which, "--because", "encore").exit_code == 1


def test_a_parked_delivery_is_sent_again(kept: Kept) -> None:
    early = kept.home.run("outbox", "replay", kept.delivery)
    assert early.exit_code == 1
    assert "is waiting" in early.stderr
    kept.stop_in(State.PARKED, "unmappable")
    told = kept.home.run("outbox", "replay", kept.delivery)
    assert told.exit_code == 0
    assert "no daemon runs now" in told.stdout
    assert kept.state() is State.WAITING


def test_replay_of_all_takes_what_fits(kept: Kept) -> None:
    kept.stop_in(State.PARKED, "unmappable")
    for option in (("--commune", "69266"), ("--reason", "refused")):
        assert kept.home.run("outbox", "replay", "--all", *option).exit_code == 0
        assert kept.state() is State.PARKED
    fitting = ("--commune", "69029", "--reason", "unmappable")
    told = kept.home.run("outbox", "replay", "--all", *fitting, "--json")
    assert json.loads(told.stdout) == {"replayed": [kept.delivery], "failed": []}
    assert kept.state() is State.WAITING


@pytest.mark.parametrize(("answer", "state"), [("--yes", State.DONE), ("--no", State.WAITING)])
def test_a_question_is_answered(kept: Kept, answer: str, state: State) -> None:
    assert kept.home.run("outbox", "resolve", kept.delivery, answer).exit_code == 1
    kept.stop_in(State.QUESTION, "no_find")
    told = kept.home.run("outbox", "resolve", kept.delivery, answer)
    assert told.exit_code == 0
    assert ("no daemon runs now" in told.stdout) == (state is State.WAITING)
    assert "running daemon" not in told.stdout
    assert kept.state() is state


def test_what_is_discarded_keeps_its_reason(kept: Kept) -> None:
    kept.stop_in(State.PARKED, "not_supported")
    because = ("--because", "told the commune by telephone")
    done = kept.home.run("outbox", "discard", kept.delivery, *because)
    assert done.exit_code == 0
    assert "what follows: no daemon runs now" in done.stdout
    assert kept.state() is State.DISCARDED
    told = kept.home.run("outbox", "list", "--state", "discarded")
    assert "told the commune by telephone" in told.stdout
    assert kept.home.run("outbox", "discard", "no-such", *because).exit_code == 1


def test_a_request_that_no_longer_fits_its_mapping_is_1(kept: Kept, tmp_path: Any) -> None:
    copied = tmp_path / "mappings"
    for file in MAPPINGS.glob("*/*.yaml"):
        (copied / file.parent.name).mkdir(parents=True, exist_ok=True)
        text = file.read_text("utf-8")
        # A target that is required, of a field that the form does not have.
        text = text.replace(
            "toodego_numero: number", "toodego_numero: {path: fields.absent, required: true}"
        )
        (copied / file.parent.name / file.name).write_text(text, "utf-8")
    where = ("--config", str(kept.home.config), "--mappings", str(copied))
    told = run("request", "explain", kept.id, *where)
    assert told.exit_code == 1
    assert "attributes.toodego_numero" in told.stderr
    assert not [text for text in PERSONAL if text in told.output]
