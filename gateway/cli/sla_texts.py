"""The messages of `sla`."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("nothing", "nothing is recorded of this month", "",
         "rien n'est enregistré de ce mois", ""),
    Text("no_month", "--month: {given} is no month", "as 2026-11",
         "--month : {given} n'est pas un mois", "comme 2026-11"),
    Text("written", "written: {place}", "", "écrit : {place}", ""),
    Text("kept", "kept", "", "tenu", ""),
    Text("broken", "not kept", "", "non tenu", ""),
    Text("solved", "{solved} of {judged}", "", "{solved} sur {judged}", ""),
)
# fmt: on
