"""Releases of many communes at once: signatures first, each contract once, one act, told once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.catalogue.build import build
from gateway.catalogue.bundle import read_bundle
from gateway.contracts import passing as played
from gateway.contracts.leaving import releases_of
from gateway.core.delivery import State
from gateway.core.lane_name import GruLane
from gateway.store import accepting, applied
from gateway.store import releases as stored
from gateway.store.engine import Database
from gateway.store.trail import TrailEntry
from tests.builders import incoming, service_request
from tests.contracts import five
from tests.contracts.conftest import KEY
from tests.contracts.five import FIRST, FIVE, SECOND, SLUG, Home
from tests.contracts.test_release import CASES, SIGNING, active, change, planned
from tests.store.acts import claim, settle

PLAYED = "contract 1/1: signalement-anomalie/premiere"
NOBODY = "no daemon runs now, the next start takes it\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FIVE_KEY", KEY)
    made = five.build(tmp_path)
    assert made.run("db", "upgrade").exit_code == 0
    return made


@pytest.fixture(scope="module")
def _twice(_all_released: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIVE_KEY", KEY)
        made = five.copied(_all_released, tmp_path_factory.mktemp("twice") / "five")
        change(made)
        signed(made, "--all")
        assert made.run("release", "apply").exit_code == 0
        yield made


@pytest.fixture
def released_twice(_twice: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """All five active; the first two had another release before."""
    monkeypatch.setenv("FIVE_KEY", KEY)
    return five.copied(_twice, tmp_path / "five")


def entries(home: Home) -> list[TrailEntry]:
    database = Database(home.url)
    try:
        return asyncio.run(database.read(stored.entries))
    finally:
        database.close()


def signed(home: Home, *whom: str) -> str:
    done = home.run("release", "sign", *whom, *SIGNING)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_what_is_not_signed_is_refused_before_anything_is_played(home: Home) -> None:
    done = home.run("release", "apply")
    assert done.exit_code == 1
    assert done.stdout.count("missing: the commune's agreement to") == len(FIVE)
    assert done.stdout.count("  call: dsi@exemple.invalid (technical)") == len(FIVE)
    assert "contract" not in done.stderr
    assert entries(home) == []


def test_a_contract_is_played_once_for_all_and_what_passed_is_known_again(released: Home) -> None:
    change(released)
    signed(released, "69001", "--mapping", f"{SLUG}/premiere")
    done = released.run("release", "apply", "--commune", "69001")
    assert (done.exit_code, done.stderr.splitlines()) == (0, [PLAYED])
    again = released.run("release", "apply")
    assert (again.exit_code, again.stderr) == (0, "")
    assert "69002 Commune fictive 69002: applied" in again.stdout
    # Another case is another contract; what fails is told once, and is played again.
    released.edit(CASES, "service: VOIRIE-2", "service: VOIRIE-3")
    signed(released, "--all")
    for _ in range(2):
        failed = released.run("release", "apply")
        assert (failed.exit_code, failed.stderr.splitlines()) == (1, [PLAYED])
        assert failed.stdout.count("missing: contract: ") == 1
        assert f"2 communes: {', '.join(FIRST)}" in failed.stdout


def test_what_passed_under_other_code_is_played_again(
    released: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(released)
    signed(released, "--all")
    assert released.run("release", "apply", "--commune", "69001").exit_code == 0
    monkeypatch.setattr(played, "code", lambda adapter: "another gateway")
    assert released.run("release", "apply").stderr.splitlines() == [PLAYED]


def test_the_digest_of_the_code_covers_the_gateway_and_the_adapter() -> None:
    sources = {module: played.sources_of(module) for module in ("gateway", "adapters.rest.adapter")}
    names = {module: {file.name for file in files} for module, files in sources.items()}
    assert {"render.py", "play.py", "leaving.py"} <= names["gateway"]
    assert {file.parent.name for file in sources["adapters.rest.adapter"]} == {"rest"}


def test_a_case_of_one_commune_is_played_for_it_alone(released: Home) -> None:
    own = released.mappings / SLUG / "premiere.cases" / "69001.yaml"
    own.write_text(
        'case: 1\ncommune: "69001"\nformdata: base.json\n'
        'answers: [{method: POST, path: /api/demandes, status: 201, json: {id: "1"}}]\n'
        "cases:\n  - title: Chez 69001\n"
        "    expect: {calls: [{POST: /api/demandes, has: {service: AILLEURS}}]}\n",
        "utf-8",
    )
    signed(released, "--all")
    done = released.run("release", "apply")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        f"contract 1/2: {SLUG}/premiere",
        f"contract 2/2: {SLUG}/premiere (69001)",
    ]
    assert "69001 Commune fictive 69001: refused" in done.stdout
    assert "69002 Commune fictive 69002: applied" in done.stdout


def test_a_change_is_told_once_with_its_communes(released: Home) -> None:
    change(released)
    for insee in FIVE:
        released.edit(f"config/communes/{insee}.yaml", "path: /demandes", "path: /tickets")
    released.edit("config/communes/69004.yaml", "reference: id", "reference: numero")
    text = released.run("release", "plan", "--lang", "fr").stdout
    told = text[text.index("\n\n") :]
    assert told.count("tables.services.entries.voirie") == 1
    assert told.count("+ après : VOIRIE-2") == 1
    assert told.count('- avant : "/demandes"') == 1
    assert "5 communes : ce qui change\n" in told
    assert "config/communes/*.yaml  gru.mairie.options.create.path" in told
    assert "2 communes : ce qui change\n  Commune fictive 69001 (69001)" in told
    # What is a commune's own has its place.
    assert "Commune fictive 69004 (69004) : ce qui change" in told
    assert "config/communes/69004.yaml:13  gru.mairie.options.create.reference" in told


def test_who_is_chosen_signs_and_goes_back_in_one_act(released: Home) -> None:
    before = active(released)
    change(released)
    signed(released, "69001")
    text = signed(released, "--mapping", f"{SLUG}/premiere")
    assert "69001 Commune fictive 69001: A agreed to release" in text
    assert text.count(" already") == 1
    assert released.run("release", "apply", "--mapping", f"{SLUG}/premiere").exit_code == 0
    after = active(released)
    assert [insee for insee in FIVE if after[insee] != before[insee]] == list(FIRST)
    back = released.run("release", "rollback", *FIRST)
    assert (back.exit_code, active(released)) == (0, before)
    assert back.stdout.endswith(NOBODY)
    acts = [(one.kind, one.data["act"]) for one in entries(released) if "act" in one.data][-4:]
    assert acts[0] == acts[1] != acts[2] == acts[3]
    # Nobody else has anything to go back to: they are named, and the others go all the same.
    back = released.run("release", "rollback", "--all")
    assert (back.exit_code, active(released)) == (1, after)
    assert back.stderr.count("has no earlier release") == len(SECOND)


def test_all_or_nothing(released: Home) -> None:
    before = active(released)
    change(released)
    signed(released, "69001")
    done = released.run("release", "apply", "--all-or-nothing")
    assert (done.exit_code, active(released)) == (1, before)
    assert "missing: held back: others that cannot go: 1 (--all-or-nothing)" in done.stdout
    assert released.run("release", "apply").exit_code == 1
    assert active(released)["69001"] != before["69001"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", "sign", *SIGNING),
        ("release", "rollback"),
        ("release", "sign", *FIRST, *SIGNING, "--digest", "0123456789"),
    ],
)
def test_nobody_chosen_is_nobody(home: Home, arguments: tuple[str, ...]) -> None:
    assert home.run(*arguments).exit_code == 2


def test_a_mapping_that_nobody_has_is_a_no(released: Home) -> None:
    done = released.run("release", "plan", "--mapping", "voirie/rest")
    assert done.exit_code == 1
    assert f"(there is: {SLUG}/premiere, {SLUG}/seconde)" in done.output


# --- a file that is broken costs its own ----------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "concerned"),
    [
        ("config/communes/69005.yaml", "portal: toodego", "portal: [", ("69005",)),
        ("config/communes/69005.yaml", "portal: toodego", "portal: ailleurs", ("69005",)),
        (f"mappings/{SLUG}/seconde.yaml", "adapter: rest", "adapter: [", SECOND),
        (f"mappings/{SLUG}/seconde.cases/nominal.yaml", "case: 1", "case: [", SECOND),
    ],
)
def test_a_broken_file_costs_its_own(
    released: Home, file: str, old: str, new: str, concerned: tuple[str, ...]
) -> None:
    before = active(released)
    change(released)
    released.edit(file, old, new)
    shown = released.json("release", "plan", code=3)
    states = {one["commune"]: one["state"] for one in shown}
    assert [insee for insee in FIVE if states[insee] == "broken"] == list(concerned)
    signed(released, *FIRST)
    done = released.run("release", "apply")
    assert done.exit_code == 3
    assert f"left out: {released.folder / file}" in done.stderr
    assert done.stdout.count("refused - (broken)") == len(concerned)
    after = active(released)
    assert [insee for insee in FIVE if after[insee] != before[insee]] == list(FIRST)
    refused = released.run("release", "sign", concerned[0], *SIGNING)
    assert refused.exit_code == 1


def test_a_file_that_nobody_can_read_is_no_commune_that_is_gone(released: Home) -> None:
    (released.config / "communes" / "69005.yaml").write_bytes(b"\xff\xfe")
    assert planned_states(released)["69005"] == "broken"
    # Nor is one of another name, while it cannot be told whose it is.
    (released.config / "communes" / "69005.yaml").rename(released.config / "communes" / "x.yaml")
    assert planned_states(released)["69005"] == "broken"
    (released.config / "communes" / "x.yaml").unlink()
    assert planned(released)["69005"] == "gone"


def planned_states(home: Home) -> dict[str, str]:
    return {one["commune"]: one["state"] for one in home.json("release", "plan", code=3)}


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", "plan"),
        ("release", "verify"),
        ("release", "apply", "--commune", "69001"),
        ("release", "rollback", "69001"),
        ("contract", "run", "--commune", "69001", "--no-weak"),
        ("commune", "pause", "69001"),
        ("commune", "list"),
        ("config", "show"),
        ("outbox", "list"),
    ],
)
def test_a_missing_secret_of_one_commune_stops_no_command(
    released_twice: Home, arguments: tuple[str, ...]
) -> None:
    released_twice.edit("config/communes/69005.yaml", "token: env:FIVE_KEY", "token: env:LOST_KEY")
    done = released_twice.run(*arguments)
    assert done.exit_code == 0, done.output


def test_what_settings_lack_for_a_way_back_is_told_at_their_file(released_twice: Home) -> None:
    """A secret of the portal: files are planned without it, and nothing is run."""
    before = active(released_twice)
    released_twice.edit("config/gateway.yaml", "    key: env:FIVE_KEY", "    key: env:LOST_KEY")
    for command in (("rollback", "69001"), ("undo", "--yes")):
        done = released_twice.run("release", *command)
        assert done.exit_code == 3
        assert done.stderr.startswith(f"{released_twice.config}/gateway.yaml:"), done.stderr
    assert active(released_twice) == before


# --- withdrawn ------------------------------------------------------------------------------


async def _on_its_hands(home: Home, insee: str) -> None:
    """Two requests of a commune: one waits to be sent, the other for a person."""
    lane = str(GruLane(insee, "mairie"))
    database = Database(home.url)
    try:
        for ref in ("1", "2"):
            request = service_request(ref=ref, commune=insee)
            await database.write(accepting.accept, incoming(request, lane=lane))
        (claimed,) = await claim(database, lane=lane)
        await settle(database, claimed, State.PARKED)
    finally:
        database.close()


def test_who_is_withdrawn_is_told_before_what_that_leaves_lying(released: Home) -> None:
    asyncio.run(_on_its_hands(released, "69005"))
    there = released.run("release", "withdraw", "69005", "--yes")
    assert (there.exit_code, "69005 Commune fictive 69005 has a file" in there.stderr) == (1, True)
    (released.config / "communes" / "69005.yaml").unlink()
    # It runs, and is listed, with who is to be called.
    listed = {one["commune"]: one for one in released.json("commune", "list")}
    row = listed["69005"]
    assert (row["state"], row["file"]) == ("ready", "gone"), "it would run, but no daemon does"
    assert (row["open"], row["waiting"], row["person"]) == (2, 1, 1)
    assert listed["69001"]["file"] == "ok"
    asked = released.run("release", "withdraw", "69005")
    assert asked.exit_code != 0  # nobody answered
    for said in ("that are open: 2", "wait to be sent: 1", "for a person: 1"):
        assert said in asked.stdout
    assert "call: dsi@exemple.invalid (technical)" in asked.stdout
    assert "69005" in active(released)
    done = released.run("release", "withdraw", "69005", "--yes")
    assert (done.exit_code, "69005" in active(released)) == (0, False)
    assert done.stdout.endswith(f"withdrawn: 69005; {NOBODY}")
    assert "69005" not in {one["commune"] for one in released.json("commune", "list")}
    # It is a way back, too.
    assert released.run("release", "rollback", "69005").exit_code == 0
    assert "69005" in active(released)


@pytest.mark.parametrize("how", ["broken", "gone", "another's"])
def test_a_commune_is_paused_whatever_its_file_says(released: Home, how: str) -> None:
    file = released.config / "communes" / "69005.yaml"
    if how == "gone":
        file.unlink()
    elif how == "broken":
        file.write_text('commune: "69005"\nname: [', "utf-8")
    else:
        released.edit("config/communes/69004.yaml", "portal: toodego", "portal: [")
    done = released.json("commune", "pause", "69005")
    assert set(done["lanes"]) == {"gru:69005:mairie", "portal:toodego:69005"}
    row = released.json("commune", "show", "69005")
    assert (row["state"], row["contacts"]) == ("paused", {"technical": "dsi@exemple.invalid"})
    assert len(row["lanes"]) == 2
    assert released.run("commune", "resume", "69005").exit_code == 0
    assert released.json("commune", "show", "69005")["state"] == "ready"


# --- the urgent path ------------------------------------------------------------------------

URGENT = ("--urgent", "--by", "Lise Inventée", "--why", "la GRU a déménagé")


def test_an_address_changes_in_an_outage_before_it_is_signed(released: Home) -> None:
    before = active(released)
    file = "config/communes/69003.yaml"
    released.edit(file, "http://127.0.0.1:9/api", "http://127.0.0.1:10/api")
    released.edit(file, "    poll: null\n", "    poll: null\n    network: {private: true}\n")
    assert released.run("release", "apply", "--commune", "69003").exit_code == 1
    done = released.run("release", "apply", "--commune", "69003", *URGENT)
    assert done.exit_code == 0, done.output
    after = active(released)
    assert [insee for insee in FIVE if after[insee] != before[insee]] == ["69003"]
    assert "NOBODY YET (urgent: Lise Inventée, la GRU a déménagé)" in (
        released.run("release", "list").stdout
    )
    assert "la GRU a déménagé" in released.run("release", "show", "69003").stdout
    # It runs, also at the next start, and is still to be signed.
    assert released.run("release", "verify").exit_code == 0
    assert planned(released)["69003"] == "urgent"
    again = released.run("release", "apply")
    assert (again.exit_code, "to be signed still" in again.stdout) == (0, True)
    # A second move goes out from what was signed, too.
    released.edit(file, "http://127.0.0.1:10/api", "http://127.0.0.1:11/api")
    assert released.run("release", "apply", "--commune", "69003", *URGENT).exit_code == 0
    signed(released, "69003")
    assert planned(released)["69003"] == "same"
    assert released.run("release", "rollback", "69003").exit_code == 0
    assert active(released) == before  # what was never signed is nothing to go back to


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("config/communes/69001.yaml", "path: /demandes", "path: /tickets", "options.create.path"),
        ("config/communes/69001.yaml", "env:FIVE_KEY", "env:HOME", "options.auth.token"),
        (
            f"mappings/{SLUG}/premiere.yaml",
            "{status: done",
            "{status: refused",
            "statuses.clos.status",
        ),
        (CASES, "Un trou dans la chaussée", "Un trou", "cases.0.title"),
        (
            "config/gateway.yaml",
            "{reconcile: null}",
            "{adopt_number: true}",
            "teleservices signalement-anomalie",
        ),
    ],
)
def test_whatever_else_changes_is_not_urgent(
    released: Home, file: str, old: str, new: str, said: str
) -> None:
    before = active(released)
    released.edit("config/communes/69001.yaml", "http://127.0.0.1:9/api", "http://127.0.0.1:10/api")
    released.edit(file, old, new)
    done = released.run("release", "apply", "--commune", "69001", *URGENT)
    assert (done.exit_code, active(released)) == (1, before)
    assert "urgent: more than addresses changes: " in done.stdout
    assert said in done.stdout


@pytest.mark.parametrize("arguments", [URGENT, ("--commune", "69001", *URGENT[:3])])
def test_what_is_urgent_names_its_commune_who_and_why(
    home: Home, arguments: tuple[str, ...]
) -> None:
    assert home.run("release", "apply", *arguments).exit_code == 2


def test_nothing_is_urgent_that_goes_out_from_nothing_signed(home: Home) -> None:
    done = home.run("release", "apply", "--commune", "69001", *URGENT)
    assert (done.exit_code, active(home)) == (1, {})


def test_a_trail_that_calls_more_than_addresses_urgent_is_not_believed(released: Home) -> None:
    """Whoever writes past the command line: what runs is held against what was signed."""
    basis = active(released)["69001"]
    change(released)
    bundle = read_bundle(released.config, released.mappings)
    release = releases_of(bundle, build(bundle, environ=os.environ))["69001"]
    now = datetime.now(UTC)
    run = stored.ContractRun(release.digest, "69001", True, (), now)
    urgent = {"69001": stored.UrgentActivation("Qui Voudra", "rien", basis)}
    database = Database(released.url)
    try:
        content = release.content()
        asyncio.run(database.write(stored.store, "69001", release.digest, content, now))
        going = {"69001": release.digest}
        asyncio.run(database.write(applied.apply, [run], going, {}, now, urgent=urgent))
    finally:
        database.close()
    verified = released.run("release", "verify")
    assert verified.exit_code == 1
    assert "it runs without the commune's agreement" in verified.stderr


# --- undone ---------------------------------------------------------------------------------


def test_the_last_act_is_taken_back_for_all_that_it_was_done_for(released: Home) -> None:
    before = active(released)
    change(released)
    signed(released, "--all")
    assert released.run("release", "apply").exit_code == 0
    after = active(released)
    asked = released.run("release", "undo")
    assert asked.exit_code != 0  # nobody answered
    assert "69001 Commune fictive 69001: applied is taken back: release" in asked.stdout
    assert active(released) == after
    undone = released.run("release", "undo", "--yes")
    assert (undone.exit_code, undone.stdout.count("is taken back")) == (0, len(FIRST))
    assert undone.stdout.endswith(NOBODY)
    assert active(released) == before
    # That was an act as well; and each commune has its own.
    assert released.run("release", "undo", "69002", "--yes").exit_code == 0
    assert active(released) == before | {"69002": after["69002"]}
    assert released.run("release", "undo", "69009", "--yes").exit_code == 1
    assert released.run("release", "verify").exit_code == 0


def test_a_signature_is_taken_back_while_nothing_runs_by_it(released: Home) -> None:
    change(released)
    signed(released, "--mapping", f"{SLUG}/premiere")
    undone = released.run("release", "undo", "--yes")
    assert undone.stdout.count("its agreement to release") == len(FIRST)
    refused = released.run("release", "apply")
    assert (refused.exit_code, refused.stdout.count("missing: the commune's agreement")) == (1, 2)
    again = released.run("release", "undo", "69001", "--yes")
    assert (again.exit_code, "sign anew" in again.stderr) == (1, True)
    # What runs by a signature keeps it.
    signed(released, "69003")
    assert released.run("release", "undo", "69003", "--yes").exit_code == 0
    assert released.run("release", "verify").exit_code == 0


def test_the_first_release_and_a_withdrawal_are_taken_back(home: Home) -> None:
    signed(home, "69001")
    runs = home.run("release", "apply", "--commune", "69001")
    assert runs.exit_code == 0
    file = home.config / "communes" / "69001.yaml"
    text = file.read_text("utf-8")
    file.unlink()
    assert home.run("release", "withdraw", "69001", "--yes").exit_code == 0
    assert home.run("release", "undo", "--yes").exit_code == 0
    assert list(active(home)) == ["69001"]
    file.write_text(text, "utf-8")
    dev = home.run("release", "apply", "--dev", "--commune", "69002")
    assert dev.exit_code == 0
    undone = home.run("release", "undo", "--yes")
    assert (undone.exit_code, list(active(home))) == (0, ["69001"])
    assert "nothing runs" in undone.stdout
    kept = home.run("release", "undo", "69002", "--yes")
    assert (kept.exit_code, "never signed" in kept.stderr) == (1, True)


# --- a matter of operation ------------------------------------------------------------------


def test_what_needs_no_agreement_is_told_and_runs_once_it_is_applied(released: Home) -> None:
    released.edit("config/communes/69001.yaml", "portal: toodego", "portal: toodego\npaused: true")
    released.edit("config/communes/69001.yaml", "    poll: null", "    poll: null\n    timeout: 5")
    told = "69001 Commune fictive 69001: takes effect at apply: paused, gru.mairie.timeout"
    assert told in released.run("release", "plan").stdout
    dit = "69001 Commune fictive 69001 : prend effet à apply : paused, gru.mairie.timeout"
    assert dit in released.run("release", "plan", "--lang", "fr").stdout
    assert state_of(released, "69001") == "ready"
    done = released.run("release", "apply")
    assert (done.exit_code, done.stdout.count("  set: paused, gru.mairie.timeout")) == (0, 1)
    assert state_of(released, "69001") == "paused in its file"
    assert "takes effect" not in released.run("release", "plan").stdout


def state_of(home: Home, insee: str) -> str:
    return str({one["commune"]: one["state"] for one in home.json("commune", "list")}[insee])
