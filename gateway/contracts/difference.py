"""What differs between two releases: in what their files say, and in what then leaves.

The second is shown on the commune's own cases, rendered by the one and by the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from gateway.catalogue.bundle import COMMUNES
from gateway.catalogue.mapping_files import load_mapping
from gateway.catalogue.releases import Release, output_of
from gateway.catalogue.yaml_lines import Located, Path, load
from gateway.contracts.cases import Case, read_cases
from gateway.contracts.play import creation_of, event_of_case
from gateway.core.difference import difference
from gateway.core.errors import ConfigurationFault, Rejected
from gateway.core.mapping import Mapping as RequestMapping
from gateway.core.mapping import UnknownStatus, canonical, note_is_public, portal_call
from gateway.core.render import Unmappable, render
from gateway.core.request import Event, EventKind, Json
from gateway.flow.receive import attachments_of, request_of
from gateway.wire.formdata import Limits, parse_formdata

#: What stands for our reference, which a case has no say in.
_REFERENCE = "TDG-0000000000000000"
_THEN = datetime(2026, 6, 15, 8, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a file says otherwise: at `file:line` of the new one (of the old, if gone).

    `before` and `after` are JSON as text; None where it was not, or is no more.
    """

    file: str
    line: int
    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Effect:
    """One field that leaves otherwise in one case; None where it does not leave at all.

    The names of what is no field of the GRU are French: `refus`, `appel`, `statut`, `message`.
    """

    mapping: str
    case: str
    place: str
    field: str
    before: str | None
    after: str | None

    def lines(self) -> list[str]:
        """The field as a French diff."""
        shown = [f"  {self.field}"]
        shown += [f"    - avant : {line}" for line in _lines(self.before)]
        return shown + [f"    + après : {line}" for line in _lines(self.after)]


def differences(before: Release | None, after: Release | None) -> tuple[Difference, ...]:
    """What the files of two releases say otherwise, value by value, in the order of the files."""
    found: list[Difference] = []
    one = after or before
    # However it is named, a commune has one file.
    name = "" if one is None else one.commune_file
    old, new = _texts(before, name), _texts(after, name)
    for file in sorted({*old, *new}):
        was, now = _values(file, old.get(file)), _values(file, new.get(file))
        for path in sorted({*was, *now}, key=lambda p: ((now.get(p) or was[p])[1], str(p))):
            here, there = was.get(path), now.get(path)
            if (here and here[0]) == (there and there[0]) and (here is None) == (there is None):
                continue
            line = (there or here or ("", 0))[1]
            where = ".".join(map(str, path))
            found.append(Difference(file, line, where, here and here[0], there and there[0]))
    if before is not None and after is not None:
        for what, was_of, now_of in (
            ("adapters", before.adapters, after.adapters),
            ("teleservices", before.teleservices, after.teleservices),
        ):
            for key in sorted({*was_of, *now_of}):
                then, today = _json(was_of.get(key)), _json(now_of.get(key))
                if then != today:
                    found.append(Difference(what, 0, key, then, today))
    return tuple(found)


def _texts(release: Release | None, name: str) -> dict[str, str]:
    if release is None:
        return {}
    return {
        name if file == release.commune_file else file: text for file, text in release.files.items()
    }


def _values(file: str, text: str | None) -> dict[Path, tuple[str, int]]:
    """The leaves of a file as JSON, with their lines."""
    if text is None:
        return {}
    located = load(text, file) if not file.endswith(".json") else Located(json.loads(text), file)
    value = output_of(located.value) if file.startswith(COMMUNES) else located.value
    return {path: (_json(leaf), located.line(path)) for path, leaf in _leaves(value, ())}


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for n, inner in enumerate(value):
            yield from _leaves(inner, (*path, n))
    else:
        # A list of plain values is told as a whole.
        yield path, value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def effects(before: Release | None, after: Release | None) -> tuple[Effect, ...]:
    """What leaves otherwise, case by case. The cases are the new release's, where it has them.

    Cases that cannot be read show nothing here: the contract run says why.
    """
    found: list[Effect] = []
    old, new = _compiled(before), _compiled(after)
    for key in sorted({*old, *new}):
        release = after if key in new else before
        if release is None:
            continue
        try:
            cases = read_cases(release.files, key)
        except ConfigurationFault:
            continue
        for case in cases:
            was, now = _leaving(old.get(key), case), _leaving(new.get(key), case)
            found += [
                Effect(key, case.title, case.place, name, was.get(name), now.get(name))
                for name in {**was, **now}
                if was.get(name) != now.get(name)
            ]
    return tuple(found)


def _compiled(release: Release | None) -> dict[str, RequestMapping]:
    found = {}
    for file, text in ({} if release is None else release.mappings()).items():
        try:
            mapping = load_mapping(text, file)
        except ConfigurationFault:
            continue
        found[mapping.key] = mapping
    return found


def _leaving(mapping: RequestMapping | None, case: Case) -> dict[str, str]:
    if mapping is None:
        return {}
    return _returned(mapping, case) if case.given.returns else _sent(mapping, case)


def _sent(mapping: RequestMapping, case: Case) -> dict[str, str]:
    address = f"https://portail.exemple.invalid/api/forms/{mapping.teleservice}/1/"
    kind = case.given.event
    later = kind is not EventKind.CREATION
    body = event_of_case(case, address) if later else creation_of(case, address)
    try:
        parsed = parse_formdata(json.dumps(body).encode(), "application/json", limits=Limits())
    except Rejected:
        return {}
    attachments, _ = attachments_of(list(parsed.files))
    request = request_of(
        _REFERENCE,
        ("portail", case.commune or "69000", mapping.teleservice),
        parsed,
        Event("evenement-du-cas", kind, case.given.message),
        attachments,
        _THEN,
    )
    if kind is EventKind.CHANGE:
        before = json.dumps(creation_of(case, address)).encode()
        first = parse_formdata(before, "application/json", limits=Limits())
        changes = tuple(difference(first.fields, parsed.fields))
        request = replace(request, changes=changes)
    rendered = render(mapping, request.document(), kind)
    if isinstance(rendered, Unmappable):
        # Without the lines, which move when nothing else does.
        return {"refus": "\n".join(fault.text for fault in rendered.faults)}
    found = dict(_flat(rendered.payload, ""))
    for n, file in enumerate(rendered.attachments):
        found[f"pièce jointe {n + 1}"] = str(file.get("filename"))
    return found


def _returned(mapping: RequestMapping, case: Case) -> dict[str, str]:
    given = case.given
    found: dict[str, str] = {}
    public = given.message is not None and note_is_public(mapping, given.public)
    if given.message is not None and public:
        found["message"] = given.message
    if given.status is None:
        return found
    rule = canonical(mapping, given.status)
    if rule is None:
        ignored = mapping.unknown_status is UnknownStatus.IGNORE
        return {"statut": "inconnu, ignoré" if ignored else "inconnu, en attente d'un agent"}
    if rule.status is None:
        return found
    call = portal_call(mapping, rule.status)
    if call is not None:
        found["appel"] = f"{call.kind} {call.name}"
        found["statut"] = call.word
    if rule.message is not None:
        found.setdefault("message", rule.message)
    return found


def _flat(value: Json, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and value:
        for n, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{n}]")
    else:
        yield name, value if isinstance(value, str) else _json(value)


def _lines(text: str | None) -> list[str]:
    return ["(rien)"] if text is None else text.split("\n")
