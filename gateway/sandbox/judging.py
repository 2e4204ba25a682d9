"""Judges a half-connector's answers by the contract, and says why one fails."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from gateway.core.messages import Message, Messages, Text
from gateway.sandbox.exchanges import ExchangeVerdict
from gateway.sdk import Unreadable, read_json
from gateway.sdk.pivot_models import Acknowledgement
from gateway.web.pivot_problems import BY_WORD, TYPE, tell_problem

# fmt: off
say = Messages(
    Text("taken", "2xx, with an acknowledgement or nothing", "",
         "2xx, avec un accusé ou rien", ""),
    Text("same", "2xx, with the same number as before: {number}", "",
         "2xx, avec le même numéro qu'avant : {number}", ""),
    Text("refused", "a 4xx: it is not for you, or not signed by us", "",
         "un 4xx : ce n'est pas pour vous, ou pas signé par nous", ""),
    Text("ignored", "2xx: what you do not know is ignored", "",
         "2xx : ce qui est inconnu est ignoré", ""),
    Text("silent", "no answer came ({error})", "see that your half-connector runs at this address",
         "aucune réponse n'est venue ({error})",
         "vérifier que votre demi-connecteur tourne à cette adresse"),
    Text("not_taken", "it answered {status}", "answer 2xx once it is written down",
         "il a répondu {status}", "répondre 2xx une fois que c'est enregistré"),
    Text("not_acknowledged", "the body is no acknowledgement of the contract",
         "answer JSON with `reference`, `link` or `erasure`, or no body",
         "le corps n'est pas un accusé du contrat",
         "répondre du JSON avec `reference`, `link` ou `erasure`, ou aucun corps"),
    Text("other_number", "it gave another number: {number}",
         "take each `id` once, and answer what you answered first",
         "il a donné un autre numéro : {number}",
         "prendre chaque `id` une fois, et répondre ce que vous aviez répondu"),
    Text("wrongly_taken", "it answered {status}: it took what it must refuse",
         "check webhook-signature, webhook-timestamp and recipient before anything else",
         "il a répondu {status} : il a pris ce qu'il doit refuser",
         "vérifier d'abord webhook-signature, webhook-timestamp et recipient"),
    # The answer's own detail is French.
    Text("refusal", "{title}{at} (`{word}`)", "{cure}", "{detail} (`{word}`)", "{cure}"),
    Text("odd_refusal", "{detail} (`{word}`)", "", "{detail} (`{word}`)", ""),
    Text("provoked", "the sandbox made it so: case `{case}`", "{todo}",
         "le bac à sable l'a fait : cas `{case}`", "{todo}"),
    Text("wrong_result", "the result is `{result}`", "tell `{wanted}` of it",
         "le résultat est `{result}`", "en dire `{wanted}`"),
)
# fmt: on


class ExpectedAnswer(StrEnum):
    """The right answer to a push."""

    TAKEN = "taken"
    SAME = "same"
    REFUSED = "refused"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class PushJudgement:
    """A verdict, the expected answer, and the reason of a failure. `number` is the commune's."""

    verdict: ExchangeVerdict
    expected: Message
    why: Message | None = None
    number: str | None = None


def judge_push(
    expected: ExpectedAnswer, status: int, body: bytes, number: str | None = None
) -> PushJudgement:
    """Judge the answer to a push. `number` is the one in the answer to the first push."""
    if expected is ExpectedAnswer.REFUSED:
        wanted = say("refused")
        if 400 <= status < 500:
            return PushJudgement(ExchangeVerdict.WELL, wanted)
        return PushJudgement(ExchangeVerdict.FAILED, wanted, say("wrongly_taken", status=status))
    wanted = say("same", number=number or "-") if expected is ExpectedAnswer.SAME else say(expected)
    if not 200 <= status < 300:
        return PushJudgement(ExchangeVerdict.FAILED, wanted, say("not_taken", status=status))
    told: str | None = None
    if body.strip():
        try:
            told = Acknowledgement.model_validate(read_json(body)).reference
        except (ValidationError, Unreadable):
            return PushJudgement(ExchangeVerdict.FAILED, wanted, say("not_acknowledged"))
    if expected is ExpectedAnswer.SAME and number is not None and told not in (None, number):
        why = say("other_number", number=str(told)[:100])
        return PushJudgement(ExchangeVerdict.FAILED, wanted, why, told)
    return PushJudgement(ExchangeVerdict.WELL, wanted, None, told)


def judge_answer(status: int, body: bytes) -> tuple[ExchangeVerdict, Message | None]:
    """Judge a half-connector's call by our own answer to it."""
    if status < 400:
        return ExchangeVerdict.WELL, None
    try:
        told = read_json(body)
    except Unreadable:
        return ExchangeVerdict.NEUTRAL, None
    told = told if isinstance(told, dict) else {}
    problem = BY_WORD.get(str(told.get("type", "")).removeprefix(TYPE))
    if problem is None:
        detail, word = str(told.get("detail", "")), str(told.get("error", status))
        return ExchangeVerdict.FAILED, say("odd_refusal", detail=detail[:500], word=word[:100])
    # An expired token is replaced, and a fault of ours is not the vendor's.
    fault = problem.fault == "yours" and problem.retry == "never"
    verdict = ExchangeVerdict.FAILED if fault else ExchangeVerdict.NEUTRAL
    pointer = str(told.get("pointer") or "")[:200]
    detail = f"{told.get('detail', '')} {pointer}".strip()[:500]
    named = {"word": problem.word, "detail": detail, "at": f" {pointer}".rstrip()}
    said = tell_problem(problem)
    return verdict, say("refusal", title=said, cure=said.cure, **named)
