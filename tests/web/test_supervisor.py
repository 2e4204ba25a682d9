"""systemd hears when a start is over, and nobody else does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.ops import supervisor


@pytest.mark.parametrize("abstract", [False, True])
def test_who_started_us_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name if abstract else name)
        supervisor.notify_supervisor(supervisor.READY)
        systemd.settimeout(10)
        assert systemd.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "nonsense", "/nowhere/at/all"])
def test_where_nobody_listens_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    supervisor.notify_supervisor(supervisor.READY)
