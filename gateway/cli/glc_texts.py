"""The messages about GLC, the accounts deleted there, and the erasures that follow."""

from __future__ import annotations

from gateway.core import reasons
from gateway.core.messages import Message, Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- check -----------------------------------------------------------------------------
    Text("glc_fault", "{source}: {why}", "{cure}", "{source} : {why}", "{cure}"),
    Text("glc_fault_for", "{source}: {why} ({detail})", "{cure}",
         "{source} : {why} ({detail})", "{cure}"),
    Text("glc_is_malformed", "the answer is not of the expected form (malformed)", "",
         "la réponse n'a pas la forme attendue (malformed)", ""),
    Text("glc_is_error_told", "the answer tells an error", "", "la réponse annonce une erreur", ""),
    Text("glc_is_canary_gone", "the canary, which exists, is told to be gone", "",
         "le canari, qui existe, est dit disparu", ""),
    Text("glc_is_entries_skipped", "entries of the list could not be read", "",
         "des entrées de la liste n'ont pu être lues", ""),
    Text("glc_is_brake", "the brake holds it", "", "le frein le retient", ""),
    Text("glc_is_contradiction", "accounts told to be gone are known again", "",
         "des comptes dits disparus sont connus de nouveau", ""),
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
    Text("glc_events", "the keys of its events can be read: {count} ({kinds})", "",
         "les clés de ses événements se lisent : {count} ({kinds})", ""),
    Text("glc_level", "erased within a day: {recent}, known accounts: {known}; above {most} a day"
         " two people must agree", "",
         "effacés en un jour : {recent}, comptes connus : {known} ; au-delà de {most} par jour,"
         " deux personnes doivent donner leur accord", ""),
    # --- glc -------------------------------------------------------------------------------
    Text("not_believed", "not believed: {why} ({word}, {detail}); nothing was erased", "",
         "non cru : {why} ({word}, {detail}) ; rien n'a été effacé", ""),
    Text("not_believed_bare", "not believed: {why} ({word}); nothing was erased", "",
         "non cru : {why} ({word}) ; rien n'a été effacé", ""),
    Text("polled", "known accounts: {known}, gone: {gone}; to be erased: {opened}, held: {held}, to"
         " be confirmed: {suspects}, cleared: {cleared}", "",
         "comptes connus : {known}, disparus : {gone} ; à effacer : {opened}, retenus : {held}, à"
         " confirmer : {suspects}, hors de cause : {cleared}", ""),
    Text("braked", "brake: so many accounts at once ({gone} of {known}); two people must agree:",
         "", "frein : trop de comptes d'un coup ({gone} sur {known}) ; deux personnes doivent"
         " donner leur accord :", ""),
    Text("contradiction", "accounts told to be gone that are known again: {cleared}; those that are"
         " gone are waited for anew", "",
         "comptes dits disparus et connus de nouveau : {cleared} ; l'attente recommence pour ceux"
         " qui ont disparu", ""),
    Text("entries_skipped", "entries of GLC's list that could not be read: {count}", "tell GLC",
         "entrées de la liste de GLC qui n'ont pu être lues : {count}", "prévenir GLC"),
    Text("communes_told", "a running daemon tells the communes within {seconds} s", "",
         "un service en marche prévient les communes en {seconds} s", ""),
    Text("never", "never", "", "jamais", ""),
    Text("well_done", "well", "", "bon", ""),
    Text("glc_status", "source {source}; last run: {when}; {how}", "",
         "source {source} ; dernier passage : {when} ; {how}", ""),
    Text("glc_counts", "to be confirmed: {suspects}, held: {held}, being erased: {open}, waiting"
         " for communes: {telling}, overdue: {overdue}", "",
         "à confirmer : {suspects}, retenus : {held}, en cours : {open}, attendent les communes :"
         " {telling}, en retard : {overdue}", ""),
    # --- erasure ---------------------------------------------------------------------------
    Text("taken_erasure", "a running daemon takes it within {seconds} s", "",
         "un service en marche le prend en {seconds} s", ""),
    Text("no_erasure_at_all", "no erasure", "", "aucun effacement", ""),
    Text("no_erasure_open", "nothing is being erased, and nothing waits", "",
         "rien n'est en cours d'effacement, et rien n'attend", ""),
    Text("no_erasure", "no erasure {id}", "erasure list --all names those that there are",
         "pas d'effacement {id}", "erasure list --all nomme ceux qu'il y a"),
    Text("never_sent", "never sent", "", "jamais envoyée", ""),
    Text("no_request_yet", "no request yet", "", "pas encore de demande", ""),
    Text("nothing_in_trail", "nothing in the trail", "", "rien dans le registre", ""),
    Text("error_in_trail", "error: {fault}", "", "erreur : {fault}", ""),
    Text("opened", "to be erased: {count}; {when}", "", "à effacer : {count} ; {when}", ""),
    Text("agreed_to", "agreed to by {by}: {count}", "a second, different person must agree",
         "accord donné par {by} : {count}", "il faut l'accord d'une seconde personne, autre"),
    Text("withdrawn", "given up: {count}; whoever GLC tells again to be gone is held again", "",
         "abandonnés : {count} ; qui GLC dit de nouveau disparu sera de nouveau retenu", ""),
    Text("acknowledged", "requests of {commune} of which {by} says: {answer}: {count}", "",
         "demandes de {commune} dont {by} dit : {answer} : {count}", ""),
    Text("ordered", "to be erased, as {by} asks: {count}; a second, different person must agree:",
         "", "à effacer, à la demande de {by} : {count} ; une seconde personne, autre, doit donner"
         " son accord :", ""),
    Text("no_request_of", "no request has the number or id {id}",
         "request list names those that there are",
         "aucune demande n'a le numéro ou l'id {id}", "request list nomme celles qu'il y a"),
    Text("several_requests", "several requests have the number {id}: {ids}", "give the id of one",
         "plusieurs demandes ont le numéro {id} : {ids}", "donner l'id de l'une"),
    Text("no_ledger", "there is no ledger of erasures at {place}", "give the file that"
         " erasure export wrote",
         "il n'y a pas de registre des effacements à {place}", "donner le fichier qu'a écrit"
         " erasure export"),
    Text("ledger_exported", "marks of erasures in {place}: {count}, of which new: {new}", "",
         "marques d'effacement dans {place} : {count}, dont nouvelles : {new}", ""),
    Text("ledger_imported", "marks of erasures in {place}: {count}, of which new: {new}; what the"
         " database holds of them is erased at the daemon's next start", "",
         "marques d'effacement dans {place} : {count}, dont nouvelles : {new} ; ce que la base en"
         " contient est effacé au prochain démarrage du service", ""),
    Text("empty_because", "--because may not be empty", "", "--because ne peut être vide", ""),
    Text("kept_why", "what is kept needs its ground", "give --ground: the law or rule, and --until",
         "ce qui est conservé doit l'être pour un motif",
         "donner --ground : la loi ou la règle, et --until"),
    Text("only_kept", "--ground, --until and --decided-by are for --answer kept", "",
         "--ground, --until et --decided-by vont avec --answer kept", ""),
    Text("until_when", "--until is a day that is to come, not after {last}", "",
         "--until est un jour à venir, au plus tard en {last}", ""),
    Text("too_long", "{most} characters at most", "", "{most} caractères au plus", ""),
    Text("nothing_to_do", "no commune has to erase anything by hand", "",
         "aucune commune n'a rien à effacer à la main", ""),
    Text("nobody_named", "nobody: add contacts to the commune's file", "",
         "personne : ajouter contacts au fichier de la commune", ""),
    Text("no_end", "no end is told", "", "sans terme indiqué", ""),
    Text("kept_because", "kept: {ground}; until: {until}; decided by: {by}", "",
         "conservé : {ground} ; jusqu'au : {until} ; décidé par : {by}", ""),
    Text("empty_by", "--by may not be empty", "", "--by ne peut être vide", ""),
    Text("overdue", "{due} OVERDUE", "", "{due} DÉPASSÉE", ""),
    Text("waits_for_two", "two people ({reason}): erasure approve {id}", "",
         "deux personnes ({reason}) : erasure approve {id}", ""),
    Text("waits_for_second", "a second person ({reason}; {by} has agreed): erasure approve {id}",
         "", "une seconde personne ({reason} ; accord de {by}) : erasure approve {id}", ""),
    Text("waits_for_daemon", "the daemon", "", "le service", ""),
    Text("waits_for_communes", "communes: {communes}", "", "communes : {communes}", ""),
)
# fmt: on


def what_is(word: str) -> Message:
    """Return what a reason of the watch over GLC means."""
    own = f"glc_is_{word}"
    return say(own) if own in say else reasons.of(word).said
