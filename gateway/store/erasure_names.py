"""The accounts of a provider's run as the tables name them, and what was judged as others do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from gateway.core.erasure import Judgement
from gateway.store import accounts
from gateway.store.tables import REQUEST

if TYPE_CHECKING:
    from gateway.store.erasures import DeletionRun


def hashed_run(connection: Connection, run: DeletionRun) -> tuple[DeletionRun, dict[str, str]]:
    """Return the run with accounts as the tables name them, and the accounts by these names."""
    known = {*run.accounts, *run.reading.gone, *run.reading.doubted, *run.marks, *run.linked}
    hashes = {account: accounts.hashed(connection, account) for account in known}
    return (
        replace(
            run,
            reading=replace(
                run.reading,
                gone=frozenset(hashes[one] for one in run.reading.gone),
                doubted=frozenset(hashes[one] for one in run.reading.doubted),
            ),
            accounts=(
                tuple(hashes[one] for one in run.accounts)
                if run.polled
                else tuple(_every(connection) | {hashes[one] for one in run.linked})
            ),
            marks={hashes[one]: mark for one, mark in run.marks.items()},
            linked=frozenset(hashes[one] for one in run.linked),
        ),
        {name: account for account, name in hashes.items()},
    )


def _every(connection: Connection) -> set[str]:
    rows = connection.execute(
        select(REQUEST.c.account).where(REQUEST.c.account.is_not(None)).distinct()
    )
    return {row.account for row in rows}


def named_judgement(judged: Judgement, names: Mapping[str, str]) -> Judgement:
    """Return what was judged, with the accounts themselves, but those that are not of the run."""

    def named(some: frozenset[str]) -> frozenset[str]:
        return frozenset(names.get(one, one) for one in some)

    return replace(
        judged,
        erase=named(judged.erase),
        hold=named(judged.hold),
        suspects=tuple(
            replace(one, account=names.get(one.account, one.account)) for one in judged.suspects
        ),
        cleared=named(judged.cleared),
        stop=named(judged.stop),
    )
