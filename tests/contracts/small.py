"""A small mapping with its cases, as a bundle, one change away from what a test needs."""

from __future__ import annotations

import json

MAPPING = "mappings/voirie/rest.yaml"
FOLDER = "mappings/voirie/rest.cases/"
KEY = "voirie/rest"

MAPPING_TEXT = """\
mapping: 1
teleservice: voirie
adapter: rest
version: 3
tables:
  natures: {entries: {trou: nid-de-poule, bordure: trottoir}}
submit:
  external_id: {path: id, required: true}
  nature: {path: fields.nature_raw, table: natures, required: true}
  texte: {path: fields.description, strip_html: true}
attachments: {fields: [photo]}
statuses:
  ouvert: {status: accepted, message: Pris en compte.}
portal: {hook: retour}
"""
BENCH_TEXT = """\
case: 1
formdata: demande.json
options:
  base_url: https://gru.exemple.invalid
  auth: {kind: bearer, token: env:JETON}
  create:
    path: /demandes
    body: "=merge(payload, {cle: secrets.cle, fichiers: files[].token})"
    reference: id
  secrets: {cle: env:CLE_SECRETE}
  files: {mode: first, upload: {path: /fichiers, token: jeton}}
answers:
  - {method: POST, path: /fichiers, status: 201, json: {jeton: "f{n}"}}
  - {method: POST, path: /demandes, status: 201, json: {id: 7}}
"""
CASES_TEXT = """\
case: 1
cases:
  - title: Un trou dans la chaussée
    given: {fields: {photo: {filename: trou.txt, text: trou}}}
    expect:
      calls:
        - {POST: /fichiers, raw: {content_type: text/plain, size: 4}}
        - POST: /demandes
          json:
            {external_id: "{reference}", nature: nid-de-poule, texte: Un trou.,
             cle: "{secret}", fichiers: [f1]}
      portal: {hook: retour, statut: transmise}
  - title: Une bordure, un fichier d'un autre champ reste
    given: {fields: {nature_raw: bordure, autre: {filename: autre.txt, text: autre}}}
    expect: {calls: [{POST: /demandes, has: {nature: trottoir}}]}
  - title: Une nature inconnue ou absente attend un agent
    given: {fields: {nature_raw: <nature>}}
    expect: {refused: {reason: unmappable, fields: [nature]}}
    examples: [{nature: autre}, {nature: null}]
"""
RETURNS_TEXT = """\
case: 1
cases:
  - title: La GRU ouvre la demande
    given: {status: Ouvert}
    expect: {portal: {hook: retour, statut: acceptee, message: Pris en compte.}}
  - title: Un mot inconnu ne dit rien
    given: {status: ailleurs}
    expect: nothing
  - title: Une note interne reste cachée
    given: {message: entre nous}
    expect: nothing
  - title: Une note publique est montrée
    given: {message: Bientôt., public: true}
    expect: {portal: {hook: retour, statut: null, message: Bientôt.}}
"""
FORMDATA = {
    "id": "42",
    "display_id": "9-42",
    "receipt_time": "2026-03-12T08:41:07",
    "user": {"name": "Zoé Fictive-Exemple", "email": "zoe@exemple.invalid"},
    "fields": {"nature_raw": "trou", "description": "<p>Un trou.</p>"},
}


def bundle(**changes: tuple[str, str]) -> dict[str, str]:
    """The whole contract. `changes` replace a text in `mapping`, `bench`, `cases`, `returns`."""
    texts = {
        "mapping": MAPPING_TEXT,
        "bench": BENCH_TEXT,
        "cases": CASES_TEXT,
        "returns": RETURNS_TEXT,
    }
    for name, (old, new) in changes.items():
        assert old in texts[name], f"{old!r} is not in {name}"
        texts[name] = texts[name].replace(old, new)
    return {
        MAPPING: texts["mapping"],
        FOLDER + "bench.yaml": texts["bench"],
        FOLDER + "1-demandes.yaml": texts["cases"],
        FOLDER + "2-retours.yaml": texts["returns"],
        "mappings/voirie/demande.json": json.dumps(FORMDATA, ensure_ascii=False),
    }
