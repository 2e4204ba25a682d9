"""Reports a run against a half-connector: JSON, JUnit, and the French report for signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from gateway.contracts.half_connector.checks import HalfReport, HalfResult, HalfState
from gateway.contracts.report import render_page
from gateway.core.messages import Language

STATE_WORDS = {
    HalfState.PASSED: "✓ conforme",
    HalfState.FAILED: "✗ échec",
    HalfState.NOT_SHOWN: "non montré",
}


@dataclass(frozen=True, slots=True)
class ReportedHalf:
    """A run to report; `by` is the person who runs it."""

    report: HalfReport
    by: str | None = None

    @property
    def passed(self) -> bool:
        return self.report.passed


def half_json(told: ReportedHalf, language: Language) -> dict[str, Any]:
    """Return the run for scripts, with sentences in this language."""
    report = told.report
    return {
        "ok": report.passed,
        "at": report.at,
        "seconds": round(report.seconds, 3),
        "mode": report.mode,
        "where": report.where,
        "commune": report.commune,
        "contract": report.version,
        "reached": report.reached,
        "silence": None if report.silence is None else report.silence.word,
        "checks": [_check_json(one, language) for one in report.results],
    }


def _check_json(one: HalfResult, language: Language) -> dict[str, Any]:
    return {
        "check": one.check.name,
        "section": one.check.section,
        "promise": one.check.promise.what(language),
        "state": one.state,
        "reason": None if one.said is None else one.said.word,
        "seen": None if one.said is None else one.said.what(language),
        "remedy": None if one.said is None else one.said.remedy(language),
        "seconds": round(one.seconds, 3),
    }


def half_junit(told: ReportedHalf) -> str:
    """Return the run as JUnit XML for a CI; a check that was not shown counts as skipped."""
    report = told.report
    root = ElementTree.Element("testsuites", name="half-connector")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=f"pivot {report.version} {report.mode.value}",
        tests=str(len(report.results)),
        failures=str(report.count(HalfState.FAILED)),
        skipped=str(report.count(HalfState.NOT_SHOWN)),
        errors="0",
        time=f"{report.seconds:.3f}",
        timestamp=report.at.isoformat(timespec="seconds"),
    )
    for one in report.results:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=one.check.section,
            name=f"{one.check.name}: {one.check.promise.what('fr')}",
            time=f"{one.seconds:.3f}",
        )
        if one.said is not None:
            word = "failure" if one.state is HalfState.FAILED else "skipped"
            said = one.said.told("fr")
            ElementTree.SubElement(case, word, message=said).text = said
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def half_html(told: ReportedHalf) -> str:
    """Return the *procès-verbal*: one file, for browsers and A4 paper."""
    report = told.report
    return render_page(
        "half_connector.html.j2",
        told=told,
        report=report,
        words=STATE_WORDS,
        failed=report.count(HalfState.FAILED),
        not_shown=report.count(HalfState.NOT_SHOWN),
        passed=report.count(HalfState.PASSED),
    )
