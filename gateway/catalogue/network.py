"""The network settings of far ends in our files: private addresses, proxy, certificates."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from gateway.catalogue.scalars import Address, Identifier, StrictModel, Text
from gateway.catalogue.secrets import file_bytes
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData, Path
from gateway.core.errors import Fault
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secrets
from gateway.wire.certificates import good_until
from gateway.wire.network import Network, named_hosts

#: Seconds of one call to a far end, where the file says nothing.
TIMEOUT: Final = 20.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
#: Bytes of a PEM file: twenty times all that a system trusts.
LARGEST = 4 * 1024 * 1024


class BasicEntry(StrictModel):
    username: Identifier
    password: Secrets


class NetworkEntry(StrictModel):
    """The way to a far end."""

    private: bool = Field(
        False,
        description="Its name may mean an address of a private network, loopback or link-local."
        " An address that is written as a number, or as localhost, is meant, and needs no such"
        " word.",
    )
    proxy: Address | None = Field(
        None,
        description="HTTP proxy that every call goes through, as http://proxy.example.org:3128."
        " It resolves names itself.",
    )
    proxy_auth: BasicEntry | None = Field(None, description="What the proxy asks for.")
    ca: Text | None = Field(
        None, description="PEM file of authorities to trust besides the system's."
    )
    certificate: Text | None = Field(
        None, description="PEM file of our own certificate, where the far end asks for one."
    )
    key: Text | None = Field(
        None, description="PEM file of its key; null: it is in the certificate's file."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise refuse(say("network_key"))
        if self.proxy_auth is not None and self.proxy is None:
            raise refuse(say("proxy_auth"))
        return self


def without_tls(address: str) -> bool:
    """Does data go to this address in the clear, over a network?"""
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


@dataclass(frozen=True, slots=True)
class NetworkReader:
    """Reads network settings. If `checked`, reads the PEM files too, and adds their faults to
    `faults`."""

    faults: list[Fault]
    checked: bool

    def read(
        self, entry: NetworkEntry, located: LocatedData, path: Path, addresses: Iterable[str]
    ) -> Network:
        """Read the entry at `path`. `addresses` are the configuration's own."""
        who = entry.proxy_auth
        network = Network(
            private=entry.private,
            named=named_hosts(addresses),
            proxy=entry.proxy,
            proxy_auth=None if who is None else (who.username, who.password[0].get_secret_value()),
            ca=entry.ca,
            certificate=entry.certificate,
            key=entry.key,
        )
        return _checked(network, located, path, self.faults) if self.checked else network


def _checked(network: Network, located: LocatedData, path: Path, faults: list[Fault]) -> Network:
    digest = hashlib.sha256()
    ends: list[tuple[str, datetime]] = []
    for which, name in (
        ("ca", network.ca),
        ("certificate", network.certificate),
        ("key", network.key),
    ):
        if name is None:
            continue
        try:
            content = file_bytes(name, LARGEST)
        except OSError:
            content = b""
        if not content or len(content) == LARGEST:
            faults.append(located.fault((*path, which), say("no_pem_file", name=name)))
            return network
        digest.update(content)
        until = None if which == "key" else good_until(content)
        if until is not None:
            ends.append((which, until))
    context = None
    try:
        context = network.tls()
    except (OSError, ssl.SSLError) as error:
        which = "ca" if network.certificate is None else "certificate"
        said = getattr(error, "reason", None) or type(error).__name__
        faults.append(located.fault((*path, which), say("no_pem", error=str(said))))
    return replace(network, files=digest.hexdigest(), ends=tuple(ends), context=context)
