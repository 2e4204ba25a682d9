"""The event that a formdata brings, in the words of a form's designer."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.errors import Rejected
from gateway.core.request import EventKind, Json
from gateway.core.richtext import is_html, to_text

WORDS: dict[str, EventKind] = {
    "creation": EventKind.CREATION,
    "message": EventKind.MESSAGE,
    "document": EventKind.DOCUMENT,
    "modification": EventKind.CHANGE,
    "change": EventKind.CHANGE,
    "annulation": EventKind.CANCELLATION,
    "cancellation": EventKind.CANCELLATION,
}
_MAX_KEY = 200
MAX_MESSAGE = 100_000


@dataclass(frozen=True, slots=True)
class AnnouncedEvent:
    """A creation or a later event, as the portal tells it. `message` is plain text. `key` is the
    workflow's name of it, None without one. A key may be unsound: another event may have it too."""

    kind: EventKind
    key: str | None = None
    message: str | None = None


#: A request that is new here.
CREATION = AnnouncedEvent(EventKind.CREATION)


def read_event(extra: Mapping[str, Json]) -> AnnouncedEvent:
    """Return the event in a payload's `action`, `event`, `evenement` and `message`.

    `action` is a word of `WORDS`, whatever its accents and case; `event` and `evenement` are a word
    or the event's key. Without any it is a creation.

    Raises Rejected: 400 for an unknown action or a malformed key, 413 for an endless message.
    """
    kind: EventKind | None = None
    key: str | None = None
    for name in ("action", "event", "evenement"):
        told = extra.get(name)
        text = _text(told)
        word = None if text is None else WORDS.get(_plain(text))
        if word is not None:
            kind = kind or word
        elif name == "action" and (text is not None or not isinstance(told, str | None)):
            # A list or object is no word; as a missing word it would make an event a creation.
            raise Rejected(
                400, "unknown_action", "L'action est inconnue ; admises : " + ", ".join(WORDS)
            )
        elif text is not None:
            key = key or text
    if key is not None and (len(key) > _MAX_KEY or not key.isprintable()):
        raise Rejected(400, "bad_event_key", "La clé de l'événement est mal formée.")
    return AnnouncedEvent(kind or EventKind.CREATION, key, _message(extra.get("message")))


def _text(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().strip().casefold()


def _message(value: object) -> str | None:
    text = _text(value)
    if text is None:
        return None
    if len(text) > MAX_MESSAGE:
        raise Rejected(413, "message_too_long", "Le message est trop long.")
    return (to_text(text) if is_html(text) else text) or None
