"""Reminds by mail whoever must erase by hand at a commune: at once, a week before the deadline, at
the deadline, and each week after it.

What was told is remembered, in the cursors, until the commune has answered; the same for who could
not be told, which health shows. A note may come twice, where we died after it had gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.patterns import MAIL_ADDRESS
from gateway.core import reasons
from gateway.core.lane_name import GruLane
from gateway.core.outcome import Accepted, Misconfigured, Outcome
from gateway.flow.environment import Environment
from gateway.flow.far_ends import FarEnds
from gateway.flow.judging import outcome_word
from gateway.flow.warning import Send
from gateway.sdk.publik.localtime import PARIS
from gateway.store import cursors, erasure_answers
from gateway.store.engine import Store
from gateway.store.erasure_answers import Todo

log = structlog.get_logger()

#: Seconds between two looks, and two tries.
EVERY = 3600.0
NAME = "to_erase:"
#: Roles of a commune's contacts who are asked to erase, the first that there is.
ROLES = ("effacement", "dpo", "functional", "technical")
WEEK = timedelta(days=7)
#: Numbers written into one note.
_MOST = 50
_ADDRESS = re.compile(MAIL_ADDRESS)


def responsible(catalogue: Catalogue, insee: str) -> str | None:
    """Return whom a commune names for erasures, as `role: contact`; None for nobody."""
    commune = catalogue.communes.get(insee)
    contacts: Mapping[str, str] = {} if commune is None else commune.contacts
    roles = [*(role for role in ROLES if role in contacts), *contacts]
    return f"{roles[0]}: {contacts[roles[0]]}" if roles else None


@dataclass(frozen=True, slots=True)
class ErasureReminders:
    """Reminds communes. One per process. `send` hands a note to the relay; None: there is none."""

    store: Store
    far_ends: FarEnds
    environment: Environment
    send: Send | None

    async def remind(self) -> None:
        """Tell each commune that is due to be told, and forget those that answered. Raises
        Unavailable."""
        now = self.environment.now()
        todos = await self.store.read(erasure_answers.todo)
        known = {
            name: one
            for name, one in (await self.store.read(cursors.get_all)).items()
            if name.startswith(NAME)
        }
        due: set[str] = set()
        for name, some in groupby(sorted(todos, key=_name), _name):
            tasks = list(some)
            due.add(name)
            step = step_due(tasks[0].due_at, now)
            told = known.get(name)
            if told is None or told.value != step or told.failure is not None:
                await self._remind(name, step, tasks, now)
        for name in known.keys() - due:
            await self.store.write(cursors.forget, name)

    async def _remind(self, name: str, step: str, tasks: list[Todo], now: datetime) -> None:
        outcome = await self._send(name, step, tasks, now)
        failure = None
        first = tasks[0]
        if isinstance(outcome, Accepted):
            log.info("erasure.reminded", erasure=first.erasure_id, commune=first.commune, step=step)
        else:
            failure = reasons.of(outcome.reason or outcome_word(outcome)).word
            log.warning("erasure.not_reminded", erasure=first.erasure_id, reason=failure)
        await self.store.write(cursors.move, name, step, now, failure)

    async def _send(self, name: str, step: str, tasks: list[Todo], now: datetime) -> Outcome:
        if self.send is None:
            return Misconfigured("no_mail_relay")
        named = responsible(self.far_ends.catalogue, tasks[0].commune)
        address = "" if named is None else named.partition(": ")[2]
        if not _ADDRESS.match(address):
            return Misconfigured("no_contact")
        subject, text = _note(tasks, now)
        return await self.send([address], subject, text, f"{name.replace(':', '.')}.{step}")


def _name(task: Todo) -> str:
    return f"{NAME}{GruLane(task.commune, task.gru)}:{task.erasure_id}"


def step_due(due_at: datetime | None, now: datetime) -> str:
    """Name the reminder that is due: a step comes once."""
    if due_at is None or now < due_at - WEEK:
        return "first"
    return "week" if now < due_at else f"late{(now - due_at) // WEEK}"


def _note(tasks: Iterable[Todo], now: datetime) -> tuple[str, str]:
    """Return subject and text. It has the numbers of the commune's own GRU, without which nobody
    could find what to erase, and nothing else of a citizen."""
    tasks = list(tasks)
    first, count = tasks[0], len(tasks)
    what = "1 demande à effacer" if count == 1 else f"{count} demandes à effacer"
    end = first.due_at.astimezone(PARIS).strftime("%d/%m/%Y") if first.due_at else "non fixée"
    late = first.due_at is not None and first.due_at <= now
    subject = f"Toodego, {first.commune} : {what} avant le {end}"
    if late:
        subject = f"Toodego, {first.commune} : {what}, échéance du {end} dépassée"
    lines = "\n".join(
        f"  - {one.gru_reference or 'numéro inconnu de nous'} (notre référence {one.request_id})"
        for one in tasks[:_MOST]
    )
    more = f"\n  et {count - _MOST} autres" if count > _MOST else ""
    text = f"""\
Bonjour,

Des usagers ont supprimé leur compte, ou demandé l'effacement de leurs données. La GRU
« {first.gru} » ne peut pas effacer d'elle-même : une personne de la commune doit le faire.

Effacement {first.erasure_id}, {what}, échéance : {end}{" (dépassée)" if late else ""}

{lines}{more}

À faire : effacer ou anonymiser ces demandes dans la GRU, puis l'indiquer à la Métropole, qui
l'enregistre (erasure done). Si une règle impose de les conserver, indiquer laquelle, jusqu'à
quelle date, et qui l'a décidé ; si la GRU ne les a pas, le dire aussi.

La passerelle Toodego (message automatique, ne pas répondre)
"""
    return subject, text


__all__ = ["EVERY", "NAME", "ErasureReminders", "responsible", "step_due"]
