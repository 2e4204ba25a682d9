"""One seed: a storm over the gateway, then calm, then the check."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import copy
import gc
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog

from gateway.catalogue.settings import DEFAULT_LANE, DEFAULT_LIMITS
from gateway.core.breaker import BreakerPolicy
from gateway.core.erasure import Brake, ProviderRun
from gateway.core.errors import GatewayError, Rejected
from gateway.core.lane_name import GruLane
from gateway.flow.erased_accounts import AccountHasher
from gateway.flow.lanes import ownership, supervisor
from gateway.sdk import WebhookCall, work
from gateway.sim.formdata import SimulatedFormdata
from gateway.sim.lies import Lies
from gateway.sim.ticketing import Ticketing
from gateway.store import erasures
from gateway.store.outbox import operator
from gateway.store.rows import Acceptance, Reception
from gateway.wire.formdata import parse_formdata
from tests.chaos.checker import check, held_there
from tests.chaos.loop import Frozen, VirtualLoop
from tests.chaos.process import Process
from tests.chaos.store import Disk, Trouble, fresh
from tests.chaos.town import ASKABLE, COMMUNES, FATES, MUTE, PORTAL, TIMEOUT, Town, catalogue
from tests.flow.rig import SAMPLE, SLUG
from tests.intake import take_in

#: The portal waits this long for our answer, in seconds.
PORTAL_WAITS = 28.0
#: After the storm everything must come to rest within this long, in seconds.
CALM_AT_MOST = 24 * 3600.0
_LEASE = replace(DEFAULT_LANE, timeout=TIMEOUT).lease
_HEART = (
    (supervisor, "BEAT"),
    (supervisor, "RECALL"),
    (ownership, "BEAT"),
    (ownership, "SILENT"),
)


@dataclass
class Happened:
    """The facts that the checker needs besides the far ends and the tables."""

    #: Formdata ids, with their commune.
    forms: dict[str, str] = field(default_factory=dict)
    #: Later events answered 2xx: (formdata id, kind, key).
    taken: set[tuple[str, str, str]] = field(default_factory=set)
    #: Later events ever pushed.
    pushed: set[tuple[str, str, str]] = field(default_factory=set)
    #: Public and internal notes of agents: text to formdata id.
    public: dict[str, str] = field(default_factory=dict)
    internal: set[str] = field(default_factory=set)
    #: Formdata ids of the person who is erased.
    erased: set[str] = field(default_factory=set)


@dataclass
class Result:
    """The result of one seed. `breaches` are (count, sentence)."""

    seed: int
    steps: int
    crashes: int
    lost_replies: int
    breaches: list[tuple[str, str]]
    trace: list[str]


class Simulation:
    """Everything of one seed, drawn from it."""

    def __init__(self, seed: int, url: str, *, alike: bool = False) -> None:
        self.seed, self.alike = seed, alike
        self.dice = random.Random(seed)
        self.loop = VirtualLoop(random.Random(self.dice.getrandbits(64)))
        self.trace: list[str] = []
        self.breaches: list[tuple[str, str]] = []
        self.crashes = 0
        self.happened = Happened()
        self.processes: list[Process] = []
        self.storm = False
        self.disk = Disk(url, random.Random(self.dice.getrandbits(64)), self.breach, self._now)
        self.town = Town(
            random.Random(self.dice.getrandbits(64)), self.note, contextvars.copy_context()
        )
        dice = self.dice
        self.replicas = dice.choice((1, 1, 2, 3))
        self.catalogue = catalogue(
            dice.choice(([5.0, 60.0], [5.0, 60.0, 600.0])), dice.choice((1800.0, 86400.0))
        )
        self.breaker = BreakerPolicy(minimum=dice.choice((3, 5, 20)))
        self.length = dice.choice((600.0, 1200.0, 2400.0, 4800.0)) / (1 + 0.5 * (self.replicas > 1))
        self.kills = dice.choice((0.0, 1 / 4000, 1 / 1500, 1 / 500))
        self.pauses = dice.choice((0.0, 1 / 3000, 1 / 1000)) if self.replicas > 1 else 0.0
        if alike:
            self.pauses = 0.0
        self.loop.before_step = self._before_step

    def note(self, *words: Any) -> None:
        self.trace.append(f"{self.loop.time():.4f} " + " ".join(str(word) for word in words))

    def _now(self) -> datetime:
        """Return the time by our machines' clock, which may be wrong."""
        return self.town.now() + timedelta(seconds=self.town.wrong)

    def breach(self, kind: str, what: str) -> None:
        self.note("BREACH", kind, what)
        self.breaches.append((kind, what))

    def run(self) -> Result:
        with _quiet(), _slow_heart(), _no_real_time(), _no_collector(), _seeded(self.seed):
            try:
                self.loop.run_until_complete(self._run())
            finally:
                self.disk.close()
                self.loop.close()
        return Result(
            self.seed,
            len(self.trace),
            self.crashes,
            self.town.lost_replies,
            self.breaches,
            self.trace,
        )

    # --- processes ----------------------------------------------------------------------------

    def _open(self) -> Process:
        process = Process(
            len(self.processes) + 1,
            self.loop,
            self.town,
            self.disk,
            self.catalogue,
            random.Random(self.dice.getrandbits(64)),
            self.note,
            alone=self.replicas == 1 and self.disk.dialect == "sqlite" and not self.alike,
            skew=self.dice.uniform(-0.4, 0.4) if self.replicas > 1 and not self.alike else 0.0,
            breaker=self.breaker,
        )
        self.processes.append(process)
        self.note("opened", process.number)
        return process

    def _before_step(self, owner: Frozen) -> None:
        if not self.storm or not isinstance(owner, Process) or owner.dead:
            return
        draw = self.dice.random()
        if draw < self.kills:
            self._kill(owner)
        elif draw < self.kills + self.pauses:
            owner.frozen = True
            seconds = self.dice.choice((5.0, 40.0, _LEASE, 2 * _LEASE)) * self.dice.uniform(
                0.5, 1.2
            )
            self.note("paused", owner.number, f"{seconds:.1f}")
            self.town.spawn(self._wake_later(owner, seconds))

    async def _wake_later(self, process: Process, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not process.dead:
            self.note("woken", process.number)
            self.loop.thaw(process)

    def _kill(self, process: Process) -> None:
        self.crashes += 1
        self.note("killed", process.number)
        process.kill()

    async def _keeper(self) -> None:
        """Have as many processes as there should be, some time after one has died."""
        while True:
            living = [one for one in self.processes if not one.dead]
            if len(living) < self.replicas:
                await asyncio.sleep(self.dice.choice((0.5, 5.0, 60.0)) * self.dice.random())
                self._open()
            await asyncio.sleep(1.0)

    async def _terminator(self) -> None:
        """Now and then a process is asked to stop."""
        while self.dice.random() < 0.6:
            await asyncio.sleep(self.length * self.dice.random() * 0.5)
            living = [one for one in self.processes if one.takes_calls and not one.frozen]
            if living and self.storm:
                one = self.dice.choice(living)
                self.note("asked_to_stop", one.number)
                one.stop()

    def _a_process(self) -> Process | None:
        living = [one for one in self.processes if one.takes_calls]
        return self.dice.choice(living) if living else None

    # --- the storm ----------------------------------------------------------------------------

    async def _run(self) -> None:
        keeper = self.loop.create_task(self._keeper())
        town, dice = self.town, self.dice
        await self._first_polls(self._open())
        self.storm = True
        self._brew()
        acts: list[Any] = [self._citizen(n) for n in range(dice.randrange(3, 9))]
        acts += [self._agents(insee) for insee in (ASKABLE, MUTE)]
        acts += [self._outages(), self._bad_disk(), self._people(), self._terminator()]
        acts += [self._busy_portal(), self._clock()]
        if dice.random() < 0.35:
            acts.append(self._erasure())
        tasks = [self.loop.create_task(act) for act in acts]
        await asyncio.sleep(self.length)
        self.storm = False
        town.weather.clear()
        town.wrong = 0.0
        self.disk.trouble = Trouble()
        self.note("calm")
        await asyncio.sleep(0)
        for task in tasks:
            if not task.done():
                task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.sleep(400.0)  # the paused wake, what is in the air lands
        await self._settle_down()
        keeper.cancel()
        check(self)
        for process in self.processes:
            await process.bury()
        await asyncio.sleep(60.0)

    async def _first_polls(self, process: Process) -> None:
        """A commune is connected while its GRU answers: from here on a poll knows its beginning."""
        await process.ready.wait()
        assert process.engine is not None
        for insee in COMMUNES:
            gru = self.catalogue.communes[insee].grus["outil"]
            await process.start(process.engine.changes.poll(gru))

    def _brew(self) -> None:
        dice, weather = self.dice, self.town.weather
        for name in FATES:
            setattr(weather, name, dice.choice((0.0, 0.02, 0.06, 0.12)))
        for gru in self.town.grus.values():
            gru.lies = Lies(
                hide=dice.choice((None, None, 3, 5)),
                repeat=dice.choice((None, None, 2)),
                shift=dice.random() < 0.4,
                bad_row=dice.random() < 0.4,
                echo=dice.random() < 0.4,
            )
        self.portal_busy = dice.choice((0.0, 0.0, 2.0, 20.0))
        self.town.portal.busy_seconds = self.portal_busy

    async def _outages(self) -> None:
        dice = self.dice
        while True:
            await asyncio.sleep(dice.uniform(60, self.length))
            lane = dice.choice((*(str(GruLane(insee, "outil")) for insee in COMMUNES), PORTAL))
            seconds = dice.choice((60.0, 600.0, 3 * 3600.0)) * dice.uniform(0.5, 1)
            self.note("outage", lane, f"{seconds:.0f}")
            self.town.weather.dead[lane] = self.loop.time() + seconds

    async def _bad_disk(self) -> None:
        dice = self.dice
        if dice.random() < 0.4:
            return
        while True:
            await asyncio.sleep(dice.uniform(30, self.length))
            self.disk.trouble = Trouble(
                before=dice.choice((0.0, 0.05, 0.3, 1.0)),
                after=dice.choice((0.0, 0.05, 0.2)),
                slow=dice.choice((0.0, 0.2, 0.6)),
                seconds=dice.choice((2.0, 9.0)),
            )
            self.note("disk", self.disk.trouble)
            await asyncio.sleep(dice.uniform(5, 240))
            self.disk.trouble = Trouble()
            self.note("disk.well")

    async def _clock(self) -> None:
        """Our machines' clock is set wrong, and right again: the portal then believes nothing."""
        dice = self.dice
        if dice.random() < 0.7:
            return
        while True:
            await asyncio.sleep(dice.uniform(60, self.length))
            self.town.wrong = dice.choice((-7200.0, -600.0, 600.0, 7200.0)) * dice.uniform(0.5, 1)
            self.note("clock", f"{self.town.wrong:.0f}")
            await asyncio.sleep(dice.uniform(5, 600))
            self.town.wrong = 0.0
            self.note("clock.right")

    async def _busy_portal(self) -> None:
        while self.portal_busy:
            await asyncio.sleep(self.dice.uniform(20, 300))
            if self.happened.forms:
                self.town.portal.process(SLUG, self.dice.choice(list(self.happened.forms)), 90.0)

    # --- citizens -----------------------------------------------------------------------------

    async def _citizen(self, n: int) -> None:
        dice = self.dice
        await asyncio.sleep(dice.uniform(0, self.length * 0.6))
        commune = dice.choice(COMMUNES)
        item = self._submit(n, commune, person=dice.random() < 0.4)
        await self._pushes(item, {})
        key = 0
        while dice.random() < 0.55 and self.storm:
            await asyncio.sleep(dice.choice((0.1, 5.0, 60.0, self.length / 4)) * dice.random())
            key += 1
            name = f"suite-{item.id}-{key}"
            kind = dice.choice(("message", "message", "annulation"))
            await self._pushes(
                item,
                {"action": kind, "evenement": name, "message": f"MESSAGE-{name}-FIN"},
            )

    def _submit(self, n: int, commune: str, *, person: bool) -> SimulatedFormdata:
        sample = copy.deepcopy(SAMPLE)
        photo = None
        if self.dice.random() < 0.35:
            content = f"photo-{n}".encode()
            photo = {
                "filename": f"photo-{n}.txt",
                "content_type": "text/plain",
                "content": base64.b64encode(content).decode(),
                "content_is_base64": True,
            }
        sample["fields"] |= {"commune_raw": commune, "photo": photo}
        sample["user"]["NameID"] = [f"{77 if person else 1000 + n:032x}"]
        item = self.town.portal.submit_sample(sample)
        now = self.town.portal.clock()
        item.set_fields({"bo_a_transmettre": now.isoformat()}, now)
        item.fields["description"] = f"DEMANDE-{item.id}-FIN"
        self.happened.forms[item.id] = commune
        if person:
            self._person.add(item.id)
        self.note("submitted", item.id, commune)
        return item

    @property
    def _person(self) -> set[str]:
        found: set[str] = self.__dict__.setdefault("_person_forms", set())
        return found

    async def _pushes(self, item: SimulatedFormdata, extra: dict[str, str]) -> None:
        """One event of the portal: pushed, lost, or pushed again, even at the same time."""
        dice = self.dice
        body = item.document(self.town.portal.base_url, push=True)
        if extra:
            body["extra"] = extra
        text = json.dumps(body).encode()
        if dice.random() < 0.12:
            self.note("push.lost", item.id, extra.get("evenement", "creation"))
            return
        await self._push(item, extra, text)
        while dice.random() < 0.25 and self.storm:
            if dice.random() < 0.5:
                await asyncio.gather(self._push(item, extra, text), self._push(item, extra, text))
            else:
                await asyncio.sleep(dice.uniform(0, 120))
                await self._push(item, extra, text)

    async def _push(self, item: SimulatedFormdata, extra: dict[str, str], text: bytes) -> None:
        process = self._a_process()
        what = extra.get("evenement", "creation")
        if process is None or process.engine is None:
            self.note("push.nobody", item.id, what)
            return
        event = (item.id, extra.get("action", "creation"), what)
        if extra:
            self.happened.pushed.add(event)
        formdata = parse_formdata(text, "application/json", limits=DEFAULT_LIMITS)
        commune = self.happened.forms[item.id]
        call = process.start(take_in(process.engine, "toodego", commune, SLUG, formdata))
        call.add_done_callback(_retrieved)
        if self.dice.random() < 0.05:
            self.note("push.unheard", item.id, what)
            return
        done, _ = await asyncio.wait([call], timeout=PORTAL_WAITS)
        if not done or call.cancelled():
            self.note("push.no_answer", item.id, what)
            return
        error = call.exception()
        if error is not None:
            self.note("push.failed", item.id, what, type(error).__name__)
            if not isinstance(error, GatewayError | Rejected):
                raise error
            return
        answer: Acceptance = call.result()
        self.note("push.answered", item.id, what, answer.reception.value)
        if answer.reception in (Reception.NEW, Reception.SAME):
            if extra:
                self.happened.taken.add(event)
        elif answer.reception is Reception.CONFLICT:
            self.breach("lost", f"a repeat of {what} of {item.id} was answered 409")

    # --- communes -----------------------------------------------------------------------------

    async def _agents(self, insee: str) -> None:
        dice = self.dice
        gru = self.town.grus[insee]
        assert isinstance(gru, Ticketing)
        n = 0
        while True:
            await asyncio.sleep(dice.uniform(10, self.length / 4))
            open_ = [one for one in gru.tickets if not one.erased]
            if not open_:
                continue
            ticket = dice.choice(open_)
            n += 1
            text = f"NOTE-{insee}-{n}-FIN"
            status = dice.choice((None, "open", "in_progress", "planned", "resolved"))
            internal = dice.random() < 0.3
            note = text if dice.random() < 0.7 else None
            if note and internal:
                self.happened.internal.add(text)
            elif note:
                ref = str(ticket.payload.get("description")).split("DEMANDE-")[1].split("-FIN")[0]
                self.happened.public[text] = ref
            if dice.random() < 0.1:
                gru.lies.ahead[ticket.id] = timedelta(days=dice.randrange(1, 400))
            self.note("agent", insee, ticket.id, status, note)
            gru.advance(ticket.id, status, note, internal)
            hooks: list[WebhookCall] = []

            def take(call: httpx.Request, hooks: list[WebhookCall] = hooks) -> httpx.Response:
                hooks.append(WebhookCall("POST", dict(call.headers), {}, call.content))
                return httpx.Response(200)

            async with httpx.AsyncClient(transport=httpx.MockTransport(take)) as client:
                await gru.notify(client)
            for hook in hooks:
                for _ in range(dice.choice((0, 1, 1, 2, 3))):
                    self.town.spawn(self._call_us(insee, hook, dice.choice((0.1, 5, 600))))

    async def _call_us(self, insee: str, hook: WebhookCall, within: float) -> None:
        await asyncio.sleep(self.dice.random() * within)
        process = self._a_process()
        if process is None or process.engine is None:
            return
        gru = self.catalogue.communes[insee].grus["outil"]
        call = process.start(process.engine.changes.webhook(gru, hook))
        call.add_done_callback(_retrieved)

    # --- people who answer --------------------------------------------------------------------

    async def _people(self) -> None:
        while True:
            await asyncio.sleep(self.dice.uniform(200, 1200))
            await self._answer(self.dice.random())

    async def _answer(self, share: float = 1.0) -> int:
        """Answer what waits for a person, by looking at the far end; how much did."""
        process = self._a_process()
        if process is None or process.engine is None or process.frozen:
            return 1
        rows = self.disk.rows(
            "SELECT id, state, kind, lane FROM delivery"
            " WHERE state IN ('question', 'parked', 'dead') ORDER BY id"
        )
        for delivery, state, kind, lane in rows:
            if self.dice.random() >= share:
                continue
            now = process.engine.environment.now()
            try:
                if state == "question":
                    there = held_there(self, delivery)
                    self.note("person", delivery, kind, "yes" if there else "no")
                    await self._by(process, operator.resolve, delivery, there, now)
                elif kind == "erase":
                    self.note("person", delivery, kind, "by_hand")
                    await self._by(process, operator.discard, delivery, now)
                else:
                    self.note("person", delivery, kind, "replay")
                    await self._by(process, operator.replay, delivery, now)
            except GatewayError as error:
                self.note("person.failed", type(error).__name__)
                continue
            process.engine.lanes.wake(lane)
        return len(rows)

    async def _by(self, process: Process, unit: Any, *args: Any) -> None:
        call = process.start(process.store.write(unit, *args))
        call.add_done_callback(_retrieved)
        done, _ = await asyncio.wait([call], timeout=PORTAL_WAITS)
        if done and not call.cancelled():
            call.result()

    async def _erasure(self) -> None:
        """GLC says that one person's account is gone."""
        await asyncio.sleep(self.dice.uniform(0.3, 0.9) * self.length)
        account = f"{77:032x}"
        while True:
            process = self._a_process()
            if process is not None and process.engine is not None:
                engine = process.engine
                now = engine.environment.now()
                mark = AccountHasher(engine.catalogue.settings).hash_of(account)
                run = erasures.DeletionRun(
                    id=f"RUN-{now.timestamp():.0f}",
                    source="deletions",
                    reading=ProviderRun(frozenset({account}), False, True),
                    accounts=(account,),
                    marks={account: mark},
                    cursor=None,
                    brake=Brake(1.0, 1000),
                    confirm_after=timedelta(0),
                    deadline=timedelta(days=30),
                )
                with suppress(GatewayError):
                    await self._by(
                        process, erasures.record_run, run, engine.environment.new_id, now
                    )
                if self._opened():
                    self.happened.erased = self._person
                    self.note("erasure", sorted(self._person))
                    return
            await asyncio.sleep(30)

    def _opened(self) -> bool:
        ((count,),) = self.disk.rows("SELECT count(*) FROM erasure")
        return bool(count)

    # --- calm ---------------------------------------------------------------------------------

    async def _settle_down(self) -> None:
        """Time goes on, people answer, until nothing is owed and nothing more comes."""
        if self._opened():
            self.happened.erased = self._person
        deadline = self.loop.time() + CALM_AT_MOST
        quiet = 0
        while quiet < 5 and self.loop.time() < deadline:
            await asyncio.sleep(200.0)
            await self._answer()
            ((owed,),) = self.disk.rows(
                "SELECT count(*) FROM delivery WHERE state NOT IN ('done', 'discarded')"
            )
            quiet = quiet + 1 if owed == 0 else 0
        self.note("rest", quiet)


def _retrieved(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


#: The heart of the replicas, slowed down with all that hangs on it: at its true pace most of a
#: seed's steps were beats.
SLOWER = 6.0


@contextmanager
def _slow_heart() -> Iterator[None]:
    kept = [(m, name, getattr(m, name)) for m, name in _HEART]
    for module, name, value in kept:
        setattr(module, name, value * SLOWER)
    try:
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)


@contextmanager
def _no_real_time() -> Iterator[None]:
    """A busy machine goes through long lists in more turns, which would be steps."""
    kept = work.TURN
    setattr(work, "TURN", float("inf"))  # noqa: B010 - final to all but this
    try:
        yield
    finally:
        setattr(work, "TURN", kept)  # noqa: B010


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """An adapter's short retries draw their jitter from the module's dice."""
    kept = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(kept)


@contextmanager
def _no_collector() -> Iterator[None]:
    """Python's collector comes at any step, and closing a generator that it finds is a step."""
    kept = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if kept:
            gc.enable()
        gc.collect()


@contextmanager
def _quiet() -> Iterator[None]:
    """No log lines: the trace tells."""
    kept = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    try:
        yield
    finally:
        structlog.configure(**kept)


def simulate(seed: int, template: str, *, alike: bool = False) -> Result:
    """Run one seed on a database of its own, made like the one at the address `template`.

    `alike`: leave out what makes the two engines differ. A single process is then a replica on
    SQLite, too, and as PostgreSQL tells signs of life by its own clock, all clocks are in step and
    no process sleeps between its look at the clock and its call.
    """
    with fresh(template, seed) as url:
        return Simulation(seed, url, alike=alike).run()


__all__ = ["COMMUNES", "TIMEOUT", "Result", "Simulation", "simulate"]
