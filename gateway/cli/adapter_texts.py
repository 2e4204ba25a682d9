"""The sentences of the commands of `adapter`."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# fmt: off
say = Messages(
    Text("no_adapter", "no adapter is called `{kind}`", "installed: {installed}",
         "aucun adaptateur ne s'appelle `{kind}`", "installés : {installed}"),
    Text("no_suites", "the module {module} with the suite of `{kind}` cannot be imported: {error}",
         "run it where the adapter's tests are, with toodego-gru-gateway[conformance] installed, or"
         " name the module: --suites MODULE",
         "le module {module}, qui contient l'essai de `{kind}`, ne peut être importé : {error}",
         "lancer la commande là où sont les essais de l'adaptateur, avec"
         " toodego-gru-gateway[conformance] installé, ou nommer le module : --suites MODULE"),
    Text("empty_suites", "{module} holds no AdapterUnderTest of `{kind}`",
         "subclass gateway.sdk.under_test.AdapterUnderTest there, with its adapter_class",
         "{module} ne contient aucun AdapterUnderTest de `{kind}`",
         "y dériver gateway.sdk.under_test.AdapterUnderTest, avec son adapter_class"),
    Text("no_check", "no check is called like {pattern}", "see `gru-gateway adapter checks`",
         "aucun contrôle ne correspond à {pattern}", "voir `gru-gateway adapter checks`"),
    Text("whole_only", "--write keeps the results of the whole matrix", "leave --check out",
         "--write garde les résultats de tous les contrôles", "enlever --check"),
    Text("no_checks", "no check", "", "aucun contrôle", ""),
    Text("passed", "passed", "", "réussi", ""),
    Text("failed", "FAILED", "", "ÉCHEC", ""),
    Text("not_shown", "not shown", "", "non montré", ""),
    Text("does_not_apply", "does not apply", "", "sans objet", ""),
    Text("detail", "{name}: {detail}", "", "{name} : {detail}", ""),
    Text("summary", "{passed} passed, {failed} failed, {hidden} not shown, {aside} do not apply;"
         " tier: {tier}", "",
         "{passed} réussis, {failed} échecs, {hidden} non montrés, {aside} sans objet ;"
         " niveau : {tier}", ""),
    Text("made", "made: {folder}", "next: pip install -e '{folder}[tests]', pytest -q {folder},"
         " then its README.md",
         "créé : {folder}", "ensuite : pip install -e '{folder}[tests]', pytest -q {folder}, puis"
         " son README.fr.md"),
    Text("written", "written: {file}", "", "écrit : {file}", ""),
    Text("tier_none", "none", "", "aucun", ""),
    Text("tier_bronze", "bronze", "", "bronze", ""),
    Text("tier_silver", "silver", "", "argent", ""),
    Text("tier_gold", "gold", "", "or", ""),
    Text("tier_platinum", "platinum", "", "platine", ""),
    Text("stale", "not known: the code has changed since", "",
         "inconnu : le code a changé depuis", ""),
    Text("edited", "not known: quality.yaml was edited", "",
         "inconnu : quality.yaml a été modifié à la main", ""),
    Text("unknown", "not known", "", "inconnu", ""),
    Text("none_installed", "no adapter is installed", "", "aucun adaptateur installé", ""),
)
# fmt: on
