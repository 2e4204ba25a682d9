"""The parts of a teleservice's relay, and the texts that citizens and agents see. The workflow
(`wire/wcs_workflow.py`) and its tests (`wire/wcs_tests.py`) are written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.core.request import EventKind
from gateway.core.status import Status
from gateway.core.workflow import COMMUNE, DONE, DUE

#: The status that shows each canonical status: id and name.
SHOWN: Final[Mapping[Status, tuple[str, str]]] = {
    Status.TRANSMITTED: ("transmise", "Transmise à la commune"),
    Status.ACCEPTED: ("acceptee", "Prise en charge par la commune"),
    Status.IN_PROGRESS: ("encours", "En cours de traitement"),
    Status.PLANNED: ("planifiee", "Planifiée"),
    Status.WAITING_CITIZEN: ("attusager", "En attente de votre réponse"),
    Status.DONE: ("terminee", "Traitée"),
    Status.REFUSED: ("refusee", "Refusée par la commune"),
    Status.CANCELLED: ("annulee", "Annulée"),
}

SENDING: Final = ("envoi", "Transmission à la commune")
NOT_SENT: Final = ("refus", "Transmission à vérifier")
SWITCH: Final = ("aiguillage", "Aiguillage")
EVENT_SENDING: Final = ("evtenvoi", "Envoi à la commune")
EVENT_NOT_SENT: Final = ("evtrefus", "Envoi à la commune à vérifier")
REJECTED: Final = ("rejetee", "Rejetée")

#: The status and the word of each kind of citizen's event. Only the citizen enters it, so each
#: entry of the history is an event.
EVENTS: Final[Mapping[EventKind, tuple[str, str, str]]] = {
    EventKind.MESSAGE: ("evtmsg", "Votre message", "message"),
    EventKind.CHANGE: ("evtmod", "Votre modification", "modification"),
    EventKind.CANCELLATION: ("evtann", "Votre annulation", "annulation"),
}
RELEASE: Final = "Valider et transmettre"
SEND_MESSAGE: Final = "Envoyer ce message"
EDIT: Final = "Modifier ma demande"
CANCEL: Final = "Annuler ma demande"
SEND_AGAIN: Final = "Renvoyer"
GIVE_UP: Final = "Abandonner cet envoi"


@dataclass(frozen=True, slots=True)
class SendingCommune:
    """A commune that the workflow sends to: its INSEE codes, and the site variable of its key.

    `variable` None: the server signs with its own key, for all `senders` of a workflow or for none.
    """

    codes: tuple[str, ...]
    variable: str | None


@dataclass(frozen=True, slots=True)
class Relay:
    """The parts of one teleservice's workflow.

    `base`: the gateway's address for the portal. `commune_field`: the form's variable with the
    INSEE code, None for a form of one commune. `words`: the gateway's word for each status. `due`,
    `mark`: the fields that tell what is due, and which reports are done. `amends`: the citizen's
    events that every commune's mapping takes. `moderated`: an agent releases each request.
    """

    teleservice: str
    base: str
    senders: tuple[SendingCommune, ...]
    commune_field: str | None
    hook: str
    document_hook: str | None
    words: Mapping[Status, str]
    due: str = DUE
    mark: str = DONE
    amends: frozenset[EventKind] = frozenset(EVENTS)
    moderated: bool = False

    @property
    def name(self) -> str:
        return f"Relais vers la commune - {self.teleservice}"

    @property
    def slug(self) -> str:
        return f"relais-{self.teleservice}"

    @property
    def kinds(self) -> tuple[EventKind, ...]:
        """The events with a button for the citizen."""
        return tuple(kind for kind in EVENTS if kind in self.amends)

    @property
    def shown(self) -> tuple[Status, ...]:
        """The statuses that are shown, "transmitted" first; those of one word are one status."""
        first: dict[str, Status] = {}
        for standing in SHOWN:
            first.setdefault(self.words[standing], standing)
        cancelled = {Status.CANCELLED} - set(first.values())
        return (*first.values(), *cancelled)

    @property
    def requests(self) -> str:
        """The address for requests, as a template of w.c.s."""
        code = self.senders[0].codes[0]
        if self.commune_field is not None:
            code = f"{{{{ {self._commune} }}}}"
        return f"{self.base}/portal/v1/communes/{code}/teleservices/{self.teleservice}/requests"

    @property
    def _commune(self) -> str:
        """The commune of the first call: a citizen's edit of the field moves no request."""
        return f"form_var_{COMMUNE}|default:form_var_{self.commune_field}"

    @property
    def events(self) -> str:
        return f"{self.requests}/{{{{ form_number_raw }}}}/events"

    @property
    def key(self) -> str | None:
        """The signature key, as a template that names site variables."""
        if all(sender.variable is None for sender in self.senders):
            return None
        if self.commune_field is None:
            return f"{{{{ {self.senders[0].variable} }}}}"
        # A template that gives nothing leaves the call unsigned: see `elsewhere`.
        chosen = [
            f'{self._commune} in "{" ".join(sender.codes)}" %}}{{{{ {sender.variable} }}}}'
            for sender in self.senders
        ]
        return "{% if " + "{% elif ".join(chosen) + "{% endif %}"

    @property
    def elsewhere(self) -> str | None:
        """Return the condition of a form for a commune without a key, which calls nobody.

        None where the server signs: the gateway answers which communes it knows.
        """
        if self.key is None or self.commune_field is None:
            return None
        name = f"form_var_{self.commune_field}"
        codes = " ".join(code for sender in self.senders for code in sender.codes)
        return f'{name} and not {name} in "{codes}"'
