"""Mapping files read, checked and turned into `gateway.core.mapping.RequestMapping`."""

from __future__ import annotations

import re
from collections import abc
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any, Literal
from zoneinfo import ZoneInfo

from gateway.catalogue.bundle import is_mapping, mapping_key
from gateway.catalogue.config_faults import nearest, validate_all
from gateway.catalogue.mapping_bases import Texts, bases_of, merged
from gateway.catalogue.mapping_model import (
    NO_CHANGE,
    AttachmentsFile,
    CallFile,
    MappingFile,
    RuleFile,
    StatusFile,
)
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData, Path
from gateway.core.coordinates import SYSTEMS
from gateway.core.errors import ConfigurationFault, Fault
from gateway.core.expression import Expression, below
from gateway.core.filenames import NamePolicy
from gateway.core.mapping import (
    DOCUMENT_ROOTS,
    AttachmentChoice,
    Constant,
    FromPath,
    Join,
    LookupTable,
    NotesPublic,
    PerRow,
    PortalRules,
    Projection,
    RequestMapping,
    Rule,
    StatusRule,
    UnknownStatus,
    source_paths,
    status_key,
)
from gateway.core.messages import Given, Message
from gateway.core.personal import FieldPurpose, PersonalData
from gateway.core.request import EventKind
from gateway.core.status import FINAL, Status


@lru_cache(maxsize=256)
def load_mapping(text: str, file: str, bases: Texts = ()) -> RequestMapping:
    """Load the mapping in `text`; `file` (`mappings/<teleservice>/<name>.yaml`) names it, `bases`
    are the files that it extends. Many communes have the same, which is then one object.

    Raises `ConfigurationFault` with every fault at its file and line.
    """
    located = merged(text, file, bases)
    model, faults = validate_all(MappingFile, located)
    if model is None:
        raise ConfigurationFault(faults)
    return _Compiler(located, model, faults, tuple(name for name, _ in bases)).mapping()


def mapping_of(bundle: abc.Mapping[str, str], file: str) -> RequestMapping:
    """Load the mapping of a bundle's file with what it inherits. Raises as `load_mapping`."""
    return load_mapping(bundle[file], file, bases_of(bundle, file))


def load_mappings(
    bundle: abc.Mapping[str, str],
) -> tuple[dict[str, RequestMapping], dict[str, tuple[Fault, ...]]]:
    """Load the mappings of a bundle by key, with what is wrong with those that cannot be read."""
    found: dict[str, RequestMapping] = {}
    broken: dict[str, tuple[Fault, ...]] = {}
    for file in sorted(filter(is_mapping, bundle)):
        try:
            mapping = mapping_of(bundle, file)
        except ConfigurationFault as error:
            broken[mapping_key(file)] = error.faults
            continue
        if mapping.key in found:
            said = say("mapping_twice", key=mapping.key, file=found[mapping.key].file)
            broken[mapping_key(file)] = (Fault(file, 1, said),)
        found.setdefault(mapping.key, mapping)
    return found, broken


