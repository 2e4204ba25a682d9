"""The number of recorded exchanges replayed each way; those left out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.recorded.recordings import exchanges


@dataclass(frozen=True)
class Part:
    """One topic, one way: `replayed` exchanges, and the reason why each other one is left out."""

    replayed: int
    left_out: Mapping[int, str] = field(default_factory=dict)


_NOT_ASKED = "the gateway never makes this call"
#: The simulator is sent a list made for it, of the recorded length; the gateway asks in batches.
_NO_BODY = "the request's body was not kept in the recording"
_OTHER_API = "an API of w.c.s. or Authentic that the gateway does not use"
_ACTION = "an action of the recorded workflow alone, which anonymises, unlinks or deletes"

#: The gateway takes the push, or its client understands the answer.
GATEWAY: dict[str, Part] = {
    "01-pushes": Part(11),
    "02-list": Part(30),
    "03-formdata": Part(23),
    "04-schema": Part(6, dict.fromkeys((6, 7, 8), _NOT_ASKED)),
    "05-hooks": Part(44),
    "06-users-and-submit": Part(0, dict.fromkeys(range(12), _OTHER_API)),
    "07-authentic": Part(
        19,
        dict.fromkeys(range(17, 22), _NO_BODY)
        | dict.fromkeys((22, 23, 24, 26, 28, 29, 30, 31, 32), _OTHER_API),
    ),
    "10-anonymised": Part(24, {0: _OTHER_API} | dict.fromkeys((*range(6, 11), 29), _ACTION)),
}

#: The simulated portal and Authentic answer (or push) as recorded.
SIMULATOR: dict[str, Part] = {
    "01-pushes": Part(11),
    "02-list": Part(30),
    "03-formdata": Part(23),
    "04-schema": Part(9),
    "05-hooks": Part(44),
    "06-users-and-submit": Part(2, dict.fromkeys(range(10), _OTHER_API)),
    "07-authentic": Part(24, dict.fromkeys((22, 23, 24, 26, *range(28, 33)), _OTHER_API)),
    "10-anonymised": Part(24, {0: _OTHER_API} | dict.fromkeys((*range(6, 11), 29), _ACTION)),
}


def replayed(way: Mapping[str, Part], topic: str) -> list[int]:
    """The numbers of a topic's exchanges that are replayed."""
    return [one.number for one in exchanges(topic) if one.number not in way[topic].left_out]
