"""`deploy/alerts.yaml` and `deploy/grafana.json`: what they ask for is exported so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.test_operators import PAGES, anchors
from tests.life import ROOT
from tests.web.harness import gateway, small

#: What Prometheus itself adds.
_TARGET = frozenset({"instance", "job"})
_METRIC = re.compile(r"\bgru_gateway_\w+")
#: `name{label="value", ...}`, and the groupings `by (label, ...)`.
_SELECTOR = re.compile(r"(\bgru_gateway_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_GROUPING = re.compile(r"\b(?:by|without) \(([^)]*)\)")
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


@cache
def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text("utf-8"))[
        "groups"
    ][0]["rules"]
    return found


@cache
def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "deploy/grafana.json").read_text("utf-8"))
    return found


def asked() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield where an expression stands, the expression, and the labels that its text shows."""
    for rule in rules():
        shown = _SHOWN.findall(" ".join(rule["annotations"].values()))
        yield rule["alert"], rule["expr"], frozenset(shown)
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            shown = _SHOWN.findall(target["legendFormat"])
            yield panel["title"], target["expr"], frozenset(shown)
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["query"]["query"], frozenset()


async def exported(folder: Path, template: Path) -> Mapping[str, frozenset[str]]:
    """Return the names of a scrape, each with its labels."""
    async with gateway(folder, template) as gw:
        assert (await gw.push(small())).status_code == 201
        scraped = (await gw.client.get("/ops/metrics")).text
        labels: dict[str, frozenset[str]] = {}
        registry = gw.app.state.web.metrics.registry
        for collector in registry._collector_to_names:  # noqa: SLF001 - has no other list
            for declared in collector.describe():
                labels[declared.name] = frozenset(collector._labelnames)  # noqa: SLF001
    found: dict[str, frozenset[str]] = {}
    for family in text_string_to_metric_families(scraped):
        if family.name.endswith("_created"):  # when a series began
            continue
        mine = labels[family.name]
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
        for suffix in suffixes.get(family.type, ("",)):
            found[family.name + suffix] = mine | ({"le"} if suffix == "_bucket" else set())
        for sample in family.samples:
            assert set(sample.labels) <= found.get(sample.name, mine)
    return found


async def test_what_is_asked_for_is_exported_with_its_labels(
    tmp_path: Path, template: Path
) -> None:
    there = await exported(tmp_path, template)
    seen = 0
    for place, expr, shown in asked():
        labels: set[str] = set()
        for name, matchers in _SELECTOR.findall(expr):
            assert name in there, (place, name)
            labels |= there[name]
            assert set(_MATCHER.findall(matchers)) <= there[name] | _TARGET, (place, name)
            seen += 1
        grouped = {one.strip() for part in _GROUPING.findall(expr) for one in part.split(",")}
        assert grouped <= labels | _TARGET, (place, grouped)
        # A label that was grouped away would show as nothing.
        assert shown <= (grouped if grouped else labels | _TARGET), (place, shown)
    assert seen > 50
    # And nothing is exported that nobody looks at.
    drawn = {name for _, expr, _ in asked() for name in _METRIC.findall(expr)}
    for name in there:
        stem = re.sub(r"_(?:bucket|count|sum)$", "", name)
        assert any(one.startswith(stem) for one in drawn), name


def test_panels_lie_side_by_side_within_the_grid() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["description"], panel["title"]


def test_each_alert_leads_to_its_part_of_both_pages() -> None:
    assert len(rules()) > 10
    english, french = PAGES
    for rule in rules():
        anchor = rule["alert"].lower()
        assert rule["annotations"]["runbook"] == f"{french}#{anchor}"
        assert rule["annotations"]["runbook_en"] == f"{english}#{anchor}"
        for page in PAGES:
            assert anchor in anchors(page), (page, anchor)
    for page in PAGES:
        told = {one for one in anchors(page) if one.startswith("gateway")}
        assert told == {rule["alert"].lower() for rule in rules()}


def test_each_alert_is_made_to_fire() -> None:
    tests = yaml.safe_load((ROOT / "deploy/alerts.test.yaml").read_text("utf-8"))["tests"]
    fired = str(tests[-1]["promql_expr_test"])
    for rule in rules():
        assert f'alertname="{rule["alert"]}"' in fired, rule["alert"]
