"""A little of `make fuzz` in each run: what was found once, inputs made by a seed, and inputs that
grow by what they reach (`make test` has a minute more of these beside the tests)."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.fuzz.__main__ as fuzz
from tests.fuzz.__main__ import lines, play, seed_of_code
from tests.fuzz.mutation import corpus, inputs
from tests.fuzz.targets import LONGEST, TARGETS, TooSlow, judged

#: Inputs made in a run: some seconds of CPU for all targets together.
INPUTS = {"answer": 150, "hook": 400, "mapping": 100, "commune": 40}
OTHERS = 1000
#: For all targets together.
SECONDS = 3.0


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_kept_is_taken_or_refused(target: str) -> None:
    kept = corpus(target)
    assert kept
    for data in kept:
        judged(TARGETS[target], data)


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_made_is_taken_or_refused(target: str) -> None:
    for data in inputs(corpus(target), INPUTS.get(target, OTHERS), 1, LONGEST):
        try:
            judged(TARGETS[target], data)
        except Exception as error:
            error.add_note(f"input: {data[:2000]!r}")
            raise


@pytest.mark.parametrize("target", TARGETS)
def test_what_grows_by_what_it_reaches_is_taken_or_refused(target: str) -> None:
    """A finding is written into the corpus, and as Base64 into what the test says."""
    assert play(target, SECONDS / len(TARGETS), seed_of_code()) == 0


def test_what_guides_is_the_same_for_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "code.py").write_text("a = 1\n")
    monkeypatch.setattr(fuzz, "_OURS", (str(tmp_path / "ours"),))
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path / "fuzz" / "corpus")
    before = seed_of_code()
    (tmp_path / "ours" / "code.pyc").write_bytes(b"made of it")
    assert seed_of_code() == before
    (tmp_path / "ours" / "code.py").write_text("a = 2\n")
    assert seed_of_code() != before


def test_a_finding_is_kept_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def target(data: bytes) -> None:
        if len(data) > 20:
            raise ValueError("too long for it")

    (tmp_path / "weak").mkdir()
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)
    monkeypatch.setitem(TARGETS, "weak", target)
    monkeypatch.setattr(fuzz, "corpus", lambda name: [b"Bonjour"])
    assert play("weak", 60, seed=1) == fuzz.ENOUGH
    kept = [path.read_bytes() for path in (tmp_path / "weak").iterdir()]
    assert kept
    assert all(len(data) > 20 for data in kept)
    assert "too long for it" in capsys.readouterr().err


def test_a_finding_is_seen() -> None:
    with pytest.raises(TooSlow):
        judged(lambda data: sum(range(20_000_000)), b"")
    with pytest.raises(ZeroDivisionError):
        judged(lambda data: len(data) // 0, b"")


def test_the_same_seed_makes_the_same_inputs() -> None:
    kept = corpus("event")
    assert list(inputs(kept, 20, 7, 1000)) == list(inputs(kept, 20, 7, 1000))
    assert list(inputs(kept, 20, 7, 1000)) != list(inputs(kept, 20, 8, 1000))


def test_what_reaches_more_is_told_from_what_does_not() -> None:
    plain, rich = lines(TARGETS["event"], b"Bonjour"), lines(TARGETS["event"], b"<p>a</p>")
    assert plain
    assert rich - plain
    assert lines(TARGETS["event"], b"Bonsoir") <= plain
