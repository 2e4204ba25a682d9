"""`retention`, `person` and `personal-data` over a database that the real receiver filled."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from gateway.store.engine import Database
from gateway.store.tables import DELIVERY, EVENT, REQUEST
from tests.cli.test_requests import PERSONAL, Kept, kept

__all__ = ["kept"]


def test_the_plan_and_a_dry_run_change_nothing_and_the_run_does(kept: Kept) -> None:
    told = kept.home.run("retention", "plan")
    assert told.exit_code == 0, told.output
    assert "30 d after the end" in told.stdout
    assert kept.home.run("retention", "plan", "--commune", "75056").exit_code == 1
    plan = json.loads(kept.home.run("retention", "plan", "--json").stdout)
    assert {one["kind"]: one["due"] for one in plan["contents"]} == {"events": 0, "files": 0}
    assert all(one["commune"] == "69029" for one in plan["contents"])
    long_ago = datetime.now(UTC) - timedelta(days=400)

    async def over(database: Database) -> None:
        done = update(DELIVERY).values(state="done", head=False, settled_at=long_ago)
        await database.write(lambda c: c.execute(done))
        request = update(REQUEST).values(status="done", status_at=long_ago)
        await database.write(lambda c: c.execute(request))
        await database.write(lambda c: c.execute(update(EVENT).values(received_at=long_ago)))

    kept.work(over)
    dry = json.loads(kept.home.run("retention", "run", "--dry-run", "--json").stdout)
    assert {one["kind"]: one["due"] for one in dry["contents"]} == {"events": 1, "files": 1}
    assert not [text for text in PERSONAL if text in str(dry)]
    done = kept.home.run("--lang", "fr", "retention", "run")
    assert "le contenu de 1 demandes (1 contenus, 1 fichiers)" in done.stdout
    shown = kept.home.run("request", "show", kept.id)
    assert (shown.exit_code, kept.id in shown.stdout) == (0, True)
    assert json.loads(kept.home.run("retention", "plan", "--json").stdout)["contents"] == []
