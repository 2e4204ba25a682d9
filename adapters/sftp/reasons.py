"""The words of this adapter's outcomes that no other uses."""

from __future__ import annotations

from gateway.sdk import About, Reason, Who

# A table: what is so and what to do next, in English and in French.
# fmt: off
REASONS = (
    Reason("unknown_host_key", About.SETTINGS, Who.OPERATOR,
           "the server shows another key than those of `host_keys`",
           "le serveur montre une autre clé que celles de `host_keys`",
           "ask the commune whether it has changed its key before writing the new one down",
           "demander à la commune si elle a changé sa clé, avant d'inscrire la nouvelle"),
    Reason("unusable_key", About.SETTINGS, Who.OPERATOR,
           "`key` holds no private key that can be used here",
           "`key` ne contient pas de clé privée utilisable ici",
           "give an OpenSSH key without a passphrase, whole, not its public half",
           "donner une clé OpenSSH sans phrase de passe, entière, et non sa moitié publique"),
    Reason("no_such_remote_folder", About.SETTINGS, Who.OPERATOR,
           "the server has no such folder", "le serveur n'a pas ce dossier",
           "have it created, or correct its name", "le faire créer, ou corriger son nom"),
    Reason("other_bytes", About.CONTENT, Who.OPERATOR,
           "a folder of that name is there already, with another content",
           "un dossier de ce nom est déjà là, avec un autre contenu",
           "look at both, then: outbox replay or discard",
           "comparer les deux, puis renvoyer ou abandonner"),
    Reason("file_for_a_person", About.REQUEST, Who.GRU,
           "files came back that cannot be read",
           "des fichiers de retour sont illisibles",
           "read them in the folder `errors`, have them made again, then empty it",
           "les examiner dans le dossier `errors`, les faire refaire, puis le vider"),
)
# fmt: on
