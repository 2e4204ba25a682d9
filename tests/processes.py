"""Run the tests in several processes: `pytest --processes N`.

The tests are collected once, in one process, which is then forked: with pytest-xdist each process
imports and collects everything for itself, which is a tenth of what all tests cost. The processes
take whole files, in their order, from one queue, so that none waits while another has files left.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby, pairwise
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, NamedTuple

import pytest

_FORK = multiprocessing.get_context("fork")
#: A place in the queue, in bytes: read and written whole, since it is shorter than PIPE_BUF.
_PLACE = 4


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--processes", type=int, default=0, help="Share the files of tests among N processes."
    )


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in the processes asked for. Returns None to leave it to pytest.

    Raises session.Failed once as many have failed as `--maxfail` says, and session.Interrupted as
    pytest itself does.
    """
    number = session.config.getoption("processes")
    if number < 2 or session.config.option.collectonly:
        return None
    if session.testsfailed and not session.config.option.continue_on_collection_errors:
        raise session.Interrupted(f"{session.testsfailed} errors during collection")
    files = [list(items) for _, items in groupby(session.items, lambda item: item.path)]
    told = _Told(session)
    workers = _started(session, files, min(number, len(files)))
    try:
        while workers:
            _hear(workers, told)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()
    told.miss_what_never_ran()
    return True


class _Worker(NamedTuple):
    process: ForkProcess
    reports: Connection


def _started(
    session: pytest.Session, files: Sequence[list[pytest.Item]], number: int
) -> list[_Worker]:
    taken, given = os.pipe()
    # All of it fits into the pipe, so nobody need read it yet.
    assert len(files) * _PLACE < 65_536
    for place in range(len(files)):
        os.write(given, place.to_bytes(_PLACE, "big"))
    # Without a writer, the end of the queue is the end of the pipe.
    os.close(given)
    sys.stdout.flush()
    workers = []
    for _ in range(number):
        reports, mouth = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_work, args=(session, files, taken, mouth))
        process.start()
        mouth.close()
        workers.append(_Worker(process, reports))
    os.close(taken)
    return workers


def _hear(workers: list[_Worker], told: _Told) -> None:
    """Take what the processes say next. One that has ended is taken from the list."""
    talking = {worker.reports: worker for worker in workers}
    dead = {worker.process.sentinel: worker for worker in workers}
    for ready in wait([*talking, *dead]):
        worker = dead[ready] if isinstance(ready, int) else talking[ready]  # type: ignore[index]
        # A process that has ended is ready twice.
        if worker in workers and not _heard_out(worker, told):
            workers.remove(worker)
            worker.process.join()
            told.end(worker.process.pid, worker.process.exitcode)


def _heard_out(worker: _Worker, told: _Told) -> bool:
    """Take all that this process has said. Returns whether it goes on."""
    ended = not worker.process.is_alive()
    try:
        while worker.reports.poll():
            told.hear(worker.process.pid, *worker.reports.recv())
    except EOFError:
        return False
    return not ended


class _Told:
    """Passes on to pytest what the processes tell, as if it had run the tests itself."""

    def __init__(self, session: pytest.Session) -> None:
        self._config = session.config
        self._hook = session.config.hook
        self._never_ran = {item.nodeid: item.location for item in session.items}
        self._running: dict[int | None, str] = {}

    def hear(self, who: int | None, kind: str, what: Any) -> None:
        match kind:
            case "start":
                self._running[who] = what
            case "report":
                report = self._hook.pytest_report_from_serializable(config=self._config, data=what)
                self._hook.pytest_runtest_logreport(report=report)
            case "end":
                self._running.pop(who)
                location = self._never_ran.pop(what)
                self._hook.pytest_runtest_logfinish(nodeid=what, location=location)
            case "warning":
                text, category, place, line, where = what
                message = warnings.WarningMessage(category(text), category, place, line)
                self._hook.pytest_warning_recorded.call_historic(
                    kwargs={
                        "warning_message": message,
                        "when": "runtest",
                        "nodeid": where,
                        "location": None,
                    }
                )

    def end(self, who: int | None, code: int | None) -> None:
        """Fail the test that an ended process ran, or the end of the process itself."""
        if who in self._running:
            self._fail(self._running.pop(who), f"the process that ran it ended with {code}")
        elif code:
            name = f"process {who}"
            self._never_ran[name] = ("", None, name)
            self._fail(name, f"it ended with {code}; what it said is above")

    def miss_what_never_ran(self) -> None:
        """Fail each test that no process came to."""
        for test in list(self._never_ran):
            self._fail(test, "no process ran it: the one that had its file ended before")

    def _fail(self, test: str, why: str) -> None:
        location = self._never_ran.pop(test)
        report = pytest.TestReport(test, location, {}, "failed", why, "call")
        self._hook.pytest_runtest_logreport(report=report)
        self._hook.pytest_runtest_logfinish(nodeid=test, location=location)


def _work(
    session: pytest.Session, files: Sequence[list[pytest.Item]], queue: int, mouth: Connection
) -> None:
    """Run the files that the queue gives, in a process of its own."""
    plugins = session.config.pluginmanager
    # Its output goes to files of its own, and nothing is printed here.
    capture = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    plugins.unregister(name="terminalreporter")
    plugins.register(_Mouth(session.config, mouth))
    # So that what fixtures started is ended in any case: servers outlive who started them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        for items in _from_queue(files, queue):
            # Each is told what is left after it: of a file's last one, what all files share.
            for item, after in pairwise([*items, session]):
                session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    session._setupstate.teardown_exact(None)  # noqa: SLF001 - as pytest's own end does


def _from_queue(files: Sequence[list[pytest.Item]], queue: int) -> Iterator[list[pytest.Item]]:
    while place := os.read(queue, _PLACE):
        yield files[int.from_bytes(place, "big")]


class _Mouth:
    """Tells the first process what happens in this one."""

    def __init__(self, config: pytest.Config, mouth: Connection) -> None:
        self._config = config
        self._mouth = mouth

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._mouth.send(("start", nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._mouth.send(("report", data))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._mouth.send(("end", nodeid))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, nodeid: str
    ) -> None:
        one = warning_message
        said = (str(one.message), one.category, one.filename, one.lineno, nodeid)
        try:
            pickle.dumps(said)
        except Exception:  # a category that is no public class
            said = (str(one.message), Warning, one.filename, one.lineno, nodeid)
        self._mouth.send(("warning", said))
