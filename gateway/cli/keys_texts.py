"""The messages about the keys with which what is stored of people is sealed."""

from __future__ import annotations

from gateway.catalogue.catalogue import Settings
from gateway.core.messages import Message, Messages, Text
from gateway.flow.sealing import keys_path, master_file

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("keys_place", "the keys of requests lie in {place}",
         "back up this place with few copies: what is kept of it can read what was erased since",
         "les clés des demandes sont dans {place}",
         "en garder peu de copies : une copie ancienne peut lire ce qui a été effacé depuis"),
    Text("keys_in_database", "the keys of requests lie in a table of the database, sealing_key",
         "leave it out of the dumps that are kept, or give sealing.keys",
         "les clés des demandes sont dans une table de la base, sealing_key",
         "la laisser hors des sauvegardes gardées longtemps, ou donner sealing.keys"),
    Text("own_master", "the master key lies beside the data, in {place}: it protects a copy of the"
         " database, not this machine", "give sealing.masters from another place",
         "la clé maîtresse est à côté des données, dans {place} : elle protège une copie de la"
         " base, pas cette machine", "donner sealing.masters depuis un autre endroit"),
    Text("wraps", "wraps new keys", "", "scelle les nouvelles clés", ""),
    Text("opens", "opens what it has wrapped", "", "ouvre ce qu'elle a scellé", ""),
    Text("unused", "is not needed any more", "", "ne sert plus", ""),
    Text("missing", "is missing", "", "manque", ""),
    Text("no_masters", "there are no keys yet: a start of the gateway makes them", "",
         "il n'y a pas encore de clés : un démarrage de la passerelle les crée", ""),
    Text("rotating", "{count} keys wrapped anew", "", "{count} clés scellées à neuf", ""),
    Text("rotated", "{count} keys wrapped by {id}; no other master key is needed any more",
         "take the others out of sealing.masters, then destroy them",
         "{count} clés scellées par {id} ; plus aucune autre clé maîtresse ne sert",
         "retirer les autres de sealing.masters, puis les détruire"),
    Text("rotated_but", "{count} keys wrapped by {id}; {damaged} do not open, and stay as they are",
         "keys check tells of which requests; put the newest backup of the keys back",
         "{count} clés scellées par {id} ; {damaged} ne s'ouvrent pas et restent telles quelles",
         "keys check compte les demandes ; remettre la plus récente sauvegarde des clés"),
    Text("not_remote", "the first of sealing.masters lies in no key service: it has no periods",
         "put vault:MOUNT/KEY first", "la première de sealing.masters n'est dans aucun service de"
         " clés : elle n'a pas de périodes", "mettre vault:POINT/CLÉ en tête"),
    Text("renewed", "{id} is wrapped by the key service, and wraps new keys in {minutes} minutes",
         "then gru-gateway keys rotate", "{id} est scellée par le service de clés, et scelle les"
         " nouvelles clés dans {minutes} minutes", "puis gru-gateway keys rotate"),
    Text("daemon_without", "daemon {daemon} does not know the master key {id} yet: it could open"
         " nothing any more", "gru-gateway secrets reload, or restart it",
         "le démon {daemon} ne connaît pas encore la clé maîtresse {id} : il n'ouvrirait plus rien",
         "gru-gateway secrets reload, ou le redémarrer"),
    Text("all_open", "{count} requests are sealed, and each key opens", "",
         "{count} demandes sont scellées, et chaque clé s'ouvre", ""),
    Text("keys_lost", "the keys of {count} requests are missing or damaged: these cannot be read",
         "put the newest backup of the keys back",
         "les clés de {count} demandes manquent ou sont abîmées : elles ne peuvent être lues",
         "remettre la plus récente sauvegarde des clés"),
    Text("in_clear", "{count} requests of before the sealing are in clear yet",
         "a running gateway seals them, or `keys seal`",
         "{count} demandes d'avant le scellement sont encore en clair",
         "une passerelle en marche les scelle, ou `keys seal`"),
    Text("sealed", "{count} requests sealed; none is in clear any more", "",
         "{count} demandes scellées ; plus aucune n'est en clair", ""),
)
# fmt: on


def places(settings: Settings) -> list[Message]:
    """Return where the keys lie, and what to do about it."""
    path, own = keys_path(settings), master_file(settings)
    found = [say("keys_in_database") if path is None else say("keys_place", place=str(path))]
    return found if own is None else [*found, say("own_master", place=str(own))]
