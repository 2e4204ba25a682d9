"""The messages about retention, people's rights, and the registers of the RGPD."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- retention -------------------------------------------------------------------------
    Text("events", "contents", "", "contenus", ""),
    Text("files", "files", "", "fichiers", ""),
    Text("nothing_kept", "no content is kept", "", "aucun contenu n'est gardé", ""),
    Text("kept_for_ever", "never", "", "jamais", ""),
    Text("for_ever", "no end", "", "sans fin", ""),
    Text("days", "{count} d", "", "{count} j", ""),
    Text("retention_delays",
         "contents and files of requests: {ended} after the end, or {silent} after the last sign"
         " where no end is told; not while something is owed; teleservices may differ", "",
         "contenus et fichiers des demandes : {ended} après la fin, ou {silent} après le dernier"
         " signe quand aucune fin n'est dite ; pas tant que quelque chose est dû ; une démarche"
         " peut en différer", ""),
    Text("attempts_due", "attempts of settled deliveries: {delay}; {count} are due", "",
         "tentatives des remises achevées : {delay} ; {count} arrivent à échéance", ""),
    Text("fixed_nonces", "nonces: until their signature expires, some minutes", "",
         "nonces : jusqu'à l'expiration de leur signature, quelques minutes", ""),
    Text("fixed_ticks", "turns of timers: 1 d", "", "tours des minuteries : 1 j", ""),
    Text("fixed_passed_over", "requests passed over: 30 d after they were last seen", "",
         "demandes laissées de côté : 30 j après leur dernière vue", ""),
    Text("fixed_early_calls", "calls about unknown numbers: 7 d at most", "",
         "appels sur des numéros inconnus : 7 j au plus", ""),
    Text("fixed_rows", "references, statuses, times, digests: kept", "",
         "références, statuts, dates, empreintes : gardés", ""),
    Text("trail_due", "the trail of erasures, rights and links: {delay}; {count} are due", "",
         "piste d'audit des effacements, des droits et des rattachements : {delay} ; {count}"
         " arrivent à échéance", ""),
    Text("fixed_releases", "the trail of releases, decommissions and incidents: kept", "",
         "piste d'audit des mises en service, des départs et des incidents : gardée", ""),
    Text("fixed_log", "the log: by the operator's journal (6 months to 1 year)", "",
         "le journal : par le journal de l'exploitant (6 mois à 1 an)", ""),
    Text("retention_done",
         "deleted: the content of {requests} requests ({events} contents, {files} files),"
         " {attempts} attempts and {trail} entries of the trail", "",
         "supprimé : le contenu de {requests} demandes ({events} contenus, {files} fichiers),"
         " {attempts} tentatives et {trail} entrées de la piste d'audit", ""),
    Text("clock_doubted",
         "nothing is deleted by itself: the last run was at {since}, {days} d ago by this machine's"
         " clock", "see that the clock is right, then: retention run --after-pause",
         "rien n'est supprimé de soi-même : le dernier passage date de {since}, il y a {days} j"
         " selon l'horloge de cette machine",
         "vérifier que l'horloge est juste, puis : retention run --after-pause"),
    # --- the register and the notice -------------------------------------------------------
    Text("register_written", "{count} treatments are in {to}", "",
         "{count} traitements sont dans {to}", ""),
    Text("register_lacks", "{count} purposes are not told", "`personal_data` of the mapping:"
         " mapping lint names them",
         "{count} finalités ne sont pas dites", "`personal_data` de la correspondance : mapping"
         " lint les nomme"),
    Text("notice_written", "{to}: {people} people, {requests} requests, {files} files",
         "fill in what is to be told, and send it within 72 hours",
         "{to} : {people} personnes, {requests} demandes, {files} fichiers",
         "compléter ce qui est à renseigner, et l'envoyer sous 72 heures"),
    Text("no_moment", "{option}: {given} is no time", "as 2026-03-12 or 2026-03-12 08:41",
         "{option} : {given} n'est pas une date", "comme 2026-03-12 ou 2026-03-12 08:41"),
    Text("no_time_between", "--since is not before --until", "",
         "--since n'est pas avant --until", ""),
    Text("file_unread", "file {id} cannot be read", "see that the object store answers, and begin"
         " again; nothing was left",
         "le fichier {id} ne peut être lu", "vérifier que le dépôt d'objets répond, et"
         " recommencer ; rien n'a été laissé"),
    # --- one person ------------------------------------------------------------------------
    Text("account_or_request", "say which person", "--account UUID, or --request ID",
         "dire quelle personne", "--account UUID, ou --request ID"),
    Text("empty_told", "{option} is kept in the trail", "a text of 1 to {most} characters",
         "{option} est gardé dans la piste d'audit", "un texte de 1 à {most} caractères"),
    Text("erasure_opened", "{count} erasures are held until a second person agrees",
         "erasure approve {run}",
         "{count} effacements sont retenus jusqu'à l'accord d'une seconde personne",
         "erasure approve {run}"),
    Text("links_ended", "links with accounts of communes' portals that have ended: {count}", "",
         "rattachements à des comptes de portails de communes auxquels il est mis fin : {count}",
         ""),
    Text("export_damaged", "what does not open was left out: {places}", "these were altered in the"
         " database; a backup may still hold them",
         "ce qui ne s'ouvre pas a été laissé de côté : {places}", "ces valeurs ont été altérées"
         " dans la base ; une sauvegarde peut encore les contenir"),
    Text("exported", "{to}: {requests} requests, {files} files", "give it to the person alone, and"
         " delete the folder then",
         "{to} : {requests} demandes, {files} fichiers", "ne le remettre qu'à la personne, puis"
         " supprimer le dossier"),
)
# fmt: on
