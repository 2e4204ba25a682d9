"""The core of the mailbox over PostgreSQL: claims, results, leases, order, and the feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.store.postgres import Server
from tests.web import test_mailbox as core
from tests.web.harness import Gateway
from tests.web.pivot_town import pivot_town


@pytest.fixture
async def gw(tmp_path: Path, postgres: Server) -> AsyncIterator[Gateway]:
    url = postgres.fresh()
    try:
        async with pivot_town(tmp_path, None, url) as found:
            lanes = found.engine.lanes
            running = asyncio.create_task(lanes.run(["portal:toodego:69266", core.LANE]))
            yield found
            await lanes.stop(1)
            await running
    finally:
        postgres.drop(url)


test_done = core.test_what_is_fetched_and_done_is_done_and_the_citizen_is_told
test_order = core.test_one_call_settles_the_last_and_takes_the_next_in_order
test_lease = core.test_a_lease_that_ends_gives_it_back_and_tells_of_it
test_late_result = core.test_a_late_result_counts_where_nobody_else_has_it
test_extend = core.test_what_is_still_worked_on_is_kept_for_longer
test_half_a_day = core.test_nothing_is_kept_for_more_than_half_a_day_nor_from_somebody_else
test_forgotten = core.test_what_is_to_be_forgotten_is_not_kept_for_longer
test_feed = core.test_the_feed_tells_all_again_in_order_and_consumes_nothing
test_late_commune = core.test_what_is_not_fetched_for_days_is_told
