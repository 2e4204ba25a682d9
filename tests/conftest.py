"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How fast examples are made depends on what else the machine does; bounds on time are not tests.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")
