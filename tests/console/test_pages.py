"""Each page in a real browser: at 320 and 1440 px, light and dark, by keyboard, without a fault of
accessibility that axe finds."""

from __future__ import annotations

import pytest

from gateway.core.console import ConsoleRole
from gateway.flow.console import accounts
from gateway.store.console import PersonalAct
from gateway.store.recording import RecordingStore
from tests.console.browser import ServedTown, assert_accessible, tab_to
from tests.console.test_releases import offered
from tests.console.town import BRON, VILLEURBANNE, ConsoleTown, seed_erasures, seed_month

pytestmark = pytest.mark.slow


def test_sign_in(served: ServedTown) -> None:
    with served.page(None) as page:
        page.goto("/console")
        assert page.title().startswith("Connexion à la console")
        assert_accessible(page, "connexion")
        page.fill("#identifiant", "amelie")
        page.fill("#mot_de_passe", "mauvais")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        assert_accessible(page, "connexion-refusee")


def test_choosing_a_password(served: ServedTown) -> None:
    _, link = served.run(add_user(served.town))
    with served.page(None) as page:
        page.goto(f"/console/ouverture?lien={link}")
        for field in ("mot_de_passe", "encore"):
            tab_to(page, field)
            page.keyboard.type("mot de passe d'amelie")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]")
        assert_accessible(page, "mot-de-passe-refuse")
        for field in ("mot_de_passe", "encore"):
            page.fill(f"#{field}", "quatre chevaux agrafent")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console")
        page.goto("/console/compte")
        assert_accessible(page, "compte")


async def add_user(town: ConsoleTown) -> tuple[object, str]:
    now = town.gw.clock[0]
    act = PersonalAct("console.user_added", "essai", "cli", "")
    store = RecordingStore(town.gw.database, act, lambda: now)
    return await accounts.add_user(store, "amelie", ConsoleRole.OPERATOR, [], now)


def test_the_declaration_is_for_everybody(served: ServedTown) -> None:
    with served.page(None) as page:
        page.goto("/console/connexion")
        tab_to(page, "Accessibilité")
        page.keyboard.press("Enter")
        page.wait_for_url("**/accessibilite")
        assert_accessible(page, "accessibilite")


@pytest.mark.parametrize("role", [ConsoleRole.OPERATOR, ConsoleRole.AGENT])
def test_today(served: ServedTown, role: ConsoleRole) -> None:
    communes = [BRON] if role is ConsoleRole.AGENT else []
    with served.page(role, *communes) as page:
        page.goto("/console")
        assert page.locator(".todo li").count() >= 2
        assert ("Villeurbanne" in page.content()) is (role is ConsoleRole.OPERATOR)
        assert_accessible(page, f"aujourdhui-{role}")


def test_commune(served: ServedTown) -> None:
    with served.page(ConsoleRole.OPERATOR) as page:
        page.goto(f"/console/communes/{BRON}")
        assert page.locator("h1").inner_text() == "Bron"
        assert_accessible(page, "commune")


def test_news_come_without_a_reload(served: ServedTown) -> None:
    with served.page(ConsoleRole.OPERATOR) as page:
        page.goto("/console")
        page.evaluate("window.kept = true")
        with page.expect_response(lambda one: one.request.headers.get("hx-request") == "true"):
            page.evaluate("htmx.ajax('GET', '/console', '#vivant')")
        page.wait_for_function("window.kept === true")
        page.focus("#vivant a")
        page.evaluate("document.activeElement.id = 'ici'")
        with page.expect_response(lambda one: one.request.headers.get("hx-request") == "true"):
            page.evaluate("htmx.ajax('GET', '/console', '#vivant').then(() => window.done = true)")
        page.wait_for_function("window.done === true")
        assert page.evaluate("document.activeElement.id") == "ici"  # the keyboard loses no place
        page.goto("/console?fige=1")
        assert page.locator("[hx-get]").count() == 0


def test_an_act_by_keyboard_alone(served: ServedTown) -> None:
    with served.page(ConsoleRole.OPERATOR) as page:
        page.goto(f"/console/communes/{VILLEURBANNE}")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert page.url.endswith("#contenu")
        tab_to(page, "Mettre en pause")
        page.keyboard.press("Enter")
        page.wait_for_url("**/actes/commune.pause**")
        assert_accessible(page, "acte")
        tab_to(page, "motif")
        page.keyboard.type("travaux annoncés")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=status]")
        assert_accessible(page, "acte-fait")
        tab_to(page, "Continuer")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/communes/{VILLEURBANNE}")


@pytest.mark.parametrize(
    ("role", "path", "title"),
    [
        (ConsoleRole.OPERATOR, "/console/rien", "Introuvable"),
        (ConsoleRole.AGENT, f"/console/communes/{VILLEURBANNE}", "Introuvable"),
        (ConsoleRole.AUDITOR, "/console/actes/commune.pause?cible=69029", "Accès refusé"),
    ],
)
def test_failures(served: ServedTown, role: ConsoleRole, path: str, title: str) -> None:
    with served.page(role, BRON) as page:
        page.goto(path)
        assert page.locator("h1").inner_text() == title
        assert_accessible(page, f"erreur-{title}")


