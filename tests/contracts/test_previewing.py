"""The calls that a mapping's author is shown before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

from gateway.catalogue.bundle import read_bundle
from gateway.catalogue.mapping_files import mapping_of
from gateway.contracts.previewing import preview_calls
from gateway.core.request import EventKind

ROOT = Path(__file__).parents[2]
FILE = "mappings/signalement-anomalie/open311.yaml"
NAMED = """\
attachments:
  fields: [photo]
  names: {ascii: true, pattern: "{reference}-{n}-{name}{extension}", max_length: 40}
"""


async def test_a_file_leaves_by_the_name_that_the_mapping_gives_it() -> None:
    bundle = dict(read_bundle(None, ROOT / "mappings"))
    bundle[FILE] = bundle[FILE].replace(
        "attachments:\n  fields: [photo, photo_2]\n  max: 5\n", NAMED
    )
    sample = json.loads(bundle["mappings/signalement-anomalie/formulaire.json"])
    mapping = mapping_of(bundle, FILE)
    names = []
    for event in (EventKind.CREATION, EventKind.DOCUMENT):
        seen = await preview_calls(bundle, mapping, sample, event)
        assert seen is not None
        assert seen.problem is None
        names += [file.filename for call in seen.calls for file in call.files]
    first, later = names
    assert first.endswith("-1-depot_ete_202.png")
    assert len(first) == 40
    assert later.endswith(".txt")
    assert "-1-" in later
