"""Reports a run: JSON, JUnit, and the French acceptance report that a commune signs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gateway.contracts.compare import in_words
from gateway.contracts.live import Step
from gateway.contracts.run import Contract, ContractReport, weakness_sentence

_PARIS = ZoneInfo("Europe/Paris")
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août"),
    *("septembre", "octobre", "novembre", "décembre"),
)
#: Blanks of French typography at which no line may end.
_UNBROKEN = re.compile(r"(?<=«) | (?=[»:;?!])")
STEP_WORDS = {"ok": "conforme", "fault": "échec", "skipped": "sans objet", "todo": "à faire"}


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A run to report; with `strict`, a weak contract does not pass."""

    report: ContractReport
    strict: bool = False
    by: str | None = None
    live: Sequence[Step] | None = None

    @property
    def passed(self) -> bool:
        live = all(step.result != "fault" for step in self.live or ())
        return live and self.report.passed(strict=self.strict)


def as_json(told: ReportedRun) -> dict[str, Any]:
    """Return the run for scripts."""
    report = told.report
    return {
        "ok": told.passed,
        "at": report.at,
        "seconds": round(report.seconds, 3),
        "commune": None if report.commune is None else report.commune[0],
        "release": report.release if told.passed else None,
        "strict": told.strict,
        "contracts": [_contract_json(contract) for contract in report.contracts],
        "lacking": report.lacking,
        "unchanged": report.unchanged,
        "notices": report.notices,
        "live": told.live,
    }


def _contract_json(contract: Contract) -> dict[str, Any]:
    return {
        "mapping": contract.mapping,
        "file": contract.file,
        "version": contract.version,
        "adapter": contract.adapter,
        "adapter_version": contract.adapter_version,
        "digest": contract.digest,
        "communes": [insee for insee, _ in contract.communes],
        "cases": [
            {
                "title": result.title,
                "file": result.file,
                "line": result.line,
                "ok": result.holds,
                "leaves": result.leaves,
                "seconds": round(result.seconds, 3),
                "differences": result.differences,
            }
            for result in contract.results
        ],
        "mutants": contract.mutants,
        "weaknesses": contract.weaknesses,
    }


def as_junit(told: ReportedRun) -> str:
    """Return the run as JUnit XML for a CI: one suite per contract; weak rules fail when strict."""
    root = ElementTree.Element("testsuites", name="contracts")
    for contract in told.report.contracts:
        weak = contract.weaknesses if told.strict else ()
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=contract.mapping,
            tests=str(len(contract.results) + len(weak)),
            failures=str(len(contract.failures) + len(weak)),
            errors="0",
            time=f"{sum(result.seconds for result in contract.results):.3f}",
            timestamp=told.report.at.isoformat(timespec="seconds"),
        )
        for result in contract.results:
            case = _junit_case(suite, contract, result.title, f"{result.seconds:.3f}")
            case.set("file", result.file)
            case.set("line", str(result.line))
            if not result.holds:
                sentences = [d.sentence() for d in result.differences]
                failure = ElementTree.SubElement(case, "failure", message=sentences[0])
                failure.text = "\n".join([f"{result.file}:{result.line}", *sentences])
        for weakness in weak:
            case = _junit_case(suite, contract, weakness.text.what("fr"), "0")
            sentence = weakness_sentence(contract, weakness).what("fr")
            ElementTree.SubElement(case, "failure", message=sentence).text = sentence
    for fault in told.report.lacking:
        suite = ElementTree.SubElement(
            root, "testsuite", name=fault.file, tests="1", failures="1", errors="0"
        )
        case = ElementTree.SubElement(suite, "testcase", classname=fault.file, name="contrat")
        ElementTree.SubElement(case, "failure", message=fault.said.what("fr")).text = fault.told(
            "fr"
        )
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _junit_case(
    suite: ElementTree.Element, contract: Contract, name: str, seconds: str
) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", classname=contract.mapping.replace("/", "."), name=name, time=seconds
    )


def as_html(told: ReportedRun) -> str:
    """Return the *procès-verbal de recette*: one file, for browsers and A4 paper."""
    report = told.report
    communes = sorted({c for contract in report.contracts for c in contract.communes})
    return render_page(
        "report.html.j2",
        told=told,
        report=report,
        communes=[report.commune] if report.commune else communes,
        count=sum(len(contract.results) for contract in report.contracts),
        mutants=sum(contract.mutants for contract in report.contracts),
        words=STEP_WORDS,
    )


def render_page(template: str, **values: object) -> str:
    """Return a page of this folder's templates, in French typography."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["french"] = french
    environment.filters["words"] = partial(in_words, language="fr")
    page = environment.get_template(template).render(**values)
    head, style, body = page.partition("</style>")
    return head + style + _UNBROKEN.sub("\u00a0", body)


def month_name(month: date) -> str:
    """Return a month in French."""
    return f"{_MONTHS[month.month - 1]} {month.year}"


def french(at: datetime) -> str:
    """Return a moment in French, in Paris time."""
    local = at.astimezone(_PARIS)
    day = "1er" if local.day == 1 else str(local.day)
    return f"{day} {_MONTHS[local.month - 1]} {local.year} à {local:%H h %M}"
