"""Runs the checks against a half-connector: one by one with push, all at once with a mailbox.

A program that fetches every ten seconds then costs one wait, and not fifty.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx

from gateway.contracts.half_connector import fetching, pushing, taking, telling
from gateway.contracts.half_connector.bench import HalfBench
from gateway.contracts.half_connector.checks import (
    CHECKS,
    Broken,
    HalfCheck,
    HalfReport,
    HalfResult,
    HalfState,
    Mode,
    Unshown,
)
from gateway.contracts.half_connector.invented import DATA, Citizens
from gateway.contracts.half_connector.our_side import OurSide
from gateway.contracts.half_connector.reached import ANSWER_TIME, FetchingHalf, PushedHalf
from gateway.contracts.half_connector.texts import say
from gateway.core.error_place import error_place
from gateway.core.messages import Message
from gateway.sdk.pivot_models import API_VERSION
from gateway.sim.server import run_server

#: The modules with checks, in the order of the report.
AREAS = (pushing, taking, fetching, telling)
#: Seconds of a run, at most.
LONGEST = 900.0
#: Reports progress: checks done, checks in all, and the current one.
Step = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class HalfSetting:
    """The half-connector, and the settings of the run.

    `url` None: it fetches. `secrets` sign, the new one first. `client_secret` is the one that it
    gives for a token. `listen` is our own address, None if it cannot reach us; `base_url` is the
    address under which it does.
    """

    url: str | None
    commune: str
    teleservice: str
    secrets: Sequence[str] = field(default=(), repr=False)
    client_secret: str | None = field(default=None, repr=False)
    listen: tuple[str, int] | None = None
    base_url: str | None = None
    wait: float = 30.0
    data: Mapping[str, Any] = field(default_factory=lambda: dict(DATA))

    @property
    def mode(self) -> Mode:
        return Mode.MAILBOX if self.url is None else Mode.PUSH


async def run_half_connector(
    setting: HalfSetting,
    step: Step = lambda done, of, name: None,
    listening: Callable[[str], None] = lambda url: None,
    only: Collection[str] = CHECKS.keys(),
) -> HalfReport:
    """Run the checks of the mode. `listening` is called with our address once it is open.

    Raises OSError if it cannot be opened.
    """
    began, clock = datetime.now(UTC), time.monotonic()
    chosen = [one for one in _ordered() if setting.mode in one.modes and one.name in only]
    async with _bench(setting) as bench:
        if bench.ours.base_url is not None:
            listening(bench.ours.base_url)
        results = await _Run(bench, setting.mode, step, clock + LONGEST).all(chosen)
        silence = _silence(bench)
    if silence is not None:
        results = [HalfResult(r.check, HalfState.NOT_SHOWN, say("not_reached"), 0) for r in results]
    return HalfReport(
        began,
        time.monotonic() - clock,
        setting.mode,
        setting.url,
        setting.commune,
        API_VERSION,
        tuple(results),
        silence,
    )


def _ordered() -> list[HalfCheck]:
    """Return all checks by area, in the order of the code."""
    areas = [area.__name__ for area in AREAS]
    return sorted(CHECKS.values(), key=lambda one: areas.index(one.run.__module__))


@cache
def _tls() -> ssl.SSLContext:
    """Return the trusted roots, read once: it takes a tenth of a second."""
    return ssl.create_default_context()


@asynccontextmanager
async def _bench(setting: HalfSetting) -> AsyncIterator[HalfBench]:
    ours = OurSide(setting.client_secret)
    ours.change_faults.extend(telling.BAD_DAY)
    citizens = Citizens(setting.commune, setting.teleservice, setting.data)
    timeout = httpx.Timeout(ANSWER_TIME)
    async with httpx.AsyncClient(verify=_tls(), timeout=timeout, trust_env=False) as client:
        half: PushedHalf | FetchingHalf
        if setting.url is None:
            half = FetchingHalf(ours, setting.wait)
        else:
            half = PushedHalf(setting.url, setting.secrets, client, setting.wait)
        bench = HalfBench(half, ours, citizens, setting.wait)
        if setting.listen is None:
            yield bench
            return
        host, port = setting.listen
        async with run_server(ours.app(), port, host=host) as at:
            ours.base_url = (setting.base_url or at.url).rstrip("/")
            yield bench


def _silence(bench: HalfBench) -> Message | None:
    """Return why there is nothing to judge; None where there is."""
    if isinstance(bench.half, PushedHalf):
        return None if bench.half.seen else say(f"silent_{bench.half.silence}")
    if bench.ours.asked_tokens:
        return None
    return say("silent_secret" if bench.ours.bad_secrets else "silent_mailbox")


@dataclass(slots=True)
class _Run:
    bench: HalfBench
    mode: Mode
    step: Step
    until: float
    done: int = 0

    async def all(self, chosen: Sequence[HalfCheck]) -> list[HalfResult]:
        """Run the checks, and return the results in their order."""
        found: dict[str, HalfResult] = {}
        early = [one for one in chosen if not one.late]
        if self.mode is Mode.MAILBOX:
            for result in await asyncio.gather(*(self._one(one, len(chosen)) for one in early)):
                found[result.check.name] = result
        else:
            for one in early:
                found[one.name] = await self._one(one, len(chosen))
                if not self.bench.pushed.seen:
                    break  # nobody is there: 40 more checks would wait 20 seconds each
        if self.mode is Mode.MAILBOX or self.bench.pushed.seen:
            for one in (one for one in chosen if one.late):
                found[one.name] = await self._one(one, len(chosen))
        self.step(len(chosen), len(chosen), "")
        nothing = say("not_reached")
        return [
            found.get(one.name) or HalfResult(one, HalfState.NOT_SHOWN, nothing, 0)
            for one in chosen
        ]

    async def _one(self, check: HalfCheck, of: int) -> HalfResult:
        if self.mode is Mode.PUSH or check.late:
            self.step(self.done, of, check.name)
        began = time.monotonic()
        state, said = HalfState.PASSED, None
        try:
            async with asyncio.timeout(max(0.0, self.until - began)):
                await check.run(self.bench)
        except Broken as error:
            state, said = HalfState.FAILED, error.said
        except Unshown as error:
            state, said = HalfState.NOT_SHOWN, error.said
        except TimeoutError:
            state, said = HalfState.NOT_SHOWN, say("no_time", seconds=f"{LONGEST:.0f}")
        except Exception as error:
            # A bug in one check costs that check alone.
            named = {"error": type(error).__name__, "place": error_place(error)}
            state, said = HalfState.FAILED, say("check_bug", **named)
        self.done += 1
        if self.mode is Mode.MAILBOX and not check.late:
            self.step(self.done - 1, of, check.name)
        return HalfResult(check, state, said, time.monotonic() - began)
