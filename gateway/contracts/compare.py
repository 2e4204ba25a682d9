"""Compares the expected with the observed, in sentences for a commune's agent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from gateway.contracts.case_bodies import LENGTH
from gateway.contracts.case_model import CallExpected, FileExpected, PortalExpected
from gateway.contracts.case_player import Consequences, StoppedDelivery
from gateway.contracts.cases import Case
from gateway.contracts.fake_far_ends import FileSeen, PortalReport, RecordedCall, as_texts
from gateway.contracts.texts import say
from gateway.core.mapping import PerRow, RequestMapping, Rule, canonical
from gateway.core.messages import Language, Message
from gateway.core.request import EventKind, Json

#: A text as it is, or a message in the reader's language.
Words = str | Message


def in_words(words: Words, language: Language) -> str:
    """Return the words in a language; names of the GRU and the portal stay."""
    return words.what(language) if isinstance(words, Message) else words


class _Absent:
    """No value at all, unlike null."""


ABSENT: Final = _Absent()
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One thing that is not as expected. `place` is the mapping's rule, or empty."""

    where: Words
    field: Words
    expected: Words
    got: Words
    place: str = ""

    def sentence(self, language: Language = "fr") -> str:
        """Return the difference as a sentence; a commune's agent reads French."""
        name = (self.where, self.field) if self.field else (self.where,)
        told = say("mismatch", expected=self.expected, got=self.got).what(language)
        place = f" ({self.place})" if self.place else ""
        return " · ".join(in_words(one, language) for one in name) + told + place


def mismatches(case: Case, observed: Consequences, mapping: RequestMapping) -> tuple[Mismatch, ...]:
    """List the differences between the expected and the observed; none when the case holds."""
    if observed.problem is not None:
        return (Mismatch(say("the_case"), "", say("can_be_played"), observed.problem),)
    return tuple(_Comparison(case, observed, mapping).all())


