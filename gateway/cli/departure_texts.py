"""The messages about communes that come and go."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- the plan --------------------------------------------------------------------------
    Text("plan_of", "{name} ({commune}) leaves the gateway:", "",
         "{name} ({commune}) quitte la passerelle :", ""),
    Text("plan_stop", "{stop}: nothing of its citizens is taken any more; the portal gets 410"
         " commune_left", "",
         "{stop} : plus rien n'est pris de ses usagers ; le portail reçoit 410 commune_left", ""),
    Text("plan_at_once", "at once", "", "tout de suite", ""),
    Text("plan_drain", "then up to {time} for what waits: {waiting} deliveries to its GRU,"
         " {reports} reports to the portal", "",
         "puis jusqu'à {time} pour ce qui attend : {waiting} remises à sa GRU, {reports} retours"
         " au portail", ""),
    Text("plan_person", "what is then left is dropped; {count} deliveries and {untold} changes of"
         " the GRU wait for a person now", "outbox list --commune {commune}",
         "ce qui reste alors est abandonné ; {count} remises et {untold} changements de la GRU"
         " attendent une personne en ce moment", "outbox list --commune {commune}"),
    Text("plan_tell", "the portal is told of each open request ({count}), up to {time}", "",
         "le portail est prévenu de chaque demande ouverte ({count}), pendant au plus {time}", ""),
    Text("plan_erasures", "{count} erasures that the commune still owes are given up, and told in"
         " the certificate", "have the commune answer before: erasure todo",
         "{count} effacements que la commune doit encore sont abandonnés, et dits dans le"
         " certificat", "faire répondre la commune avant : erasure todo"),
    Text("plan_held", "{count} erasures of its people wait for two people",
         "decide them before: erasure list",
         "{count} effacements de ses usagers attendent deux personnes",
         "en décider avant : erasure list"),
    Text("plan_delete", "then all of it is deleted here: {requests} requests, {files} files,"
         " {links} links; its keys, webhooks and timers end; nothing is handed over", "",
         "puis tout est supprimé ici : {requests} demandes, {files} fichiers, {links}"
         " rattachements ; ses clés, webhooks et minuteries prennent fin ; rien n'est remis à"
         " personne", ""),
    Text("plan_stays", "references of erased people, the trail, the releases and counts stay", "",
         "restent les références des personnes effacées, la piste d'audit, les versions et des"
         " nombres", ""),
    Text("plan_only", "this is the plan; nothing was done", "",
         "ceci est le plan ; rien n'a été fait", ""),
    # --- the order -------------------------------------------------------------------------
    Text("name_it", "to confirm, write the commune's name or INSEE code", "",
         "pour confirmer, écrire le nom de la commune ou son code INSEE", ""),
    Text("named_other", "{given} is not {name} ({commune}): nothing was done", "",
         "{given} n'est pas {name} ({commune}) : rien n'a été fait", ""),
    Text("who_and_why", "say who decides, and why", "--by NAME --because TEXT",
         "dire qui décide, et pourquoi", "--by NOM --because TEXTE"),
    Text("confirm_needed", "a script confirms by naming the commune", "--confirm {commune}",
         "un script confirme en nommant la commune", "--confirm {commune}"),
    Text("too_long", "{option} is kept in the trail", "a text of 1 to {most} characters",
         "{option} est gardé dans la piste d'audit", "un texte de 1 à {most} caractères"),
    Text("no_time", "{option}: {given} is no time", "as 2026-09-01 or 2026-09-01 08:00",
         "{option} : {given} n'est pas une date", "comme 2026-09-01 ou 2026-09-01 08:00"),
    Text("no_duration", "{option}: {given} is no time up to {most} days", "as 90s, 30m, 12h or 3d",
         "{option} : {given} n'est pas un délai d'au plus {most} jours",
         "comme 90s, 30m, 12h ou 3d"),
    Text("one_act", "one at a time: --cancel or --settle-now", "",
         "une chose à la fois : --cancel ou --settle-now", ""),
    Text("ordered", "ordered: {id}; {when}", "", "ordonné : {id} ; {when}", ""),
    Text("follows", "the daemon does it", "", "le service s'en charge", ""),
    Text("follows_at_start", "no daemon runs now: it begins when one does", "gru-gateway serve",
         "aucun service n'est en marche : cela commencera avec lui", "gru-gateway serve"),
    Text("cancelled", "given up: {name} ({commune}) is served as before", "",
         "abandonné : {name} ({commune}) est servie comme avant", ""),
    Text("hurried", "{step}: not waited for any longer", "", "{step} : n'attend plus", ""),
    # --- what is so ------------------------------------------------------------------------
    Text("step_announced", "announced; nothing is taken any more from {at} on", "",
         "annoncé ; plus rien ne sera pris à partir de {at}", ""),
    Text("step_draining", "nothing is taken; what waits may go until {at}: {left} deliveries", "",
         "plus rien n'est pris ; ce qui attend peut partir jusqu'à {at} : {left} remises", ""),
    Text("step_telling", "the portal is told, until {at}: {left} are still to be told", "",
         "le portail est prévenu, jusqu'à {at} : il en reste {left}", ""),
    Text("step_erasing", "it is served no more; its data are being deleted: {left} rows, {objects}"
         " objects", "",
         "elle n'est plus servie ; ses données sont supprimées : {left} lignes, {objects} objets",
         ""),
    Text("waits", "it waits past its time for: {what}",
         "commune decommission {commune} --settle-now",
         "elle attend au-delà de son délai : {what}",
         "commune decommission {commune} --settle-now"),
    Text("waits_left", "not all of it is gone: {what}",
         "delete the copies that are named; it looks again each minute",
         "tout n'est pas parti : {what}",
         "supprimer les copies nommées ; elle cherche de nouveau chaque minute"),
    Text("waits_daemon", "the daemon, which does not move it", "",
         "le service, qui ne l'avance pas", ""),
    Text("waits_under_way", "{count} deliveries that its GRU is taking, or that it has fetched", "",
         "{count} remises que sa GRU est en train de prendre, ou qu'elle a relevées", ""),
    Text("waits_waiting", "{count} deliveries to its GRU", "", "{count} remises à sa GRU", ""),
    Text("waits_person", "{count} deliveries that wait for a person", "",
         "{count} remises qui attendent une personne", ""),
    Text("waits_reports", "{count} reports to the portal", "", "{count} retours au portail", ""),
    Text("waits_erasures", "{count} erasures that it still owes", "",
         "{count} effacements qu'elle doit encore", ""),
    Text("waits_people", "{count} erasures of people that are being made", "",
         "{count} effacements de personnes en cours", ""),
    Text("waits_rows", "{count} rows", "", "{count} lignes", ""),
    Text("waits_objects", "{count} files in the object store", "",
         "{count} fichiers dans le dépôt d'objets", ""),
    Text("waits_places", "texts of it in {places}", "", "des textes d'elle dans {places}", ""),
    Text("step_ended", "it has left, since {at}: {requests} requests deleted, {told} told to the"
         " portal, {untold} not; 0 rows, 0 objects, 0 of {markers} markers found", "",
         "partie depuis {at} : {requests} demandes supprimées, {told} dites au portail, {untold}"
         " non ; 0 ligne, 0 objet, 0 des {markers} repères retrouvé", ""),
    Text("certificate", "{place}: the certificate", "", "{place} : le certificat", ""),
    Text("not_ended", "it has not ended: there is no certificate yet", "",
         "ce n'est pas achevé : il n'y a pas encore de certificat", ""),
    Text("left_file", "{file} is still there", "remove it, and the secrets that only it names:"
         " {secrets}",
         "{file} est encore là", "le retirer, avec les secrets qu'il est seul à nommer :"
         " {secrets}"),
    Text("no_secret", "none", "", "aucun", ""),
    Text("revoke_there", "at the commune: end our account at its GRU", "",
         "chez la commune : fermer notre compte sur sa GRU", ""),
    Text("portal_there", "at the portal: take the commune out of the form's list, and write the"
         " workflow anew (portal workflow)", "",
         "au portail : retirer la commune de la liste du formulaire, et récrire le workflow"
         " (portal workflow)", ""),
    # --- one that comes --------------------------------------------------------------------
    Text("no_insee", "{given} is no INSEE code", "five characters, as 69029",
         "{given} n'est pas un code INSEE", "cinq caractères, comme 69029"),
    Text("has_file", "{commune} has a file already: {file}", "edit it, and: release plan",
         "{commune} a déjà un fichier : {file}", "le modifier, puis : release plan"),
    Text("still_leaving", "{commune} is leaving ({id})", "commune decommission {commune} --cancel",
         "{commune} est sur le départ ({id})", "commune decommission {commune} --cancel"),
    Text("left_before", "{commune} has left ({id})", "--again --by NAME connects it again",
         "{commune} est partie ({id})", "--again --by NOM la raccorde de nouveau"),
    Text("again_by", "who lets it come again is kept in the trail", "--by NAME",
         "la piste d'audit garde qui la laisse revenir", "--by NOM"),
    Text("option_due", "it is missing", "give it, or leave --no-input out",
         "il manque", "le donner, ou retirer --no-input"),
    Text("option_of_adapter", "the adapter needs it: {help}", "give KEY=VALUE",
         "l'adaptateur en a besoin : {help}", "donner CLÉ=VALEUR"),
    Text("none_of", "{given} is none of: {known}", "", "{given} n'est aucun de : {known}", ""),
    Text("no_pair", "{given} is not NAME=VALUE", "", "{given} n'est pas NOM=VALEUR", ""),
    Text("secret_in_clear", "a secret does not stand on a command line or in a file of options",
         "env:NAME, file:/PATH, or `new`; or leave it out, and it is asked for",
         "un secret ne se met ni sur la ligne de commande, ni dans un fichier d'options",
         "env:NOM, file:/CHEMIN, ou `new` ; ou ne pas le donner : il est demandé"),
    Text("options_unread", "{file} cannot be read", "a text file in UTF-8",
         "{file} ne peut être lu", "un fichier de texte en UTF-8"),
    Text("options_large", "{file} is larger than {most} KB", "",
         "{file} dépasse {most} Ko", ""),
    Text("options_no_keys", "{file} holds no keys", "write the options below each other",
         "{file} ne contient pas de clés", "écrire les options l'une sous l'autre"),
    Text("reopened", "{commune} may run again, by its file {file}",
         "release plan, then release apply",
         "{commune} peut tourner de nouveau, par son fichier {file}",
         "release plan, puis release apply"),
    Text("not_of_insee", "{commune} is in no list of Insee's that is known here",
         "look at the code",
         "{commune} n'est dans aucune liste de l'Insee connue ici", "vérifier le code"),
    Text("secret_there", "{file} is there already", "remove it, or give it: file:{file}",
         "{file} existe déjà", "le retirer, ou le donner : file:{file}"),
    Text("there_are", "there is: {known}", "", "il y a : {known}", ""),
    Text("ask_name", "the commune's name", "", "le nom de la commune", ""),
    Text("ask_portal", "the portal", "", "le portail", ""),
    Text("ask_adapter", "the adapter of its GRU", "", "l'adaptateur de sa GRU", ""),
    Text("ask_contact", "whom to call when something fails (- for nobody)", "",
         "qui appeler en cas de panne (- pour personne)", ""),
    Text("ask_option", "{name}: {help}", "", "{name} : {help}", ""),
    Text("ask_secret", "{name}: the secret, or env:NAME, or file:/PATH; empty makes one", "",
         "{name} : le secret, ou env:NOM, ou file:/CHEMIN ; vide en fabrique un", ""),
    Text("ask_routes", "the teleservices, with blanks between", "",
         "les démarches, séparées par des espaces", ""),
    Text("ask_mapping", "the mapping", "", "la correspondance", ""),
    Text("added", "{name} ({commune}) is in {file}", "",
         "{name} ({commune}) est dans {file}", ""),
    Text("secret_kept", "{name}: {file}", "", "{name} : {file}", ""),
    Text("then_release", "it runs once the commune has agreed: release plan, then release sign"
         " {commune}, then release apply", "",
         "elle tourne une fois que la commune a donné son accord : release plan, puis release sign"
         " {commune}, puis release apply", ""),
    # --- spans of time ---------------------------------------------------------------------
    Text("days", "{count} d", "", "{count} j", ""),
    Text("hours", "{count} h", "", "{count} h", ""),
    Text("minutes", "{count} min", "", "{count} min", ""),
    Text("seconds", "{count} s", "", "{count} s", ""),
)
# fmt: on
