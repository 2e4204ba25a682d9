"""Commands about files and settings, and what each says when something is wrong."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import __version__
from gateway.cli.health import _amiss, _listening
from tests import life
from tests.cli.conftest import MAPPINGS, Home, run


def test_the_version_is_told() -> None:
    told = run("--version")
    assert told.exit_code == 0
    assert told.stdout == f"gru-gateway {__version__}\n"


def test_check_offline_is_well_and_asks_nobody(home: Home) -> None:
    told = home.run("check", "--offline")
    assert told.exit_code == 0
    mappings = len(list(MAPPINGS.glob("*/*.yaml")))
    assert f"2 communes, 2 routes, {mappings} mappings" in told.output
    as_json = json.loads(home.run("check", "--offline", "--json").stdout)
    assert as_json["ok"] is True
    assert as_json["faults"] == as_json["far_ends"] == []


def test_check_tells_every_fault_at_its_line(home: Home) -> None:
    home.replace("gateway.yaml", "shutdown_grace", "shutdown_grave")
    home.replace("communes/69029-bron.yaml", "adapter: open311", "adapter: open312")
    (home.folder / "secrets" / "webhook-key").unlink()
    told = home.run("check")
    assert told.exit_code == 3
    assert f"{home.config}/gateway.yaml:4:1: " in told.stderr
    assert f"{home.config}/communes/69029-bron.yaml:6:5: " in told.stderr
    assert f"{home.config}/communes/69266-villeurbanne.yaml:" in told.stderr
    assert "3 faults" in told.stderr
    as_json = home.run("check", "--json")
    assert as_json.exit_code == 3
    faults = json.loads(as_json.stdout)["faults"]
    assert [fault["line"] > 0 for fault in faults] == [True, True, True]


def test_offline_the_options_are_held_against_the_wsdl_that_they_name(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DECINES_MOT_DE_PASSE", "mot-de-passe-de-test")
    (home.config / "files").mkdir()
    for name in ("demandes.wsdl", "types.xsd"):
        text = (life.ROOT / "tests/adapters/recorded/soap" / name).read_text("utf-8")
        (home.config / "files" / name).write_text(text, "utf-8")
    example = (life.ROOT / "config/communes.example/decines-charpieu.yaml").read_text("utf-8")
    named = example.replace("wsdl: https://gru.decines", "wsdl_file: demandes.wsdl # https://gru")
    wrong = named.replace("operation: creerDemande", "operation: creerDemandes")
    file = home.config / "communes" / "69275-decines-charpieu.yaml"
    for text, code in ((named, 0), (wrong, 3)):
        file.write_text(text, "utf-8")
        told = home.run("check", "--offline", "--lang", "fr")
        assert told.exit_code == code, told.output
    line = 1 + wrong[: wrong.index("creerDemandes")].count("\n")
    said = "create.operation : le WSDL n'a pas d'opération creerDemandes (peut-être creerDemande)"
    places = (f"{file}:{line}:9 : {said}", f"{file}:{line}:9: {said}")
    assert any(one in told.stderr for one in places)


def test_check_names_the_far_ends_that_cannot_be_used(home: Home) -> None:
    told = home.run("check", "--json")
    assert told.exit_code == 4
    far_ends = json.loads(told.stdout)["far_ends"]
    failed = {one["far_end"] for one in far_ends if one["level"] == "fault"}
    assert failed == {"gru:69029:voirie", "gru:69266:education", "portal:toodego"}


def test_without_settings_it_says_which_file_to_copy(tmp_path: Path) -> None:
    told = run("check", "--config", str(tmp_path), "--mappings", str(MAPPINGS))
    assert told.exit_code == 3
    assert "copy gateway.example.yaml to gateway.yaml" in told.stderr


def test_the_folders_may_come_from_the_environment(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRU_GATEWAY_CONFIG", str(home.config))
    monkeypatch.setenv("GRU_GATEWAY_MAPPINGS", str(MAPPINGS))
    assert run("check", "--offline").exit_code == 0


def test_config_show_gives_references_and_no_secret(home: Home) -> None:
    secrets = [path.read_text() for path in (home.folder / "secrets").iterdir()]
    for told in (home.run("config", "show"), home.run("config", "show", "--json")):
        assert told.exit_code == 0
        assert f"file:{home.folder}/secrets/open311-key" in told.stdout
        assert "shutdown_grace" in told.stdout
        assert not [secret for secret in secrets if secret in told.output]


def test_config_show_refuses_a_secret_in_the_clear(home: Home) -> None:
    reference = f"file:{home.folder}/secrets/open311-key"
    home.replace("communes/69029-bron.yaml", reference, "cle-en-clair")
    told = home.run("config", "show")
    assert told.exit_code == 3
    assert "cle-en-clair" not in told.output


def test_the_adapters_are_listed() -> None:
    kinds = [one["kind"] for one in json.loads(run("adapter", "list", "--json").stdout)]
    assert {"open311", "rest"} <= set(kinds)
    assert "open311" in run("adapter", "list").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("check", "--no-such-option"),
        ("request", "show"),
        ("request", "list", "--status", "no-such-status"),
        ("outbox", "replay"),
        ("outbox", "replay", "d1", "--all"),
        ("outbox", "replay", "d1", "--commune", "69029"),
        ("outbox", "resolve", "d1"),
        ("outbox", "discard", "d1"),
        ("outbox", "discard", "d1", "--because", "  "),
        ("mapping", "preview", "signalement-anomalie/rest"),
        ("demo", "--port", "70000"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_health_is_1_without_a_daemon() -> None:
    told = run("health", "--url", "http://127.0.0.1:9", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["ready"] is False
    assert run("health", "--url", "nonsense").exit_code == 1


def test_health_names_what_is_not_well() -> None:
    parts = {
        "status": "degraded",
        "database": {"state": "ok"},
        "lanes": {
            "gru:69029:a": {"state": "open", "needs_person": 0, "reason": "timeout"},
            "gru:69029:b": {"state": "ok", "needs_person": 2},
            "gru:69029:c": {"state": "paused", "needs_person": 0},
        },
        "timers": {"poll:gru:69029:a": {"state": "degraded", "failure": "try_later"}},
        "glc": {"state": "degraded", "detail": "1 erasures wait for two people"},
        "disk": {"state": "down", "free": 41 * 2**20, "total": 2**30},
        "drift": {"state": "degraded", "found": [{}, {}]},
        "releases": {"state": "degraded", "refused": {"69029": ["why"]}, "unreleased": []},
    }
    assert [one.what().strip() for one in _amiss(parts)] == [
        "lanes gru:69029:a: open (timeout)",
        "lanes gru:69029:b: ok, for a person: 2",
        "timers poll:gru:69029:a: degraded (try_later)",
        "glc: degraded (1 erasures wait for two people)",
        "disk: down (41 MB free)",
        "drift: degraded (2 found)",
        "releases: degraded (69029)",
    ]


def test_health_asks_where_the_daemon_listens(tmp_path: Path) -> None:
    assert _listening(tmp_path) == "http://127.0.0.1:8700"
    for listen, url in (
        ("{port: 9}", "http://127.0.0.1:9"),
        ("{host: 0.0.0.0, port: 8701}", "http://127.0.0.1:8701"),
        ("{host: '::'}", "http://[::1]:8700"),
        ("{host: 10.0.0.4}", "http://10.0.0.4:8700"),
        ("[", "http://127.0.0.1:8700"),
        ("nonsense", "http://127.0.0.1:8700"),
        ("{host: null, port: ~}", "http://127.0.0.1:8700"),
        ("{port: 9}\nsince: 2026-02-30", "http://127.0.0.1:9"),
        ("[" * 3000, "http://127.0.0.1:8700"),
    ):
        (tmp_path / "gateway.yaml").write_text(f"data_dir: var\nlisten: {listen}\n", "utf-8")
        assert _listening(tmp_path) == url
    (tmp_path / "gateway.yaml").write_text("listen: {port: 9}\n", "utf-8")
    told = run("health", "--config", str(tmp_path), "--json")
    assert (told.exit_code, json.loads(told.stdout)["ready"]) == (1, False)


def test_the_database_is_made_by_upgrade(home: Home) -> None:
    before = home.run("request", "list")
    assert before.exit_code == 3
    assert "no database" in before.stderr
    assert home.run("db", "status").exit_code == 1
    assert not (home.folder / "var" / "gateway.db").exists()
    assert home.run("db", "upgrade").exit_code == 0
    after = home.run("db", "status", "--json")
    assert after.exit_code == 0
    assert json.loads(after.stdout)["ok"] is True
    assert "no request" in home.run("request", "list").stdout


def test_serve_ends_with_every_fault(home: Home) -> None:
    home.replace("gateway.yaml", "shutdown_grace", "shutdown_grave")
    home.replace("communes/69029-bron.yaml", "adapter: open311", "adapter: open312")
    done = home.spawn("serve", "--dev")
    assert done.returncode == 3
    assert "gateway.yaml:4:1: " in done.stderr
    assert "69029-bron.yaml:6:5: " in done.stderr


def test_serve_names_an_address_in_use(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        home.replace("gateway.yaml", "port: 8701", f"port: {port}")
        done = home.spawn("serve")
    assert done.returncode == 3
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_serve_names_the_process_that_holds_the_database(home: Home) -> None:
    var = home.folder / "var"
    var.mkdir()
    with (var / "gateway.lock").open("w") as lock:
        lock.write("4242")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home.spawn("serve")
    assert done.returncode == 3
    assert "process 4242" in done.stderr


def test_serve_names_a_data_folder_that_cannot_be(home: Home) -> None:
    (home.folder / "var").write_text("a file where a folder is due")
    done = home.spawn("serve")
    assert done.returncode == 3
    assert "data_dir" in done.stderr


def test_a_demo_that_does_not_exist_is_1() -> None:
    done = life.run("demo", "--scenario", "no-such-scenario", "--once")
    assert done.returncode == 1
    assert "lost-replies" in done.stderr


def test_the_demos_are_listed() -> None:
    names = [one["name"] for one in json.loads(run("demo", "--list", "--json").stdout)]
    assert names[:2] == ["pass", "lost-replies"]


def test_the_probe_loads_no_part_of_the_daemon() -> None:
    watch = (
        "import sys; sys.argv = ['gru-gateway', 'health', '--url', 'http://127.0.0.1:9'];"
        "import atexit; atexit.register(lambda: print(sorted({'sqlalchemy', 'fastapi',"
        " 'alembic', 'jmespath'} & set(sys.modules))));"
        "from gateway.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch], cwd=life.ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    said, loaded = done.stdout.splitlines()
    assert said.startswith("not ready: no answer at http://127.0.0.1:9/")
    assert said.endswith(" (ConnectError): is the daemon started?")
    assert loaded == "[]"