class _Comparison:
    def __init__(self, case: Case, observed: Consequences, mapping: RequestMapping) -> None:
        self.case = case
        self.observed = observed
        self.places = places_of(mapping, observed.event)
        self.status_place = ""
        for word in observed.words:
            rule = canonical(mapping, word)
            self.status_place = mapping.place(rule) if rule else ""

    def all(self) -> Iterator[Mismatch]:
        expect = self.case.expect
        refused = None if expect is None else expect.refused
        stopped = self.observed.stopped
        if refused is None and stopped is not None:
            yield self._unexpected_stop()
        elif refused is not None and stopped is None:
            wanted = say("is_stopped", reason=refused.reason)
            yield Mismatch(say("to_gru"), "", wanted, say("it_leaves"))
        elif refused is not None and stopped is not None:
            if refused.reason != stopped.reason:
                wanted, got = quoted(refused.reason), _reason_given(stopped)
                yield Mismatch(say("stop"), say("its_reason"), wanted, got)
            elif refused.fields and set(refused.fields) != set(stopped.fields):
                for name in sorted(set(refused.fields) ^ set(stopped.fields)):
                    missing = name in refused.fields
                    yield Mismatch(
                        say("stop"),
                        name,
                        say("field_at_fault" if missing else "field_filled"),
                        say("nothing_of_it" if missing else "field_at_fault"),
                        self.place(name),
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
        reason: Words = ""
        if stopped is not None:
            word = "stopped_for" if stopped.detail else "stopped"
            reason = say(word, reason=stopped.reason, detail=stopped.detail)
        place = self.place(stopped.fields[0]) if stopped and stopped.fields else ""
        return Mismatch(say("to_gru"), "", say("it_is_sent"), reason, place)

    # --- calls --------------------------------------------------------------------------------

    def _calls(self, expected: Sequence[CallExpected]) -> Iterator[Mismatch]:
        sent = self.observed.calls
        for n in range(max(len(expected), len(sent))):
            if n >= len(sent):
                one = expected[n]
                yield Mismatch(f"{one.method} {one.path}", "", say("this_call"), say("nothing"))
            elif n >= len(expected):
                one_more = f"{sent[n].method} {sent[n].path}"
                yield Mismatch(one_more, "", say("nothing"), _extra(sent[n]))
            else:
                yield from self._call(expected[n], sent[n])

    def _call(self, expected: CallExpected, sent: RecordedCall) -> Iterator[Mismatch]:
        where = f"{expected.method} {expected.path}"
        if (expected.method, expected.path) != (sent.method, sent.path):
            yield Mismatch(say("call"), "", where, f"{sent.method} {sent.path}")
            return
        yield from self._object(where, as_texts(expected.query), sent.query, parameters=True)
        whole: Mapping[str, Json] = {
            "json": expected.json_body,
            "form": expected.form,
            "multipart": expected.multipart,
        }
        if expected.has is not None or expected.lacks:
            yield from self._some(where, expected, sent)
        elif expected.raw is not None:
            file = sent.files[0] if sent.kind == "raw" else None
            yield from self._file(where, say("the_file"), expected.raw, file, named=False)
        else:
            kind = next((name for name, body in whole.items() if body is not None), "none")
            if kind != sent.kind and not (kind == "none" and sent.kind != "none"):
                yield Mismatch(
                    where, say("body"), say("of_kind", kind=kind), say("of_kind", kind=sent.kind)
                )
            elif kind == "none" and sent.kind != "none":
                yield Mismatch(where, say("body"), say("none"), say("of_kind", kind=sent.kind))
            else:
                body = whole.get(kind)
                texts = kind in ("form", "multipart")
                yield from self._object(where, as_texts(body) if texts else body, sent.body)
        if expected.files is not None or sent.kind == "multipart":
            yield from self._files(where, expected.files or (), sent.files)

    def _some(self, where: str, expected: CallExpected, sent: RecordedCall) -> Iterator[Mismatch]:
        got = flat(sent.body)
        texts = sent.kind in ("form", "multipart")
        for name, value in (expected.has or {}).items():
            wanted = flat(as_texts(value) if texts else value, name)
            for field, one in wanted.items():
                if not _same(one, got.get(field, ABSENT)):
                    yield self._difference(where, field, one, got.get(field, ABSENT))
        for name in expected.lacks:
            for field, one in got.items():
                if field == name or field.startswith((f"{name}.", f"{name}[")):
                    yield self._difference(where, field, ABSENT, one)

    def _object(
        self, where: str, expected: Json, got: Json, *, parameters: bool = False
    ) -> Iterator[Mismatch]:
        wanted, have = flat(expected), flat(got)
        for field in dict.fromkeys([*wanted, *have]):
            one, other = wanted.get(field, ABSENT), have.get(field, ABSENT)
            if not _same(one, other):
                found = self._difference(where, field, one, other)
                if parameters:
                    found = replace(found, field=say("parameter", name=field), place="")
                yield found

    def _difference(self, where: str, field: str, expected: Any, got: Any) -> Mismatch:
        return Mismatch(where, field, shown(expected), shown(got), self.place(field))

    def _files(
        self, where: str, expected: Sequence[FileExpected], sent: Sequence[FileSeen]
    ) -> Iterator[Mismatch]:
        for n in range(max(len(expected), len(sent))):
            wanted = expected[n] if n < len(expected) else None
            got = sent[n] if n < len(sent) else None
            yield from self._file(where, say("nth_file", n=n + 1), wanted, got)

    def _file(
        self,
        where: Words,
        name: Message,
        expected: FileExpected | None,
        got: FileSeen | None,
        *,
        named: bool = True,
    ) -> Iterator[Mismatch]:
        place = self.places.get("attachments", "")
        if expected is None or got is None:
            if (expected is None) != (got is None):
                yield Mismatch(
                    where,
                    name,
                    say("none") if expected is None else _expected_file(expected),
                    say("none") if got is None else say("a_file", name=got.filename, n=got.size),
                    place,
                )
            return
        pairs: list[tuple[str, object, object]] = [
            ("file_name", expected.filename if named else None, got.filename),
            ("file_type", expected.content_type, got.content_type),
            ("file_size", expected.size, got.size),
            ("file_sha256", expected.sha256, got.sha256[: len(expected.sha256 or "")]),
        ]
        for what, wanted, have in pairs:
            if wanted is not None and wanted != have:
                yield Mismatch(where, say(what, file=name), shown(wanted), shown(have), place)

    # --- portal -------------------------------------------------------------------------------

    def _portal(self, expected: PortalExpected | None) -> Iterator[Mismatch]:
        told = self.observed.told
        where = say("to_portal")
        if expected is None:
            for call in told:
                yield Mismatch(where, "", say("no_call"), _report_sentence(call), self.status_place)
            return
        if not told:
            wanted = _report(expected.statut, expected.hook or expected.jump or "")
            yield Mismatch(where, "", wanted, say("no_call"), self.status_place)
            return
        first = told[0]
        kind = "hook" if expected.hook is not None else "jump"
        for what, one, other in (
            (kind, expected.hook or expected.jump, first.name if first.kind == kind else None),
            ("statut", expected.statut, first.statut),
            ("message", expected.message, first.message),
        ):
            if one != other:
                yield Mismatch(where, what, shown(one), shown(other), self.status_place)
        yield from self._file(where, say("document"), expected.document, first.document)
        for call in told[1:]:
            yield Mismatch(where, "", say("one_call"), _report_sentence(call), self.status_place)

    def place(self, field: str) -> str:
        """Return the place of the rule that makes a field, as far as its name tells."""
        name = re.sub(r"\[\d+\]", "[]", field)
        if found := re.fullmatch(r"attribute\[(.+?)\](?:\[\])?", field):
            name = f"attributes.{found[1]}"
        while name:
            if name in self.places:
                return self.places[name]
            # A GRU that wraps the payload (`issue.subject`) keeps its names inside.
            inner = name
            while "." in inner:
                inner = inner.partition(".")[2]
                if inner in self.places:
                    return self.places[inner]
            name = name.rpartition(".")[0]
        return ""


def places_of(mapping: RequestMapping, event: EventKind) -> dict[str, str]:
    """Return the place of each target of the rules for an event."""
    found = {"attachments": mapping.place(mapping.attachments)}

    def add(rules: Sequence[Rule], prefix: str) -> None:
        for rule in rules:
            found[prefix + rule.name] = mapping.place(rule)
            if isinstance(rule.source, PerRow):
                add(rule.source.each, f"{prefix}{rule.name}[].")

    add(mapping.rules(event), "")
    return found


def flat(value: Json, prefix: str = "") -> dict[str, Json]:
    """Return every leaf by its path; a list without objects and an empty value are leaves."""
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


def quoted(text: str) -> Message:
    """Return a text in quotes of the reader's language."""
    return say("quoted", text=text)


def shown(value: Any) -> Words:
    """Return a value as its reader sees it."""
    if isinstance(value, _Absent):
        return say("nothing")
    if isinstance(value, str):
        return quoted(value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…")
    if value is None:
        return say("no_value")
    if isinstance(value, bool):
        return say("true" if value else "false")
    return json.dumps(value, ensure_ascii=False)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and (found := LENGTH.fullmatch(one)):
        return isinstance(other, str) and len(other) == int(found[1])
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other)


def _extra(sent: RecordedCall) -> Message:
    fields = ", ".join(list(flat(sent.body))[:8])
    planned = "" if sent.planned else "_unplanned"
    return say(f"a_call_with{planned}", fields=fields) if fields else say(f"a_call{planned}")


def _reason_given(stopped: StoppedDelivery) -> Message:
    if not stopped.detail:
        return quoted(stopped.reason)
    return say("reason_given", reason=stopped.reason, detail=stopped.detail)


def _expected_file(expected: FileExpected) -> Message:
    return quoted(expected.filename) if expected.filename else say("any_file")


def _report(status: str | None, by: str) -> Message:
    return say("a_note", by=by) if status is None else say("a_status", status=status, by=by)


def _report_sentence(told: PortalReport) -> Message:
    said = _report(told.statut, told.name)
    return say("with_message", said=said, text=told.message) if told.message else said
