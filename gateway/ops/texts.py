"""The messages about a request that waits: why, and what is to be done."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("erased", "the person's data were erased", "",
         "les données de la personne ont été effacées", ""),
    Text("settled", "nothing waits: all that is owed has been delivered", "",
         "rien n'attend : tout ce qui était dû a été remis", ""),
    Text("order", "{kind} {id} goes after {other} {first}", "",
         "{kind} {id} part après {other} {first}", ""),
    Text("untold", "{why}", "{do}", "{why}", "{do}"),
    Text("asking_now", "asking the far end about it now", "", "le serveur est interrogé", ""),
    Text("asking_again", "asking the far end about it now; before that: {why}", "",
         "le serveur est interrogé ; avant cela : {why}", ""),
    Text("to_fetch", "the commune fetches it, and has not yet", "",
         "la commune vient la chercher, et ne l'a pas encore fait", ""),
    Text("sending_now", "being sent now", "", "envoi en cours", ""),
    Text("sending_again", "being sent now; before that: {why}", "",
         "envoi en cours ; avant cela : {why}", ""),
    Text("question", "sent, its answer lost, and {why}",
         "look in the far end, then: outbox resolve {id} --yes or --no",
         "envoyé, sa réponse perdue, et {why}",
         "regarder chez le destinataire, puis : outbox resolve {id} --yes ou --no"),
    Text("parked", "{why}", "{do}", "{why}", "{do}"),
    Text("mend_and_replay", "mend it, then: outbox replay {id}", "",
         "corriger, puis : outbox replay {id}", ""),
    Text("dead", "given up after {attempts} attempts; last: {why}",
         "when the cause is gone: outbox replay {id}",
         "abandonné après {attempts} essais ; le dernier : {why}",
         "quand la cause a disparu : outbox replay {id}"),
    Text("unsure", "{why}; the far end will be asked before anything is sent again", "",
         "{why} ; le serveur sera interrogé avant tout nouvel envoi", ""),
    Text("retry", "{why}", "{do}", "{why}", "{do}"),
    Text("not_due", "not due yet", "", "pas encore l'heure", ""),
    Text("queued", "waiting for a free place on its lane", "", "attend une place sur sa voie", ""),
    Text("no_release", "lane {lane}: no release of its commune is active",
         "release plan, then: release apply",
         "voie {lane} : sa commune n'a pas de version en service",
         "release plan, puis : release apply"),
    Text("paused_in_file", "lane {lane} is paused in its commune's file",
         "take `paused` out of the commune's file",
         "la voie {lane} est suspendue dans le fichier de sa commune",
         "retirer `paused` du fichier de la commune"),
    Text("paused", "lane {lane} is paused by a person", "commune resume",
         "une personne a suspendu la voie {lane}", "commune resume"),
    Text("breaker", "lane {lane}: the breaker is open ({why})", "",
         "voie {lane} : le disjoncteur est ouvert ({why})", ""),
    Text("most_failed", "most calls failed", "", "la plupart des appels ont échoué", ""),
    Text("held", "lane {lane}: the far end asked to be left alone until then (Retry-After)",
         "{do}; to try at once: commune resume",
         "voie {lane} : le serveur demande à être laissé en paix jusque-là (Retry-After)",
         "{do} ; pour essayer tout de suite : commune resume"),
)
# fmt: on
