"""Recognises texts in a GRU's journal that we wrote ourselves: they are no news."""

from __future__ import annotations

from gateway.core.echo import WrittenText, fingerprint, is_echo, texts, unsigned
from gateway.core.mapping import RequestMapping
from gateway.core.render import Unmappable, render
from gateway.store.history import RequestHistory
from gateway.store.rows import IncomingChange


def echo_names(
    mapping: RequestMapping, news: IncomingChange, message: str, memory: RequestHistory
) -> tuple[str, ...]:
    """List the names to remember of a text that we wrote; none when it is not ours."""
    mark = fingerprint(message)
    heard = sum(one.startswith(f"echo:{mark}:") for one in memory.heard)
    claimed = f"claimed:{mark}"
    if (
        news.key is not None
        and heard
        and {f"state:{mark}", claimed} & memory.heard == {f"state:{mark}"}
    ):
        return (claimed,)  # the list of notes repeats it
    at = news.at if news.dated and news.key is not None else None
    bare = unsigned(message, [memory.request_id, *(one.key for one in memory.sent())])
    if not is_echo(bare, at, _written(mapping, memory), heard):
        return ()
    return (f"echo:{mark}:{heard + 1}",)


def _written(mapping: RequestMapping, memory: RequestHistory) -> list[WrittenText]:
    """Return what we wrote into the GRU about this request."""
    found: list[WrittenText] = []
    for one in memory.sent():
        message = (one.body.get("event") or {}).get("message")
        if isinstance(message, str):
            found.append(WrittenText(message, one.since, one.until))
        rendered = render(mapping, one.body, one.kind)
        if not isinstance(rendered, Unmappable):
            found += [WrittenText(t, one.since, one.until) for t in texts(rendered.payload)]
    return found
