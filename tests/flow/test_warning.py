"""A commune that fetches nothing for days is told by mail, once a step, however long it takes."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.core.outcome import Accepted, Misconfigured, Outcome, TryLater
from gateway.flow.warning import CommuneWarner
from tests.web.harness import Gateway
from tests.web.pivot_town import filed, pivot_town
from tests.web.test_mailbox import INSEE, LANE, claim

CONTACTS = {"technical": "dsi@villeurbanne.exemple", "functional": "usagers@villeurbanne.exemple"}


@dataclass
class Relay:
    """Keeps the notes that it took; `answers` are its next ones."""

    answers: list[Outcome] = field(default_factory=list)
    notes: list[tuple[list[str], str, str, str]] = field(default_factory=list)
    asked: int = 0

    async def send(self, recipients: Sequence[str], subject: str, text: str, name: str) -> Outcome:
        self.asked += 1
        answer = self.answers.pop(0) if self.answers else Accepted()
        if isinstance(answer, Accepted):
            self.notes.append((list(recipients), subject, text, name))
        return answer


@pytest.fixture
async def gw(tmp_path: Path, template: Path) -> AsyncIterator[Gateway]:
    async with pivot_town(tmp_path, template) as found:
        yield found


def warner(gw: Gateway, relay: Relay | None, contacts: dict[str, str] = CONTACTS) -> CommuneWarner:
    far_ends = gw.engine.far_ends
    communes = dict(far_ends.catalogue.communes)
    communes[INSEE] = dataclasses.replace(communes[INSEE], contacts=contacts)
    far_ends.catalogue = dataclasses.replace(far_ends.catalogue, communes=communes)
    send = None if relay is None else relay.send
    return dataclasses.replace(gw.engine.warner, send=send)


async def untold(gw: Gateway) -> dict[str, Any]:
    timers = (await gw.client.get("/ops/health")).json()["timers"]
    return {name: one for name, one in timers.items() if name.startswith("not_fetched:")}


async def test_it_is_told_after_three_and_after_nine_days_once_each(gw: Gateway) -> None:
    reference = await filed(gw, INSEE, fields={"commune_raw": INSEE, "description": "Chez Zoé"})
    relay = Relay()
    warn = warner(gw, relay).warn
    counts = []
    for days in range(12):
        await warn()
        await warn()
        counts.append(len(relay.notes))
        gw.advance(days=1)
        assert (days, counts[-1]) == (days, (days >= 3) + (days >= 9))
    (recipients, subject, text, _), (_, second, _, _) = relay.notes
    assert recipients == list(CONTACTS.values())
    assert (subject, "9 jours" in second) == (
        "Toodego, Villeurbanne : rien n'est relevé depuis 3 jours",
        True,
    )
    assert "1 message attend" in text
    assert "Zoé" not in text + subject
    assert reference not in text + subject
    assert await untold(gw) == {}


async def test_an_absence_that_ends_is_forgotten_and_the_next_is_told_anew(gw: Gateway) -> None:
    relay = Relay()
    warn = warner(gw, relay).warn
    await filed(gw, INSEE, "7")
    gw.advance(days=3)
    await warn()
    await claim(gw, lease=3600)
    await warn()
    await filed(gw, INSEE, "8")
    gw.advance(days=3)
    await warn()
    names = [name for *_, name in relay.notes]
    assert len(names) == 2
    assert len(set(names)) == 2, "another absence is another note"


async def test_a_relay_that_is_down_is_tried_again_and_health_tells_meanwhile(gw: Gateway) -> None:
    await filed(gw, INSEE)
    gw.advance(days=3)
    relay = Relay([TryLater("unreachable"), Misconfigured("access_denied")])
    warn = warner(gw, relay).warn
    for failure in ("unreachable", "access_denied"):
        await warn()
        found = await untold(gw)
        told = found[f"not_fetched:{LANE}:3"]
        assert (told["state"], told["failure"], bool(told["says"])) == ("degraded", failure, True)
    own = (await gw.client.get(f"/ops/communes/{INSEE}")).json()
    assert f"not_fetched:{LANE}:3" in own["timers"]
    gw.advance(days=6)
    await warn()
    await warn()
    assert (relay.asked, len(relay.notes)) == (3, 1), "the first step is over"
    assert "9 jours" in relay.notes[0][1]
    assert await untold(gw) == {}


@pytest.mark.parametrize(
    ("relay", "contacts", "failure"),
    [
        (None, CONTACTS, "no_mail_relay"),
        (Relay(), {"technical": "04 00 00 00 00"}, "no_contact"),
        (Relay(), {"technical": "Zoé <zoe@exemple.invalid>, x@y.invalid"}, "no_contact"),
    ],
)
async def test_health_tells_that_nobody_could_be_told(
    gw: Gateway, relay: Relay | None, contacts: dict[str, str], failure: str
) -> None:
    await filed(gw, INSEE)
    gw.advance(days=3)
    await warner(gw, relay, contacts).warn()
    (told,) = (await untold(gw)).values()
    assert told["failure"] == failure
