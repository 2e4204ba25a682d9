"""The messages of `incident`."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("no_incident_open", "no incident wants a person",
         "incident list --all names those that are over",
         "aucun incident n'attend une personne", "incident list --all nomme ceux qui sont finis"),
    Text("no_incident_at_all", "there was no incident", "", "il n'y a pas eu d'incident", ""),
    Text("left", "{hours} h {minutes:0>2}", "", "{hours} h {minutes:0>2}", ""),
    Text("past", "past by {hours} h {minutes:0>2}", "", "dépassée de {hours} h {minutes:0>2}", ""),
    Text("kept_to", "kept", "", "tenue", ""),
    Text("not_kept_to", "not kept: past by {hours} h {minutes:0>2}", "",
         "non tenue : dépassée de {hours} h {minutes:0>2}", ""),
    Text("no_deadline", "none", "", "aucune", ""),
    Text("stands_still", "stands still: {commune} must act ({because}; {by})", "",
         "suspendue : {commune} doit agir ({because} ; {by})", ""),
    Text("open", "open", "", "ouvert", ""),
    Text("resolved", "resolved", "", "résolu", ""),
    Text("closed", "closed", "", "clos", ""),
    Text("suspected", "suspected", "", "soupçonné", ""),
    Text("service", "service", "", "service", ""),
    Text("securite", "security", "", "sécurité", ""),
    Text("operators", "operators", "", "exploitants", ""),
    Text("waiting", "waits", "", "en attente", ""),
    Text("sent", "sent", "", "envoyé", ""),
    Text("superseded", "another says it all", "", "un autre dit tout", ""),
    Text("no_note", "nobody is told of it", "", "personne n'en est avisé", ""),
    Text("nothing_in_trail", "nothing in the trail", "", "rien dans le journal", ""),
    Text("error_in_trail", "the trail: {fault}", "", "le journal : {fault}", ""),
    Text("acknowledged", "{id}: {by} has acknowledged it", "",
         "{id} : {by} en a pris connaissance", ""),
    Text("assigned", "{id}: {to} works on it", "", "{id} : {to} s'en occupe", ""),
    Text("severity_set", "{id} is {severity} now; its deadline: {due}", "",
         "{id} est maintenant {severity} ; son échéance : {due}", ""),
    Text("paused", "{id}: its clock stands still until {commune} has acted", "incident resume {id}",
         "{id} : son délai est suspendu jusqu'à ce que {commune} ait agi", "incident resume {id}"),
    Text("resumed", "{id}: its clock runs again; its deadline: {due}", "",
         "{id} : son délai court de nouveau ; son échéance : {due}", ""),
    Text("notified", "{id}: {to} was notified", "", "{id} : {to} est avisé", ""),
    Text("closed_now", "{id} is closed", "", "{id} est clos", ""),
    Text("empty_by", "--by may not be empty", "", "--by ne peut être vide", ""),
    Text("empty_to", "--to may not be empty", "", "--to ne peut être vide", ""),
    Text("empty_because", "--because may not be empty", "", "--because ne peut être vide", ""),
    Text("empty_post_mortem", "the file of --post-mortem is empty", "",
         "le fichier de --post-mortem est vide", ""),
    Text("too_long", "this is longer than {most} characters", "",
         "ceci dépasse {most} caractères", ""),
    Text("unread", "{place} cannot be read: {error}", "", "{place} ne peut être lu : {error}", ""),
    Text("no_text", "{place} is no text in UTF-8", "", "{place} n'est pas un texte en UTF-8", ""),
    Text("no_attack", "{id} is no attack: nobody is to be notified", "",
         "{id} n'est pas une attaque : il n'y a personne à aviser", ""),
)
# fmt: on
