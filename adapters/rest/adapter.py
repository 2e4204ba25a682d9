"""`RestAdapter`: the contract of `gateway.sdk`, carried out by the calls that the YAML
describes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from adapters.rest.answers import ItemRead
from adapters.rest.changes import StatusPoll, read_webhook
from adapters.rest.checking import check_search, check_statuses
from adapters.rest.client import RestClient
from adapters.rest.expression import Address, ExpressionFault, Json, word
from adapters.rest.files import pack, upload
from adapters.rest.options import Amend, Create, Erase, Find, RestOptions
from adapters.rest.paging import Pages
from adapters.rest.proof import proven_by_head
from adapters.rest.reading import time_of
from adapters.rest.reasons import REASONS
from adapters.rest.texts import say
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
    File,
    Files,
    Finding,
    Found,
    Note,
    Outcome,
    Refused,
    Submission,
    Tracked,
    Unsure,
    WebhookCall,
    by_turns,
    cannot_tell,
)

#: So many candidates for one reference mean that the filter was ignored.
MOST_CANDIDATES = 20


class RestAdapter(Adapter):
    """A GRU with an HTTP API in JSON, XML or forms, described by its options alone."""

    kind = "rest"
    version = "1"
    Options = RestOptions
    reasons = REASONS

    def __init__(self, options: RestOptions, context: Context) -> None:
        super().__init__(options, context)
        self._options = options
        self._exchange = RestClient(options, context)
        self._poll = (
            None
            if options.statuses is None
            else StatusPoll(options.statuses, self._exchange, context.now)
        )

    @property
    def capabilities(self) -> Capabilities:
        o = self._options
        when = {None: Files.NEVER, "after": Files.AFTER}
        return Capabilities(
            find=o.find is not None,
            find_amend=frozenset(kind for kind, call in o.amend.items() if call.find is not None),
            files=when.get(o.files.mode if o.files else None, Files.WITHIN),
            amends=frozenset(o.amend),
            statuses=o.statuses is not None,
            webhook=o.webhook is not None,
            erase=o.erase is not None,
            sends_reference=o.create.reads("reference"),
        )

    async def check(self) -> Sequence[Note]:
        o = self._options
        notes: list[Note] = []
        if o.base_url.startswith("http://") and self.context.production:
            notes.append(Note("warning", say("no_https")))
        aloud = not self.context.production
        denied = await self._exchange.admitted()
        if denied is not None:
            return [*notes, Note.fault(say("authentication"), denied, aloud=aloud)]
        if o.check is None:
            notes.append(Note("warning", say("unchecked")))
        else:
            answer = await self._exchange.run(o.check, {}, safe=True)
            if not isinstance(answer, Answer):
                return [*notes, Note.fault(say("access"), answer, aloud=aloud)]
            notes.append(Note("ok", say("answers", status=answer.status)))
        notes += await check_search(o, self.find, aloud=aloud)
        if o.statuses is not None:
            now = self.context.now
            notes += await check_statuses(o.statuses, self._exchange, now, aloud=aloud)
        return notes

    async def submit(self, submission: Submission) -> Outcome:
        create = self._options.create
        sent = await self._send(
            create,
            {"reference": submission.reference, "payload": dict(submission.payload)},
            submission.files,
            repeatable=create.repeatable,
        )
        if not isinstance(sent, Answer):
            return sent
        outcome = await self._receipt(create, sent, submission.reference)
        return await self._exchange.with_answer(
            outcome, sent, {"payload": dict(submission.payload)}
        )

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        if self._options.find is None:
            return await super().find(reference, gru_reference)
        scope = {"reference": reference, "gru_reference": gru_reference}
        return await self._find(self._options.find, scope, reference)

    async def amend(self, amendment: Amendment) -> Outcome:
        call = self._options.amend.get(amendment.kind)
        if call is None:
            return await super().amend(amendment)
        scope = {
            **event_scope(amendment),
            "payload": dict(amendment.payload),
            "message": amendment.message,
        }
        sent = await self._send(call, scope, amendment.files, repeatable=call.repeatable)
        if not isinstance(sent, Answer):
            return sent
        return Accepted(amendment.gru_reference, proof={"status": str(sent.status)})

    async def find_amend(self, amendment: Amendment) -> Finding:
        call = self._options.amend.get(amendment.kind)
        if call is None or call.find is None:
            return await super().find_amend(amendment)
        return await self._find(call.find, event_scope(amendment), amendment.key)

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        if self._poll is None:
            return await super().statuses(tracked, cursor)
        return await self._poll.read(tracked, cursor)

    def proven(self, head: WebhookCall) -> bool | None:
        rules = self._options.webhook
        return None if rules is None else proven_by_head(rules.verify, head)

    async def webhook(self, hook: WebhookCall) -> Changes:
        if self._options.webhook is None:
            return await super().webhook(hook)
        webhook = self._options.webhook
        return await read_webhook(webhook, hook, self._exchange, self.context.now)

    async def erase(self, reference: str, gru_reference: str | None) -> Outcome:
        call = self._options.erase
        if call is None:
            return await super().erase(reference, gru_reference)
        scope = {"reference": reference, "gru_reference": gru_reference}
        expected = (404, 410, *call.absent)
        answer = await self._exchange.run(call, scope, safe=True, expected=expected)
        if not isinstance(answer, Answer):
            return answer
        proof = {"status": str(answer.status)}
        absent = ErasureAnswer(ErasureResult.ABSENT)
        if answer.status in (410, *call.absent):
            return Accepted(gru_reference, proof=proof, erasure=absent)
        if answer.status == 404:
            # A wrong address answers 404 as well: it proves nothing by itself.
            if isinstance(await self.find(reference, gru_reference), Absent):
                proof["find"] = "absent"
                return Accepted(gru_reference, proof=proof, erasure=absent)
            unknown = Refused("unknown_reference", "HTTP 404; whether it is erased is not known")
            return await self._exchange.with_answer(unknown, answer, scope)
        told = await _erasure_answer(call, answer.value)
        if told is None:
            what = "erase.results does not name what erase.result finds"
            unknown = Refused("unreadable_answer", what)
            return await self._exchange.with_answer(unknown, answer, scope)
        return Accepted(gru_reference, proof=proof, erasure=told)

    # --- sending ------------------------------------------------------------------------------

    async def _send(
        self,
        call: Create | Amend,
        scope: Mapping[str, Json],
        files: Sequence[File],
        *,
        repeatable: bool,
    ) -> Answer | Outcome:
        rules = self._options.files
        tokens: list[str] | None = None
        if call.before is not None:
            first = await self._exchange.run(call.before, scope, safe=True)
            if not isinstance(first, Answer):
                return first
            headers = {name.lower(): value for name, value in first.headers.items()}
            scope = {**scope, "before": {"body": first.value, "headers": headers}}
        if rules is None or (rules.mode == "after" and isinstance(call, Create)):
            files = ()
        if rules is not None and rules.upload is not None and files:
            given = await upload(self._exchange, rules.upload, str(scope["reference"]), files)
            if not isinstance(given, list):
                return given
            tokens = given
        parcel = await pack(call, files, tokens, whole=self._exchange.signs_bodies)
        return await self._exchange.run(
            call,
            {**scope, "files": parcel.described},
            safe=repeatable,
            parts=parcel.parts,
            files=parcel.files,
        )

    async def _receipt(self, create: Create, answer: Answer, reference: str) -> Outcome:
        number: str | None = None
        if create.reference is not None:
            number = word(await create.reference.found_in(answer.value))
        elif create.location:
            number = self._number_in(answer)
        if number is None and (create.reference is not None or create.location):
            return Unsure("no_reference", f"HTTP {answer.status} without a reference")
        return Accepted(
            number, _link(create.link, number, reference), {"status": str(answer.status)}
        )

    def _number_in(self, answer: Answer) -> str | None:
        """Return the last part of a Location: `42` of `/issues/42.json`.

        Returns None if that part has no digit, as in `/login`, or if the address leads away from
        this GRU: whatever the call did, such an address names no ticket.
        """
        location = answer.headers.get("location", "")
        if answer.status >= 300 and self._exchange.within(location) is None:
            return None
        try:
            last = unquote(urlsplit(location).path.rstrip("/").rsplit("/", 1)[-1])
        except ValueError:  # no address at all
            return None
        number = word(last.rsplit(".", 1)[0] if last.endswith((".json", ".xml")) else last)
        return number if number and any(c.isdigit() for c in number) else None

    # --- finding ------------------------------------------------------------------------------

    async def _find(self, call: Find, scope: Mapping[str, Json], expected: str) -> Finding:
        found = await self._candidates(call, scope)
        if not isinstance(found, _Candidates):
            return found
        items: Sequence[Json] | CannotTell = found.items
        if call.read is not None:
            items = await self._read_each(call.read, found.items, scope)
        if isinstance(items, CannotTell):
            return items
        async for candidate in by_turns(items):
            if names_ours(call.compare, await call.match.found_in(candidate), expected):
                return await self._found(call, candidate, scope)
        if found.passed_over:
            what = "an item is larger than an answer may be: it may be ours"
            return CannotTell("item_too_large", what, forever=True)
        if items and call.strays == "ask":
            return CannotTell(
                "filter_ignored", f"{len(items)} answers, none of them ours", forever=True
            )
        return Absent(call.settle)

    async def _candidates(self, call: Find, scope: Mapping[str, Json]) -> _Candidates | Finding:
        """Return the items of a search; one of them may be ours."""
        if call.list is None:
            answer = await self._exchange.run(call, scope, safe=True, expected=call.absent)
            if not isinstance(answer, Answer):
                return cannot_tell(answer)
            if answer.status in call.absent:
                return Absent(call.settle)
            if answer.empty or not answer.readable:
                return CannotTell("unreadable_answer", "the answer is not JSON")
            return _Candidates([answer.value])
        pages = Pages(call, call.paging, call.list, self._exchange, scope, "find.list", call.absent)
        items: list[Json] = []
        async for _, listed in pages:
            items += listed
        if pages.failure is not None:
            return cannot_tell(pages.failure)
        if pages.truncated and call.paging.style != "none":
            return CannotTell("filter_ignored", "more than max_pages hold", forever=True)
        return _Candidates(items, pages.passed_over)

    async def _read_each(
        self, read: ItemRead, candidates: Sequence[Json], scope: Mapping[str, Json]
    ) -> list[Json] | CannotTell:
        """Fetch each candidate by a call of its own."""
        if len(candidates) > MOST_CANDIDATES:
            return CannotTell("filter_ignored", f"{len(candidates)} candidates", forever=True)
        fetched: list[Json] = []
        for candidate in candidates:
            one = await self._exchange.run(read, {**scope, "item": candidate}, safe=True)
            if not isinstance(one, Answer):
                return cannot_tell(one)
            fetched.append(await read.content.found_in(one.value))
        return fetched

    async def _found(self, call: Find, candidate: Json, scope: Mapping[str, Json]) -> Finding:
        number = None
        if call.reference is not None:
            number = word(await call.reference.found_in(candidate))
            if number is None:
                return CannotTell("unreadable_answer", "found, but without its number")
        return Found(number, _link(call.link, number, str(scope["reference"])))


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The items of a search. `passed_over` is the number of items that were too large to be
    read."""

    items: Sequence[Json]
    passed_over: int = 0


