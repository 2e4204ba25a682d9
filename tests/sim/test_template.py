"""The templates and conditions of a workflow, as designers write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gateway.sim.template import WcsExpression, WcsTemplate

VALUES: dict[str, Any] = {
    "a": "oui",
    "vide": "",
    "nombre": "3",
    "liste": "e1 e2",
    "texte": "Bonjour <b>\nAdieu",
    "fichier": {"filename": "avis.pdf", "content_type": "application/pdf"},
    "now": datetime(2026, 3, 12, 9, 5, 7, tzinfo=timezone(timedelta(hours=1))),
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("a", True),
        ("not a", False),
        ("vide or a", True),
        ("vide and a", False),
        ("not vide and not rien", True),
        ('a == "oui"', True),
        ("a != 'oui'", False),
        ('"e2" in liste', True),
        ('"e3" not in liste', True),
        ('a not in liste|default:""', True),
        ('a not in rien|default:""', True),
        ("a in rien", False),
        ("a not in rien", False),
        ("nombre|length == 1", True),
        ("a == 3 or nombre > 4", False),
        ("not a or vide", False),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    assert bool(WcsExpression(condition)(VALUES.get)) is holds


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("du texte", "du texte"),
        ("{{ a }}-{{ rien }}-{{ nombre }}", "oui--3"),
        ("{{ rien|default:0|add:1 }}", "1"),
        ("{{ nombre|default:0|add:1 }}", "4"),
        ("{{ a|add:liste }}", "ouie1 e2"),
        ("{{ texte|force_escape|linebreaksbr }}", "Bonjour &lt;b&gt;<br>Adieu"),
        ("{{ now|date:'Y-m-d' }}T{{ now|date:'H:i:sO' }}", "2026-03-12T09:05:07+0100"),
        ("{{ now|date:'c' }}", "2026-03-12T09:05:07"),
        ('{% if a == "non" %}1{% elif vide %}2{% else %}{{ a }}{% endif %}.', "oui."),
        ("{% if vide %}rien{% endif %}", ""),
        ("{% if a %}{% if vide %}1{% else %}2{% endif %}{% endif %}", "2"),
    ],
)
def test_templates(template: str, text: str) -> None:
    assert WcsTemplate(template)(VALUES.get) == text


def test_a_template_that_is_one_value_keeps_its_kind() -> None:
    file = WcsTemplate("{{ fichier|rename_file:a }}").value(VALUES.get)
    assert file == {"filename": "oui", "content_type": "application/pdf"}
    assert WcsTemplate("{{ rien }}").value(VALUES.get) is None
    assert WcsTemplate("{{ rien }} ").value(VALUES.get) == " "
    assert WcsTemplate("{{ now }}").value(VALUES.get).astimezone(UTC).hour == 8


@pytest.mark.parametrize(
    "text",
    [
        "{{ a|inconnu }}",
        "{{ a b }}",
        "{{ }}",
        "{{ a == }}",
        "{% for x in a %}{% endfor %}",
        "{% if a %}sans fin",
        "{% endif %}",
        "{{ a ? b }}",
    ],
)
def test_what_this_language_does_not_have_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        WcsTemplate(text)
