"""The fixtures of the flow: each regression drives the real code as the flow's tests do."""

from tests.flow.conftest import build_rig, rig

__all__ = [
    "build_rig",
    "rig",
]
