"""The steps of a live run: their names, and what came of them."""

from __future__ import annotations

from gateway.core.messages import Messages, Text

# A table: the word, what is so and what to do in English, the same in French.
# fmt: off
say = Messages(
    # --- steps -----------------------------------------------------------------------------
    Text("gru_access", "access to the GRU", "", "accès à la GRU", ""),
    Text("portal_access", "access to the test portal", "", "accès au portail de test", ""),
    Text("portal_request", "request of the test portal", "", "demande du portail de test", ""),
    Text("creation", "creation in the GRU", "", "création dans la GRU", ""),
    Text("files", "attachments of the creation", "", "pièces jointes de la création", ""),
    Text("sent_back", "return \"transmitted\" to the portal", "",
         "retour « transmise » vers le portail", ""),
    Text("find", "search by our reference", "", "recherche par notre référence", ""),
    Text("message", "message of the citizen", "", "message de l'usager", ""),
    Text("document", "document of the citizen", "", "document de l'usager", ""),
    Text("called", "return by a call of the GRU", "", "retour par un appel de la GRU", ""),
    Text("status", "return of a status to the portal", "", "retour d'un état vers le portail", ""),
    Text("tidy_portal", "tidying up the portal", "", "remise en ordre du portail", ""),
    Text("tidy", "tidying up", "", "remise en ordre", ""),
    Text("tidy_cancelled", "tidying up: cancellation", "", "remise en ordre : annulation", ""),
    # --- what came of them -----------------------------------------------------------------
    Text("no_request_of", "no request {slug} of {commune}: make one at this portal", "",
         "aucune demande « {slug} » de {commune} : en créer une sur ce portail", ""),
    Text("requests", "{count} requests", "", "{count} demandes", ""),
    Text("takes_none", "this GRU takes none", "", "cette GRU n'en prend pas", ""),
    Text("sends_no_file", "the mapping sends no file of this request", "",
         "la correspondance n'envoie aucun fichier de cette demande", ""),
    Text("nothing_to_send", "the gateway has nothing to send", "",
         "la passerelle n'a rien à envoyer", ""),
    Text("numbered", "{id}, the GRU's number: {number}", "",
         "{id}, numéro de la GRU : {number}", ""),
    Text("no_number", "none", "", "aucun", ""),
    Text("not_through", "{status}: {why}", "", "{status} : {why}", ""),
    Text("not_asked", "this GRU cannot be asked", "", "cette GRU ne peut pas être interrogée", ""),
    Text("calls_not", "this GRU does not call us", "", "cette GRU ne nous appelle pas", ""),
    Text("try_listen", "to be tried with --listen ADDRESS:PORT and --wait; it will call {path}", "",
         "à essayer avec --listen ADRESSE:PORT et --wait ; elle appellera {path}", ""),
    Text("have_it_call", "have the GRU call {url}, then change the status of request {number}"
         " there", "",
         "faire appeler {url} par la GRU, puis y changer l'état de la demande {number}", ""),
    Text("no_call", "no call came to {url} within {seconds} s", "",
         "aucun appel reçu à {url} en {seconds} s", ""),
    Text("not_polled", "this GRU is not polled", "", "cette GRU n'est pas relevée", ""),
    Text("change_status", "change the status of request {number} in the GRU", "",
         "changer dans la GRU l'état de la demande {number}", ""),
    Text("said_nothing", "the GRU said nothing; change the request's status there, with --wait", "",
         "la GRU n'a rien dit ; y changer l'état de la demande, avec --wait", ""),
    Text("keeps_trial", "request {ref} keeps status and number of this trial: close or delete it"
         " ({where})", "",
         "la demande {ref} garde l'état et le numéro de cet essai : la clore ou la supprimer"
         " ({where})", ""),
    Text("erased", "the citizen's data are erased in the GRU", "",
         "données de l'usager effacées dans la GRU", ""),
    Text("anonymised_there", "the citizen's data are anonymised in the GRU", "",
         "données de l'usager anonymisées dans la GRU", ""),
    Text("kept_there", "the GRU keeps the citizen's data: {ground}", "",
         "la GRU conserve les données de l'usager : {ground}", ""),
    Text("absent_there", "the GRU says that it has nothing of this request, which it took", "",
         "la GRU dit ne rien avoir de cette demande, qu'elle a prise", ""),
    Text("delete_by_hand", "delete it by hand in the GRU: {number}", "",
         "supprimer à la main dans la GRU : {number}", ""),
    Text("that", "{what}", "", "{what}", ""),
)
# fmt: on
