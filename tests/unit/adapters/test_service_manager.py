"""What a service manager hears, on a real datagram socket."""

import os
import secrets
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.service_manager import ServiceManager


@pytest.fixture(params=["file", "abstract"])
def hearing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """``NOTIFY_SOCKET`` as systemd gives it, and what is heard there."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listener.settimeout(2)
        yield name, listener


def test_each_step_is_one_message(hearing: tuple[str, socket.socket]) -> None:
    """Source: sd_notify(3). A status is one line, whatever it says."""
    address, listener = hearing
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    manager.ready("working")
    manager.alive("working")
    manager.troubled("failing:\npolls\nSTOPPING=1")
    manager.stopping("draining", at_most=timedelta(minutes=1, milliseconds=500))
    assert [listener.recv(4096).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=working",
        "WATCHDOG=1\nSTATUS=working",
        "STATUS=failing: polls STOPPING=1",
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=60500000\nSTATUS=draining",
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"WATCHDOG_USEC": "2500000"}, timedelta(seconds=2.5), id="ours"),
        pytest.param(
            {"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": str(os.getpid())},
            timedelta(seconds=2.5),
            id="named",
        ),
        pytest.param({"WATCHDOG_USEC": "2500000", "WATCHDOG_PID": "1"}, None, id="another's"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="off"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="not a number"),
        pytest.param({}, None, id="not set"),
    ],
)
def test_patience_is_the_watchdogs(variables: dict[str, str], expected: timedelta | None) -> None:
    """Source: sd_watchdog_enabled(3): it is for one process, and may be off."""
    assert ServiceManager({"NOTIFY_SOCKET": "/run/x", **variables}).patience == expected


def test_nobody_is_told_where_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """Without a manager nothing happens, nor is anything watched."""
    manager = ServiceManager({"WATCHDOG_USEC": "2500000"})
    manager.ready("working")
    assert manager.patience is None
    assert not caplog.records


def test_a_manager_that_is_gone_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a line in the log."""
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("working")
    assert "can't be told" in caplog.text
