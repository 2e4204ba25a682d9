"""`PivotAdapter`: pushes to a commune's own half-connector, or leaves it to fetch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import httpx

from adapters.pivot.options import PivotOptions
from adapters.pivot.texts import REASONS, say
from gateway.sdk import (
    Accepted,
    Adapter,
    Amendment,
    Answer,
    Capabilities,
    Context,
    EventKind,
    Files,
    Misconfigured,
    Note,
    Outcome,
    ServiceInCharge,
    Submission,
    TryLater,
    answered,
    beside,
    failure_of,
    secrets_in,
    send,
    texts_in,
)
from gateway.sdk.pivot import PivotClient, message_weight
from gateway.sdk.pivot_answer import NOT_THERE, outcome_of_push
from gateway.sdk.pivot_models import PivotErasure, PivotEvent, PivotService
from gateway.sdk.webhook_signature import ID, SIGNATURE, signed_headers

#: Bytes of a half-connector's answer.
MOST_BYTES = 256_000


class PivotAdapter(Adapter):
    """A half-connector written for the pivot contract.

    It takes each message id once, so we send again after a lost answer.
    """

    kind = "pivot"
    sends_reference = True
    version = "1"
    Options = PivotOptions
    reasons = REASONS

    def __init__(self, options: PivotOptions, context: Context) -> None:
        super().__init__(options, context)
        self._options = options
        self._secrets = [one.get_secret_value() for one in options.signature or ()]
        self._us = self.pivot = PivotClient(
            commune=context.commune,
            instance=context.instance,
            environment="production" if context.production else "test",
            service=_sent(options.service),
            services={slug: _sent(one) for slug, one in options.services.items()},
            secrets=[one.get_secret_value() for one in options.client],
            public_url=context.public_url,
            inline_bytes=options.inline_bytes,
            link_seconds=options.link,
        )
        self.links = self._us.links

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            files=Files.WITHIN,
            amends=frozenset(EventKind) - {EventKind.CREATION},
            erase=True,
            sends_reference=True,
            repeatable=True,
            pulled=self._options.mode == "mailbox",
            fed=True,
            pinged=self._options.mode == "push",
        )

    async def check(self) -> Sequence[Note]:
        """Make an empty signed call, and a second one with a wrong signature."""
        url = self._options.url
        if url is None:
            return [Note("ok", say("fetched"))]
        notes: list[Note] = []
        if url.startswith("http://") and self.context.production:
            notes.append(Note("warning", say("no_https")))
        outcome = await self.ping()
        if not isinstance(outcome, Accepted):
            return [
                *notes,
                Note.fault(say("access"), outcome, aloud=not self.context.production),
            ]
        notes.append(Note("ok", say("answers", status=outcome.proof["status"])))
        forged = await self._ping(url, forged=True)
        if isinstance(forged, Answer) and 200 <= forged.status < 300:
            notes.append(Note("warning", say("unsigned_taken")))
        return notes

    async def ping(self) -> Outcome:
        """Make an empty signed call."""
        url = self._options.url
        if url is None:
            return await super().ping()
        answer = await self._ping(url)
        if not isinstance(answer, Answer):
            return answer
        if answer.status in NOT_THERE:
            return Misconfigured("not_there", f"HTTP {answer.status}")
        failure = failure_of(dataclasses.replace(answer, problem=None), safe=True)
        if failure is None:
            return Accepted(proof={"status": str(answer.status)})
        told = partial(answered, failure, answer.response, answer.content, self._secrets)
        return await beside(answer.size, told)

    async def submit(self, submission: Submission) -> Outcome:
        return await self._push(await self._us.event(submission, self.context.now()))

    async def amend(self, amendment: Amendment) -> Outcome:
        outcome = await self._push(await self._us.event(amendment, self.context.now()))
        if isinstance(outcome, Accepted) and outcome.reference is None:
            return dataclasses.replace(outcome, reference=amendment.gru_reference or None)
        return outcome

    async def erase(self, reference: str, gru_reference: str | None) -> Outcome:
        return await self._push(self._us.erasure(reference, gru_reference))

    async def _push(self, event: PivotEvent | PivotErasure) -> Outcome:
        """Push one message. A repeated one is taken once, so a lost reply raises no doubt."""
        url = self._options.url
        if url is None:
            return TryLater("busy", "the commune fetches it: nobody is called")
        body = await beside(message_weight(event), lambda: event.model_dump_json().encode())

        def build() -> httpx.Request:
            headers = signed_headers(self._secrets, event.id, self.context.now(), body)
            headers["Content-Type"] = "application/json"
            return self.context.client.build_request("POST", url, content=body, headers=headers)

        answer = await send(self.context.client, build, safe=True, limit=MOST_BYTES)
        if not isinstance(answer, Answer):
            return answer
        return await beside(answer.size + len(body), lambda: self._with_answer(answer, event))

    def _with_answer(self, answer: Answer, event: PivotEvent | PivotErasure) -> Outcome:
        sent = [*secrets_in(self._options), *texts_in(event.model_dump(exclude={"files"}))]
        return answered(outcome_of_push(answer), answer.response, answer.content, sent)

    async def _ping(self, url: str, *, forged: bool = False) -> Answer | Outcome:
        at = self.context.now()
        headers = signed_headers(self._secrets, f"ping-{int(at.timestamp())}", at, b"")
        if forged:
            headers[SIGNATURE] = signed_headers(self._secrets, headers[ID], at, b"-")[SIGNATURE]
        request = self.context.client.build_request("GET", url, headers=headers)
        return await send(self.context.client, request, safe=True, limit=MOST_BYTES, read=None)


def _sent(service: ServiceInCharge) -> PivotService:
    return PivotService.model_validate(service.model_dump())


__all__ = ["PivotAdapter"]
