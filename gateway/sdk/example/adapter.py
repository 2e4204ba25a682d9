"""An adapter for a ticketing system with a small JSON API, which the README describes."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, Field

import gateway.sdk as kit

T = TypeVar("T")
EVENTS = frozenset(kit.EventKind) - {kit.EventKind.CREATION}
say = kit.Messages(kit.Text("tickets", "the list of tickets", "", "la liste des tickets", ""))


class ExampleOptions(kit.Options):
    endpoint: str = Field(pattern=r"^https?://[^/?#\s]+$")
    key: kit.Secret = Field(min_length=8)
    webhook_secret: kit.Secret = Field(min_length=16)


class ExampleEntry(BaseModel):
    id: str
    key: str | None = None
    text: str = ""
    public: bool = False
    at: AwareDatetime


class ExampleTicket(BaseModel):
    id: str = Field(min_length=1)
    external_id: str | None = None
    status: str = ""
    updated_at: AwareDatetime | None = None
    entries: tuple[ExampleEntry, ...] = ()


class ExampleAdapter(kit.Adapter):
    kind = "example"
    version = "1"
    sdk = "1.0"
    Options = ExampleOptions

    @property
    def capabilities(self) -> kit.Capabilities:
        return kit.Capabilities(
            find=True,
            find_amend=EVENTS,
            amends=EVENTS,
            files=kit.Files.WITHIN,
            statuses=True,
            webhook=True,
            erase=True,
            sends_reference=True,
        )

    async def check(self) -> Sequence[kit.Note]:
        found = await self._call(
            "GET", "tickets", list[ExampleTicket], params={"external_id": "TDG-0"}
        )
        if isinstance(found, kit.Outcome):
            return [kit.Note.fault(say("tickets"), found, aloud=not self.context.production)]
        return [kit.Note("ok", say("tickets"))]

    async def submit(self, submission: kit.Submission) -> kit.Outcome:
        body = {**submission.payload, "external_id": submission.reference}
        made = await self._call("POST", "tickets", ExampleTicket, body, submission.files)
        return made if isinstance(made, kit.Outcome) else kit.Accepted(made.id)

    async def find(self, reference: str, gru_reference: str | None = None) -> kit.Finding:
        found = await self._call(
            "GET", "tickets", list[ExampleTicket], params={"external_id": reference}
        )
        if isinstance(found, kit.Outcome):
            return kit.cannot_tell(found)
        ours = [ticket for ticket in found if ticket.external_id == reference]
        return kit.Found(ours[0].id) if ours else kit.Absent()

    async def amend(self, amendment: kit.Amendment) -> kit.Outcome:
        path = f"tickets/{quote(amendment.gru_reference, safe='')}/entries"
        body = {**amendment.payload, "key": amendment.key, "text": amendment.message}
        made = await self._call("POST", path, Any, body, amendment.files)
        return made if isinstance(made, kit.Outcome) else kit.Accepted(amendment.gru_reference)

    async def find_amend(self, amendment: kit.Amendment) -> kit.Finding:
        path = f"tickets/{quote(amendment.gru_reference, safe='')}/entries"
        found = await self._call("GET", path, list[ExampleEntry])
        if isinstance(found, kit.Outcome):
            return kit.cannot_tell(found)
        held = any(entry.key == amendment.key for entry in found)
        return kit.Found(amendment.gru_reference) if held else kit.Absent()

    async def statuses(self, tracked: Sequence[kit.Tracked], cursor: str | None) -> kit.Changes:
        since = {"changed_since": cursor} if cursor else {}
        found = await self._call("GET", "tickets", list[ExampleTicket], params=since)
        if isinstance(found, kit.Outcome):
            return kit.Changes(cursor=cursor, failure=found)
        times = [ticket.updated_at.isoformat() for ticket in found if ticket.updated_at]
        return kit.Changes([*changes(found)], max(times, default=cursor))

    async def webhook(self, hook: kit.WebhookCall) -> kit.Changes:
        secret = self.options.webhook_secret.get_secret_value().encode()
        size = len(hook.body)
        right = await kit.beside(size, lambda: signature(secret, hook.body))
        if not hmac.compare_digest(right, hook.headers.get("x-signature", "").encode()):
            return kit.Changes(failure=kit.Refused("unproven"))
        try:
            ticket = await kit.beside(
                size, lambda: ExampleTicket.model_validate(kit.read_json(hook.body))
            )
            return kit.Changes([*changes([ticket])])
        except ValueError:
            return kit.Changes(failure=kit.Refused("unreadable_answer", "it is no ticket"))

    async def erase(self, reference: str, gru_reference: str | None) -> kit.Outcome:
        path = f"tickets/{quote(gru_reference or '', safe='')}/person"
        gone = await self._call("DELETE", path, Any)
        return gone if isinstance(gone, kit.Outcome) else kit.Accepted(gru_reference)

    async def _call(
        self,
        method: str,
        path: str,
        into: type[T],
        body: Any = None,
        files: Sequence[kit.File] = (),
        **more: Any,
    ) -> T | kit.Outcome:
        places = kit.FilePlaceholders()
        if files:
            held = [{"name": one.filename, "content": places.of(one, base64=True)} for one in files]
            body = {**body, "files": held}
        headers = {"authorization": f"Bearer {self.options.key.get_secret_value()}"}
        url, client = f"{self.options.endpoint}/{path}", self.context.client
        request = client.build_request(method, url, json=body, headers=headers, **more)
        texts = await kit.beside(kit.weight(body), lambda: [*kit.texts_in(body)])
        sent = [*kit.secrets_in(self.options), *texts]
        safe = method != "POST"
        whole = places.filled(request)
        return await kit.call_far_end(client, whole, safe=safe, into=into, sent=sent)


def signature(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


def changes(tickets: Iterable[ExampleTicket]) -> Iterable[kit.Change]:
    for one in tickets:
        yield kit.Change(gru_reference=one.id, status=one.status, at=one.updated_at)
        for entry in one.entries:
            yield kit.Change(
                key=entry.id,
                gru_reference=one.id,
                message=kit.note_text(entry.text),
                public=entry.public,
                at=entry.at,
                sender_key=entry.key,
            )
