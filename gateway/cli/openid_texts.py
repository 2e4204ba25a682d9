"""The messages of `check` about GLC as OpenID provider."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("failed", "sign-in: {why}", "{cure}", "connexion : {why}", "{cure}"),
    Text("is_wrong_issuer", "its discovery names another issuer than we expect", "",
         "sa découverte nomme un autre émetteur que celui attendu", ""),
    Text("is_bad_metadata", "its discovery lacks an address, or has one that is none", "",
         "il manque une adresse à sa découverte, ou l'une n'en est pas une", ""),
    Text("is_unsupported_provider", "it offers no code flow, no PKCE (S256), or none of our"
         " algorithms", "",
         "il n'offre ni flux par code, ni PKCE (S256), ou aucun de nos algorithmes", ""),
    Text("is_unusable_answer", "the answer is not of the expected form", "",
         "la réponse n'a pas la forme attendue", ""),
    Text("is_bad_keys", "its keys are no key set", "", "ses clés ne sont pas un jeu de clés", ""),
    Text("is_client_refused", "it refuses our client_id or secret", "",
         "il refuse notre client_id ou notre secret", ""),
    Text("is_bad_private_key", "private_key is no RSA or EC key", "",
         "private_key n'est pas une clé RSA ou EC", ""),
    Text("is_bad_token_answer", "it takes a code that is none", "",
         "il accepte un code qui n'en est pas un", ""),
    Text("cure_issuer", "look at issuer: to the letter, a final slash included, and without a"
         " redirection", "",
         "vérifier issuer : à la lettre, barre finale comprise, sans redirection", ""),
    Text("cure_client", "look at client_id and client_secret; Authentic does not decode a secret in"
         " the Authorization header: with other signs than letters, digits and . _ - use"
         " client_auth: client_secret_post", "",
         "vérifier client_id et client_secret ; Authentic ne décode pas un secret dans l'en-tête"
         " Authorization : avec d'autres signes que lettres, chiffres et . _ -, mettre"
         " client_auth: client_secret_post", ""),
    Text("cure_provider", "ask whoever runs GLC", "", "demander à qui exploite GLC", ""),
    Text("no_key", "none of its keys is for one of our algorithms ({algorithms}): no sign-in will"
         " be believed", "have it sign with a key pair (RSA or EC), or look at algorithms",
         "aucune de ses clés ne va avec nos algorithmes ({algorithms}) : aucune connexion ne sera"
         " crue", "lui faire signer avec une paire de clés (RSA ou EC), ou vérifier algorithms"),
    Text("no_auth", "it does not take {auth}", "client_auth: one of {offered}",
         "il n'accepte pas {auth}", "client_auth : l'un de {offered}"),
    Text("not_offered", "it does not announce {names}", "look at {key}, or ask whoever runs GLC",
         "il n'annonce pas {names}", "vérifier {key}, ou demander à qui exploite GLC"),
    Text("sub_is_pairwise", "`sub` is another for each service there: it is not the account as the"
         " portal names it", "have a claim made for it, and name it in account_claim",
         "`sub` y est différent pour chaque service : ce n'est pas le compte tel que le portail le"
         " nomme", "faire créer une donnée pour lui, et la nommer dans account_claim"),
    Text("well", "sign-in: discovery, {count} keys ({kinds}) and our client are right; `sub`:"
         " {subjects}; logout told: {logout}", "",
         "connexion : la découverte, {count} clés ({kinds}) et notre client sont bons ; `sub` :"
         " {subjects} ; fin de session annoncée : {logout}", ""),
    Text("no_logout", "not at all", "", "jamais", ""),
)
# fmt: on
