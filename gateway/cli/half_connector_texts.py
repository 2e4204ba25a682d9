"""The sentences of `contract run --half-connector`."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# fmt: off
say = Messages(
    Text("checking", "checking", "", "contrôle", ""),
    Text("listening", "our side of the contract listens at {url}",
         "set it as the half-connector's base address",
         "notre côté du contrat écoute à {url}",
         "la régler comme adresse de base du demi-connecteur"),
    Text("passed", "passed", "", "conforme", ""),
    Text("failed", "FAILED", "", "ÉCHEC", ""),
    Text("not_shown", "not shown", "", "non montré", ""),
    Text("no_checks", "no check", "", "aucun contrôle", ""),
    Text("summary", "{passed} passed, {failed} failed, {not_shown} not shown, in {seconds} s", "",
         "{passed} conformes, {failed} échecs, {not_shown} non montrés, en {seconds} s", ""),
    Text("conform", "the half-connector keeps the contract", "",
         "le demi-connecteur tient le contrat", ""),
    Text("not_conform", "the half-connector does not keep the contract",
         "mend what failed, then run it again",
         "le demi-connecteur ne tient pas le contrat", "corriger les échecs, puis rejouer"),
    Text("one_of_two", "--half-connector and --mailbox are two ways", "give one of them",
         "--half-connector et --mailbox sont deux façons", "donner l'une des deux"),
    Text("mailbox_needs", "--mailbox needs --listen and --client-secret", "",
         "--mailbox demande --listen et --client-secret", ""),
    Text("push_needs", "--half-connector needs --secret", "", "--half-connector demande --secret",
         ""),
    Text("odd_url", "--half-connector does not take {given}", "write https://HOST/PATH",
         "--half-connector n'admet pas {given}", "écrire https://HÔTE/CHEMIN"),
    Text("odd_listen", "--listen does not take {given}", "write ADDRESS:PORT, as 0.0.0.0:8700",
         "--listen n'admet pas {given}", "écrire ADRESSE:PORT, comme 0.0.0.0:8700"),
    Text("base_url_needed", "--listen 0.0.0.0 needs --base-url",
         "the address by which the half-connector reaches this machine",
         "--listen 0.0.0.0 demande --base-url",
         "l'adresse par laquelle le demi-connecteur joint cette machine"),
    Text("not_listening", "cannot listen on {place}: {error}", "",
         "impossible d'écouter à {place} : {error}", ""),
    Text("no_reference", "{option} names no place of a secret", "env:NAME or file:PATH",
         "{option} ne désigne pas de secret", "env:NOM ou file:CHEMIN"),
    Text("no_secret", "the secret cannot be read", "", "le secret est illisible", ""),
    Text("bad_signing_secret", "this is no signing secret",
         "`whsec_` and Base64 of 24 to 64 bytes, or 24 characters or more",
         "ce n'est pas un secret de signature",
         "`whsec_` et le Base64 de 24 à 64 octets, ou 24 caractères au moins"),
    Text("no_data", "{file} cannot be read: {error}", "", "{file} est illisible : {error}", ""),
    Text("odd_data", "{file} holds no JSON object", "write what `data` of a message is, as"
         " `mapping preview` shows it", "{file} ne contient pas d'objet JSON",
         "y écrire le `data` d'un message, comme `mapping preview` le montre"),
    Text("with_half", "--mailbox, --secret, --client-secret, --base-url and --data are for a"
         " half-connector", "give --half-connector URL, or --mailbox",
         "--mailbox, --secret, --client-secret, --base-url et --data concernent un demi-connecteur",
         "donner --half-connector URL, ou --mailbox"),
)
# fmt: on
