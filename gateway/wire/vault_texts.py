"""The messages about the key service (Vault, OpenBao) that wraps our keys."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("away", "the key service does not answer: {why}", "see to it, or to the network",
         "le service de clés ne répond pas : {why}", "voir ce service, ou le réseau"),
    Text("sealed", "the key service is sealed", "unseal it (`bao operator unseal`)",
         "le service de clés est scellé", "le desceller (`bao operator unseal`)"),
    Text("unusable", "the key service cannot be called: {why}",
         "look at sealing.vault: url, network",
         "le service de clés ne peut être appelé : {why}", "voir sealing.vault : url, network"),
    Text("token", "the key service does not know our token: it has ended, was revoked, or is"
         " another's", "give another one in sealing.vault.token, then `secrets reload`",
         "le service de clés ne connaît pas notre jeton : il est échu, révoqué, ou d'un autre"
         " service", "en donner un autre dans sealing.vault.token, puis `secrets reload`"),
    Text("login", "the key service refuses our login at {path}",
         "give another secret_id in sealing.vault, or look at the role and at approle",
         "le service de clés refuse notre connexion à {path}",
         "donner un autre secret_id dans sealing.vault, ou voir le rôle et approle"),
    Text("denied", "our token may not call {path} of the key service",
         "its policy needs update on encrypt/KEY and decrypt/KEY, and read on keys/KEY",
         "notre jeton ne permet pas d'appeler {path} au service de clés",
         "sa politique doit permettre update sur encrypt/CLÉ et decrypt/CLÉ, et read sur keys/CLÉ"),
    Text("no_mount", "the key service has no transit engine at {mount}",
         "look at sealing.masters (vault:MOUNT/KEY) and at sealing.vault.namespace",
         "le service de clés n'a pas de moteur transit à {mount}",
         "voir sealing.masters (vault:POINT/CLÉ) et sealing.vault.namespace"),
    Text("no_key", "the key service has no key {key} at {mount}",
         "look at sealing.masters (vault:MOUNT/KEY); if it was deleted, put its backup back",
         "le service de clés n'a pas de clé {key} à {mount}",
         "voir sealing.masters (vault:POINT/CLÉ) ; si elle a été supprimée, la restaurer"),
    Text("no_wrapper", "{key} cannot wrap keys: it is for signatures, or derived",
         "make one of type aes256-gcm96, not derived",
         "{key} ne peut sceller de clés : elle sert à signer, ou elle est dérivée",
         "en créer une de type aes256-gcm96, non dérivée"),
    Text("too_old", "{key} opens version {version} no more (min_decryption_version)",
         "lower it, run `keys rotate`, then raise it again",
         "{key} n'ouvre plus la version {version} (min_decryption_version)",
         "l'abaisser, lancer `keys rotate`, puis la relever"),
    Text("not_opened", "{key} does not open what it is said to have wrapped: it is another key of"
         " that name, or our copy was altered", "put back the key's backup, or that of the keys",
         "{key} n'ouvre pas ce qu'elle est dite avoir scellé : c'est une autre clé de ce nom, ou"
         " notre copie a été modifiée", "restaurer la clé, ou la sauvegarde de nos clés"),
    Text("bad_answer", "what the key service answers is not of its API ({what})",
         "look at sealing.vault.url: does a proxy answer in its place?",
         "ce que répond le service de clés n'est pas de son API ({what})",
         "voir sealing.vault.url : un proxy répond-il à sa place ?"),
)
# fmt: on
