"""The words of this adapter's outcomes that no other uses."""

from __future__ import annotations

from gateway.sdk import About, Reason, Who

# A table: what is so and what to do next, in English and in French.
# fmt: off
REASONS = (
    Reason("recipient_refused", About.SETTINGS, Who.OPERATOR,
           "the mail server does not take an address of the options",
           "le serveur de messagerie n'accepte pas une adresse des options",
           "correct `to`, `recipients`, `from` or `copy_to`",
           "corriger `to`, `recipients`, `from` ou `copy_to`"),
    Reason("no_starttls", About.SETTINGS, Who.OPERATOR,
           "the mail server offers no STARTTLS", "le serveur de messagerie ne propose pas STARTTLS",
           "have it offered, or use smtps://", "le faire proposer, ou employer smtps://"),
    Reason("tls_at_once", About.SETTINGS, Who.OPERATOR,
           "the server says nothing first: on this port it speaks TLS at once",
           "le serveur ne dit rien d'abord : sur ce port il parle TLS d'emblée",
           "write smtps:// or imaps://, or the port of smtp:// (587) or imap:// (143)",
           "écrire smtps:// ou imaps://, ou le port de smtp:// (587) ou imap:// (143)"),
    Reason("tls_later", About.SETTINGS, Who.OPERATOR,
           "the server speaks no TLS at once on this port, but in the clear first",
           "sur ce port, le serveur ne parle pas TLS d'emblée : il commence en clair",
           "write smtp:// or imap:// (TLS follows by STARTTLS), or the port of smtps:// (465)"
           " or imaps:// (993)",
           "écrire smtp:// ou imap:// (TLS suit, par STARTTLS), ou le port de smtps:// (465)"
           " ou imaps:// (993)"),
    Reason("no_login", About.SETTINGS, Who.OPERATOR,
           "the mail server offers no login that is known here",
           "le serveur de messagerie ne propose aucune authentification connue ici",
           "leave username out, or have PLAIN or LOGIN offered",
           "retirer username, ou faire proposer PLAIN ou LOGIN"),
    Reason("no_such_folder", About.SETTINGS, Who.OPERATOR,
           "the mailbox has no such folder", "la boîte n'a pas ce dossier",
           "create it, or correct its name", "le créer, ou corriger son nom"),
    Reason("not_moved", About.SETTINGS, Who.OPERATOR,
           "messages that were read cannot be moved into their folder",
           "les messages lus ne peuvent être rangés dans leur dossier",
           "create the folder, or correct its name, or have MOVE or UIDPLUS offered",
           "créer le dossier, ou corriger son nom, ou faire proposer MOVE ou UIDPLUS"),
    Reason("message_too_large", About.CONTENT, Who.INTEGRATOR,
           "the message and its files are larger than a message may be",
           "le message et ses pièces jointes dépassent la taille permise",
           "raise max_mb if the commune's server takes more; else hand the files over yourself",
           "augmenter max_mb si le serveur de la commune en prend plus ; sinon remettre les"
           " fichiers autrement"),
    Reason("mail_for_a_person", About.REQUEST, Who.GRU,
           "messages came that cannot be given to a request by themselves",
           "des messages sont arrivés que rien ne rattache sûrement à une demande",
           "read them in the folder `person`, answer for them, then empty it",
           "les lire dans le dossier `person`, y donner suite, puis le vider"),
)
# fmt: on
