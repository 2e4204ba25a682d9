"""The register of linked accounts: found, listed, confirmed, ended, destroyed with an account."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.catalogue.catalogue import Settings
from gateway.core.errors import GatewayError
from gateway.core.linking import AccountLink, LinkHasher
from gateway.core.request import Json
from gateway.flow.texts import say
from gateway.store import linked, trail
from gateway.store.engine import Store
from gateway.store.linked import StoredLink

log = structlog.get_logger()

#: The trail of what operators did to links, without identity.
STREAM = "links"
_NONCE = 12
#: Links read at once.
PAGE = 200


class LinkCipher:
    """Seals what the database holds of links (AES-256-GCM). `place` binds it to its row."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, place: str, value: Mapping[str, Json]) -> str:
        """Return a sealed value, as text."""
        nonce = os.urandom(_NONCE)
        told = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        packed = nonce + self._cipher.encrypt(nonce, told, place.encode())
        return base64.b64encode(packed).decode("ascii")

    def unseal(self, place: str, sealed: str) -> dict[str, Any]:
        """Return what was sealed. Raises ValueError for another key's, or another row's."""
        try:
            packed = base64.b64decode(sealed)
            told = self._cipher.decrypt(packed[:_NONCE], packed[_NONCE:], place.encode())
        except InvalidTag:
            raise ValueError("not sealed with this key") from None
        value: dict[str, Any] = json.loads(told)
        return value


class LinkFinder(Protocol):
    """Finds what a mapping reads as `link`."""

    async def document(self, commune: str, account: str | None) -> dict[str, Json] | None: ...


