"""The messages about rules that no case protects: what could be changed and nobody would see."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    Text("unseen", "{place}: {what}, and no case fails", "",
         "{place}: {what} sans qu'aucun cas n'échoue", ""),
    Text("in_section", "{section}: {what}", "", "{section} : {what}", ""),
    Text("in_rule", "\"{rule}\": {what}", "", "« {rule} » : {what}", ""),
    Text("the_rule", "the rule \"{rule}\", line {line},", "",
         "la règle « {rule} » ligne {line}", ""),
    Text("part_rule", "the rule of a part, line {line},", "",
         "la règle d'une partie ligne {line}", ""),
    Text("dropped", "{rule} may be taken out", "", "{rule} peut être retirée", ""),
    Text("may", "{rule} may {what}", "", "{rule} peut {what}", ""),
    Text("lose_when", "lose its condition \"{when}\"", "", "perdre sa condition « {when} »", ""),
    Text("not_required", "be required no more", "", "n'être plus obligatoire", ""),
    Text("lose_default", "lose its default", "", "perdre sa valeur par défaut", ""),
    Text("keep_html", "keep the HTML", "", "garder le HTML", ""),
    Text("exceed", "exceed {count} characters", "", "dépasser {count} caractères", ""),
    Text("no_option", "do without \"{option}\"", "", "se passer de « {option} »", ""),
    Text("no_table", "do without the table \"{table}\"", "",
         "se passer de la table « {table} »", ""),
    Text("entry_other", "table \"{table}\": \"{key}\", line {line}, may give another value", "",
         "table « {table} » : « {key} » ligne {line} peut donner une autre valeur", ""),
    Text("default_dropped", "table \"{table}\": the default, line {line}, may be taken out", "",
         "table « {table} » : la valeur par défaut ligne {line} peut être retirée", ""),
    Text("unknown_passes", "table \"{table}\", line {line}: an unknown value may pass instead of"
         " stopping the request", "",
         "table « {table} » ligne {line} : une valeur inconnue peut passer au lieu d'arrêter la"
         " demande", ""),
    Text("pattern_dropped", "attachments, line {line}: \"{pattern}\" may be taken out", "",
         "pièces jointes ligne {line} : « {pattern} » peut être retiré", ""),
    Text("no_files", "attachments, line {line}: they may leave no more", "",
         "pièces jointes ligne {line} : elles peuvent ne plus partir", ""),
    Text("all_files", "attachments, line {line}: all may leave, also those not chosen", "",
         "pièces jointes ligne {line} : toutes peuvent partir, même non choisies,", ""),
    Text("of_status", "status \"{word}\", line {line}, {what}", "",
         "état « {word} » ligne {line} {what}", ""),
    Text("may_become", "may become \"{status}\"", "", "peut devenir « {status} »", ""),
    Text("may_go", "may be taken out", "", "peut être retiré", ""),
    Text("may_be_silent", "may lose its message", "", "peut perdre son message", ""),
    Text("unknown_told", "an unknown status of the GRU may be told to the citizen", "",
         "un état inconnu de la GRU peut être annoncé à l'usager", ""),
    Text("unknown_untold", "an unknown status of the GRU may tell the citizen nothing", "",
         "un état inconnu de la GRU peut ne rien annoncer à l'usager", ""),
    Text("notes_always", "an internal note may be shown to the citizen", "",
         "une note interne peut être montrée à l'usager", ""),
    Text("notes_never", "a public note may be hidden from the citizen", "",
         "une note publique peut être cachée à l'usager", ""),
    Text("notes_when_marked", "the notes may depend on the GRU's mark", "",
         "les notes peuvent dépendre de la marque de la GRU", ""),
    Text("of_return", "return, line {line}: {what}", "", "retour ligne {line} : {what}", ""),
    Text("hook_dropped", "the action \"{name}\" may be taken out", "",
         "l'action « {name} » peut être retirée", ""),
    Text("trigger_dropped", "the trigger \"{name}\" of \"{status}\" may be taken out", "",
         "le déclencheur « {name} » de « {status} » peut être retiré", ""),
    Text("word_dropped", "the word \"{name}\" of \"{status}\" may be taken out", "",
         "le mot « {name} » de « {status} » peut être retiré", ""),
)
# fmt: on
