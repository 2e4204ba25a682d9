"""The adapter: one commune that takes requests as folders, and answers by files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from adapters.sftp.formats import flat_fields
from adapters.sftp.options import SftpOptions
from adapters.sftp.packing import packed
from adapters.sftp.reasons import REASONS
from adapters.sftp.texts import say
from gateway.sdk import (
    Accepted,
    Adapter,
    Amendment,
    CannotTell,
    Capabilities,
    Changes,
    Context,
    EventKind,
    File,
    Files,
    Filing,
    Finding,
    Found,
    Note,
    Options,
    Outcome,
    Refused,
    Submission,
    Tracked,
    identifier,
    rehearse,
)

#: Our own names in each file.
RESERVED: Final = frozenset({"reference", "nature", "evenement", "fichiers"})
#: The nature of a folder that asks to erase what the commune holds of a request.
ERASURE: Final = "effacement"
_EVENTS: Final = frozenset(EventKind) - {EventKind.CREATION}


class SftpAdapter(Adapter):
    """Writes each request as one folder, and each later event as one more.

    The commune gives no number: a request is known by our reference. The first call loads asyncssh,
    which takes a while.
    """

    kind: ClassVar[str] = "sftp"
    version: ClassVar[str | None] = "1"
    Options: ClassVar[type[Options]] = SftpOptions
    reasons = REASONS

    def __init__(self, options: SftpOptions, context: Context) -> None:
        super().__init__(options, context)
        self._options = options

    @property
    def capabilities(self) -> Capabilities:
        finds = not self._options.removed or bool(self._options.moved_to)
        return Capabilities(
            find=finds,
            find_amend=_EVENTS if finds else frozenset(),
            files=Files.WITHIN,
            amends=_EVENTS,
            statuses=self._options.returns is not None,
            asks_to_erase=True,
            sends_reference=True,
        )

    async def check(self) -> Sequence[Note]:
        if self.context.connector is None:
            return [Note("ok", say("sftp"))]
        from adapters.sftp.checking import check_depot

        production = self.context.production
        return await check_depot(self._options, self.context.connector, production=production)

    async def submit(self, submission: Submission) -> Outcome:
        fields = {"reference": submission.reference, "nature": EventKind.CREATION.value}
        name = identifier(submission.reference)
        payload, filing = submission.payload, submission.filing
        outcome = await self._put(name, fields, payload, submission.files, filing)
        if isinstance(outcome, Accepted):
            return Accepted(submission.reference, proof=outcome.proof)
        return outcome

    async def find(self, reference: str, gru_reference: str | None = None) -> Finding:
        finding = await self._find(identifier(reference), reference)
        return Found(reference) if isinstance(finding, Found) else finding

    async def amend(self, amendment: Amendment) -> Outcome:
        fields = {
            "reference": amendment.reference,
            "nature": amendment.kind.value,
            "evenement": amendment.key,
        }
        payload = dict(amendment.payload)
        if amendment.message is not None:
            payload.setdefault("message", amendment.message)
        name = identifier(amendment.reference, amendment.key)
        outcome = await self._put(name, fields, payload, amendment.files, amendment.filing)
        if isinstance(outcome, Accepted):
            return Accepted(amendment.gru_reference or None, proof=outcome.proof)
        return outcome

    async def ask_to_erase(self, reference: str, gru_reference: str | None) -> Outcome:
        name = identifier(reference, ERASURE)
        return await self._put(name, {"reference": reference, "nature": ERASURE}, {})

    async def find_amend(self, amendment: Amendment) -> Finding:
        name = identifier(amendment.reference, amendment.key)
        return await self._find(name, amendment.reference)

    async def statuses(self, tracked: Sequence[Tracked], cursor: str | None) -> Changes:
        returns, connector = self._options.returns, self.context.connector
        if returns is None or connector is None:
            return Changes(cursor=cursor)
        from adapters.sftp.returning import ReturnPoll

        return await ReturnPoll(self._options, returns, connector).run(cursor)

    async def _put(
        self,
        name: str,
        fields: Mapping[str, str],
        payload: Mapping[str, Any],
        files: Sequence[File] = (),
        filing: Filing | None = None,
    ) -> Outcome:
        taken = sorted(RESERVED & set(payload))
        if taken:
            return Refused("unmappable", f"{', '.join(taken)}: names of ours")
        package = packed(name, {**fields, **payload}, files, filing, self._options)
        if isinstance(package, Refused):
            return package
        if self.context.connector is None:
            shown = flat_fields({**fields, **payload})
            path = f"{self._options.folder}/{name}"
            return await rehearse(self.context.client, path, shown, files)
        from adapters.sftp.sending import put_down

        return await put_down(package, self._options, self.context.connector)

    async def _find(self, name: str, reference: str) -> Finding:
        if self.context.connector is None or not self.capabilities.find:
            return CannotTell("no_find", "the commune takes folders away", forever=True)
        from adapters.sftp.sending import look_for

        return await look_for(name, reference, self._options, self.context.connector)


__all__ = ["SftpAdapter"]