@pytest.mark.parametrize("role", [ConsoleRole.OPERATOR, ConsoleRole.AUDITOR])
def test_requests(served: ServedTown, role: ConsoleRole) -> None:
    with served.page(role) as page:
        page.goto("/console/demandes")
        assert page.locator("tbody tr").count() == 4
        assert_accessible(page, f"demandes-{role}")
        page.fill("#numero", "rien-de-tel")
        page.keyboard.press("Enter")
        page.get_by_text("n'a ce numéro").wait_for()
        assert_accessible(page, "demandes-aucune")
        page.goto(f"/console/demandes/{served.town.requests[BRON]}")
        assert_accessible(page, f"demande-{role}")


def test_nobody_sees_values_without_saying_why(served: ServedTown) -> None:
    with served.page(ConsoleRole.AGENT, BRON) as page:
        page.goto(f"/console/demandes/{served.town.requests[BRON]}")
        assert "Un nid de poule" not in page.content()
        tab_to(page, "Voir les valeurs")
        page.keyboard.press("Enter")
        page.wait_for_url("**/actes/request.reveal**")
        page.evaluate("document.querySelector('#motif').removeAttribute('required')")
        page.get_by_role("button", name="Voir les valeurs").click()
        page.wait_for_selector("[role=alert]")
        assert "Un nid de poule" not in page.content()
        assert_accessible(page, "valeurs-sans-motif")
        page.fill("#motif", "le citoyen a appelé")
        page.keyboard.press("Enter")
        page.get_by_text("Un nid de poule").wait_for()
        assert_accessible(page, "valeurs")


def test_a_dead_delivery_is_found_and_replayed_by_keyboard(served: ServedTown) -> None:
    """From the first page to the replay, without a mouse, and back: the walk of an operator."""
    with served.page(ConsoleRole.OPERATOR) as page:
        page.goto("/console")
        tab_to(page, "Corriger le mapping")
        page.keyboard.press("Enter")
        page.wait_for_url("**/a-traiter?motif=unmappable")
        assert_accessible(page, "a-traiter-motif")
        tab_to(page, "c-")
        page.keyboard.press("Space")
        tab_to(page, "Rejouer")
        page.keyboard.press("Enter")
        page.get_by_text("1 sur 1 peut l'être").wait_for()
        tab_to(page, "Rejouer")
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=status]")
        assert "1 sur 1 fait" in page.content()
        page.goto("/console/a-traiter")
        assert_accessible(page, "a-traiter")


def test_incidents(served: ServedTown) -> None:
    with served.page(ConsoleRole.OPERATOR) as page:
        page.goto("/console")
        tab_to(page, "Incidents")
        page.keyboard.press("Enter")
        page.wait_for_url("**/console/incidents")
        assert page.locator("tbody tr").count() == 3
        assert_accessible(page, "incidents")
        page.goto(f"/console/incidents/{served.town.incidents['attack']}")
        assert_accessible(page, "incident-attaque")
        page.goto(f"/console/incidents/{served.town.incidents['shared']}")
        assert_accessible(page, "incident")
        tab_to(page, "Clore")
        page.keyboard.press("Enter")
        page.wait_for_url("**/actes/incident.close**")
        assert_accessible(page, "incident-clore")


def test_journal(served: ServedTown) -> None:
    with served.page(ConsoleRole.AUDITOR) as page:
        page.goto("/console/journal")
        assert page.locator("tbody tr").count() >= 4
        assert_accessible(page, "journal")
        tab_to(page, "Afficher")
        page.goto("/console/journal?qui=rien-de-tel")
        page.get_by_text("Rien pour ces filtres").wait_for()


def test_erasures(served: ServedTown) -> None:
    served.run(seed_erasures(served.town))
    with served.page(ConsoleRole.OPERATOR) as page:
        page.goto("/console/effacements?etat=tous")
        tab_to(page, "Donner mon accord")
        assert_accessible(page, "effacements")
        page.goto("/console/effacements/ERA-3")
        assert_accessible(page, "effacement")


def test_availability_and_announcements(served: ServedTown) -> None:
    served.run(seed_month(served.town))
    with served.page(ConsoleRole.AGENT, BRON) as page:
        page.goto("/console/disponibilite")
        assert_accessible(page, "disponibilite")
        tab_to(page, "Tableur")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "disponibilite-2026-11.csv"
        page.goto("/console/annonces")
        assert_accessible(page, "annonces")
        tab_to(page, "J'ai lu")
        page.keyboard.press("Enter")
        page.wait_for_url("**/actes/announcement.read**")


def test_releases(served: ServedTown) -> None:
    served.run(offered(served.town))
    with served.page(ConsoleRole.AGENT, BRON) as page:
        page.goto("/console/mises-en-service")
        assert_accessible(page, "mises-en-service")
        page.get_by_role("link", name="Bron").press("Enter")
        page.wait_for_url(f"**/mises-en-service/{BRON}")
        assert_accessible(page, "mises-en-service-commune")
        tab_to(page, "Donner l'accord")
