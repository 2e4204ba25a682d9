"""The messages about what the daemon and its use cases cannot do, for an operator."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- the start of the daemon -----------------------------------------------------------
    Text("data_dir", "data_dir {place} cannot be used: {error}", "",
         "data_dir {place} ne peut servir : {error}", ""),
    Text("already_running", "another gateway (process {pid}) works on {place}; with SQLite there is"
         " one", "stop it first",
         "une autre passerelle (processus {pid}) travaille sur {place} ; avec SQLite il n'y en a"
         " qu'une", "d'abord l'arrêter"),
    Text("role_needs_postgresql", "role {role} needs PostgreSQL; with SQLite there is one process",
         "", "le rôle {role} demande PostgreSQL ; avec SQLite il y a un seul processus", ""),
    Text("not_listening", "cannot listen on {host}:{port}: the address is in use or not ours", "",
         "impossible d'écouter à {host}:{port} : l'adresse est prise ou n'est pas la nôtre", ""),
    # --- one person ------------------------------------------------------------------------
    Text("no_request", "there is no request {id}", "", "il n'y a pas de demande {id}", ""),
    Text("several_requests", "{id} is the number of several requests: {ids}", "give one of these",
         "{id} est le numéro de plusieurs demandes : {ids}", "donner l'une de celles-ci"),
    Text("other_link_key", "none of the {count} links opens",
         "glc.openid.link_key may never change:"
         " give the one with which they were made",
         "aucun des {count} rattachements ne s'ouvre", "glc.openid.link_key ne doit jamais"
         " changer : donner celle avec laquelle ils ont été faits"),
    Text("no_account", "no request of this account is here", "",
         "aucune demande de ce compte n'est ici", ""),
    Text("too_many_requests", "{count} requests are of this account, more than {most}", "",
         "{count} demandes sont de ce compte, plus que {most}", ""),
    Text("no_such_link", "this link leads nowhere", "", "ce lien ne mène à rien", ""),
    # --- erased accounts -------------------------------------------------------------------
    Text("key_missing", "the key of erased accounts is missing; without it erased people would be"
         " taken in again", "restore erasure.key into data_dir, or the secret of erasure_key",
         "la clé des comptes effacés manque ; sans elle, des personnes effacées seraient reprises",
         "restaurer erasure.key dans data_dir, ou le secret d'erasure_key"),
    Text("key_changed", "the key of erased accounts is another one than before; with it erased"
         " people would be taken in again", "give the former one back: erasure.key in data_dir, or"
         " the secret of erasure_key",
         "la clé des comptes effacés n'est plus la même ; avec elle, des personnes effacées"
         " seraient reprises", "remettre la précédente : erasure.key dans data_dir, ou le secret"
         " d'erasure_key"),
    Text("ledger_damaged", "the ledger of erasures {place} is damaged at line {line}",
         "restore it from a backup, or put it aside: then what a restored database holds again is"
         " not erased again",
         "le registre des effacements {place} est abîmé à la ligne {line}",
         "le restaurer d'une sauvegarde, ou le mettre de côté : ce qu'une base restaurée contient"
         " de nouveau ne serait alors pas effacé de nouveau"),
    Text("ledger_unread", "the ledger of erasures {place} cannot be read: {error}", "",
         "le registre des effacements {place} ne peut être lu : {error}", ""),
    Text("ledger_unwritten", "the ledger of erasures {place} cannot be written: {error}", "",
         "le registre des effacements {place} ne peut être écrit : {error}", ""),
    Text("ledger_of_another_key", "the ledger of erasures {place} was made with another key",
         "give the former key back: erasure.key in data_dir, or the secret of erasure_key",
         "le registre des effacements {place} a été fait avec une autre clé",
         "remettre la précédente : erasure.key dans data_dir, ou le secret d'erasure_key"),
    Text("key_short", "erasure_key is too short", "{least} characters at least",
         "erasure_key est trop court", "au moins {least} caractères"),
    Text("key_unread", "the erasure key {place} cannot be read: {error}", "",
         "la clé d'effacement {place} ne peut être lue : {error}", ""),
    Text("key_file_short", "the erasure key {place} is too short", "restore it",
         "la clé d'effacement {place} est trop courte", "la restaurer"),
    Text("key_vanished", "the erasure key {place} vanished as it was made", "",
         "la clé d'effacement {place} a disparu à sa création", ""),
    # --- the keys of the sealing -----------------------------------------------------------
    Text("master_missing", "the master key {place} is missing: nothing of people can be read"
         " without it", "put it back from its copy",
         "la clé maîtresse {place} manque : sans elle, rien de ce qui touche les personnes ne peut"
         " être lu", "la remettre depuis sa copie"),
    Text("master_unread", "the master key {place} cannot be read: {error}", "",
         "la clé maîtresse {place} ne peut être lue : {error}", ""),
    Text("masters_wrong", "{count} keys of requests are wrapped by the master key {ids}, which is"
         " not among those given: nothing is written",
         "add it to sealing.masters, after the one that is to wrap from now on",
         "{count} clés de demandes sont scellées par la clé maîtresse {ids}, qui n'est pas parmi"
         " celles données : rien n'est écrit",
         "l'ajouter à sealing.masters, après celle qui servira désormais"),
    Text("no_period", "no key is wrapped by {id} yet, and only a daemon makes one",
         "gru-gateway secrets reload, or start it",
         "aucune clé n'est encore scellée par {id}, et seul un démon en crée",
         "gru-gateway secrets reload, ou le démarrer"),
    Text("objects_unconfigured", "files lie in an object store and none is configured",
         "give `attachments` again, with `write: false` to have new files in the database",
         "des fichiers sont dans un dépôt d'objets et aucun n'est configuré",
         "redonner `attachments`, avec `write: false` pour que les nouveaux aillent dans la base"),
)
# fmt: on
