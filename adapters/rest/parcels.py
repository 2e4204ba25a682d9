"""A citizen's files as the templates and the bodies see them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from adapters.rest.call import Call
from adapters.rest.exchange import Exchange, Part
from adapters.rest.expression import ExpressionFault, Json, word
from adapters.rest.options import Upload
from adapters.rest.reading import Answer
from gateway.sdk import File, Misconfigured, Outcome, Refused

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}$")


def neutral_name(file: File, position: int) -> str:
    """A name that tells nothing of the person: `piece-1.pdf`."""
    suffix = _SUFFIX.search(file.filename)
    return f"piece-{position}{suffix.group().lower() if suffix else ''}"


def _described(file: File, position: int) -> dict[str, Json]:
    return {
        "field": file.field,
        "filename": file.filename,
        "name": neutral_name(file, position),
        "position": position,
        "content_type": file.content_type,
        "size": file.size,
        "sha256": file.sha256,
    }


async def pack(
    call: Call, files: Sequence[File], tokens: Sequence[str] | None
) -> tuple[list[dict[str, Json]], list[Part]]:
    """What `files` gives in the call's templates, and the parts of its body.

    Bytes are read only where the call has a use for them.
    """
    described: list[dict[str, Json]] = []
    parts: list[Part] = []
    for position, file in enumerate(files, 1):
        entry = _described(file, position)
        if tokens is not None:
            entry["token"] = tokens[position - 1]
        elif call.encoding in ("multipart", "raw"):
            parts.append(Part(file.filename, file.content_type, await file.read()))
        elif call.reads("content_base64"):
            entry["content_base64"] = base64.b64encode(await file.read()).decode()
        described.append(entry)
    return described, parts


async def upload(
    exchange: Exchange, call: Upload, reference: str, files: Sequence[File]
) -> list[str] | Outcome:
    """Give each file over before the creation, and keep its token.

    A file that was given over in vain is lost at the GRU and costs nothing: always repeatable.
    """
    tokens: list[str] = []
    for position, file in enumerate(files, 1):
        entry = _described(file, position)
        content = await file.read()
        if call.reads("content_base64"):
            entry["content_base64"] = base64.b64encode(content).decode()
        part = Part(file.filename, file.content_type, content)
        parts = [part] if call.encoding in ("multipart", "raw") else []
        answer = await exchange.run(
            call, {"reference": reference, "file": entry}, safe=True, parts=parts
        )
        if not isinstance(answer, Answer):
            if isinstance(answer, Refused):
                return Refused("file_refused", f"file {position}: {answer.detail}")
            return answer
        try:
            token = word(call.token.value(answer.body))
        except ExpressionFault:
            token = None
        if token is None:
            return Misconfigured("no_token", "the upload's answer has no token where it is read")
        tokens.append(token)
    return tokens
