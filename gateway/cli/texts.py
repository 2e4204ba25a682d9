"""The messages of commands about themselves: summaries, headings, and what `check` found."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.cli.language import language
from gateway.core.messages import Message, Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- counts ----------------------------------------------------------------------------
    Text("no_faults", "no fault", "", "aucune anomalie", ""),
    Text("one_faults", "1 fault", "", "1 anomalie", ""),
    Text("faults", "{count} faults", "", "{count} anomalies", ""),
    Text("no_warnings", "no warning", "", "aucun avertissement", ""),
    Text("one_warnings", "1 warning", "", "1 avertissement", ""),
    Text("warnings", "{count} warnings", "", "{count} avertissements", ""),
    Text("one_files", "1 file", "", "1 fichier", ""),
    Text("files", "{count} files", "", "{count} fichiers", ""),
    Text("no_communes", "no commune", "", "aucune commune", ""),
    Text("one_portals", "1 portal", "", "1 portail", ""),
    Text("portals", "{count} portals", "", "{count} portails", ""),
    Text("no_routes", "no route", "", "aucune route", ""),
    Text("one_routes", "1 route", "", "1 route", ""),
    Text("routes", "{count} routes", "", "{count} routes", ""),
    Text("no_mappings", "no mapping", "", "aucune correspondance", ""),
    Text("one_mappings", "1 mapping", "", "1 correspondance", ""),
    Text("mappings", "{count} mappings", "", "{count} correspondances", ""),
    Text("one_communes", "1 commune", "", "1 commune", ""),
    Text("communes", "{count} communes", "", "{count} communes", ""),
    # --- check -----------------------------------------------------------------------------
    Text("warning", "warning: {told}", "", "avertissement : {told}", ""),
    Text("fault", "fault: {told}", "", "anomalie : {told}", ""),
    Text("well", "ok: {told}", "", "bon : {told}", ""),
    Text("configuration",
         "configuration: {portals}, {communes}, {routes}, {mappings}", "",
         "configuration : {portals}, {communes}, {routes}, {mappings}", ""),
    Text("asked", "far ends: {count} asked", "", "serveurs distants : {count} interrogés", ""),
    Text("one_asked", "far ends: 1 asked", "", "serveurs distants : 1 interrogé", ""),
    Text("not_asked", "far ends: not asked (--offline)", "",
         "serveurs distants : non interrogés (--offline)", ""),
    Text("all_well", "all well", "", "tout va bien", ""),
    Text("result", "{faults}, {warnings}", "", "{faults}, {warnings}", ""),
    Text("more_with_v", "{count} more (-v)", "", "et {count} autres (-v)", ""),
    Text("of_communes", "{name} ({insee}): {faults}, {warnings}", "",
         "{name} ({insee}) : {faults}, {warnings}", ""),
    Text("communes_well", "{communes} without fault or warning", "",
         "{communes} sans anomalie ni avertissement", ""),
    Text("no_answer", "no answer within {seconds} s", "see that it answers",
         "pas de réponse en {seconds} s", "vérifier qu'il répond"),
    Text("adapter_failed", "the adapter failed: {error}, {place}", "tell the adapter's author",
         "l'adaptateur a échoué : {error}, {place}", "prévenir l'auteur de l'adaptateur"),
    Text("objects_tried", "a small object was put, read and deleted", "",
         "un petit objet a été posé, lu et supprimé", ""),
    Text("objects_keep", "of a file that is erased a version or an unfinished upload may live on"
         " in the object store: it is not looked for with keys that are not ours",
         "give access_key_id and secret_access_key, or see that the bucket keeps neither",
         "d'un fichier effacé, une version ou un envoi inachevé peut rester dans le dépôt"
         " d'objets : cela n'est pas cherché avec des clés qui ne sont pas les nôtres",
         "donner access_key_id et secret_access_key, ou veiller à ce que le seau ne garde ni l'un"
         " ni l'autre"),
    Text("pooled", "the pooler at the database's address gives each transaction another session,"
         " in which neither notices nor settings hold",
         "pool_mode = session for this database, or PostgreSQL's own address",
         "le pooler placé devant la base donne à chaque transaction une autre session, où ni les"
         " notifications ni les réglages ne tiennent",
         "pool_mode = session pour cette base, ou l'adresse même de PostgreSQL"),
    Text("glc_fault", "{source}: {why}", "{cure}", "{source} : {why}", "{cure}"),
    Text("glc_fault_for", "{source}: {why} ({detail})", "{cure}",
         "{source} : {why} ({detail})", "{cure}"),
    Text("glc_is_malformed", "the answer is not of the expected form (malformed)", "",
         "la réponse n'a pas la forme attendue (malformed)", ""),
    Text("glc_is_error_told", "the answer tells an error", "", "la réponse annonce une erreur", ""),
    Text("glc_answers", "see that GLC answers, and base_url", "",
         "vérifier que GLC répond, et base_url", ""),
    Text("glc_access_denied", "look at auth, and that GLC lets us search among all users", "",
         "vérifier auth, et que GLC nous laisse chercher parmi tous les usagers", ""),
    Text("glc_oauth2_refused", "look at token_url, client_id, client_secret and scope", "",
         "vérifier token_url, client_id, client_secret et scope", ""),
    Text("glc_malformed", "look at source, and the paths of deletions", "",
         "vérifier source, et les chemins de deletions", ""),
    Text("glc_refused", "look at base_url, source and the path of deletions", "",
         "vérifier base_url, source et le chemin de deletions", ""),
    Text("glc_answer_too_large", "have the list given by pages: params, next, next_param", "",
         "faire donner la liste par pages : params, next, next_param", ""),
    Text("glc_canary_gone", "the canary is told to be gone: no answer would be believed",
         "look at its uuid, that the account exists, and that we may search in its unit",
         "le canari est dit disparu : aucune réponse ne serait crue",
         "vérifier son uuid, que le compte existe, et que nous pouvons chercher dans son unité"),
    Text("glc_synchronization", "our credentials may ask, and the canary is known", "",
         "nos identifiants peuvent demander, et le canari est connu", ""),
    Text("glc_empty", "our credentials read the list, which is empty: its paths could not be"
         " tried", "do this again once an account was deleted",
         "nos identifiants lisent la liste, qui est vide : ses chemins n'ont pu être essayés",
         "recommencer quand un compte aura été supprimé"),
    Text("glc_skipped", "{skipped} of the list's {entries} entries cannot be read",
         "look at uuid, deleted_at and dates",
         "{skipped} des {entries} entrées de la liste sont illisibles",
         "vérifier uuid, deleted_at et dates"),
    Text("glc_deletions", "our credentials read the list ({entries} entries tried)", "",
         "nos identifiants lisent la liste ({entries} entrées essayées)", ""),
    Text("portal_unasked", "not asked: we have no credentials", "give orig and key",
         "non interrogé : nous n'avons pas d'identifiants", "donner orig et key"),
    Text("portal_no_form", "not asked: no teleservice", "declare one",
         "non interrogé : aucune démarche", "en déclarer une"),
    # --- wrong usage -----------------------------------------------------------------------
    Text("error", "error: {said}", "", "erreur : {said}", ""),
    Text("usage", "usage: {line}", "", "emploi : {line}", ""),
    Text("help", "help: {line}", "", "aide : {line}", ""),
    Text("given_up", "given up; nothing was done", "", "abandonné ; rien n'a été fait", ""),
    Text("no_language", "--lang {given}: no such language", "write en or fr",
         "--lang {given} : cette langue n'est pas parlée ici", "écrire en ou fr"),
    Text("no_command", "there is no command {name}", "there is: {known}",
         "il n'y a pas de commande {name}", "il y a : {known}"),
    Text("no_command_near", "there is no command {name}", "did you mean {known}?",
         "il n'y a pas de commande {name}", "vouliez-vous dire {known} ?"),
    Text("no_option", "there is no option {name}", "", "il n'y a pas d'option {name}", ""),
    Text("no_option_near", "there is no option {name}", "did you mean {known}?",
         "il n'y a pas d'option {name}", "vouliez-vous dire {known} ?"),
    Text("option_missing", "{name} is missing", "give {due}", "{name} manque", "donner {due}"),
    Text("option_value_missing", "{name} needs a value", "give {due}",
         "{name} demande une valeur", "donner {due}"),
    Text("option_value", "{name} does not take {value}", "give {due}",
         "{name} n'admet pas {value}", "donner {due}"),
    Text("option_takes_none", "{name} takes no value", "write {name} alone",
         "{name} n'a pas de valeur", "écrire {name} sans rien"),
    Text("too_many", "too much is given: {words}", "leave it out, or put quotes around a name"
         " that holds a blank",
         "il y a quelque chose de trop : {words}", "le retirer, ou mettre entre guillemets un nom"
         " qui contient une espace"),
    Text("due_value", "a value", "", "une valeur", ""),
    Text("due_named", "{name}", "", "{name}", ""),
    Text("due_choice", "one of {known}", "", "l'un de {known}", ""),
    Text("due_whole", "a whole number", "", "un nombre entier", ""),
    Text("due_number", "a number", "", "un nombre", ""),
    Text("due_range", "{number} from {low} to {high}", "", "{number} de {low} à {high}", ""),
    Text("due_least", "{number}, {low} or more", "", "{number}, {low} ou plus", ""),
    # --- mapping ---------------------------------------------------------------------------
    Text("no_mapping", "there is no such file",
         "write its path, or --mappings DIR for all of a folder",
         "ce fichier n'existe pas",
         "écrire son chemin, ou --mappings DOSSIER pour tous ceux d'un dossier"),
    Text("mapping_folder", "it is a folder",
         "name its files, or --mappings DIR for all of a folder", "c'est un dossier",
         "nommer ses fichiers, ou --mappings DOSSIER pour tous ceux d'un dossier"),
    Text("preview_no_bench", "no bench says what the GRU is: the calls are not shown",
         "write `options:` in NAME.cases/bench.yaml, or name a commune: --commune INSEE",
         "aucun banc ne dit quelle est la GRU : les appels ne sont pas montrés",
         "écrire `options:` dans NOM.cases/bench.yaml, ou nommer une commune : --commune INSEE"),
    Text("preview_file", "file: {file}", "", "fichier : {file}", ""),
    Text("preview_unanswered", "nothing says what the GRU answers to this call",
         "write it under `answers:` in bench.yaml",
         "rien ne dit ce que la GRU répond à cet appel", "l'écrire sous `answers:` de bench.yaml"),
    Text("no_formdata", "there is no such file", "write its path",
         "ce fichier n'existe pas", "écrire son chemin"),
    Text("formdata_json", "it is not JSON", "save it as the portal gives it",
         "ce n'est pas du JSON", "l'enregistrer tel que le portail le donne"),
    Text("formdata_refused", "a push of it would be refused ({code}): « {told} »",
         "save it as the portal gives it",
         "son envoi serait refusé ({code}) : « {told} »",
         "l'enregistrer tel que le portail le donne"),
    Text("unread_file", "it cannot be read", "see that it is a file, and look at its rights",
         "il ne peut pas être lu", "vérifier que c'est un fichier, et ses droits"),
    Text("file_encoding", "it is not text in UTF-8", "save it as UTF-8",
         "ce n'est pas du texte en UTF-8", "l'enregistrer en UTF-8"),
    Text("linted", "{files}: {faults}, {warnings}", "", "{files} : {faults}, {warnings}", ""),
    # --- contracts -------------------------------------------------------------------------
    Text("left_out", "left out: {told}", "", "laissé de côté : {told}", ""),
    Text("notes", "notes, which hinder nothing: {count} (-v tells them)", "",
         "remarques, qui n'empêchent rien : {count} (-v les donne)", ""),
    Text("nothing_run", "nothing was run", "", "rien n'a été joué", ""),
    Text("no_live_step", "no live step", "", "aucune étape réelle", ""),
    Text("unchanged", "unchanged since it passed: {key}", "",
         "inchangé depuis sa réussite : {key}", ""),
    Text("passed", "passed: {cases} cases, {failed} failed, {weak} weak, {seconds} s", "",
         "conforme : {cases} cas, {failed} en échec, {weak} faibles, {seconds} s", ""),
    Text("not_passed", "FAILED: {cases} cases, {failed} failed, {weak} weak, {seconds} s", "",
         "NON CONFORME : {cases} cas, {failed} en échec, {weak} faibles, {seconds} s", ""),
    # --- request why -----------------------------------------------------------------------
    Text("why_detail", "  detail: {value}", "", "  détail : {value}", ""),
    Text("why_since", "  since: {value}", "", "  depuis : {value}", ""),
    Text("why_next", "  next: {value}", "", "  suite : {value}", ""),
    Text("why_who", "  who can act: {value}", "", "  qui peut agir : {value}", ""),
    Text("why_do", "  do: {value}", "", "  à faire : {value}", ""),
    # --- headings of tables ----------------------------------------------------------------
    Text("heading_contract", "contract", "", "contrat", ""),
    Text("heading_cases", "cases", "", "cas", ""),
    Text("heading_failed", "failed", "", "échecs", ""),
    Text("heading_mutants", "mutants", "", "mutants", ""),
    Text("heading_weak", "weak", "", "faibles", ""),
    Text("heading_digest", "digest", "", "empreinte", ""),
    Text("heading_teleservice", "teleservice", "", "démarche", ""),
    Text("heading_step", "step", "", "étape", ""),
    Text("heading_result", "result", "", "résultat", ""),
    Text("heading_detail", "detail", "", "détail", ""),
)
# fmt: on


def headed(names: Sequence[str]) -> tuple[str, ...]:
    """Return the headings of a table in the language of the command."""
    return tuple(say(f"heading_{name}").what(language()) for name in names)


def counted(word: str, count: int) -> Message:
    """Return `1 fault`, `2 faults`, `no fault`: the sentence of the table for so many."""
    if count > 1:
        return say(word, count=count)
    singular = f"{'one' if count else 'no'}_{word}"
    return say(singular) if singular in say else say(word, count=count)
