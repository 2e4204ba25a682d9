"""The time of a citizen's request to the GRU: idle, and beside communes that hang or fail."""

from __future__ import annotations

import tempfile
import time
from statistics import median

from tests.bench.bundle import COMMUNES, insee
from tests.bench.figure import Figure, bounded, paired, percentile, slower
from tests.bench.processes import Failed, Running, serving, serving_all, work

HANGING, FAILING = 10, 5
FAULTY = HANGING + FAILING
_HANGING = [insee(n) for n in range(HANGING)]
_FAILING = [insee(n) for n in range(HANGING, FAULTY)]
#: Pushes per second, and pushes of one turn: 119 of them for healthy communes.
RATE, TURN = 40, 160


def _arrivals(far: Running) -> dict[str, float]:
    arrivals: dict[str, float] = far.ask("/arrivals")["arrivals"]
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
            far.control()
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
    """58 communes at a steady beat: the healthy ones' delay, with and without faulty ones.

    Two daemons that differ in nothing but their far ends live side by side, and take short turns,
    so that whatever else the machine does meets both. No turn and no request is left out.
    """
    rounds, turns = (1, 4) if quick else (3, 6)
    taken: dict[str, list[list[float]]] = {"calm": [], "faulty": []}
    for _ in range(rounds):
        with (
            tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder,
            serving_all("farend", [{}, {}]) as (calm_end, faulty_end),
            serving_all(
                "daemon",
                [
                    {"data_dir": f"{folder}/calm", "far": calm_end.address, "timeout": 3},
                    {"data_dir": f"{folder}/faulty", "far": faulty_end.address, "timeout": 3},
                ],
            ) as (calm, faulty),
        ):
            for ours, far in ((calm, calm_end), (faulty, faulty_end)):
                _turn(ours, far, 2 * COMMUNES)  # warm
            for turn in range(turns):
                pair = [
                    ("calm", calm, calm_end, {}),
                    ("faulty", faulty, faulty_end, {"hanging": _HANGING, "failing": _FAILING}),
                ]
                for name, ours, far, told in pair if turn % 2 == 0 else reversed(pair):
                    taken[name].append(_turn(ours, far, TURN, **told))
    name = f"push sent -> healthy GRU has it, {HANGING} of 58 hang and {FAILING} fail, "
    same = "the same beat without faults"

    def each(which: str, share: float) -> list[float]:
        return [percentile(delays, share) for delays in taken[which]]

    def whole(which: str) -> float:
        return percentile([delay for delays in taken[which] for delay in delays], 0.99)

    return [
        paired(name + "p50", each("faulty", 0.5), "ms", same, each("calm", 0.5), 1.2),
        paired(name + "p99", each("faulty", 0.99), "ms", same, each("calm", 0.99), 1.2),
        slower(name + "p99 of all turns as one", whole("faulty"), "ms", same, whole("calm"), 1.2),
    ]


def _turn(ours: Running, far: Running, n: int, **told: list[str]) -> list[float]:
    """The healthy communes' delays while `n` pushes leave on the beat."""
    far.control(**told)
    done = work("pushing", address=ours.address, far=far.address, n=n, communes=COMMUNES, rate=RATE)
    if done["failures"]:
        raise Failed(f"pushes were refused: {done['failures']}")
    return _delays(far, [r for r in done["results"] if r[3] >= FAULTY])
