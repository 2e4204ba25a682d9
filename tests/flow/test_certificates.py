"""Certificates that end soon are told, by who can still do something about it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from structlog.testing import capture_logs

from gateway.flow.certificates import certificates
from gateway.ops.health import health
from gateway.ops.metrics import Metrics
from gateway.timers import warn_of_certificates
from gateway.wire.network import Network
from tests.flow.rig import BEGIN, BRON, GRU_A, GRU_B, Rig


def days(n: float) -> timedelta:
    return timedelta(days=n)


async def test_a_certificate_is_told_a_month_before_its_end(rig: Rig) -> None:
    bron = rig.catalogue.communes[BRON]
    ends = (("ca", BEGIN + days(400)), ("certificate", BEGIN + days(20.5)))
    gru = dataclasses.replace(bron.grus["outil"], network=Network(ends=ends))
    communes = {**rig.catalogue.communes, BRON: dataclasses.replace(bron, grus={"outil": gru})}
    rig.catalogue = dataclasses.replace(rig.catalogue, communes=communes)
    async with rig.gateway(run=False) as engine:
        engine.far_ends.served[GRU_B] = BEGIN - days(1.5)
        engine.far_ends.served["portal:toodego"] = BEGIN + days(31)
        whole = await health(engine, ready=True, started_at=BEGIN)
        part = whole.certificates
        assert part.state == "degraded"
        told = [(one.far_end, one.which, one.days_left) for one in part.ending]
        assert told == [(GRU_B, "server", -2), (GRU_A, "certificate", 20)]
        assert f"{GRU_A} certificate: 20 days left" in part.detail
        with capture_logs() as logs:
            await warn_of_certificates(engine)
        assert [(log["event"], log["days_left"]) for log in logs] == [
            ("certificate.ends", -2),
            ("certificate.ends", 20),
        ]
        said = (await Metrics().scrape(engine, whole)).decode()
        series = f'gru_gateway_certificate_days_left{{far_end="{GRU_A}",which="certificate"}} 20.5'
        assert series in said
        settings = dataclasses.replace(engine.catalogue.settings, certificate_warning=10 * 86400.0)
        engine.far_ends.catalogue = dataclasses.replace(engine.catalogue, settings=settings)
        part = (await health(engine, ready=True, started_at=BEGIN)).certificates
        assert [one.far_end for one in part.ending] == [GRU_B]
        # Another certificate in its place, and what was told is no longer so.
        await engine.follow(
            dataclasses.replace(
                engine.catalogue,
                communes={**communes, BRON: dataclasses.replace(bron, grus=bron.grus)},
            ),
            5,
        )
        assert GRU_A not in {one.far_end for one in certificates(engine.far_ends)}
