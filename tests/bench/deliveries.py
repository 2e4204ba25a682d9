"""Deliveries per second: mapped, attempted, settled; on both databases, beside three others."""

from __future__ import annotations

from tests.bench.figure import Figure, faster, rounds
from tests.bench.postgres import durable_server
from tests.bench.processes import serving, work


def deliveries(quick: bool) -> list[Figure]:
    """Each worker drains the same posts towards the same far ends, 32 to 64 at once."""
    n = 300 if quick else 600
    with serving("farend") as far, durable_server() as postgres:

        def drained(worker: str, *, on_postgres: bool = False) -> float:
            url = postgres.empty() if on_postgres else None
            try:
                done = work("draining", worker=worker, n=n, far=far.address, url=url)
            finally:
                if url is not None:
                    postgres.drop(url)
            return float(done)

        sqlite, bare, ours, pgqueuer, procrastinate = rounds(
            1 if quick else 3,
            lambda: drained("ours"),
            lambda: drained("bare"),
            lambda: drained("ours", on_postgres=True),
            lambda: drained("pgqueuer", on_postgres=True),
            lambda: drained("procrastinate", on_postgres=True),
        )
    name = "deliveries, mapped, attempted, settled"
    loop = "bare client loop, the same bodies"
    named = "procrastinate, the same posts"
    return [
        faster(f"{name}, SQLite", sqlite, "/s", loop, bare, 0.5),
        faster(f"{name}, PostgreSQL", ours, "/s", loop, bare, 0.5),
        faster(f"{name}, PostgreSQL", ours, "/s", "pgqueuer, the same posts", pgqueuer, 1),
        faster(f"{name}, PostgreSQL", ours, "/s", named, procrastinate, 4),
    ]
