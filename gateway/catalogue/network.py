"""How far ends are reached, as the files say it: private addresses, proxy, certificates."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from gateway.catalogue.secrets import Needed, Secrets, file_bytes
from gateway.catalogue.settings import NetworkEntry
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import Located
from gateway.wire.certificates import good_until
from gateway.wire.network import Network, named_hosts

#: Of a PEM file: twenty times all that a system trusts.
LARGEST = 4 * 1024 * 1024


def read_network(
    entry: NetworkEntry,
    located: Located,
    path: tuple[str | int, ...],
    secrets: Secrets,
    addresses: Iterable[str],
) -> Network:
    """The entry at `path` with its secrets. `addresses`: what the configuration itself has called.

    Faults, of secrets and of files that cannot be used, are added to those of `secrets`.
    """
    who, password = entry.proxy_auth, None
    if who is not None:
        password = secrets.first(who.password, located, (*path, "proxy_auth", "password"))
    auth = None
    if who is not None and password is not None:
        auth = (who.username, password.get_secret_value())
    network = Network(
        private=entry.private,
        named=named_hosts(addresses),
        proxy=entry.proxy,
        proxy_auth=auth,
        ca=entry.ca,
        certificate=entry.certificate,
        key=entry.key,
    )
    checked = secrets.needed is Needed.ALL
    return _checked(network, located, path, secrets) if checked else network


def _checked(
    network: Network, located: Located, path: tuple[str | int, ...], secrets: Secrets
) -> Network:
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
            secrets.faults.append(located.fault((*path, which), say("no_pem_file", name=name)))
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
        secrets.faults.append(located.fault((*path, which), say("no_pem", error=str(said))))
    return replace(network, files=digest.hexdigest(), ends=tuple(ends), context=context)