def event_scope(amendment: Amendment) -> dict[str, Json]:
    """Return the names that the calls of an event may read, besides its content."""
    return {
        "reference": amendment.reference,
        "gru_reference": amendment.gru_reference,
        "event": {"key": amendment.key, "kind": amendment.kind.value},
    }


def names_ours(compare: str, value: Json, expected: str) -> bool:
    """Is this, or one of these, what we look for? `contains`: within a text."""
    several = value if isinstance(value, list) else [value]
    texts = [str(v) for v in several if isinstance(v, str | int)]
    if compare == "contains":
        # As a word of its own: `m1` is not in `[m10]`.
        alone = re.compile(rf"(?<![\w-]){re.escape(expected)}(?![\w-])")
        return any(alone.search(text) for text in texts)
    return expected in texts


def _link(link: Address | None, number: str | None, reference: str) -> str | None:
    if link is None:
        return None
    try:
        return link.render({"gru_reference": number, "reference": reference})
    except ExpressionFault:
        return None


async def _erasure_answer(call: Erase, value: Json) -> ErasureAnswer | None:
    """Return what the GRU says it did; None for a word that the options do not name."""
    if call.result is None:
        return ErasureAnswer(ErasureResult(call.means))
    result = call.results.get(word(await call.result.found_in(value)) or "")
    if result is None:
        return None
    ground = None if call.ground is None else word(await call.ground.found_in(value))
    end = None if call.until is None else time_of(call.until, value)
    kept = result is ErasureResult.KEPT
    return ErasureAnswer(result, ground if kept else None, end if kept else None)


__all__ = ["RestAdapter", "event_scope", "names_ours"]
