"""The messages about this adapter's options, and about what `check` tried."""

from __future__ import annotations

from gateway.sdk import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- options ---------------------------------------------------------------------------
    Text("mail_address", "not an address of mail", "such as demandes@commune.example.org",
         "n'est pas une adresse de messagerie", "par exemple demandes@commune.exemple.fr"),
    Text("local_part", "more than 24 characters, or a plus, before the @",
         "a token is added after a plus, and 64 are all that mail allows",
         "plus de 24 caractères, ou un plus, avant l'@",
         "un jeton y est ajouté après un plus, et la messagerie s'arrête à 64"),
    Text("mail_server", "must be {first} or {other}, a host, and a port if need be",
         "such as {first}mail.example.org, without a name, a password or a path",
         "doit être {first} ou {other}, un serveur, et au besoin un port",
         "par exemple {first}messagerie.exemple.fr, sans compte, ni mot de passe, ni chemin"),
    Text("half_login", "username and password go together", "give both, or none",
         "username et password vont ensemble", "donner les deux, ou aucun"),
    Text("find_needs_copy", "find needs copy_to and imap",
         "give the address that copies go to (our own will do), and the mailbox",
         "find demande copy_to et imap",
         "donner l'adresse où vont les copies (la nôtre convient), et la boîte"),
    Text("replies_need_imap", "replies needs imap", "give the mailbox, or leave replies out",
         "replies demande imap", "donner la boîte, ou retirer replies"),
    Text("same_folder", "the folders must differ", "give each a name of its own",
         "les dossiers doivent être distincts", "donner un nom à chacun"),
    # --- check -----------------------------------------------------------------------------
    Text("in_the_clear", "mail goes in the clear ({what})", "ask for TLS, then leave clear out",
         "le courrier circule en clair ({what})", "demander TLS, puis retirer clear"),
    Text("smtp_takes", "the mail server takes mail for {address}", "",
         "le serveur de messagerie prend le courrier pour {address}", ""),
    Text("smtp", "mail server (SMTP)", "", "serveur de messagerie (SMTP)", ""),
    Text("smtp_limit", "the mail server takes {size} MB at most, and max_mb is {limit}",
         "lower max_mb", "le serveur de messagerie prend {size} Mo au plus, et max_mb vaut {limit}",
         "baisser max_mb"),
    Text("imap", "mailbox (IMAP)", "", "boîte de réception (IMAP)", ""),
    Text("folder", "the folder {name} holds {count} messages", "",
         "le dossier {name} contient {count} messages", ""),
    Text("folder_missing", "the folder {name} is not there yet",
         "it is created with the first message that goes there",
         "le dossier {name} n'existe pas encore",
         "il sera créé avec le premier message à y ranger"),
    Text("no_move", "the mailbox can move no message (neither MOVE nor UIDPLUS)",
         "have it offered; until then all messages stay where they are",
         "la boîte ne sait pas déplacer un message (ni MOVE, ni UIDPLUS)",
         "le faire proposer ; jusque-là les messages restent où ils sont"),
    Text("lost_reply", "a lost answer of the mail server waits for a person",
         "have copies kept: copy_to and find",
         "une réponse perdue du serveur de messagerie attend une personne",
         "faire garder des copies : copy_to et find"),
    Text("no_service", "no service in charge is named in the messages", "give `service`",
         "les messages ne nomment pas de service en charge", "donner `service`"),
    Text("links_in_the_clear", "links to large files would be in the clear (public_url is http)",
         "serve the gateway over https, and correct public_url",
         "les liens vers les gros fichiers ne seraient pas chiffrés (public_url est en http)",
         "servir la passerelle en https, et corriger public_url"),
    Text("no_replies", "replies are not read", "give imap and replies",
         "les réponses ne sont pas lues", "donner imap et replies"),
)
# fmt: on
