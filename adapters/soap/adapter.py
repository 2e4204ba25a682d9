"""`SoapAdapter`: keeps the contract of `gateway.sdk` with operations that the YAML describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.rest.adapter import event_scope, names_ours
from adapters.rest.changes import StatusPoll
from adapters.rest.expression import Json, RestExpression, word
from adapters.soap.checking import check_service, check_signing, check_wsdl
from adapters.soap.client import SoapClient
from adapters.soap.options import AmendOperation, CreateOperation, FindOperation, SoapOptions
from adapters.soap.reasons import REASONS
from gateway.sdk import (
    Absent,
    Accepted,
    Adapter,
    Amendment,
    Answer,
    CannotTell,
    Capabilities,
    Changes,
    Context,
    ErasureAnswer,
    ErasureResult,
    EventKind,
    File,
    Files,
    Finding,
    Found,
    Note,
    Outcome,
    Submission,
    Tracked,
    Unsure,
    by_turns,
    cannot_tell,
)


class SoapAdapter(Adapter):
    """A GRU with a SOAP service, known by its WSDL and its options."""

    kind = "soap"
    version = "1"
    Options = SoapOptions
    reasons = REASONS

    def __init__(self, options: SoapOptions, context: Context) -> None:
        super().__init__(options, context)
        self._options = options
        self._client = SoapClient(options, context)
        rules = options.statuses
        self._poll = None if rules is None else StatusPoll(rules, self._client, context.now)

    @property
    def capabilities(self) -> Capabilities:
        o = self._options
        document = o.amend.get(EventKind.DOCUMENT)
        files = Files.NEVER
        if o.create.reads("files"):
            files = Files.WITHIN
        elif document is not None and document.reads("files"):
            files = Files.AFTER
        return Capabilities(
            find=o.find is not None,
            find_amend=frozenset(kind for kind, call in o.amend.items() if call.find is not None),
            files=files,
            amends=frozenset(o.amend),
            statuses=o.statuses is not None,
            erase=o.erase is not None,
            sends_reference=o.create.reads("reference"),
        )

    async def check(self) -> Sequence[Note]:
        aloud = not self.context.production
        signing = await check_signing(self._client, self.context.now())
        called = await check_service(self._options, self._client, self.find, aloud=aloud)
        return [*signing, *called]

    async def check_files(self) -> Sequence[Note]:
        signing = await check_signing(self._client, self.context.now())
        if self._options.wsdl_file is None:
            return tuple(signing)
        return [*signing, *await check_wsdl(self._options, self._client, aloud=True)]

    async def submit(self, submission: Submission) -> Outcome:
        create = self._options.create
        payload = dict(submission.payload)
        scope: dict[str, Json] = {"reference": submission.reference, "payload": payload}
        answer = await self._send(create, scope, submission.files)
        if not isinstance(answer, Answer):
            return answer
        number = await _word_in(create.reference, answer.value)
        if number is None and create.reference is not None:
            lost = Unsure("no_reference", f"HTTP {answer.status} without a reference")
            return await self._client.with_answer(lost, answer, scope)
        link = await _link_in(create.link, answer.value)
        return Accepted(number, link, {"status": str(answer.status)})

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        call = self._options.find
        if call is None:
            return await super().find(reference, gru_reference)
        scope = {"reference": reference, "gru_reference": gru_reference}
        return await self._find(call, scope, reference)

    async def amend(self, amendment: Amendment) -> Outcome:
        call = self._options.amend.get(amendment.kind)
        if call is None:
            return await super().amend(amendment)
        scope = {
            **event_scope(amendment),
            "payload": dict(amendment.payload),
            "message": amendment.message,
        }
        answer = await self._send(call, scope, amendment.files)
        if not isinstance(answer, Answer):
            return answer
        return Accepted(amendment.gru_reference, proof={"status": str(answer.status)})

    async def find_amend(self, amendment: Amendment) -> Finding:
        call = self._options.amend.get(amendment.kind)
        if call is None or call.find is None:
            return await super().find_amend(amendment)
        return await self._find(call.find, event_scope(amendment), amendment.key)

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        if self._poll is None:
            return await super().statuses(tracked, cursor)
        return await self._poll.read(tracked, cursor)

    async def erase(self, reference: str, gru_reference: str | None) -> Outcome:
        call = self._options.erase
        if call is None:
            return await super().erase(reference, gru_reference)
        scope = {"reference": reference, "gru_reference": gru_reference}
        answer = await self._client.run(call, scope, safe=True, expected=(404,))
        if not isinstance(answer, Answer):
            return answer
        result = ErasureResult.ABSENT if answer.status == 404 else ErasureResult(call.means)
        proof = {"status": str(answer.status)}
        return Accepted(gru_reference, proof=proof, erasure=ErasureAnswer(result))

    async def _send(
        self,
        call: CreateOperation | AmendOperation,
        scope: Mapping[str, Json],
        files: Sequence[File],
    ) -> Answer | Outcome:
        sent = files if call.reads("files") else ()
        return await self._client.run(call, scope, safe=call.repeatable, files=sent)

    async def _find(self, call: FindOperation, scope: Mapping[str, Json], expected: str) -> Finding:
        answer = await self._client.run(call, scope, safe=True, expected=(404,))
        if not isinstance(answer, Answer):
            return cannot_tell(answer)
        if answer.status == 404:
            return Absent(call.settle)
        listed: Json = [answer.value]
        if call.list is not None:
            listed = await call.list.found_in(answer.value)
            if not isinstance(listed, list):
                return CannotTell("no_list", f"find.list: {call.list.text} is no list")
        async for one in by_turns(listed):
            if names_ours(call.compare, await call.match.found_in(one), expected):
                number = await _word_in(call.reference, one)
                if number is None and call.reference is not None:
                    return CannotTell("unreadable_answer", "found, but without its number")
                return Found(number, await _link_in(call.link, one))
        if listed and call.strays == "ask":
            what = f"{len(listed)} answers, none of them ours"
            return CannotTell("filter_ignored", what, forever=True)
        return Absent(call.settle)


async def _word_in(expression: RestExpression | None, value: Json) -> str | None:
    return None if expression is None else word(await expression.found_in(value))


async def _link_in(expression: RestExpression | None, value: Json) -> str | None:
    link = None if expression is None else await expression.found_in(value)
    fits = isinstance(link, str) and link.startswith(("https://", "http://")) and len(link) <= 2000
    return link if fits else None


__all__ = ["SoapAdapter"]
