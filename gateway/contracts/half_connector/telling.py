"""Checks of the way back: a half-connector's changes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.contracts.half_connector.bench import HalfBench
from gateway.contracts.half_connector.checks import Broken, Unshown, shows
from gateway.contracts.half_connector.our_side import RETRY_AFTER, ReceivedChange
from gateway.contracts.half_connector.texts import say

_CHANGES: Final = "POST /pivot/v1/requests/{reference}/changes"
#: Answers to the first call of each new key, in turn: a bad day at our side.
BAD_DAY: Final = ("unavailable", "unsaid", "bad_token", "too_many_calls", "unknown_status")
#: Seconds without a change after which no more will come.
_QUIET: Final = 1.5 * RETRY_AFTER
_ENDS: Final = frozenset({"done", "refused", "cancelled"})


def _of_key(bench: HalfBench, answered: str) -> list[ReceivedChange]:
    """Return the calls of the key whose first call got this answer."""
    for one in bench.ours.changes:
        if one.answered == answered:
            at = (one.reference, one.key)
            return [c for c in bench.ours.changes if (c.reference, c.key) == at]
    return []


async def _repeated(bench: HalfBench, answered: str, otherwise: str) -> None:
    """Check that a change comes again, unaltered, after this answer to its first call.

    Raises Unshown if no call got the answer.
    """
    if bench.ours.base_url is None:
        raise Unshown(say("no_way_to_us"))
    if not await bench.until(lambda: bool(_of_key(bench, answered))):
        raise Unshown(say("no_change", seconds=bench.wait))
    if not await bench.until(lambda: len(_of_key(bench, answered)) > 1):
        raise Broken(say(otherwise, seconds=bench.wait))
    first, *others = _of_key(bench, answered)
    if any(one.body != first.body for one in others):
        raise Broken(say("other_content"))


@shows(
    "back.told",
    _CHANGES,
    "a change comes back, in one call, as the contract says",
    "un changement revient, en un appel, comme le dit le contrat",
    late=True,
)
async def change_comes(bench: HalfBench) -> None:
    if bench.ours.base_url is None:
        raise Unshown(say("no_way_to_us"))
    odd = [one for one in bench.ours.faults_in_body if one.startswith("changes")]
    if odd:
        raise Broken(say("odd_body", place=odd[0], count=len(odd)))
    if bench.ours.bad_secrets:
        raise Broken(say("bad_secret", count=bench.ours.bad_secrets))
    if not await bench.until(lambda: bool(bench.ours.changes)):
        raise Unshown(say("no_change", seconds=bench.wait))


@shows(
    "back.unavailable",
    _CHANGES,
    "after a 503 the change is told again, with the same key and content",
    "après un 503 le changement est redit, sous la même clé, avec le même contenu",
    late=True,
)
async def unavailable(bench: HalfBench) -> None:
    await _patient(bench, "unavailable")


async def _patient(bench: HalfBench, answered: str) -> None:
    """Check that a change comes again after this answer, once `Retry-After` is over."""
    await _repeated(bench, answered, "not_told_again")
    first, second = _of_key(bench, answered)[:2]
    paused = second.at - first.ended
    if paused < 0.8 * RETRY_AFTER:
        raise Broken(say("no_patience", seconds=f"{paused:.1f}", said=RETRY_AFTER))


@shows(
    "back.too_many",
    _CHANGES,
    "after a 429 the change is told again, when `Retry-After` is over",
    "après un 429 le changement est redit, quand `Retry-After` est passé",
    late=True,
)
async def too_many(bench: HalfBench) -> None:
    await _patient(bench, "too_many_calls")


@shows(
    "back.unsaid",
    _CHANGES,
    "a change whose answer was lost is told again, with the same key and content",
    "un changement dont la réponse s'est perdue est redit, sous la même clé, à l'identique",
    late=True,
)
async def unsaid(bench: HalfBench) -> None:
    await _repeated(bench, "unsaid", "not_told_again")


@shows(
    "back.token",
    "POST /pivot/v1/token",
    "a token that is good no more is replaced, and the change told again",
    "un jeton périmé est remplacé, et le changement redit",
    late=True,
)
async def token(bench: HalfBench) -> None:
    await _repeated(bench, "bad_token", "token_not_renewed")


@shows(
    "back.refused",
    "PivotFailure.retry",
    "a change that is refused for ever (`retry: never`) is not told again and again",
    "un changement refusé pour de bon (`retry: never`) n'est pas redit sans fin",
    late=True,
)
async def refused(bench: HalfBench) -> None:
    if not await bench.until(lambda: bool(_of_key(bench, "unknown_status"))):
        raise Unshown(say("no_change", seconds=bench.wait))
    await bench.until(lambda: len(_of_key(bench, "unknown_status")) > 2, min(3.0, bench.wait))
    if len(_of_key(bench, "unknown_status")) > 2:
        raise Broken(say("told_for_ever", count=len(_of_key(bench, "unknown_status"))))


@shows(
    "back.request",
    _CHANGES,
    "a change names our reference, and a request that is not erased",
    "un changement nomme notre référence, et une demande qui n'est pas effacée",
    late=True,
)
async def request(bench: HalfBench) -> None:
    await _some(bench)
    for word in ("unknown_request", "erased"):
        count = sum(one.answered == word for one in bench.ours.changes)
        # A change may be on its way when the erasure comes.
        if count > (1 if word == "erased" else 0):
            raise Broken(say(f"told_{word}", count=count))


@shows(
    "back.key",
    _CHANGES,
    "each change has a key of its own",
    "chaque changement a sa propre clé",
    late=True,
)
async def key(bench: HalfBench) -> None:
    if any(one.answered == "key_conflict" for one in await _some(bench)):
        raise Broken(say("other_content"))


@shows(
    "back.order",
    _CHANGES,
    "the changes of a request come one after the other, in the order of their times",
    "les changements d'une demande viennent l'un après l'autre, dans l'ordre de leurs heures",
    late=True,
)
async def order(bench: HalfBench) -> None:
    changes = [one for one in await _some(bench) if one.answered in ("new", "unsaid")]
    if bench.ours.overlapping:
        raise Broken(say("at_the_same_time"))
    for reference in {one.reference for one in changes}:
        mine = [one.body for one in changes if one.reference == reference]
        times = [datetime.fromisoformat(str(one["at"])) for one in mine if one.get("at")]
        if times != sorted(times):
            raise Broken(say("back_in_time"))
        statuses = [one["status"] for one in mine if one.get("status")]
        ended = [n for n, one in enumerate(statuses) if one in _ENDS]
        if ended and "accepted" in statuses[ended[0] :]:
            raise Broken(say("accepted_after_end"))


async def _some(bench: HalfBench) -> Sequence[ReceivedChange]:
    """Wait until no more changes come, and return them. Raises Unshown if there are none."""
    if not bench.ours.changes:
        raise Unshown(say("no_change", seconds=bench.wait))
    await bench.until(lambda: time.monotonic() - bench.ours.changes[-1].ended > _QUIET)
    return bench.ours.changes
