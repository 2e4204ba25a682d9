"""The readable half of what is given to a person about their data: one French page, written request
by request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gateway.contracts.report import render_page
from gateway.core.linking import AccountLink
from gateway.flow.person import HeldPerson
from gateway.store.person import HeldRequest

_ORIGINS: Final = {"portal": "L'usager", "gru": "La commune", "gateway": "La passerelle"}
_YES_NO: Final = {True: "oui", False: "non"}
#: Values of one event that the page shows; all are in the JSON.
_MOST: Final = 2_000
END: Final = "</main>\n</body>\n</html>\n"


def page_head(found: HeldPerson, links: Sequence[AccountLink], at: datetime) -> str:
    """Return the page up to its first request; `END` closes it."""
    page = render_page("person_page.html.j2", found=found, links=links, at=at)
    return page[: page.rindex("</body>")]


def page_part(one: HeldRequest, names: Mapping[str, str]) -> str:
    """Return the part of one request. `names` are the files' places by the id of the attachment."""
    events = [
        (event, None if event["body"] is None else [*values_of(event["body"])])
        for event in one.event
    ]
    given = {"one": one, "events": events, "names": names, "origins": _ORIGINS}
    return render_page("person_request.html.j2", **given)


def values_of(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the values of an event with their dotted names, without empty ones, up to a bound."""
    found = 0
    stack: list[tuple[str, Any]] = [("", body)]
    while stack and found < _MOST:
        name, value = stack.pop()
        if isinstance(value, Mapping):
            stack += [(f"{name}.{key}".lstrip("."), value[key]) for key in reversed([*value])]
        elif isinstance(value, list):
            stack += [(f"{name}.{n + 1}", value[n]) for n in reversed(range(len(value)))]
        elif value is not None and value != "":
            found += 1
            yield name, _YES_NO[value] if isinstance(value, bool) else str(value)
