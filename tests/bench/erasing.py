"""The wait of a push while a person is erased from a large SQLite file."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from sqlalchemy import Connection, text

from gateway.core.erasure import Brake, Phase, ProviderRun
from gateway.store import erasures
from gateway.store.opening import open_database_engine
from tests.bench.bundle import COMMUNES
from tests.bench.figure import Figure, bounded, paired, percentile
from tests.bench.processes import Failed, Running, serving, work
from tests.bench.rows import fill

#: Bytes of the file, pushes a second, and seconds of one turn.
SIZE, RATE, TURN = 850_000_000, 20, 30
ROWS = 400_000


def erasing(quick: bool) -> list[Figure]:
    """Turns with and without an erasure, one after the other; the first erasure finds a file in
    which a third of all rows have moved."""
    size, turns = (SIZE // 10, 1) if quick else (SIZE, 3)
    with tempfile.TemporaryDirectory(prefix="tdg-bench-") as folder:
        path = Path(folder) / "gateway.db"
        _make(path, size)
        with (
            serving("farend") as far,
            serving("daemon", data_dir=folder, far=far.address) as ours,
        ):
            _turn(ours, far)  # warm
            usual, erased, took = [], [], []
            for n in range(turns):
                usual.append(_turn(ours, far))
                with _Erasing(path, f"compte-{n}") as one:
                    erased.append(_turn(ours, far))
                took.append(one.seconds)
    mb = round(size / 1e6)
    name = f"push answered, {RATE}/s, while a person is erased from {mb} MB of SQLite, "

    def each(turns: list[list[float]], share: float) -> list[float]:
        return [percentile(delays, share) for delays in turns]

    same = "the same beat without"
    return [
        paired(name + "p50", each(erased, 0.5), "ms", same, each(usual, 0.5), 2),
        paired(name + "p99", each(erased, 0.99), "ms", same, each(usual, 0.99), 2),
        paired(name + "longest", each(erased, 1), "ms", same, each(usual, 1), 10),
        bounded(
            name + "until nothing is left in its files: the first time",
            took[0],
            "s",
            "median of all",
            median(took),
            120,
        ),
    ]


def _turn(ours: Running, far: Running) -> list[float]:
    """Return how long each push waited for its answer, in milliseconds."""
    done = work(
        "pushing",
        address=ours.address,
        far=far.address,
        n=RATE * TURN,
        communes=COMMUNES,
        rate=RATE,
    )
    if done["failures"]:
        raise Failed(f"pushes were refused: {done['failures']}")
    return [(end - start) * 1000 for _, start, end, _ in done["results"]]


class _Erasing:
    """One person's erasure, begun now; it must have left the files when the block ends, or soon."""

    def __init__(self, path: Path, account: str) -> None:
        self.seconds = 0.0
        self._engine = open_database_engine(f"sqlite:///{path}")
        self._reading = open_database_engine(f"sqlite:///{path}", reader=True)
        self._account = account

    def __enter__(self) -> _Erasing:
        now = datetime.now(UTC)
        gone = frozenset({self._account})
        run = erasures.DeletionRun(
            id=f"RUN-{self._account}",
            source="deletions",
            reading=ProviderRun(gone, positive=True),
            accounts=(self._account, *(f"autre-{n}" for n in range(100))),
            marks={self._account: f"{random.getrandbits(256):064x}"},
            cursor=None,
            brake=Brake(0.5, 20),
            confirm_after=timedelta(hours=6),
            deadline=timedelta(days=30),
        )
        with self._engine.begin() as connection:
            erasures.record_run(connection, run, lambda: f"ERA-{self._account}", now)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._engine.dispose()
        self._reading.dispose()
        if not self.seconds:
            raise Failed("the erasure came to no end")

    def _watch(self) -> None:
        begun = time.monotonic()
        while time.monotonic() - begun < 300:
            time.sleep(0.25)
            with self._reading.connect() as connection:
                found = connection.exec_driver_sql(
                    "SELECT state FROM erasure WHERE id = ?", (f"ERA-{self._account}",)
                ).scalar_one()
            if found not in (Phase.OPEN.value, Phase.SCRUBBED.value):
                self.seconds = time.monotonic() - begun
                return


def _make(path: Path, size: int) -> None:
    """A file of this size, whose rows came and grew as a year's do."""
    url = f"sqlite:///{path}"
    n = ROWS * size // SIZE
    fill(url, n, done=True)
    engine = open_database_engine(url)
    try:
        with engine.begin() as connection:
            _age(connection)
        have = path.stat().st_size
        more = max(0, size - have) // n
        with engine.begin() as connection:
            connection.execute(
                text(
                    "UPDATE event SET body = json_set(body, '$.fields.note', hex(randomblob(:m)))"
                ),
                {"m": more // 2},
            )
        with engine.begin() as connection:
            for account in range(3):
                connection.execute(
                    text("UPDATE request SET account = :a WHERE ref IN (:r, :s)"),
                    {"a": f"compte-{account}", "r": str(7 + account), "s": str(n // 2 + account)},
                )
    finally:
        engine.dispose()


def _age(connection: Connection) -> None:
    """A third of the rows grow, in no order, and move their neighbours."""
    for statement in (
        "UPDATE request SET account = 'compte-' || lower(hex(randomblob(16)))"
        " WHERE abs(random()) % 3 = 0",
        "UPDATE request SET api_url = api_url || hex(randomblob(30)) WHERE abs(random()) % 3 = 0",
    ):
        connection.execute(text(statement))
