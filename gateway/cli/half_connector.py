"""`contract run --half-connector`: proves a half-connector that somebody else wrote."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from pydantic_core import PydanticCustomError
from structlog.testing import capture_logs

from gateway.catalogue.secrets import SecretSource
from gateway.cli.faults import Exit
from gateway.cli.half_connector_texts import say
from gateway.cli.language import language
from gateway.cli.output import emit, print_message, print_text, table, writing
from gateway.cli.progress import progress
from gateway.cli.usage import Misuse
from gateway.contracts.half_connector.checks import HalfReport, HalfState
from gateway.contracts.half_connector.invented import DATA
from gateway.contracts.half_connector.report import (
    ReportedHalf,
    half_html,
    half_json,
    half_junit,
)
from gateway.contracts.half_connector.running import HalfSetting, run_half_connector
from gateway.core.errors import GatewayError
from gateway.core.messages import Message
from gateway.core.system_errors import system_error
from gateway.sdk import Unreadable, read_json
from gateway.sdk.secrets import is_reference
from gateway.sdk.webhook_signature import secret_bytes

#: The commune and form that stand in when none is named.
COMMUNE, TELESERVICE = "69029", "signalement-anomalie"
#: Seconds of patience where --wait says nothing.
WAIT = 30.0
_LARGEST = 1_000_000

HalfConnector = Annotated[
    str | None,
    typer.Option(
        "--half-connector", metavar="URL", help="Prove this half-connector, and nothing else."
    ),
]
Mailbox = Annotated[
    bool,
    typer.Option("--mailbox", help="Prove a half-connector that fetches (needs --listen)."),
]
SigningSecrets = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="REF",
        help="--half-connector: signing secret, env:NAME or file:PATH; the new one first.",
    ),
]
ClientSecret = Annotated[
    str | None,
    typer.Option(
        metavar="REF", help="--half-connector, --mailbox: the secret for which it gets a token."
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="--half-connector, --mailbox: where it reaches --listen."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json", help="--half-connector, --mailbox: the `data` of its messages."
    ),
]


@dataclass(frozen=True, slots=True)
class HalfOptions:
    """The options of the command, as they were given."""

    url: str | None
    mailbox: bool
    secrets: Sequence[str]
    client_secret: str | None
    listen: str | None
    base_url: str | None
    wait: float
    data: Path | None
    commune: str | None
    teleservice: str | None

    @property
    def wanted(self) -> bool:
        """Is a half-connector to be proven? Raises Misuse for options that want one, without it."""
        if self.url is None and not self.mailbox:
            if self.secrets or self.client_secret or self.base_url or self.data:
                raise Misuse(say("with_half"))
            return False
        return True


def prove_half_connector(
    options: HalfOptions,
    *,
    html: Path | None,
    junit: Path | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Run the checks, print and write what came of them. Exit code 1 when one fails, 4 when nobody
    answers."""
    setting = _setting(options)
    listening = None if setting.listen is None else ":".join(map(str, setting.listen))
    try:
        with progress(say("checking")) as step, capture_logs():
            report = asyncio.run(run_half_connector(setting, step, _told_address))
    except OSError as error:
        why = system_error(error)
        raise GatewayError(say("not_listening", place=listening or "", error=why)) from None
    told = ReportedHalf(report, by)
    for file, text in ((html, half_html), (junit, half_junit)):
        if file is not None:
            _write(file, text(told))
    if as_json:
        emit(half_json(told, language()))
    else:
        _print(report)
    if not report.reached:
        raise typer.Exit(Exit.FAR_END)
    if not report.passed:
        raise typer.Exit(Exit.NO)


def _told_address(url: str) -> None:
    print_message(say("listening", url=url), err=True)


def _print(report: HalfReport) -> None:
    if report.reached:
        _print_results(report)
    counts = {state.value: report.count(state) for state in HalfState}
    print_message(say("summary", **counts, seconds=f"{report.seconds:.1f}"))
    if report.silence is not None:
        print_message(report.silence)
        return
    print_message(say("conform" if report.passed else "not_conform"))


def _print_results(report: HalfReport) -> None:
    rows = [
        (one.check.name, say(one.state.value), one.check.promise, one.check.section)
        for one in report.results
    ]
    table(("check", "result", "shows", "section"), rows, say("no_checks"))
    for state in (HalfState.FAILED, HalfState.NOT_SHOWN):
        for one in report.results:
            if one.state is state and one.said is not None:
                mark = "✗" if state is HalfState.FAILED else "?"
                print_text(f"{mark} {one.check.name}: {one.said.told(language())}")


def _setting(options: HalfOptions) -> HalfSetting:
    """Return what is run. Raises Misuse, GatewayError."""
    if options.mailbox and options.url is not None:
        raise Misuse(say("one_of_two"))
    if options.mailbox and (options.listen is None or options.client_secret is None):
        raise Misuse(say("mailbox_needs"))
    if options.url is not None:
        parts = urlsplit(options.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Misuse(say("odd_url", given=options.url))
        if not options.secrets:
            raise Misuse(say("push_needs"))
    source = SecretSource(os.environ)
    secrets = [_secret(source, one, "--secret") for one in options.secrets]
    for secret in secrets:
        try:
            secret_bytes(secret)
        except ValueError:
            raise GatewayError(say("bad_signing_secret")) from None
    client = options.client_secret
    return HalfSetting(
        url=options.url,
        commune=options.commune or COMMUNE,
        teleservice=options.teleservice or TELESERVICE,
        secrets=secrets,
        client_secret=None if client is None else _secret(source, client, "--client-secret"),
        listen=_listen(options),
        base_url=options.base_url,
        wait=options.wait or WAIT,
        data=DATA if options.data is None else _data(options.data),
    )


def _listen(options: HalfOptions) -> tuple[str, int] | None:
    """Return our address: the one that was given, or any of this machine for a half-connector that
    runs on it."""
    if options.listen is None:
        here = urlsplit(options.url or "").hostname in ("127.0.0.1", "localhost", "::1")
        return ("127.0.0.1", 0) if here else None
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise Misuse(say("odd_listen", given=options.listen))
    if host == "0.0.0.0" and options.base_url is None:
        raise Misuse(say("base_url_needed"))
    return host, int(port)


def _secret(source: SecretSource, reference: str, option: str) -> str:
    kind, _, name = reference.partition(":")
    if kind == "file" and name:
        reference = f"file:{Path(name).absolute()}"
    if not is_reference(reference):
        raise Misuse(say("no_reference", option=option))
    try:
        return source.read(reference)
    except PydanticCustomError as error:
        said = (error.context or {}).get("said")
        raise GatewayError(said if isinstance(said, Message) else say("no_secret")) from None


def _data(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            found = read_json(opened.read(_LARGEST))
    except OSError as error:
        raise GatewayError(say("no_data", file=str(file), error=system_error(error))) from None
    except Unreadable:
        raise GatewayError(say("odd_data", file=str(file))) from None
    if not isinstance(found, dict):
        raise GatewayError(say("odd_data", file=str(file)))
    return found


def _write(file: Path, text: str) -> None:
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
