"""Citizens' forms for the demo: complete formdata of invented people, which a seed varies."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

ANOMALY = "signalement-anomalie"
SCHOOL = "inscription-scolaire"
#: The GLC account that is deleted in the end.
ZOE = "b1a7c0de00000000000000000000feed"
#: The GLC account of the samples' citizen.
SUBMITTER = "c0ffee00000000000000000000001234"
#: Other people with an account.
NEIGHBOURS = 8

_CATEGORIES = (
    ("depot-sauvage", "Propreté - dépôt sauvage", "Un canapé et des gravats sur le trottoir."),
    ("voirie", "Voirie - nid-de-poule", "Un trou dans la chaussée, dangereux pour les vélos."),
    ("eclairage", "Éclairage public", "Deux lampadaires éteints depuis une semaine."),
)
_STREETS = ("Rue de l’Invention", "Avenue Fictive", "Place du Modèle", "Impasse de l’Exemple")


def neighbour(n: int) -> str:
    """Return the GLC account of one of the others."""
    return f"b1a7c0de0000000000000000ca{n:06x}"


def sample(name: str) -> dict[str, Any]:
    """Return a formdata as w.c.s. pushes it, with its files."""
    text = files("gateway.demo").joinpath("data", f"{name}.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def anomaly(base: Mapping[str, Any], dice: random.Random, *, photo: bool) -> dict[str, Any]:
    """Make another report of damage in the street."""
    made = copy.deepcopy(dict(base))
    fields = made["fields"]
    category, label, text = dice.choice(_CATEGORIES)
    fields["categorie"], fields["categorie_raw"] = label, category
    fields["description"] = text
    fields["adresse_numero"] = str(dice.randrange(1, 120))
    fields["adresse_voie"] = dice.choice(_STREETS)
    if not photo:
        fields["photo"] = None
    return made


def registration(base: Mapping[str, Any], dice: random.Random) -> dict[str, Any]:
    """Make another school registration, with the family's files."""
    made = copy.deepcopy(dict(base))
    made["fields"]["adresse_numero"] = str(dice.randrange(1, 120))
    return made
