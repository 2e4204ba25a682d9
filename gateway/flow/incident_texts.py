"""Sentences about incidents: what a symptom is, who caused it, and the notes that people get."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# Tables: the word, what is so and what to do in English, the same in French.
# fmt: off
symptoms = Messages(
    Text("portal_away", "the portal does not answer", "", "le portail ne répond pas", ""),
    Text("gru_away", "the GRU does not answer", "", "la GRU ne répond pas", ""),
    Text("deliveries_late", "deliveries are late", "outbox list, request why",
         "des remises sont en retard", "outbox list, request why"),
    Text("deliveries_parked", "many deliveries wait for a person", "outbox list",
         "de nombreuses remises attendent une personne", "outbox list"),
    Text("poll_fails", "the GRU cannot be asked for news", "",
         "la GRU ne peut être interrogée", ""),
    Text("reconcile_fails", "the portal's lists cannot be read", "",
         "les listes du portail ne peuvent être lues", ""),
    Text("not_fetched", "the commune's half-connector fetches nothing", "",
         "le demi-connecteur de la commune ne relève rien", ""),
    Text("network_away", "most far ends are away at once", "look at the network and name service",
         "la plupart des serveurs sont injoignables à la fois",
         "voir le réseau et la résolution de noms"),
    Text("glc_away", "GLC does not answer, or is not believed", "glc status",
         "GLC ne répond pas, ou n'est pas crue", "glc status"),
    Text("database_away", "the database was away", "", "la base de données a été indisponible", ""),
    Text("disk_full", "the disk is full", "make room", "le disque est plein", "faire de la place"),
    Text("disk_low", "the disk is nearly full", "make room",
         "le disque est presque plein", "faire de la place"),
    Text("objects_away", "the store of the files is away", "",
         "le stockage des fichiers est indisponible", ""),
    Text("antivirus_away", "the virus scanner is away: no file is taken", "",
         "l'antivirus est indisponible : aucun fichier n'est accepté", ""),
    Text("vault_away", "the key service is away, refuses us, or its token ends: what runs goes on,"
         " a start waits", "check",
         "le service de clés est indisponible, nous refuse, ou son jeton s'achève : ce qui tourne"
         " continue, un démarrage attend", "check"),
    Text("form_drift", "a form no longer fits the mappings", "contract drift",
         "un formulaire ne convient plus aux correspondances", "contract drift"),
    Text("certificate_ends", "a certificate ends soon, or has", "renew it",
         "un certificat expire bientôt, ou a expiré", "le renouveler"),
    Text("reference_unread", "a secret or certificate cannot be read", "secrets renew",
         "un secret ou un certificat ne peut être lu", "secrets renew"),
    Text("release_refused", "a commune's release cannot be run", "release show",
         "la version d'une commune ne peut être mise en marche", "release show"),
    Text("nobody_told", "notes about incidents cannot be sent", "incident show names them",
         "des avis d'incident ne peuvent être envoyés", "incident show les nomme"),
    Text("decommission_late", "a commune that leaves waits past its time",
         "commune decommission INSEE says for what",
         "une commune sur le départ attend au-delà de son délai",
         "commune decommission INSEE dit de quoi"),
    Text("tickets_wait", "the tool of the tickets does not take them", "check, incident show",
         "l'outil de tickets ne les accepte pas", "check, incident show"),
    Text("availability_burns", "the month's allowance of unavailability goes too fast",
         "sla report says whose minutes they are",
         "l'indisponibilité admise pour le mois se consomme trop vite",
         "sla report dit à qui sont les minutes"),
    Text("refused_signatures", "a burst of calls that prove nothing",
         "look who calls: it may be a key that was changed on one side alone",
         "une rafale d'appels sans preuve valable",
         "chercher qui appelle : ce peut être une clé changée d'un seul côté"),
    Text("replayed_calls", "a burst of calls that were made before",
         "look who has a copy of our traffic",
         "une rafale d'appels déjà passés", "chercher qui a copie des échanges"),
    Text("forged_webhooks", "a burst of webhooks without a proof", "look who calls",
         "une rafale de webhooks sans preuve", "chercher qui appelle"),
    Text("refused_sign_ins", "a burst of refused sign-ins to the console",
         "look who calls; console user disable closes an account",
         "une rafale de connexions refusées à la console",
         "chercher qui appelle ; console user disable ferme un compte"),
    Text("forged_forms", "a burst of forms of the console that its pages did not send",
         "look who calls", "une rafale de formulaires que la console n'a pas envoyés",
         "chercher qui appelle"),
    Text("mass_deletion", "more accounts are gone at once than the brake allows",
         "glc status, erasure list",
         "plus de comptes ont disparu d'un coup que le frein ne l'admet",
         "glc status, erasure list"),
    Text("broken_trail", "the trail does not verify: somebody changed it",
         "keep a copy of the database; compare it with a backup",
         "le journal ne se vérifie pas : quelqu'un l'a changé",
         "garder une copie de la base ; la comparer à une sauvegarde"),
)
parties = Messages(
    Text("gateway", "the gateway", "", "la passerelle", ""),
    Text("portal", "the portal", "", "le portail", ""),
    Text("glc", "GLC", "", "GLC", ""),
    Text("commune", "the commune", "", "la commune", ""),
    Text("network", "the network", "", "le réseau", ""),
)
# fmt: on

#: A symptom as a commune reads it, where the sentence above is for operators.
COMMUNE_READS = {
    "gru_away": "la GRU de la commune ne répond pas à la passerelle",
    "portal_away": "le portail Toodego ne répond pas à la passerelle",
    "poll_fails": "la passerelle ne peut plus lire les réponses de la GRU de la commune",
    "deliveries_late": "des demandes ou des réponses sont remises avec retard",
    "deliveries_parked": "des demandes ou des réponses attendent une intervention",
    "reconcile_fails": "la passerelle ne peut plus vérifier qu'aucune demande ne manque",
    "form_drift": "un formulaire de Toodego a changé et ne convient plus au raccordement",
    "certificate_ends": "un certificat utilisé pour le raccordement arrive à échéance",
    "release_refused": "le raccordement de la commune ne peut être mis en marche",
}
OPENED = """\
Bonjour,

