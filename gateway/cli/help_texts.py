"""The help of all commands in French, by its English text.

The English text is the command's own (its docstring, or the `help` of its option).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# fmt: off
FRENCH_HELP: Final[Mapping[str, str]] = {
    "Gateway between the Toodego portal and the GRUs of the communes.":
    "Passerelle entre le portail Toodego et les GRU des communes.",
    "Exit codes: 0 done, 1 the answer is no, 2 usage, 3 configuration, 4 far end.":
    "Codes de sortie : 0 fait, 1 la réponse est non, 2 emploi, 3 configuration, 4 serveur "
    "distant.",
    "Say the version, and end.":
    "Dire la version, et finir.",
    "Language of what is told; without it, that of LC_ALL, LC_MESSAGES or LANG.":
    "Langue de ce qui est dit ; à défaut, celle de LC_ALL, LC_MESSAGES ou LANG.",
    "Run the active releases until SIGTERM or Ctrl-C; `release apply` makes them active.":
    "Faire tourner les versions en service, jusqu'à SIGTERM ou Ctrl-C ; `release apply` les met "
    "en service.",
    "Folder of gateway.yaml and communes/.":
    "Dossier de gateway.yaml et de communes/.",
    "Folder of the mappings.":
    "Dossier des correspondances.",
    "Run the files as they are, signed or not, and say so.":
    "Faire tourner les fichiers tels quels, signés ou non, et le dire.",
    "all, intake or dispatch; more than one process needs PostgreSQL.":
    "all, intake ou dispatch ; plusieurs processus demandent PostgreSQL.",
    "Leave the far ends alone: files and secrets only.":
    "Laisser les serveurs distants en paix : fichiers et secrets seuls.",
    "Ask nobody: the GRU answers as recorded in this file. What finds nothing is a fault then.":
    "N'interroger personne : la GRU répond comme dans ce fichier. Ce qui n'y trouve rien est "
    "une anomalie.",
    "With --answers: whose GRUs.":
    "Avec --answers : la commune des GRU.",
    "All that was looked at, also what is well.":
    "Tout ce qui a été regardé, aussi ce qui va bien.",
    "Print JSON, for scripts.":
    "Afficher du JSON, pour les scripts.",
    "Ask a daemon whether it takes requests: exit code 0 if so, else 1.\n\n"
    "With --strict also whether all is well, and what is not: an open breaker, a poll that "
    "fails, a commune that waits, what waits for a person.":
    "Demander à un service en marche s'il prend les demandes : code de sortie 0 si oui, sinon "
    "1.\n\n"
    "Avec --strict, aussi si tout va bien, et ce qui ne va pas : un disjoncteur ouvert, un "
    "relevé qui échoue, une commune qui attend, ce qui attend une personne.",
    "Where the daemon answers; else as `ops` and `listen` in gateway.yaml say.":
    "Où le service répond ; à défaut, comme le disent `ops` et `listen` dans gateway.yaml.",
    "env:NAME or file:PATH of the token that /ops/health asks for; without --url that of "
    "gateway.yaml.":
    "env:NOM ou file:CHEMIN du jeton que demande /ops/health ; sans --url, celui de gateway.yaml.",
    "Folder of gateway.yaml.":
    "Dossier de gateway.yaml.",
    "Seconds to wait.":
    "Secondes d'attente.",
    "Exit code 1 also when somebody should look.":
    "Code de sortie 1 aussi quand quelqu'un devrait regarder.",
    "Play the whole pass with a simulated portal and GRUs, on loopback sockets.":
    "Jouer tout le trajet avec un portail et des GRU simulés, en boucle locale.",
    "Play, print a summary, end: 0 only if all came back.":
    "Jouer, afficher un bilan, finir : 0 seulement si tout est revenu.",
    "No story; the last line is the summary as JSON.":
    "Sans récit ; la dernière ligne est le bilan en JSON.",
    "What to play; see --list.":
    "Quoi jouer ; voir --list.",
    "Name the scenarios.":
    "Nommer les scénarios.",
    "The same seed plays the same.":
    "La même graine joue la même chose.",
    "How many: of missed-pushes, else 5000; of hostile, else 24.":
    "Combien : pour missed-pushes, 5000 par défaut ; pour hostile, 24.",
    "Instead: so many of the Métropole's, their releases, under load.":
    "À la place : tant de communes de la Métropole, leurs versions, sous charge.",
    "The daemon's; 0: any.":
    "Celui du service ; 0 : n'importe lequel.",
    "Try a half-connector: a whole gateway over an invented commune. Never for production.":
    "Essayer un demi-connecteur : une passerelle entière devant une commune inventée. Jamais en "
    "production.",
    "Where it listens; 0: any.":
    "Où il écoute ; 0 : n'importe où.",
    "Your half-connector's address (push); without, it fetches.":
    "Adresse de votre demi-connecteur (envoi) ; à défaut, il vient chercher.",
    "Seconds that pass in one: leases, retries, days.":
    "Secondes qui passent en une : baux, nouveaux essais, jours.",
    "The same seed files the same requests.":
    "La même graine dépose les mêmes demandes.",
    "Keep data and secrets here, and go on with them.":
    "Garder ici données et secrets, et reprendre avec eux.",
    "Begin without requests.":
    "Commencer sans demandes.",
    "Listen there; beyond loopback: --exposed.":
    "Écouter là ; au-delà de la boucle locale : --exposed.",
    "Let other machines use it. It has no login.":
    "Laisser d'autres machines s'en servir. Il n'y a pas d'identification.",
    "The address and the secrets on one line of JSON.":
    "L'adresse et les secrets sur une ligne de JSON.",
    "Copy the database into a new folder, while the daemon works. PostgreSQL has pg_dump.\n\n"
    "Everything that was acknowledged when it began is in it, and so is the key of erased "
    "accounts. The keys with which it is sealed are not: of them there is one copy, the newest, "
    "so that what is erased from now on cannot be read in this backup either. Configuration, "
    "mappings, secrets and an object store of attachments are not in it.":
    "Copier la base dans un nouveau dossier, pendant que le service travaille. PostgreSQL a "
    "pg_dump.\n\n"
    "Tout ce qui était acquitté à son début s'y trouve, de même que la clé des comptes effacés. "
    "Les clés qui la scellent n'y sont pas : il n'en existe qu'une copie, la plus récente, pour "
    "que ce qui est effacé désormais soit illisible dans cette sauvegarde aussi. Configuration, "
    "correspondances, secrets et stockage objet des pièces jointes n'y sont pas.",
    "Of this one backup.":
    "De cette seule sauvegarde.",
    "Of the keys: one file for all backups, written anew each time (default: keys.db beside "
    "FOLDER).":
    "Des clés : un fichier pour toutes les sauvegardes, réécrit chaque fois (par défaut : "
    "keys.db à côté de FOLDER).",
    "Put a backup back, with the daemon stopped. Nothing that waits in it is sent unasked, and "
    "who was erased since is erased again when the daemon starts.\n\n"
    "Keys that are in place stay: they are the newest.":
    "Remettre une sauvegarde, le service étant arrêté. Rien de ce qui y attend ne part sans que "
    "l'on ait demandé, et qui a été effacé depuis l'est à nouveau au démarrage.\n\n"
    "Les clés en place y restent : ce sont les plus récentes.",
    "Put what lies there now aside, in a folder.":
    "Mettre de côté, dans un dossier, ce qui s'y trouve.",
    "Requests: list, show, why they wait, explain.":
    "Demandes : lister, montrer, pourquoi elles attendent, expliquer.",
    "The latest requests, newest first.":
    "Les dernières demandes, la plus récente d'abord.",
    "INSEE code.":
    "Code Insee.",
    "Form slug.":
    "Identifiant du formulaire.",
    "Canonical status.":
    "Statut canonique.",
    "All that happened to a request: events, deliveries, attempts. No personal data.":
    "Tout ce qui est arrivé à une demande : événements, remises, essais. Aucune donnée "
    "personnelle.",
    "Our id, the portal's id or number, or the GRU's reference.":
    "Notre numéro, l'identifiant ou le numéro du portail, ou la référence de la GRU.",
    "Show what the far ends said, too: masked, it may still tell of a person. Always shown "
    "where both are `environment: test`.":
    "Montrer aussi ce que les serveurs distants ont dit : masqué, cela peut encore parler d'une "
    "personne. Toujours montré si les deux sont `environment: test`.",
    "Say why a request waits, until when, and who can act.":
    "Dire pourquoi une demande attend, jusqu'à quand, et qui peut agir.",
    "Show where each field sent to the GRU comes from: target, source, line of the mapping.":
    "Montrer d'où vient chaque champ envoyé à la GRU : cible, source, ligne de la "
    "correspondance.",
    "Show the values too: they are personal data.":
    "Montrer aussi les valeurs : ce sont des données personnelles.",
    "Deliveries that wait for a person.":
    "Remises qui attendent une personne.",
    "Deliveries that are parked, dead or a question, oldest first; and those that fail again "
    "and again by themselves, for more than a quarter of an hour, while they go on being tried. "
    "After them, what GRUs have told and the citizens cannot be told yet (`change`).":
    "Remises garées, mortes ou en question, la plus ancienne d'abord ; et celles qui échouent "
    "d'elles-mêmes, encore et encore, depuis plus d'un quart d'heure, tandis qu'on les essaie "
    "toujours. Après elles, ce que des GRU ont dit et qui ne peut encore être dit aux usagers "
    "(`change`).",
    "May be repeated; else those for a person.":
    "Peut être répété ; à défaut, celles qui attendent une personne.",
    "Send parked or dead deliveries again; the far end is asked first whether it has them.\n\n"
    "With --all, those of a commune or a reason. A `change` is judged again, as if it had just "
    "come.":
    "Envoyer à nouveau des remises garées ou mortes ; on demande d'abord au serveur distant "
    "s'il les a.\n\n"
    "Avec --all, celles d'une commune ou d'un motif. Un `change` est jugé à nouveau, comme s'il "
    "venait d'arriver.",
    "All that are parked or dead and fit the options.":
    "Toutes celles qui sont garées ou mortes et répondent aux options.",
    "With --all: this INSEE code only.":
    "Avec --all : de ce seul code Insee.",
    "With --all: this reason only.":
    "Avec --all : de ce seul motif.",
    "Answer a question: yes, the far end has it (done); no, it has not (send it again).":
    "Répondre à une question : oui, le serveur distant l'a (fait) ; non, il ne l'a pas (envoyer "
    "à nouveau).",
    "The delivery's id.":
    "Le numéro de la remise.",
    "Does the far end have it?":
    "Le serveur distant l'a-t-il ?",
    "With --yes: the number the GRU gave to the request.":
    "Avec --yes : le numéro que la GRU a donné à la demande.",
    "Owe a delivery no more: what waited behind it goes on. A `change` is not told any more.":
    "Ne plus devoir une remise : ce qui attendait derrière elle repart. Un `change` n'est plus "
    "dit.",
    "Why; kept with it. No personal data.":
    "Pourquoi ; gardé avec elle. Aucune donnée personnelle.",
    "The connected communes.":
    "Les communes connectées.",
    "The communes, whether they run or are paused, and what waits for them; those first that "
    "need somebody.\n\n"
    "`waiting` goes by itself; `person` waits for a person. One whose file is broken or gone is "
    "there while it runs; `ready` would run, but no daemon does; of `refused` the daemon does "
    "not run what is active: `release list` says why.":
    "Les communes, si elles tournent ou sont en pause, et ce qui les attend ; d'abord celles "
    "qui ont besoin de quelqu'un.\n\n"
    "`waiting` part de soi-même ; `person` attend une personne. Une commune dont le fichier est "
    "cassé ou parti est là tant qu'elle tourne ; `ready` tournerait, mais aucun service n'est "
    "en marche ; de `refused` le service ne fait pas tourner ce qui est en service : `release "
    "list` dit pourquoi.",
    "A row for each commune, also where nothing is to be done.":
    "Une ligne par commune, aussi quand il n'y a rien à faire.",
    "One commune: whom to call, what runs, and how each of its lanes is.":
    "Une commune : qui appeler, ce qui tourne, et comment va chacune de ses voies.",
    "The commune's INSEE code.":
    "Le code Insee de la commune.",
    "Send nothing to a commune's GRUs, nor its news to the portal; requests are still taken.":
    "Ne rien envoyer aux GRU d'une commune, ni ses nouvelles au portail ; les demandes sont "
    "toujours prises.",
    "Send again, beginning with what waited; breaks that far ends asked for are over, too.":
    "Envoyer à nouveau, en commençant par ce qui attendait ; les pauses demandées par des "
    "serveurs distants sont finies aussi.",
    "Try now whether its far ends do well again: no break and no open breaker is waited for. "
    "What is paused stays so.":
    "Essayer maintenant si ses serveurs distants vont de nouveau bien : aucune pause, aucun "
    "disjoncteur ouvert n'est attendu. Ce qui est en pause le reste.",
    "One GRU of it alone.":
    "Une seule de ses GRU.",
    "Take a commune off the gateway for good: nothing is taken any more, what waits goes or is "
    "dropped, the portal is told of each open request, and all of it is deleted.\n\n"
    "The plan comes first, and a person confirms it by naming the commune. The daemon does it, "
    "step by step, and goes on after a stop. Said again, the command shows how far it is; "
    "--wait stays until the end. Exit code 1: it has not ended.":
    "Retirer une commune de la passerelle pour toujours : plus rien n'est pris, ce qui attend "
    "part ou est abandonné, chaque demande ouverte est dite au portail, et tout est supprimé.\n\n"
    "Le plan vient d'abord, et une personne le confirme en nommant la commune. Le service "
    "l'exécute, étape par étape, et reprend après un arrêt. Répétée, la commande montre où il "
    "en est ; --wait reste jusqu'à la fin. Code de sortie 1 : ce n'est pas fini.",
    "Say what would happen, and do nothing.":
    "Dire ce qui arriverait, et ne rien faire.",
    "Its name or code: asks nothing.":
    "Son nom ou son code : ne demande rien.",
    "Who decides; kept in the trail.":
    "Qui décide ; gardé dans le journal.",
    "Why; kept in the trail.":
    "Pourquoi ; gardé dans le journal.",
    "Until then it goes on; else it stops now.":
    "Jusque-là, elle continue ; à défaut, elle s'arrête maintenant.",
    "For what waits for the GRU: 12h, 3d.":
    "Pour ce qui attend la GRU : 12h, 3d.",
    "For telling the portal: 12h, 3d.":
    "Pour le dire au portail : 12h, 3d.",
    "Wait no longer in the step that it is in.":
    "Ne plus attendre dans l'étape où elle en est.",
    "Give it up, while nothing was dropped.":
    "Y renoncer, tant que rien n'a été abandonné.",
    "Stay until it has ended.":
    "Rester jusqu'à la fin.",
    "Write the certificate, a French page (A4).":
    "Écrire l'attestation, une page en français (A4).",
    "Connect a commune: ask the few questions, write communes/INSEE-name.yaml (never over "
    "another file) and its secrets (files that their owner alone reads), check it, play its "
    "cases, and say in French what the portal's designer has to do.\n\n"
    "Nothing is left while anything is at fault: exit code 3. With 1 (its cases fail) and 4 (a "
    "far end cannot be used) the file is there.":
    "Connecter une commune : poser les quelques questions, écrire communes/INSEE-nom.yaml "
    "(jamais par-dessus un autre fichier) et ses secrets (fichiers que seul leur propriétaire "
    "lit), la contrôler, jouer ses cas, et dire ce que le concepteur du portail doit faire.\n\n"
    "Rien ne reste tant que quelque chose est en défaut : code de sortie 3. Avec 1 (ses cas "
    "échouent) et 4 (un serveur distant est inutilisable), le fichier est là.",
    "Its name; else Insee's.":
    "Son nom ; à défaut, celui de l'Insee.",
    "One of the portals.":
    "L'un des portails.",
    "The adapter of its GRU.":
    "L'adaptateur de sa GRU.",
    "A name for its GRU.":
    "Un nom pour sa GRU.",
    "Its GRU; else as the portal.":
    "Sa GRU ; à défaut, comme le portail.",
    "A teleservice; several by repetition.":
    "Un téléservice ; plusieurs par répétition.",
    "Of the adapter. A secret: env:NAME, file:/PATH, or `new`, which makes one.":
    "De l'adaptateur. Un secret : env:NOM, file:/CHEMIN, ou `new`, qui en fait un.",
    "The adapter's options, in YAML.":
    "Les options de l'adaptateur, en YAML.",
    "technical, functional, dpo...":
    "technique, fonctionnel, dpo...",
    "Make a signature key of its own.":
    "Lui faire une clé de signature à elle.",
    "It has left, and comes again; with --by.":
    "Elle est partie, et revient ; avec --by.",
    "With --again; for the trail.":
    "Avec --again ; pour le journal.",
    "Ask nothing: what is missing is told.":
    "Ne rien demander : ce qui manque est dit.",
    "Leave its far ends alone for now.":
    "Laisser ses serveurs distants en paix pour l'instant.",
    "Mapping files: lint, test, coverage, preview, explain, diff, new, upgrade.":
    "Fichiers de correspondance : lint, test, coverage, preview, explain, diff, new, upgrade.",
    "Play the cases beside a mapping, offline against the real code. Exit code 1 if one fails.":
    "Jouer les cas d'une correspondance, hors ligne, contre le vrai code. Code de sortie 1 si "
    "l'un échoue.",
    "teleservice/name, or a file.":
    "téléservice/nom, ou un fichier.",
    "INSEE code: the cases of its own settings as well.":
    "Code Insee : aussi les cas de ses propres réglages.",
    "Changes that no case notices, too.":
    "Aussi les changements qu'aucun cas ne remarque.",
    "Name the lines that no case touches: rules, table entries, statuses. Exit code 1 if any.":
    "Nommer les lignes qu'aucun cas ne touche : règles, entrées de tables, statuts. Code de "
    "sortie 1 s'il y en a.",
    "Say of each rule what it reads, what it does with it and where it stands, also inherited.":
    "Dire de chaque règle ce qu'elle lit, ce qu'elle en fait et où elle se trouve, même "
    "héritée.",
    "A field of the GRU or of the form: only its rules.":
    "Un champ de la GRU ou du formulaire : ses seules règles.",
    "Say in what two mappings differ, and what then leaves otherwise in the cases.":
    "Dire en quoi deux correspondances diffèrent, et ce qui part alors autrement dans les cas.",
    "The same, or that of a later day.":
    "La même, ou celle d'un autre jour.",
    "Write a mapping's first file from a form's schema and an adapter's shape, or from two "
    "examples: a demand, and what the GRU takes of it. Never over another file.":
    "Écrire le premier fichier d'une correspondance, depuis le schéma d'un formulaire et la "
    "forme d'un adaptateur, ou depuis deux exemples : une demande, et ce que la GRU en prend. "
    "Jamais par-dessus un autre fichier.",
    "The adapter that it is for.":
    "L'adaptateur auquel elle est destinée.",
    "The form's schema (`portal form` saves it).":
    "Le schéma du formulaire (`portal form` l'enregistre).",
    "With --payload: a demand as w.c.s. sends it.":
    "Avec --payload : une demande telle que w.c.s. l'envoie.",
    "With --formdata: what the GRU takes of it, in JSON.":
    "Avec --formdata : ce que la GRU en prend, en JSON.",
    "Write old spellings of mapping files anew, layout kept; they work as they are.":
    "Réécrire les anciennes formes des fichiers de correspondance, sans toucher à leur mise en "
    "page ; ils marchent aussi tels quels.",
    "Write nothing. Exit code 1 if old.":
    "Ne rien écrire. Code de sortie 1 s'il y en a d'anciennes.",
    "Check mapping files (all by default): faults and warnings at file:line:column, all at "
    "once. Exit code 1.\n\n"
    "A form's schema that was saved beside (`portal form`) is held against them.":
    "Contrôler les fichiers de correspondance (tous par défaut) : anomalies et avertissements à "
    "fichier:ligne:colonne, tous à la fois. Code de sortie 1.\n\n"
    "Ils sont comparés au schéma de formulaire enregistré à côté (`portal form`).",
    "Show what a mapping makes of a formdata: each field with its source and line, then the "
    "calls that the adapter would make of it. Nothing is sent, no secret is read.\n\n"
    "Of a later event, what the citizen does is invented.":
    "Montrer ce qu'une correspondance fait d'une demande : chaque champ avec sa source et sa "
    "ligne, puis les appels que l'adaptateur en ferait. Rien n'est envoyé, aucun secret n'est "
    "lu.\n\n"
    "Pour un événement ultérieur, ce que fait l'usager est inventé.",
    "As w.c.s. sends it.":
    "Telle que w.c.s. l'envoie.",
    "INSEE code of whose GRU it is; else the cases' bench.":
    "Code Insee de qui a la GRU ; à défaut, le banc des cas.",
    "Which rules.":
    "Quelles règles.",
    "Adapters, the plugins that speak to GRUs.":
    "Adaptateurs, les modules qui parlent aux GRU.",
    "The installed adapters, and their tiers. Exit code 3 when one of them cannot be used.":
    "Les adaptateurs installés, et leurs niveaux. Code de sortie 3 quand l'un d'eux est "
    "inutilisable.",
    "The checks of the fault matrix: what each proves, and for which tier it counts.":
    "Les contrôles de la matrice de pannes : ce que chacun prouve, et pour quel niveau il "
    "compte.",
    "Run the fault matrix against an adapter. Exit code 1 when a check fails.":
    "Jouer la matrice de pannes contre un adaptateur. Code de sortie 1 quand un contrôle "
    "échoue.",
    "The adapter's kind, as in `adapter list`.":
    "Le genre de l'adaptateur, comme dans `adapter list`.",
    "The module with its suite; else quality.yaml's, or PACKAGE.conformance.":
    "Le module de sa suite ; à défaut, celui de quality.yaml, ou PAQUET.conformance.",
    "A check's name, or a pattern: `submit.*`.":
    "Le nom d'un contrôle, ou un motif : `submit.*`.",
    "Keep the results in the adapter's quality.yaml.":
    "Garder les résultats dans le quality.yaml de l'adaptateur.",
    "Make a package for an adapter of your own, whose tests are green at once.":
    "Faire un paquet pour un adaptateur à vous, dont les tests passent aussitôt.",
    "The kind that a commune's file will name.":
    "Le genre que le fichier d'une commune nommera.",
    "The folder that the package is made in.":
    "Le dossier dans lequel le paquet est fait.",
    "Packs: ready-made beginnings for a GRU.":
    "Modèles : des débuts tout prêts pour une GRU.",
    "The packs, and whether each was tried on a running server or follows its documentation.":
    "Les modèles, et si chacun a été essayé sur un serveur en marche ou suit sa documentation.",
    "The page of a pack (in French): what to prepare, what works, how to begin.":
    "La page d'un modèle : que préparer, ce qui marche, comment commencer.",
    "As in `pack list`.":
    "Comme dans `pack list`.",
    "Begin a commune's configuration from a pack: its file, its mapping and cases. Nothing that "
    "is there is written over (exit code 1).":
    "Commencer la configuration d'une commune par un modèle : son fichier, sa correspondance et "
    "ses cas. Rien de ce qui s'y trouve n'est remplacé (code de sortie 1).",
    "The commune's name.":
    "Le nom de la commune.",
    "Half-connectors: tools for who writes one.":
    "Demi-connecteurs : outils pour qui en écrit un.",
    "Forward what a commune is owed to a program here, signed as a push; settle by its answer.":
    "Transmettre à un programme d'ici ce qui est dû à une commune, signé comme un envoi ; clore "
    "selon sa réponse.",
    "The gateway, or a sandbox.":
    "La passerelle, ou un bac à sable.",
    "Your program: where it takes pushes.":
    "Votre programme : où il prend les envois.",
    "As 69029.main.":
    "Comme 69029.main.",
    "env:NAME or file:/path.":
    "env:NOM ou file:/chemin.",
    "env:NAME or file:/path; twice while it is rotated.":
    "env:NOM ou file:/chemin ; deux fois pendant son remplacement.",
    "Read the feed instead of the mailbox; FILE keeps how far.":
    "Lire le fil au lieu de la boîte ; FILE garde où l'on en est.",
    "Forward messages of real people as well.":
    "Transmettre aussi les messages de vraies personnes.",
    "Contracts: cases beside the mappings, and their report.":
    "Contrats : les cas des correspondances, et leur procès-verbal.",
    "Play the cases offline against the real code. Exit code 1 when one fails or is missing.\n\n"
    "Without a configuration, the mappings are run by themselves. With --half-connector or "
    "--mailbox, a half-connector of the pivot contract is proven instead: no configuration is "
    "read.":
    "Jouer les cas hors ligne contre le vrai code. Code de sortie 1 quand l'un échoue ou "
    "manque.\n\n"
    "Sans configuration, les correspondances sont jouées seules. Avec --half-connector ou "
    "--mailbox, c'est un demi-connecteur du contrat pivot qui est éprouvé : aucune "
    "configuration n'est lue.",
    "This commune's contracts.":
    "Les contrats de cette commune.",
    "Those of this form.":
    "Ceux de ce formulaire.",
    "Only what changed since it last passed.":
    "Seulement ce qui a changé depuis son dernier succès.",
    "Fail on weak contracts, too.":
    "Échouer aussi pour des contrats faibles.",
    "Look for rules that no case protects.":
    "Chercher les règles qu'aucun cas ne protège.",
    "Play a scenario on test instances, too (needs --commune).":
    "Jouer aussi un scénario sur des instances de test (demande --commune).",
    "--live: this formdata of the test portal.":
    "--live : cette demande du portail de test.",
    "Prove this half-connector, and nothing else.":
    "Éprouver ce demi-connecteur, et rien d'autre.",
    "Prove a half-connector that fetches (needs --listen).":
    "Éprouver un demi-connecteur qui vient chercher (demande --listen).",
    "--half-connector: signing secret, env:NAME or file:PATH; the new one first.":
    "--half-connector : secret de signature, env:NOM ou file:CHEMIN ; le nouveau d'abord.",
    "--half-connector, --mailbox: the secret for which it gets a token.":
    "--half-connector, --mailbox : le secret contre lequel il reçoit un jeton.",
    "--half-connector, --mailbox: where it reaches --listen.":
    "--half-connector, --mailbox : où il joint --listen.",
    "--half-connector, --mailbox: the `data` of its messages.":
    "--half-connector, --mailbox : les `data` de ses messages.",
    "Seconds to wait for the other side to say something; 0: 30 for a half-connector.":
    "Secondes d'attente que l'autre côté dise quelque chose ; 0 : 30 pour un demi-connecteur.",
    "Take the calls of the other side here.":
    "Prendre ici les appels de l'autre côté.",
    "Write JUnit XML.":
    "Écrire du XML de JUnit.",
    "Write the report.":
    "Écrire le procès-verbal.",
    "Who runs it; for the report.":
    "Qui le joue ; pour le procès-verbal.",
    "Tell what hinders nothing, too.":
    "Dire aussi ce qui n'empêche rien.",
    "Run, and write the acceptance report (procès-verbal de recette) to sign. Exit code as run.":
    "Jouer, et écrire le procès-verbal de recette à signer. Code de sortie comme run.",
    "Where to write it.":
    "Où l'écrire.",
    "Read the portals' forms now and name what the mappings no longer fit.\n\n"
    "Exit code 1 when something drifted, 4 when a form could not be read.":
    "Lire maintenant les formulaires des portails, et nommer ce à quoi les correspondances ne "
    "vont plus.\n\n"
    "Code de sortie 1 quand quelque chose a dérivé, 4 quand un formulaire n'a pu être lu.",
    "May be repeated; else all.":
    "Peut être répété ; à défaut, tous.",
    "Look at the files, not at the active releases.":
    "Regarder les fichiers, et non les versions en service.",
    "Take the forms as they are now for the right ones.":
    "Tenir pour justes les formulaires tels qu'ils sont maintenant.",
    "What runs for each commune, and its agreement.":
    "Ce qui tourne pour chaque commune, et son accord.",
    "Have communes see it in the console, and agree there.":
    "Le montrer aux communes dans la console, pour qu'elles y donnent leur accord.",
    "Show whose output the files would change, in what, and what is missing. Changes nothing that "
    "runs.\n\n"
    "Exit code 3 where files are at fault.":
    "Montrer de qui les fichiers changeraient l'envoi, en quoi, et ce qui manque. Ne change rien "
    "de ce qui tourne.\n\n"
    "Code de sortie 3 quand des fichiers sont en défaut.",
    "INSEE code; may be repeated.":
    "Code Insee ; peut être répété.",
    "The communes with this mapping; repeatable.":
    "Les communes qui ont cette correspondance ; peut être répété.",
    "Record the agreement of communes to what their files would release, or to --digest.\n\n"
    "With --all or --mapping, who agreed already is left as it is.":
    "Noter l'accord de communes à ce que leurs fichiers mettraient en service, ou à --digest.\n\n"
    "Avec --all ou --mapping, qui a déjà donné son accord est laissé tel quel.",
    "Who agreed, for the commune.":
    "Qui a donné l'accord, pour la commune.",
    "As what.":
    "En quelle qualité.",
    "By what: letter, mail, meeting.":
    "Par quoi : lettre, courriel, réunion.",
    "When; else today.":
    "Quand ; à défaut, aujourd'hui.",
    "What was agreed to (its beginning is enough).":
    "Ce sur quoi porte l'accord (son début suffit).",
    "INSEE codes.":
    "Codes Insee.",
    "All communes.":
    "Toutes les communes.",
    "Make active what is signed and passes its contract run: of all communes, or of those "
    "chosen.\n\n"
    "It is one change for the daemon. Who cannot go keeps what runs and stops no other. Exit "
    "code 1 if any is refused, 3 where files are at fault.":
    "Mettre en service ce qui est signé et dont les cas passent : de toutes les communes, ou de "
    "celles choisies.\n\n"
    "C'est un seul changement pour le service. Qui ne peut partir garde ce qui tourne et "
    "n'arrête personne. Code de sortie 1 si une commune est refusée, 3 quand des fichiers sont "
    "en défaut.",
    "Make active what is not signed or fails, too.":
    "Mettre aussi en service ce qui n'est pas signé ou échoue.",
    "If one commune cannot go, none does.":
    "Si une commune ne peut partir, aucune ne part.",
    "In an outage, before its commune signs: addresses of GRUs and their `network`.":
    "Pendant une panne, avant que sa commune signe : adresses de GRU et leur `network`.",
    "--urgent: who decided it.":
    "--urgent : qui l'a décidé.",
    "--urgent: what for.":
    "--urgent : pour quoi.",
    "The active release of each commune; those first of which something is to be told.":
    "La version en service de chaque commune ; d'abord celles dont il y a quelque chose à dire.",
    "Show what was done for a commune, or with a release and what it holds.":
    "Montrer ce qui a été fait pour une commune, ou d'une version et ce qu'elle contient.",
    "Or a digest's beginning.":
    "Ou le début d'une empreinte.",
    "Is the trail intact, and is what runs what was agreed to? Exit code 1 if not.":
    "Le journal est-il intact, et ce qui tourne est-il ce qui a été convenu ? Code de sortie 1 "
    "sinon.",
    "Have communes go back at once to what ran before, signed and passed as it was: one change.\n\n"
    "Exit code 1 if one has nothing to go back to, 3 if what it had cannot be built today.":
    "Faire revenir aussitôt des communes à ce qui tournait avant, signé et éprouvé comme il "
    "l'était : un seul changement.\n\n"
    "Code de sortie 1 si l'une n'a rien à quoi revenir, 3 si ce qu'elle avait ne peut être "
    "construit aujourd'hui.",
    "Take back the last act (sign, apply, rollback, withdraw) for all that it was done for; "
    "with communes chosen, the last act of each. The consequences are told, and asked about, "
    "before.\n\n"
    "With --json it needs --yes. Exit code 1 if one cannot be taken back, 3 if what ran before "
    "cannot be built today.":
    "Reprendre le dernier acte (sign, apply, rollback, withdraw) pour tous ceux qu'il touchait "
    "; avec des communes choisies, le dernier de chacune. Les conséquences sont dites, et une "
    "question posée, avant.\n\n"
    "Avec --json, il faut --yes. Code de sortie 1 s'il y en a un qui ne peut être repris, 3 si "
    "ce qui tournait avant ne peut être construit aujourd'hui.",
    "Do not ask.":
    "Ne pas demander.",
    "Have nothing run for communes any more whose files are gone: what that leaves lying is "
    "told, and asked about, before.\n\n"
    "With --json it needs --yes.":
    "Ne plus rien faire tourner pour des communes dont les fichiers sont partis : ce qui "
    "restera en plan est dit, et une question posée, avant.\n\n"
    "Avec --json, il faut --yes.",
    "The portal's side: its workflow, its forms.":
    "Le côté du portail : son workflow, ses formulaires.",
    "Write the workflow of a form and its tests, to be imported into w.c.s.":
    "Écrire le workflow d'un formulaire et ses tests, à importer dans w.c.s.",
    "The form's slug.":
    "L'identifiant du formulaire.",
    "Needed when several have the form.":
    "Nécessaire quand plusieurs ont le formulaire.",
    "Of these communes alone; else all that have a route.":
    "De ces seules communes ; à défaut, de toutes celles qui ont une route.",
    "An agent of the portal lets each request go.":
    "Un agent du portail laisse partir chaque demande.",
    "Where to write them.":
    "Où les écrire.",
    "Read a form's schema now, and save it as MAPPINGS/FORM/schema.json for `check --offline`.\n\n"
    "Exit code 4 when the portal does not give it.":
    "Lire maintenant le schéma d'un formulaire, et l'enregistrer en "
    "MAPPINGS/FORMULAIRE/schema.json pour `check --offline`.\n\n"
    "Code de sortie 4 quand le portail ne le donne pas.",
    "Take in what the portal's workflow has marked as due and no push brought.\n\n"
    "Beside a running daemon or without one; it also runs by itself (`reconcile` in "
    "gateway.yaml). Exit code 1 when something due cannot be taken, 4 when a form could not be "
    "read.":
    "Prendre ce que le workflow du portail a marqué comme dû et qu'aucun envoi n'a apporté.\n\n"
    "À côté d'un service en marche ou sans lui ; cela se fait aussi de soi-même (`reconcile` "
    "dans gateway.yaml). Code de sortie 1 quand quelque chose de dû ne peut être pris, 4 quand "
    "un formulaire n'a pu être lu.",
    "By slug; may be repeated; else all.":
    "Par identifiant ; peut être répété ; à défaut, tous.",
    "List what it would take, and take nothing.":
    "Lister ce qui serait pris, et ne rien prendre.",
    "By the files, signed or not, as with `serve --dev`.":
    "D'après les fichiers, signés ou non, comme `serve --dev`.",
    "Accounts deleted at GrandLyon Connect.":
    "Comptes supprimés chez GrandLyon Connect.",
    "Ask GLC now. Exit code 1: two people must decide; 4: GLC's answer was not believed.":
    "Interroger GLC maintenant. Code de sortie 1 : deux personnes doivent décider ; 4 : la "
    "réponse de GLC n'a pas été crue.",
    "When GLC was last asked, what came of it, and what waits. Exit code 1: somebody must act.":
    "Quand GLC a été interrogé pour la dernière fois, ce qui en est venu, et ce qui attend. "
    "Code de sortie 1 : quelqu'un doit agir.",
    "Accounts linked with those of communes' own portals.":
    "Comptes rattachés à ceux des portails propres des communes.",
    "Links that count, without the accounts' names: `link export` has these.":
    "Rattachements qui comptent, sans les noms des comptes : `link export` les a.",
    "Of this commune.":
    "De cette commune.",
    "All that is held of a commune's links, for that commune: personal data, on the standard "
    "output.":
    "Tout ce qui est gardé des rattachements d'une commune, pour cette commune : données "
    "personnelles, sur la sortie standard.",
    "The commune.":
    "La commune.",
    "json, or csv for a spreadsheet.":
    "json, ou csv pour un tableur.",
    "End links, as a commune or a citizen asks. Exit code 1: there is none.":
    "Défaire des rattachements, à la demande d'une commune ou d'un usager. Code de sortie 1 : "
    "il n'y en a pas.",
    "Who says so; kept in the trail.":
    "Qui le dit ; gardé dans le journal.",
    "The link, as `link list` names it.":
    "Le rattachement, comme `link list` le nomme.",
    "All links of this account of the commune's portal.":
    "Tous les rattachements de ce compte du portail de la commune.",
    "Ask nothing.":
    "Ne rien demander.",
    "Secrets and certificates.":
    "Secrets et certificats.",
    "Have every running daemon read its secrets and certificates anew, without a stop.\n\n"
    "A secret that cannot be had stays as it was, and is told: exit code 1, as when no daemon "
    "answers. A value of the environment (env:NAME) is that of the daemon's start; what is to "
    "change meanwhile is given as file:PATH.":
    "Faire relire ses secrets et certificats à chaque service en marche, sans arrêt.\n\n"
    "Un secret introuvable reste ce qu'il était, et cela est dit : code de sortie 1, comme "
    "quand aucun service ne répond. Une valeur de l'environnement (env:NOM) est celle du "
    "démarrage du service ; ce qui doit changer entre-temps se donne en file:CHEMIN.",
    "The keys with which what is stored is sealed.":
    "Les clés qui scellent ce qui est stocké.",
    "The master keys that are given or needed, by id, and where the keys of requests lie.":
    "Les clés maîtresses données ou nécessaires, par identifiant, et où se trouvent les clés "
    "des demandes.",
    "Wrap every key by the first of sealing.masters, while the gateway works.\n\n"
    "It may be stopped anywhere and run again. First have the daemons know the new master key: "
    "`secrets reload`.":
    "Envelopper chaque clé par la première de sealing.masters, pendant que la passerelle "
    "travaille.\n\n"
    "On peut l'arrêter n'importe où et la relancer. Faire d'abord connaître la nouvelle clé "
    "maîtresse aux services : `secrets reload`.",
    "Seal what was stored before the sealing; a running gateway does it by itself.\n\n"
    "It may be stopped anywhere and run again, while the gateway works.":
    "Sceller ce qui a été stocké avant le scellement ; une passerelle en marche le fait "
    "d'elle-même.\n\n"
    "On peut l'arrêter n'importe où et la relancer, pendant que la passerelle travaille.",
    "Open the key of every request. Exit code 1 when one is missing, or a request is in clear.":
    "Ouvrir la clé de chaque demande. Code de sortie 1 quand il en manque une, ou qu'une "
    "demande est en clair.",
    "Erasures of people whose account is deleted.":
    "Effacements de personnes dont le compte est supprimé.",
    "Erasures that are not over: those held, and what communes still owe, with the deadline.":
    "Effacements qui ne sont pas finis : ceux qui sont retenus, et ce que des communes doivent "
    "encore, avec l'échéance.",
    "Those that are over, too.":
    "Aussi ceux qui sont finis.",
    "One erasure: its requests, what each commune answered, and its part of the trail.":
    "Un effacement : ses demandes, ce que chaque commune a répondu, et sa part du journal.",
    "Agree to what is held. Two different people must, once they know it to be true from GLC.":
    "Approuver ce qui est retenu. Deux personnes différentes le doivent, une fois que GLC le "
    "leur a confirmé.",
    "ERA-..., or RUN-... for all of it.":
    "ERA-..., ou RUN-... pour le tout.",
    "Write down elsewhere what was erased: the database's marks, and this machine's ledger's. A "
    "file that is there is added to. It names nobody; the key of erased accounts is not in it.":
    "Écrire ailleurs ce qui a été effacé : les marques de la base, et celles du registre de "
    "cette machine. Un fichier qui s'y trouve est complété. Il ne nomme personne ; la clé des "
    "comptes effacés n'y est pas.",
    "A ledger of erasures.":
    "Un registre d'effacements.",
    "Take such a file into this machine's ledger. What of it the database holds is erased again "
    "at the daemon's next start.":
    "Prendre un tel fichier dans le registre de cette machine. Ce que la base en contient est "
    "effacé à nouveau au prochain démarrage du service.",
    "Give up what is held: the accounts exist, and GLC was wrong. Nothing was erased yet.":
    "Renoncer à ce qui est retenu : les comptes existent, et GLC se trompait. Rien n'était "
    "encore effacé.",
    "Why; without naming the person. It is kept.":
    "Pourquoi ; sans nommer la personne. C'est gardé.",
    "Erase single requests, of somebody without an account too. A second person must agree.":
    "Effacer des demandes une à une, même de quelqu'un sans compte. Une seconde personne doit "
    "approuver.",
    "Number at the portal, or TDG-...; may be given several times.":
    "Numéro au portail, ou TDG-... ; peut être donné plusieurs fois.",
    "List the tasks of communes that erase by hand: number there, person, deadline.":
    "Lister les tâches des communes qui effacent à la main : numéro là-bas, personne, échéance.",
    "Of one commune.":
    "D'une seule commune.",
    "Say what a commune did by hand: it erased, anonymised, keeps by law, or never had it.":
    "Dire ce qu'une commune a fait à la main : effacé, anonymisé, gardé par la loi, ou jamais "
    "eu.",
    "The commune that answers.":
    "La commune qui répond.",
    "What became of the data there.":
    "Ce que les données y sont devenues.",
    "The law or rule by which it is kept.":
    "La loi ou la règle qui les fait garder.",
    "The day until which it is kept.":
    "Le jour jusqu'auquel elles sont gardées.",
    "Who decided to keep it; else --by.":
    "Qui a décidé de les garder ; à défaut, --by.",
    "Of this request alone: TDG-...":
    "De cette seule demande : TDG-...",
    "Incidents, by the convention's clock.":
    "Incidents, à l'horloge de la convention.",
    "List incidents that want a person, the last one first, with the time left. A *bloquant* or "
    "an attack stays until it is closed.":
    "Lister les incidents qui veulent une personne, le dernier d'abord, avec le temps qui "
    "reste. Un *bloquant* ou une attaque reste jusqu'à sa clôture.",
    "Those that hit this commune.":
    "Ceux qui touchent cette commune.",
    "One incident: whom it hits, its clock, who was told, what was done. Exit code 1: its trail "
    "does not verify.":
    "Un incident : qui il touche, son horloge, qui a été prévenu, ce qui a été fait. Code de "
    "sortie 1 : son journal n'est pas intact.",
    "Print the notice of an attack, in French, to be completed and sent, with what is to be "
    "done.":
    "Afficher l'avis d'une attaque, à compléter et à envoyer, avec ce qu'il faut faire.",
    "Say that you have seen it.":
    "Dire que vous l'avez vu.",
    "Who does it; kept in the trail.":
    "Qui le fait ; gardé dans le journal.",
    "Say who works on it.":
    "Dire qui y travaille.",
    "Who works on it.":
    "Qui y travaille.",
    "Change how grave it is, and so its deadline. No symptom changes it any more.":
    "Changer sa gravité, et donc son échéance. Plus aucun symptôme ne la change.",
    "How grave it is.":
    "Sa gravité.",
    "Why; without naming a citizen.":
    "Pourquoi ; sans nommer un usager.",
    "Stop its clock while a commune must act.":
    "Arrêter son horloge tant qu'une commune doit agir.",
    "The commune that must act.":
    "La commune qui doit agir.",
    "Have its clock run again: the commune has acted.":
    "Faire repartir son horloge : la commune a agi.",
    "Say that an attack was notified: its eight hours are kept by it.":
    "Dire qu'une attaque a été notifiée : ses huit heures sont ainsi tenues.",
    "Who was notified.":
    "Qui a été notifié.",
    "End it. If its symptoms still show, it comes back only when there are more of them.":
    "Le finir. Si ses symptômes se montrent encore, il ne revient que s'ils se multiplient.",
    "Who caused it, where we were wrong.":
    "Qui l'a causé, si c'était une erreur de notre part.",
    "What happened, why, what is done against it. A bloquant needs it.":
    "Ce qui est arrivé, pourquoi, ce qui est fait contre. Un bloquant le demande.",
    "What is deleted when its time is over.":
    "Ce qui est supprimé quand son temps est passé.",
    "List what is kept, what of it goes at the next run, and when the next part goes. Changes "
    "nothing.":
    "Lister ce qui est gardé, ce qui en part au prochain passage, et quand part la suite. Ne "
    "change rien.",
    "Only of this one.":
    "De celle-ci seulement.",
    "Delete now what is due, beside a running daemon or without one. It also runs by itself, "
    "every hour. Exit code 1: nothing was deleted, since the last run is more than a week ago.":
    "Supprimer maintenant ce qui est échu, à côté d'un service en marche ou sans lui. Cela se "
    "fait aussi de soi-même, chaque heure. Code de sortie 1 : rien n'a été supprimé, car le "
    "dernier passage date de plus d'une semaine.",
    "Say what would go, and delete nothing.":
    "Dire ce qui partirait, et ne rien supprimer.",
    "The clock is right: the gateway did not run so long.":
    "L'horloge est juste : la passerelle n'a pas tourné tout ce temps.",
    "The rights of one person (RGPD).":
    "Les droits d'une personne (RGPD).",
    "A folder that is not there.":
    "Un dossier qui n'existe pas.",
    "Who does so; kept in the trail.":
    "Qui le fait ; gardé dans le journal.",
    "The ground, as a file number; kept in the trail.":
    "Le motif, comme un numéro de dossier ; gardé dans le journal.",
    "The account at GLC.":
    "Le compte chez GLC.",
    "A request by any of its numbers: its person.":
    "Une demande par l'un de ses numéros : sa personne.",
    "Open the erasure of all that is held about a person, as they ask for (RGPD, art. 17).\n\n"
    "It is held until a second person agrees (`erasure approve`). Each commune that received "
    "something is told to erase. Links with accounts of communes' portals end at once.":
    "Ouvrir l'effacement de tout ce qui est gardé d'une personne, comme elle le demande (RGPD, "
    "art. 17).\n\n"
    "Il est retenu jusqu'à ce qu'une seconde personne approuve (`erasure approve`). Chaque "
    "commune qui a reçu quelque chose est priée d'effacer. Les rattachements aux comptes des "
    "portails des communes finissent aussitôt.",
    "Registers of the RGPD: treatments, violations.":
    "Registres du RGPD : traitements, violations.",
    "Make the register: which personal data go to which commune, and why.\n\n"
    "It has the CNIL's columns, in French, from the mappings (`personal_data`) and settings "
    "alone. Exit code 1 while something is not told.":
    "Faire le registre : quelles données personnelles vont à quelle commune, et pourquoi.\n\n"
    "Il a les colonnes de la CNIL, d'après les seules correspondances (`personal_data`) et les "
    "réglages. Code de sortie 1 tant que quelque chose n'est pas dit.",
    "csv for a spreadsheet, html to print.":
    "csv pour un tableur, html à imprimer.",
    "Else the standard output.":
    "À défaut, la sortie standard.",
    "Every mapping, whoever uses it; no configuration.":
    "Chaque correspondance, qui que ce soit qui l'emploie ; aucune configuration.",
    "Prepare the notice of a violation of personal data (RGPD, art. 33), from the tables, the "
    "trail and the mappings: notice.html, notice.txt, references.csv. It holds no personal "
    "data.":
    "Préparer la notification d'une violation de données personnelles (RGPD, art. 33), d'après "
    "les tables, le journal et les correspondances : notice.html, notice.txt, references.csv. "
    "Elle ne contient aucune donnée personnelle.",
    "2026-03-12, or with 08:41 (Paris).":
    "2026-03-12, ou avec 08:41 (Paris).",
    "Else now.":
    "À défaut, maintenant.",
    "When it was learnt of; else now.":
    "Quand on l'a appris ; à défaut, maintenant.",
    "The database.":
    "La base de données.",
    "Create the tables, or bring them to this version; `serve` does it too.":
    "Créer les tables, ou les amener à cette version ; `serve` le fait aussi.",
    "The version of the tables. Exit code 1 when it is not the one that this gateway needs.":
    "La version des tables. Code de sortie 1 quand ce n'est pas celle qu'il faut à cette "
    "passerelle.",
    "After a database was restored by its own means: far ends are asked before anything is "
    "sent.\n\n"
    "With every daemon stopped. `restore` does it for SQLite.":
    "Après qu'une base a été remise par ses propres moyens : on interroge les serveurs distants "
    "avant tout envoi.\n\n"
    "Tous les services arrêtés. `restore` le fait pour SQLite.",
    "The configuration.":
    "La configuration.",
    "The settings in force, defaults included; secrets as their references (env:, file:).":
    "Les réglages en vigueur, valeurs par défaut comprises ; les secrets par leurs références "
    "(env:, file:).",
    "Show this message and exit.":
    "Afficher ce message, et finir.",
    "Planned maintenance and changes, told to communes beforehand.":
    "Maintenances et changements prévus, annoncés aux communes.",
    "Announce a maintenance (with --to) or a change. The daemon tells the communes by mail.\n\n"
    "Told later than `announcements` of gateway.yaml asks for, a maintenance counts as "
    "unavailability.":
    "Annoncer une maintenance (avec --to) ou un changement. Le service le dit aux communes par "
    "courriel.\n\n"
    "Dite plus tard que ne le demande `announcements` de gateway.yaml, une maintenance compte "
    "comme indisponibilité.",
    "In French, one line.":
    "En français, une ligne.",
    "2026-12-01T20:00, in Paris.":
    "2026-12-01T20:00, à Paris.",
    "Its end; without, it is a change.":
    "Sa fin ; à défaut, c'est un changement.",
    "In French: what communes must know.":
    "En français : ce que les communes doivent savoir.",
    "Those that it concerns; else all.":
    "Celles qu'elle concerne ; à défaut, toutes.",
    "List what is announced: told and read by how many communes, told in time or not.":
    "Lister ce qui est annoncé : dit à combien de communes, lu par combien, dit à temps ou non.",
    "Those that concern this commune.":
    "Celles qui concernent cette commune.",
    "One announcement: each commune that was told, when, and who has read it.":
    "Une annonce : chaque commune à qui elle a été dite, quand, et qui l'a lue.",
    "Call it off, or end it early. The communes that were told are told of it.":
    "L'annuler, ou la finir plus tôt. Les communes qui l'ont reçue en sont prévenues.",
    "Why, in French: communes read it.":
    "Pourquoi, en français : les communes le lisent.",
    "Note that a commune has read it, as it said otherwise than by the link of its mail.":
    "Noter qu'une commune l'a lue, comme elle l'a dit autrement que par le lien de son "
    "courriel.",
    "The commune that has read it.":
    "La commune qui l'a lue.",
    "With a console: links to two accounts are printed.":
    "Avec une console : les liens de deux comptes sont affichés.",
    "The console: who gets in.":
    "La console : qui y entre.",
    "Local accounts.":
    "Comptes locaux.",
    "Tokens of programs, for /api/v1.":
    "Jetons de programmes, pour /api/v1.",
    "Small letters, digits, . _ and -.":
    "Minuscules sans accent, chiffres, . _ et -.",
    "What it may do.":
    "Ce qu'il peut faire.",
    "Of an agent, and of an auditor of some.":
    "D'un agent, et d'un auditeur de quelques-unes.",
    "Who does it; else the login name.":
    "Qui le fait ; à défaut, le nom de session.",
    "Add an account. Prints its link, by which its password is chosen, once, within a day.":
    "Ajouter un compte. Affiche son lien, par lequel son mot de passe est choisi, une "
    "fois, dans la journée.",
    "Print a new link for an account: its password, its sessions and its locks end.":
    "Afficher un nouveau lien pour un compte : son mot de passe, ses sessions et ses "
    "blocages prennent fin.",
    "Let nobody in by an account any more; its sessions end at once.":
    "Ne plus laisser entrer personne par un compte ; ses sessions finissent aussitôt.",
    "List the accounts.":
    "Lister les comptes.",
    "It is good for so long.":
    "Il vaut si longtemps.",
    "Make a token. It is printed once: nobody can show it again.":
    "Faire un jeton. Il est affiché une fois : personne ne peut le montrer de nouveau.",
    "Make a token worthless.":
    "Ôter toute valeur à un jeton.",
    "List the tokens, without their secrets.":
    "Lister les jetons, sans leurs secrets.",
    "Check configuration, mappings, adapters, then every GRU and portal (reads only), and the "
    "object store of the attachments, the virus scanner, the mail relay and the tool of the "
    "tickets.\n\n"
    "--offline holds the mappings against the forms saved beside them (`portal form`), and the "
    "settings against the files that they name, as a WSDL. Exit code 3 for faults in the "
    "configuration, 4 when a far end cannot be used.":
    "Contrôler la configuration, les correspondances et les adaptateurs, puis chaque GRU et "
    "portail (en lecture seule), le stockage objet des pièces jointes, l'antivirus, le relais "
    "de courrier et l'outil des tickets.\n\n"
    "--offline compare les correspondances aux formulaires enregistrés à côté (`portal form`), "
    "et les réglages aux fichiers qu'ils nomment, comme un WSDL. Code de sortie 3 pour des "
    "anomalies de la configuration, 4 quand un serveur distant est inutilisable.",
    "The part of gateway.yaml by which incidents have tickets in this product (in French).":
    "La partie de gateway.yaml par laquelle les incidents ont des tickets dans ce produit.",
    "Add a word to it. Its ticket gets it as well.":
    "Y ajouter un mot. Son ticket le reçoit aussi.",
    "A word, without naming a citizen.":
    "Un mot, sans nommer un usager.",
    "Availability, against the convention.":
    "La disponibilité, face à la convention.",
    "The minutes of a month that were down, by whose they are, and the incidents solved in "
    "time: for each service and commune, against 99.9 % and 95 %.":
    "Les minutes d'arrêt d'un mois, selon à qui elles reviennent, et les incidents résolus à "
    "temps : pour chaque service et commune, face à 99.9 % et 95 %.",
    "Of Paris; else the current one.":
    "À Paris ; à défaut, le mois en cours.",
    "This commune, and the services.":
    "Cette commune, et les services.",
    "Write a French page (A4).":
    "Écrire une page en français (A4).",
    "Write rows for a French spreadsheet.":
    "Écrire des lignes pour un tableur français.",
    "Write all that is held about a person: donnees.json, a French page, and the files.\n\n"
    "For an account all of its requests; for a request without account that one. The folder is "
    "for its owner alone. The trail keeps who did it and why. Exit code 1: all is written but "
    "values that do not open, which are named.":
    "Écrire tout ce qui est gardé d'une personne : donnees.json, une page en français, et les "
    "fichiers.\n\n"
    "Pour un compte, toutes ses demandes ; pour une demande sans compte, celle-là. Le dossier "
    "est pour son seul propriétaire. Le journal garde qui l'a fait et pourquoi. Code de sortie "
    "1 : tout est écrit sauf des valeurs qui ne s'ouvrent pas, et qui sont nommées.",
    "Have the key service (vault:MOUNT/KEY) wrap a new key now, before its month is over.\n\n"
    "The daemons learn it within a minute, and use it after two. Then run `keys rotate`.":
    "Faire envelopper maintenant une nouvelle clé par le service de clés (vault:MOUNT/KEY), "
    "avant la fin de son mois.\n\n"
    "Les services l'apprennent en une minute, et s'en servent après deux. Lancer ensuite `keys "
    "rotate`.",
    "Notes that are owed and were not taken yet, whatever they are about, and why.":
    "Les avis dus qui ne sont pas encore pris, quel qu'en soit l'objet, et pourquoi.",
    "Send a note of trial to the operators and by each channel, as each month. The daemon sends "
    "it; `incident notices` shows what is not taken.":
    "Envoyer un essai aux exploitants et par chaque canal, comme chaque mois. Le service "
    "l'envoie ; `incident notices` montre ce qui n'est pas pris.",
    "Say that the entry which waits first is in the tool of the tickets, or need not be: the next "
    "one goes. For what the tool refuses, or cannot be asked about.":
    "Dire que l'entrée qui attend la première est dans l'outil de tickets, ou n'a pas à y être : "
    "la suivante part. Pour ce que l'outil refuse, ou ne peut dire s'il l'a.",
    "The ticket's, where it has none yet.":
    "Celui du ticket, s'il n'en a pas encore.",
}
# fmt: on
