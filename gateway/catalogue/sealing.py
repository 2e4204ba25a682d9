"""The keys with which what is stored of people is sealed: their part of `gateway.yaml`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.catalogue.catalogue import SealingKeys
from gateway.catalogue.scalars import StrictModel
from gateway.catalogue.secrets import SecretSource, StoreSecret
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.errors import Fault
from gateway.core.sealing import BadMaster, MasterKey, read_masters


class SealingEntry(StrictModel):
    """The keys with which what is stored of people is sealed."""

    masters: Annotated[
        tuple[StoreSecret, ...],
        Field(
            min_length=1,
            max_length=4,
            description="Master keys: 32 random bytes each, in hexadecimal or Base64 (openssl rand"
            " -hex 32); a file may hold several, one a line. The first wraps, each of them opens.",
        ),
    ]
    keys: StoreSecret | None = Field(
        None,
        description="Database of the wrapped keys, apart from the requests; null: keys.db in"
        " data_dir, or with PostgreSQL a table of the same database.",
    )


def read_sealing(
    entry: SealingEntry, located: LocatedData, secrets: SecretSource, faults: list[Fault]
) -> SealingKeys:
    """Return the keys of the settings; add what is wrong with them to `faults`."""
    masters: list[MasterKey] = []
    for n, one in enumerate(entry.masters):
        if not secrets.is_read(one):
            continue
        try:
            masters += read_masters(one.get_secret_value())
        except BadMaster as error:
            faults.append(located.fault(("sealing", "masters", n), error.said))
    keys = entry.keys
    if keys is not None and not is_database(keys.get_secret_value()):
        said = say("not_a_database", reference=keys.reference or "")
        faults.append(located.fault(("sealing", "keys"), said))
    file, line, _ = located.place(("sealing", "masters"))
    return SealingKeys(tuple(masters), keys, (file, line))


def is_database(address: str) -> bool:
    """Is this the address of a database of ours?"""
    return address.startswith(("postgresql:", "sqlite:///"))
