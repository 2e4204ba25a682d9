"""The invariants of the pass, checked once a seed has come to rest.

The tables are read with plain SQL and the far ends by looking into the simulators, so that nothing
here leans on the code under test. Texts are unique per request and event, and tell what is whose.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from gateway.sim.open311 import Open311
from gateway.sim.ticketing import Ticketing
from tests.flow.rig import SLUG

if TYPE_CHECKING:
    from tests.chaos.simulation import Simulation


#: What the mapping tells the portal of a ticket's status.
_WORDS = {
    "new": "acceptee",
    "open": "acceptee",
    "in_progress": "en_cours",
    "planned": "planifiee",
    "resolved": "terminee",
}


def held_there(sim: Simulation, delivery: str) -> bool:
    """Return whether a person finds a delivery at the far end."""
    (row,) = sim.disk.rows(
        "SELECT d.kind, r.id, r.commune, r.ref, e.key, d.attachment_id, d.event_id"
        " FROM delivery d JOIN request r ON r.id = d.request_id JOIN event e ON e.id = d.event_id"
        " WHERE d.id = ?",
        delivery,
    )
    kind, request, commune, ref, key, attachment, event_id = row
    if kind == "report":
        return any(one.get("evenement") == event_id for one in sim.town.portal.events(SLUG, ref))
    gru = sim.town.grus[commune]
    if kind == "submit":
        return bool(_tickets(gru, ref))
    if attachment is not None:
        assert isinstance(gru, Ticketing)
        ((digest,),) = sim.disk.rows("SELECT address FROM attachment WHERE id = ?", attachment)
        return digest in _files_at(gru, ref)
    return key in _events_at(gru, ref, request)


def check(sim: Simulation) -> None:
    """Report every breach of a seed to it."""
    rows, breach = sim.disk.rows, sim.breach
    stuck = rows(
        "SELECT kind, lane, state, reason, count(*) FROM delivery"
        " WHERE state NOT IN ('done', 'discarded') GROUP BY 1, 2, 3, 4"
    )
    for kind, lane, state, reason, count in stuck:
        breach("lost", f"{count} {kind} on {lane} never ended: {state} ({reason})")
    requests = dict(rows("SELECT ref, id FROM request"))
    for ref, commune in sim.happened.forms.items():
        gone = ref in sim.happened.erased
        _creation(sim, ref, commune, requests, gone=gone)
        if ref in requests:
            _amendments(sim, ref, commune, requests[ref], gone=gone)
            _reports(sim, ref, requests[ref], gone=gone)
            if not gone:
                _silenced(sim, ref, commune)
    _notes(sim)
    _echoes(sim)
    if sim.happened.erased:
        _erasure(sim, requests)


def _creation(
    sim: Simulation, ref: str, commune: str, requests: dict[str, str], *, gone: bool
) -> None:
    tickets = _tickets(sim.town.grus[commune], ref)
    if gone:
        return  # an erased ticket no longer tells whose it was: see `_erasure`
    if ref not in requests:
        sim.breach("lost", f"formdata {ref} was never taken in")
    elif not tickets:
        sim.breach("lost", f"formdata {ref} never came to the GRU of {commune}")
    if len(tickets) > 1:
        sim.breach("twice", f"formdata {ref} was created {len(tickets)} times at {commune}")


def _amendments(sim: Simulation, ref: str, commune: str, request: str, *, gone: bool) -> None:
    if gone:
        return
    gru = sim.town.grus[commune]
    there = _events_at(gru, ref, request)
    for key, times in Counter(there).items():
        if times > 1:
            sim.breach("twice", f"event {key} of {ref} is {times} times at {commune}")
    for _, kind, key in sorted(one for one in sim.happened.taken if one[0] == ref):
        if key not in there:
            sim.breach("lost", f"{kind} {key} of {ref} was answered 2xx, {commune} lacks it")
    owed = [
        row[0]
        for row in sim.disk.rows(
            "SELECT e.key FROM delivery d JOIN event e ON e.id = d.event_id"
            " WHERE d.request_id = ? AND d.kind = 'amend' AND d.attachment_id IS NULL"
            " ORDER BY d.seq",
            request,
        )
    ]
    if [key for key in owed if key in there] != _first_of_each(there):
        sim.breach("disordered", f"events of {ref} at {commune}: {there}, owed {owed}")
    files = sim.disk.rows(
        "SELECT a.address FROM attachment a JOIN event e ON e.id = a.event_id"
        " WHERE a.request_id = ? AND e.origin = 'portal'",
        request,
    )
    if not isinstance(gru, Ticketing):
        return
    for (digest,) in files:
        times = _files_at(gru, ref).count(digest)
        if times != 1:
            what = "lost" if times == 0 else "twice"
            sim.breach(what, f"a file of {ref} is {times} times at {commune}")


def _reports(sim: Simulation, ref: str, request: str, *, gone: bool) -> None:
    given = sim.town.portal.events(SLUG, ref)
    told = [one["evenement"] for one in given if "evenement" in one]  # a file alone names none
    for event, times in Counter(told).items():
        if times > 1:
            sim.breach("twice", f"report {event} of {ref} was executed {times} times")
    owed = sim.disk.rows(
        "SELECT event_id, state FROM delivery"
        " WHERE request_id = ? AND kind = 'report' ORDER BY seq",
        request,
    )
    for event, state in owed:
        if state == "done" and event not in told and not gone:
            sim.breach("lost", f"report {event} of {ref} is done, the portal never ran it")
    if [event for event, _ in owed if event in told] != _first_of_each(told):
        sim.breach("disordered", f"reports of {ref}: {told}")


def _notes(sim: Simulation) -> None:
    said: Counter[str] = Counter()
    for one in sim.town.portal.received:
        payload: Any = one.payload
        if payload.get("message"):
            said[payload["message"]] += 1
    for text, ref in sim.happened.public.items():
        if said[text] > 1:
            sim.breach("twice", f"the agents' {text} was told {said[text]} times")
        if not said[text] and ref not in sim.happened.erased:
            sim.breach("lost", f"the agents' {text} was never told to {ref}")
    for text in sorted(sim.happened.internal):
        if said[text]:
            sim.breach("revived", f"the internal {text} was told to the citizen")


def _echoes(sim: Simulation) -> None:
    """Find citizens' own words that came back as the commune's."""
    for one in sim.town.portal.received:
        text = str(one.payload.get("message") or "")
        if "MESSAGE-" in text:
            sim.breach("echoed", f"the citizen's own {text} came back to {one.id}")


def _silenced(sim: Simulation, ref: str, commune: str) -> None:
    """Check that the last report to the citizen is the ticket's last status."""
    gru = sim.town.grus[commune]
    cancelled = any(one[:2] == (ref, "annulation") for one in sim.happened.pushed)
    if not isinstance(gru, Ticketing) or cancelled:
        return
    for ticket in _tickets(gru, ref):
        word = _WORDS.get(ticket.status)
        given = [one.get("statut") for one in sim.town.portal.events(SLUG, ref)]
        told = [word for word in given if word]  # a note alone names none
        if word is not None and (not told or told[-1] != word):
            sim.breach("silenced", f"{ref} stands at {ticket.status}, told {told}")


