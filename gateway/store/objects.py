"""An object store (S3, or a folder that all replicas share) for files' bytes: all of `obstore`.

Faults are told by the error's class and S3's own code only: their text can hold addresses and keys.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from gateway.core.content import Content
from gateway.core.errors import GatewayError, Unavailable
from gateway.core.messages import Messages, Text
from gateway.store.bucket import Bucket, BucketRefused, code_in

#: Bytes of one part of a large upload: S3's minimum. Smaller files go in one call.
PART: Final = 5 * 1024 * 1024
#: Bytes of a file read at once.
RANGE: Final = 1024 * 1024
#: Seconds of one small call; and of an upload, below the portal's patience of 28.
PATIENCE: Final = 10.0
UPLOAD_PATIENCE: Final = 20.0

#: The options of an S3 store. An `http://` endpoint is used as it is.
S3_OPTIONS: Final = frozenset(
    {
        "access_key_id",
        "secret_access_key",
        "session_token",
        "region",
        "endpoint",
        "virtual_hosted_style_request",
        "unsigned_payload",
        "checksum_algorithm",
    }
)
#: Those of them that are given by reference only.
S3_SECRETS: Final = frozenset({"secret_access_key", "session_token"})


class BadObjects(GatewayError):
    """The object store's address or an option cannot be used; the text holds no secret."""


# fmt: off
say: Final = Messages(
    Text("folder_address", "the folder is given as file:///absolute/path", "",
         "le dossier s'écrit file:///chemin/complet", ""),
    Text("folder_options", "a folder has no options", "", "un dossier n'a pas d'options", ""),
    Text("bucket_address", "a bucket is given as s3://bucket/prefix", "",
         "un seau s'écrit s3://seau/prefixe", ""),
    Text("objects_address",
         "the attachments' address is s3://bucket/prefix or file:///folder", "",
         "l'adresse des pièces jointes est s3://seau/prefixe ou file:///dossier", ""),
    Text("no_s3_option", "no such option of an S3 store: {names}", "",
         "option inconnue d'un dépôt S3 : {names}", ""),
    Text("no_bucket", "the object store of the attachments has no such bucket",
         "make it, or mend `url`",
         "le dépôt d'objets des pièces jointes n'a pas ce seau", "le créer, ou corriger `url`"),
    Text("no_key", "the object store of the attachments does not know the key",
         "mend access_key_id",
         "le dépôt d'objets des pièces jointes ne connaît pas la clé", "corriger access_key_id"),
    Text("no_secret", "the object store of the attachments takes the key's secret for wrong",
         "mend secret_access_key, or region",
         "pour le dépôt d'objets des pièces jointes, le secret de la clé est faux",
         "corriger secret_access_key, ou region"),
    Text("wrong_clock", "for the object store of the attachments, our clock is wrong",
         "set the clock (NTP)",
         "pour le dépôt d'objets des pièces jointes, notre horloge est fausse",
         "mettre l'horloge à l'heure (NTP)"),
    Text("no_right", "the object store of the attachments lets this key not do everything",
         "give it the rights to put, get and delete there, and to list and end versions and"
         " unfinished uploads",
         "le dépôt d'objets des pièces jointes ne permet pas tout à cette clé",
         "lui donner le droit d'y poser, lire et supprimer, de lister et supprimer les versions,"
         " de lister et terminer les envois inachevés"),
    Text("objects_less", "the object store gave less than was kept there", "",
         "le dépôt d'objets a rendu moins que ce qui y était gardé", ""),
    Text("objects_other", "the object store gives something else than was put there", "",
         "le dépôt d'objets rend autre chose que ce qui y a été posé", ""),
    Text("objects_refuse", "the object store of the attachments refuses us",
         "see the key, its secret and its rights, and the clock",
         "le dépôt d'objets des pièces jointes nous refuse",
         "vérifier la clé, son secret et ses droits, et l'horloge"),
    Text("objects_silent", "the object store of the attachments does not answer ({error})", "",
         "le dépôt d'objets des pièces jointes ne répond pas ({error})", ""),
    Text("s3_options", "an S3 store with these options cannot be used ({error})", "",
         "un dépôt S3 ne peut servir avec ces options ({error})", ""),
)
# fmt: on
#: By S3's own word for it.
_WHY: Final = {
    "NoSuchBucket": "no_bucket",
    "InvalidAccessKeyId": "no_key",
    "SignatureDoesNotMatch": "no_secret",
    "RequestTimeTooSkewed": "wrong_clock",
    "AccessDenied": "no_right",
}


