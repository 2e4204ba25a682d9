"""What the daemon will need of a portal's form, tried before the first request.

A list that can be read says little: any access that the portal knows may list a form. So one
formdata is read, and looked at for the right to call the hooks that the mappings name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.catalogue.catalogue import Catalogue, Route, Teleservice
from gateway.contracts.drift import (
    CARDS,
    Drift,
    DriftKind,
    field_names,
    find_drift,
    find_unwatched,
    read_schema,
    routes_of,
    seen_of,
)
from gateway.contracts.in_service import differing
from gateway.core import reasons
from gateway.core.outcome import Accepted, Misconfigured, Outcome
from gateway.core.request import Json
from gateway.wire.formdata_state import FormdataState, hook_action
from gateway.wire.portal import Page, PortalClient

_GUIDE = "docs/fr/workflow-publik.md"
_CARDS_RIGHT = (
    "donner au rôle de l'accès API la fonction « Visualisateur » de ce modèle de fiches, ses choix"
    " seront alors suivis"
)
#: What forms call the field that tells the commune.
_COMMUNE = frozenset({"commune", "code_commune", "commune_insee", "code_insee", "insee"})
#: What does not stop a report from being told, and deserves a look.
_MILD = frozenset({DriftKind.MISSING_MARK, DriftKind.MISSING_FIELD})


@dataclass(frozen=True, slots=True)
class Noted:
    """One thing that was tried: how it is, and what to do about it."""

    level: Literal["ok", "warning", "fault"]
    what: str
    remedy: str = ""


async def check_form(
    client: PortalClient, catalogue: Catalogue, portal: str, slug: str
) -> list[Noted]:
    """Try what is needed of one form: its list, one formdata, the hooks, the schema. Reads only."""
    page = await client.listing(slug, None, 0, 1)
    if not isinstance(page, Page):
        return [_fault(slug, page)]
    routes = routes_of(catalogue, portal, slug)
    noted = [Noted("ok", f"notre signature lit la liste de {slug}")]
    schema = await read_schema(client, slug)
    if not isinstance(schema, dict):
        return [*noted, _fault(f"{slug} : son schéma", schema)]
    drift = find_drift(catalogue, portal, slug, routes, None, schema)
    lacking = {one.what for one in drift if one.kind is DriftKind.MISSING_HOOK}
    hooks = [hook for hook in _hooks(routes) if hook not in lacking]
    noted += await _one_formdata(client, slug, page, hooks)
    noted += [_drifted(slug, one) for one in drift]
    for list_ in find_unwatched(routes, schema):
        what = (
            f"{slug} : les choix de `{list_.field}` viennent de la source `{list_.source}`, que le"
            " portail ne montre pas : un nouveau se découvre quand un usager le prend"
        )
        remedy = "donner un `default` à la table de la correspondance"
        if list_.source.startswith(CARDS):
            remedy = f"{_CARDS_RIGHT} ; sinon, {remedy}"
        noted.append(Noted("warning", what, remedy))
    noted += _for_whom(catalogue.portals[portal].teleservices[slug], schema)
    noted += _in_service(catalogue, portal, slug, schema)
    noted.append(await _due(client, catalogue.portals[portal].teleservices[slug]))
    return noted


def _for_whom(teleservice: Teleservice, schema: Mapping[str, Json]) -> list[Noted]:
    """A form that tells its commune, which nobody reads: all of it would go to the address's."""
    if teleservice.commune_path is not None:
        return []
    named = sorted(_COMMUNE & {*field_names(schema)})
    what = (
        f"{teleservice.slug} : le formulaire a un champ `{{}}`, que la passerelle ne lit pas : ce"
        " qui est rempli pour une autre commune part à celle de l'adresse appelée"
    )
    remedy = "`commune: fields.{}_raw` sous la démarche (gateway.yaml), puis refaire le workflow"
    return [Noted("fault", what.format(name), remedy.format(name)) for name in named]


