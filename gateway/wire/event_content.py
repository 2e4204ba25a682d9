"""The content of an event: what tells it from others, and its own files."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import orjson

from gateway.core.content import InMemory
from gateway.core.request import EventKind, Json
from gateway.wire.event import AnnouncedEvent
from gateway.wire.files import IncomingFile
from gateway.wire.formdata import Formdata
from gateway.wire.history import words_of

_NOTHING = InMemory(b"")


def digest(formdata: Formdata) -> str:
    """Return the SHA-256 of what the citizen sent, the same for a pushed and a pulled formdata.

    Fields (a file by name and content), user, id and form slug count; status, history, times,
    roles, actions, workflow data, `extra` and URLs do not.
    """
    files = [
        {"filename": f.filename, "sha256": None if f.content is None else f.content.sha256}
        for f in formdata.files
    ]
    user = formdata.user
    value = {
        "slug": formdata.slug,
        "ref": formdata.ref,
        "user": None if user is None else [user.name, user.email, user.uuid],
        "fields": placed(formdata.fields, files),
    }
    return _sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def content_of(formdata: Formdata, event: AnnouncedEvent) -> str:
    """Return the hash of an event's content; the whole formdata where the event is about it."""
    if event.kind is EventKind.CREATION or (event.kind is EventKind.CHANGE and formdata.fields):
        return digest(formdata)
    files = _sent_along(formdata)
    if event.kind is EventKind.DOCUMENT and not files:
        files = sorted(_hash_of(f) for f in formdata.files)
    return spoken(event, files)


def spoken(event: AnnouncedEvent, files: Sequence[str] = ()) -> str:
    """Return the hash of an event of words alone, with `files` by their hashes."""
    said = [event.kind.value]
    if event.kind is not EventKind.CANCELLATION:
        said += [words_of(event.message), *files]
    return _sha256("\n".join(said).encode())


def without_form(formdata: Formdata) -> Formdata:
    """Reduce an event to its `extra`, with the files in it."""
    # They come last. A form's field may be called `extra` too, so names do not tell.
    first = min(_places_in(formdata.extra), default=len(formdata.files))
    places = [{"file": n - first} for n in range(len(formdata.files))]
    return dataclasses.replace(
        formdata,
        fields={},
        workflow_fields={},
        extra=placed(formdata.extra, places),
        location=None,
        files=formdata.files[first:],
    )


def _places_in(value: Json) -> Iterator[int]:
    if isinstance(value, Mapping):
        if value.keys() == {"file"} and isinstance(value["file"], int):
            yield value["file"]
        else:
            yield from chain.from_iterable(map(_places_in, value.values()))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(_places_in, value))


def placed(value: Json, places: Sequence[Json]) -> Any:
    """Replace the place of each lifted file by the value in `places`."""
    if not places:
        return value
    if isinstance(value, Mapping):
        if value.keys() == {"file"} and isinstance(value["file"], int):
            return places[value["file"]]
        return {k: placed(v, places) for k, v in value.items()}
    return [placed(v, places) for v in value] if isinstance(value, list) else value


def sent_along(field: str) -> bool:
    """Is a file the event's own? Others are the form's, which comes whole each time."""
    return field.startswith("extra.")


def _sent_along(formdata: Formdata) -> list[str]:
    return sorted(_hash_of(f) for f in formdata.files if sent_along(f.field))


def _hash_of(file: IncomingFile) -> str:
    return (file.content or _NOTHING).sha256


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
