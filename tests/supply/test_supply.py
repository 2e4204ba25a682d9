"""The bill of materials names what is locked, and the audit sees what an advisory covers."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from tests.supply import audit, sbom
from tests.supply.__main__ import LOCK
from tests.supply.lock import Pin, pins

HERE = Pin("jinja2", "3.1.6", "", ("0" * 64,))


def test_the_bill_names_everything_that_is_locked_and_is_the_same_each_time() -> None:
    bill = sbom.bill(LOCK)
    found = pins(LOCK)
    assert len(found) > 30
    assert [one["purl"] for one in bill["components"]] == [pin.purl for pin in found]
    refs = {one["bom-ref"] for one in bill["components"]} | {
        bill["metadata"]["component"]["bom-ref"]
    }
    for one in bill["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= refs
    assert any("fastapi" in one for one in bill["dependencies"][0]["dependsOn"])
    assert all(one.get("licenses") for one in bill["components"] if one["name"] == "fastapi")
    assert sbom.text(LOCK) == sbom.text(LOCK)
    json.loads(sbom.text(LOCK))


def test_what_is_not_pinned_by_a_hash_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    lock.write_text("fastapi==1.0\n")
    with pytest.raises(ValueError, match=r"not pinned by a hash: fastapi==1\.0"):
        pins(lock)


def entry(events: list[dict[str, str]], name: str = "Jinja2", **more: object) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": events}]
    affected = [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}]
    return {"id": "PYSEC-1", "summary": "a hole", "affected": affected, **more}


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (entry([{"introduced": "0"}]), True),
        (entry([{"introduced": "0"}, {"fixed": "3.1.7"}]), True),
        (entry([{"introduced": "0"}, {"fixed": "3.1.6"}]), False),
        (entry([{"introduced": "3.2"}]), False),
        (entry([{"introduced": "3.0"}, {"last_affected": "3.1.6"}]), True),
        (entry([{"introduced": "3.0"}, {"last_affected": "3.1.5"}]), False),
        (entry([{"introduced": "0"}, {"fixed": "1"}, {"introduced": "3.1"}]), True),
        (entry([{"introduced": "0"}], name="other"), False),
        (entry([{"introduced": "0"}], withdrawn="2026-01-01T00:00:00Z"), False),
    ],
)
def test_an_advisory_covers_what_it_says(
    tmp_path: Path, given: dict[str, object], known: bool
) -> None:
    packed = tmp_path / "all.zip"
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr("PYSEC-1.json", json.dumps(given))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "PYSEC-1.json").write_text(json.dumps(given))
    for source in (packed, tmp_path / "folder"):
        found = audit.holes([HERE], audit.advisories(source))
        assert [one.advisory for one in found] == ["PYSEC-1"] * known
