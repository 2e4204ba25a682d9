"""Compares the expected with the observed, in sentences that a commune's agent reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.contracts.case_bodies import LENGTH
from gateway.contracts.case_model import CallExpected, FileExpected, PortalExpected
from gateway.contracts.case_player import Observed
from gateway.contracts.cases import Case
from gateway.contracts.fake_far_ends import FileSeen, PortalReport, RecordedCall
from gateway.core.mapping import PerRow, RequestMapping, Rule, canonical
from gateway.core.request import EventKind, Json


class _Absent:
    """No value at all, which is not null."""


ABSENT: Final = _Absent()
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as expected. `line` is that of the mapping's rule, 0 when none is."""

    where: str
    field: str
    expected: str
    got: str
    line: int = 0

    def sentence(self, mapping_file: str) -> str:
        """The difference for an agent, in French."""
        place = f" ({mapping_file}:{self.line})" if self.line else ""
        name = f"{self.where} · {self.field}" if self.field else self.where
        return f"{name} : attendu {self.expected}, obtenu {self.got}{place}"


def mismatches(case: Case, observed: Observed, mapping: RequestMapping) -> tuple[Mismatch, ...]:
    """Everything in which the observed is not the expected; nothing when the case holds."""
    if observed.problem is not None:
        return (Mismatch("le cas", "", "qu'il puisse être joué", observed.problem),)
    return tuple(_Comparison(case, observed, mapping).all())


