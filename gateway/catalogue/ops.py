"""The part of `gateway.yaml` that says where `/ops` answers, and to whom."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from gateway.catalogue.catalogue import OpsSettings
from gateway.catalogue.scalars import StrictModel, Text
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.errors import Fault
from gateway.sdk.secrets import Secrets

#: Characters of a token at least.
_SHORTEST: Final = 32


class OpsListenEntry(StrictModel):
    host: Text = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 in a container.")
    port: int = Field(9100, ge=1, le=65535)


class OpsEntry(StrictModel):
    """`/ops` on a port of its own, behind a token, or both."""

    listen: OpsListenEntry | None = Field(
        None,
        description="Then `/ops` is 404 on the other port; null: it answers on that of `listen`.",
    )
    token: Secrets | None = Field(
        None,
        description="Asked by all but /ops/live and /ops/ready, as `Authorization: Bearer`. At"
        " least 32 characters; two while it is replaced: either is taken.",
    )


def read_ops(
    entry: OpsEntry, public: tuple[str, int], located: LocatedData, faults: list[Fault]
) -> OpsSettings:
    """Return where `/ops` answers. `public`: host and port of all the rest."""
    listen = None if entry.listen is None else (entry.listen.host, entry.listen.port)
    if listen is not None and listen[1] == public[1] and _meet(listen[0], public[0]):
        faults.append(located.fault(("ops", "listen", "port"), say("ops_same_port")))
    tokens = () if entry.token is None else tuple(entry.token)
    # A secret that is not read here is empty: what is checked is the file alone.
    if any(0 < len(one.get_secret_value()) < _SHORTEST for one in tokens):
        said = say("ops_token_short", least=_SHORTEST)
        faults.append(located.fault(("ops", "token"), said))
    return OpsSettings(listen, tokens)


def _meet(host: str, other: str) -> bool:
    """Do both addresses lead to one interface?"""
    return host == other or not {host, other}.isdisjoint({"0.0.0.0", "::"})


__all__ = ["OpsEntry", "read_ops"]
