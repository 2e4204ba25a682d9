"""How far ends are reached, as the files say it: private addresses, proxy, certificates."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.catalogue.secrets import file_bytes
from gateway.catalogue.settings import NetworkEntry
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import Located, Path
from gateway.core.errors import Fault
from gateway.wire.certificates import good_until
from gateway.wire.network import Network, named_hosts

#: Of a PEM file: twenty times all that a system trusts.
LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NetworkReader:
    """Reads how far ends are reached. What is wrong with the files named is added to `faults`;
    they are not looked at unless `checked`."""

    faults: list[Fault]
    checked: bool

    def read(
        self, entry: NetworkEntry, located: Located, path: Path, addresses: Iterable[str]
    ) -> Network:
        """The entry at `path`. `addresses`: what the configuration itself has called."""
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


def _checked(network: Network, located: Located, path: Path, faults: list[Fault]) -> Network:
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
