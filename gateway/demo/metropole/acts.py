"""The acts of an operator on a Monday morning, while citizens go on sending."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.core import reasons
from gateway.core.errors import GatewayError
from gateway.core.messages import Message
from gateway.demo.bad_answers import page
from gateway.demo.files import write_secrets
from gateway.demo.metropole.files import BackOffice, Member, edit
from gateway.demo.metropole.load import Load, TimedPush
from gateway.demo.metropole.stage import CommandResult, SimulatedGru, Town
from gateway.demo.samples import ANOMALY
from gateway.demo.texts import say

AGREED = ("--by", "Camille Exemple", "--function", "DGS", "--means", "courriel")
#: The shared line, before and after the change, in the mapping and its cases.
LINE = ("Une intervention est programmée.", "Une intervention est prévue.")
#: Seconds within which a daemon takes what was applied, by its own promise.
TAKEN = 10.0
#: Longer than a call may take.
HANG = 8.0
#: Seconds within which a mended GRU gets something again.
PATIENCE = 90.0


async def _hangs(gru: SimulatedGru) -> None:
    gru.faults.slow(HANG)


async def _breaks(gru: SimulatedGru) -> None:
    gru.faults.fail(500)


async def _denies(gru: SimulatedGru) -> None:
    gru.faults.fail(401)


async def _begs_off(gru: SimulatedGru) -> None:
    gru.faults.fail(503, retry_after=30)


async def _babbles(gru: SimulatedGru) -> None:
    gru.faults.say(page(201, b"<html>Maintenance</html>"))


#: The ways in which a GRU fails, by the expected reason.
FAILURES: Mapping[str, Callable[[SimulatedGru], Awaitable[None]]] = {
    "connection_refused": SimulatedGru.shut,
    "timeout": _hangs,
    "far_end_error": _breaks,
    "access_denied": _denies,
    "busy": _begs_off,
    "unreadable_answer": _babbles,
}


@dataclass(slots=True)
class Act:
    """One act: its time on our clock, its communes, the daemon's memory in MB, and more."""

    name: str
    begin: float
    memory: list[float]
    concerned: frozenset[str]
    end: float = 0.0
    seconds: float = 0.0
    #: The daemon's processor seconds.
    daemon_cpu: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)
    commands: list[CommandResult] = field(default_factory=list)


