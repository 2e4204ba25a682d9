"""Reads cases from a bundle: `mappings/<teleservice>/<name>.cases/*.yaml`, with every fault. A case
says what happens and exactly what must leave. It is data: it runs no code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.catalogue.bundle import MAPPINGS, mapping_key
from gateway.catalogue.config_faults import validate
from gateway.catalogue.mapping_bases import bases_of
from gateway.catalogue.yaml_reader import LocatedData, Path, load_yaml
from gateway.contracts.case_model import NOTHING, AnswerFile, CasesFile, Expected, Given
from gateway.contracts.texts import say
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.request import Json

BENCH = "bench.yaml"
_PLACE = re.compile(r"<([^\W\d]\w*)>")


@dataclass(frozen=True, slots=True)
class Bench:
    """The far end of a case: the adapter's options, and the GRU's answers. `options` None: the
    commune's own. `line` is where the options are."""

    options: Mapping[str, Any] | None
    answers: tuple[AnswerFile, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a mapping. `expect` None: nothing must follow. `formdata` is the pushed one."""

    mapping: str
    file: str
    line: int
    title: str
    given: Given
    expect: Expected | None
    formdata: Mapping[str, Json] = field(repr=False)
    bench: Bench = field(repr=False)
    commune: str | None = None

    @property
    def place(self) -> str:
        """The place of the case in its file."""
        return f"{self.file}:{self.line}"


def folder_of(mapping: str) -> str:
    """Return the folder of a mapping's cases in a bundle."""
    return f"{MAPPINGS}{mapping}.cases/"


def read_cases(bundle: Mapping[str, str], mapping: str) -> tuple[Case, ...]:
    """Read the cases of a mapping, in the order of their files; none without a folder. Raises
    ConfigurationFault with every fault at its file and line."""
    reader = _Reader(bundle, mapping)
    cases = tuple(reader.read())
    if reader.faults:
        raise ConfigurationFault(reader.faults)
    return cases


def bench_of(bundle: Mapping[str, str], mapping: str) -> Bench:
    """Read what the cases of a mapping share of the far end. Raises ConfigurationFault."""
    reader = _Reader(bundle, mapping)
    shared = reader.share()
    if reader.faults:
        raise ConfigurationFault(reader.faults)
    return Bench(shared.options, shared.answers, *shared.place)


@dataclass(frozen=True, slots=True)
class _Shared:
    """The content of `bench.yaml`, over that of extended mappings. `place` is where the options
    are."""

    options: Mapping[str, Any] | None = None
    answers: tuple[AnswerFile, ...] = ()
    words: Mapping[str, Json] = field(default_factory=dict)
    formdata: str | None = None
    commune: str | None = None
    place: tuple[str, int] = ("", 1)


class _Reader:
    def __init__(self, bundle: Mapping[str, str], mapping: str) -> None:
        self.bundle = bundle
        self.mapping = mapping
        own = f"{MAPPINGS}{mapping}.yaml"
        bases = [name for name, _ in bases_of(bundle, own)]
        self.folders = [folder_of(mapping_key(file)) for file in (own, *bases)]
        self.faults: list[Fault] = []
        self.titles: dict[tuple[str | None, str], str] = {}
        #: As written, of the mappings nearer than the one being read.
        self.nearer: set[str] = set()
        self.removed: dict[str, Fault] = {}
        self.loaded: dict[str, Mapping[str, Json] | None] = {}
        self.shared = _Shared()

    def share(self) -> _Shared:
        """Lay the benches over one another, the farthest first."""
        for folder in reversed(self.folders):
            self._share(folder)
        return self.shared

    def read(self) -> Iterator[Case]:
        self.share()
        for folder in self.folders:
            here: set[str] = set()
            for name in sorted(self.bundle):
                inside = name.removeprefix(folder)
                if inside in (name, BENCH) or not name.endswith(".yaml"):
                    continue
                file, located = self._file(name)
                if file is None or located is None:
                    continue
                if not file.cases:
                    self.faults.append(located.fault((), say("no_case")))
                bench, commune = self._bench(file, located)
                for i, written in enumerate(file.cases):
                    here.add(written.title)
                    if written.title in self.nearer:
                        self.removed.pop(written.title, None)
                    elif written.expect is None:
                        said = say("removes_no_case")
                        fault = located.fault(("cases", i, "expect"), said)
                        self.removed[written.title] = fault
                    else:
                        base = file.formdata or self.shared.formdata
                        yield from self._cases(file, located, i, bench, base, commune)
            self.nearer |= here
        self.faults += self.removed.values()

    def _file(self, name: str) -> tuple[CasesFile | None, LocatedData | None]:
        text = self.bundle.get(name)
        if text is None:
            return None, None
        try:
            located = load_yaml(text, name)
            return validate(CasesFile, located), located
        except ConfigurationFault as error:
            self.faults += error.faults
            return None, None

    def _share(self, folder: str) -> None:
        """Lay a folder's bench over those of the mappings that its own extends."""
        file, located = self._file(folder + BENCH)
        if file is None or located is None:
            return
        if file.cases:
            said = say("cases_in_bench", bench=BENCH)
            self.faults.append(located.fault(("cases",), said))
        below = self.shared
        options = file.options
        if options is not None and below.options is not None:
            options = _over(below.options, options)
        self.shared = _Shared(
            options=below.options if options is None else options,
            answers=file.answers + below.answers,
            words={**below.words, **file.words},
            formdata=file.formdata or below.formdata,
            commune=file.commune or below.commune,
            place=below.place if options is None else (located.file, located.line(("options",))),
        )

    def _bench(self, file: CasesFile, located: LocatedData) -> tuple[Bench, str | None]:
        """Return the far end of a file's cases, and the commune whose settings they use."""
        shared = self.shared
        answers = file.answers + shared.answers
        if file.commune is not None:
            if file.options is not None:
                self.faults.append(located.fault(("options",), say("own_options")))
            return Bench(None, answers, located.file, 1), file.commune
        if file.options is not None:
            line = located.line(("options",))
            return Bench(file.options, answers, located.file, line), None
        if shared.commune is not None:
            return Bench(None, answers, located.file, 1), shared.commune
        if shared.options is not None:
            return Bench(shared.options, answers, *shared.place), None
        self.faults.append(located.fault((), say("no_options", bench=BENCH)))
        return Bench({}, answers, located.file, 1), None

    def _cases(
        self,
        file: CasesFile,
        located: LocatedData,
        i: int,
        bench: Bench,
        base: str | None,
        commune: str | None,
    ) -> Iterator[Case]:
        here: Path = ("cases", i)
        raw = located.value["cases"][i]
        written = file.cases[i]
        rows: list[tuple[Path, Mapping[str, Json]]] = [
            ((*here, "examples", n), row) for n, row in enumerate(written.examples)
        ]
        for path, row in rows or [(here, {})]:
            # A case may hold HTML: outside of the title, only named words are placeholders.
            named = {name for one in written.examples for name in one}
            words = set(_words([raw.get("given"), raw["expect"]])) & named
            words |= set(_words(raw["title"])) if written.examples else set()
            if missing := sorted(words - set(row) - set(self.shared.words)):
                self.faults.append(located.fault(path, say("nothing_given", word=missing[0])))
                continue
            if unused := sorted(set(row) - words):
                self.faults.append(located.fault(path, say("row_unused", word=unused[0])))
                continue
            filled = {name: _filled(value, self.shared.words) for name, value in row.items()}
            known = {**self.shared.words, **filled}
            case = self._case(located, here, path, known, bench, base, commune)
            if case is not None:
                yield case

    def _case(
        self,
        located: LocatedData,
        here: Path,
        path: Path,
        row: Mapping[str, Json],
        bench: Bench,
        base: str | None,
        commune: str | None,
    ) -> Case | None:
        raw = located.value["cases"][here[1]]
        title = str(_filled(raw["title"], row))
        twin = self.titles.setdefault((commune, title), f"{located.file}:{located.line(path)}")
        if twin != f"{located.file}:{located.line(path)}":
            said = say("title_twice", place=twin)
            self.faults.append(located.fault((*here, "title"), said))
        try:
            given = validate(Given, _part(located, (*here, "given"), row, {}))
            expect = None
            if raw["expect"] != NOTHING:
                expect = validate(Expected, _part(located, (*here, "expect"), row, None))
        except ConfigurationFault as error:
            self.faults += error.faults
            return None
        if expect is not None and given.returns and expect.portal is None:
            self.faults.append(located.fault((*here, "expect"), say("expects_portal")))
            return None
        name = given.formdata or base
        at = (*here, "given", "formdata") if given.formdata else here
        if name is None:
            self.faults.append(located.fault(at, say("no_formdata")))
            return None
        formdata = self._formdata(name, located, at)
        if formdata is None:
            return None
        line = located.line(path)
        return Case(
            self.mapping, located.file, line, title, given, expect, formdata, bench, commune
        )

    def _formdata(self, name: str, located: LocatedData, at: Path) -> Mapping[str, Json] | None:
        if name in self.loaded:
            return self.loaded[name]
        shared = f"{MAPPINGS}{self.mapping.partition('/')[0]}/"
        places = (*self.folders, shared)
        text = next((self.bundle[at + name] for at in places if at + name in self.bundle), None)
        found: Any = None
        if text is None:
            said = say("no_file", name=name, folder=self.folders[0], shared=shared)
            self.faults.append(located.fault(at, said))
        else:
            try:
                found = json.loads(text)
            except ValueError as error:
                found = None
                line = getattr(error, "lineno", 1)
                self.faults.append(Fault(name, line, say("not_json")))
            else:
                if not isinstance(found, dict) or "id" not in found:
                    found = None
                    self.faults.append(Fault(name, 1, say("not_a_formdata")))
        self.loaded[name] = found
        return self.loaded[name]


def _part(located: LocatedData, path: Path, row: Mapping[str, Json], missing: Json) -> LocatedData:
    """Return the part of a file below `path` with its placeholders filled, and its lines."""
    parent = located.value["cases"][path[1]]
    if path[-1] not in parent:
        return LocatedData(missing, located.file, {(): located.line(path)})
    part = located.at(path)
    return LocatedData(_filled(part.value, row), part.file, part.lines)


def _over(below: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay keys over keys; null removes one."""
    found = {key: value for key, value in below.items() if key not in own}
    for key, value in own.items():
        under = below.get(key)
        if isinstance(value, dict) and isinstance(under, dict):
            found[key] = _over(under, value)
        elif value is not None:
            found[key] = value
    return found


def _words(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield from _PLACE.findall(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _words(key)
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)


def _filled(value: Json, row: Mapping[str, Json]) -> Json:
    """Replace `<word>` in `value`: by the value itself when it stands alone, by text within a
    text."""
    if isinstance(value, str):
        alone = _PLACE.fullmatch(value)
        if alone:
            return row.get(alone[1], value)
        return _PLACE.sub(lambda m: str(row.get(m[1], m[0])), value)
    if isinstance(value, dict):
        return {str(_filled(key, row)): _filled(inner, row) for key, inner in value.items()}
    return [_filled(inner, row) for inner in value] if isinstance(value, list) else value