class _Compiler:
    """One validated file to its mapping; what pydantic cannot see is checked here."""

    def __init__(
        self,
        located: LocatedData,
        model: MappingFile,
        faults: Iterable[Fault],
        bases: tuple[str, ...] = (),
    ) -> None:
        self.located = located
        self.bases = bases
        self.model = model
        # The model lacks what these tell of, and is looked at for further ones.
        self.faults = [*faults]
        self.whole = not self.faults
        self.tables: dict[str, LookupTable] = {}
        #: Names at the first level of the document that the rules read.
        self.roots: set[str] = set()

    def fault(self, path: Path, said: Message) -> None:
        self.faults.append(self.located.fault(path, said))

    def place(self, path: Path) -> tuple[int, str]:
        """Return the line of `path`, and its file where it is not this one."""
        file, line, _ = self.located.place(path)
        return line, "" if file == self.located.file else file

    def written(self, key: str) -> abc.Mapping[str, Any]:
        """Give the content of a key of the first level, well or not."""
        found = self.located.value.get(key)
        return found if isinstance(found, dict) else {}

    def mapping(self) -> RequestMapping:
        model, file = self.model, PurePosixPath(self.located.file.replace("\\", "/"))
        folder = file.parent.name
        if folder not in {"", model.teleservice}:
            said = say("other_folder", folder=folder, slug=model.teleservice)
            self.fault(("teleservice",), said)
        for name, table in model.tables.items():
            line, at = self.place(("tables", name))
            self.tables[name] = LookupTable(name, line, dict(table.entries), table.default, at)
        found = RequestMapping(
            key=f"{model.teleservice}/{file.stem}",
            teleservice=model.teleservice,
            name=file.stem,
            adapter=model.adapter,
            version=model.version,
            file=self.located.file,
            description=model.description,
            tables=self.tables,
            submit=self.rules(model.submit, ("submit",), "", ("submit",)),
            amend={
                EventKind(kind): self.rules(targets, ("amend", kind), "", ("amend", kind))
                for kind, targets in model.amend.items()
            },
            attachments=self.attachments(),
            statuses=self.statuses(),
            unknown_status=model.unknown_status,
            notes=model.notes.public,
            portal=self.portal(),
            bases=self.bases,
            personal=self.personal(),
            reads_link="link" in self.roots,  # the last: the rules are read by now
        )
        if self.faults:
            raise ConfigurationFault(self.faults)
        return found

    def rules(
        self, targets: abc.Mapping[str, Any], path: Path, base: str, top: Path
    ) -> tuple[Rule, ...]:
        """Return the rules of one object of targets, nested ones flattened, checked against each
        other."""
        made: dict[tuple[str, ...], Rule] = {}
        for steps, value, at in self.flat(targets, (), path):
            rule = self.rule(steps, value, at, base)
            for other in made.values():
                common = min(len(steps), len(other.target))
                if steps[:common] == other.target[:common]:
                    word = "target_twice" if steps == other.target else "target_in_the_way"
                    self.fault(at, say(word, name=rule.name, line=other.line))
                    break
            made.setdefault(steps, rule)
        # Of an event, the adapter's options may say all there is to say.
        if not targets and top[0] != "amend" and self.whole:
            self.fault(path, say("no_rule", name=".".join(map(str, top))))
        return tuple(made.values())

    def flat(
        self, targets: abc.Mapping[str, Any], above: tuple[str, ...], path: Path
    ) -> Iterator[tuple[tuple[str, ...], Expression | RuleFile, Path]]:
        for name, value in targets.items():
            steps, at = (*above, *name.split(".")), (*path, name)
            if not all(steps) or set(name) & set("[]"):
                self.fault(at, say("no_target", name=name))
            elif isinstance(value, Expression | RuleFile):
                yield steps, value, at
            elif value:
                yield from self.flat(value, steps, at)
            elif self.whole:
                self.fault(at, say("no_rule", name=name))

    def rule(
        self, steps: tuple[str, ...], value: Expression | RuleFile, at: Path, base: str
    ) -> Rule:
        line, file = self.place(at)
        if isinstance(value, Expression):
            return Rule(steps, line, FromPath(self.expression(value, base, at)), file=file)
        here = "" if value.root else base
        source: FromPath | Constant | Join | PerRow
        if value.path is not None:
            source = FromPath(self.expression(value.path, here, (*at, "path")))
        elif value.join is not None:
            parts = [
                self.part(steps, part, (*at, "join", i), here) for i, part in enumerate(value.join)
            ]
            source = Join(tuple(parts), value.with_)
        elif value.rows is not None and value.each is not None:
            rows = self.expression(value.rows, here, (*at, "rows"))
            row = below(here, rows.item)
            each = (*at, "each")
            source = PerRow(rows, self.rules(value.each, each, row, (*steps, "each")))
        else:
            source = Constant(value.constant)
        table = None
        if value.table is not None:
            table = self.tables.get(value.table)
            if table is None and (self.whole or value.table not in self.written("tables")):
                cure = nearest(value.table, list(self.tables))
                self.fault((*at, "table"), say("no_table", name=value.table, cure=cure))
        return Rule(
            target=steps,
            line=line,
            source=source,
            root=value.root,
            when=None if value.when is None else self.expression(value.when, here, (*at, "when")),
            required=value.required,
            default=value.default,
            table=table,
            type=value.type,
            date=value.date,
            zone=ZoneInfo(value.zone) if value.date is not None else None,
            rich_text=value.rich_text,
            address=value.address,
            phone=value.phone,
            foreign=value.foreign,
            coordinates=_projection(value),
            unit=None if value.unit is None else (value.unit.from_, value.unit.to),
            max_length=value.max_length,
            length_in=value.length_in,
            too_long=value.too_long,
            file=file,
        )

    def part(
        self, steps: tuple[str, ...], value: Expression | RuleFile, at: Path, base: str
    ) -> Rule:
        if isinstance(value, RuleFile) and value.rows is not None:
            self.fault(at, say("rows_in_join"))
        return self.rule(steps, value, at, base)

    def expression(self, found: Expression, base: str, at: Path) -> Expression:
        if not base:
            for read in found.reads:
                root = re.split(r"[.\[]", read)[0]
                self.roots.add(root)
                if root not in DOCUMENT_ROOTS | {"@", "*"}:
                    cure = nearest(root, sorted(DOCUMENT_ROOTS))
                    self.fault(at, say("no_root", root=root, cure=cure))
        return found

    def attachments(self) -> AttachmentChoice:
        written = self.model.attachments
        line, file = self.place(("attachments",))
        if not isinstance(written, AttachmentsFile):
            return AttachmentChoice(None if written == "all" else (), line=line, file=file)
        patterns = []
        for text in written.fields:
            # A block's file is known as `enfants_raw.0.carnet`.
            exact = re.escape(text).replace(r"\[\*\]", r"\.[0-9]+")
            patterns.append((text, re.compile(exact)))
        names = written.names
        return AttachmentChoice(
            patterns=tuple(patterns),
            most=written.max,
            leave=written.beyond == "leave",
            line=line,
            file=file,
            names=None
            if names is None
            else NamePolicy(names.pattern, names.ascii, names.max_length),
        )

    def statuses(self) -> dict[str, StatusRule]:
        found: dict[str, StatusRule] = {}
        for word, written in self.model.statuses.items():
            line, file = self.place(("statuses", word))
            key = status_key(word)
            if key in found:
                said = say("status_twice", word=word, line=found[key].line)
                self.fault(("statuses", word), said)
                continue
            keys = isinstance(written, StatusFile)
            name = written.status if isinstance(written, StatusFile) else written
            message = written.message if isinstance(written, StatusFile) else None
            if name == NO_CHANGE and keys and message:
                self.fault(("statuses", word, "message"), say("ignored_message"))
            status = None if name == NO_CHANGE else Status(name)
            found[key] = StatusRule(status, message, line, file)
        return found

    def personal(self) -> PersonalData | None:
        written = self.model.personal_data
        if written is None:
            return None
        fields = []
        for pattern, told in written.fields.items():
            line, file = self.place(("personal_data", "fields", pattern))
            if isinstance(told, str):
                fields.append(FieldPurpose(pattern, told, line=line, file=file))
            else:
                kind = (told.category, told.basis)
                fields.append(FieldPurpose(pattern, told.purpose, *kind, line=line, file=file))
        return PersonalData(
            purpose=written.purpose,
            basis=written.basis,
            persons=tuple(written.persons),
            fields=tuple(fields),
            law=written.law,
            kept=written.kept,
        )

    def portal(self) -> PortalRules:
        written = self.model.portal
        line, file = self.place(("portal",))
        return PortalRules(
            hook=written.hook,
            document_hook=written.document_hook,
            mark=written.mark,
            triggers={Status(word): _call(call) for word, call in written.triggers.items()},
            words={Status(word): text for word, text in written.words.items()},
            line=line,
            file=file,
        )


