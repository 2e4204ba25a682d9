"""`contract`: run the cases of the mappings against the real code, and write the report to sign."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from structlog.testing import capture_logs

from gateway.catalogue.bundle import SETTINGS, read_bundle
from gateway.catalogue.parts import CatalogueParts
from gateway.catalogue.secrets import NeededSecrets
from gateway.cli.faults import Exit
from gateway.cli.half_connector import (
    BaseUrl,
    ClientSecret,
    Data,
    HalfConnector,
    HalfOptions,
    Mailbox,
    SigningSecrets,
    prove_half_connector,
)
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit, print_message, print_text, table, writing
from gateway.cli.setting import (
    CONFIG,
    MAPPINGS,
    Config,
    Mappings,
    in_place,
    load_parts,
    located,
    real_path,
)
from gateway.cli.texts import say
from gateway.cli.usage import Misuse
from gateway.contracts import report as reports
from gateway.contracts.live import Listen, Step, run_live
from gateway.contracts.report import ReportedRun
from gateway.contracts.run import CaseResult, Contract, ContractReport, weakness_sentence
from gateway.contracts.run import run as run_contracts
from gateway.core.errors import ConfigurationFault, GatewayError
from gateway.core.system_errors import system_error
from gateway.flow.engine import Engine
from gateway.ops.metrics import Metrics
from gateway.sim.server import run_server
from gateway.web.application import application
from gateway.web.state import DaemonCondition

app = typer.Typer(help="Contracts: cases beside the mappings, and their report.")

Commune = Annotated[str | None, typer.Option(metavar="INSEE", help="This commune's contracts.")]
Teleservice = Annotated[str | None, typer.Option(metavar="SLUG", help="Those of this form.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail on weak contracts, too.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who runs it; for the report.")]


class LiveTarget(StrEnum):
    """The instances that a live run may call."""

    TEST = "test"


@app.callback()
def _group() -> None:
    """Contracts: cases beside the mappings, and their report."""


@app.command()
def run(
    commune: Commune = None,
    teleservice: Teleservice = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what changed since it last passed.")
    ] = False,
    strict: Strict = False,
    weak: Annotated[
        bool, typer.Option("--weak/--no-weak", help="Look for rules that no case protects.")
    ] = True,
    live: Annotated[
        LiveTarget | None,
        typer.Option(help="Play a scenario on test instances, too (needs --commune)."),
    ] = None,
    formdata: Annotated[
        str | None, typer.Option(metavar="ID", help="--live: this formdata of the test portal.")
    ] = None,
    half_connector: HalfConnector = None,
    mailbox: Mailbox = False,
    secret: SigningSecrets = None,
    client_secret: ClientSecret = None,
    base_url: BaseUrl = None,
    data: Data = None,
    wait: Annotated[
        float,
        typer.Option(
            help="Seconds to wait for the other side to say something; 0: 30 for a half-connector.",
            min=0,
        ),
    ] = 0,
    listen: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS:PORT", help="Take the calls of the other side here."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report.")] = None,
    by: By = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell what hinders nothing, too.")
    ] = False,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
    as_json: AsJson = False,
) -> None:
    """Play the cases offline against the real code. Exit code 1 when one fails or is missing.

    Without a configuration, the mappings are run by themselves. With --half-connector or --mailbox,
    a half-connector of the pivot contract is proven instead: no configuration is read.
    """
    of_half = HalfOptions(
        half_connector,
        mailbox,
        secret or (),
        client_secret,
        listen,
        base_url,
        wait,
        data,
        commune,
        teleservice,
    )
    if of_half.wanted:
        prove_half_connector(of_half, html=html, junit=junit, by=by, as_json=as_json)
        return
    if live is not None and commune is None:
        raise Misuse(say("live_needs"))
    passed = Path("var") / "contracts-passed.json"
    known = _passed(passed) if changed else {}
    report = run_cases(commune, teleservice, known, config, mappings, weak=weak or strict)
    steps = None
    if live is not None and commune is not None:
        catalogue = _well(config, mappings, commune, NeededSecrets.ALL).catalogue
        with capture_logs():
            steps = asyncio.run(
                run_live(
                    catalogue,
                    commune,
                    teleservice=teleservice,
                    formdata=formdata,
                    wait=wait,
                    listen=None if listen is None else _listening(listen),
                    ask=lambda what: print_text(f"→ {what.what(language())}", err=True),
                )
            )
    if changed:
        _remember(passed, report)
    if html is not None:  # Signed, so the same wherever the files lie.
        _write(html, reports.as_html(ReportedRun(report, strict, by, steps)))
    told = ReportedRun(located_report(report, config, mappings), strict, by, steps)
    if junit is not None:
        _write(junit, reports.as_junit(told))
    if as_json:
        emit(reports.as_json(told))
    else:
        print_report(told, verbose=verbose)
    if steps and any(step.result == "fault" for step in steps):
        raise typer.Exit(Exit.FAR_END)
    if not told.passed:
        raise typer.Exit(Exit.NO)


@app.command()
def report(
    output: Annotated[Path, typer.Argument(metavar="FILE.html", help="Where to write it.")],
    commune: Commune = None,
    teleservice: Teleservice = None,
    strict: Strict = False,
    by: By = None,
    config: Config = CONFIG,
    mappings: Mappings = MAPPINGS,
) -> None:
    """Run, and write the acceptance report (procès-verbal de recette) to sign. Exit code as run."""
    told = ReportedRun(run_cases(commune, teleservice, {}, config, mappings, weak=True), strict, by)
    _write(output, reports.as_html(told))
    print_text(f"{output} ({_verdict(told)})")
    if not told.passed:
        raise typer.Exit(Exit.NO)


def _listening(where: str) -> Listen:
    """Takes calls at ADDRESS:PORT as the daemon does. Raises BadParameter for anything else."""
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Misuse(say("odd_listen", given=where))

    @asynccontextmanager
    async def listening(engine: Engine) -> AsyncIterator[str]:
        app = application(engine, DaemonCondition(ready=True), Metrics())
        try:
            async with run_server(app, int(port), host=host) as at:
                yield at.url
        except OSError as error:
            why = system_error(error)
            raise GatewayError(say("not_listening", place=where, error=why)) from None

    return listening


def run_cases(
    commune: str | None,
    teleservice: str | None,
    known: Mapping[str, str],
    config: Path,
    mappings: Path,
    *,
    weak: bool,
) -> ContractReport:
    """Play the cases of a commune or form, but for the `known` that passed. Raises
    ConfigurationFault."""
    bundle = _bundle(config, mappings, commune)
    with in_place(config, mappings), capture_logs():  # the logs are of invented requests
        return asyncio.run(
            run_contracts(
                bundle,
                commune=commune,
                teleservice=teleservice,
                weak=weak,
                skip=lambda key, digest: known.get(key) == digest,
            )
        )


def _well(config: Path, mappings: Path, commune: str, secrets: NeededSecrets) -> CatalogueParts:
    """Return the parts without faults. Raises ConfigurationFault for faults that concern the
    commune."""
    parts = load_parts(config, mappings, secrets=secrets)
    faults = [
        located(fault, config, mappings)
        for file, one in parts.communes.items()
        if one == commune
        for fault in parts.broken[file]
    ]
    if faults:
        raise ConfigurationFault(faults)
    return parts


def _bundle(config: Path, mappings: Path, commune: str | None) -> Mapping[str, str]:
    """Return all files; for one commune, only the files without faults."""
    if commune is not None:
        return _well(config, mappings, commune, NeededSecrets.NONE).bundle
    with in_place(config, mappings):
        try:
            return read_bundle(config, mappings)
        except ConfigurationFault as error:
            # An author's mappings can run before anything is configured.
            others = [f for f in error.faults if f.file not in (SETTINGS, "config/")]
            if others or (config / "gateway.yaml").exists():
                raise
        return read_bundle(None, mappings)


def _passed(file: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        found = json.loads(file.read_text("utf-8"))
        if isinstance(found, dict):
            return {str(key): str(digest) for key, digest in found.items()}
    return {}


def _remember(file: Path, report: ContractReport) -> None:
    known = _passed(file)
    for contract in report.contracts:
        if contract.failures:
            known.pop(contract.mapping, None)
        else:
            known[contract.mapping] = contract.digest
    _write(file, json.dumps(known, indent=2, sort_keys=True) + "\n")


def _write(file: Path, text: str) -> None:
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def located_report(report: ContractReport, config: Path, mappings: Path) -> ContractReport:
    """Return the run with the places of `located`: paths that can be opened."""

    def real(file: str) -> str:
        return real_path(file, config, mappings)

    def result_at(one: CaseResult) -> CaseResult:
        differences = tuple(replace(d, place=real(d.place)) for d in one.differences)
        return replace(one, file=real(one.file), differences=differences)

    def contract_at(one: Contract) -> Contract:
        results = tuple(map(result_at, one.results))
        weaknesses = tuple(replace(weak, file=real(weak.file)) for weak in one.weaknesses)
        return replace(one, file=real(one.file), results=results, weaknesses=weaknesses)

    return replace(
        report,
        contracts=tuple(map(contract_at, report.contracts)),
        lacking=tuple(located(fault, config, mappings) for fault in report.lacking),
    )


def print_report(told: ReportedRun, *, verbose: bool = False) -> None:
    """Print a run: failures, weak rules, totals."""
    report = told.report
    for contract in report.contracts:
        for result in contract.failures:
            print_text(f"✗ {result.title} ({result.file}:{result.line})")
            for difference in result.differences:
                print_text(f"    {difference.sentence(language())}")
    for fault in report.lacking:
        print_text(f"✗ {fault.told(language())}")
    for contract in report.contracts:
        for weakness in contract.weaknesses:
            print_text(f"! {weakness_sentence(contract, weakness).what(language())}")
    table(
        ("contract", "cases", "failed", "mutants", "weak", "digest"),
        [
            (
                contract.mapping,
                len(contract.results),
                len(contract.failures),
                contract.mutants,
                len(contract.weaknesses),
                contract.digest[:12],
            )
            for contract in report.contracts
        ],
        say("nothing_run"),
    )
    for notice in report.notices if verbose else ():
        print_message(say("note", notice=notice))
    if report.notices and not verbose:
        print_message(say("notes", count=len(report.notices)))
    for key in report.unchanged:
        print_message(say("unchanged", key=key))
    if told.live is not None:
        _print_live(told.live)
    print_text(_verdict(told))


def _print_live(steps: Sequence[Step]) -> None:
    table(
        ("teleservice", "step", "result", "detail"),
        [(s.teleservice, s.name, say(f"step_{s.result}"), s.detail) for s in steps],
        say("no_live_step"),
    )


def _verdict(told: ReportedRun) -> str:
    report = told.report
    count = sum(len(contract.results) for contract in report.contracts)
    failed = report.failed + len(report.lacking)
    word = "passed" if told.passed else "not_passed"
    counts = {"cases": count, "failed": failed, "weak": report.weak}
    return say(word, **counts, seconds=f"{report.seconds:.1f}").what(language())
