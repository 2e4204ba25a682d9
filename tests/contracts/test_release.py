"""Releases from the command line: planned, signed, applied commune by commune, rolled back."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.app import only_process
from gateway.catalogue.build import build as build_catalogue
from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.release import Release, read_release
from gateway.catalogue.released import build_released
from gateway.contracts import gate
from gateway.contracts.leaving import releases_of, rendered_otherwise
from gateway.core.errors import Conflict, Rejected
from gateway.store import applied, renewals, running_releases
from gateway.store import releases as stored
from gateway.store.engine import Database
from gateway.store.releases import ContractRun, Signature
from tests.contracts import five
from tests.contracts.conftest import KEY
from tests.contracts.five import FIRST, FIVE, SECOND, SLUG, Home
from tests.store.test_trail import without_triggers

MAPPING = f"mappings/{SLUG}/premiere.yaml"
SIGNING = ("--by", "A", "--function", "B", "--means", "C")
CASES = f"mappings/{SLUG}/premiere.cases/nominal.yaml"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("FIVE_KEY", KEY)
    return five.build(tmp_path)


def change(home: Home) -> None:
    """A shared mapping changes, with its case."""
    home.edit(MAPPING, "voirie: VOIRIE", "voirie: VOIRIE-2")
    home.edit(CASES, "service: VOIRIE", "service: VOIRIE-2")


def planned(home: Home) -> dict[str, str]:
    return {one["commune"]: one["state"] for one in home.json("release", "plan")}


def active(home: Home) -> dict[str, str]:
    return {one["commune"]: one["digest"] for one in home.json("release", "list")}


def of_files(home: Home) -> dict[str, Release]:
    bundle = read_bundle(home.config, home.mappings)
    return releases_of(bundle, build_catalogue(bundle, environ=os.environ))


# --- the digest -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (MAPPING, "version: 1\n", "version:   1   # une remarque\n\n"),
        (CASES, "case: 1\n", "# rien de neuf\ncase: 1\n"),
        ("config/communes/69001.yaml", "dsi@exemple.invalid", "autre@exemple.invalid"),
        ("config/communes/69001.yaml", "    poll: null\n", "    poll: null\n    timeout: 5\n"),
        ("config/communes/69001.yaml", "portal: toodego\n", "portal: toodego\npaused: true\n"),
        ("config/gateway.yaml", "{reconcile: null}", "{reconcile: 5m}"),
    ],
)
def test_what_cannot_change_the_output_is_the_same_release(
    home: Home, file: str, old: str, new: str
) -> None:
    before = of_files(home)["69001"].digest
    home.edit(file, old, new)
    assert of_files(home)["69001"].digest == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (MAPPING, "voirie: VOIRIE", "voirie: VOIRIE-2"),
        (MAPPING, "clos: {status: done", "clos: {status: refused"),
        (CASES, "Un trou dans la chaussée", "Un trou"),
        (f"mappings/{SLUG}/base.json", "Zoé", "Zoë"),
        ("config/communes/69001.yaml", "path: /demandes", "path: /tickets"),
        ("config/communes/69001.yaml", "env:FIVE_KEY", "env:HOME"),
        ("config/gateway.yaml", "{reconcile: null}", "{reconcile: null, adopt_number: true}"),
    ],
)
def test_what_can_change_the_output_is_another_release(
    home: Home, file: str, old: str, new: str
) -> None:
    before = of_files(home)["69001"].digest
    home.edit(file, old, new)
    assert of_files(home)["69001"].digest != before


def test_another_version_of_the_adapter_is_another_release(home: Home) -> None:
    bundle = read_bundle(home.config, home.mappings)
    catalogue = build_catalogue(bundle, environ=os.environ)
    one, other = (releases_of(bundle, catalogue, {"rest": v})["69001"].digest for v in ("1", "2"))
    assert one != other


def test_no_release_holds_a_secret_and_each_comes_back_from_the_database(home: Home) -> None:
    for release in of_files(home).values():
        assert "cle-fictive-des-cinq" not in release.content()
        assert read_release(release.content()) == release


# --- plan, sign, apply, roll back -----------------------------------------------------------


def test_a_change_to_a_shared_mapping_goes_live_for_who_signed_alone(released: Home) -> None:
    before = active(released)
    assert set(before) == set(FIVE)
    change(released)
    assert planned(released) == dict.fromkeys(FIRST, "changed") | dict.fromkeys(SECOND, "same")
    text = released.run("release", "plan").output
    assert f"{MAPPING}:8  tables.services.entries.voirie" in text
    assert 'Case "Un trou dans la chaussée"' in text
    assert "- before: VOIRIE\n" in text
    assert "+ after: VOIRIE-2\n" in text
    french = released.run("release", "plan", "--lang", "fr").output
    assert "Cas « Un trou dans la chaussée »" in french
    assert "- avant : VOIRIE\n" in french
    assert "+ après : VOIRIE-2\n" in french

    refused = released.run("release", "apply")
    assert refused.exit_code == 1
    for commune in FIRST:
        digest = of_files(released)[commune].short
        assert f"{commune} Commune fictive {commune}: refused {digest} (changed)" in refused.output
        agreement = f"missing: the commune's agreement to {digest} (release sign {commune})"
        assert agreement in refused.output
    assert f"change: {released.folder / MAPPING}:8 tables.services.entries.voirie" in refused.output
    for commune in SECOND:
        assert f"{commune} Commune fictive {commune}: same" in refused.output
    assert active(released) == before

    signed = released.sign("69001", "--note", "vu en réunion")
    assert signed.exit_code == 0, signed.output
    applied = released.run("release", "apply")
    assert applied.exit_code == 1
    assert f"69001 Commune fictive 69001: applied {of_files(released)['69001'].short}" in (
        applied.output
    )
    assert "69002 Commune fictive 69002: refused" in applied.output
    after = active(released)
    assert after["69001"] == of_files(released)["69001"].digest
    assert {c: d for c, d in after.items() if c != "69001"} == {
        c: d for c, d in before.items() if c != "69001"
    }
    assert released.run("release", "verify").exit_code == 0

    back = released.run("release", "rollback", "69001")
    assert back.exit_code == 0, back.output
    assert active(released) == before
    assert released.run("release", "verify").exit_code == 0
    shown = released.run("release", "show", "69001").output
    assert "rolled_back" in shown
    assert "note: vu en réunion" in shown


def test_a_signature_does_not_make_up_for_a_contract_that_fails(released: Home) -> None:
    before = active(released)
    released.edit(MAPPING, "voirie: VOIRIE", "voirie: VOIRIE-2")  # and not its case
    for commune in FIRST:
        assert released.sign(commune).exit_code == 0
    done = released.json("release", "apply", code=1)
    refused = [one for one in done if not one["done"]]
    assert [one["commune"] for one in refused] == list(FIRST)
    (missing,) = refused[0]["missing"]
    assert missing.startswith(f"contract: {CASES}:3: Un trou dans la chaussée")
    assert active(released) == before
    assert released.run("release", "apply", "--commune", "69003").exit_code == 0


def test_a_mapping_without_a_case_is_refused(home: Home) -> None:
    for file in (home.folder / CASES).parent.iterdir():
        file.unlink()
    assert home.run("db", "upgrade").exit_code == 0
    assert home.sign("69001").exit_code == 0
    done = home.run("release", "apply", "--commune", "69001")
    assert done.exit_code == 1
    assert "has no case" in done.output


def test_what_was_signed_is_a_digest_not_whatever_comes_after(released: Home) -> None:
    change(released)
    assert released.sign("69001").exit_code == 0
    released.edit(MAPPING, "proprete: PROPRETE", "proprete: PROPRE")
    done = released.run("release", "apply", "--commune", "69001")
    assert done.exit_code == 1
    assert "missing: the commune's agreement" in done.output


def test_a_digest_that_is_not_there_cannot_be_signed(released: Home) -> None:
    planned_one = of_files(released)["69001"]
    other = of_files(released)["69002"]
    assert released.sign("69001", "--digest", planned_one.digest[:10]).exit_code == 0
    unknown = released.sign("69001", "--digest", "0123456789")
    assert unknown.exit_code == 1
    assert "there is no release 0123456789 of 69001; its files make" in unknown.output
    foreign = released.sign("69001", "--digest", other.digest)
    assert foreign.exit_code == 1
    assert "is that of 69002, not of 69001" in foreign.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ("release", "sign", "69009", *["--by", "A", "--function", "B", "--means", "C"]),
            1,
            "there is no commune 69009 here (did you",
        ),
        (
            ("release", "apply", "--commune", "69009"),
            1,
            "there is no commune 69009 here (did you",
        ),
        (
            ("release", "plan", "--commune", "69009"),
            1,
            "there is no commune 69009 here (did you",
        ),
        (("release", "rollback", "69009"), 1, "69009 -: it has no earlier release"),
        (("release", "rollback", "69029"), 1, "69029 Bron: it has no earlier release"),
        (("release", "show", "69009"), 1, "nothing was ever done for 69009"),
        (
            (
                "release",
                "sign",
                "69001",
                *["--by", "A", "--function", "B", "--means", "C", "--date", "hier"],
            ),
            2,
            "",
        ),
        (("release", "sign", "69001", *SIGNING[:4], "--means", " "), 2, ""),
        (("release", "sign", "69001"), 2, ""),
    ],
)
def test_unknown_targets_and_bad_options_change_nothing(
    released: Home, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = released.json("release", "verify")["entries"]
    result = released.run(*arguments)
    assert result.exit_code == code, result.output
    assert said in result.output
    assert released.json("release", "verify")["entries"] == before


def test_cases_that_do_not_parse_are_told_at_their_line_and_nothing_is_done(
    released: Home,
) -> None:
    before = active(released)
    released.edit(CASES, "case: 1\n", "case: 1\ncase: 2\n")
    result = released.run("release", "apply")
    assert result.exit_code == 3
    assert f"{released.folder / CASES}:2: `case` is already set on line 1" in result.output
    assert "69001 Commune fictive 69001: refused - (broken)" in result.output
    assert "69003 Commune fictive 69003: same" in result.output
    released.edit(CASES, "case: 1\ncase: 2\n", "case: 1\n")
    assert active(released) == before


def test_a_commune_that_is_gone_goes_on_until_it_is_withdrawn(released: Home) -> None:
    (released.config / "communes" / "69005.yaml").unlink()
    assert planned(released)["69005"] == "gone"
    kept = released.run("release", "apply")
    assert kept.exit_code == 0
    assert "it goes on running until: release withdraw 69005" in kept.output
    assert "69005" in active(released)


# --- dev ------------------------------------------------------------------------------------


def test_dev_applies_what_is_not_signed_says_so_and_verify_does_not_forget(home: Home) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    done = home.run("release", "apply", "--dev")
    assert done.exit_code == 0
    assert f"warning: runs unsigned (--dev): {', '.join(FIVE)}" in done.output
    verified = home.run("release", "verify")
    assert verified.exit_code == 1
    assert "it runs without the commune's agreement" in verified.output
    assert home.run("release", "rollback", "69001").exit_code == 1


# --- tampering ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE release SET content = replace(content, 'VOIRIE', 'AILLEURS')",
            "its content does not match its digest",
        ),
        # What no digest covers: a comment, a contact.
        (
            "UPDATE release SET content = replace(content, 'dsi@', 'moi@')",
            "its content was altered after it was kept",
        ),
        ("UPDATE release SET content = 'rien'", "its content is not that of a release"),
        ("DELETE FROM release WHERE commune = '69001'", "its content is not in the database"),
        (
            "UPDATE trail SET data = replace(data, 'Ana Inventée', 'Qui Voudra')"
            " WHERE kind = 'signed'",
            "it was altered after it was written",
        ),
        ("DELETE FROM trail WHERE kind = 'signed'", "before it is missing"),
    ],
)
def test_tampering_is_found_by_verify_and_keeps_the_daemon_from_running(
    released: Home, statement: str, said: str
) -> None:
    assert released.run("release", "verify").exit_code == 0
    without_triggers(released.url, statement)
    result = released.run("release", "verify")
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output
    served = released.spawn("serve")
    assert served.returncode == 3
    assert said in served.stderr


def test_a_deleted_signature_row_alone_is_no_agreement_any_more(released: Home) -> None:
    without_triggers(released.url, "DELETE FROM trail WHERE kind = 'signed'")
    result = released.run("release", "verify")
    assert result.exit_code == 1
    assert result.output.count("it runs without the commune's agreement") == len(FIVE)


def test_what_a_killed_daemon_noted_runs_no_more(released: Home) -> None:
    """Within a minute of a kill the database is as it was; SQLite's lock is free."""
    now = datetime.now(UTC)
    noted = {insee: (digest, None) for insee, digest in active(released).items()}
    database = Database(released.url)
    try:
        asyncio.run(database.write(running_releases.record, noted, now))
        asyncio.run(database.write(renewals.record_answer, "a daemon", "", None, now))
    finally:
        database.close()
    folder = Path(released.url.removeprefix("sqlite:///")).parent
    with only_process(folder):
        assert {one["runs"] for one in released.json("release", "list")} == {"yes"}
    assert {one["runs"] for one in released.json("release", "list")} == {None}


