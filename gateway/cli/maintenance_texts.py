"""The messages of `maintenance`."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("maintenance", "maintenance", "", "maintenance", ""),
    Text("change", "change", "", "changement", ""),
    Text("planned", "planned", "", "prévue", ""),
    Text("under_way", "under way", "", "en cours", ""),
    Text("ended", "over", "", "passée", ""),
    Text("cancelled", "cancelled", "", "annulée", ""),
    Text("none", "nothing is announced", "", "rien n'est annoncé", ""),
    Text("made", "{id}: {count} communes will be told; they must be by {last}",
         "maintenance show {id} says who was",
         "{id} : {count} communes seront avisées ; elles doivent l'être avant le {last}",
         "maintenance show {id} dit lesquelles le sont"),
    Text("made_late", "{id}: {count} communes will be told, too late: the notice ended {last}",
         "it counts as unavailability; cancel it and choose a later time, or go on",
         "{id} : {count} communes seront avisées, trop tard : le préavis a pris fin le {last}",
         "elle comptera comme indisponibilité ; l'annuler et choisir plus tard, ou continuer"),
    Text("cancelled_now", "{id} is cancelled; who was told of it will be told", "",
         "{id} est annulée ; qui en était avisé le sera", ""),
    Text("read_now", "{id}: {commune} has read it", "", "{id} : {commune} l'a lue", ""),
    Text("in_time", "yes", "", "oui", ""),
    Text("not_in_time", "no", "", "non", ""),
    Text("empty", "{option} may not be empty", "", "{option} ne peut être vide", ""),
    Text("too_long", "{option} is longer than {most} characters", "",
         "{option} dépasse {most} caractères", ""),
    Text("no_moment", "{option}: {given} is no time", "as 2026-12-01T20:00, in Paris",
         "{option} : {given} n'est pas une heure", "comme 2026-12-01T20:00, à Paris"),
    Text("past", "{option} is past", "", "{option} est passé", ""),
    Text("wrong_order", "--to is not after --from", "", "--to n'est pas après --from", ""),
    Text("too_far", "{option} is more than a year away", "", "{option} est à plus d'un an", ""),
    Text("nobody", "no commune is connected: there is nobody to tell", "",
         "aucune commune n'est raccordée : il n'y a personne à aviser", ""),
)
# fmt: on