Un incident touche le raccordement de {commune} à Toodego.

  Incident :    {id}
  Constat :     {what}
  Depuis :      {since}
  Gravité :     {severity}
  Origine :     {party}

Ce qui a été confié à la passerelle n'est pas perdu : tout est conservé, et sera remis dans
l'ordre dès que possible. Les usagers n'ont rien à faire.{act}

Un message sera envoyé dès que l'incident sera résolu.

La passerelle Toodego de la Métropole de Lyon (message automatique, ne pas répondre)
"""
ACT = """

À faire par la commune : vérifier que {where} fonctionne, et prévenir la Métropole si une
intervention est prévue."""
RESOLVED = """\
Bonjour,

L'incident {id}, qui touchait le raccordement de {commune} à Toodego, est résolu.

  Constat :     {what}
  Du :          {since}
  Au :          {until}
  Gravité :     {severity}
  Origine :     {party}

Ce qui attendait pour cette raison part maintenant, dans l'ordre.

La passerelle Toodego de la Métropole de Lyon (message automatique, ne pas répondre)
"""
OPERATORS = """\
Incident {id} : {heading}

  Constat :     {what}
  Cause :       {cause}
  Depuis :      {since}
  Gravité :     {severity}
  Origine :     {party}
  Communes :    {communes}
  Échéance :    {deadline}

Pour en savoir plus : gru-gateway incident show {id}
"""
#: The beginning of an operator's note, by its step.
HEADINGS = {
    "opened": "ouvert",
    "worse_majeur": "aggravé",
    "worse_bloquant": "aggravé",
    "warned": "l'échéance approche",
    "breached": "l'échéance est dépassée",
    "resolved": "résolu",
}
#: The digest of a day, a line of it, and the note of a trial.
DIGEST = """\
Incidents au {day} : ce qui est en cours, et ce qui a fini depuis la veille.

{lines}

Pour en savoir plus : gru-gateway incident list

La passerelle Toodego de la Métropole de Lyon (message automatique, ne pas répondre)
"""
DIGEST_LINE = "  {id}  {severity}  {what} (origine : {party}), depuis le {since} ; {word} : {until}"
TRIAL = """\
Ceci est un essai, envoyé le {at} : il n'y a rien à faire.

Ce message montre que les incidents de la passerelle Toodego vous parviennent. S'il n'arrive plus
chaque mois, prévenir la Métropole.
"""
#: The words of a ticket for each entry of the trail.
TICKET_ENTRIES = {
    "opened": "Ouvert.",
    "worse": "Aggravé : {severity}.",
    "severity": "La gravité est maintenant : {severity}.",
    "reopened": "De nouveau en cours.",
    "warned": "L'échéance approche.",
    "breached": "L'échéance est dépassée.",
    "acknowledged": "Pris en charge.",
    "assigned": "Attribué.",
    "paused": "Délai suspendu : une commune doit agir.",
    "resumed": "Le délai court de nouveau.",
    "notified": "Notifié.",
    "commented": "Commentaire :",
    "resolved": "Résolu.",
    "closed": "Clos.",
}
NOTICE = """\
Objet : notification d'un incident de sécurité, {id}

La passerelle Toodego de la Métropole de Lyon a constaté le {since} :

  {what}.

Constaté par :   {words}
Cause :          {cause}
Vu la dernière fois le {last}, {times} fois en tout.
À notifier avant le {deadline} (huit heures après le constat).

À compléter :
  - Ce qui est touché (services, communes, données) :
  - Données à caractère personnel concernées : oui / non / à établir
    (si oui : gru-gateway personal-data violation prépare la notification à la CNIL, 72 heures)
  - Mesures prises :
  - Mesures prévues, et quand :
  - Personne à joindre :

Liste de contrôle :
  [ ] prendre en charge :            gru-gateway incident ack {id} --by NOM
  [ ] garder les traces :            journaux, copie de la base, copie de « trail »
  [ ] établir l'étendue :            gru-gateway incident show {id}
  [ ] remplacer les clés en doute :  gateway.yaml, puis gru-gateway secrets renew
  [ ] notifier la Métropole :        ce texte, puis
                                     gru-gateway incident notified {id} --by NOM --to QUI
  [ ] prévenir les communes touchées
  [ ] clore :                        gru-gateway incident close {id} --by NOM --because TEXTE
"""
