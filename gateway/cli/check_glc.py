"""`check` of GLC: what its source answers, the keys of its events, and today's erasures."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from gateway.catalogue.catalogue import Glc, Settings
from gateway.cli.check_own import CheckLine
from gateway.cli.glc_texts import say, what_is
from gateway.core.errors import GatewayError
from gateway.core.messages import Message
from gateway.flow.far_ends import FarEnds
from gateway.store import erasure_level
from gateway.store.engine import Database
from gateway.store.schema import status
from gateway.wire.identity import Outage, ProviderReading


async def check_glc(far_ends: FarEnds) -> list[CheckLine]:
    """Ask GLC, fetch the keys of its events, and tell how near the brake is."""
    settings = far_ends.catalogue.settings
    if far_ends.identity is None or settings.glc is None:
        return []
    told = await far_ends.identity.check()
    lines = [_source(settings.glc, told)]
    if far_ends.event_keys is not None:
        keys = await far_ends.event_keys.fetch()
        if isinstance(keys, Outage):
            lines.append(_failed("events", keys))
        else:
            kinds = [str(one["kty"]) for one in keys if one.get("kty") in ("RSA", "EC")]
            said = say("glc_events", count=len(kinds), kinds=tuple(sorted({*kinds})))
            lines.append(CheckLine("glc", "ok", said))
    return lines + await _level(settings, settings.glc)


def _source(glc: Glc, told: ProviderReading | Outage) -> CheckLine:
    if isinstance(told, Outage):
        return _failed(glc.source, told)
    if told.canary_gone:
        return CheckLine("glc", "fault", say("glc_canary_gone"))
    if glc.source == "synchronization":
        return CheckLine("glc", "ok", say("glc_synchronization"))
    if not told.entries:
        return CheckLine("glc", "warning", say("glc_empty"))
    if told.skipped:
        said = say("glc_skipped", skipped=told.skipped, entries=told.entries)
        return CheckLine("glc", "warning", said)
    return CheckLine("glc", "ok", say("glc_deletions", entries=told.entries))


def _failed(source: str, outage: Outage) -> CheckLine:
    own, why = f"glc_{outage.reason}", what_is(outage.reason)
    cure = say(own) if own in say else why.cure if why.remedy() else None
    given: dict[str, str | Message]
    given = {"source": source, "why": why, "cure": cure or say("glc_answers")}
    if outage.detail:
        return CheckLine("glc", "fault", say("glc_fault_for", **given, detail=outage.detail))
    return CheckLine("glc", "fault", say("glc_fault", **given))


async def _level(settings: Settings, glc: Glc) -> list[CheckLine]:
    """Tell how many people were erased within a day, and from how many on two people decide."""
    url = settings.database.get_secret_value()
    try:
        if not (await asyncio.to_thread(status, url)).fits:
            return []
        database = Database(url)
        try:
            recent, known = await database.read(erasure_level.level, datetime.now(UTC))
        finally:
            database.close()
    except GatewayError:
        return []  # the check of the database tells
    most = min(glc.brake.count, int(glc.brake.ratio * (known + recent)))
    said = say("glc_level", recent=recent, known=known, most=most)
    return [CheckLine("glc", "ok" if recent <= most else "warning", said)]


__all__ = ["check_glc"]