def _projection(rule: RuleFile) -> Projection | None:
    if rule.coordinates is None:
        return None
    written = "decimals" in rule.model_fields_set
    degrees = SYSTEMS[rule.coordinates] is None and not written
    return Projection(rule.coordinates, rule.axis, 6 if degrees else rule.decimals)


def _call(call: CallFile) -> tuple[Literal["hook", "jump"], str]:
    return ("hook", call.hook) if call.hook is not None else ("jump", call.jump or "")


def lint(mapping: RequestMapping, *, referenced: bool | None = None) -> list[Fault]:
    """Warn of things that are allowed and probably not meant, sorted by line.

    `referenced`: does the adapter send our reference by itself wherever this mapping is used? None:
    nobody knows here.
    """
    found: list[Fault] = []

    def warn(line: int, word: str, /, **given: Given) -> None:
        found.append(Fault(mapping.file, line, say(word, **given)))

    used = {rule.table.name for rule in mapping.every_rule() if rule.table is not None}
    for table in mapping.tables.values():
        if table.name not in used:
            warn(table.line, "unused_table", name=table.name)
    if not referenced and not any(path.path == "id" for path in source_paths(mapping)):
        warn(1, "no_reference" if referenced is False else "no_reference_here")
    kinds = (EventKind.MESSAGE, EventKind.CHANGE, EventKind.CANCELLATION)
    dropped = [kind.value for kind in kinds if kind not in mapping.amend]
    if dropped:
        warn(1, "amend_dropped", kinds=tuple(dropped))
    reached = {rule.status for rule in mapping.statuses.values()}
    if mapping.statuses and not reached & FINAL:
        warn(1, "never_ends")
    if mapping.unknown_status is UnknownStatus.IGNORE:
        warn(1, "unknown_dropped")
    if mapping.notes is NotesPublic.ALWAYS:
        warn(1, "notes_always")
    if not mapping.portal.hook and not mapping.portal.triggers:
        warn(1, "never_told")
    for status in sorted(set(mapping.portal.triggers) | set(mapping.portal.words)):
        ours = {Status.RECEIVED, Status.TRANSMITTED, Status.IN_PROGRESS}
        if status not in reached | ours:
            warn(1, "word_unreached", status=status.value)
    return sorted(found)