class _Comparison:
    def __init__(self, case: Case, observed: Observed, mapping: RequestMapping) -> None:
        self.case = case
        self.observed = observed
        self.lines = lines_of(mapping, observed.event)
        self.status_line = 0
        for word in observed.words:
            rule = canonical(mapping, word)
            self.status_line = rule.line if rule else 0

    def all(self) -> Iterator[Mismatch]:
        expect = self.case.expect
        refused = None if expect is None else expect.refused
        stopped = self.observed.stopped
        if refused is None and stopped is not None:
            yield self._unexpected_stop()
        elif refused is not None and stopped is None:
            wanted = f"que la demande soit arrêtée ({refused.reason})"
            yield Mismatch("envoi à la GRU", "", wanted, "elle part")
        elif refused is not None and stopped is not None:
            if refused.reason != stopped.reason:
                got = f"« {stopped.reason} » {stopped.detail}".strip()
                yield Mismatch("arrêt", "motif", f"« {refused.reason} »", got)
            elif refused.fields and set(refused.fields) != set(stopped.fields):
                for name in sorted(set(refused.fields) ^ set(stopped.fields)):
                    missing = name in refused.fields
                    yield Mismatch(
                        "arrêt",
                        name,
                        "ce champ en cause" if missing else "ce champ rempli",
                        "rien à son sujet" if missing else "ce champ en cause",
                        self.line(name),
                    )
        if not self.case.given.returns and (stopped is None or refused is not None):
            calls = () if expect is None or expect.calls is None else expect.calls
            if expect is None or expect.calls is not None or refused is not None:
                yield from self._calls(calls)
        if expect is None:
            if self.case.given.returns:
                yield from self._portal(None)
        elif expect.portal is not None:
            yield from self._portal(None if expect.portal == "nothing" else expect.portal)

    def _unexpected_stop(self) -> Mismatch:
        stopped = self.observed.stopped
        reason = "" if stopped is None else f"arrêtée ({stopped.reason}) {stopped.detail}".strip()
        line = self.line(stopped.fields[0]) if stopped and stopped.fields else 0
        return Mismatch("envoi à la GRU", "", "que la demande parte", reason, line)

    # --- calls --------------------------------------------------------------------------------

    def _calls(self, expected: Sequence[CallExpected]) -> Iterator[Mismatch]:
        sent = self.observed.calls
        for n in range(max(len(expected), len(sent))):
            if n >= len(sent):
                one = expected[n]
                yield Mismatch(f"{one.method} {one.path}", "", "cet appel", "rien")
            elif n >= len(expected):
                yield Mismatch(f"{sent[n].method} {sent[n].path}", "", "rien", _extra(sent[n]))
            else:
                yield from self._call(expected[n], sent[n])

    def _call(self, expected: CallExpected, sent: RecordedCall) -> Iterator[Mismatch]:
        where = f"{expected.method} {expected.path}"
        if (expected.method, expected.path) != (sent.method, sent.path):
            yield Mismatch("appel", "", where, f"{sent.method} {sent.path}")
            return
        yield from self._object(where, "paramètre ", _as_texts(expected.query), sent.query)
        whole: Mapping[str, Json] = {
            "json": expected.json_body,
            "form": expected.form,
            "multipart": expected.multipart,
        }
        if expected.has is not None or expected.lacks:
            yield from self._some(where, expected, sent)
        elif expected.raw is not None:
            file = sent.files[0] if sent.kind == "raw" else None
            yield from self._file(where, "fichier", expected.raw, file, named=False)
        else:
            kind = next((name for name, body in whole.items() if body is not None), "none")
            if kind != sent.kind and not (kind == "none" and sent.kind != "none"):
                yield Mismatch(where, "corps", f"de type {kind}", f"de type {sent.kind}")
            elif kind == "none" and sent.kind != "none":
                yield Mismatch(where, "corps", "aucun", f"de type {sent.kind}")
            else:
                body = whole.get(kind)
                texts = kind in ("form", "multipart")
                yield from self._object(where, "", _as_texts(body) if texts else body, sent.body)
        if expected.files is not None or sent.kind == "multipart":
            yield from self._files(where, expected.files or (), sent.files)

    def _some(self, where: str, expected: CallExpected, sent: RecordedCall) -> Iterator[Mismatch]:
        got = flat(sent.body)
        texts = sent.kind in ("form", "multipart")
        for name, value in (expected.has or {}).items():
            wanted = flat(_as_texts(value) if texts else value, name)
            for field, one in wanted.items():
                if not _same(one, got.get(field, ABSENT)):
                    yield self._difference(where, field, one, got.get(field, ABSENT))
        for name in expected.lacks:
            for field, one in got.items():
                if field == name or field.startswith((f"{name}.", f"{name}[")):
                    yield self._difference(where, field, ABSENT, one)

    def _object(self, where: str, prefix: str, expected: Json, got: Json) -> Iterator[Mismatch]:
        wanted, have = flat(expected), flat(got)
        for field in dict.fromkeys([*wanted, *have]):
            one, other = wanted.get(field, ABSENT), have.get(field, ABSENT)
            if not _same(one, other):
                yield self._difference(where, prefix + field, one, other)

    def _difference(self, where: str, field: str, expected: Any, got: Any) -> Mismatch:
        return Mismatch(where, field, shown(expected), shown(got), self.line(field))

    def _files(
        self, where: str, expected: Sequence[FileExpected], sent: Sequence[FileSeen]
    ) -> Iterator[Mismatch]:
        for n in range(max(len(expected), len(sent))):
            wanted = expected[n] if n < len(expected) else None
            got = sent[n] if n < len(sent) else None
            yield from self._file(where, f"fichier {n + 1}", wanted, got)

    def _file(
        self,
        where: str,
        name: str,
        expected: FileExpected | None,
        got: FileSeen | None,
        *,
        named: bool = True,
    ) -> Iterator[Mismatch]:
        line = self.lines.get("attachments", 0)
        if expected is None or got is None:
            if (expected is None) != (got is None):
                yield Mismatch(
                    where,
                    name,
                    "aucun" if expected is None else f"« {expected.filename or 'un fichier'} »",
                    "aucun" if got is None else f"« {got.filename} » ({got.size} octets)",
                    line,
                )
            return
        pairs: list[tuple[str, object, object]] = [
            ("nom", expected.filename if named else None, got.filename),
            ("type", expected.content_type, got.content_type),
            ("taille", expected.size, got.size),
            ("sha256", expected.sha256, got.sha256[: len(expected.sha256 or "")]),
        ]
        for what, wanted, have in pairs:
            if wanted is not None and wanted != have:
                yield Mismatch(where, f"{name}, {what}", shown(wanted), shown(have), line)

    # --- portal -------------------------------------------------------------------------------

    def _portal(self, expected: PortalExpected | None) -> Iterator[Mismatch]:
        told = self.observed.told
        where = "retour vers Toodego"
        if expected is None:
            for call in told:
                yield Mismatch(where, "", "aucun appel", _said(call), self.status_line)
            return
        if not told:
            word = "une note" if expected.statut is None else f"« {expected.statut} »"
            wanted = f"{word} par {expected.hook or expected.jump}"
            yield Mismatch(where, "", wanted, "aucun appel", self.status_line)
            return
        first = told[0]
        kind = "hook" if expected.hook is not None else "jump"
        for what, one, other in (
            (kind, expected.hook or expected.jump, first.name if first.kind == kind else None),
            ("statut", expected.statut, first.statut),
            ("message", expected.message, first.message),
        ):
            if one != other:
                yield Mismatch(where, what, shown(one), shown(other), self.status_line)
        yield from self._file(where, "document", expected.document, first.document)
        for call in told[1:]:
            yield Mismatch(where, "", "un seul appel", _said(call), self.status_line)

    def line(self, field: str) -> int:
        """The line of the rule that makes a field, as far as its name tells."""
        name = re.sub(r"\[\d+\]", "[]", field)
        if found := re.fullmatch(r"attribute\[(.+?)\](?:\[\])?", field):
            name = f"attributes.{found[1]}"
        while name:
            if name in self.lines:
                return self.lines[name]
            # A GRU that wraps the payload (`issue.subject`) keeps its names inside.
            inner = name
            while "." in inner:
                inner = inner.partition(".")[2]
                if inner in self.lines:
                    return self.lines[inner]
            name = name.rpartition(".")[0]
        return 0


