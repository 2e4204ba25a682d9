"""The messages about this adapter's options, and about what `check` tried."""

from __future__ import annotations

from gateway.sdk import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- options ---------------------------------------------------------------------------
    Text("no_pattern", "not a regular expression", "look at its brackets and backslashes",
         "ce n'est pas une expression régulière", "vérifier ses crochets et ses barres obliques"),
    Text("link_id", "must hold {{id}} once, where the request's number goes",
         "such as https://host.example.org/{{id}}",
         "contient {{id}} une fois, à la place du numéro de la demande",
         "par exemple https://serveur.exemple.fr/{{id}}"),
    Text("needs_attribute", "find: by_attribute needs reference_attribute",
         "give it, or another way to find",
         "find: by_attribute demande reference_attribute",
         "le donner, ou choisir une autre façon de chercher"),
    # --- check -----------------------------------------------------------------------------
    Text("key_given", "api_key is given; a creation alone proves it", "",
         "api_key est donnée ; seule une création l'éprouve", ""),
    Text("no_https", "the address is not https", "ask the GRU for access by https",
         "l'adresse n'est pas en https", "demander un accès https à la GRU"),
    Text("services", "{count} services", "", "{count} services", ""),
    Text("service_list", "list of services", "", "liste des services", ""),
    Text("statuses", "statuses", "", "statuts", ""),
    Text("updates", "updates", "", "mises à jour", ""),
    Text("search", "search", "", "recherche", ""),
    Text("service", "service {code}", "", "service {code}", ""),
    Text("no_service", "the service {code} is not offered", "see service_codes",
         "le service {code} n'est pas proposé", "voir service_codes"),
    Text("no_number", "the service {code} gives no number", "add it to blackbox",
         "le service {code} ne donne pas de numéro", "l'ajouter à blackbox"),
    Text("no_attribute", "the service {code} has no attribute {name}",
         "have the GRU add it, or write reference_attribute: null",
         "le service {code} n'a pas d'attribut {name}",
         "le faire ajouter par la GRU, ou écrire reference_attribute: null"),
    Text("asks_for", "the service {code} asks for: {names}", "",
         "le service {code} demande : {names}", ""),
    Text("searchable", "requests can be searched by our reference", "",
         "les demandes se cherchent par notre référence", ""),
    Text("lists_without", "the server lists requests without {name}",
         "try find: by_text, else none; a lost reply then waits for a person",
         "le serveur liste les demandes sans {name}",
         "essayer find: by_text, sinon none ; une réponse perdue attend alors une personne"),
)
# fmt: on
