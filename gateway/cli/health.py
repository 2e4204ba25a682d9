"""`health`: the probe of a container. It runs twice a minute, so it imports no part of the
daemon."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import yaml

from gateway.cli.faults import Exit, RootGroup
from gateway.cli.language import InLanguage, language
from gateway.cli.output import AsJson, emit, print_message
from gateway.cli.texts import say
from gateway.core.messages import Message

#: States of a part that somebody should look at; a pause and a wish for a break are meant.
_BAD = frozenset({"degraded", "down", "open", "half_open"})

app = typer.Typer(cls=RootGroup, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _group(lang: InLanguage = None) -> None:
    """Gateway between the Toodego portal and the GRUs of the communes."""


@app.command()
def health(
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="GRU_GATEWAY_URL",
            help="Where the daemon answers; else as `ops` and `listen` in gateway.yaml say.",
        ),
    ] = None,
    config: Annotated[
        Path,
        typer.Option(metavar="DIR", envvar="GRU_GATEWAY_CONFIG", help="Folder of gateway.yaml."),
    ] = Path("config"),
    timeout: Annotated[float, typer.Option(help="Seconds to wait.", min=0.1)] = 5.0,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCE",
            help="env:NAME or file:PATH of the token that /ops/health asks for; without --url that"
            " of gateway.yaml.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit code 1 also when somebody should look.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Ask a daemon whether it takes requests: exit code 0 if so, else 1.

    With --strict also whether all is well, and what is not: an open breaker, a poll that fails, a
    commune that waits, what waits for a person.
    """
    daemon = (url or _listening(config)).rstrip("/")
    status, text, _ = asyncio.run(_asked(daemon + "/ops/ready", timeout))
    detail = text if isinstance(text, str) else text.what(language())
    told: dict[str, object] = {"ready": status == 200, "status": status, "detail": detail}
    ready = say("is_ready") if status == 200 else say("not_ready", why=text)
    lines = [ready]
    well = status == 200
    if strict and status is not None:
        shown = _secret(token or (_token(config) if url is None else None))
        answered, said, found = asyncio.run(_asked(daemon + "/ops/health", timeout, shown))
        parts = found if isinstance(found, dict) and answered in (200, 503) else {}
        amiss = list(_amiss(parts))
        word = say("wants_token") if answered == 401 else parts.get("status", said)
        told["health"] = word.what(language()) if isinstance(word, Message) else word
        told["amiss"] = [one.what(language()).strip() for one in amiss]
        lines = [say("health_of", ready=ready, health=word), *amiss]
        well = well and word == "ok"
    if as_json:
        emit(told)
    else:
        for line in lines:
            print_message(line)
    if not well:
        raise typer.Exit(Exit.NO)


def _amiss(parts: dict[str, Any], path: str = "") -> Iterator[Message]:
    """Yield the parts of a health document that are not well, by name."""
    for name, part in parts.items():
        if not isinstance(part, dict):
            continue
        here = f"{path} {name}".strip()
        state, person = part.get("state"), part.get("needs_person")
        if state in _BAD or person:
            why = _why(part)
            how = say("part_person", state=str(state), count=person) if person else str(state)
            if why is None:
                yield say("part", part=here, state=how)
            else:
                yield say("part_why", part=here, state=how, why=why)
        if not path:
            yield from _amiss(part, here)


def _why(part: dict[str, Any]) -> str | Message | None:
    """Return a part's own explanation, or its counts if it has none."""
    for name in ("detail", "failure", "reason"):
        if part.get(name):
            return str(part[name])
    if part.get("free") is not None:
        return say("free", count=part["free"] // 2**20)
    if part.get("found"):
        return say("found", count=len(part["found"]))
    return ", ".join([*part.get("refused", ()), *part.get("unreleased", ())]) or None


def _settings(config: Path) -> Mapping[str, Any]:
    """Return gateway.yaml, all of it as text; nothing if it cannot be read."""
    try:
        text = (config / "gateway.yaml").read_text("utf-8")
        # All of it as text: what looks like a date and is none would be an error.
        settings = yaml.load(text, yaml.BaseLoader)  # noqa: S506 - it makes texts alone
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        settings = None
    return settings if isinstance(settings, dict) else {}


def _part(of: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = of.get(name)
    given = part.items() if isinstance(part, dict) else ()
    return {name: value for name, value in given if value not in ("null", "~", "")}


def _listening(config: Path) -> str:
    """Return the address in gateway.yaml at which the daemon answers `/ops`, or the default."""
    settings = _settings(config)
    ops = _part(settings, "ops")
    own = isinstance(ops.get("listen"), dict)
    listen = _part(ops if own else settings, "listen")
    host = str(listen.get("host") or "127.0.0.1")
    port = listen.get("port") or (9100 if own else 8700)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _token(config: Path) -> str | None:
    """Return the reference of the token in gateway.yaml, of two the first."""
    token = _part(_settings(config), "ops").get("token")
    first = token[0] if isinstance(token, list) and token else token
    return first if isinstance(first, str) else None


def _secret(reference: str | None) -> str | None:
    """Return the first line behind a reference; None where it cannot be had."""
    kind, _, name = (reference or "").partition(":")
    if kind == "env":
        text = os.environ.get(name, "")
    elif kind == "file":
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, ValueError):
            return None
    else:
        return None
    return text.strip().partition("\n")[0].strip() or None


async def _asked(
    url: str, timeout: float, token: str | None = None
) -> tuple[int | None, str | Message, object]:
    shown = {} if token is None else {b"Authorization": f"Bearer {token}".encode()}
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, headers=shown) as client:
        try:
            async with asyncio.timeout(timeout):
                answer = await client.get(url)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            return None, say("no_answer_at", url=url, error=type(error).__name__), None
    try:
        found = answer.json()
    except ValueError:
        found = None
    return answer.status_code, f"HTTP {answer.status_code}", found
