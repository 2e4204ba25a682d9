"""A citizen's files, for templates and bodies."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.rest.call import Call
from adapters.rest.client import BodyPart, RestClient
from adapters.rest.expression import ExpressionFault, Json, word
from adapters.rest.options import Upload
from gateway.sdk import (
    LARGE,
    Answer,
    File,
    FilePlaceholders,
    Misconfigured,
    Outcome,
    Refused,
    beside,
)

_SUFFIX = re.compile(r"\.([A-Za-z0-9]{1,8})$")


def neutral_name(file: File, position: int) -> str:
    """Return a file name without personal data: `piece-1.pdf`."""
    suffix = _SUFFIX.search(file.filename)
    return f"piece-{position}{suffix.group().lower() if suffix else ''}"


def described(file: File, position: int) -> dict[str, Json]:
    """Return what templates see of a file, besides its bytes."""
    return {
        "field": file.field,
        "filename": file.filename,
        "name": neutral_name(file, position),
        "extension": suffix[1].lower() if (suffix := _SUFFIX.search(file.filename)) else "bin",
        "position": position,
        "content_type": file.content_type,
        "size": file.size,
        "sha256": file.sha256,
    }


@dataclass(frozen=True, slots=True)
class PreparedFiles:
    """Files to send: the names that the call's templates read, and the parts of its body."""

    described: list[dict[str, Json]]
    parts: list[BodyPart]
    files: FilePlaceholders


async def pack(
    call: Call, files: Sequence[File], tokens: Sequence[str] | None, *, whole: bool = False
) -> PreparedFiles:
    """Return what `files` gives to the call; a large one is not read before the call is sent,
    unless the body is to be `whole`."""
    prepared = PreparedFiles([], [], FilePlaceholders())
    for position, file in enumerate(files, 1):
        entry = described(file, position)
        if tokens is not None:
            entry["token"] = tokens[position - 1]
        else:
            await _fill(call, file, entry, prepared, whole=whole)
        prepared.described.append(entry)
    return prepared


async def _fill(
    call: Call, file: File, entry: dict[str, Json], prepared: PreparedFiles, *, whole: bool
) -> None:
    large = file.size > LARGE and not whole
    if call.encoding in ("multipart", "raw"):
        content = prepared.files.of(file).encode() if large else await file.read()
        prepared.parts.append(BodyPart(file.filename, file.content_type, content))
    if call.reads("content_base64"):
        if large and call.passes_on("content_base64"):
            entry["content_base64"] = prepared.files.of(file, base64=True)
        else:
            content = await file.read()
            entry["content_base64"] = await beside(
                file.size, lambda: base64.b64encode(content).decode()
            )


async def upload(
    exchange: RestClient, call: Upload, reference: str, files: Sequence[File]
) -> list[str] | Outcome:
    """Give each file over before the creation, and keep its token.

    A file that was given over in vain is lost at the GRU and costs nothing: always repeatable.
    """
    tokens: list[str] = []
    for position, file in enumerate(files, 1):
        entry, prepared = described(file, position), PreparedFiles([], [], FilePlaceholders())
        await _fill(call, file, entry, prepared, whole=exchange.signs_bodies)
        answer = await exchange.run(
            call,
            {"reference": reference, "file": entry},
            safe=True,
            parts=prepared.parts,
            files=prepared.files,
        )
        if not isinstance(answer, Answer):
            if isinstance(answer, Refused):
                detail = f"file {position}: {answer.detail}"
                return Refused("file_refused", detail, answer.answer)
            return answer
        try:
            token = word(call.token.value(answer.value))
        except ExpressionFault:
            token = None
        if token is None:
            return Misconfigured("no_file_token", "the upload's answer has no token")
        tokens.append(token)
    return tokens
