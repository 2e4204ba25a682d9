"""Every promise of an adapter, kept by a SOAP service: it answers as npm's `soap` was seen to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import respx

from adapters.soap import SoapAdapter
from gateway.sdk.conformance import REFERENCE, AdapterConformance, ToldEntry
from tests.adapters.soap_service import ADDRESS, SoapService, element, operation_of, options


class TestDemandes(AdapterConformance):
    adapter_class = SoapAdapter
    secrets = ("mot-de-passe-de-test",)
    personal = ("Zoé Fictive-Exemple",)
    gru_reference = "4711"

    def options(self) -> dict[str, Any]:
        return options()

    def payload(self) -> Mapping[str, Any]:
        return {
            "objet": "Nid de poule",
            "description": "Devant le n° 12",
            "usager": {"nom": "Zoé Fictive-Exemple"},
        }

    def only_reads(self, request: httpx.Request) -> bool:
        name = operation_of(request) or ""
        return name == "version" or name.startswith(("chercher", "lister"))

    def far_end_accepts(self, router: respx.MockRouter) -> None:
        self._answer(
            router,
            creerDemande=element("numero", "4711"),
            ajouterNote=element("identifiant", "n1"),
        )

    def far_end_well(self, router: respx.MockRouter) -> None:
        self._answer(router, version=element("version", "3.1"), chercherDemande="")

    def far_end_holds(self, router: respx.MockRouter) -> None:
        held = _demande(etat="nouvelle")
        self._answer(router, chercherDemande=element("demandes", held))

    def far_end_holds_nothing(self, router: respx.MockRouter) -> None:
        self._answer(router, chercherDemande="", chercherNote="")

    def far_end_tells(self, router: respx.MockRouter, told: Sequence[ToldEntry]) -> None:
        notes = [
            element(
                "note",
                element("identifiant", one.key),
                element("cle", one.key) if one.by_us else "",
                element("texte", one.message, text=True),
                element("interne", "false" if one.public else "true"),
                element("ecriteLe", one.at.isoformat()),
            )
            for one in told
            if one.message is not None
        ]
        status = next((one.status for one in told if one.status is not None), "nouvelle")
        held = _demande(status, max(one.at for one in told).isoformat(), *notes)
        self._answer(router, listerModifications=element("demandes", held))

    def far_end_erases(self, router: respx.MockRouter) -> None:
        self._answer(router, effacerUsager=element("efface", "true"))

    def far_end_erased(self, router: respx.MockRouter) -> None:
        self._answer(router, effacerUsager=("Sender", "DemandeInconnue"))

    def _answer(self, router: respx.MockRouter, **answers: Any) -> None:
        router.post(ADDRESS).mock(side_effect=SoapService(answers).answer)


def _demande(etat: str, at: str = "2026-03-16T09:30:00.000Z", *notes: str) -> str:
    return element(
        "demande",
        element("numero", "4711"),
        element("reference", REFERENCE),
        element("etat", etat, text=True),
        element("modifieeLe", at),
        element("notes", *notes) if notes else "",
    )
