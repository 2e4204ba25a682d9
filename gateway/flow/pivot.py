"""The use cases of a commune's own half-connector: it tells changes, and reads files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from gateway.catalogue.catalogue import Catalogue, Gru
from gateway.core.content import EDGE, InMemory
from gateway.core.errors import Rejected, Unavailable
from gateway.core.mapping import canonical
from gateway.flow.changes import ChangeReceiver
from gateway.flow.far_ends import FarEnds
from gateway.flow.files import FileOpener
from gateway.sdk import Adapter, Change, Document, File, FileLinks, beside, read_base64
from gateway.sdk.pivot import PivotClient
from gateway.sdk.pivot_models import MOST_ERRORS, PivotChange, PivotDocument
from gateway.store import pivot
from gateway.store.engine import Store
from gateway.store.pivot import KeyedChange, KeyedReception
from gateway.store.rows import StoredRequest
from gateway.wire.files import is_disguised, true_type

#: A file that is read by its link must begin to come within so many seconds.
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class PivotFault:
    """One thing wrong in a call; `pointer` is the field at fault (JSON Pointer), if one is."""

    word: str
    text: str
    pointer: str | None = None


class PivotRefusal(Rejected):
    """A call of a half-connector that is refused: `status` and `word` are those of the first of its
    `faults`, of which there is one at least."""

    def __init__(
        self,
        status: int,
        word: str,
        text: str,
        pointer: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, word, text)
        self.faults: tuple[PivotFault, ...] = (PivotFault(word, text, pointer),)
        self.headers = headers or {}

    @classmethod
    def of(cls, status: int, faults: Sequence[PivotFault], count: int) -> PivotRefusal:
        """Return the refusal of a call with these faults, the first of `count`."""
        first = faults[0]
        others = f" {count} fautes en tout, dans `errors`." if count > 1 else ""
        found = cls(status, first.word, first.text + others, first.pointer)
        found.faults = tuple(faults)
        return found


def left() -> PivotRefusal:
    """Return the refusal of a commune that leaves, or has left."""
    text = "La commune n'est plus raccordée à la passerelle : rien n'est plus pris ni remis."
    return PivotRefusal(410, "commune_left", text)


@dataclass(frozen=True, slots=True)
class PivotDesk:
    """Serves half-connectors. One per process."""

    store: Store
    far_ends: FarEnds
    changes: ChangeReceiver
    files: FileOpener
    largest: int

    @property
    def catalogue(self) -> Catalogue:
        return self.far_ends.catalogue

    def client(self, name: str) -> tuple[Gru, PivotClient] | None:
        """Return the half-connector of this name, `69029.main`; None when there is none."""
        found = self._adapter(name)
        return None if found is None or found[1].pivot is None else (found[0], found[1].pivot)

    def links(self, name: str) -> tuple[Gru, FileLinks] | None:
        """Return the GRU of this name that is given links to files; None when there is none."""
        found = self._adapter(name)
        return None if found is None or found[1].links is None else (found[0], found[1].links)

    def has_left(self, name: str) -> bool:
        """Has the commune of this half-connector left? Its secrets prove nothing any more."""
        return self.far_ends.departures.is_gone(name.partition(".")[0])

    def check_open(self, gru: Gru) -> None:
        """Raises PivotRefusal 410 when nothing of this commune is taken any more."""
        if self.far_ends.departures.is_settled(gru.commune):
            raise left()

    def _adapter(self, name: str) -> tuple[Gru, Adapter] | None:
        insee, _, instance = name.partition(".")
        commune = self.catalogue.communes.get(insee)
        gru = None if commune is None else commune.grus.get(instance)
        if gru is None:
            return None
        adapter = self.far_ends.adapters.get(gru.lane_name)
        return None if adapter is None else (gru, adapter)

    async def record_change(self, gru: Gru, reference: str, change: PivotChange) -> bool:
        """Take a change in, all of it or nothing: was it known already?

        Raises PivotRefusal: 404 for a request that is not the commune's, 410 for an erased one, 409
        for a key that said something else, 413 and 422 for what cannot be taken; Unavailable.
        """
        found = await self._request(gru, reference)
        faults = self._faults_of_status(found, change)
        read = [await self._document(n, d) for n, d in enumerate(change.documents)]
        documents = tuple([one for one in read if isinstance(one, Document)])
        faults += [one for one in read if isinstance(one, PivotFault)]
        if faults:
            status = 413 if faults[0].word == "document_too_large" else 422
            raise PivotRefusal.of(status, faults[:MOST_ERRORS], len(faults))
        await self._look_for_viruses(documents)
        told = await beside(
            sum(len(one.content) for one in documents), partial(_digest, change, documents)
        )
        keyed = KeyedChange(found.id, _short(change.key), told, change.gru_reference)
        reception = await self.changes.take_keyed(
            gru, keyed, _items(found.id, change, tuple(documents))
        )
        if reception is KeyedReception.ERASED:
            raise _erased()
        if reception is KeyedReception.CONFLICT:
            text = "Cette clé a déjà servi pour un autre contenu."
            raise PivotRefusal(409, "key_conflict", text, "/key")
        return reception is KeyedReception.KNOWN

    async def file(self, gru: Gru, reference: str, sha256: str) -> File:
        """Return a citizen's file of a request. Raises PivotRefusal 404, 410, and Unavailable."""
        found = await self._request(gru, reference)
        kept = await self.store.read(pivot.attachment, found.id, sha256)
        if kept is None:
            raise PivotRefusal(404, "unknown_file", "Cette demande n'a pas ce fichier.")
        file = self.files.of(kept)
        if await self.files.withheld([kept], PATIENCE) is not None:
            raise Unavailable("the object store of the attachments does not answer")
        return file

    async def _request(self, gru: Gru, reference: str) -> StoredRequest:
        found = None
        if reference.isascii() and reference.isprintable() and len(reference) <= 100:
            found = await self.store.read(pivot.find_request, gru.commune, gru.name, reference)
        if found is None:
            raise PivotRefusal(404, "unknown_request", "Aucune demande de ce nom chez vous.")
        if found.erased_at is not None:
            raise _erased()
        return found

    def _faults_of_status(self, found: StoredRequest, change: PivotChange) -> list[PivotFault]:
        """Return what is wrong with a status: the mapping would keep it from the citizen."""
        if change.status is None:
            return []
        mapping = self.catalogue.route(found.portal, found.commune, found.teleservice).mapping
        if canonical(mapping, change.status.value) is not None:
            return []
        known = ", ".join(sorted(mapping.statuses))
        text = f"La correspondance ne connaît pas cet état. Connus : {known}."
        return [PivotFault("unknown_status", text, "/status")]

    async def _document(self, n: int, document: PivotDocument) -> Document | PivotFault:
        """Return a document, or what is wrong with it. Its type is what its bytes say."""
        place = f"/documents/{n}/content"
        read = partial(read_base64, document.content)
        content = await beside(len(document.content), read)
        if not content:
            return PivotFault("unreadable_document", "Ce contenu n'est pas en Base64.", place)
        if len(content) > self.largest:
            text = f"Un document a au plus {self.largest} octets."
            return PivotFault("document_too_large", text, place)
        if is_disguised(document.content_type, content):
            text = "Ce contenu est une page ou un programme, annoncé sous un autre type."
            return PivotFault("dangerous_document", text, f"/documents/{n}/content_type")
        kind = true_type(document.content_type, content[:EDGE], content[-EDGE:])
        return Document(document.filename, kind, content)

    async def _look_for_viruses(self, documents: Sequence[Document]) -> None:
        size = sum(len(one.content) for one in documents)
        contents = await beside(size, partial(_contents, documents))
        infected = await self.changes.antivirus.infected(contents)
        for n, one in enumerate(contents):
            if one.sha256 in infected:
                text = "L'antivirus a reconnu un virus dans ce document."
                raise PivotRefusal(422, "infected_document", text, f"/documents/{n}/content")


def _contents(documents: Sequence[Document]) -> list[InMemory]:
    return [InMemory(one.content) for one in documents]


def _items(reference: str, change: PivotChange, documents: tuple[Document, ...]) -> list[Change]:
    """Return what the commune says in public, and what stays inside."""
    items = [
        Change(
            key=change.key,
            reference=reference,
            status=None if change.status is None else change.status.value,
            message=change.public,
            public=True,
            at=change.at,
            documents=documents,
        )
    ]
    if change.internal is not None:
        inside = Change(f"{change.key} internal", reference=reference, message=change.internal)
        items.append(inside)
    return items


def _digest(change: PivotChange, documents: tuple[Document, ...]) -> str:
    said: Mapping[str, object] = change.model_dump(mode="json", exclude={"documents"})
    files = [
        (one.filename, one.content_type, hashlib.sha256(one.content).hexdigest())
        for one in documents
    ]
    return hashlib.sha256(orjson.dumps([said, files])).hexdigest()[:32]


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _erased() -> PivotRefusal:
    text = "La personne a été effacée : rien d'elle n'est plus reçu ni donné."
    return PivotRefusal(410, "erased", text)
