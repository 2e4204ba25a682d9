"""Each field of a payload with where it came from: for `mapping preview` and `request explain`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.core.mapping import RequestMapping
from gateway.core.render import Origin, Rendered, Unmappable, render
from gateway.core.request import EventKind, Json

_STEP = re.compile(r"[^.\[\]]+|\[[0-9]+\]")


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One target field. `value` is the citizen's: show it to who may see the request, log it never.

    `line` 0: the file chosen by the `attachments` section has no rule of its own. `file`: where the
    line stands, if not in the mapping's own.
    """

    target: str
    value: Json
    source: str
    line: int
    file: str = ""

    @property
    def place(self) -> str:
        """The line, behind its file where that is not the mapping's own."""
        return f"{self.file.rpartition('/')[2]}:{self.line}" if self.file else str(self.line)


def preview(
    mapping: RequestMapping, document: Json, event_kind: EventKind = EventKind.CREATION
) -> list[PreviewRow] | Unmappable:
    """Return the payload's fields in the file's order, then the chosen files; or why there are
    none.

    A block's rows show each of their fields (`children[0].nom`), not the list itself.
    """
    rendered = render(mapping, document, event_kind)
    if isinstance(rendered, Unmappable):
        return rendered
    rows = [_row(rendered, origin) for origin in rendered.origins if not _is_rows(origin)]
    rows += [
        PreviewRow(
            f"attachments[{i}]",
            file.get("filename"),
            str(file.get("field")),
            mapping.attachments.line,
            mapping.attachments.file,
        )
        for i, file in enumerate(rendered.attachments)
    ]
    return rows


def _is_rows(origin: Origin) -> bool:
    return origin.rule.startswith("rows")


def _row(rendered: Rendered, origin: Origin) -> PreviewRow:
    source = " + ".join(origin.sources) or origin.rule
    if origin.defaulted:
        source = f"default (empty: {source})"
    elif ", " in origin.rule:
        source = f"{source} ({origin.rule.split(', ')[1]})"
    value = _at(rendered.payload, origin.target)
    return PreviewRow(origin.target, value, source, origin.line, origin.file)


def _at(value: Json, target: str) -> Json:
    for step in _STEP.findall(target):
        value = value[int(step[1:-1])] if step.startswith("[") else value[step]
    return value
