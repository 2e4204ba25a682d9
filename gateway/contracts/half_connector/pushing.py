"""Checks of a half-connector with push: it knows its sender, and answers by the contract."""

from __future__ import annotations

import asyncio
from typing import Final

import orjson

from gateway.contracts.half_connector.bench import HalfBench, answer_of_contract, same_number
from gateway.contracts.half_connector.checks import Broken, Mode, Unshown, shows
from gateway.contracts.half_connector.reached import MOST_BYTES, HalfAnswer
from gateway.contracts.half_connector.texts import say
from gateway.sdk.webhook_signature import SIGNATURE, TIMESTAMP, TOLERANCE

_PING: Final = "webhooks.ping"
_PROOF: Final = "webhooks.event, webhook-signature"
_ROTATION: Final = "webhook-signature"
_ANSWER: Final = "Acknowledgement"
#: A secret whose signature must be refused.
_NOBODY: Final = "personne-n-a-ce-secret-de-signature"
#: Seconds of an answer that leave room for a slow day.
CALM: Final = 10.0


@shows(
    "ping.signed",
    _PING,
    "a signed call without a body is answered 2xx",
    "un appel signé sans corps reçoit 2xx",
    Mode.PUSH,
)
async def ping(bench: HalfBench) -> None:
    told = answer_of_contract(await bench.pushed.ping(bench.pushed.signed("ping-1", b"")))
    if told.told != "done":
        raise Broken(say("ping_refused", seen=told.shown))


@shows(
    "ping.forged",
    _PING,
    "the same call with a wrong signature is answered 401",
    "le même appel mal signé reçoit 401",
    Mode.PUSH,
)
async def forged_ping(bench: HalfBench) -> None:
    headers = bench.pushed.signed("ping-2", b"", secrets=[_NOBODY])
    _is_401(await bench.pushed.ping(headers))


@shows(
    "proof.forged",
    _PROOF,
    "a message with a wrong signature is answered 401",
    "un message mal signé reçoit 401",
    Mode.PUSH,
)
async def forged(bench: HalfBench) -> None:
    message_id, body = _message(bench)
    _is_401(await bench.pushed.post(body, bench.pushed.signed(message_id, body, secrets=[_NOBODY])))


@shows(
    "proof.unsigned",
    _PROOF,
    "a message without a signature is answered 401",
    "un message sans signature reçoit 401",
    Mode.PUSH,
)
async def without_signature(bench: HalfBench) -> None:
    _, body = _message(bench)
    told = answer_of_contract(await bench.pushed.post(body, {}))
    if told.told in ("done", "later"):
        raise Broken(say("unproven_taken", seen=told.shown))


@shows(
    "proof.changed",
    _PROOF,
    "a message that was changed on its way is answered 401",
    "un message modifié en route reçoit 401",
    Mode.PUSH,
)
async def changed(bench: HalfBench) -> None:
    message_id, body = _message(bench)
    headers = bench.pushed.signed(message_id, body)
    _is_401(await bench.pushed.post(body.replace(b"essai", b"autre", 1) + b" ", headers))


@shows(
    "proof.other_id",
    _PROOF,
    "the id is under the signature: another one is answered 401",
    "l'identifiant est signé : un autre reçoit 401",
    Mode.PUSH,
)
async def other_id(bench: HalfBench) -> None:
    message_id, body = _message(bench)
    headers = {**bench.pushed.signed(message_id, body), "webhook-id": f"{message_id}-autre"}
    _is_401(await bench.pushed.post(body, headers))


@shows(
    "proof.old",
    "webhook-timestamp",
    "a message that was signed 10 minutes ago is not taken: it may be a replay",
    "un message signé il y a 10 minutes n'est pas pris : c'est peut-être un rejeu",
    Mode.PUSH,
)
async def old(bench: HalfBench) -> None:
    await _out_of_time(bench, 2 * TOLERANCE)


@shows(
    "proof.future",
    "webhook-timestamp",
    "nor one that is signed for 10 minutes hence",
    "ni un message daté de dans 10 minutes",
    Mode.PUSH,
)
async def future(bench: HalfBench) -> None:
    await _out_of_time(bench, -2 * TOLERANCE)


@shows(
    "proof.new_time",
    "webhook-timestamp",
    "the time is under the signature: a new time with an old signature is answered 401",
    "l'heure est signée : une heure neuve avec une ancienne signature reçoit 401",
    Mode.PUSH,
)
async def new_time(bench: HalfBench) -> None:
    message_id, body = _message(bench)
    headers = bench.pushed.signed(message_id, body, late=2 * TOLERANCE)
    fresh = bench.pushed.signed(message_id, body)
    _is_401(await bench.pushed.post(body, {**headers, TIMESTAMP: fresh[TIMESTAMP]}))


