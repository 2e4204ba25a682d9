"""How long a citizen's request takes to the GRU: idle, and beside communes that hang or fail."""

from __future__ import annotations

import tempfile
import time
from statistics import median

import httpx

from tests.bench.bundle import COMMUNES, insee
from tests.bench.figure import Figure, bounded, percentile, slower
from tests.bench.processes import Failed, Running, serving, work

HANGING, FAILING = 10, 5
#: Reminder for the reader of the table.
FAULTY = HANGING + FAILING


def _reset(far: Running, **told: list[str]) -> None:
    httpx.post(f"{far.address}/control", json=told, trust_env=False).raise_for_status()


def _arrivals(far: Running) -> dict[str, float]:
    answer = httpx.get(f"{far.address}/arrivals", trust_env=False).json()
    arrivals: dict[str, float] = answer["arrivals"]
    return arrivals


def _delays(far: Running, results: list[tuple[str, float, float, int]]) -> list[float]:
    """Milliseconds from the portal's first byte until the GRU has the request."""
    wanted = {reference for reference, *_ in results}
    deadline = time.monotonic() + 20
    while True:
        arrivals = _arrivals(far)
        if wanted <= arrivals.keys():
            return [(arrivals[reference] - start) * 1000 for reference, start, *_ in results]
        if time.monotonic() > deadline:
            raise Failed(f"{len(wanted - arrivals.keys())} requests never reached their GRU")
        time.sleep(0.2)


def idle(quick: bool) -> list[Figure]:
    """One request at a time, with a pause, on a system that does nothing else."""
    n = 60 if quick else 250
    with (
        tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder,
        serving("farend") as far,
        serving("daemon", data_dir=folder, far=far.address, communes=8) as ours,
    ):

        def run(n: int) -> list[float]:
            _reset(far)
            done = work(
                "pushing",
                address=ours.address,
                far=far.address,
                n=n,
                communes=8,
                connections=1,
                pause=0.03,
            )
            return _delays(far, done["results"])

        run(20)
        delays = run(n)
        calls = work(
            "pushing",
            address=far.address,
            far=far.address,
            n=n,
            communes=8,
            connections=1,
            pause=0.03,
            path="/one",
        )
    one = [(end - start) * 1000 for _, start, end, _ in _calls(calls)]
    name = "push sent -> GRU has it, idle, "
    return [
        bounded(name + "p50", median(delays), "ms", "one loopback call", median(one), 10),
        bounded(
            name + "p99",
            percentile(delays, 0.99),
            "ms",
            "one loopback call",
            percentile(one, 0.99),
            30,
        ),
    ]


def _calls(done: dict[str, object]) -> list[tuple[str, float, float, int]]:
    results = done["results"]
    assert isinstance(results, list)
    assert results, done
    return results


def isolation(quick: bool) -> list[Figure]:
    """58 communes at a steady beat: the healthy ones' delay, with and without faulty ones."""
    n, rate, turns = (300, 30, 1) if quick else (600, 40, 2)
    hanging = [insee(n) for n in range(HANGING)]
    failing = [insee(n) for n in range(HANGING, FAULTY)]

    def run(**told: list[str]) -> list[float]:
        with (
            tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder,
            serving("farend") as far,
            serving("daemon", data_dir=folder, far=far.address, timeout=3) as ours,
        ):
            work("pushing", address=ours.address, far=far.address, n=116, communes=58, rate=rate)
            _reset(far, **told)
            done = work(
                "pushing",
                address=ours.address,
                far=far.address,
                n=n,
                communes=COMMUNES,
                rate=rate,
            )
            if done["failures"]:
                raise Failed(f"pushes were refused: {done['failures']}")
            return _delays(far, [r for r in done["results"] if r[3] >= FAULTY])

    healthy: list[list[float]] = []
    faulty: list[list[float]] = []
    for _ in range(turns):
        healthy.append(run())
        faulty.append(run(hanging=hanging, failing=failing))

    def middle(runs: list[list[float]], share: float) -> float:
        return median(percentile(delays, share) for delays in runs)

    name = f"push sent -> healthy GRU has it, {HANGING} of 58 hang and {FAILING} fail, "
    return [
        slower(
            name + label,
            middle(faulty, share),
            "ms",
            "the same beat without faults",
            middle(healthy, share),
            1.2,
        )
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ]