@dataclass(slots=True)
class Operator:
    """The operator."""

    town: Town
    load: Load
    acts: list[Act] = field(default_factory=list)

    @asynccontextmanager
    async def _act(
        self, name: str, text: Message, concerned: Collection[Member] = ()
    ) -> AsyncIterator[Act]:
        """Measure an act. Its time ends with the block, and the daemon is watched for a while after
        it.

        Raises GatewayError when interrupted.
        """
        town = self.town
        town.story.title(text)
        act = Act(
            name,
            time.monotonic(),
            [_megabytes(town)],
            frozenset(one.insee for one in concerned),
        )
        self.acts.append(act)
        worked = town.daemon.worked()
        yield act
        act.seconds = round(time.monotonic() - act.begin, 1)
        await self.wait(town.pause)
        act.end = time.monotonic()
        act.memory.append(_megabytes(town))
        act.daemon_cpu = round(town.daemon.worked() - worked, 1)

    async def wait(self, seconds: float) -> None:
        """Wait. Raises GatewayError when somebody interrupts, or the daemon is gone."""
        try:
            async with asyncio.timeout(seconds):
                await self.town.stop.wait()
        except TimeoutError:
            self.town.daemon.pid  # noqa: B018 (raises when it is gone)
            return
        raise GatewayError(say("interrupted"))

    async def _run(self, act: Act, *arguments: str, may_refuse: bool = False) -> CommandResult:
        done = await self.town.command(*arguments)
        act.commands.append(done)
        if done.code and not (may_refuse and done.code == 1):
            raise GatewayError(f"{' '.join(arguments)}: exit {done.code}\n{done.err or done.out}")
        return done

    # --- the acts ---------------------------------------------------------------------------------

    async def quiet(self) -> None:
        """Let citizens send, and do nothing."""
        async with self._act("quiet", say("nothing_else")):
            await self.wait(self.town.pause)

    async def connect(self, those: Sequence[Member], name: str) -> None:
        """Connect communes: plan, get a refusal without an agreement, sign, apply."""
        text = say("connected", count=len(those))
        async with self._act(name, text, those) as act:
            named = [word for one in those for word in ("--commune", one.insee)]
            planned = await self._run(act, "release", "plan")
            refused = await self._run(act, "release", "apply", *named, may_refuse=True)
            signed = await self._run(act, "release", "sign", *(m.insee for m in those), *AGREED)
            applied = await self._run(act, "release", "apply", *named)
            act.told |= {
                "plan_s": planned.seconds,
                "plan_lines": planned.lines,
                "refuse_s": refused.seconds,
                "sign_s": signed.seconds,
                "apply_s": applied.seconds,
                "running_s": await self._running(those),
            }
        self.load.serving += those

    async def shared_change(self) -> None:
        """Change a line of a mapping that many communes share: it is shown once, signed,
        applied."""
        town = self.town
        those = [one for one in town.members if one.kind is BackOffice.REST]
        text = say("shared_line", count=len(those))
        async with self._act("shared_change", text, those) as act:
            edit(town.mappings / ANOMALY / "rest.yaml", *LINE)
            edit(town.mappings / ANOMALY / "rest.cases" / "3-retours.yaml", *LINE)
            planned = await self._run(act, "release", "plan")
            shared = ("--mapping", f"{ANOMALY}/rest")
            signed = await self._run(act, "release", "sign", *shared, *AGREED)
            applied = await self._run(act, "release", "apply", *shared)
            act.told |= {
                "communes": len(those),
                "plan_s": planned.seconds,
                "plan_lines": planned.lines,
                "times_told": planned.out.count(f"{ANOMALY}/rest.yaml:"),
                "sign_s": signed.seconds,
                "apply_s": applied.seconds,
                "running_s": await self._running(those),
            }

    async def rollback(self) -> None:
        """Roll one of the communes back."""
        one = next(one for one in self.town.members if one.kind is BackOffice.REST)
        async with self._act("rollback", say("goes_back", name=one.name), [one]) as act:
            done = await self._run(act, "release", "rollback", one.insee)
            act.told |= {"rollback_s": done.seconds, "running_s": await self._running([one])}

    async def key_changed(self) -> None:
        """Replace a commune's key: both keys are valid for a while, and its portal changes over."""
        town = self.town
        one = next(one for one in town.members if one.kind is BackOffice.OPEN311)
        async with self._act("key_changed", say("another_key", name=one.name), [one]) as act:
            old = f"{town.folder}/secrets/{one.insee}-key"
            new = f"{old}-2"
            value = write_secrets(town.folder, [f"{one.insee}-key-2"]).popitem()[1]
            edit(town.file_of(one), f"key: file:{old}", f'key: ["file:{new}", "file:{old}"]')
            first = await self._run(act, "release", "apply", "--commune", one.insee)
            await self.wait(TAKEN)
            town.keys[one.insee] = value
            await self.wait(town.pause)
            edit(town.file_of(one), f'key: ["file:{new}", "file:{old}"]', f"key: file:{new}")
            last = await self._run(act, "release", "apply", "--commune", one.insee)
            act.told |= {"apply_s": [first.seconds, last.seconds]}

    async def failing(self) -> None:
        """Let some GRUs fail, each in its own way, and heal. `why` explains each one, and
        everything is sent."""
        town = self.town
        able = [one for one in reversed(town.members) if one.kind is not BackOffice.DEMO]
        those = able[: max(1, min(len(FAILURES), len(town.members) // 8))]
        names = tuple(one.name for one in those)
        async with self._act("failing", say("grus_fail", names=names), those) as act:
            broken = list(zip(those, FAILURES.items(), strict=False))
            for member, (_, failure) in broken:
                for gru in town.grus[member.insee].values():
                    await failure(gru)
            await self.wait(2 * town.pause)
            begun = time.monotonic()
            wrong = [
                told
                for member, (word, _) in broken
                if (told := await self._why(act, member, word)) is not None
            ]
            act.told["why_s"] = round(time.monotonic() - begun, 1)
            act.told["why_wrong"] = wrong
            # The deliveries die in the end.
            await self.wait(2 * town.pause)
            dead = await self._run(act, "outbox", "list", "--state", "dead", "--json")
            town.story.say("operator", say("mended"))
            for member in those:
                for gru in town.grus[member.insee].values():
                    gru.faults.clear()
                    await gru.open()
            before = {m.insee: self._at(m) for m in those}
            probed = {}
            for member in those:
                await self._run(act, "commune", "probe", member.insee)
                probed[member.insee] = datetime.now(UTC)
            replayed = await self._run(act, "outbox", "replay", "--all")
            over = time.monotonic() + PATIENCE
            while any(self._at(m) == before[m.insee] for m in those) and time.monotonic() < over:
                await self.wait(0.2)
            again = [self._first(m, before[m.insee]) - probed[m.insee] for m in those]
            act.told |= {
                "communes": len(those),
                "dead": len(dead.json()),
                "replay_s": replayed.seconds,
                # After the command's end for the slowest; below zero: before it.
                "first_again_s": round(max(one.total_seconds() for one in again), 1),
            }

    # --- looking ----------------------------------------------------------------------------------

    def _at(self, member: Member) -> int:
        """Return the number of requests at its GRUs."""
        return len(self._arrived(member))

    def _first(self, member: Member, before: int) -> datetime:
        """Return the time at which its GRUs got the first request after this number; now if none
        came."""
        return next(iter(self._arrived(member)[before:]), datetime.now(UTC))

    def _arrived(self, member: Member) -> list[datetime]:
        grus = self.town.grus[member.insee].values()
        return sorted(at for gru in grus for at in gru.arrived())

    async def _running(self, those: Sequence[Member]) -> float:
        """Wait until the daemon runs the active releases of these communes. Return the seconds."""
        begun, wanted = time.monotonic(), {one.insee for one in those}
        while True:
            found = (await self.town.command("release", "list", "--json")).json()
            if wanted <= {one["commune"] for one in found if one["runs"] == "yes"}:
                return round(time.monotonic() - begun, 1)
            await self.wait(0.5)

    async def _why(self, act: Act, member: Member, word: str) -> str | None:
        """Return the reason that `request why` gives for a waiting request, if it is another
        one."""
        held = self.town.held()
        waits = next((s for s in self.load.sent if _waits(s, member, held)), None)
        if waits is None or waits.reference is None:
            return f"{member.name}: nothing waits"
        causes = (await self._run(act, "request", "why", waits.reference, "--json")).json()
        right = reasons.of(word).en
        if any(cause["code"] == word or right in cause["text"] for cause in causes):
            return None
        said = "; ".join(f"{cause['code']}: {cause['text']}" for cause in causes)
        return f"{member.name}, {word}: {said}"


def _waits(sent: TimedPush, member: Member, held: Collection[str]) -> bool:
    return sent.insee == member.insee and not sent.refused and sent.reference not in held


def _megabytes(town: Town) -> float:
    return round(town.daemon.memory() / 2**20, 1)
