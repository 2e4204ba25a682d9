"""Every reason of an outcome: its subject, who can act, and its sentence.

A reason is a constant word. Decisions (the breaker, when a lost reply is asked about, whether a
file is given up) hang on this table; the `detail` beside it is for people. An adapter adds its own
words in `Adapter.reasons`. An undescribed word, as an integrator may write under `errors:`, counts
by its outcome (`of`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.core.messages import Message, Text


class About(StrEnum):
    """The subject of a reason. Only the first two tell of the health of the lane's far end."""

    FAR_END = "far_end"
    #: Our settings for the far end: its address, our credentials.
    SETTINGS = "settings"
    #: The content of this delivery: the far end looked at it and refuses it.
    CONTENT = "content"
    #: This request alone, as it is at the far end.
    REQUEST = "request"
    #: Nobody was called.
    UNSENT = "unsent"
    #: The gateway itself, or a person who acted on it.
    GATEWAY = "gateway"
    #: Our caller proved nothing.
    SENDER = "sender"


class Who(StrEnum):
    """The people who can act. `FAR_END` is the lane's: the GRU's people, or the portal's."""

    NOBODY = "gateway"
    FAR_END = "far_end"
    GRU = "gru"
    PORTAL = "portal"
    OPERATOR = "operator"
    INTEGRATOR = "integrator"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason. `en` and `fr` are the fact, `do` and `faire` the remedy.

    `busy`: the far end may still work on the call, so it is not asked before a timeout has passed.
    `believed`: with it the far end says that it did nothing, which counts where it cannot be asked.
    `parks`: sending again would end alike, so a person looks first once nothing was done.
    `unconnected`: no connection was made, so nothing was sent.
    """

    word: str
    about: About
    who: Who
    en: str
    fr: str
    do: str = ""
    faire: str = ""
    busy: bool = False
    believed: bool = False
    parks: bool = False
    unconnected: bool = False

    @property
    def said(self) -> Message:
        """Return the reason in both languages."""
        texts = (self.en, self.do, self.fr, self.faire)
        # Braces would be read as placeholders.
        plain = (text.replace("{", "{{").replace("}", "}}") for text in texts)
        return Message(Text(self.word, *plain))


_A, _W = About, Who
_REPLAY, _RENVOYER = "mend it, then: outbox replay", "corriger, puis renvoyer"

# A table: what is so and what to do next, in English and in French.
# fmt: off
BUILT_IN = (
    # --- the far end -----------------------------------------------------------------------
    Reason("unreachable", _A.FAR_END, _W.FAR_END,
           "the far end does not answer the call", "le serveur est injoignable",
           "restore the service", "vérifier l'adresse, le pare-feu et le certificat",
           unconnected=True),
    Reason("unknown_name", _A.FAR_END, _W.OPERATOR,
           "the name in the address is not known here",
           "le nom qui est dans l'adresse n'est pas connu d'ici",
           "correct the address, or this machine's name service",
           "corriger l'adresse, ou le service de noms de cette machine",
           unconnected=True),
    Reason("connection_refused", _A.FAR_END, _W.FAR_END,
           "nothing listens at that address and port",
           "rien n'écoute à cette adresse et à ce port",
           "start the service, or correct the port of the address, or open the firewall",
           "démarrer le service, ou corriger le port de l'adresse, ou ouvrir le pare-feu",
           unconnected=True),
    Reason("not_tls", _A.FAR_END, _W.OPERATOR,
           "it answers, and speaks no TLS there", "le serveur répond, et n'y parle pas TLS",
           "correct the port, or the address (http:// where that is meant)",
           "corriger le port, ou l'adresse (http:// si c'est voulu)",
           unconnected=True),
    Reason("tls_refused", _A.FAR_END, _W.FAR_END,
           "it and we agree on no TLS: a version before 1.2, or it asks for a certificate of ours",
           "pas de TLS en commun : version avant la 1.2, ou certificat demandé à la passerelle",
           "have it speak TLS 1.2 or 1.3; where it asks for a certificate:"
           " `network: {certificate: FILE, key: FILE}`",
           "lui faire parler TLS 1.2 ou 1.3 ; s'il demande un certificat :"
           " `network: {certificate: FICHIER, key: FICHIER}`",
           unconnected=True),
    Reason("unknown_authority", _A.FAR_END, _W.OPERATOR,
           "its certificate is of an authority that is not known here",
           "son certificat vient d'une autorité inconnue d'ici",
           "have it send its whole chain, or give its authority: `network: {ca: FILE}`",
           "lui faire envoyer toute sa chaîne, ou donner son autorité : `network: {ca: FICHIER}`",
           unconnected=True),
    Reason("certificate_expired", _A.FAR_END, _W.FAR_END,
           "its certificate is out of date, or not valid yet",
           "son certificat est périmé, ou pas encore valable",
           "renew its certificate; else look at this machine's clock",
           "renouveler son certificat ; sinon, regarder l'horloge de cette machine",
           unconnected=True),
    Reason("wrong_certificate", _A.FAR_END, _W.OPERATOR,
           "its certificate is for another name than that of the address",
           "son certificat est pour un autre nom que celui de l'adresse",
           "write the address with the certificate's name, or have it certified for this one",
           "écrire l'adresse avec le nom du certificat, ou le faire établir pour ce nom-ci",
           unconnected=True),
    Reason("certificate_asked", _A.FAR_END, _W.OPERATOR,
           "it asks for a certificate of ours, and takes none or not this one",
           "le serveur demande un certificat à la passerelle, et n'en a pas reçu qui lui convienne",
           "give the one that it knows: `network: {certificate: FILE, key: FILE}`",
           "donner celui qu'il connaît : `network: {certificate: FICHIER, key: FICHIER}`",
           unconnected=True),
    Reason("no_answer", _A.FAR_END, _W.NOBODY,
           "the call was sent and its answer was lost",
           "l'appel est parti et sa réponse s'est perdue",
           "", "vérifier que le serveur fonctionne et répond à temps",
           busy=True),
    Reason("timeout", _A.FAR_END, _W.NOBODY,
           "the call was sent and not answered in time",
           "l'appel est parti et la réponse n'est pas venue à temps",
           "", "vérifier que le serveur fonctionne et répond à temps",
           busy=True),
    Reason("busy", _A.FAR_END, _W.FAR_END,
           "the far end asked to come back later", "le serveur demande de revenir plus tard",
           "raise its capacity, or lower the rate", "augmenter sa capacité, ou baisser le débit",
           busy=True, believed=True),
    Reason("far_end_error", _A.FAR_END, _W.FAR_END,
           "the far end failed while it handled the call", "le serveur a échoué pendant l'appel",
           "read its logs", "consulter ses journaux",
           busy=True),
    Reason("unreadable_answer", _A.FAR_END, _W.INTEGRATOR,
           "the far end answered what cannot be read", "la réponse du serveur est illisible",
           "compare its answer with the options: address, format, paths",
           "vérifier l'adresse et le format attendu",
           busy=True),
    Reason("answer_too_large", _A.FAR_END, _W.INTEGRATOR,
           "the far end's answer is larger than allowed",
           "la réponse du serveur est plus longue que permis",
           "raise max_answer, or ask for less", "augmenter max_answer, ou demander moins"),
    Reason("took_too_long", _A.GATEWAY, _W.OPERATOR,
           "what it answered took longer to read than it may",
           "la lecture de sa réponse a pris plus de temps que permis",
           "see `work.given_up` in the log: an odd answer, or a machine that is overloaded",
           "voir `work.given_up` au journal : réponse anormale, ou machine surchargée"),
    Reason("lease_ended", _A.FAR_END, _W.FAR_END,
           "the commune fetched it, and told no result in time",
           "la commune est venue la chercher et n'a pas dit à temps ce qu'il en est",
           "see why its half-connector stops; it may fetch it again at once",
           "voir pourquoi son demi-connecteur s'arrête ; il peut la reprendre aussitôt"),
    Reason("not_fetched", _A.FAR_END, _W.FAR_END,
           "the commune has not fetched it for days",
           "la commune n'est pas venue la chercher depuis des jours",
           "tell the commune that its half-connector fetches nothing",
           "prévenir la commune : son demi-connecteur ne vient plus"),
    Reason("no_mail_relay", _A.SETTINGS, _W.OPERATOR,
           "nobody is told of it: there is no mail relay",
           "personne n'en est prévenu : aucun relais de messagerie n'est réglé",
           "tell the commune, and give `mail` in gateway.yaml",
           "prévenir la commune, et donner `mail` dans gateway.yaml"),
    Reason("no_channel", _A.SETTINGS, _W.OPERATOR,
           "no channel of this name is configured any more",
           "plus aucun canal de ce nom n'est configuré"),
    Reason("quiet_hours", _A.UNSENT, _W.NOBODY,
           "it waits for the end of the quiet hours", "attend la fin des heures calmes"),
    Reason("nobody_told", _A.UNSENT, _W.OPERATOR,
           "notes about incidents cannot be sent, so the switch is let go",
           "des avis d'incident ne peuvent être envoyés : le signe de vie est retenu",
           "gru-gateway incident notices", "gru-gateway incident notices"),
    Reason("no_contact", _A.SETTINGS, _W.INTEGRATOR,
           "nobody is told of it: the commune's contacts have no mail address",
           "personne n'en est prévenu : les contacts de la commune n'ont pas de courriel",
           "tell the commune, and give `contacts` in its file",
           "prévenir la commune, et donner `contacts` dans son fichier"),
    Reason("poll_too_long", _A.FAR_END, _W.FAR_END,
           "it gives its list so slowly that a reading does not come to its end",
           "le serveur donne sa liste si lentement que la lecture n'arrive pas au bout",
           "find out why it is slow; have it give more at once",
           "chercher pourquoi il est lent ; faire donner plus d'éléments à la fois"),
    Reason("unexpected_status", _A.FAR_END, _W.INTEGRATOR,
           "the far end answered a status that the options do not call a success",
           "le serveur répond par un code qui n'est pas parmi ceux d'un succès",
           "compare it with `success`", "le comparer à `success`"),
    Reason("unreadable", _A.FAR_END, _W.INTEGRATOR,
           "the GRU's call cannot be read", "l'appel de la GRU est illisible",
           "compare it with the options", "le comparer aux options"),
    Reason("unreadable_item", _A.FAR_END, _W.INTEGRATOR,
           "the far end lists what cannot be read", "un élément de la liste est illisible",
           "compare its answer with the options", "comparer la réponse aux options"),
    Reason("foreign_file", _A.CONTENT, _W.INTEGRATOR,
           "a file lies on another host", "un fichier est sur un autre serveur",
           "name that host under `hosts`, should it be the GRU's",
           "nommer ce serveur sous `hosts`, s'il est celui de la GRU"),
    Reason("file_too_large", _A.CONTENT, _W.INTEGRATOR,
           "a file is larger than allowed", "un fichier est plus gros que permis",
           "raise max_mb of the documents", "augmenter max_mb des documents"),
    Reason("filter_ignored", _A.FAR_END, _W.INTEGRATOR,
           "the far end seems to ignore what it is asked for",
           "le serveur semble ignorer ce qui lui est demandé",
           "correct the query of `find`", "corriger la requête de `find`"),
    Reason("no_token", _A.FAR_END, _W.FAR_END,
           "the far end gives no token now", "le serveur ne donne pas de jeton pour l'instant",
           "restore its token endpoint", "vérifier auth, puis réessayer plus tard"),
    Reason("absent", _A.FAR_END, _W.FAR_END,
           "the far end was asked and has not got it", "le serveur, interrogé, ne l'a pas",
           "find out why it loses requests", "chercher pourquoi il perd des demandes"),
    # --- what we hold of it ----------------------------------------------------------------
    Reason("access_denied", _A.SETTINGS, _W.OPERATOR,
           "the far end refuses our credentials", "le serveur refuse nos identifiants",
           "check the key or rights in the commune's file",
           "vérifier la clé ou le compte, et ses droits"),
    Reason("oauth2_refused", _A.SETTINGS, _W.OPERATOR,
           "the token endpoint refuses our credentials",
           "le serveur de jetons refuse nos identifiants",
           "check token_url, client_id and client_secret",
           "vérifier token_url, client_id et client_secret"),
    Reason("oauth2_key", _A.SETTINGS, _W.OPERATOR,
           "our key cannot sign what the token endpoint asks for",
           "notre clé ne peut signer ce que demande le serveur de jetons",
           "check private_key (a PEM) and algorithm",
           "vérifier private_key (un PEM) et algorithm"),
    Reason("oauth2_unkept", _A.SETTINGS, _W.OPERATOR,
           "the new refresh token cannot be written down",
           "le nouveau jeton de rafraîchissement ne peut être enregistré",
           "let the daemon write in the folder of kept_in",
           "laisser la passerelle écrire dans le dossier de kept_in"),
    Reason("redirected", _A.SETTINGS, _W.OPERATOR,
           "the far end sends the call to another address",
           "le serveur renvoie vers une autre adresse",
           "correct the address in the configuration, or name the status under `success`",
           "mettre dans la configuration l'adresse vers laquelle il renvoie"),
    Reason("private_address", _A.SETTINGS, _W.OPERATOR,
           "the address lies in a private network, which this far end may not be called in",
           "l'adresse est celle d'un réseau privé, où ce serveur ne peut être appelé",
           "if it is meant, write `network: {private: true}` for this GRU, portal or GLC",
           "si c'est voulu, écrire `network: {private: true}` pour cette GRU, ce portail ou GLC"),
    Reason("unknown_teleservice", _A.SETTINGS, _W.OPERATOR,
           "the portal has no such form", "le portail n'a pas ce formulaire",
           "correct the teleservice's name in gateway.yaml",
           "corriger le nom du téléservice dans gateway.yaml"),
    Reason("no_due_field", _A.SETTINGS, _W.OPERATOR,
           "the form has no such field to tell what is due",
           "le formulaire n'a pas le champ qui dit ce qui est dû",
           "have the workflow fill it before its call, or name statuses: `due` in gateway.yaml",
           "le faire remplir par le workflow avant son appel, ou nommer des statuts (`due`)"),
    # --- what the delivery carries ---------------------------------------------------------
    Reason("refused", _A.CONTENT, _W.INTEGRATOR,
           "the far end refused it", "le serveur l'a refusée",
           _REPLAY, _RENVOYER),
    Reason("invalid", _A.CONTENT, _W.INTEGRATOR,
           "the far end finds it invalid", "le serveur la juge invalide",
           _REPLAY, _RENVOYER),
    Reason("too_large", _A.CONTENT, _W.INTEGRATOR,
           "it is larger than is taken", "elle est plus grande que permis",
           _REPLAY, _RENVOYER),
    Reason("file_refused", _A.CONTENT, _W.INTEGRATOR,
           "the far end refused a file", "le serveur a refusé un fichier",
           _REPLAY, _RENVOYER),
    Reason("empty_file", _A.CONTENT, _W.NOBODY,
           "the file has not one byte", "le fichier est vide",
           "ask the citizen for it", "le redemander à l'usager"),
    Reason("unknown_file", _A.CONTENT, _W.PORTAL,
           "the portal no longer has the file", "le portail n'a plus le fichier",
           _REPLAY, _RENVOYER),
    Reason("application_error", _A.CONTENT, _W.PORTAL,
           "the portal answered with an error of its own", "le portail a répondu par une erreur",
           "read its logs, then: outbox replay", "consulter ses journaux, puis renvoyer"),
    # --- the request, as it stands over there ----------------------------------------------
    Reason("conflict", _A.REQUEST, _W.INTEGRATOR,
           "the far end says that it conflicts with what it holds, and has none of ours",
           "le serveur signale un conflit, sans avoir la nôtre",
           _REPLAY, _RENVOYER, parks=True),
    Reason("see_other", _A.REQUEST, _W.INTEGRATOR,
           "the far end answered by sending us to another page, as after a success",
           "le serveur a répondu en renvoyant vers une autre page, comme après un succès",
           "if it means success, name the status under `success`; else correct the address",
           "si c'est un succès, l'écrire sous `success` ; sinon corriger l'adresse"),
    Reason("not_found", _A.REQUEST, _W.OPERATOR,
           "the far end does not know what the call names: address, authority or category",
           "le serveur ne connaît pas ce que l'appel nomme : adresse, autorité ou catégorie",
           "correct the address or the mapping's table of categories",
           "corriger l'adresse, ou la table des catégories du mapping"),
    Reason("unknown", _A.REQUEST, _W.OPERATOR,
           "the far end does not know it", "le serveur ne la connaît pas",
           "look for it in the far end", "la chercher dans la GRU"),
    Reason("unknown_reference", _A.REQUEST, _W.OPERATOR,
           "the far end does not know the request's number",
           "le serveur ne connaît pas le numéro de la demande",
           "look for the request in the far end, then: outbox replay or discard",
           "chercher la demande dans la GRU, puis renvoyer ou abandonner"),
    Reason("number_pending", _A.REQUEST, _W.FAR_END,
           "the far end has not given the request its number yet",
           "le serveur n'a pas encore donné de numéro à la demande",
           "find out why it is late", "chercher pourquoi il tarde"),
    Reason("no_number", _A.REQUEST, _W.INTEGRATOR,
           "the far end answered without a number", "le serveur a répondu sans numéro",
           "compare its answer with the options", "comparer la réponse aux options"),
    Reason("no_reference", _A.REQUEST, _W.INTEGRATOR,
           "the far end answered without its number where the options say",
           "la réponse n'a pas de numéro là où les options le disent",
           "correct create.reference", "corriger create.reference"),
    Reason("processing", _A.REQUEST, _W.PORTAL,
           "the portal runs this request's actions, and takes no other meanwhile",
           "le portail exécute les actions de cette demande, et n'en prend pas d'autre",
           "mostly over within a second. If it lasts, a process of w.c.s. died in them: its hourly"
           " job sets the request free after one to two hours, and it is told then by itself",
           "le plus souvent l'affaire d'une seconde. Si cela dure, un processus de w.c.s. est mort"
           " pendant ces actions : sa tâche horaire libère la demande après une à deux heures, et"
           " l'envoi reprend de lui-même"),
    Reason("not_in_status", _A.REQUEST, _W.PORTAL,
           "the formdata is in a status without this trigger",
           "le formulaire est dans un statut sans ce déclencheur",
           "check the workflow: docs/fr/workflow-publik.md",
           "vérifier le workflow : docs/fr/workflow-publik.md"),
    Reason("unknown_hook", _A.REQUEST, _W.PORTAL,
           "the workflow lacks this global action", "le workflow n'a pas cette action globale",
           "add it: docs/fr/workflow-publik.md", "l'ajouter : docs/fr/workflow-publik.md"),
    Reason("unknown_formdata", _A.REQUEST, _W.PORTAL,
           "the portal no longer has the formdata", "le portail n'a plus ce formulaire",
           "nobody is to be told any more: outbox discard",
           "il n'y a plus personne à prévenir : abandonner l'envoi"),
    Reason("no_proof", _A.REQUEST, _W.PORTAL,
           "the portal does not tell whether its workflow acted upon it",
           "le portail ne dit pas si son workflow y a donné suite",
           "have the workflow's last action note the reports it has carried out (`mark`):"
           " docs/fr/workflow-publik.md",
           "faire noter les retours traités par la dernière action du workflow (`mark`) :"
           " docs/fr/workflow-publik.md"),
    Reason("no_right_on_formdata", _A.REQUEST, _W.PORTAL,
           "the portal's account for us has no role on this formdata",
           "le compte de la passerelle n'a pas de rôle sur ce formulaire",
           "give the API access the form's function that reads and calls it",
           "donner à l'accès API un rôle de la fonction « Passerelle » de ce formulaire"),
    Reason("no_right_on_hook", _A.REQUEST, _W.PORTAL,
           "the portal's account for us may read this formdata, not call its hook",
           "le compte de la passerelle lit ce formulaire sans pouvoir y déclencher l'action",
           "add the account's role or function to the trigger of the global action",
           "ajouter son rôle ou sa fonction au déclencheur de l'action globale"),
    # --- what a GRU tells -------------------------------------------------------------------
    Reason("unknown_status", _A.REQUEST, _W.INTEGRATOR,
           "the GRU gives it a status that the mapping does not know",
           "la GRU lui donne un statut que le mapping ne connaît pas",
           "add it to `statuses` of the mapping: it is told then by itself; or outbox discard",
           "ajouter ce mot aux `statuses` du mapping : l'usager est alors prévenu ; ou abandonner"),
    Reason("out_of_order", _A.REQUEST, _W.OPERATOR,
           "the GRU called with a status dated before the last one",
           "la GRU a envoyé un statut daté d'avant le dernier",
           "look in the GRU which holds: outbox replay tells it, outbox discard does not",
           "regarder dans la GRU lequel vaut : renvoyer pour l'annoncer, ou abandonner"),
    Reason("note_kept_back", _A.REQUEST, _W.INTEGRATOR,
           "the mapping lets no note of the GRU through",
           "le mapping ne laisse passer aucune note de la GRU",
           "see `notes` of the mapping", "voir `notes` du mapping"),
    Reason("too_much_untold", _A.REQUEST, _W.OPERATOR,
           "the GRU tells so much that cannot be told to the citizen that not all of it is kept",
           "la GRU annonce tant de choses qui ne peuvent être dites que tout n'est pas gardé",
           "mend why the rest waits, then look in the GRU; outbox discard, once it is settled",
           "régler ce que le reste attend, regarder dans la GRU, puis abandonner"),
    Reason("unreadable_document", _A.REQUEST, _W.OPERATOR,
           "files that the GRU gives back cannot be read",
           "des fichiers remis par la GRU sont illisibles",
           "have the commune send them to the citizen, then: outbox discard",
           "les faire envoyer à l'usager par la commune, puis abandonner"),
    Reason("virus_found", _A.REQUEST, _W.OPERATOR,
           "the virus scanner found something in a file of the GRU, which was not kept",
           "l'antivirus a reconnu un virus dans un fichier de la GRU, qui n'a pas été gardé",
           "tell the commune, which sends the citizen a clean one, then: outbox discard",
           "prévenir la commune, qui enverra à l'usager un fichier sain, puis abandonner"),
    Reason("dangerous_document", _A.REQUEST, _W.OPERATOR,
           "a file of the GRU is a page or a program under another type, and was not kept",
           "un fichier de la GRU est une page ou un programme sous un autre type, il n'a pas été"
           " gardé",
           "tell the commune, which sends the citizen the true file, then: outbox discard",
           "prévenir la commune, qui enverra à l'usager le vrai fichier, puis abandonner"),
    Reason("not_told_of", _A.REQUEST, _W.GRU,
           "the GRU, asked about it again and again, tells nothing of it",
           "la GRU, interrogée plusieurs fois, n'en dit rien",
           "look whether it was deleted there; if so: outbox discard; it is asked about no more",
           "vérifier si elle y a été supprimée ; si oui, abandonner : elle n'est plus demandée"),
    # --- nobody was called -----------------------------------------------------------------
    Reason("unmappable", _A.UNSENT, _W.INTEGRATOR,
           "the mapping cannot render this request",
           "le mapping ne sait pas rendre cette demande",
           "mend the mapping or its table, then: outbox replay",
           "corriger le mapping ou sa table, puis renvoyer"),
    Reason("unrenderable", _A.UNSENT, _W.INTEGRATOR,
           "the options cannot render this call", "les options ne savent pas rendre cet appel",
           "mend the options, then: outbox replay", "corriger les options, puis renvoyer"),
    Reason("undecodable", _A.UNSENT, _W.OPERATOR,
           "what the database holds of it is damaged", "ce que la base en garde est abîmé",
           "restore it from a backup, then: outbox replay; or discard it",
           "la restaurer d'une sauvegarde, puis renvoyer ; ou abandonner"),
    Reason("not_supported", _A.UNSENT, _W.OPERATOR,
           "this GRU cannot take such an event", "cette GRU ne prend pas un tel événement",
           "tell the commune by hand, then: outbox discard",
           "prévenir la commune à la main, puis abandonner l'envoi"),
    Reason("erase_by_hand", _A.UNSENT, _W.OPERATOR,
           "this GRU cannot erase by itself", "cette GRU ne sait pas effacer d'elle-même",
           "have the commune erase it, then: erasure done",
           "faire effacer par la commune, puis : erasure done"),
    Reason("kept_by_law", _A.REQUEST, _W.GRU,
           "the commune keeps the data, and does not say on which ground",
           "la commune conserve les données, sans dire pour quel motif",
           "ask the commune for it, then: erasure done --answer kept --ground ...",
           "le demander à la commune, puis : erasure done --answer kept --ground ..."),
    Reason("no_route", _A.UNSENT, _W.OPERATOR,
           "no route leads to a GRU", "aucune route ne mène à une GRU",
           "add the route to the commune's file", "ajouter la route au fichier de la commune"),
    Reason("no_address", _A.UNSENT, _W.PORTAL,
           "the request has no address at the portal", "la demande n'a pas d'adresse au portail",
           "nobody can be told by the gateway: outbox discard",
           "personne ne peut être prévenu : abandonner l'envoi"),
    Reason("bad_address", _A.UNSENT, _W.OPERATOR,
           "the address to call is malformed", "l'adresse à appeler est mal écrite",
           "correct the configuration", "corriger l'adresse dans la configuration"),
    Reason("foreign_address", _A.UNSENT, _W.PORTAL,
           "the formdata names an address that is not the portal's own",
           "le formulaire nomme une adresse qui n'est pas celle du portail",
           "correct the portal's base_url in gateway.yaml, or the address the portal gives itself",
           "corriger base_url dans gateway.yaml, ou l'adresse que le portail se donne"),
    Reason("not_its_commune", _A.UNSENT, _W.PORTAL,
           "the portal says that the request is another commune's",
           "le portail dit que la demande est d'une autre commune",
           "see who used the commune's key, then: outbox discard",
           "voir qui s'est servi de la clé de la commune, puis abandonner l'envoi"),
    Reason("bad_trigger", _A.UNSENT, _W.INTEGRATOR,
           "the name of the hook or trigger is malformed", "le nom du déclencheur est mal écrit",
           "correct the mapping's portal calls", "corriger les appels du portail dans le mapping"),
    Reason("attachments_unavailable", _A.UNSENT, _W.OPERATOR,
           "the object store of the attachments does not answer",
           "le stockage des pièces jointes ne répond pas",
           "bring it back; it is tried again by itself",
           "le rétablir ; l'envoi reprend de lui-même"),
    Reason("database_unavailable", _A.UNSENT, _W.OPERATOR,
           "the gateway's own database did not answer",
           "la base de la passerelle n'a pas répondu",
           "bring it back; it is tried again by itself",
           "la rétablir ; l'envoi reprend de lui-même"),
    Reason("no_document_hook", _A.UNSENT, _W.INTEGRATOR,
           "a document this large needs a hook of its own",
           "un document de cette taille demande une action globale à lui",
           "name the workflow's `document_hook` in the mapping: docs/fr/workflow-publik.md",
           "nommer `document_hook` dans le mapping : docs/fr/workflow-publik.md"),
    Reason("no_connection", _A.UNSENT, _W.OPERATOR,
           "this machine has no connection to give: too many files are open",
           "cette machine n'a plus de connexion à donner : trop de fichiers sont ouverts",
           "raise the limit of open files (LimitNOFILE, ulimit -n)",
           "augmenter la limite de fichiers ouverts (LimitNOFILE, ulimit -n)"),
    Reason("no_find", _A.UNSENT, _W.OPERATOR,
           "the far end cannot be asked whether it has it",
           "le serveur ne peut pas dire s'il l'a"),
    # --- ourselves -------------------------------------------------------------------------
    Reason("bug", _A.GATEWAY, _W.INTEGRATOR,
           "the adapter failed with an error of its own",
           "l'adaptateur a échoué par une erreur de sa part",
           _REPLAY, _RENVOYER, busy=True, parks=True),
    Reason("stopped", _A.GATEWAY, _W.NOBODY,
           "the gateway was stopped during the call",
           "la passerelle a été arrêtée pendant l'appel",
           busy=True),
    Reason("owner_died", _A.GATEWAY, _W.NOBODY,
           "the process that was sending it died", "le processus qui l'envoyait est mort",
           busy=True),
    Reason("replayed", _A.GATEWAY, _W.NOBODY,
           "a person had it sent again", "quelqu'un l'a fait renvoyer"),
    Reason("restored", _A.GATEWAY, _W.NOBODY,
           "the database was restored from a backup: it may have been sent since",
           "la base a été restaurée : l'envoi a pu être fait depuis"),
    Reason("person_said_no", _A.GATEWAY, _W.NOBODY,
           "a person said that the far end has not got it",
           "quelqu'un a dit que le serveur ne l'a pas"),
    Reason("person_said_yes", _A.GATEWAY, _W.NOBODY,
           "a person said that the far end has it", "quelqu'un a dit que le serveur l'a"),
    Reason("discarded", _A.GATEWAY, _W.NOBODY,
           "a person had it owed no more", "quelqu'un l'a fait abandonner"),
    Reason("erased", _A.GATEWAY, _W.NOBODY,
           "the person's data were erased", "les données de la personne ont été effacées"),
    Reason("erasure_withdrawn", _A.GATEWAY, _W.NOBODY,
           "the person's account exists after all", "le compte de la personne existe finalement"),
    Reason("decommissioned", _A.GATEWAY, _W.NOBODY,
           "the commune has left the gateway", "la commune a quitté la passerelle"),
    Reason("decommission_waits", _A.GATEWAY, _W.OPERATOR,
           "a commune that leaves waits past its time",
           "une commune sur le départ attend au-delà de son délai",
           "commune decommission INSEE says for what",
           "commune decommission INSEE dit de quoi"),
    Reason("decommission_left", _A.GATEWAY, _W.OPERATOR,
           "something of a commune that leaves is still here",
           "il reste quelque chose d'une commune sur le départ",
           "commune decommission INSEE says what",
           "commune decommission INSEE dit quoi"),
    Reason("accepted", _A.GATEWAY, _W.NOBODY,
           "the far end took it", "le serveur l'a prise"),
    Reason("found", _A.GATEWAY, _W.NOBODY,
           "the far end has it", "le serveur l'a"),
    Reason("clock_doubted", _A.GATEWAY, _W.OPERATOR,
           "what is past its time was not deleted: the last run was more than a week ago, or the"
           " clock was set",
           "ce qui a fait son temps n'a pas été supprimé : le dernier passage date de plus d'une"
           " semaine, ou l'horloge a été changée",
           "look at this machine's clock, then: retention run --after-pause",
           "regarder l'horloge de cette machine, puis : retention run --after-pause"),
    # --- who calls us ----------------------------------------------------------------------
    Reason("unproven", _A.SENDER, _W.GRU,
           "the call does not prove its sender", "l'appel ne prouve pas son auteur",
           "compare the secret at both ends", "comparer le secret des deux côtés"),
)
# fmt: on

_table: dict[str, Reason] = {reason.word: reason for reason in BUILT_IN}


def register(*reasons: Reason) -> None:
    """Add an adapter's own words. Raises ValueError when one has another meaning already."""
    for reason in reasons:
        if _table.setdefault(reason.word, reason) != reason:
            raise ValueError(f"the reason {reason.word!r} has another meaning already")


def of(word: str, about: About = About.CONTENT) -> Reason:
    """Return the row of a word; for an undescribed one, a row with the subject `about`. Such a row
    assumes that the far end may still be at work."""
    found = _table.get(word)
    if found is not None:
        return found
    told = word.replace("_", " ")
    who = Who.FAR_END if about is About.FAR_END else Who.OPERATOR
    return Reason(word, about, who, told, told, busy=True)


#: Reasons of calls that made no connection.
UNCONNECTED = frozenset(reason.word for reason in BUILT_IN if reason.unconnected)

__all__ = ["BUILT_IN", "UNCONNECTED", "About", "Reason", "Who", "of", "register"]
