"""People who are told of incidents: their part of `gateway.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gateway.catalogue.mail import MailAddress
from gateway.catalogue.network import NetworkEntry, NetworkReader
from gateway.catalogue.scalars import Insee, Name, StrictModel, Text, address_parts
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.alerting import Hearing, QuietHours
from gateway.core.errors import Fault
from gateway.core.incident import Severity
from gateway.core.messages import Message
from gateway.sdk.duration import Duration
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secret, Secrets
from gateway.sdk.webhook_signature import secret_bytes
from gateway.wire.alerting import ChannelKind, ChannelTarget

TELLING: Final = "telling"
_WAYS = ("webhook", "chat", "matrix", "mail", "role")
_HOUR = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")


def _hour(text: str) -> str:
    if not _HOUR.match(text):
        raise refuse(say("no_hour"))
    return text


#: An hour of Paris, as 20:30.
Hour = Annotated[str, AfterValidator(_hour)]


class QuietEntry(StrictModel):
    """Hours of Paris in which nobody is told, but of what is *bloquant*, and of attacks."""

    begin: Hour = Field(alias="from")
    end: Hour = Field(alias="to")
    weekends: bool = Field(False, description="Saturdays and Sundays as well.")

    def hours(self) -> QuietHours:
        """Return the hours."""
        return QuietHours(
            time.fromisoformat(self.begin), time.fromisoformat(self.end), self.weekends
        )


class ChannelEntry(StrictModel):
    """A channel: one of `webhook`, `chat`, `matrix` or `mail`."""

    webhook: Secret | None = Field(
        None, description="Address that gets signed JSON (Standard Webhooks); it needs `secret`."
    )
    chat: Secret | None = Field(
        None, description="Address of an incoming webhook of Mattermost or Slack."
    )
    matrix: Secret | None = Field(
        None,
        description="Address of the room's server (Matrix, Tchap); `room`, `secret` (token).",
    )
    mail: tuple[MailAddress, ...] | None = Field(
        None, min_length=1, max_length=10, description="Addresses, by `mail` of this file."
    )
    room: Text | None = None
    secret: Secrets | None = Field(
        None, description="Signs the webhook, with both of two while one is replaced; or the token."
    )
    to: Literal["operators", "communes"] | tuple[Insee, ...] = Field(
        "operators",
        description="operators: all incidents; communes: what each of them is told; or these.",
    )
    role: Text | None = Field(
        None, description="Of `to: communes`: the contact of this role in each commune's file."
    )
    notes: Severity | Literal["none"] = Field(
        Severity.MINEUR,
        description="The least severity told at once; none: the digest only.",
    )
    security: bool = Field(True, description="Of attacks as well, where it is the operators'.")
    quiet: QuietEntry | None = Field(None, description="null: those of `telling.quiet`.")
    digest: Hour | None = Field(
        None,
        description="Each day at this hour what is open and what ended, if anything is.",
    )
    network: NetworkEntry = NetworkEntry()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [name for name in _WAYS if getattr(self, name) is not None]
        if len(ways) != 1:
            raise refuse(say("channel_ways"))
        if ways == ["webhook"] and self.secret is None:
            raise refuse(say("channel_secret"))
        if ways == ["matrix"] and (self.secret is None or self.room is None):
            raise refuse(say("channel_room"))
        if ways == ["role"] and self.to == "operators":
            raise refuse(say("channel_role"))
        return self


class HeartbeatEntry(StrictModel):
    """A dead man's switch: somebody else alarms when the calls cease. None is made while nobody
    can be told of incidents."""

    url: Secret = Field(description="Address that is called (GET).")
    every: Duration = Field(60.0, description="Time between two calls.")
    network: NetworkEntry = NetworkEntry()


class TellingEntry(StrictModel):
    """The people who are told of incidents, beside the communes' contacts and
    `incidents.operators`."""

    channels: dict[Name, ChannelEntry] = Field(default_factory=dict, max_length=100)
    quiet: QuietEntry | None = Field(
        None, description="Hours in which nobody is told, by mail neither, but of bloquant."
    )
    heartbeat: HeartbeatEntry | None = Field(
        None, description="Whom to call while all is well; null: nobody."
    )
    self_test: int | None = Field(
        None,
        ge=1,
        le=28,
        description="Day of the month on which each channel gets a note of trial, at 10:00; null:"
        " never.",
    )


@dataclass(frozen=True, slots=True)
class AlertChannel:
    """A channel. `target` None: mail, to `addresses`, or to the contact of `role`."""

    name: str
    hearing: Hearing
    target: ChannelTarget | None
    addresses: tuple[str, ...]
    role: str | None
    quiet: QuietHours | None
    digest: time | None


@dataclass(frozen=True, slots=True)
class Telling:
    """The people who are told. `quiet` counts for mails to communes and operators."""

    channels: tuple[AlertChannel, ...] = ()
    quiet: QuietHours | None = None
    heartbeat: ChannelTarget | None = None
    heartbeat_every: float = 60.0
    self_test: int | None = None

    @property
    def hearings(self) -> tuple[Hearing, ...]:
        return tuple(one.hearing for one in self.channels)

    def channel(self, name: str) -> AlertChannel | None:
        """Return the channel of this name."""
        return next((one for one in self.channels if one.name == name), None)


def read_telling(
    entry: TellingEntry, located: LocatedData, networks: NetworkReader, faults: list[Fault]
) -> Telling:
    """Return who is told. Adds what is wrong to `faults`."""
    quiet = None if entry.quiet is None else entry.quiet.hours()
    channels = tuple(
        _channel(name, one, quiet, located, networks, faults)
        for name, one in entry.channels.items()
    )
    beat = entry.heartbeat
    target = None
    if beat is not None:
        here = (TELLING, "heartbeat")
        if networks.checked:
            _check_address(beat.url, located, (*here, "url"), faults)
        network = networks.read(beat.network, located, (*here, "network"), _addresses(beat.url))
        target = ChannelTarget(ChannelKind.WEBHOOK, beat.url, network=network)
    every = 60.0 if beat is None else beat.every
    return Telling(channels, quiet, target, every, entry.self_test)


def _channel(
    name: str,
    one: ChannelEntry,
    quiet: QuietHours | None,
    located: LocatedData,
    networks: NetworkReader,
    faults: list[Fault],
) -> AlertChannel:
    here = (TELLING, "channels", name)
    target = None
    for kind in ChannelKind:
        url: SecretStr | None = getattr(one, kind.value)
        if url is None:
            continue
        secrets = one.secret or ()
        if networks.checked:
            _check_address(url, located, (*here, kind.value), faults)
            signs = all(_signs(secret.get_secret_value()) for secret in secrets)
            if kind is ChannelKind.WEBHOOK and not signs:
                faults.append(located.fault((*here, "secret"), say("channel_key")))
        network = networks.read(one.network, located, (*here, "network"), _addresses(url))
        target = ChannelTarget(kind, url, tuple(secrets), one.room or "", network)
    communes = None if one.to == "operators" else one.to
    hearing = Hearing(
        name,
        None if communes is None else frozenset(() if communes == "communes" else communes),
        None if one.notes == "none" else Severity(one.notes),
        one.security,
        everywhere=communes == "communes",
    )
    return AlertChannel(
        name,
        hearing,
        target,
        one.mail or (),
        one.role,
        quiet if one.quiet is None else one.quiet.hours(),
        None if one.digest is None else time.fromisoformat(one.digest),
    )


def _signs(secret: str) -> bool:
    try:
        secret_bytes(secret)
    except ValueError:
        return False
    return True


def _addresses(url: SecretStr) -> list[str]:
    return [url.get_secret_value()]


def _check_address(
    url: SecretStr, located: LocatedData, path: tuple[str, ...], faults: list[Fault]
) -> None:
    try:
        address_parts(url.get_secret_value())
    except Exception:  # its text must not be told
        said: Message = say("no_address")
        faults.append(located.fault(path, said))


__all__ = ["TELLING", "AlertChannel", "Telling", "TellingEntry", "read_telling"]