def _in_service(
    catalogue: Catalogue, portal: str, slug: str, schema: Mapping[str, Json]
) -> list[Noted]:
    differs = differing(catalogue, portal, slug, *seen_of(schema))
    if differs is None:
        return []
    if not differs:
        return [Noted("ok", f"{slug} : le workflow en service est celui que nous écrivons")]
    told = f"{slug} : le workflow en service n'est pas celui que nous écririons : {differs}"
    remedy = f"gru-gateway portal workflow {slug}, puis remplacer celui en service ({_GUIDE})"
    return [Noted("warning", told, remedy)]


async def _due(client: PortalClient, teleservice: Teleservice) -> Noted:
    """Can it be told which of a form's requests are the communes'?"""
    slug, due = teleservice.slug, teleservice.due
    off = f"{slug} : un envoi perdu n'est pas recherché"
    if teleservice.reconcile is None:
        return Noted("warning", off, "régler `reconcile`, sauf si c'est voulu")
    if not due:
        remedy = (
            "nommer dans `due` le champ ou les statuts par lesquels le workflow dit ce qui est dû"
        )
        return Noted("warning", off, remedy)
    if due.field is None:
        return Noted(
            "ok", f"{slug} : est dû ce qui est passé par {', '.join(sorted(due.statuses))}"
        )
    page = await client.due(slug, due.field, limit=1)
    if isinstance(page, Page):
        return Noted("ok", f"{slug} : est dû ce qui a un {due.field}")
    if isinstance(page, Misconfigured) and page.reason == "no_due_field":
        remedy = (
            f"le faire remplir par le workflow juste avant son appel ({_GUIDE}), ou changer `due`"
        )
        return Noted("warning", f"{off} : le formulaire n'a pas de champ {due.field}", remedy)
    return _fault(f"{slug} : ce qui est dû", page)


async def _one_formdata(
    client: PortalClient, slug: str, page: Page, hooks: list[str]
) -> list[Noted]:
    refs = [str(row["id"]) for row in page.rows if "id" in row]
    if not refs:
        what = f"{slug} : pas encore de demande ; la lire et appeler ses actions n'a pu être essayé"
        return [Noted("warning", what, "en déposer une sur le formulaire, puis recommencer")]
    state = await client.state(client.api_url(slug, refs[0]))
    if not isinstance(state, FormdataState):
        return [_fault(f"{slug}, demande {refs[0]}", state)]
    noted = []
    for hook in hooks:
        if hook_action(hook) in state.actions:
            noted.append(Noted("ok", f"{slug} : notre compte peut appeler l'action {hook}"))
            continue
        remedy = f"ajouter notre fonction au déclencheur de l'action : {_GUIDE}"
        noted.append(
            Noted("fault", f"{slug} : notre compte ne peut pas appeler l'action {hook}", remedy)
        )
    return noted


def _drifted(slug: str, one: Drift) -> Noted:
    places = ", ".join(f"{place.file}:{place.line}" for place in one.places)
    level: Literal["warning", "fault"] = "warning" if one.kind in _MILD else "fault"
    what = f"{slug} : {one.kind.value} `{one.what}` : {one.detail}"
    return Noted(level, what, f"corriger le workflow ({_GUIDE}) ou {places}")


def _hooks(routes: list[Route]) -> Iterator[str]:
    """The global actions that these routes' mappings call, each once."""
    names: dict[str, None] = {}
    for route in routes:
        told = route.mapping.portal
        hooks = [name for kind, name in told.triggers.values() if kind == "hook"]
        names |= dict.fromkeys(name for name in (told.hook, told.document_hook, *hooks) if name)
    yield from names


def _fault(what: str, failure: Outcome) -> Noted:
    if isinstance(failure, Accepted):  # of a call that was to give something
        return Noted("fault", f"{what} : la réponse est illisible", "vérifier base_url")
    if failure.reason == "access_denied":
        told = f"{what} : le portail refuse nos identifiants ({failure.detail})"
        return Noted("fault", told, "vérifier orig et key, ou basic, dans gateway.yaml")
    reason = reasons.of(failure.reason)
    detail = f" ({failure.detail})" if failure.detail else ""
    return Noted("fault", f"{what} : {reason.fr}{detail}", reason.faire or "vérifier base_url")


__all__ = ["Noted", "check_form"]