class Objects:
    """Objects by place. Every method raises Unavailable when the store does not answer."""

    def __init__(self, url: str, options: Mapping[str, str]) -> None:
        """Raises BadObjects. Does not call the store."""
        parts = urlsplit(url)
        self._folder: Path | None = None
        self._store: S3Store | LocalStore | None = None
        self.bucket: Bucket | None = None
        if parts.scheme == "file":
            if parts.netloc or not parts.path.strip("/"):
                raise BadObjects(say("folder_address"))
            if options:
                raise BadObjects(say("folder_options"))
            self._folder = Path(unquote(parts.path))
        elif parts.scheme == "s3":
            if not parts.hostname or parts.query or parts.fragment or "@" in parts.netloc:
                raise BadObjects(say("bucket_address"))
            self._store = _s3(url, options)
            if {"access_key_id", "secret_access_key"} <= options.keys():
                self.bucket = Bucket(url, options)
        else:
            raise BadObjects(say("objects_address"))

    @property
    def thorough(self) -> bool:
        """Does `delete` also remove versions and unfinished uploads? Not without keys of ours."""
        return self._folder is not None or self.bucket is not None

    async def put(self, place: str, content: Content) -> None:
        """Store the bytes at this place; when this returns they are durable."""
        try:
            async with asyncio.timeout(UPLOAD_PATIENCE):
                store = self._open()
                if content.size <= PART:
                    data = await asyncio.to_thread(content.read, 0, content.size)
                    await obstore.put_async(store, place, data, use_multipart=False)
                else:
                    await obstore.put_async(
                        store, place, _parts(content), chunk_size=PART, max_concurrency=2
                    )
                if self._folder is not None:
                    await asyncio.to_thread(_sync, self._folder, place)
        except (BaseError, OSError) as error:  # a TimeoutError is an OSError
            raise _unavailable(error) from None

    async def read(self, place: str, at: int, length: int) -> bytes:
        """Return `length` bytes from `at` on. A missing object is Unavailable like any other fault:
        the database knows whether it should be there."""
        try:
            async with asyncio.timeout(PATIENCE):
                store = self._open()
                if length == 0:
                    await obstore.head_async(store, place)
                    return b""
                found = bytes(await obstore.get_range_async(store, place, start=at, length=length))
        except (BaseError, OSError) as error:
            raise _unavailable(error) from None
        if len(found) != length:
            raise Unavailable(say("objects_less"))
        return found

    async def delete(self, place: str) -> None:
        """Remove the object, its versions and parts of unfinished uploads. A missing one is no
        fault."""
        try:
            async with asyncio.timeout(PATIENCE):
                store = self._open()
                if self._folder is not None:
                    await asyncio.to_thread(_remove, self._folder, place)
                    return
                try:
                    await obstore.delete_async(store, place)
                except FileNotFoundError as error:
                    if code_in(str(error)) == "NoSuchBucket":
                        raise
                if self.bucket is not None:
                    await asyncio.to_thread(self.bucket.end, place)
        except (BaseError, OSError, BucketRefused) as error:
            raise _unavailable(error) from None

    def _open(self) -> S3Store | LocalStore:
        # The folder is never made here: a share that is not mounted must not pass for an empty one.
        if self._folder is not None and not self._folder.is_dir():
            raise NotADirectoryError
        if self._store is None:
            self._store = LocalStore(self._folder)
        return self._store


def new_place() -> str:
    """Return a new unique place, which tells nothing about its content."""
    name = secrets.token_hex(20)
    return f"{name[:2]}/{name}"


def _s3(url: str, options: Mapping[str, str]) -> S3Store:
    unknown = sorted(options.keys() - S3_OPTIONS)
    if unknown:
        raise BadObjects(say("no_s3_option", names=tuple(unknown)))
    try:
        return S3Store.from_url(
            url,
            config={f"aws_{name}": value for name, value in options.items()},  # type: ignore[arg-type]
            client_options={
                "allow_http": options.get("endpoint", "").startswith("http://"),
                "connect_timeout": "3s",
                "timeout": "15s",
            },
            retry_config={"max_retries": 2},
        )
    except (BaseError, ValueError) as error:
        raise BadObjects(say("s3_options", error=_name(error))) from None


async def _parts(content: Content) -> AsyncIterator[bytes]:
    for at in range(0, content.size, RANGE):
        yield await asyncio.to_thread(content.read, at, min(RANGE, content.size - at))


def _sync(folder: Path, place: str) -> None:
    """Make the file private, and sync it and the folders that lead to it. obstore does neither."""
    path = folder / place
    path.parent.chmod(0o700)
    path.chmod(0o600)
    for one in (path, path.parent, folder):
        number = os.open(one, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _remove(folder: Path, place: str) -> None:
    """Remove the file, and what an interrupted upload left beside it (its name with a `#`)."""
    path = folder / place
    for left in path.parent.glob(f"{path.name}#*"):
        left.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


def _unavailable(error: Exception) -> Unavailable:
    code = error.code if isinstance(error, BucketRefused) else code_in(str(error))
    if code in _WHY:
        return Unavailable(say(_WHY[code]))
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return Unavailable(say("objects_refuse"))
    return Unavailable(say("objects_silent", error=code or _name(error)))


def _name(error: Exception) -> str:
    return type(error).__name__
