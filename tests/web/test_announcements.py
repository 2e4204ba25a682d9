"""A commune reads an announcement by the link of its mail, and says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from gateway.core.outcome import Accepted, Outcome
from gateway.flow import announcements
from gateway.flow.announcements import Announcement, AnnouncementPlan, announcements_of
from gateway.flow.incidents import IncidentDesk
from tests.web.harness import NOW, Gateway

BRON, LYON = "69029", "69123"
BEGINS = NOW + timedelta(days=5)


async def announced(gw: Gateway, ends: datetime | None = BEGINS + timedelta(hours=1)) -> str:
    """Announce to two communes, and return the address that Bron's mail holds."""
    plan = AnnouncementPlan(
        "Mise à jour <b>", "Ligne 1\nLigne 2", BEGINS, ends, (BRON, LYON), "Ana Fictive"
    )
    engine = gw.engine
    rules = engine.catalogue.settings.announcements
    one = await announcements.announce(engine.store, engine.environment, rules, plan)
    return engine.announcements.link(one.id, BRON).partition("invalid")[2]


async def bron(gw: Gateway) -> Announcement:
    (one,) = await announcements_of(gw.database, BRON, gw.clock[0])
    return one


async def test_opening_the_page_notes_nothing_and_its_button_does(gw: Gateway) -> None:
    link = await announced(gw)
    shown = await gw.client.get(link)
    assert shown.status_code == 200
    assert "Mise à jour &lt;b&gt;" in shown.text
    assert "Bron (69029)" in shown.text
    assert "J'ai lu cette annonce" in shown.text
    assert "script" not in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert all(one.read_at is None for one in (await bron(gw)).communes)
    read = await gw.client.post(link)
    assert (read.status_code, read.headers["location"].endswith(link)) == (303, True)
    assert "Lecture enregistrée" in (await gw.client.get(link)).text
    told = {one.commune: (one.read_at, one.read_by) for one in (await bron(gw)).communes}
    assert told == {BRON: (NOW, "lien"), LYON: (None, None)}
    assert (
        (await gw.client.get("/annonces/style.css")).headers["content-type"].startswith("text/css")
    )


async def test_a_link_opens_its_own_announcement_for_its_own_commune(gw: Gateway) -> None:
    link = await announced(gw)
    _, _, name, _, token = link.split("/")
    for wrong in (
        f"/annonces/{name}/{LYON}/{token}",
        f"/annonces/ANN-AUTRE/{BRON}/{token}",
        f"/annonces/{name}/{BRON}/{token[:-1]}{'0' if token[-1] != '0' else '1'}",
        f"/annonces/{name}/{BRON}/é",
    ):
        for answer in (await gw.client.get(wrong), await gw.client.post(wrong)):
            assert answer.status_code == 404
            assert "Introuvable" in answer.text
            assert "Mise à jour" not in answer.text
            assert "/annonces/style.css" in answer.text
    assert all(one.read_at is None for one in (await bron(gw)).communes)


async def test_what_is_cancelled_says_why_and_asks_nothing(gw: Gateway) -> None:
    link = await announced(gw, None)
    one = await bron(gw)
    await announcements.cancel(gw.database, one.id, "reportée à 2027", "Ana Fictive", now=NOW)
    shown = (await gw.client.get(link)).text
    assert "annulée : reportée à 2027" in shown
    assert "<form" not in shown


async def test_the_mail_goes_by_the_queue_of_incidents_and_bears_the_link(gw: Gateway) -> None:
    link = await announced(gw)
    sent: list[tuple[Sequence[str], str, str]] = []

    async def send(to: Sequence[str], subject: str, text: str, name: str) -> Outcome:
        sent.append((to, subject, text))
        return Accepted()

    engine = gw.engine
    commune = engine.catalogue.communes[BRON]
    object.__setattr__(commune, "contacts", {"technical": "dsi@bron.exemple"})
    desk = IncidentDesk(
        engine.store, engine.far_ends, engine.environment, send, engine.announcements
    )
    await desk.send_notes()
    ((to, subject, text),) = sent
    assert list(to) == ["dsi@bron.exemple"]
    assert re.match(r"Toodego, Bron \(69029\) : maintenance planifiée le 28/11/2026", subject)
    assert link in text
    assert "Ligne 1\nLigne 2" in text
    one = await bron(gw)
    # Lyon has no contact, and so was not told.
    assert [(c.commune, one.told_in_time(c)) for c in one.communes] == [(BRON, True), (LYON, False)]
    await announcements.cancel(gw.database, one.id, "reportée", "Ana Fictive", now=gw.clock[0])
    await desk.send_notes()
    assert [subject for _, subject, _ in sent[1:]] == [
        f"Toodego, Bron (69029) : annonce annulée ({one.id})"
    ]
    assert "reportée" in sent[1][2]
