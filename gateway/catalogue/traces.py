"""Traces: their part of `gateway.yaml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.catalogue.catalogue import TraceSettings
from gateway.catalogue.network import NetworkEntry, NetworkReader
from gateway.catalogue.scalars import Address, StrictModel, Text
from gateway.catalogue.yaml_reader import LocatedData
from gateway.sdk.duration import Duration
from gateway.sdk.secrets import Secret

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,49}$")]


class TracesEntry(StrictModel):
    """Traces by OpenTelemetry's protocol over HTTP (OTLP, protobuf), to a collector."""

    endpoint: Address = Field(
        description="The whole address, as https://collector.example.org:4318/v1/traces."
    )
    headers: dict[HeaderName, Secret] = Field(
        default_factory=dict, max_length=10, description="As authorization: env:COLLECTOR_HEADER."
    )
    share: float = Field(
        1.0, gt=0, le=1, description="Share of requests that are traced, each whole or not at all."
    )
    service: Text = Field("gru-gateway", description="Our name there: service.name.")
    pass_on: tuple[Literal["portal", "gru"], ...] = Field(
        ("portal",), description="Far ends that are told the trace, by the header traceparent."
    )
    timeout: Annotated[Duration, Field(gt=0, le=60)] = Field(
        10.0, description="Of one call to the collector."
    )
    network: NetworkEntry = NetworkEntry()


def read_traces(entry: TracesEntry, located: LocatedData, networks: NetworkReader) -> TraceSettings:
    """Return the settings of traces."""
    return TraceSettings(
        endpoint=entry.endpoint,
        headers=dict(entry.headers),
        share=entry.share,
        service=entry.service,
        pass_on=frozenset(entry.pass_on),
        timeout=entry.timeout,
        network=networks.read(entry.network, located, ("traces", "network"), [entry.endpoint]),
    )


__all__ = ["TracesEntry", "read_traces"]
