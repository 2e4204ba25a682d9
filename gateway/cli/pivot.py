"""`pivot`: tools for who writes a half-connector."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.output import cell, print_message
from gateway.cli.usage import Misuse

if TYPE_CHECKING:
    from gateway.sandbox.listening import ForwardedMessage

app = typer.Typer(help="Half-connectors: tools for who writes one.", no_args_is_help=True)


@app.command("listen")
def listen(
    gateway: Annotated[str, typer.Option(metavar="URL", help="The gateway, or a sandbox.")],
    to: Annotated[str, typer.Option(metavar="URL", help="Your program: where it takes pushes.")],
    client_id: Annotated[str, typer.Option(help="As 69029.main.")],
    client_secret: Annotated[str, typer.Option(metavar="REF", help="env:NAME or file:/path.")],
    signing_secret: Annotated[
        list[str],
        typer.Option(metavar="REF", help="env:NAME or file:/path; twice while it is rotated."),
    ],
    feed: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Read the feed instead of the mailbox; FILE keeps how far."
        ),
    ] = None,
    production: Annotated[
        bool, typer.Option("--production", help="Forward messages of real people as well.")
    ] = False,
) -> None:
    """Forward what a commune is owed to a program here, signed as a push; settle by its answer."""
    from gateway.sandbox.listening import Listener
    from gateway.sandbox.texts import say
    from gateway.sdk.webhook_signature import secret_bytes

    signing = tuple(_secret("--signing-secret", one) for one in signing_secret)
    for one in signing:
        try:
            secret_bytes(one)
        except ValueError:
            raise Misuse(say("odd_signing", option="--signing-secret")) from None
    secret = _secret("--client-secret", client_secret)
    for url in (gateway, to):
        if not url.startswith(("http://", "https://")):
            raise Misuse(say("odd_push", url=url))

    def show(one: ForwardedMessage) -> None:
        told = {"type": one.type, "reference": one.reference, "result": one.result}
        print_message(say("forwarded", at=cell(one.at), status=one.status or "-", **told))

    def away(status: str, seconds: float) -> None:
        print_message(say("away", status=status, seconds=f"{seconds:g}"), err=True)

    async def run() -> None:
        from gateway.demo.stage import until_interrupted
        from gateway.wire.clients import open_client

        async with AsyncExitStack() as stack:
            ours = await stack.enter_async_context(open_client(timeout=60, connections=2))
            local = await stack.enter_async_context(open_client(timeout=30, connections=1))
            listener = Listener(
                gateway=ours,
                local=local,
                base_url=gateway.rstrip("/"),
                client_id=client_id,
                client_secret=secret,
                target=to,
                signing=signing,
                show=show,
                away=away,
                cursor=feed,
                production=production,
            )
            until_interrupted(listener.stop, stack)
            print_message(say("listening", gateway=gateway, target=to))
            await listener.run()

    asyncio.run(run())


def _secret(option: str, reference: str) -> str:
    """Return the secret behind a reference. Raises Misuse."""
    from pydantic_core import PydanticCustomError

    from gateway.catalogue.secrets import SecretSource
    from gateway.sandbox.texts import say
    from gateway.sdk.secrets import is_reference

    if not is_reference(reference):
        raise Misuse(say("odd_reference", option=option))
    try:
        return SecretSource(os.environ).read(reference).strip()
    except PydanticCustomError:
        raise Misuse(say("no_client_value", option=option)) from None