@dataclass(frozen=True, slots=True)
class LinkRegister:
    """The links of all communes. One per process."""

    store: Store
    key: bytes = field(repr=False)

    @property
    def hasher(self) -> LinkHasher:
        return LinkHasher(self.key)

    @property
    def cipher(self) -> LinkCipher:
        return LinkCipher(self.hasher.sealing_key)

    def stored(self, link: AccountLink, account: str, asked: str) -> StoredLink:
        """Return a link as it is stored; `account` is the GLC account, `asked` the id of the
        portal's request that it answers."""
        hasher = self.hasher
        value = {
            "account": link.account,
            "glc": account,
            "acr": link.acr,
            "claims": dict(link.claims),
            "asked": asked,
        }
        return StoredLink(
            link.commune,
            link.identity,
            hasher.of_account(link.commune, account),
            hasher.of_portal(link.commune, link.account),
            self.cipher.seal(_place(link.commune, link.identity), value),
            link.linked_at,
        )

    async def find(self, commune: str, account: str | None) -> AccountLink | None:
        """Return the link of a GLC account at a commune. Raises Unavailable."""
        if account is None:
            return None
        rows = await self.store.read(linked.find, [self.hasher.of_account(commune, account)])
        return next(iter(self._links(rows)), None)

    async def of_identity(self, commune: str, identity: str) -> AccountLink | None:
        """Return the link of a citizen as a commune knows them. Raises Unavailable."""
        row = await self.store.read(linked.by_identity, commune, identity)
        return None if row is None else next(iter(self._links([row])), None)

    async def document(self, commune: str, account: str | None) -> dict[str, Json] | None:
        """Return what a mapping reads as `link`. Raises Unavailable."""
        found = await self.find(commune, account)
        return None if found is None else found.document()

    async def of_account(self, account: str) -> list[AccountLink]:
        """Return all links of a GLC account. Raises Unavailable."""
        communes = await self.store.read(linked.linked_communes)
        marks = [self.hasher.of_account(commune, account) for commune in communes]
        return self._links(await self.store.read(linked.find, marks))

    async def accounts(self) -> frozenset[str]:
        """Return the GLC accounts of all links. Raises as `every`."""
        return frozenset([value["glc"] async for _, value in self._rows(None)])

    async def every(self, commune: str | None = None) -> AsyncIterator[AccountLink]:
        """Yield all links, or all of a commune. Raises Unavailable, and GatewayError where none of
        them opens: it is another key than theirs."""
        async for row, value in self._rows(commune):
            yield _link(row, value)

    async def _rows(self, commune: str | None) -> AsyncIterator[tuple[StoredLink, dict[str, Any]]]:
        after, opened, closed = ("", ""), 0, 0
        while rows := await self.store.read(linked.links_page, commune, after, PAGE):
            for row in rows:
                value = self._opened(row)
                if value is None:
                    closed += 1
                    continue
                opened += 1
                yield row, value
            after = (rows[-1].commune, rows[-1].identity)
        if closed and not opened:
            raise GatewayError(say("other_link_key", count=closed))

    async def links_page(self, commune: str, after: str, limit: int) -> list[AccountLink]:
        """List links of a commune by identity, from after one on. Raises Unavailable."""
        rows = await self.store.read(linked.links_page, commune, (commune, after), limit)
        return self._links(rows)

    async def confirm(self, commune: str, identity: str, asked: str) -> AccountLink | None:
        """Let the proposed link that answers the request `asked` count; None where there is none.
        Raises Unavailable."""

        def meant(row: StoredLink) -> bool:
            return (self._opened(row) or {}).get("asked") == asked

        row = await self.store.write(linked.confirm, commune, identity, meant)
        return None if row is None else next(iter(self._links([row])), None)

    async def unlink(
        self, commune: str, *, identity: str | None = None, account: str | None = None
    ) -> int:
        """Drop a link by its identity, or all links of an account at the commune's portal; return
        how many. Raises Unavailable."""
        if identity is not None:
            return await self.store.write(linked.unlink, commune, identity)
        mark = self.hasher.of_portal(commune, account or "")
        return await self.store.write(linked.unlink_portal_account, commune, mark)

    async def unlink_by_hand(
        self, commune: str, identity: str | None, account: str | None, by: str, now: datetime
    ) -> int:
        """As `unlink`, by an operator, whose name the trail keeps."""
        count = await self.unlink(commune, identity=identity, account=account)
        if count:
            data = {"commune": commune, "by": by, "links": count}
            await self.store.write(trail.append, STREAM, "unlinked", data, now)
        return count

    async def end_of_account(self, account: str, by: str, why: str, now: datetime) -> int:
        """End all links of a GLC account, as the person asks; the trail keeps by whom and why.
        Return how many. Raises Unavailable."""

        def end(connection: Any) -> int:
            count = self.destroy(connection, account)
            if count:
                data = {"by": by, "why": why, "links": count}
                trail.append(connection, STREAM, "unlinked", data, now)
            return count

        return await self.store.write(end)

    def destroy(self, connection: Any, account: str) -> int:
        """Destroy all links of a GLC account, and the sessions in which it makes some, within the
        caller's transaction; return how many links."""
        hasher = self.hasher
        marks = [hasher.of_account(one, account) for one in linked.linked_communes(connection)]
        return linked.destroy(connection, marks, hasher.of_session("account", account))

    def drop_commune(self, connection: Any, commune: str) -> int:
        """Drop all links of a commune, within the caller's transaction; return how many."""
        return linked.drop_commune(connection, commune)

    async def end_sessions(self, commune: str) -> int:
        """End the sessions in which an account is being linked with this commune's portal; return
        how many. Raises Unavailable."""
        marks = []
        for mark, text in await self.store.read(linked.open_sessions):
            with suppress(ValueError):  # of another key: it opens nothing, and goes in time
                request = self.cipher.unseal(f"link_session {mark}", text).get("request")
                if request is not None and request["commune"] == commune:
                    marks.append(mark)
        for mark in marks:
            await self.store.write(linked.close_session, mark)
        return len(marks)

    def _links(self, rows: Iterable[StoredLink]) -> list[AccountLink]:
        read = ((row, self._opened(row)) for row in rows)
        return [_link(row, value) for row, value in read if value is not None]

    def _opened(self, row: StoredLink) -> dict[str, Any] | None:
        """Return what a link holds; None for one that is damaged, or another key's."""
        try:
            return self.cipher.unseal(_place(row.commune, row.identity), row.sealed)
        except ValueError:
            log.error("link.damaged", commune=row.commune)
            return None


def _link(row: StoredLink, value: Mapping[str, Any]) -> AccountLink:
    return AccountLink(
        row.commune, row.identity, value["account"], row.linked_at, value["acr"], value["claims"]
    )


def _place(commune: str, identity: str) -> str:
    return f"account_link {commune} {identity}"


def open_register(settings: Settings, store: Store) -> LinkRegister | None:
    """Return the register of links; None where accounts are not linked."""
    glc = settings.glc
    if glc is None or glc.openid is None:
        return None
    return LinkRegister(store, glc.openid.link_key.get_secret_value().encode())
