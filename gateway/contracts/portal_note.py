"""The note for the portal's designer when a commune is added, in French as its pages are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from gateway.catalogue.catalogue import Catalogue, Commune
from gateway.catalogue.relays import variable_of


def portal_note(catalogue: Catalogue, commune: Commune, key_files: Sequence[str]) -> str:
    """Return what the portal's designer has to do in w.c.s. for this commune. No secret is in it:
    `key_files` name the files that hold them."""
    return "\n".join(_lines(catalogue, commune, key_files)) + "\n"


def _lines(catalogue: Catalogue, commune: Commune, key_files: Sequence[str]) -> Iterator[str]:
    base = catalogue.settings.public_url.rstrip("/")
    portal = catalogue.portals[commune.portal]
    yield f"Pour l'administrateur du portail {portal.name} ({portal.base_url}) : {commune.name}"
    variable = variable_of(commune)
    if variable is not None:
        where = ", ".join(key_files) or "le fichier de la commune"
        yield f"1. Variable de site {variable} : sa valeur est celle de {where}"
        yield "   (à remettre par une voie sûre ; dans w.c.s. : [variables] de site-options.cfg)."
    else:
        host = urlsplit(base).hostname or ""
        yield f"1. Aucune clé propre : le serveur signe, par [wscall-secrets] pour {host}."
    for slug in sorted(commune.routes):
        form = portal.teleservices[slug]
        field = form.commune_path
        yield f"2. Démarche {slug} :"
        if field is None:
            yield "   - aucun champ de commune n'est lu : tout le formulaire va à une commune ;"
        else:
            code = f"{commune.name}, code {commune.insee}"
            yield f"   - le champ de la commune ({field.text}) propose {code} ;"
        yield f"   - récrire le workflow : gru-gateway portal workflow {slug} --out publik,"
        yield "     l'importer, le choisir sur la page du formulaire, rejouer les tests ;"
        address = f"{base}/portal/v1/communes/{commune.insee}/teleservices/{slug}/requests"
        yield f"   - adresse d'envoi, que ce workflow porte : {address}"
    yield "3. Sur le portail de test, envoyer une demande et suivre la section 7 de"
    yield "   docs/fr/workflow-publik.md avant d'ouvrir aux usagers."
