"""The communes of the Métropole de Lyon, and of France, by their code.

`communes.tsv.gz` is Insee's code officiel géographique of 2026: each commune, and each delegated or
associated commune and municipal arrondissement with the code of its own commune. Source: Insee, as
published by Etalab (@etalab/decoupage-administratif 6.0.0); Licence Ouverte 2.0. It is renewed by
`tests/supply/cog.py`.
"""

from __future__ import annotations

import gzip
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Final

from gateway.catalogue.texts import say
from gateway.core.canary import is_canary
from gateway.core.errors import NotFound
from gateway.core.messages import Message

DATA: Final = Path(__file__).with_name("communes.tsv.gz")
YEAR: Final = 2026
LYON: Final = "69123"
#: Those of the Métropole: they need no list of France.
# fmt: off
COMMUNES: Final = {
    "69003": "Albigny-sur-Saône", "69029": "Bron", "69033": "Cailloux-sur-Fontaines",
    "69034": "Caluire-et-Cuire", "69040": "Champagne-au-Mont-d'Or",
    "69044": "Charbonnières-les-Bains", "69046": "Charly", "69063": "Collonges-au-Mont-d'Or",
    "69068": "Couzon-au-Mont-d'Or", "69069": "Craponne", "69071": "Curis-au-Mont-d'Or",
    "69072": "Dardilly", "69081": "Écully", "69085": "Fleurieu-sur-Saône",
    "69087": "Fontaines-Saint-Martin", "69088": "Fontaines-sur-Saône", "69089": "Francheville",
    "69091": "Givors", "69096": "Grigny-sur-Rhône", "69100": "Irigny", "69116": "Limonest",
    "69117": "Lissieu", LYON: "Lyon", "69127": "Marcy-l'Étoile",
    "69142": "La Mulatière", "69143": "Neuville-sur-Saône",
    "69149": "Oullins-Pierre-Bénite", "69153": "Poleymieux-au-Mont-d'Or", "69163": "Quincieux",
    "69168": "Rochetaillée-sur-Saône", "69191": "Saint-Cyr-au-Mont-d'Or",
    "69194": "Saint-Didier-au-Mont-d'Or", "69199": "Saint-Fons", "69202": "Sainte-Foy-lès-Lyon",
    "69204": "Saint-Genis-Laval", "69205": "Saint-Genis-les-Ollières",
    "69207": "Saint-Germain-au-Mont-d'Or", "69233": "Saint-Romain-au-Mont-d'Or",
    "69244": "Tassin-la-Demi-Lune", "69250": "La Tour-de-Salvagny", "69256": "Vaulx-en-Velin",
    "69259": "Vénissieux", "69260": "Vernaison", "69266": "Villeurbanne", "69271": "Chassieu",
    "69273": "Corbas", "69275": "Décines-Charpieu", "69276": "Feyzin", "69278": "Genay",
    "69279": "Jonage", "69282": "Meyzieu", "69283": "Mions", "69284": "Montanay",
    "69286": "Rillieux-la-Pape", "69290": "Saint-Priest", "69292": "Sathonay-Camp",
    "69293": "Sathonay-Village", "69296": "Solaize",
}
# fmt: on


#: So many of the communes that there are get named.
NAMED: Final = 10


def unknown_communes(codes: Sequence[str], known: Mapping[str, object]) -> NotFound:
    """Return the error for codes of communes that nobody is connected under, with those that are
    next to them, by code or by name; else with some of those that there are. `known`: by code,
    their names where these are at hand."""
    names = {code: name if isinstance(name, str) else "" for code, name in known.items()}
    names |= {code: COMMUNES.get(code, "") for code, name in names.items() if not name}
    by_word = {_plain(name): code for code, name in names.items() if name}
    by_word |= {code.lower(): code for code in names}
    near = [
        by_word[word]
        for code in codes
        for word in get_close_matches(_plain(code), by_word, n=3, cutoff=0.6)
    ]
    chosen = [*dict.fromkeys(near)] or sorted(names)[:NAMED]
    told = tuple(f"{code} {names[code]}".strip() for code in chosen)
    given = {"codes": tuple(codes), "known": told}
    if near:
        return NotFound(say("unknown_commune_near", **given))
    if not names:
        return NotFound(say("unknown_commune_none", codes=tuple(codes)))
    more = len(names) - len(chosen)
    if more:
        return NotFound(say("unknown_commune_more", **given, more=more))
    return NotFound(say("unknown_commune", **given))


@cache
def france() -> Mapping[str, tuple[str, str]]:
    """Return each code's name, and the code of the commune that it is part of, or nothing."""
    found = {}
    for line in gzip.decompress(DATA.read_bytes()).decode().splitlines():
        code, name, *of = line.split("\t")
        found[code] = (name, of[0] if of else "")
    return found


def code_doubt(code: str, name: str) -> Message | None:
    """Return what is odd about a commune's code under this name; None when nothing is."""
    if is_canary(code):
        return None
    if code in COMMUNES and _alike(COMMUNES[code], name):
        return None
    cure = _named(name)
    if code not in france():
        return say("no_such_insee", code=code, year=YEAR, cure=cure or say("look_it_up"))
    official, of = france()[code]
    if of:
        whole = france()[of][0]
        word = "arrondissement" if "Arrondissement" in official else "former_commune"
        return say(word, code=code, name=official, of=whole, own=of)
    if not _alike(official, name):
        return say(
            "other_commune", code=code, official=official, name=name, cure=cure or say("check_name")
        )
    return None if code in COMMUNES else say("outside", code=code, official=official)


def _named(name: str) -> Message | None:
    """Find the code of this name: the Métropole's, or France's if only one commune has it."""
    plain = _plain(name)
    found = [code for code, one in COMMUNES.items() if _plain(one) == plain]
    found = found or [c for c, (one, of) in france().items() if not of and _plain(one) == plain]
    return say("is_code", name=name, code=found[0]) if len(found) == 1 else None


def _alike(official: str, name: str) -> bool:
    """Is the name the commune's in other words: `Mairie de Bron`, `Ville de Lyon`, `Oullins`?"""
    one, other = f" {_plain(official)} ", f" {_plain(name)} "
    return one in other or other in one


@cache
def _plain(name: str) -> str:
    bare = unicodedata.normalize("NFD", name.casefold().replace("œ", "oe"))
    letters = (c if c.isalnum() else " " for c in bare if not unicodedata.combining(c))
    return " ".join("".join(letters).split())
