"""The adapter: one Open311 server of one commune."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from tenacity import AsyncRetrying, RetryError, retry_if_result, stop_after_attempt, wait_fixed

from adapters.open311.checking import check_server
from adapters.open311.client import GeoReport, as_setting
from adapters.open311.georeport import Row, format_time, text
from adapters.open311.options import Open311Options
from adapters.open311.parameters import (
    CREATE,
    CUT_MARK,
    UPDATE,
    Pairs,
    complete,
    creation_parameters,
    fitted,
)
from adapters.open311.polling import TOKEN, Open311Poll, number_of_token
from adapters.open311.reasons import REASONS
from adapters.open311.searching import AHEAD, find_reference, unanswered
from gateway.sdk import (
    Absent,
    Accepted,
    Adapter,
    Amendment,
    Capabilities,
    Changes,
    Context,
    EventKind,
    Files,
    Finding,
    Found,
    Note,
    Options,
    Outcome,
    Refused,
    Submission,
    Tracked,
    TryLater,
    Unsure,
    identifier,
)

#: The text of an event without words of its own: `description` is mandatory.
WORDLESS: Mapping[EventKind, str] = {
    EventKind.DOCUMENT: "L’usager a ajouté une pièce jointe.",
    EventKind.CHANGE: "L’usager a modifié sa demande.",
    EventKind.CANCELLATION: "L’usager a annulé sa demande.",
}


class Open311Adapter(Adapter):
    """GeoReport v2, with mySociety's updates when `updates` is set.

    A request whose number does not come within `token.tries` keeps the reference `token:XYZ`; a
    later poll or amendment replaces it by the number.
    """

    kind: ClassVar[str] = "open311"
    #: GeoReport v2's own two; a server may have more.
    status_words: ClassVar[frozenset[str]] = frozenset({"open", "closed"})
    version: ClassVar[str | None] = "1"
    Options: ClassVar[type[Options]] = Open311Options
    reasons = REASONS

    def __init__(self, options: Open311Options, context: Context) -> None:
        super().__init__(options, context)
        self._options = options
        self._server = GeoReport(options, context.client)

    @property
    def capabilities(self) -> Capabilities:
        options, updates = self._options, self._options.updates
        amends: set[EventKind] = set()
        if updates and updates.send:
            amends = {EventKind.MESSAGE, EventKind.CHANGE, EventKind.CANCELLATION}
            if options.media == "multipart":
                amends.add(EventKind.DOCUMENT)
        return Capabilities(
            find=options.find != "none",
            find_amend=frozenset(amends if updates and updates.duplicates != "none" else ()),
            files=Files.WITHIN if options.media == "multipart" else Files.NEVER,
            amends=frozenset(amends),
            sends_reference=bool(options.reference_attribute) or options.find == "by_text",
            statuses=options.poll != "none" or (updates is not None and updates.read),
        )

    async def check(self) -> Sequence[Note]:
        production = self.context.production
        return await check_server(
            self._options, self._server, self.context.now(), production=production
        )

    async def submit(self, submission: Submission) -> Outcome:
        pairs = self._pairs(self._referenced(submission), CREATE)
        if not isinstance(pairs, list):
            return pairs
        if lacking := complete(pairs):
            return lacking
        if self._options.reference_attribute:
            name = f"attribute[{self._options.reference_attribute}]"
            pairs = [pair for pair in pairs if pair[0] != name]
            pairs.append((name, submission.reference))
        files = submission.files if self._options.media == "multipart" else ()
        rows = await self._server.post("requests", pairs, files)
        if not isinstance(rows, list):
            # A creation finds nothing missing but settings: address, authority, service.
            return as_setting(rows)
        return await self._receipt(rows, dict(pairs)["service_code"])

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        if self._options.find == "none":
            return await super().find(reference, gru_reference)
        return await find_reference(self._options, self._server, reference, self.context.now())

    async def amend(self, amendment: Amendment) -> Outcome:
        updates = self._options.updates
        if updates is None or amendment.kind not in self.capabilities.amends:
            return await super().amend(amendment)
        payload = dict(amendment.payload)
        words = amendment.message or WORDLESS.get(amendment.kind)
        payload["description"] = payload.get("description") or words
        payload["status"] = payload.get("status") or updates.statuses.get(amendment.kind, "OPEN")
        pairs = self._pairs(payload, UPDATE)
        if not isinstance(pairs, list):
            return pairs
        if "description" not in dict(pairs):
            return Refused("unmappable", "an update needs a description")
        number = await self._number(amendment.gru_reference)
        if not isinstance(number, str):
            return number
        form = [(name, value.upper() if name == "status" else value) for name, value in pairs]
        form += [
            ("service_request_id", number),
            ("update_id", _update_id(amendment)),
            ("updated_datetime", format_time(self.context.now())),
        ]
        files = amendment.files if self._options.media == "multipart" else ()
        rows = await self._server.post("servicerequestupdates", form, files)
        if isinstance(rows, Refused) and rows.reason == "unknown":
            return Refused("unknown_reference", rows.detail, rows.answer)
        if not isinstance(rows, list):
            return rows
        theirs = next((theirs for row in rows if (theirs := text(row, "update_id"))), None)
        return Accepted(theirs, proof={"update_id": _update_id(amendment)})

    async def find_amend(self, amendment: Amendment) -> Finding:
        updates = self._options.updates
        if updates is None or not self.capabilities.find_amend:
            return await super().find_amend(amendment)
        if updates.duplicates == "deduplicated":
            # The server drops a repeated `update_id`, so sending again is harmless: Absent promises
            # no more.
            return Absent(called=False)
        now = self.context.now()
        window: Pairs = [
            ("start_date", format_time(now - timedelta(days=updates.window_days))),
            ("end_date", format_time(now + AHEAD)),
        ]
        rows = await self._server.get("servicerequestupdates", pairs=window)
        if not isinstance(rows, list):
            return unanswered(rows)
        wanted = _update_id(amendment)
        held = any(text(row, "update_id") == wanted for row in rows)
        return Found(wanted) if held else Absent()

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        if not self.capabilities.statuses:
            return Changes(cursor=cursor)
        now = self.context.now()
        return await Open311Poll(self._options, self._server, tracked, cursor, now).run()

    def _referenced(self, submission: Submission) -> Mapping[str, Any]:
        """Return the payload with our reference in the text that the search reads."""
        payload = submission.payload
        said = payload.get("description")
        if self._options.find != "by_text" or submission.reference in str(said or ""):
            return payload
        ending = f"\n\n[{submission.reference}]"
        room = self._options.description_max - len(ending)
        if isinstance(said, str) and len(said) > room and self._options.too_long == "cut":
            said = said[: room - len(CUT_MARK)] + CUT_MARK
        return {**payload, "description": f"{said or ''}{ending}".strip()}

    def _pairs(self, payload: Mapping[str, Any], known: frozenset[str]) -> Pairs | Refused:
        pairs = creation_parameters(payload, known, self._options)
        return pairs if isinstance(pairs, Refused) else fitted(pairs, self._options)

    async def _receipt(self, rows: Sequence[Row], service_code: str) -> Outcome:
        row: Row = rows[0] if rows else {}
        if number := text(row, "service_request_id"):
            return Accepted(number, self._link(number))
        token = text(row, "token")
        if token is None:
            if service_code in self._options.blackbox:
                return Accepted()
            return Unsure("no_number", "neither a number nor a token in the answer")
        # From here on the server has it: the outcome stays.
        found = await self._await_number(token)
        if found is None:
            return Accepted(TOKEN + token, proof={"token": token})
        return Accepted(found, self._link(found), {"token": token})

    async def _await_number(self, token: str) -> str | None:
        async def ask() -> str | None:
            answer = await number_of_token(self._server, token)
            return answer if isinstance(answer, str) else None

        return await _patiently(ask, self._options.token.tries, self._options.token.wait_s)

    async def _number(self, gru_reference: str) -> str | Outcome:
        if not gru_reference.startswith(TOKEN):
            return gru_reference or Refused("unknown_reference", "the server gave no number")
        number = await number_of_token(self._server, gru_reference.removeprefix(TOKEN))
        if number is None:
            return TryLater("number_pending", "the server has not turned its token into a number")
        return number

    def _link(self, number: str) -> str | None:
        return self._options.link.replace("{id}", number) if self._options.link else None


async def _patiently(
    ask: Callable[[], Awaitable[str | None]], tries: int, wait_s: float
) -> str | None:
    retrying = AsyncRetrying(
        stop=stop_after_attempt(tries),
        wait=wait_fixed(wait_s),
        retry=retry_if_result(lambda answer: answer is None),
    )
    try:
        return await retrying(ask)
    except RetryError:
        return None


def _update_id(amendment: Amendment) -> str:
    """Return our reference and the key, since a key is unique within its request only.

    GeoReport does not restrict identifiers; mySociety's server accepts word characters and dashes.
    """
    return identifier(amendment.reference, amendment.key)


__all__ = ["Open311Adapter"]
