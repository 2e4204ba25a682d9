"""The reasons that only this adapter uses."""

from __future__ import annotations

from gateway.sdk import About, Reason, Who

# A table: what is so and what to do next, in English and in French.
# fmt: off
REASONS = (
    Reason("login_refused", About.SETTINGS, Who.OPERATOR,
           "the far end refuses the login", "le serveur refuse la connexion",
           "check the login call and its account", "vérifier auth.login et le compte technique"),
    Reason("foreign_link", About.SETTINGS, Who.INTEGRATOR,
           "the next page lies on another host", "la page suivante est sur un autre serveur",
           "correct base_url", "corriger base_url"),
    Reason("no_file_token", About.SETTINGS, Who.INTEGRATOR,
           "the upload's answer has no token where the options say",
           "la réponse au dépôt d'un fichier n'a pas de jeton là où les options le disent",
           "correct files.upload.token", "corriger files.upload.token"),
    Reason("too_many_changes", About.FAR_END, Who.INTEGRATOR,
           "there are more changes than one poll reads",
           "il y a plus de changements qu'une lecture n'en prend",
           "raise max_pages", "augmenter max_pages"),
    Reason("no_list", About.FAR_END, Who.INTEGRATOR,
           "there is no list where the options say",
           "il n'y a pas de liste là où les options le disent",
           "correct the path that is named", "corriger le chemin nommé"),
    Reason("path_found_nothing", About.FAR_END, Who.INTEGRATOR,
           "a path of the options finds nothing in any item",
           "un chemin des options ne trouve rien dans aucun élément",
           "correct the path that is named", "corriger le chemin nommé"),
    Reason("item_too_large", About.FAR_END, Who.INTEGRATOR,
           "an item of the list is larger than an answer may be, and is passed over",
           "un élément de la liste dépasse la taille permise ; il est passé, les autres sont lus",
           "give files an address (`documents.address`), or raise max_answer",
           "donner les fichiers par une adresse (`documents.address`), ou augmenter max_answer"),
    Reason("list_cut", About.FAR_END, Who.INTEGRATOR,
           "the far end gives fewer items than it counts",
           "le serveur donne moins d'éléments qu'il n'en compte",
           "describe its paging", "décrire ses pages (`paging`)"),
)
# fmt: on