def _erasure(sim: Simulation, requests: dict[str, str]) -> None:
    rows = sim.disk.rows
    for (state,) in rows("SELECT state FROM erasure WHERE state <> 'closed'"):
        sim.breach("lost", f"an erasure never closed: {state}")
    for ref in sorted(sim.happened.erased):
        request = requests.get(ref)
        text = f"DEMANDE-{ref}-FIN"
        if request is not None:
            ((left,),) = rows(
                "SELECT count(*) FROM event WHERE request_id = ? AND body IS NOT NULL", request
            )
            if left:
                sim.breach("revived", f"{left} events of the erased {ref} can be read")
        commune = sim.happened.forms[ref]
        gru = sim.town.grus[commune]
        by_hand = (
            request is not None
            and rows(
                "SELECT count(*) FROM delivery"
                " WHERE request_id = ? AND kind = 'erase' AND state = 'discarded'",
                request,
            )[0][0]
        )
        if isinstance(gru, Ticketing) and not by_hand:
            for ticket in gru.tickets:
                if text in json.dumps(ticket.as_json()):
                    sim.breach("revived", f"ticket {ticket.id} at {commune} holds erased {ref}")


def _tickets(gru: Ticketing | Open311, ref: str) -> list[Any]:
    text = f"DEMANDE-{ref}-FIN"
    if isinstance(gru, Open311):
        return [one for one in gru.tickets if text in (one.param("description") or "")]
    return [one for one in gru.tickets if text in str(one.payload.get("description"))]


def _files_at(gru: Ticketing, ref: str) -> list[str]:
    """The SHA-256 of the files that a GRU holds of a formdata: it is not told their names."""
    found = [one.content for ticket in _tickets(gru, ref) for one in ticket.documents]
    return [hashlib.sha256(content).hexdigest() for content in found]


def _events_at(gru: Ticketing | Open311, ref: str, request: str) -> list[str]:
    """The keys of the later events that a GRU holds, in its order, repeats included."""
    if isinstance(gru, Open311):
        prefix = f"{request}-"
        return [
            (one.sender_id or "").removeprefix(prefix)
            for one in gru.updates
            if (one.sender_id or "").startswith(prefix)
        ]
    return [
        one.external_id
        for ticket in _tickets(gru, ref)
        for one in ticket.comments
        if one.external_id is not None
    ]


def _first_of_each(keys: list[str]) -> list[str]:
    return list(dict.fromkeys(keys))