@shows(
    "proof.several",
    _ROTATION,
    "one signature that fits is enough, wherever it stands among others",
    "une signature qui convient suffit, où qu'elle soit parmi d'autres",
    Mode.PUSH,
)
async def several(bench: HalfBench) -> None:
    message_id, body = _message(bench)
    headers = bench.pushed.signed(message_id, body, secrets=bench.pushed.secrets[:1])
    others = bench.pushed.signed(message_id, body, secrets=[_NOBODY])[SIGNATURE]
    headers[SIGNATURE] = f"v1a,bm9uZQ== {others} {headers[SIGNATURE]}"
    await _taken(bench, message_id, body, headers)


@shows(
    "proof.rotation",
    _ROTATION,
    "while a secret is replaced, each of the two proves a message",
    "pendant le remplacement d'un secret, chacun des deux prouve un message",
    Mode.PUSH,
)
async def rotation(bench: HalfBench) -> None:
    if len(bench.pushed.secrets) < 2:
        raise Unshown(say("one_secret"))
    for secret in bench.pushed.secrets:
        message_id, body = _message(bench)
        await _taken(
            bench, message_id, body, bench.pushed.signed(message_id, body, secrets=[secret])
        )


@shows(
    "message.at_once",
    "webhooks.event",
    "the same message twice at the same moment makes one ticket",
    "le même message deux fois au même instant fait un seul dossier",
    Mode.PUSH,
)
async def at_once(bench: HalfBench) -> None:
    message = bench.citizens.created(bench.citizens.reference())
    both = await asyncio.gather(bench.give(message), bench.give(message))
    if any(one.told != "done" for one in both):
        raise Broken(
            say("not_taken", seen=both[0].shown if both[0].told != "done" else both[1].shown)
        )
    same_number(*both)
    same_number(both[0], await bench.taken(message))


@shows(
    "answer.body",
    _ANSWER,
    "its answers are JSON, and say so",
    "ses réponses sont du JSON, et le disent",
    Mode.PUSH,
    late=True,
)
async def answer_body(bench: HalfBench) -> None:
    told = [one for one in bench.pushed.seen if 200 <= one.status < 300 and one.size]
    odd = [one for one in told if "json" not in one.content_type.lower()]
    if odd:
        raise Broken(say("not_json_type", count=len(odd), of=len(told)))
    if not told:
        raise Unshown(say("no_number"))


@shows(
    "answer.size",
    _ANSWER,
    "its answers are small",
    "ses réponses sont petites",
    Mode.PUSH,
    late=True,
)
async def answer_size(bench: HalfBench) -> None:
    largest = max((one.size for one in bench.pushed.seen), default=0)
    if largest > MOST_BYTES // 10:
        raise Broken(say("large_answers", size=largest, most=MOST_BYTES))


@shows(
    "answer.time",
    "webhooks.event",
    "it answers in time: it keeps first, and works afterwards",
    "il répond à temps : il enregistre d'abord, et traite ensuite",
    Mode.PUSH,
    late=True,
)
async def answer_time(bench: HalfBench) -> None:
    slowest = max((one.seconds for one in bench.pushed.seen), default=0.0)
    if slowest > CALM:
        raise Broken(say("slow_answers", seconds=f"{slowest:.1f}", most=f"{CALM:.0f}"))


@shows(
    "answer.direct",
    "webhooks.event",
    "it answers itself: nothing is redirected",
    "il répond lui-même : rien n'est redirigé",
    Mode.PUSH,
    late=True,
)
async def answer_direct(bench: HalfBench) -> None:
    if any(300 <= one.status < 400 for one in bench.pushed.seen):
        raise Broken(say("redirected", seen="3xx"))


def _message(bench: HalfBench) -> tuple[str, bytes]:
    reference = bench.citizens.reference()
    bench.ours.references.add(reference)
    message = bench.citizens.created(reference)
    return str(message["id"]), orjson.dumps(message)


def _is_401(told: HalfAnswer) -> None:
    answer_of_contract(told)
    if told.status != 401:
        raise Broken(say("not_401", seen=told.shown))


async def _out_of_time(bench: HalfBench, late: float) -> None:
    message_id, body = _message(bench)
    told = answer_of_contract(
        await bench.pushed.post(body, bench.pushed.signed(message_id, body, late=late))
    )
    if told.told in ("done", "later"):
        raise Broken(say("out_of_time", seen=told.shown))


async def _taken(bench: HalfBench, message_id: str, body: bytes, headers: dict[str, str]) -> None:
    told = answer_of_contract(await bench.pushed.post(body, headers))
    if told.told != "done":
        raise Broken(say("signature_refused", seen=told.shown))