# --- what is run ----------------------------------------------------------------------------


def _running(home: Home, versions: dict[str, str] | None = None) -> Catalogue:
    database = Database(home.url)
    try:
        found = asyncio.run(gate.to_run(database))
    finally:
        database.close()
    bundle = read_bundle(home.config, home.mappings)
    return build_released(
        bundle, found.releases, environ=os.environ, versions=versions, unfit=found.unfit
    )


def test_each_commune_runs_its_own_release_whatever_the_files_say(released: Home) -> None:
    change(released)
    assert released.sign("69001").exit_code == 0
    released.run("release", "apply")
    released.edit("config/communes/69002.yaml", "dsi@exemple.invalid", "neuf@exemple.invalid")
    released.edit("config/communes/69002.yaml", "path: /demandes", "path: /ailleurs")
    catalogue = _running(released)
    tables = {
        insee: commune.routes[SLUG].mapping.tables["services"].entries["voirie"]
        for insee, commune in catalogue.communes.items()
    }
    assert tables == {insee: "VOIRIE-2" if insee == "69001" else "VOIRIE" for insee in FIVE}
    second = catalogue.communes["69002"]
    assert second.contacts == {"technical": "neuf@exemple.invalid"}  # a matter of operation
    options = second.grus["mairie"].options.model_dump()
    assert options["create"]["path"] == "/demandes"  # a matter of agreement
    assert catalogue.releases == active(released)


