"""The figures of a separate daemon, from its own metrics and from the system."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx

from gateway.core.errors import GatewayError
from gateway.demo.stage import DaemonApart, Stage
from gateway.demo.texts import say
from gateway.sim.wscall import CALL_FAILURES

_ANSWERS = re.compile(
    r'^gru_gateway_http_answers_total\{.*?status="(5\d\d)".*?\} ([0-9.e+]+)$', re.MULTILINE
)
_GAUGE = "^gru_gateway_loop_{}_seconds ([0-9.e+-]+)$"


@dataclass(frozen=True, slots=True)
class DaemonFigures:
    """The loop's longest stall and wait in seconds, the memory now and at most in bytes, and the
    number of answers with a 5xx other than 503."""

    stall: float
    wait: float
    resident: int
    peak: int
    errors: int


async def read_metrics(url: str) -> str:
    """Return the metrics of the daemon at `url`. Raises GatewayError."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return (await client.get(f"{url}/ops/metrics")).raise_for_status().text
    except CALL_FAILURES as error:
        raise GatewayError(say("no_metrics", error=type(error).__name__)) from None


async def read_figures(stage: Stage) -> DaemonFigures:
    """Return the present figures. Raises GatewayError when the daemon does not answer."""
    if not isinstance(stage.daemon, DaemonApart):
        raise GatewayError(say("no_process"))
    text = await read_metrics(stage.url)
    try:
        resident, peak = stage.daemon.memory(), stage.daemon.memory("VmHWM")
    except OSError as error:
        raise GatewayError(say("unreadable_process", error=type(error).__name__)) from None
    return DaemonFigures(
        stall=_gauge("stall", text),
        wait=_gauge("wait", text),
        resident=resident,
        peak=peak,
        errors=sum(int(float(n)) for code, n in _ANSWERS.findall(text) if code != "503"),
    )


def _gauge(name: str, text: str) -> float:
    found = re.search(_GAUGE.format(name), text, re.MULTILINE)
    return float(found[1]) if found else 0.0
