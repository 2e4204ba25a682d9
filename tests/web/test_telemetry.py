"""Logs: their form, and the values that they never hold."""

from __future__ import annotations

import json
import logging  # noqa: TID251 - a library's way to log is what is tested

import pytest
import structlog

from gateway import telemetry
from gateway.telemetry import MASK


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_a_line_is_json_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("auto", "info")  # what is captured is no terminal
    log = structlog.get_logger()
    log.debug("nothing.said")
    log.info("request.received", request="TDG-1", files=2, at=None)
    (line,) = lines(capsys)
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "request.received",
        "request": "TDG-1",
        "files": 2,
        "at": None,
        "level": "info",
    }


def test_the_console_and_levels(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("console", "error")
    structlog.get_logger().warning("not.so.bad")
    structlog.get_logger().error("bad.indeed", lane="gru:69029:main")
    told = capsys.readouterr().err
    assert "bad.indeed" in told
    assert "lane=gru:69029:main" in told
    assert "not.so.bad" not in told


@pytest.mark.parametrize(
    "key",
    [
        *("name", "Email", "user_name", "NOM", "courriel", "telephone", "phone"),
        *("authorization", "signature", "api-key", "password", "access_token"),
        *("body", "payload", "message"),
    ],
)
def test_values_are_masked_by_their_key(capsys: pytest.CaptureFixture[str], key: str) -> None:
    telemetry.configure("json", "info")
    structlog.get_logger().info("x.y", **{key: "MARQUEUR", "deep": [{key: {"a": "MARQUEUR"}}]})
    (line,) = lines(capsys)
    assert (line[key], line["deep"]) == (MASK, [{key: MASK}])


def test_values_are_masked_by_their_look(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("json", "info")
    structlog.get_logger().info(
        "x.y",
        who="écrit par zoe.marqueur@exemple.invalid hier",
        where="GET https://portail.exemple.invalid/a?orig=x&signature=MARQUEUR rendu",
        what=object(),
    )
    (line,) = lines(capsys)
    assert line["who"] == f"écrit par {MASK} hier"
    assert line["where"] == f"GET https://portail.exemple.invalid/a?{MASK} rendu"
    assert line["what"] == "<object>"


@pytest.mark.parametrize("format", ["json", "console"])
def test_an_exception_is_told_without_its_text(
    capsys: pytest.CaptureFixture[str], format: str
) -> None:
    telemetry.configure(format, "info")
    try:
        raise ValueError("MARQUEUR")
    except ValueError as error:
        structlog.get_logger().error("a.b", exc_info=error)
        structlog.get_logger().exception("c.d")
        logging.getLogger("apscheduler.executors").exception("Job %s raised", "MARQUEUR")
    told = capsys.readouterr().err
    assert told.count("ValueError") == 3
    assert told.count("test_telemetry.py:") == 3
    assert "MARQUEUR" not in told
    assert "Job %s raised" in told


def test_libraries_are_quiet_below_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    telemetry.configure("json", "debug")
    telemetry.configure("json", "debug")  # twice is once
    for name in ("uvicorn.error", "alembic.runtime", "whatever"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("to %s\nsecond line", "zoe@exemple.invalid")
    told = lines(capsys)
    assert [line["library"] for line in told] == ["uvicorn.error", "alembic.runtime", "whatever"]
    assert {line["event"] for line in told} == {"library.logged"}
    assert {line["text"] for line in told} == {"to %s"}
    assert {line["level"] for line in told} == {"warning"}
