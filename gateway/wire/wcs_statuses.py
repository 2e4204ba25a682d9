"""The statuses and actions by which w.c.s. relays a teleservice's requests to the gateway.

Its rules, each seen on a running w.c.s. (docs/fr/workflow-publik.md tells them to its designer):

- The request is marked as due before the first call, and only then. The status that sends is the
  one that waits: it makes its call, stays when the gateway cannot answer, and tries again by
  itself, with the same key and the same text. A worker that dies in it is made good in that way.
- A citizen's event is numbered and its text is kept before it is sent.
- A report of the gateway is carried out once, and its proof is written last. w.c.s. stores after
  each field, and no two of its actions are stored together: that the message is said is noted by
  the very next write, and the message names its report, for who reads the history (`TOLD`).
- A status is changed by the switch alone (`aiguillage`), never while an event is being sent, and
  after the end only when the gateway says that the commune takes it up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.core.request import EventKind
from gateway.core.status import FINAL, Status
from gateway.core.workflow import (
    AWAITED,
    AWAITED_NAME,
    COMMUNE,
    DONE,
    DUE,
    EVENT_KIND,
    EVENT_NUMBER,
    EVENT_TEXT,
    TOLD,
)
from gateway.wire.relay import (
    CANCEL,
    EDIT,
    EVENT_NOT_SENT,
    EVENT_SENDING,
    EVENTS,
    GIVE_UP,
    NOT_SENT,
    REJECTED,
    RELEASE,
    SEND_AGAIN,
    SEND_MESSAGE,
    SENDING,
    SHOWN,
    SWITCH,
    Relay,
)
from gateway.wire.wcs_xml import (
    STOP,
    SUBMITTER,
    Actions,
    FieldElement,
    GlobalAction,
    StatusElement,
)

AGENTS: Final = "_receiver"
GATEWAY: Final = "_passerelle"

_BOX: Final = "message_usager"

_LINK, _REFERENCE = "bo_lien_commune", "bo_reference_commune"
_WORD, _SHOWN_WORD = "bo_statut_commune", "bo_statut_affiche"
_SENDING, _CANCELLED = "bo_envoi_en_cours", "bo_annulation"
_SAID, _TO_NOTE = "bo_retour_dit", "bo_retour_a_noter"

_LABELS: Final[Mapping[str, str]] = {
    DUE: "À transmettre depuis",
    _REFERENCE: "Référence de la commune",
    _LINK: "Lien de suivi",
    _WORD: "Statut donné par la commune",
    _SHOWN_WORD: "Statut affiché",
    EVENT_KIND: "Événement de l'usager : nature",
    EVENT_NUMBER: "Événement de l'usager : numéro",
    EVENT_TEXT: "Événement de l'usager : texte",
    _SENDING: "Envoi en cours",
    _CANCELLED: "Annulée par l'usager",
    AWAITED: "Document attendu",
    AWAITED_NAME: "Nom du document attendu",
    _SAID: "Retour dit dans l'historique",
    _TO_NOTE: "Retour à noter",
    DONE: "Retours déjà traités",
    # New fields of a workflow come last: w.c.s. keeps the values of these fields by their place.
    COMMUNE: "Commune appelée",
}


class RelayWriter:
    """Writes the statuses and actions of one relay."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        chosen = {DUE: relay.due, DONE: relay.mark}
        labels = {chosen.get(name, name): text for name, text in _LABELS.items()}
        self.fields = [
            FieldElement(f"bo{n}", name, label, long=name in (EVENT_TEXT, relay.mark))
            for n, (name, label) in enumerate(labels.items(), start=1)
        ]
        self.ids = {one.varname: one.id for one in self.fields}
        self.mark = relay.mark

    def put(self, values: Mapping[str, str]) -> dict[str, str]:
        return {self.ids[name]: value for name, value in values.items()}

    def statuses(self) -> list[StatusElement]:
        first = self._moderation() if self.relay.moderated else []
        shown = [self._shown(standing) for standing in self.relay.shown]
        events = [self._event(kind) for kind in self.relay.kinds]
        if events:
            events += [self._event_sending(), self._event_not_sent()]
        return [*first, self._sending(), self._not_sent(), *shown, *events, self._switch()]

    def global_actions(self) -> list[GlobalAction]:
        report = GlobalAction(
            "retour", "Retour de la commune", self.relay.hook, GATEWAY, self._report()
        )
        if self.relay.document_hook is None:
            return [report]
        document = GlobalAction(
            "document", "Document de la commune", self.relay.document_hook, GATEWAY, self._file()
        )
        return [report, document]

    # --- towards the gateway -----------------------------------------------------------------

    def _moderation(self) -> list[StatusElement]:
        actions = Actions()
        actions.button(RELEASE, SENDING[0], by=AGENTS)
        actions.button("Rejeter", REJECTED[0], by=AGENTS)
        return [
            StatusElement("reception", "Réception", actions),
            StatusElement(*REJECTED, Actions(), final=True),
        ]

    def _sending(self) -> StatusElement:
        actions = Actions()
        if self.relay.elsewhere is not None:
            actions.jump(NOT_SENT[0], when=self.relay.elsewhere)
        field = self.relay.commune_field
        commune = {} if field is None else {COMMUNE: f"{{{{ form_var_{field} }}}}"}
        due = "{{ now|date:'Y-m-d' }}T{{ now|date:'H:i:sO' }}"
        actions.set_fields(
            "Marquer la demande comme due à la commune",
            self.put({**commune, _SENDING: "oui", self.relay.due: due}),
            when=f"not form_var_{self.relay.due}",
        )
        self._call(
            actions,
            self.relay.requests,
            {"action": "creation", "evenement": "{{ form_number_raw }}-creation"},
            varname="passerelle",
            refused=NOT_SENT[0],
            whole=True,
        )
        self._onward(actions, SENDING[0], "passerelle")
        return StatusElement(*SENDING, actions)

    def _not_sent(self) -> StatusElement:
        actions = Actions()
        if self.relay.elsewhere is not None:
            actions.show(_ELSEWHERE, to=AGENTS, error=True, when=self.relay.elsewhere)
        called = "form_workflow_data_passerelle_status"
        actions.show(_reason("passerelle"), to=AGENTS, error=True, when=called)
        actions.button(SEND_AGAIN, SENDING[0], by=AGENTS)
        return StatusElement(*NOT_SENT, actions)

    def _event(self, kind: EventKind) -> StatusElement:
        status, name, word = EVENTS[kind]
        text = {
            EventKind.MESSAGE: f"{{{{ form_comment|default:form_workflow_data_comment_{_BOX} }}}}",
            EventKind.CANCELLATION: '{{ form_comment|default:"L\'usager annule sa demande." }}',
        }.get(kind, "")
        actions = Actions()
        # The flag last: without it all is written again, and nothing has been sent yet.
        actions.set_fields(
            "Numéroter l'événement et garder son texte",
            self.put(
                {
                    EVENT_KIND: word,
                    EVENT_TEXT: text,
                    EVENT_NUMBER: f"{{{{ form_var_{EVENT_NUMBER}|default:0|add:1 }}}}",
                    _SENDING: "oui",
                }
            ),
            when=f"not form_var_{_SENDING}",
        )
        actions.jump(EVENT_SENDING[0])
        actions.jump_later(status)
        return StatusElement(status, name, actions)

    def _event_sending(self) -> StatusElement:
        actions = Actions()
        for whole in (True, False):
            kinds = [kind for kind in self.relay.kinds if (kind is EventKind.CHANGE) is whole]
            if not kinds:
                continue
            self._call(
                actions,
                self.relay.requests if whole else self.relay.events,
                {
                    "action": f"{{{{ form_var_{EVENT_KIND} }}}}",
                    "evenement": (
                        f"{{{{ form_number_raw }}}}-{{{{ form_var_{EVENT_KIND} }}}}"
                        f"-{{{{ form_var_{EVENT_NUMBER} }}}}"
                    ),
                    "message": f"{{{{ form_var_{EVENT_TEXT} }}}}",
                },
                varname="passerelle_evt",
                refused=EVENT_NOT_SENT[0],
                whole=whole,
                when=" or ".join(self._is(kind) for kind in kinds),
            )
        if EventKind.CANCELLATION in self.relay.amends:
            actions.set_fields(
                "Noter l'annulation",
                self.put({_CANCELLED: "oui"}),
                when=self._is(EventKind.CANCELLATION),
            )
        self._onward(actions, EVENT_SENDING[0], "passerelle_evt")
        return StatusElement(*EVENT_SENDING, actions)

    def _event_not_sent(self) -> StatusElement:
        actions = Actions()
        actions.show(_reason("passerelle_evt"), to=AGENTS, error=True)
        actions.button(SEND_AGAIN, EVENT_SENDING[0], by=AGENTS)
        actions.button(GIVE_UP, SWITCH[0], by=AGENTS, confirm=True)
        return StatusElement(*EVENT_NOT_SENT, actions)

    def _is(self, kind: EventKind) -> str:
        return f'form_var_{EVENT_KIND} == "{EVENTS[kind][2]}"'

    def _call(
        self,
        actions: Actions,
        url: str,
        payload: Mapping[str, str],
        *,
        varname: str,
        refused: str,
        whole: bool,
        when: str | None = None,
    ) -> None:
        actions.call(
            "Appeler la passerelle",
            url,
            payload,
            varname=varname,
            key=self.relay.key,
            whole=whole,
            refused=refused,
            failed=STOP,
            when=when,
        )

    def _onward(self, actions: Actions, status: str, varname: str) -> None:
        """After the call: on; and while it cannot be made, again."""
        actions.jump(SWITCH[0])
        actions.jump_later(status)
        actions.show(
            "<p>La passerelle ne répond pas encore ; l'envoi repart seul toutes les 20 minutes."
            f' Dernier essai : {{{{ form_workflow_data_{varname}_status|default:"réseau" }}}}.</p>',
            to=AGENTS,
        )

    # --- what the citizen sees ---------------------------------------------------------------

    def _shown(self, standing: Status) -> StatusElement:
        actions = Actions()
        final = standing in FINAL
        if not final:
            if EventKind.MESSAGE in self.relay.amends:
                actions.box("Votre message", _BOX)
                actions.button(SEND_MESSAGE, EVENTS[EventKind.MESSAGE][0], by=SUBMITTER)
            if EventKind.CHANGE in self.relay.amends:
                actions.edit(EDIT, EVENTS[EventKind.CHANGE][0])
            if EventKind.CANCELLATION in self.relay.amends:
                actions.button(
                    CANCEL,
                    EVENTS[EventKind.CANCELLATION][0],
                    by=SUBMITTER,
                    confirm=True,
                    without_box=True,
                )
        return StatusElement(*SHOWN[standing], actions, final=final)

    def _switch(self) -> StatusElement:
        actions = Actions()
        first = self.relay.words[Status.TRANSMITTED]
        actions.set_fields(
            "Fin de l'envoi",
            self.put(
                {
                    _SENDING: "",
                    _SHOWN_WORD: f'{{{{ form_var_{_WORD}|default:"{first}" }}}}',
                }
            ),
        )
        self._note(actions, f"form_var_{_TO_NOTE}", when=f"form_var_{_TO_NOTE}")
        actions.jump(SHOWN[Status.CANCELLED][0], when=f"form_var_{_CANCELLED}")
        for standing in self.relay.shown[1:]:
            word = self.relay.words[standing]
            actions.jump(SHOWN[standing][0], when=f'form_var_{_WORD} == "{word}"')
        actions.jump(SHOWN[Status.TRANSMITTED][0])
        actions.jump_later(SWITCH[0])
        return StatusElement(*SWITCH, actions, hidden=True)

    # --- from the gateway --------------------------------------------------------------------

    def _report(self) -> Actions:
        given = f"form_trigger_{self.relay.hook}_content"
        event, word = f"{given}_evenement", f"{given}_statut"
        new = self._new(event)
        held = f"form_status_is_endpoint and not {given}_reouverture"
        actions = Actions()
        # In the switch a worker died. Nobody reads a message there: leave it, then hear it.
        actions.jump(SWITCH[0], when=f'form_status == "{SWITCH[1]}"', in_global=True)
        actions.say(
            f'<div {TOLD}="{{{{ {event} }}}}">'
            f"{{{{ {given}_message|force_escape|linebreaksbr }}}}</div>",
            when=f"{new} and {given}_message and {event} != form_var_{_SAID}",
        )
        self._say(actions, event, new)
        actions.set_fields(
            "Ranger ce que dit la commune",
            self.put(
                {
                    _REFERENCE: _kept(f"{given}_reference", _REFERENCE),
                    _LINK: _kept(f"{given}_lien", _LINK),
                    AWAITED_NAME: (
                        f"{{% if {given}_document_attendu %}}"
                        f'{{{{ {given}_document_nom|default:"document.$ext" }}}}'
                        f'{{% else %}}{{{{ form_var_{AWAITED_NAME}|default:"" }}}}{{% endif %}}'
                    ),
                    AWAITED: _kept(f"{given}_document_attendu", AWAITED),
                    _WORD: (
                        f'{{% if not {word} or {held} %}}{{{{ form_var_{_WORD}|default:"" }}}}'
                        f"{{% else %}}{{{{ {word} }}}}{{% endif %}}"
                    ),
                    _CANCELLED: (
                        f"{{% if not {given}_reouverture %}}"
                        f'{{{{ form_var_{_CANCELLED}|default:"" }}}}{{% endif %}}'
                    ),
                    _TO_NOTE: f"{{{{ {event} }}}}",
                }
            ),
            when=new,
        )
        actions.jump(
            SWITCH[0],
            when=(
                f"{new} and form_var_{_WORD} and form_var_{_WORD} != form_var_{_SHOWN_WORD}"
                f" and form_var_{self.relay.due}"
                f" and not form_var_{_SENDING} and not form_var_{_CANCELLED}"
            ),
            in_global=True,
        )
        self._note(actions, event, when=new)
        return actions

    def _file(self) -> Actions:
        given = f"form_trigger_{self.relay.document_hook}_content"
        event = f"form_var_{AWAITED}"
        new = self._new(event)
        actions = Actions()
        actions.jump(SWITCH[0], when=f'form_status == "{SWITCH[1]}"', in_global=True)
        file = f"{{{{ {given}|rename_file:form_var_{AWAITED_NAME} }}}}"
        actions.attach(file, when=f"{new} and {event} != form_var_{_SAID}")
        self._say(actions, event, new)
        self._note(actions, event, when=new)
        return actions

    def _new(self, event: str) -> str:
        return (
            f'{event} and {event} not in form_var_{self.mark}|default:""'
            f' and form_status != "{SWITCH[1]}"'
        )

    def _say(self, actions: Actions, event: str, new: str) -> None:
        actions.set_fields(
            "Retenir que c'est dit", self.put({_SAID: f"{{{{ {event} }}}}"}), when=new
        )

    def _note(self, actions: Actions, event: str, *, when: str) -> None:
        done = f"form_var_{self.mark}"
        actions.set_fields(
            "Noter le retour comme traité",
            self.put({self.mark: f'{{{{ {done}|default:"" }}}} {{{{ {event} }}}}'}),
            when=f'{when} and {event} not in {done}|default:""',
        )


def edit_action(relay: Relay) -> str:
    """Return the action by which the citizen edits a request just transmitted: status and
    action."""
    status = SHOWN[Status.TRANSMITTED][0]
    # Actions are numbered in their order, as `_shown` gives them: a message's box and button first.
    number = 3 if EventKind.MESSAGE in relay.amends else 1
    return f"{status}-{number}"


def _kept(given: str, field: str) -> str:
    return f'{{{{ {given}|default:form_var_{field}|default:"" }}}}'


_ELSEWHERE: Final = (
    "<p>Rien n'est parti : ce workflow ne connaît pas la commune de cette demande. Si elle est"
    " raccordée, faites-le écrire de nouveau par l'exploitant de la passerelle.</p>"
)


def _reason(varname: str) -> str:
    data = f"form_workflow_data_{varname}"
    return (
        f"<p>La passerelle refuse : {{{{ {data}_status }}}}"
        f" {{{{ {data}_error_response_err_desc }}}}</p>"
    )