def lines_of(mapping: RequestMapping, event: EventKind) -> dict[str, int]:
    """The line of each target of the rules for an event."""
    found = {"attachments": mapping.attachments.line}

    def add(rules: Sequence[Rule], prefix: str) -> None:
        for rule in rules:
            found[prefix + rule.name] = rule.line
            if isinstance(rule.source, PerRow):
                add(rule.source.each, f"{prefix}{rule.name}[].")

    add(mapping.rules(event), "")
    return found


def flat(value: Json, prefix: str = "") -> dict[str, Json]:
    """Every leaf by its path; a list without objects is a leaf, and so is what is empty."""
    if isinstance(value, Mapping) and value:
        found: dict[str, Json] = {}
        for name, inner in value.items():
            found |= flat(inner, f"{prefix}.{name}" if prefix else str(name))
        return found
    if isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        found = {}
        for n, inner in enumerate(value):
            found |= flat(inner, f"{prefix}[{n}]")
        return found
    if not prefix:
        return {} if value is None or value == {} else {"": value}
    return {prefix: value}


def shown(value: Any) -> str:
    """A value as a French reader sees it."""
    if isinstance(value, _Absent):
        return "rien"
    if isinstance(value, str):
        return f"« {value} »" if len(value) <= _LONGEST else f"« {value[:_LONGEST]}… »"
    if value is None:
        return "aucune valeur"
    if isinstance(value, bool):
        return "vrai" if value else "faux"
    return json.dumps(value, ensure_ascii=False)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and (found := LENGTH.fullmatch(one)):
        return isinstance(other, str) and len(other) == int(found[1])
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other)


def _as_texts(value: Json) -> Json:
    """Forms carry texts: what the case writes as a number or a boolean is meant as one."""
    if isinstance(value, Mapping):
        return {name: _as_texts(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_texts(one) for one in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def _extra(sent: RecordedCall) -> str:
    fields = ", ".join(list(flat(sent.body))[:8])
    planned = "" if sent.planned else " (le banc n'y répond pas)"
    return f"un appel{planned}" + (f" avec {fields}" if fields else "")


def _said(told: PortalReport) -> str:
    message = f", message {shown(told.message)}" if told.message else ""
    said = "une note" if told.statut is None else f"« {told.statut} »"
    return f"{said} par {told.name}{message}"
