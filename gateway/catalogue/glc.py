"""GrandLyon Connect as configured: from the file's entry to what the watch works with."""

from __future__ import annotations

from urllib.parse import urlsplit

from gateway.catalogue.catalogue import Glc, GlcAuth
from gateway.catalogue.network import read_network
from gateway.catalogue.secrets import Secrets
from gateway.catalogue.settings import GlcAuthEntry, GlcEntry
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import Located
from gateway.core.account import normal_account
from gateway.core.erasure import Brake
from gateway.core.errors import Fault

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def read_glc(
    entry: GlcEntry, located: Located, secrets: Secrets, warnings: list[Fault]
) -> Glc | None:
    """The entry with its secrets; None when one cannot be had (the fault is in `secrets`)."""
    auth = _auth(entry.auth, located, secrets)
    if auth is None:
        return None
    address = urlsplit(entry.base_url)
    if address.scheme == "http" and address.hostname not in _LOOPBACK:
        warnings.append(located.fault(("glc", "base_url"), say("glc_no_tls")))
    if entry.canary is None:
        warnings.append(located.fault(("glc",), say("no_canary")))
    return Glc(
        base_url=entry.base_url,
        source=entry.source,
        auth=auth,
        poll=entry.poll,
        timeout=entry.timeout,
        canary=None if entry.canary is None else normal_account(entry.canary),
        brake=Brake(**dict(entry.brake)),
        confirm_after=entry.confirm_after,
        deadline=entry.deadline,
        deletions=entry.deletions.shape(),
        network=read_network(
            entry.network,
            located,
            ("glc", "network"),
            secrets,
            [entry.base_url, entry.auth.token_url or ""],
        ),
    )


def _auth(entry: GlcAuthEntry, located: Located, secrets: Secrets) -> GlcAuth | None:
    for kind, name, which, reference in (
        ("basic", entry.username, "password", entry.password),
        ("signature", entry.orig, "key", entry.key),
        ("oauth2", entry.client_id, "client_secret", entry.client_secret),
    ):
        if name is not None and reference is not None:
            secret = secrets.first(reference, located, ("glc", "auth", which))
            if secret is None:
                return None
            return GlcAuth(kind, name, secret, entry.token_url, entry.scope)
    raise AssertionError("the entry proves itself in one way")
