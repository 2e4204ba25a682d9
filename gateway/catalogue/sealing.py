"""The keys with which what is stored of people is sealed: their part of `gateway.yaml`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Self

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, model_validator

from gateway.catalogue.catalogue import SealingKeys
from gateway.catalogue.network import NetworkEntry, NetworkReader, without_tls
from gateway.catalogue.scalars import Address, Identifier, StrictModel
from gateway.catalogue.secrets import SecretSource, StoreSecret, store_secret
from gateway.catalogue.texts import say
from gateway.catalogue.yaml_reader import LocatedData
from gateway.core.errors import Fault
from gateway.core.sealing import BadMaster, MasterKey, RemoteMaster, read_masters
from gateway.sdk.duration import Duration
from gateway.sdk.refusing import refuse
from gateway.sdk.secrets import Secret
from gateway.wire.vault import Vault

#: `vault:MOUNT/KEY`.
_REMOTE: Final = re.compile(r"vault:([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)/([A-Za-z0-9_.-]+)\Z")
_SCHEMA: Final = {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+|vault:.+)$"}


def _master(value: Any, info: ValidationInfo) -> Secret | RemoteMaster:
    if isinstance(value, str) and value.startswith("vault:"):
        found = _REMOTE.match(value)
        if found is None:
            raise refuse(say("vault_master"))
        return RemoteMaster(found[1], found[2])
    return Secret.whole(store_secret(value, info), info)


Master = Annotated[Secret | RemoteMaster, PlainValidator(_master), WithJsonSchema(_SCHEMA)]


class VaultEntry(StrictModel):
    """A HashiCorp Vault or OpenBao whose transit engine has master keys: they never leave it."""

    url: Address = Field(description="As https://vault.example.org:8200.")
    namespace: Identifier | None = None
    token: StoreSecret | None = Field(
        None, description="Our token; or, better, role_id and secret_id (AppRole)."
    )
    role_id: StoreSecret | None = None
    secret_id: StoreSecret | None = None
    approle: Identifier = Field("approle", description="Where AppRole is mounted.")
    timeout: Duration = Field(5.0, description="Of one call, as a whole.")
    network: NetworkEntry = NetworkEntry()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = (self.token is not None, self.role_id is not None, self.secret_id is not None)
        if ways not in ((True, False, False), (False, True, True)):
            raise refuse(say("vault_ways"))
        return self


class SealingEntry(StrictModel):
    """The keys with which what is stored of people is sealed."""

    masters: Annotated[
        tuple[Master, ...],
        Field(
            min_length=1,
            max_length=4,
            description="Master keys: 32 random bytes each, in hexadecimal or Base64 (openssl rand"
            " -hex 32), where a file may hold several, one a line; or vault:MOUNT/KEY, a key that"
            " never leaves `vault`. The first wraps, each of them opens.",
        ),
    ]
    keys: StoreSecret | None = Field(
        None,
        description="Database of the wrapped keys, apart from the requests; null: keys.db in"
        " data_dir, or with PostgreSQL a table of the same database.",
    )
    vault: VaultEntry | None = Field(
        None, description="The key service of the masters that are written vault:MOUNT/KEY."
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        remote = any(isinstance(one, RemoteMaster) for one in self.masters)
        if remote != (self.vault is not None):
            raise refuse(say("vault_missing" if remote else "vault_unused"))
        return self


def read_sealing(
    entry: SealingEntry,
    located: LocatedData,
    secrets: SecretSource,
    networks: NetworkReader,
    faults: list[Fault],
) -> SealingKeys:
    """Return the keys of the settings; add what is wrong with them to `faults`."""
    masters: list[MasterKey | RemoteMaster] = []
    for n, one in enumerate(entry.masters):
        if isinstance(one, RemoteMaster):
            masters.append(one)
            continue
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
    vault = None if entry.vault is None else _vault(entry.vault, located, networks, faults)
    return SealingKeys(tuple(masters), keys, (file, line), vault)


def _vault(
    entry: VaultEntry, located: LocatedData, networks: NetworkReader, faults: list[Fault]
) -> Vault:
    if without_tls(entry.url):
        faults.append(located.fault(("sealing", "vault", "url"), say("vault_no_tls")))
    return Vault(
        entry.url,
        entry.namespace,
        _line(entry.token),
        entry.approle,
        _line(entry.role_id),
        _line(entry.secret_id),
        entry.timeout,
        networks.read(entry.network, located, ("sealing", "vault", "network"), [entry.url]),
    )


def _line(secret: Secret | None) -> str | None:
    return None if secret is None else secret.get_secret_value().strip().partition("\n")[0].strip()


def is_database(address: str) -> bool:
    """Is this the address of a database of ours?"""
    return address.startswith(("postgresql:", "sqlite:///"))
