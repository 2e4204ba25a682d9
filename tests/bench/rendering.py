"""The mapping of one request: what it costs beside the same payload written by hand."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.mapping_files import mapping_of
from gateway.core.render import Rendered, render
from tests.bench.bundle import ROOT
from tests.bench.figure import Figure, bounded, rounds

#: Microseconds for the anomaly's form.
AIM = 100.0
_SLUG = "signalement-anomalie"
_CODES = {
    "depot-sauvage": "DS01",
    "proprete": "PR01",
    "voirie": "VO01",
    "eclairage": "EC01",
    "espaces-verts": "EV01",
    "mobilier-urbain": "MU01",
    "stationnement": "ST01",
}
_TAG = re.compile(r"<[a-zA-Z/][^>]*>")


def document() -> dict[str, Any]:
    """Return the sample of the form as a mapping reads it."""
    text = (ROOT / "tests/samples" / f"{_SLUG}.json").read_text("utf-8")
    data = json.loads(text)
    return {
        "id": "TDG-01JD3M7W2K9XQ4ZB",
        "number": data["display_id"],
        "channel": "web",
        "submitted_at": "2026-03-12T07:41:07Z",
        "event": {"key": "creation", "kind": "creation", "message": None},
        "user": {"name": data["user"]["name"], "email": data["user"]["email"], "uuid": None},
        "fields": data["fields"],
        "location": data["fields"]["localisation"],
        "attachments": [{"field": "photo", "filename": "photo.png"}],
    }


def by_hand(request: dict[str, Any]) -> dict[str, Any]:
    """Make what `open311.yaml` makes of the form, without a mapping."""
    fields, place = request["fields"], request["location"]
    text = "\n".join(one for one in (fields["description"], fields["precisions"]) if one)
    if _TAG.search(text):
        text = html.unescape(_TAG.sub("", text))
    number_street = " ".join(
        one for one in (fields["adresse_numero"], fields["adresse_voie"]) if one
    )
    town = " ".join(one for one in (fields["adresse_code_postal"], fields["adresse_ville"]) if one)
    made = {
        "service_code": _CODES.get(fields["categorie_raw"], "DIVERS"),
        "lat": place["lat"],
        "long": place["lon"],
        "address_string": ", ".join(one for one in (number_street, town) if one),
        "description": text[:4000],
        "attributes": {
            "toodego_ref": request["id"],
            "toodego_numero": request["number"],
            "date_constat": fields["date_constat"],
            "complements": fields["complements_raw"],
            "volume_m3": fields["volume_m3"],
        },
    }
    if fields["accepte_contact"]:
        made["email"] = request["user"]["email"]
        made["last_name"] = request["user"]["name"]
        made["phone"] = fields["telephone"]
    return made


def rendering(quick: bool) -> list[Figure]:
    """Return the cost of a creation by each mapping of the form that ships for these two."""
    request = document()
    bundle = read_bundle(None, ROOT / "mappings")
    found = []
    for name in ("open311", "rest"):
        mapping = mapping_of(bundle, f"mappings/{_SLUG}/{name}.yaml")
        made = render(mapping, request)
        if not isinstance(made, Rendered) or (
            name == "open311" and made.payload != by_hand(request)
        ):
            raise ValueError(f"{name} makes another payload than the reference")

        value, reference = rounds(
            3 if quick else 15,
            partial(_microseconds, partial(render, mapping, request), quick),
            partial(_microseconds, partial(by_hand, request), quick),
        )
        found.append(
            bounded(
                f"mapping of an anomaly, {name}.yaml",
                value,
                "µs",
                "a payload of that form by hand in Python",
                reference,
                AIM,
            )
        )
    return found


def _microseconds(call: Callable[[], object], quick: bool) -> float:
    turns = 200 if quick else 1_000
    began = time.process_time()
    for _ in range(turns):
        call()
    return (time.process_time() - began) / turns * 1e6
