"""`make fuzz`: for as long as it is given, guided by what the inputs reach.

    python -m tests.fuzz --minutes 10 [--target answer] [--seed 1]

Each target gets its share of the time, which is that of the processor: what else the machine does
costs no input. An input that reaches a line of ours which none before it
has reached is built upon. A finding is kept in the corpus as `found-...`: the suite is red until it
is mended, and tries it for ever after. Exit code 1 tells that there was one.

`make test` has a minute of it, whose seed is what the code is (`--seed code`): the same code is
tried with the same inputs, and other code with others. So a finding there comes again until it is
mended.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
import time
import traceback
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.mutation import CORPUS, corpus, inputs
from tests.fuzz.targets import LONGEST, TARGETS, Target, judged
from tests.life import ROOT

#: Findings of one target after which the next has its turn.
ENOUGH = 5
_OURS = tuple(str(ROOT / folder) for folder in ("gateway", "adapters"))

Reached = set[tuple[CodeType, int]]


def main() -> int:
    given = argparse.ArgumentParser(prog="python -m tests.fuzz")
    given.add_argument("--minutes", type=float, default=1.0)
    given.add_argument("--target", choices=TARGETS, action="append")
    given.add_argument("--seed", type=_seed, default=int(time.time()))
    asked = given.parse_args()
    chosen = asked.target or list(TARGETS)
    print(f"{len(chosen)} targets, {asked.minutes} minutes, seed {asked.seed}")
    findings = [play(name, asked.minutes * 60 / len(chosen), asked.seed) for name in chosen]
    return int(any(findings))


def _seed(given: str) -> int:
    return seed_of_code() if given == "code" else int(given)


def play(name: str, seconds: float, seed: int) -> int:
    """Fuzz one target for so many seconds of the processor; how much was found."""
    target, kept = TARGETS[name], corpus(name)
    reached: Reached = set()
    for data in kept:
        reached |= lines(target, data)
    deadline, tried, grown, found = time.process_time() + seconds, 0, 0, 0
    while time.process_time() < deadline and found < ENOUGH:
        (data,) = inputs(kept, 1, seed + tried, LONGEST)
        tried += 1
        if not _stands(name, data):
            found += 1
        elif not (here := lines(target, data)) <= reached:
            reached |= here
            kept.append(data)
            grown += 1
    print(
        f"{name:>10}  {tried:>8} inputs, {grown} built upon, {len(reached)} lines, {found} findings"
    )
    return found


def seed_of_code() -> int:
    """A seed for what is fuzzed, as its files are now."""
    digest = hashlib.sha256()
    for folder in (*_OURS, str(CORPUS.parent)):
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return int.from_bytes(digest.digest()[:4], "big")


def lines(target: Target, data: bytes) -> Reached:
    """The lines of ours that an input reaches."""
    reached: Reached = set()

    def within(frame: FrameType, event: str, _: Any) -> Any:
        reached.add((frame.f_code, frame.f_lineno))
        return within

    def entered(frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        return within(frame, event, argument)

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        target(data)
    finally:
        sys.settrace(before)
    return reached


def keep(name: str, data: bytes) -> Path:
    """Put a finding into the corpus."""
    path = CORPUS / name / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


def _stands(name: str, data: bytes) -> bool:
    try:
        judged(TARGETS[name], data)
    except Exception:
        traceback.print_exc()
        print(f"{name}: kept as {keep(name, data)}")
        # Where that folder is gone tomorrow, it can be made again from this.
        print(base64.b64encode(data).decode())
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
