"""The messages about this adapter's options, what `check` tried, and the words of its outcomes."""

from __future__ import annotations

from gateway.sdk import About, Messages, Reason, Text, Who

# fmt: off
say = Messages(
    Text("bad_signing_secret",
         "a signing secret is whsec_ and 24 to 64 bytes in Base64, or 24 characters or more",
         "make one: echo whsec_$(openssl rand -base64 32)",
         "un secret de signature est whsec_ suivi de 24 à 64 octets en Base64, ou 24 caractères"
         " au moins",
         "en tirer un : echo whsec_$(openssl rand -base64 32)"),
    Text("short_secret", "a client secret has 24 characters or more",
         "make one: openssl rand -base64 32",
         "un secret de client a 24 caractères ou plus", "en tirer un : openssl rand -base64 32"),
    Text("push_needs", "push needs `url` and `signature`", "give both, or `mode: mailbox`",
         "push demande `url` et `signature`", "donner les deux, ou `mode: mailbox`"),
    Text("mailbox_has", "a mailbox is called by nobody: `url` and `signature` have no use",
         "take them away, or `mode: push`",
         "personne n'appelle une boîte : `url` et `signature` n'y servent pas",
         "les retirer, ou `mode: push`"),
    Text("no_https", "the address is not https: whoever listens reads the citizens' data",
         "serve it under https",
         "l'adresse n'est pas en https : qui écoute lit les données des usagers",
         "la servir en https"),
    Text("fetched", "mailbox: the commune fetches, nobody is called", "",
         "boîte : la commune vient chercher, personne n'est appelé", ""),
    Text("access", "the half-connector's address", "", "l'adresse du demi-connecteur", ""),
    Text("answers", "the half-connector takes a signed ping (HTTP {status})", "",
         "le demi-connecteur accepte un appel d'essai signé (HTTP {status})", ""),
    Text("unsigned_taken", "the half-connector takes a ping whose signature is wrong",
         "have it check webhook-signature, and answer 401 to what does not fit",
         "le demi-connecteur accepte un appel d'essai dont la signature est fausse",
         "lui faire vérifier webhook-signature et répondre 401 à ce qui ne convient pas"),
)

REASONS = (
    Reason("not_there", About.SETTINGS, Who.GRU,
           "the half-connector says that nobody is at this address",
           "le demi-connecteur dit que personne n'est à cette adresse",
           "correct `url`, or have it put back; it is tried again by itself",
           "corriger `url`, ou le faire rétablir ; l'envoi reprend de lui-même"),
)
# fmt: on
