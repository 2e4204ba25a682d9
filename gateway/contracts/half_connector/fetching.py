"""Checks of a half-connector that fetches: it claims, settles each message, and bears failures."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from gateway.contracts.half_connector.bench import HalfBench, same_number
from gateway.contracts.half_connector.checks import Broken, Mode, Unshown, shows
from gateway.contracts.half_connector.our_mailbox import Fault
from gateway.contracts.half_connector.our_side import RETRY_AFTER
from gateway.contracts.half_connector.texts import say

_CLAIM: Final = "POST /pivot/v1/mailbox/claim"
#: Calls in a second on an empty mailbox, at most.
BUSY: Final = 3.0
_WATCHED = 3.0


async def _fault_done(bench: HalfBench, word: Fault) -> float:
    """Answer the next suitable claim with a fault. Return the time of it. Raises Unshown."""
    box = bench.ours.mailbox
    before = len(box.broken)
    bench.ours.mailbox.faults.append(word)
    if not await bench.until(lambda: len(box.broken) > before):
        bench.ours.mailbox.faults.clear()
        raise Unshown(say("no_claim", seconds=bench.wait))
    return box.broken[-1].at


@shows(
    "claim.result_unheard",
    _CLAIM,
    "results whose call broke off are told again",
    "les résultats dont l'appel s'est coupé sont redits",
    Mode.MAILBOX,
    late=True,
)
async def unheard(bench: HalfBench) -> None:
    bench.ours.mailbox.faults.append("unheard")
    await bench.request()
    if not any(one.fault == "unheard" for one in bench.ours.mailbox.broken):
        bench.ours.mailbox.faults.clear()
        raise Unshown(say("no_claim", seconds=bench.wait))


@shows(
    "claim.answer_unsaid",
    _CLAIM,
    "messages whose answer broke off are fetched again",
    "les messages dont la réponse s'est coupée sont relevés de nouveau",
    Mode.MAILBOX,
    late=True,
)
async def unsaid(bench: HalfBench) -> None:
    bench.ours.mailbox.faults.append("unsaid")
    await bench.request()


@shows(
    "claim.lost",
    _CLAIM,
    "a message that somebody else fetched since is settled anew, with the same number",
    "un message relevé depuis par un autre est réglé de nouveau, sous le même numéro",
    Mode.MAILBOX,
    late=True,
)
async def lost(bench: HalfBench) -> None:
    reference, first = await bench.request()
    offer = bench.ours.mailbox.offer(bench.citizens.created(reference))
    offer.lose = 1
    if not await bench.until(offer.settled.is_set) or offer.told is None:
        raise Broken(say("not_settled", seen=reference))
    same_number(first, offer.told)
    told = bench.ours.mailbox.results.get(offer.tokens[0], [])
    if len(told) > 2:
        raise Broken(say("lost_told_again", count=len(told)))


@shows(
    "claim.extend",
    _CLAIM,
    "what cannot be kept any longer (`extend` is answered `lost`) is dropped",
    "ce qui ne peut plus être gardé (`extend` reçoit `lost`) est abandonné",
    Mode.MAILBOX,
    late=True,
)
async def extend(bench: HalfBench) -> None:
    reference, first = await bench.request()
    offer = bench.ours.mailbox.offer(bench.citizens.created(reference))
    offer.no_longer = True
    if not await bench.until(lambda: offer.settled.is_set() or bool(offer.ended)):
        raise Broken(say("not_settled", seen=reference))
    offer.no_longer = False
    if not offer.ended:
        raise Unshown(say("no_extend"))
    if not await bench.until(offer.settled.is_set) or offer.told is None:
        raise Broken(say("not_settled", seen=reference))
    results = bench.ours.mailbox.results
    told = sum(len(results.get(token, ())) for token in offer.ended)
    if told:
        raise Broken(say("extend_lost", count=told))
    same_number(first, offer.told)


@shows(
    "claim.unavailable",
    _CLAIM,
    "a 503 is waited out as `Retry-After` says",
    "un 503 est attendu comme le dit `Retry-After`",
    Mode.MAILBOX,
    late=True,
)
async def unavailable(bench: HalfBench) -> None:
    at = await _fault_done(bench, "unavailable")
    if not await bench.until(lambda: bench.ours.mailbox.claims[-1] > at):
        raise Broken(say("gives_up"))
    after = min(one for one in bench.ours.mailbox.claims if one > at)
    if after - at < 0.8 * RETRY_AFTER:
        raise Broken(say("no_patience", seconds=f"{after - at:.1f}", said=RETRY_AFTER))


@shows(
    "claim.token",
    "POST /pivot/v1/token",
    "a token that is good no more is replaced, and the call made again",
    "un jeton périmé est remplacé, et l'appel refait",
    Mode.MAILBOX,
    late=True,
)
async def token(bench: HalfBench) -> None:
    await bench.request()  # so it has a token to lose
    before = bench.ours.asked_tokens
    await _fault_done(bench, "bad_token")
    if not await bench.until(lambda: bench.ours.asked_tokens > before):
        raise Broken(say("token_not_renewed"))
    await bench.request()


@shows(
    "claim.pace",
    _CLAIM,
    "with nothing to fetch, it does not call without pause",
    "quand il n'y a rien à relever, il n'appelle pas sans relâche",
    Mode.MAILBOX,
    late=True,
)
async def pace(bench: HalfBench) -> None:
    began, before = time.monotonic(), len(bench.ours.mailbox.claims)
    await asyncio.sleep(min(_WATCHED, bench.wait))
    calls = (len(bench.ours.mailbox.claims) - before) / (time.monotonic() - began)
    if calls > BUSY:
        raise Broken(say("no_pause", calls=f"{calls:.0f}"))


@shows(
    "claim.secret",
    "POST /pivot/v1/token",
    "its secret is the one that was agreed",
    "son secret est celui qui est convenu",
    Mode.MAILBOX,
    late=True,
)
async def secret(bench: HalfBench) -> None:
    if bench.ours.bad_secrets:
        raise Broken(say("bad_secret", count=bench.ours.bad_secrets))


@shows(
    "claim.body",
    _CLAIM,
    "what it sends is as the contract says: its fields, a lease of 60 to 3600 s",
    "ce qu'il envoie est du contrat : ses champs, un bail de 60 à 3600 s",
    Mode.MAILBOX,
    late=True,
)
async def body(bench: HalfBench) -> None:
    odd = [one for one in bench.ours.faults_in_body if one.startswith("mailbox")]
    if odd:
        raise Broken(say("odd_body", place=odd[0], count=len(odd)))


@shows(
    "claim.settles_each",
    _CLAIM,
    "each message that it fetched is settled, within its lease, by one result",
    "chaque message relevé est réglé, pendant son bail, par un seul résultat",
    Mode.MAILBOX,
    late=True,
)
async def settles_each(bench: HalfBench) -> None:
    left = sum(one.attempts > 0 and one.told is None for one in bench.ours.mailbox.offers)
    if left:
        raise Broken(say("left_over", count=left))
    if bench.ours.mailbox.late_results:
        raise Broken(say("after_lease", count=len(bench.ours.mailbox.late_results)))
    if any(len(set(told)) > 1 for told in bench.ours.mailbox.results.values()):
        raise Broken(say("two_results"))


@shows(
    "claim.results_end",
    _CLAIM,
    "a result that was answered is not told for ever",
    "un résultat qui a reçu réponse n'est pas redit sans fin",
    Mode.MAILBOX,
    late=True,
)
async def results_end(bench: HalfBench) -> None:
    most = max((len(told) for told in bench.ours.mailbox.results.values()), default=0)
    if most > 5:
        raise Broken(say("told_for_ever", count=most))
