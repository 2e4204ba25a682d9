"""A request as a folder: its files, the fields, and a manifest with checksums, written last.

The same request always makes the same files: so the manifest shows that a folder is there already,
even when its lines about the filing differ. File names are ours; the citizen's stand in the
manifest alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from adapters.sftp.formats import UnfitText, written_file
from adapters.sftp.options import SftpOptions
from gateway.sdk import File, Filing, Refused

MANIFEST: Final = "manifest.json"
#: The ending of an unfinished folder's name.
UNFINISHED: Final = ".part"
_ENDING: Final = re.compile(r"\.([A-Za-z0-9]{1,8})\Z")


@dataclass(frozen=True, slots=True)
class Package:
    """A folder that is to be made: its name, and its files in the order of their writing."""

    name: str
    files: Sequence[tuple[str, bytes | File]]
    manifest: bytes

    @property
    def size(self) -> int:
        """Return the bytes of all files."""
        sizes = (len(c) if isinstance(c, bytes) else c.size for _, c in self.files)
        return sum(sizes) + len(self.manifest)


def packed(
    name: str,
    fields: Mapping[str, Any],
    files: Sequence[File],
    filing: Filing | None,
    options: SftpOptions,
) -> Package | Refused:
    """Make the folder of a request or an event; `Refused("unmappable")` if it cannot be made."""
    named = [(_file_name(n, file), file) for n, file in enumerate(files, 1)]
    try:
        body = written_file({**fields, "fichiers": [one for one, _ in named]}, options)
    except UnfitText:
        return Refused("unmappable", "it holds characters that Windows-1252 lacks: see unfit")
    main = f"demande.{options.format}"
    rows: list[dict[str, Any]] = [
        {"file": main, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    ]
    rows += [
        {
            "file": one,
            "size": file.size,
            "sha256": file.sha256,
            "field": file.field,
            "filename": file.filename,
            "content_type": file.content_type,
        }
        for one, file in named
    ]
    said = {"manifest": 1, "reference": fields["reference"], "name": name, "files": rows}
    if filing is not None:
        said["filing"] = _filed(filing, options)
    manifest = json.dumps(said, ensure_ascii=True, indent=1, sort_keys=True).encode() + b"\n"
    return Package(name, [*named, (main, body)], manifest)


def _filed(filing: Filing, options: SftpOptions) -> dict[str, Any]:
    """Return when and where the request was filed, and the service in charge of it."""
    service = options.services.get(filing.teleservice, options.service)
    return {
        "teleservice": filing.teleservice,
        "number": filing.number,
        "filed_at": filing.submitted_at.isoformat(),
        "received_at": filing.received_at.isoformat(),
        "service": None if service is None else service.model_dump(exclude_none=True),
    }


def _file_name(n: int, file: File) -> str:
    field = re.sub(r"[^A-Za-z0-9_-]", "-", file.field)[:40] or "piece"
    ending = _ENDING.search(file.filename)
    return f"{n}-{field}.{ending[1].lower()}" if ending else f"{n}-{field}"


def reference_in(manifest: bytes) -> str | None:
    """Return the reference in a manifest; None for one that cannot be read."""
    found = _read(manifest).get("reference")
    return found if isinstance(found, str) else None


def same_files(manifest: bytes, other: bytes) -> bool:
    """Do two manifests list the same files of the same folder?"""
    one, two = (
        {name: said.get(name) for name in ("reference", "name", "files")}
        for said in (_read(manifest), _read(other))
    )
    return one == two and one["files"] is not None


def _read(manifest: bytes) -> dict[str, Any]:
    try:
        said = json.loads(manifest)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


__all__ = ["MANIFEST", "UNFINISHED", "Package", "packed", "reference_in", "same_files"]
