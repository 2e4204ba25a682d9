"""deploy/compose.yaml and compose.postgresql.yaml: what they start may do no more than it must."""

from __future__ import annotations

from typing import Any

import yaml

from tests.life import ROOT

FILES = ("compose.yaml", "compose.postgresql.yaml")


def merged() -> dict[str, Any]:
    """Return both files as compose reads them, one over the other."""
    whole: dict[str, Any] = {}
    for name in FILES:
        _merge(whole, yaml.safe_load((ROOT / "deploy" / name).read_text("utf-8")))
    return whole


def _merge(whole: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict):
            _merge(whole.setdefault(key, {}), value)
        elif isinstance(value, list) and key == "secrets":
            whole[key] = sorted({*whole.get(key, ()), *value})
        else:
            whole[key] = value


def test_each_service_is_bounded_and_may_do_nothing_more() -> None:
    services = merged()["services"]
    assert services.keys() == {"gateway", "database"}
    for name, one in services.items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["user"].partition(":")[0] not in ("", "0", "root"), name
        assert {"pids_limit", "mem_limit", "restart", "stop_grace_period"} <= one.keys(), name


def test_secrets_come_from_files_alone() -> None:
    whole = merged()
    used = {secret for one in whole["services"].values() for secret in one["secrets"]}
    assert used == whole["secrets"].keys()
    assert all(one == {"file": f"./secrets/{name}"} for name, one in whole["secrets"].items())
    for one in whole["services"].values():
        for name in one.get("environment", {}):
            assert "PASSWORD" not in name or name.endswith("_FILE")
    header = (
        (ROOT / "deploy/compose.postgresql.yaml").read_text("utf-8").partition("\nservices:")[0]
    )
    gateway = set(whole["services"]["gateway"]["secrets"])
    assert all(f"/run/secrets/{name}" in header for name in gateway - {"portal-key"})


def test_only_the_gateway_is_reached_and_by_the_proxy_alone() -> None:
    whole = merged()
    gateway, database = whole["services"]["gateway"], whole["services"]["database"]
    assert all(port.startswith("127.0.0.1:") for port in gateway["ports"])
    assert "ports" not in database
    assert database["networks"] == ["database"]
    assert whole["networks"]["database"] == {"internal": True}
    assert gateway["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert database["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text("utf-8")
