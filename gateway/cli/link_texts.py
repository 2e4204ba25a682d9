"""The messages about linked accounts."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("no_openid", "accounts are not linked here: `glc.openid` is not configured",
         "see docs/operators.md, Linking of accounts",
         "les comptes ne sont pas rattachés ici : `glc.openid` n'est pas configuré",
         "voir docs/fr/exploitation.md, Rattachement de comptes"),
    Text("no_links", "no linked account", "", "aucun compte rattaché", ""),
    Text("one_way", "say whose link: --identity, or --account of the commune's portal", "",
         "dire quel rattachement : --identity, ou --account du portail de la commune", ""),
    Text("unlinked", "links of {commune} that {by} has ended: {count}", "",
         "rattachements de {commune} auxquels {by} a mis fin : {count}", ""),
    Text("none_unlinked", "no such link of {commune}", "link list --commune {commune} names them",
         "pas de tel rattachement de {commune}", "link list --commune {commune} les nomme"),
    Text("unlink_asked", "end these links of {commune}, for good?", "",
         "mettre fin à ces rattachements de {commune}, pour de bon ?", ""),
    Text("empty_by", "--by may not be empty", "", "--by ne peut être vide", ""),
)
# fmt: on
