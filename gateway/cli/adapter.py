"""`adapter`: which kinds of GRU this gateway can speak to, and what is shown of each."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from gateway.catalogue.new_adapter import new_adapter
from gateway.catalogue.quality import (
    AdapterQuality,
    QualityState,
    read_quality,
    tier_of_results,
    write_quality,
)
from gateway.catalogue.registry import GROUP, survey
from gateway.cli.adapter_texts import say
from gateway.cli.language import language
from gateway.cli.output import AsJson, emit, print_message, print_text, table, writing
from gateway.core.errors import ConfigurationFault, GatewayError
from gateway.sdk import Adapter
from gateway.sdk.matrix import CHECKS, CheckResult, CheckState, MatrixCheck, Tier, run_matrix
from gateway.sdk.under_test import AdapterUnderTest

app = typer.Typer(help="Adapters, the plugins that speak to GRUs.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Adapters, the plugins that speak to GRUs."""


@app.command("list")
def show(as_json: AsJson = False) -> None:
    """The installed adapters, and their tiers. Exit code 3 when one of them cannot be used."""
    seen = survey()
    if seen.faults:
        raise ConfigurationFault(seen.faults)
    packages = {p.name: p.dist.name for p in entry_points(group=GROUP) if p.dist is not None}
    known = {kind: read_quality(adapter) for kind, adapter in seen.adapters.items()}
    rows = [
        {
            "kind": kind,
            "class": f"{adapter.__module__}.{adapter.__qualname__}",
            "package": packages.get(kind),
            "sdk": adapter.sdk,
            "tier": known[kind].tier.name.lower(),
            "results": known[kind].state.value,
            "options": sorted(adapter.Options.model_fields),
        }
        for kind, adapter in sorted(seen.adapters.items())
    ]
    if as_json:
        emit(rows)
        return
    table(
        ("kind", "tier", "sdk", "package", "module"),
        [
            (kind, _shown_tier(known[kind]), adapter.sdk, packages.get(kind), adapter.__module__)
            for kind, adapter in sorted(seen.adapters.items())
        ],
        say("none_installed"),
    )


def _shown_tier(known: AdapterQuality) -> str:
    word = {
        QualityState.CURRENT: f"tier_{known.tier.name.lower()}",
        QualityState.STALE: "stale",
        QualityState.EDITED: "edited",
        QualityState.NONE: "unknown",
    }[known.state]
    return say(word).what(language())


@app.command("checks")
def checks(as_json: AsJson = False) -> None:
    """The checks of the fault matrix: what each proves, and for which tier it counts."""
    rows = [
        {
            "check": one.name,
            "tier": one.tier.name.lower(),
            "needs": sorted(one.needs),
            "promise": one.promise.what(language()),
        }
        for one in CHECKS.values()
    ]
    if as_json:
        emit(rows)
        return
    shown = [(row["check"], _tier(CHECKS[str(row["check"])].tier), row["promise"]) for row in rows]
    table(("check", "tier", "promise"), shown, say("no_checks"))


@app.command("conformance")
def conformance(
    kind: Annotated[str, typer.Argument(help="The adapter's kind, as in `adapter list`.")],
    suites: Annotated[
        str | None,
        typer.Option(
            help="The module with its suite; else quality.yaml's, or PACKAGE.conformance."
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--check", help="A check's name, or a pattern: `submit.*`.")
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Keep the results in the adapter's quality.yaml.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the fault matrix against an adapter. Exit code 1 when a check fails."""
    if write and only:
        raise GatewayError(say("whole_only"))
    adapter = _adapter(kind)
    module, found = _suites(adapter, suites or read_quality(adapter).suites)
    results = asyncio.run(run_matrix(found, _chosen(only)))
    states = {result.check.name: result.state for result in results}
    http = any(suite.speaks_http for suite in found)
    tier = tier_of_results(states, http=http)
    if as_json:
        emit({"kind": kind, "tier": tier.name.lower(), "checks": [_row(one) for one in results]})
    else:
        _print(results, tier)
    if write:
        with writing(Path(kind)):
            file = write_quality(adapter, results, module, http=http)
        if not as_json:
            print_message(say("written", file=str(file)))
    if CheckState.FAILED in states.values():
        raise typer.Exit(1)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="The kind that a commune's file will name.")],
    into: Annotated[Path, typer.Option(help="The folder that the package is made in.")] = Path(),
) -> None:
    """Make a package for an adapter of your own, whose tests are green at once."""
    with writing(into):
        folder = new_adapter(name, into, frozenset(survey().adapters))
    print_message(say("made", folder=str(folder)))


def _adapter(kind: str) -> type[Adapter]:
    adapters = survey().adapters
    if kind not in adapters:
        raise GatewayError(say("no_adapter", kind=kind, installed=", ".join(sorted(adapters))))
    return adapters[kind]


def _suites(adapter: type[Adapter], named: str | None) -> tuple[str, list[AdapterUnderTest]]:
    """Return the module with the suites of an adapter, and these."""
    module = named or f"{adapter.__module__.rpartition('.')[0]}.conformance"
    sys.path.insert(0, "")  # as with `python -m`: tests lie in the folder that one is in
    try:
        loaded: ModuleType = importlib.import_module(module)
    except ImportError as error:
        raise GatewayError(
            say("no_suites", module=module, kind=adapter.kind, error=str(error))
        ) from None
    finally:
        sys.path.remove("")
    found = [
        one()
        for one in vars(loaded).values()
        if inspect.isclass(one)
        and issubclass(one, AdapterUnderTest)
        and not inspect.isabstract(one)
        and one.__module__ == loaded.__name__
        and getattr(one, "adapter_class", None) is adapter
    ]
    if not found:
        raise GatewayError(say("empty_suites", module=module, kind=adapter.kind))
    return module, found


def _chosen(patterns: Sequence[str] | None) -> list[MatrixCheck]:
    if not patterns:
        return list(CHECKS.values())
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in CHECKS):
            raise GatewayError(say("no_check", pattern=pattern))
    return [
        one for name, one in CHECKS.items() if any(fnmatch(name, pattern) for pattern in patterns)
    ]


def _row(result: CheckResult) -> dict[str, object]:
    return {
        "check": result.check.name,
        "tier": result.check.tier.name.lower(),
        "result": result.state.value,
        "promise": result.check.promise.what(language()),
        "detail": result.detail or None,
    }


def _print(results: Sequence[CheckResult], tier: Tier) -> None:
    table(
        ("check", "tier", "result", "promise"),
        [
            (
                one.check.name,
                _tier(one.check.tier),
                say(one.state.value).what(language()),
                one.check.promise.what(language()),
            )
            for one in results
        ],
        say("no_checks"),
    )
    print_text("")
    for one in results:
        if one.detail:
            print_message(say("detail", name=one.check.name, detail=one.detail))
    counts = {state: sum(one.state is state for one in results) for state in CheckState}
    summary = say(
        "summary",
        passed=counts[CheckState.PASSED],
        failed=counts[CheckState.FAILED],
        hidden=counts[CheckState.NOT_SHOWN],
        aside=counts[CheckState.DOES_NOT_APPLY],
        tier=_tier(tier),
    )
    print_message(summary)


def _tier(tier: Tier) -> str:
    return say(f"tier_{tier.name.lower()}").what(language())
