"""Is the workflow in service the one that this configuration writes? (`portal workflow`)"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from gateway.catalogue.catalogue import Catalogue
from gateway.catalogue.relays import relay_of
from gateway.contracts.texts import say
from gateway.core.errors import ConfigurationFault, NotFound
from gateway.core.messages import Message, plain
from gateway.wire.relay import SWITCH
from gateway.wire.wcs_workflow import VERSION, outline_of

#: Every visible part is there: the difference is inside.
OTHERWISE = ("",)


def differing(
    catalogue: Catalogue, portal: str, slug: str, fields: Set[str], statuses: Set[str]
) -> tuple[str, ...] | None:
    """List what the workflow with these fields and statuses lacks, by name, or OTHERWISE. Empty
    when it is ours. None for a designer's own, and when no one workflow can serve all communes."""
    try:
        relay, _ = relay_of(catalogue, slug, portal=portal)
    except (ConfigurationFault, NotFound):
        return None
    written = [outline_of(replace(relay, moderated=one)) for one in (False, True)]
    versions = {name for name in fields if name.startswith(VERSION)}
    if versions & {one.version for one in written}:
        return ()
    if not versions and SWITCH[0] not in statuses:
        return None
    lacking = sorted(written[0].fields - {written[0].version} - fields)
    lacking += sorted(written[0].statuses - statuses)
    return tuple(lacking) or OTHERWISE


def lacking_in(differs: tuple[str, ...]) -> Message:
    """Return the sentence of these differences."""
    return say("otherwise") if differs == OTHERWISE else plain(", ".join(differs))
