"""`contract run --half-connector`: what it is given, and the report that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.root import app
from tests.command import CliRunner, Result

SIGNING = "un-secret-de-signature-invente"
CLIENT = "un-secret-de-client-tout-invente"
URL = "http://127.0.0.1:9/"


def run(*arguments: str) -> Result:
    environ = {"S": SIGNING, "C": CLIENT, "SHORT": "court"}
    words = ["contract", "run", *arguments]
    return CliRunner().invoke(app, words, prog_name="gru-gateway", env=environ)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--half-connector", URL], "--half-connector needs --secret"),
        (["--half-connector", "ftp://x", "--secret", "env:S"], "--half-connector does not take"),
        (["--half-connector", URL, "--secret", SIGNING], "--secret names no place of a secret"),
        (["--half-connector", URL, "--mailbox"], "are two ways"),
        (["--mailbox", "--listen", "127.0.0.1:0"], "--mailbox needs --listen and --client-secret"),
        (["--secret", "env:S"], "are for a half-connector"),
        (
            ["--mailbox", "--listen", "0.0.0.0:0", "--client-secret", "env:C"],
            "--listen 0.0.0.0 needs --base-url",
        ),
        (["--half-connector", URL, "--secret", "env:S", "--listen", "x"], "does not take x"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert SIGNING not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--secret", "env:SHORT"], "no signing secret"),
        (["--secret", "env:NOT_THERE"], "NOT_THERE"),
        (["--secret", "file:not-there.txt"], "not-there.txt"),
        (["--secret", "env:S", "--data", "not-there.json"], "not-there.json"),
    ],
)
def test_what_cannot_be_read_is_told(arguments: list[str], said: str) -> None:
    result = run("--half-connector", URL, *arguments)
    assert result.exit_code == 3
    assert said in result.stderr
    assert "court" not in result.stderr


def test_nobody_there_is_an_exit_code_of_its_own_and_a_report(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text(f"{SIGNING}\n")
    html, junit = tmp_path / "pv" / "pv.html", tmp_path / "junit.xml"
    written = ("--html", str(html), "--junit", str(junit), "--by", "Une agente")
    result = run("--half-connector", URL, "--secret", f"file:{secret}", *written, "--json")
    assert result.exit_code == 4
    told = json.loads(result.stdout)
    assert told["ok"] is told["reached"] is False
    assert {one["state"] for one in told["checks"]} == {"not_shown"}
    page = html.read_text("utf-8")
    assert "Demi-connecteur non conforme" in page
    assert "Une agente" in page
    assert 'failures="0"' in junit.read_text("utf-8")
    assert SIGNING not in page + result.stdout + result.stderr
