"""`retention`, `person` and `personal-data` over a database that the real receiver filled."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway.flow import retention
from gateway.store import cursors, person, trail
from gateway.store.engine import Database
from gateway.store.tables import DELIVERY, EVENT, REQUEST
from tests.cli.conftest import MAPPINGS, Home, run
from tests.cli.test_link import linked_home
from tests.cli.test_requests import PERSONAL, Kept, kept

__all__ = ["kept", "linked_home"]
BY = ("--by", "Ana Inventée", "--why", "demande 2026-12")


def test_the_plan_and_a_dry_run_change_nothing_and_the_run_does(kept: Kept) -> None:
    told = kept.home.run("retention", "plan")
    assert told.exit_code == 0, told.output
    assert "30 d after the end" in told.stdout
    assert kept.home.run("retention", "plan", "--commune", "75056").exit_code == 1
    plan = json.loads(kept.home.run("retention", "plan", "--json").stdout)
    assert {one["kind"]: one["due"] for one in plan["contents"]} == {"events": 0, "files": 0}
    assert all(one["commune"] == "69029" for one in plan["contents"])
    long_ago = datetime.now(UTC) - timedelta(days=400)

    async def over(database: Database) -> None:
        done = update(DELIVERY).values(state="done", head=False, settled_at=long_ago)
        await database.write(lambda c: c.execute(done))
        request = update(REQUEST).values(status="done", status_at=long_ago)
        await database.write(lambda c: c.execute(request))
        await database.write(lambda c: c.execute(update(EVENT).values(received_at=long_ago)))

    kept.work(over)
    dry = json.loads(kept.home.run("retention", "run", "--dry-run", "--json").stdout)
    assert {one["kind"]: one["due"] for one in dry["contents"]} == {"events": 1, "files": 1}
    assert not [text for text in PERSONAL if text in str(dry)]
    done = kept.home.run("--lang", "fr", "retention", "run")
    assert "le contenu de 1 demandes (1 contenus, 1 fichiers)" in done.stdout
    shown = kept.home.run("request", "show", kept.id)
    assert (shown.exit_code, kept.id in shown.stdout) == (0, True)
    assert json.loads(kept.home.run("retention", "plan", "--json").stdout)["contents"] == []


def test_a_person_is_given_all_and_the_trail_keeps_who_did_it(kept: Kept, tmp_path: Path) -> None:
    to = tmp_path / "acces"
    told = kept.home.run("person", "export", "--request", "37-1042", "--to", str(to), *BY)
    assert told.exit_code == 0, told.output
    assert not [text for text in PERSONAL if text in told.output], "the terminal is no place for it"
    data = json.loads((to / "donnees.json").read_text("utf-8"))
    assert [one["request"]["id"] for one in data["requests"]] == [kept.id]
    page = (to / "donnees.html").read_text("utf-8")
    for text in PERSONAL:
        assert text in json.dumps(data, ensure_ascii=False)
        assert text in page
    (photo,) = (to / "fichiers").iterdir()
    assert photo.stat().st_size == data["requests"][0]["attachment"][0]["size"]
    for place in (to, *to.rglob("*")):
        mode = stat.S_IMODE(place.stat().st_mode)
        assert mode == (0o700 if place.is_dir() else 0o600), place
    ledger = kept.work(lambda database: database.read(trail.entries, person.STREAM))
    assert [(one.kind, one.data["by"], one.data["requests"]) for one in ledger] == [
        ("exported", "Ana Inventée", [kept.id])
    ]
    again = kept.home.run("person", "export", "--request", kept.id, "--to", str(to), *BY)
    assert again.exit_code == 3, "what is there is not written over"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--account", "0" * 32, "--request", "37-1042"),
        (),
        ("--request", "37-1042", "--by", " "),
        ("--request", "37-1042", "--why", "x" * 201),
    ],
)
def test_a_person_is_named_once_and_so_is_who_asks(
    kept: Kept, tmp_path: Path, wrong: tuple[str, ...]
) -> None:
    to = ("--to", str(tmp_path / "x"))
    assert kept.home.run("person", "export", *to, *BY, *wrong).exit_code == 2


def test_a_person_is_erased_once_two_people_agree(kept: Kept) -> None:
    opened = kept.home.run("person", "erase", "--request", "37-1042", *BY, "--json")
    assert opened.exit_code == 0, opened.output
    run_id, (erasure,) = (json.loads(opened.stdout)[key] for key in ("run", "erasures"))
    again = kept.home.run("person", "erase", "--request", "37-1042", *BY)
    assert again.exit_code == 1, "it is held already"
    alone = kept.home.run("erasure", "approve", run_id, "--by", "Ana Inventée")
    assert alone.exit_code == 1, "who asked for it is the first of the two"
    agreed = kept.home.run("erasure", "approve", run_id, "--by", "Bob Fictif", "--json")
    assert json.loads(agreed.stdout)["opened"] == 1
    shown = kept.home.run("erasure", "show", erasure)
    assert (shown.exit_code, kept.id in shown.stdout) == (0, True) or "open" in shown.stdout
    assert not [text for text in PERSONAL if text in opened.output + shown.output]


def test_who_is_linked_without_a_request_is_given_the_links(
    linked_home: Home, tmp_path: Path
) -> None:
    to = tmp_path / "acces"
    told = linked_home.run("person", "export", "--account", "F" * 32, "--to", str(to), *BY)
    assert told.exit_code == 0, told.output
    (link,) = json.loads((to / "donnees.json").read_text("utf-8"))["person"]["links"]
    assert (link["account"], link["claims"]) == ("=famille-1", {"given_name": "Zoé"})
    assert "=famille-1" in (to / "donnees.html").read_text("utf-8")
    assert "famille-1" not in told.output


def test_who_is_erased_has_no_links_left(linked_home: Home) -> None:
    whose = ("person", "erase", "--account", "F" * 32, *BY)
    told = linked_home.run(*whose, "--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout) == {"run": None, "erasures": [], "links": 1}
    assert linked_home.run("link", "list").stdout.strip() == "no linked account"
    assert linked_home.run(*whose).exit_code == 1, "nothing is held any more"


def test_a_run_after_a_long_pause_asks_for_a_look_at_the_clock(kept: Kept) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)

    async def over(database: Database) -> None:
        done = update(DELIVERY).values(state="done", head=False, settled_at=long_ago)
        await database.write(lambda c: c.execute(done))
        request = update(REQUEST).values(status="done", status_at=long_ago)
        await database.write(lambda c: c.execute(request))
        await database.write(lambda c: c.execute(update(EVENT).values(received_at=long_ago)))
        before = datetime.now(UTC) - timedelta(days=30)
        await database.write(cursors.move, retention.NAME, None, before)

    kept.work(over)
    plan = kept.home.run("--lang", "fr", "retention", "plan")
    assert "retention run --after-pause" in plan.stderr
    held = kept.home.run("retention", "run")
    assert (held.exit_code, "30 d ago by this machine's clock" in held.stderr) == (1, True)
    assert json.loads(kept.home.run("retention", "run", "--json").stdout)["doubted_since"]
    done = kept.home.run("retention", "run", "--after-pause", "--json")
    assert (done.exit_code, json.loads(done.stdout)["purged"]["requests"]) == (0, 1)
    assert json.loads(kept.home.run("retention", "plan", "--json").stdout)["doubted_since"] is None


def test_nobody_is_found(kept: Kept, tmp_path: Path) -> None:
    to = ("--to", str(tmp_path / "x"))
    for who in (("--account", "f" * 32), ("--request", "99-9")):
        assert kept.home.run("person", "export", *who, *to, *BY).exit_code == 1
    assert not (tmp_path / "x").exists()


def test_the_register_of_the_shipped_mappings_is_whole(tmp_path: Path) -> None:
    to = tmp_path / "registre.csv"
    where = ("--mappings", str(MAPPINGS), "--mappings-only")
    told = run("personal-data", "register", *where, "--to", str(to))
    assert told.exit_code == 0, told.output
    rows = to.read_bytes().decode("utf-8-sig").splitlines()
    assert len(rows) > 100
    assert "inscription-scolaire" in to.read_text("utf-8")
    page = run("personal-data", "register", *where, "--format", "html")
    assert "À renseigner" in page.stdout, "how long a commune keeps it only that commune knows"


def test_the_register_is_by_commune(kept: Kept) -> None:
    told = kept.home.run("personal-data", "register", "--commune", "69029", "--format", "json")
    entries = json.loads(told.stdout)
    assert {one["insee"] for one in entries} == {"69029"}
    assert all("Bron" in one["recipients"] for one in entries)
    assert kept.home.run("personal-data", "register", "--commune", "75056").exit_code == 1


def test_a_violation_is_prepared_without_personal_data(kept: Kept, tmp_path: Path) -> None:
    to = tmp_path / "violation"
    since = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    told = kept.home.run("personal-data", "violation", "--since", since, "--to", str(to))
    assert told.exit_code == 0, told.output
    texts = {one.name: one.read_text("utf-8") for one in to.iterdir()}
    assert sorted(texts) == ["notice.html", "notice.txt", "references.csv"]
    assert kept.id in texts["references.csv"]
    assert kept.id in texts["notice.txt"]
    assert "1 demandes" in texts["notice.txt"]
    assert "Bron (69029)" in texts["notice.txt"]
    assert "État civil, identité" in texts["notice.txt"]
    for text in (*texts.values(), told.output):
        assert not [word for word in PERSONAL if word in text]
    for odd in (("--since", "hier"), ("--since", "2999-01-01")):
        assert kept.home.run("personal-data", "violation", *odd, "--to", str(to)).exit_code == 2
