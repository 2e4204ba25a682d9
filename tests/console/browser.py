"""A real Chromium before a real server: one of each for all pages of a file.

The server runs in a thread of its own, with the loop of its database; tests are plain functions
that drive the browser. Where there is no Chromium they are skipped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import pytest
import uvicorn

from gateway.core.console import ConsoleRole, granted
from tests.console.town import ConsoleTown, console_town

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

_T = TypeVar("_T")
#: The widths at which each page is looked at, and with which colours.
WIDTHS: Final[dict[int, Literal["light", "dark"]]] = {320: "light", 1440: "dark"}
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser")
#: Put pictures of all pages here, to look at them.
PICTURES: Final = os.environ.get("CONSOLE_PICTURES")
_OPTIONS: Final = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "resultTypes": ["violations"],
}


@dataclass
class ServedTown:
    """The town at an address, and the browser."""

    address: str
    town: ConsoleTown
    loop: asyncio.AbstractEventLoop
    chromium: Chromium
    seen: list[str] = field(default_factory=list)

    def run(self, awaitable: Awaitable[_T]) -> _T:
        """Run a coroutine on the server's loop."""

        async def wait() -> _T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(wait(), self.loop).result(20)

    @contextmanager
    def page(self, role: ConsoleRole | None, *communes: str) -> Iterator[Page]:
        """A page of somebody who has signed in, or of nobody. Fails for what a browser complains
        of: a broken policy, a script that fails, a file that is not there."""
        context = self.chromium.new_context(
            base_url=self.address,
            locale="fr-FR",
            timezone_id="Europe/Paris",
            reduced_motion="reduce",
        )
        context.set_default_timeout(10_000)
        complaints: list[str] = []
        try:
            if role is not None:
                grant = granted(role, communes)
                opened = self.town.access.sessions.open(f"openid:{role}", role.value, grant)
                token = self.run(opened)
                context.add_cookies(
                    [{"name": "console-session", "value": token, "url": self.address}]
                )
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on(
                "console",
                lambda told: complaints.append(told.text) if told.type == "error" else None,
            )
            yield page
        finally:
            context.close()
        assert [
            one for one in complaints if "the server responded with a status of" not in one
        ] == []


def assert_accessible(page: Page, name: str = "") -> None:
    """At both widths, the narrow one light and the wide one dark: axe finds nothing, and nothing is
    wider than the window. With CONSOLE_PICTURES set, take pictures as `name`."""
    for width, scheme in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        if PICTURES and name:
            page.screenshot(path=f"{PICTURES}/{name}-{width}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{page.url} is {wide} wide in a window of {width}"
        if not page.evaluate("'axe' in window"):
            page.evaluate(_axe())
        found = page.evaluate("options => axe.run(options)", _OPTIONS)
        told = [
            f"{one['id']}: {one['help']}: {node['html']}: {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]
        assert told == [], "\n".join([f"{page.url} at {width}, {scheme}:", *told])


@cache
def _axe() -> str:
    from axe_playwright_python.base import AXE_SCRIPT

    return str(AXE_SCRIPT)


def tab_to(page: Page, text: str, most: int = 80) -> None:
    """Go by the tabulator key to the element with this text, value or id. Fails where it cannot be
    reached, or where it is not seen that something has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        told = page.evaluate(
            """() => { const one = document.activeElement;
            const outline = getComputedStyle(one).outlineStyle;
            return [`${one.innerText || one.value || ''} ${one.id}`, outline, one.tagName]; }"""
        )
        assert told[1] != "none" or told[2] == "BODY", f"no focus is seen on {told[0]!r}"
        if text in told[0]:
            return
    raise AssertionError(f"{text!r} is not reached by the keyboard")


@contextmanager
def served_town(folder: Path, template: Path) -> Iterator[ServedTown]:
    """Serve a town and start the browser."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: on Debian, apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with _serving(folder, template) as (address, town, loop), sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield ServedTown(address, town, loop, chromium)
        finally:
            chromium.close()


@contextmanager
def _serving(
    folder: Path, template: Path
) -> Iterator[tuple[str, ConsoleTown, asyncio.AbstractEventLoop]]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ready: Any = threading.Event()
    found: list[Any] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with console_town(folder, template, address) as town:
            config = uvicorn.Config(
                town.gw.app, log_config=None, lifespan="off", access_log=False, ws="none"
            )
            server = uvicorn.Server(config)
            server.capture_signals = _no_signals  # type: ignore[method-assign]
            task = asyncio.create_task(server.serve(sockets=[listener]))
            found.extend((town, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()
            server.should_exit = True
            with suppress(TimeoutError):
                await asyncio.wait_for(task, 10)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            found.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=run, name="town", daemon=True)
    thread.start()
    ready.wait(30)
    if len(found) != 3:
        raise AssertionError(f"the town is not served: {found}")
    town, loop, stop = found
    try:
        yield address, town, loop
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        listener.close()


@contextmanager
def _no_signals() -> Iterator[None]:
    yield
