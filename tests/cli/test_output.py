"""Terminal controls are printed as text, in a pushed number, a far end's words or a reason."""

from __future__ import annotations

import json

import pytest
import structlog

from gateway.cli import main
from gateway.cli.output import cell, emit, print_value, table
from gateway.core.messages import plain
from tests.command import CliRunner

#: A colour, a title with its end, CSI in one character, a line turned round, one that is new.
ACTING = "\x1b[31m", "\x1b]0;x\x07", "\x9b2J", "\u202e003", "\u2028ok"


@pytest.mark.parametrize("text", ACTING)
def test_what_acts_on_a_terminal_is_written_out(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table(("what",), [(text,), ({text: [text]},)], plain("none"))
    emit({"number": text})
    assert plain(f"the form {text}").told().isprintable()
    printed = capsys.readouterr().out
    assert all(one.isprintable() or one == "\n" for one in printed)
    assert json.loads(printed[printed.index("{\n") :]) == {"number": text}


def test_other_letters_are_as_they_are() -> None:
    assert (
        cell("Écully : 12 €, نعم, 😀 l’eau\n et le gaz") == "Écully : 12 €, نعم, 😀 l’eau et le gaz"
    )


def test_a_long_word_keeps_a_blank_before_its_value(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "fr_FR.UTF-8")
    print_value("for a person", 0)
    assert capsys.readouterr().out == "pour une personne : 0\n"


def test_what_a_command_logs_is_no_part_of_what_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["gru-gateway", "adapter", "list", "--json"])
    with CliRunner().isolation() as (out, err, _):
        with pytest.raises(SystemExit):
            main()
        structlog.get_logger().warning("planted", url="https://exemple.invalid/x?signature=1")
        printed, logged = out.getvalue().decode(), err.getvalue().decode()
    json.loads(printed)
    assert "planted" in logged
    assert "signature" not in logged, "it is redacted as the daemon's logs are"
