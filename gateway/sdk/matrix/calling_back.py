"""Checks of `webhook`: it believes the GRU alone, whatever comes, however often."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import FrameType
from typing import Any

from gateway.core.outcome import Refused
from gateway.sdk.adapter import Adapter, WebhookCall
from gateway.sdk.matrix.checks import Tier, holds, must, proves
from gateway.sdk.matrix.polling import told_of
from gateway.sdk.under_test import NOW, AdapterUnderTest, ToldEntry


async def _refuses(adapter: Adapter, hook: WebhookCall, what: str) -> None:
    changes = await adapter.webhook(hook)
    holds(isinstance(changes.failure, Refused), f"{what} is believed: {changes.failure!r}")
    holds(list(changes.items) == [], f"{what} gives changes")


@proves(
    "webhook.unproven",
    Tier.BRONZE,
    "a call that proves nothing is refused",
    "un appel qui ne prouve rien est refusé",
)
async def unproven(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, _):
        hook = suite.unsigned_hook()
        await _refuses(adapter, hook, "a call without proof")
        early = adapter.proven(replace(hook, body=b""))
        holds(early is not True, "proven() believes a head without proof")


@proves(
    "webhook.tells",
    Tier.SILVER,
    "a call of the GRU tells its status",
    "un appel de la GRU dit son statut",
    "webhook",
)
async def tells(suite: AdapterUnderTest) -> None:
    async with suite.built() as (adapter, _):
        changes = await adapter.webhook(suite.webhook_of(ToldEntry(status="en_cours")))
        holds(changes.failure is None, f"a proven call is refused: {changes.failure!r}")
        statuses = [change.status for change in changes.items]
        holds(statuses == ["en_cours"], f"the status en_cours is told as {statuses}")


@proves(
    "webhook.forged",
    Tier.BRONZE,
    "a call whose proof is cut, altered or left out is refused",
    "un appel dont la preuve est coupée, altérée ou absente est refusé",
    "webhook",
)
async def forged(suite: AdapterUnderTest) -> None:
    hook = suite.webhook_of(ToldEntry(status="en_cours"))
    async with suite.built() as (adapter, _):
        plain = {"content-type", "content-length", "user-agent", "host", "accept"}
        bare = {name: value for name, value in hook.headers.items() if name.lower() in plain}
        if bare != dict(hook.headers):
            await _refuses(
                adapter, replace(hook, headers=bare, query={}), "a call without its proof"
            )
        if suite.webhook_signs_query:
            raw = hook.raw_query
            for query in ("", raw[:-1], raw[1:], f"x=1&{raw}", f"{raw}&x=1"):
                await _refuses(adapter, replace(hook, raw_query=query), "an altered query")
        for name, value in hook.headers.items():
            if name.lower() in plain or not value:
                continue
            last = "0" if value[-1] != "0" else "1"
            headers = {**hook.headers, name: value[:-1] + last}
            altered = await adapter.webhook(replace(hook, headers=headers))
            cut = await adapter.webhook(replace(hook, headers={**hook.headers, name: ""}))
            both = (altered.failure, cut.failure)
            if any(isinstance(one, Refused) for one in both):
                holds(all(isinstance(one, Refused) for one in both), f"a proof in part: {name}")


@proves(
    "webhook.altered",
    Tier.GOLD,
    "a call whose body was altered on the way is refused, where the proof covers it",
    "un appel dont le corps a été altéré en route est refusé, si la preuve le couvre",
    "webhook",
)
async def altered(suite: AdapterUnderTest) -> None:
    if not suite.webhook_proves_body:
        return
    hook = suite.webhook_of(ToldEntry(status="en_cours"))
    async with suite.built() as (adapter, _):
        await _refuses(adapter, replace(hook, body=hook.body + b" "), "an altered body")


@proves(
    "webhook.constant_time",
    Tier.BRONZE,
    "a proof is compared in constant time (hmac.compare_digest)",
    "une preuve est comparée en temps constant (hmac.compare_digest)",
    "webhook",
)
async def constant_time(suite: AdapterUnderTest) -> None:
    hook = suite.webhook_of(ToldEntry(status="en_cours"))
    async with suite.built() as (adapter, _):
        with _builtins_called() as called:
            await adapter.webhook(hook)
    compared = any("compare_digest" in name or "verify" in name for name in called)
    holds(compared, "the proof is compared as any text: its time tells how much of it is right")


@contextmanager
def _builtins_called() -> Iterator[set[str]]:
    """Record the names of builtin functions called within the block."""
    called: set[str] = set()

    def note(_: FrameType, event: str, what: Any) -> None:
        if event == "c_call":
            called.add(getattr(what, "__name__", ""))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)


@proves(
    "webhook.repeated",
    Tier.GOLD,
    "a call that comes twice tells the same twice: its key makes it one",
    "un appel reçu deux fois dit deux fois la même chose : sa clé en fait un seul",
    "webhook",
)
async def comes_twice(suite: AdapterUnderTest) -> None:
    hook = suite.webhook_of(ToldEntry(status="en_cours", key="7"))
    async with suite.built() as (adapter, _):
        first, second = await adapter.webhook(hook), await adapter.webhook(hook)
        holds(told_of(first.items) == told_of(second.items), "it is told otherwise the second time")
        holds(second.failure is None, "it is refused the second time")


@proves(
    "webhook.reordered",
    Tier.GOLD,
    "calls that overtake one another each tell their own",
    "des appels qui se doublent disent chacun le leur",
    "webhook",
)
async def reordered(suite: AdapterUnderTest) -> None:
    early = ToldEntry(status="recu", key="1", at=NOW - timedelta(hours=1))
    late = ToldEntry(status="clos", key="2")
    async with suite.built() as (adapter, _):
        for entry in (late, early):
            changes = await adapter.webhook(suite.webhook_of(entry))
            statuses = [change.status for change in changes.items]
            holds(statuses == [entry.status], f"{entry.status} is told as {statuses}")
            for change in changes.items:
                aware = change.at is None or change.at.tzinfo is not None
                holds(aware, "a time has no offset")


@proves(
    "webhook.hostile",
    Tier.SILVER,
    "a call with any body at all is answered with a value",
    "un appel au corps quelconque reçoit une valeur, pas une exception",
    "webhook",
)
async def hostile(suite: AdapterUnderTest) -> None:
    hook = suite.webhook_of(ToldEntry(status="en_cours"))
    bodies = (b"", b"\xff\xfe", b"{", b"[" * 20_000, b"null", b'{"a": "\\u0000"}', b"\0" * 100)
    async with suite.built() as (adapter, _):
        for body in bodies:
            changes = await adapter.webhook(replace(hook, body=body))
            must(list(changes.items), list)
        for value in ("", "sha256=", "é", "0" * 5000):
            headers = dict.fromkeys(hook.headers, value)
            await adapter.webhook(replace(hook, headers=headers))
