"""The communes of the Métropole de Lyon by their code (Insee, code officiel géographique, 2024).

Oullins and Pierre-Bénite are one commune since 1 January 2024. Lyon's arrondissements have codes of
their own, which mean Lyon.
"""

from __future__ import annotations

from typing import Final

LYON: Final = "69123"
ARRONDISSEMENTS: Final = frozenset(f"6938{n}" for n in range(1, 10))

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


def doubt(code: str, name: str) -> tuple[str, str] | None:
    """What is odd about a commune's code under this name, and what to do; None: nothing is."""
    if code in ARRONDISSEMENTS:
        what = f"{code} is an arrondissement of Lyon, whose own code is {LYON}"
        return what, f"write {LYON}, and the arrondissements under `codes`"
    meant = next((c for c, n in COMMUNES.items() if n.casefold() == name.casefold()), None)
    known = COMMUNES.get(code)
    if known is None:
        remedy = "look it up in Insee's code officiel géographique" if meant is None else ""
        what = f"{code} is no commune of the Métropole de Lyon"
        return what, remedy or f"{name} is {meant}"
    if meant is not None and meant != code:
        return f"{code} is {known}, not {name}", f"{name} is {meant}"
    return None
