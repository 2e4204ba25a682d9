"""The campaign: progress on stderr, failing seeds with their trace, then one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

COUNTS = ("lost", "twice", "disordered", "revived", "silenced", "echoed")
#: How much of a failing seed's trace is printed; `--seed K` prints all of it.
TAIL = 60


def _one(seed: int, template: str) -> tuple[int, int, int, int, list[tuple[str, str]], list[str]]:
    from tests.chaos.simulation import simulate

    result = simulate(seed, template)
    trace = result.trace if result.breaches else []
    return seed, result.steps, result.crashes, result.lost_replies, result.breaches, trace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="replay this one and print its trace")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of strings are walked in the order of their hashes: a replay needs the same.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.chaos", *sys.argv[1:]])
    from tests.chaos.store import postgres_template, sqlite_template
    from tests.store.postgres import NotInstalled

    try:
        with sqlite_template() if given.engine == "sqlite" else postgres_template() as made:
            if given.seed is not None:
                return _replay(given.seed, made)
            return _campaign(range(given.first, given.first + given.seeds), given.jobs, made)
    except NotInstalled as error:
        parser.error(str(error))


def _replay(seed: int, template: str) -> int:
    from tests.chaos.simulation import simulate

    result = simulate(seed, template)
    print("\n".join(result.trace))
    _say(result.breaches, 1, result.steps, result.crashes, result.lost_replies)
    return int(bool(result.breaches))


def _campaign(seeds: range, jobs: int, template: str) -> int:
    steps = crashes = lost_replies = 0
    breaches: list[tuple[str, str]] = []
    failing: list[int] = []
    begun = told = time.monotonic()
    for done, result in enumerate(_results(seeds, jobs, template), start=1):
        seed, *numbers, found, trace = result
        steps, crashes, lost_replies = (
            a + b for a, b in zip((steps, crashes, lost_replies), numbers, strict=True)
        )
        breaches += found
        if found:
            failing.append(seed)
            print(f"\nseed {seed} fails:", file=sys.stderr)
            print("\n".join(trace[-TAIL:]), file=sys.stderr)
            for kind, what in found:
                print(f"  {kind}: {what}", file=sys.stderr)
            replay = f"--engine {template.partition(':')[0]} --seed {seed}"
            print(f"  replay: python -m tests.chaos {replay}", file=sys.stderr)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(
                f"{done}/{len(seeds)} seeds, {steps} steps, {crashes} crashes,"
                f" {len(failing)} failing, {told - begun:.0f} s",
                file=sys.stderr,
                flush=True,
            )
    if failing:
        print(f"failing seeds: {sorted(failing)}", file=sys.stderr)
    _say(breaches, len(seeds), steps, crashes, lost_replies)
    return int(bool(breaches))


def _results(
    seeds: range, jobs: int, template: str
) -> Iterator[tuple[int, int, int, int, list[tuple[str, str]], list[str]]]:
    if jobs == 1:
        yield from (_one(seed, template) for seed in seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(_one, seeds, [template] * len(seeds))


def _say(
    breaches: list[tuple[str, str]], seeds: int, steps: int, crashes: int, lost_replies: int
) -> None:
    kinds = [kind for kind, _ in breaches]
    line = {"seeds": seeds, "steps": steps, "crashes": crashes, "lost_replies": lost_replies}
    print(json.dumps({**line, **{name: kinds.count(name) for name in COUNTS}}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
