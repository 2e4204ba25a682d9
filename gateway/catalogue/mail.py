"""The relay by which people are told: its part of `gateway.yaml`."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from gateway.catalogue.network import NetworkEntry, NetworkReader
from gateway.catalogue.patterns import HOST, MAIL_ADDRESS
from gateway.catalogue.scalars import StrictModel, Text
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.errors import Fault
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secret
from gateway.wire.mail import MailSettings

_PORTS: Final = {"implicit": 465, "starttls": 587, "none": 25}
_USUAL: Final = frozenset(_PORTS.values())
MailAddress = Annotated[str, Field(pattern=MAIL_ADDRESS, max_length=254)]


class MailEntry(StrictModel):
    """The relay by which the gateway tells people: communes that fetch nothing, so far."""

    host: Annotated[str, Field(pattern=HOST, max_length=253)] = Field(
        description="Name of the relay, or its address."
    )
    port: int | None = Field(
        None, ge=1, le=65535, description="null: 465, 587 or 25, as `tls` says."
    )
    tls: Literal["implicit", "starttls", "none"] = Field(
        "starttls", description="none: in the clear, within one's own network alone."
    )
    sender: MailAddress = Field(alias="from", description="The address that it writes from.")
    username: Text | None = None
    password: Secret | None = None
    network: NetworkEntry = NetworkEntry()

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise refuse(say("half_login"))
        return self


def read_mail(
    entry: MailEntry, located: LocatedData, networks: NetworkReader, warnings: list[Fault]
) -> MailSettings:
    """Return the relay of the settings. Adds to `warnings` what is hardly meant."""
    if (entry.port == _PORTS["implicit"]) != (entry.tls == "implicit") and entry.port in _USUAL:
        meant = "implicit" if entry.port == _PORTS["implicit"] else "starttls"
        said = say("mail_port", port=entry.port, tls=entry.tls, meant=meant)
        warnings.append(located.fault(("mail", "port"), said))
    return MailSettings(
        host=entry.host,
        port=entry.port or _PORTS[entry.tls],
        tls=entry.tls,
        sender=entry.sender,
        username=entry.username,
        password=entry.password,
        network=networks.read(
            entry.network, located, ("mail", "network"), [f"smtp://{entry.host}"]
        ),
    )
