"""The options of a commune's own half-connector, as they stand in its file."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from adapters.pivot.texts import say
from gateway.sdk import Duration, Options, Secrets, ServiceInCharge, refuse
from gateway.sdk.webhook_signature import secret_bytes

#: Characters of a client secret.
SHORTEST = 24


def _signing(secrets: Secrets) -> Secrets:
    for one in secrets:
        try:
            secret_bytes(one.get_secret_value())
        except ValueError:
            raise refuse(say("bad_signing_secret")) from None
    return secrets


def _client(secrets: Secrets) -> Secrets:
    if any(len(one.get_secret_value()) < SHORTEST for one in secrets):
        raise refuse(say("short_secret"))
    return secrets


class PivotOptions(Options):
    """`mode: push`: we call `url`, and sign with `signature`. `mode: mailbox`: the commune fetches.

    In both modes the commune calls us with a token, which it gets for its `client` secret.
    `service` is the one in charge, `services` those of single teleservices. A file of
    `inline_bytes` or less goes within the message, a larger one as a link that is valid for `link`.
    """

    mode: Literal["push", "mailbox"]
    url: Annotated[str, Field(pattern=r"^https?://[^\s#]+$")] | None = None
    signature: Annotated[Secrets, AfterValidator(_signing)] | None = None
    client: Annotated[Secrets, AfterValidator(_client)]
    service: ServiceInCharge
    services: dict[str, ServiceInCharge] = Field(default_factory=dict)
    inline_bytes: int = Field(default=16_384, ge=0, le=1_000_000)
    link: Duration = 86_400.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        pushed = self.url is not None and self.signature is not None
        if self.mode == "push" and not pushed:
            raise refuse(say("push_needs"))
        if self.mode == "mailbox" and (self.url is not None or self.signature is not None):
            raise refuse(say("mailbox_has"))
        return self