def test_a_commune_without_a_release_is_known_and_not_served(released: Home) -> None:
    text = (released.config / "communes" / "69005.yaml").read_text("utf-8")
    text = text.replace("69005", "69006")
    (released.config / "communes" / "69006.yaml").write_text(text, "utf-8")
    catalogue = _running(released)
    assert set(catalogue.communes) == set(FIVE)
    assert set(catalogue.unreleased) == {"69006"}
    with pytest.raises(Rejected) as caught:
        catalogue.route("toodego", "69006", SLUG)
    assert (caught.value.status, caught.value.code) == (404, "no_release")


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({}, "the adapter `rest` is not installed"),
        ({"rest": "999"}, "of the adapter `rest`, not 999"),
    ],
)
def test_an_adapter_that_is_missing_or_another_refuses_every_release_with_it(
    released: Home, versions: dict[str, str], said: str
) -> None:
    catalogue = _running(released, versions)
    assert (set(catalogue.refused), dict(catalogue.communes)) == (set(FIVE), {})
    assert all(said in str(one.faults) for one in catalogue.refused.values())


def test_a_secret_that_is_not_there_costs_its_commune_alone(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.edit("config/communes/69004.yaml", "token: env:FIVE_KEY", "token: env:FOUR_KEY")
    monkeypatch.setenv("FOUR_KEY", "jeton")
    home.release_all()
    monkeypatch.delenv("FOUR_KEY")
    catalogue = _running(home)
    assert set(catalogue.communes) == set(FIVE) - {"69004"}
    (fault,) = catalogue.refused["69004"].faults
    assert "FOUR_KEY is not set" in fault.what
    assert "release " in fault.file
    with pytest.raises(Rejected) as caught:
        catalogue.route("toodego", "69004", SLUG)
    assert (caught.value.status, caught.value.code) == (503, "release_refused")
    # And it stops no command: they need none of it.
    assert home.run("release", "list").exit_code == 0
    assert home.run("request", "list").exit_code == 0


def test_a_release_that_nobody_signed_costs_its_commune_alone(
    released: Home,
) -> None:
    released.edit("config/communes/69003.yaml", "path: /demandes", "path: /ailleurs")
    released.run("release", "apply", "--dev", "--commune", "69003")
    catalogue = _running(released)
    assert set(catalogue.refused) == {"69003"}
    assert "without the commune's agreement" in str(catalogue.refused["69003"].faults)


def test_the_report_of_a_run_that_passed_names_what_is_signed(released: Home) -> None:
    page = released.folder / "pv.html"
    done = released.run("contract", "report", str(page), "--commune", "69001")
    assert done.exit_code == 0, done.output
    digest = of_files(released)["69001"].digest
    assert f'<dd data-name="release"><code>{digest}</code></dd>' in page.read_text("utf-8")
    assert released.sign("69001", "--digest", digest).exit_code == 0

    released.edit(CASES, "service: VOIRIE", "service: AUTRE")
    done = released.run("contract", "report", str(page), "--commune", "69001")
    assert done.exit_code == 1
    assert 'data-name="release"' not in page.read_text("utf-8")


def _signed_under_another_gateway(home: Home, insee: str) -> Release:
    """Its release, active and signed under a gateway that filled in `texte` in another way."""
    document = json.loads(of_files(home)[insee].content())
    for cases in document["rendered"].values():
        cases["Un trou dans la chaussée"]["texte"] = "UN TROU"
    former = read_release(json.dumps(document))
    content, now = former.content(), datetime.now(UTC)
    signature = Signature(former.digest, insee, "Ana", "DGS", "courrier", "2026-03-02", "", now)
    database = Database(home.url)
    try:
        asyncio.run(database.write(stored.store, insee, former.digest, content, now))
        asyncio.run(database.write(stored.sign, [signature]))
        run = ContractRun(former.digest, insee, True, (), now)
        asyncio.run(database.write(applied.apply, [run], {insee: former.digest}, {}, now))
    finally:
        database.close()
    return former


def test_what_this_gateway_renders_otherwise_than_was_signed_waits(released: Home) -> None:
    former = _signed_under_another_gateway(released, "69002")
    assert former.digest != of_files(released)["69002"].digest
    catalogue = _running(released)
    # The others are served, though they have the same mapping.
    assert set(catalogue.communes) == set(FIVE) - {"69002"}
    (fault,) = catalogue.refused["69002"].faults
    assert (
        "in 1 cases: signalement-anomalie/premiere « Un trou dans la chaussée » (texte)"
        in fault.what
    )
    verified = released.run("release", "verify")
    assert (verified.exit_code, "other than was signed" in verified.stderr) == (1, True)

    # It is shown, signed and applied as any change is.
    (planned,) = [one for one in released.json("release", "plan") if one["state"] != "same"]
    assert (planned["commune"], planned["state"]) == ("69002", "changed")
    (effect,) = planned["effects"]
    assert (effect["field"], effect["before"], effect["after"]) == ("texte", "UN TROU", "Un trou")
    # That is the release of before, which is signed; nor is there a way back to what this gateway
    # cannot do.
    assert released.run("release", "apply").exit_code == 0
    assert _running(released).refused == {}
    assert released.run("release", "rollback", "69002").exit_code == 3


def test_what_an_earlier_gateway_released_runs_as_it_is(released: Home) -> None:
    """Its release says nothing of what it rendered."""
    document = json.loads(of_files(released)["69001"].content())
    del document["rendered"]
    assert read_release(json.dumps(document)).rendered is None
    assert rendered_otherwise({"69001": read_release(json.dumps(document))}) == {}


def test_a_release_cannot_be_made_active_past_the_gate(home: Home) -> None:
    assert home.run("db", "upgrade").exit_code == 0
    one = of_files(home)["69001"]
    database = Database(home.url)
    now = datetime.now(UTC)
    try:
        asyncio.run(database.write(stored.store, "69001", one.digest, one.content(), now))
        with pytest.raises(Conflict):
            asyncio.run(database.write(stored.activate, {"69001": one.digest}, now))
        assert asyncio.run(database.read(stored.ledger)).active == {}
    finally:
        database.close()
