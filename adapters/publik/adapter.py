"""The adapter: one form of a commune's own w.c.s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.publik.checking import check_options, named_fields
from adapters.publik.client import WcsClient
from adapters.publik.options import PublikOptions
from adapters.publik.polling import PublikPoll
from adapters.publik.reading import named_statuses, read_changes, request_number
from adapters.publik.texts import REASONS
from gateway.sdk import (
    Absent,
    Accepted,
    Adapter,
    Amendment,
    CannotTell,
    Capabilities,
    Changes,
    Context,
    ErasureAnswer,
    ErasureResult,
    EventKind,
    File,
    FilePlaceholders,
    Files,
    Finding,
    Found,
    Note,
    Outcome,
    Refused,
    Submission,
    Tracked,
    TryLater,
    Unreadable,
    Unsure,
    WebhookCall,
    beside,
    cannot_tell,
    read_json,
)
from gateway.sdk.publik.formdata_state import FormdataState
from gateway.sdk.publik.signature import SignatureFault, parse_signed, verify_query

#: Rows of a search: one is ours; more show that w.c.s. ignored the filter.
SEARCHED = 20
#: Parts of a creation's payload, as w.c.s.'s own call has them.
CREATION = frozenset({"data", "user", "context"})


class PublikAdapter(Adapter):
    """A w.c.s. in which we create requests, call hooks and read histories."""

    kind = "publik"
    version = "1"
    sends_reference = True
    Options = PublikOptions
    reasons = REASONS

    def __init__(self, options: PublikOptions, context: Context) -> None:
        super().__init__(options, context)
        self._options = options
        self._wcs = WcsClient(options, context)

    @property
    def capabilities(self) -> Capabilities:
        options, amends = self._options, frozenset(self._options.hooks)
        files = Files.AFTER if EventKind.DOCUMENT in amends else Files.NEVER
        return Capabilities(
            find=True,
            find_amend=amends if options.done_field else frozenset(),
            files=Files.WITHIN if options.file_fields else files,
            amends=amends,
            statuses=options.poll,
            webhook=options.webhook_key is not None,
            erase=options.erase_hook is not None,
            sends_reference=True,
        )

    async def check(self) -> Sequence[Note]:
        return await check_options(self._options, self._wcs, production=self.context.production)

    async def taken_names(self) -> frozenset[str] | None:
        schema = await self._wcs.schema()
        if not isinstance(schema, dict):
            return None
        fields = named_fields(schema)
        spelt = {f"data.{name}{end}" for name in fields for end in ("", "_raw", "_structured")}
        return frozenset(spelt | (CREATION - {"data"}))

    async def submit(self, submission: Submission) -> Outcome:
        payload, options = submission.payload, self._options
        data = payload.get("data")
        if not isinstance(data, Mapping) or not payload.keys() <= CREATION:
            return Refused("unmappable", "the mapping is to give data, user and context alone")
        if len(submission.files) > len(options.file_fields):
            return Refused("too_many_files", f"{len(options.file_fields)} are taken")
        files = FilePlaceholders()
        held = {
            name: _file(one, files, "content")
            for name, one in zip(options.file_fields, submission.files, strict=False)
        }
        body = {**payload, "data": {**data, options.reference_field: submission.reference, **held}}
        made = await self._wcs.submit(body, files)
        if isinstance(made, Outcome):
            return made
        number = request_number(made.get("data"))
        if number is None:
            return Unsure("no_number", "HTTP 2xx without the request's id")
        return Accepted(number)

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        field = self._options.reference_field
        # w.c.s. lists anonymised requests only on demand; without them we would create ours again.
        query = {f"filter-{field}": reference, "limit": str(SEARCHED), "include-anonymised": "on"}
        shown = {"include-fields": "on", "include-workflow": "on"}
        rows = await self._wcs.rows({**query, **shown})
        if isinstance(rows, Outcome):
            if isinstance(rows, Refused) and rows.reason == "refused":  # HTTP 400
                return CannotTell("no_such_field", field, answer=rows.answer)
            return cannot_tell(rows)
        for row in rows:
            if _value(row, field) == reference:
                number = request_number(row)
                if number is None:
                    return CannotTell("unreadable_answer", "found, but without its number")
                return Found(number)
        if rows:
            return CannotTell("filter_not_heard", f"{len(rows)} rows, none of which is ours")
        return Absent(self._options.find_settle)

    async def amend(self, amendment: Amendment) -> Outcome:
        hook, mark = self._options.hooks.get(amendment.kind), self._options.done_field
        if hook is None:
            return await super().amend(amendment)
        number, files = amendment.gru_reference, FilePlaceholders()
        body: dict[str, Any] = {
            "message": amendment.message,
            **amendment.payload,
            "evenement": amendment.key,
            "nature": amendment.kind.value,
            "reference": amendment.reference,
        }
        if amendment.files:
            body["document"] = _file(amendment.files[0], files, "b64_content")
        state = await self._wcs.state(number, history=True) if mark is not None else None
        if isinstance(state, FormdataState):
            # A process may have died between a part and the note that all are done.
            for part, end in (("message", ""), ("document", "-document")):
                if state.has_message(f"{amendment.key}{end}"):
                    body[part] = None
        failure = await self._wcs.hook(number, hook, body, files)
        return failure or Accepted(number)

    async def find_amend(self, amendment: Amendment) -> Finding:
        mark = self._options.done_field
        if mark is None or amendment.kind not in self._options.hooks:
            return await super().find_amend(amendment)
        state = await self._wcs.state(amendment.gru_reference)
        if isinstance(state, Refused) and state.reason == "unknown_reference":
            return Absent()
        if isinstance(state, Outcome):
            return cannot_tell(state)
        done = state.carried_out(mark, amendment.key)
        if done is None:
            return CannotTell("no_such_field", f"the workflow shows no field {mark}")
        return Found(amendment.gru_reference) if done else Absent()

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        if not self._options.poll:
            return Changes(cursor=cursor)
        return await PublikPoll(self._options, self._wcs, tracked, cursor, self.context.now()).run()

    def proven(self, head: WebhookCall) -> bool | None:
        # w.c.s. signs the query alone, so the body is not needed here.
        keys = [one.get_secret_value() for one in self._options.webhook_key or ()]
        try:
            signed = parse_signed(head.raw_query)
            if signed is None:
                return False
            verify_query(signed, keys, self.context.now())
        except SignatureFault:
            return False
        return True

    async def webhook(self, hook: WebhookCall) -> Changes:
        if not self.proven(hook):
            return Changes(failure=Refused("unproven"))
        try:
            return Changes(await beside(len(hook.body), lambda: self._pushed(hook.body)))
        except Unreadable:
            return Changes(failure=Refused("unreadable_answer", "it is no request of w.c.s."))

    def _pushed(self, body: bytes) -> Sequence[Any]:
        """Return the changes in a whole request that w.c.s. posts. Raises Unreadable."""
        told = read_json(body)
        if not isinstance(told, dict) or request_number(told) is None:
            raise Unreadable
        path = str(told.get("api_url") or "").rstrip("/").split("/")
        if path[-2:-1] != [self._options.form]:
            raise Unreadable
        return [*read_changes(told, named_statuses(told), self._options)]

    async def erase(self, reference: str, gru_reference: str | None) -> Outcome:
        hook, number = self._options.erase_hook, gru_reference
        if hook is None:
            return await super().erase(reference, gru_reference)
        if number is None:
            finding = await self.find(reference)
            if isinstance(finding, CannotTell):
                return TryLater(finding.reason, finding.detail, finding.after, finding.answer)
            number = finding.reference if isinstance(finding, Found) else None
            if number is None:
                absent = ErasureAnswer(ErasureResult.ABSENT)
                return Accepted(proof={"held": "no"}, erasure=absent)
        body = {"evenement": f"{reference}-erasure", "nature": "erasure", "reference": reference}
        failure = await self._wcs.hook(number, hook, body, FilePlaceholders(), safe=True)
        if failure is not None and not (
            isinstance(failure, Refused) and failure.reason == "unknown_reference"
        ):
            return failure
        # Ask again: a hook may do nothing, or do it later. A list shows no erased request.
        rows = await self._wcs.rows({"filter-identifier": number})
        if isinstance(rows, Outcome):
            return rows
        if rows:
            return TryLater("not_erased", "the action ran, and the list still has the request")
        # One that is anonymised is in no list, and can still be read by its number.
        # Its roles may be gone with it: then it is there, and not for us to read.
        left = await self._wcs.state(number)
        if isinstance(left, TryLater | Unsure):
            return left
        gone = isinstance(left, Refused) and left.reason == "unknown_reference"
        result = ErasureResult.ERASED if gone else ErasureResult.ANONYMISED
        return Accepted(number, proof={"listed": "no"}, erasure=ErasureAnswer(result))


def _file(file: File, files: FilePlaceholders, key: str) -> Mapping[str, Any]:
    place = files.of(file, base64=True)
    return {"filename": file.filename, "content_type": file.content_type, key: place}


def _value(row: Any, field: str) -> Any:
    """Return the value of a row's field, of the form or of the workflow."""
    workflow = row.get("workflow") if isinstance(row, dict) else None
    parts = (row, workflow) if isinstance(workflow, dict) else (row,)
    for part in parts:
        fields = part.get("fields") if isinstance(part, dict) else None
        if isinstance(fields, dict) and fields.get(field) is not None:
            return fields[field]
    return None


__all__ = ["PublikAdapter"]
