"""The sentences of `console`, in both languages."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# fmt: off
say = Messages(
    Text("no_console", "no console is configured", "write `console: {{}}` in gateway.yaml",
         "aucune console n'est configurée", "écrire `console: {{}}` dans gateway.yaml"),
    Text("bad_name", "{name} is no name of an account or token",
         "2 to 40 small letters, digits, `.`, `_` or `-`",
         "{name} n'est pas un nom de compte ou de jeton",
         "de 2 à 40 minuscules sans accent, chiffres, `.`, `_` ou `-`"),
    Text("bad_by", "--by names a person", "", "--by nomme une personne", ""),
    Text("bad_insee", "{code} is no INSEE code", "as 69029", "{code} n'est pas un code INSEE",
         "comme 69029"),
    Text("role_communes", "an agent is one of communes, an operator of all",
         "--role agent --commune 69029; --role operator",
         "un agent l'est de communes, un opérateur de toutes",
         "--role agent --commune 69029 ; --role operator"),
    Text("link", "give this link to {name}, by a safe way: it works once, for 24 hours", "",
         "donner ce lien à {name}, par une voie sûre : il sert une fois, pendant 24 heures", ""),
    Text("token", "the token {name} is good until {ends}; it is not shown again", "",
         "le jeton {name} vaut jusqu'au {ends} ; il n'est plus jamais montré", ""),
    Text("disabled", "{name} gets in no more", "", "{name} n'entre plus", ""),
    Text("removed", "{name} is worthless now", "", "{name} ne vaut plus rien", ""),
    Text("no_user", "no account yet", "console user add NAME --role operator",
         "aucun compte encore", "console user add NOM --role operator"),
    Text("no_token", "no token", "", "aucun jeton", ""),
)
# fmt: on
