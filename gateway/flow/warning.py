"""Tells a commune by mail that it has fetched nothing for days: once after three, once after nine.

What was told is remembered, in the cursors, as long as the commune stays away; the same for who
could not be told, which health shows. A note may come twice, where we died after it had gone.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from gateway.catalogue.catalogue import Catalogue, Commune, Gru
from gateway.catalogue.patterns import MAIL_ADDRESS
from gateway.core import reasons
from gateway.core.outcome import Accepted, Misconfigured, Outcome
from gateway.flow.environment import Environment
from gateway.flow.judging import outcome_word
from gateway.flow.mailbox import LATE, VERY_LATE, CommuneMailbox
from gateway.store import cursors
from gateway.store.engine import Store

log = structlog.get_logger()

#: Seconds between two looks, and two tries.
EVERY = 3600.0
NAME = "not_fetched:"
_ADDRESS = re.compile(MAIL_ADDRESS)
#: Addresses of one commune that are written to.
_MOST = 10
Send = Callable[[Sequence[str], str, str, str], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class CommuneWarner:
    """Tells communes. One per process. `send` hands a note to the relay; None: there is none."""

    store: Store
    mailbox: CommuneMailbox
    environment: Environment
    send: Send | None

    @property
    def catalogue(self) -> Catalogue:
        return self.mailbox.far_ends.catalogue

    async def warn(self) -> None:
        """Tell each commune that is due to be told, and forget those that came. Raises
        Unavailable."""
        late = await self.mailbox.late()
        known = {
            name: one
            for name, one in (await self.store.read(cursors.get_all)).items()
            if name.startswith(NAME)
        }
        due: set[str] = set()
        for commune in self.catalogue.communes.values():
            for gru in commune.grus.values():
                age = late.get(gru.lane_name)
                if age is None:
                    continue
                due |= {_name(gru, LATE), _name(gru, VERY_LATE)}
                step = VERY_LATE if age >= VERY_LATE else LATE
                name = _name(gru, step)
                if name not in known or known[name].failure is not None:
                    await self._warn_commune(commune, gru, age, name)
                if step is VERY_LATE:
                    due.discard(_name(gru, LATE))  # what it could not be told then is over
        for name in known.keys() - due:
            await self.store.write(cursors.forget, name)

    async def _warn_commune(self, commune: Commune, gru: Gru, age: timedelta, name: str) -> None:
        outcome = await self._send_note(commune, gru, age, name)
        failure = None
        if isinstance(outcome, Accepted):
            log.info("commune.warned", lane=gru.lane_name, days=age.days)
        else:
            failure = reasons.of(outcome.reason or outcome_word(outcome)).word
            log.warning("commune.not_warned", lane=gru.lane_name, reason=failure)
        await self.store.write(cursors.move, name, None, self.environment.now(), failure)

    async def _send_note(self, commune: Commune, gru: Gru, age: timedelta, name: str) -> Outcome:
        found = [one for one in commune.contacts.values() if _ADDRESS.match(one)]
        recipients = list(dict.fromkeys(found))[:_MOST]
        if self.send is None:
            return Misconfigured("no_mail_relay")
        if not recipients:
            return Misconfigured("no_contact")
        count, oldest = await self.mailbox.unfetched(gru)
        # One name for one absence: a note that comes twice is shown as one.
        begun = 0 if oldest is None else int(oldest.timestamp())
        subject, text = _note(commune, gru, age, count)
        return await self.send(recipients, subject, text, f"{name.replace(':', '.')}.{begun}")


def _name(gru: Gru, step: timedelta) -> str:
    return f"{NAME}{gru.lane_name}:{step.days}"


def _note(commune: Commune, gru: Gru, age: timedelta, count: int) -> tuple[str, str]:
    """Return subject and text: nothing of any citizen, nor of any request."""
    waiting = f"{count} message{'s attendent' if count > 1 else ' attend'}"
    subject = f"Toodego, {commune.name} : rien n'est relevé depuis {age.days} jours"
    text = f"""\
Bonjour,

La passerelle de la Métropole de Lyon garde pour {commune.name} ({commune.insee}) ce que les
usagers de Toodego lui ont adressé. Le demi-connecteur de la commune (« {gru.name} ») n'a rien
relevé depuis {age.days} jours : {waiting}.

Rien n'est perdu : tout sera remis au prochain relevé. Les usagers, eux, attendent une réponse.

À faire : demander à qui exploite le demi-connecteur s'il fonctionne, et s'il appelle
toujours /pivot/v1/mailbox/claim. Ce message est envoyé après 3 jours, puis après 9 jours.

La passerelle Toodego (message automatique, ne pas répondre)
"""
    return subject, text


__all__ = ["EVERY", "NAME", "CommuneWarner"]
