"""`release list` and `secrets reload` tell what a daemon noted, in the reader's language."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.app import only_process
from gateway.core.errors import Fault
from gateway.core.messages import Messages, Text, both, shortened, unfold
from gateway.store import running_releases
from gateway.store.engine import Database
from tests.contracts.five import FIRST, Home
from tests.contracts.test_release import active

SAY = Messages(Text("gone", "the secret is gone", "put it back", "le secret manque", "le remettre"))
FORMER = "f" * 64


def _note(home: Home, former: dict[str, str]) -> None:
    """Write the note of a daemon that refuses a commune's active release."""
    insee = FIRST[0]
    why = both(Fault("config/communes/x.yaml", 3, SAY("gone")).message)
    words = {insee: (active(home)[insee], why)}
    database = Database(home.url)
    try:
        asyncio.run(database.write(running_releases.record, words, datetime.now(UTC), former))
    finally:
        database.close()


@pytest.mark.parametrize("runs", [True, False])
def test_where_a_release_is_refused_it_is_told_what_runs(released: Home, runs: bool) -> None:
    _note(released, {FIRST[0]: FORMER} if runs else {})
    with only_process(released.config.parent / "var"):
        told = released.run("release", "list").stderr
        dit = released.run("release", "list", "--lang", "fr").stderr
        row = released.json("release", "list")[0]
    assert row["runs_digest"] == (FORMER if runs else None)
    assert "config/communes/x.yaml:3: the secret is gone (put it back)" in told
    assert "config/communes/x.yaml:3: le secret manque (le remettre)" in dit
    if runs:
        assert f"{FIRST[0]} runs release {FORMER[:12]} still; " in told
        assert f"{FIRST[0]} tourne encore avec la version {FORMER[:12]} ; " in dit
    else:
        assert f"{FIRST[0]} runs nothing; " in told
        assert f"{FIRST[0]} ne fait rien tourner ; " in dit


def test_what_is_written_down_for_both_is_told_to_each() -> None:
    text = both(SAY("gone"), SAY("gone"))
    assert unfold(text).told("fr").splitlines() == ["le secret manque (le remettre)"] * 2
    assert unfold(text).told("en").splitlines() == ["the secret is gone (put it back)"] * 2
    assert unfold("said by an older daemon").told("fr") == "said by an older daemon"
    short = unfold(shortened(text, 40))
    assert short.told("en").splitlines() == ["the secret is gone (put it back)", "…"]
    assert short.told("fr").splitlines() == ["le secret manque (le remettre)", "…"]
