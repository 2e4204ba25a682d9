"""Cases read from a bundle: `mappings/<teleservice>/<name>.cases/*.yaml`, with every fault at once.

A case says what happens and exactly what must leave. It is data: nothing in it is run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.catalogue.bundle import MAPPINGS
from gateway.catalogue.config_faults import validate
from gateway.catalogue.yaml_reader import Located, Path, load_yaml
from gateway.contracts.case_model import NOTHING, AnswerFile, CasesFile, Expected, Given
from gateway.contracts.texts import say
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.request import Json

BENCH = "bench.yaml"
_PLACE = re.compile(r"<([^\W\d]\w*)>")


@dataclass(frozen=True, slots=True)
class Bench:
    """The far end of a case: the adapter's options, and how the GRU answers.

    `options` None: those of the commune. `line` is where the options stand.
    """

    options: Mapping[str, Any] | None
    answers: tuple[AnswerFile, ...]
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a mapping. `expect` None: nothing must follow. `formdata` is what is pushed."""

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
        """The place of the case, to be opened."""
        return f"{self.file}:{self.line}"


def folder_of(mapping: str) -> str:
    """Return the folder of a mapping's cases in a bundle."""
    return f"{MAPPINGS}{mapping}.cases/"


def read_cases(bundle: Mapping[str, str], mapping: str) -> tuple[Case, ...]:
    """Read the cases of a mapping, in the order of their files; none when it has no folder.

    Raises ConfigurationFault with every fault at its file and line.
    """
    reader = _Reader(bundle, mapping)
    cases = tuple(reader.read())
    if reader.faults:
        raise ConfigurationFault(reader.faults)
    return cases


class _Reader:
    def __init__(self, bundle: Mapping[str, str], mapping: str) -> None:
        self.bundle = bundle
        self.mapping = mapping
        self.folder = folder_of(mapping)
        self.faults: list[Fault] = []
        self.titles: dict[tuple[str | None, str], str] = {}
        self.loaded: dict[str, Mapping[str, Json] | None] = {}

    def read(self) -> Iterator[Case]:
        bench_file, bench_located = self._file(self.folder + BENCH)
        for name in sorted(self.bundle):
            inside = name.removeprefix(self.folder)
            if inside in (name, BENCH) or not name.endswith(".yaml"):
                continue
            file, located = self._file(name)
            if file is None or located is None:
                continue
            if not file.cases:
                self.faults.append(located.fault((), say("no_case")))
            bench = self._bench(file, located, bench_file, bench_located)
            base = file.formdata or (bench_file.formdata if bench_file else None)
            for i in range(len(file.cases)):
                yield from self._cases(file, located, i, bench, base)
        if bench_file is not None and bench_located is not None and bench_file.cases:
            said = say("cases_in_bench", bench=BENCH)
            self.faults.append(bench_located.fault(("cases",), said))

    def _file(self, name: str) -> tuple[CasesFile | None, Located | None]:
        text = self.bundle.get(name)
        if text is None:
            return None, None
        try:
            located = load_yaml(text, name)
            return validate(CasesFile, located), located
        except ConfigurationFault as error:
            self.faults += error.faults
            return None, None

    def _bench(
        self,
        file: CasesFile,
        located: Located,
        shared: CasesFile | None,
        shared_located: Located | None,
    ) -> Bench:
        answers = file.answers + (shared.answers if shared else ())
        if file.commune is not None:
            if file.options is not None:
                self.faults.append(located.fault(("options",), say("own_options")))
            return Bench(None, answers, located.file, 1)
        if file.options is not None:
            return Bench(file.options, answers, located.file, located.line(("options",)))
        if shared is not None and shared_located is not None and shared.options is not None:
            line = shared_located.line(("options",))
            return Bench(shared.options, answers, shared_located.file, line)
        self.faults.append(located.fault((), say("no_options", bench=BENCH)))
        return Bench({}, answers, located.file, 1)

    def _cases(
        self, file: CasesFile, located: Located, i: int, bench: Bench, base: str | None
    ) -> Iterator[Case]:
        here: Path = ("cases", i)
        raw = located.value["cases"][i]
        written = file.cases[i]
        rows: list[tuple[Path, Mapping[str, Json]]] = [
            ((*here, "examples", n), row) for n, row in enumerate(written.examples)
        ]
        for path, row in rows or [(here, {})]:
            # HTML may stand in a case: outside of the title, only what a row names is a place.
            named = {name for one in written.examples for name in one}
            words = set(_words([raw.get("given"), raw["expect"]])) & named
            words |= set(_words(raw["title"])) if written.examples else set()
            if missing := sorted(words - set(row)):
                self.faults.append(located.fault(path, say("nothing_given", word=missing[0])))
                continue
            if unused := sorted(set(row) - words):
                self.faults.append(located.fault(path, say("row_unused", word=unused[0])))
                continue
            case = self._case(file, located, here, path, row, bench, base)
            if case is not None:
                yield case

    def _case(
        self,
        file: CasesFile,
        located: Located,
        here: Path,
        path: Path,
        row: Mapping[str, Json],
        bench: Bench,
        base: str | None,
    ) -> Case | None:
        raw = located.value["cases"][here[1]]
        title = str(_filled(raw["title"], row))
        twin = self.titles.setdefault((file.commune, title), f"{located.file}:{located.line(path)}")
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
            self.mapping, located.file, line, title, given, expect, formdata, bench, file.commune
        )

    def _formdata(self, name: str, located: Located, at: Path) -> Mapping[str, Json] | None:
        if name in self.loaded:
            return self.loaded[name]
        shared = f"{MAPPINGS}{self.mapping.partition('/')[0]}/"
        text = self.bundle.get(self.folder + name, self.bundle.get(shared + name))
        found: Any = None
        if text is None:
            said = say("no_file", name=name, folder=self.folder, shared=shared)
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


def _part(located: Located, path: Path, row: Mapping[str, Json], missing: Json) -> Located:
    """Return the part of a file below `path` with its placeholders filled, lines kept."""
    parent = located.value["cases"][path[1]]
    if path[-1] not in parent:
        return Located(missing, located.file, {(): located.line(path)})
    part = located.at(path)
    return Located(_filled(part.value, row), part.file, part.lines)


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
    """Return `value` with `<word>` replaced: as it is when it stands alone, as text within a
    text."""
    if isinstance(value, str):
        alone = _PLACE.fullmatch(value)
        if alone:
            return row.get(alone[1], value)
        return _PLACE.sub(lambda m: str(row.get(m[1], m[0])), value)
    if isinstance(value, dict):
        return {str(_filled(key, row)): _filled(inner, row) for key, inner in value.items()}
    return [_filled(inner, row) for inner in value] if isinstance(value, list) else value
