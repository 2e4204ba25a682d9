"""The messages about this adapter's options, and about what `check` tried."""

from __future__ import annotations

from gateway.sdk import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("sftp_address", "must be sftp://, a user name, a host, and a port if need be",
         "such as sftp://depot@files.example.org:22",
         "doit être sftp://, un compte, un serveur, et au besoin un port",
         "par exemple sftp://depot@fichiers.exemple.fr:22"),
    Text("one_login", "key or password: one of the two", "give one, by reference",
         "key ou password : l'un des deux", "donner l'un, par référence"),
    Text("host_key", "not a public key",
         "such as: ssh-ed25519 AAAAC3Nza..., as ssh-keyscan gives it",
         "n'est pas une clé publique",
         "par exemple : ssh-ed25519 AAAAC3Nza..., comme la donne ssh-keyscan"),
    Text("json_encoding", "json is always in UTF-8", "leave encoding out, or use csv or xml",
         "json est toujours en UTF-8", "retirer encoding, ou employer csv ou xml"),
    # --- check -----------------------------------------------------------------------------
    Text("sftp", "SFTP server", "", "serveur SFTP", ""),
    Text("remote_folder", "the folder {name} can be listed ({count} entries)", "",
         "le dossier {name} se lit ({count} éléments)", ""),
    Text("no_returns", "returns are not read", "give returns",
         "les retours ne sont pas lus", "donner returns"),
    Text("no_service_named", "no service in charge is named in the manifests", "give `service`",
         "les manifestes ne nomment pas de service en charge", "donner `service`"),
    Text("lost_reply_files", "a lost answer waits for a person, as the commune takes folders away",
         "name the folders that it moves them to: moved_to",
         "une réponse perdue attend une personne, car la commune retire les dossiers",
         "nommer les dossiers où elle les range : moved_to"),
)
# fmt: on
