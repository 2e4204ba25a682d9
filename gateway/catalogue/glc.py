"""GrandLyon Connect as configured: from the file's entry to what the watch works with."""

from __future__ import annotations

from urllib.parse import urlsplit

from gateway.catalogue.catalogue import Glc, GlcAuth
from gateway.catalogue.network import NetworkReader
from gateway.catalogue.settings import GlcAuthEntry, GlcEntry
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import Located
from gateway.core.account import normal_account
from gateway.core.errors import Fault

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def read_glc(
    entry: GlcEntry, located: Located, networks: NetworkReader, warnings: list[Fault]
) -> Glc:
    """The entry as the watch takes it."""
    address = urlsplit(entry.base_url)
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        warnings.append(located.fault(("glc", "base_url"), say("glc_no_tls")))
    if entry.canary is None:
        warnings.append(located.fault(("glc",), say("no_canary")))
    return Glc(
        base_url=entry.base_url,
        source=entry.source,
        auth=_auth(entry.auth),
        poll=entry.poll,
        timeout=entry.timeout,
        canary=None if entry.canary is None else normal_account(entry.canary),
        brake=entry.brake.brake(),
        confirm_after=entry.confirm_after,
        deadline=entry.deadline,
        deletions=entry.deletions.shape(),
        network=networks.read(
            entry.network,
            located,
            ("glc", "network"),
            [entry.base_url, entry.auth.token_url or ""],
        ),
    )


def _auth(entry: GlcAuthEntry) -> GlcAuth:
    for kind, name, secrets in (
        ("basic", entry.username, entry.password),
        ("signature", entry.orig, entry.key),
        ("oauth2", entry.client_id, entry.client_secret),
    ):
        if name is not None and secrets is not None:
            return GlcAuth(kind, name, secrets[0], entry.token_url, entry.scope)
    raise AssertionError("the entry proves itself in one way")
