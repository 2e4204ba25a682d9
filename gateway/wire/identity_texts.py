"""The messages about what a provider of accounts answered."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("no_end", "{count} calls in an hour, and no end", "",
         "{count} appels en une heure, et pas de fin", ""),
    Text("at_call", "call {n}: {detail}", "", "appel {n} : {detail}", ""),
    Text("at_page", "page {n}: {detail}", "", "page {n} : {detail}", ""),
    Text("no_object", "not a JSON object", "", "n'est pas un objet JSON", ""),
    Text("err_told", "HTTP 200 with an `err` that is not 0", "",
         "HTTP 200 avec un `err` autre que 0", ""),
    Text("no_unknown_uuids", "no list of unknown_uuids", "", "pas de liste `unknown_uuids`", ""),
    Text("unasked", "accounts that were not asked about", "",
         "des comptes qui n'ont pas été demandés", ""),
    Text("many_pages", "more than {count} pages", "", "plus de {count} pages", ""),
    Text("many_accounts", "more than {count} accounts", "", "plus de {count} comptes", ""),
    Text("no_entry", "no entry has a uuid and a date that can be read", "",
         "aucune entrée n'a d'uuid et de date lisibles", ""),
    Text("no_new_page", "the next page leads nowhere new", "",
         "la page suivante ne mène à rien de nouveau", ""),
    Text("other_shape", "not of the configured shape", "", "n'a pas la forme configurée", ""),
    Text("no_keys", "the address of the keys gives no usable key set", "",
         "l'adresse des clés ne donne pas de jeu de clés utilisable", ""),
    Text("no_list", "no list of accounts", "", "pas de liste de comptes", ""),
    Text("page_elsewhere", "the next page is elsewhere", "", "la page suivante est ailleurs", ""),
    Text("in_one_answer", "{size} in one answer", "", "{size} en une réponse", ""),
    Text("no_json", "the answer is not JSON", "", "la réponse n'est pas du JSON", ""),
)
# fmt: on
