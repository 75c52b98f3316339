"""What a person sees on a terminal of some width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.unit.cli.daemon_stub import DaemonStub, Said, events
from tests.unit.cli.test_commands import (
    DEPLOYMENT,
    RUNNING,
    SETTING,
    STATUS,
    UNKNOWN,
    WHY,
    listed,
)

ERROR = {"message": "web: container f731d3dbaf1e keeps restarting (exit status 3)"}
SETTINGS = listed({**SETTING, "meaning": "between two looks at an external repository"})
REASON = {
    "code": "rolled-back",
    "text": "rolled back in deployment 5: web: container f731d3dbaf1e keeps restarting",
    "evidence": {"back_to": "4", "registry.example/team/app:main": f"sha256:{'4f' * 32}"},
}


def seen(daemon: DaemonStub, home: Path, columns: int, *words: str) -> list[str]:
    """Return the lines that a command shows on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm",
        "NO_COLOR": "1",
        "RECONCILER_SOCKET": str(daemon.socket),
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass  # how Linux says that the other end of a terminal was closed
    finally:
        os.close(ours)
    assert child.wait(30) == 0, shown
    return re.sub(r"\x1b\[\d+m", "", shown.decode()).splitlines()


@pytest.mark.parametrize("columns", [60, 80, 140])
@pytest.mark.parametrize(
    ("words", "path", "answer", "whole"),
    [
        pytest.param(
            "deployments",
            "/api/v1/deployments",
            listed({**DEPLOYMENT, "error": ERROR}),
            ERROR["message"],
            id="deployments",
        ),
        pytest.param(
            "settings",
            "/api/v1/settings",
            SETTINGS,
            "between two looks at an external repository",
            id="settings",
        ),
        pytest.param(
            "why shop",
            "/api/v1/projects/shop/why",
            {**WHY, "reasons": [REASON]},
            REASON["text"],
            id="why",
        ),
        pytest.param(
            "status", "/api/v1/status", STATUS, "https://git.example/shop.git", id="status"
        ),
    ],
)
def test_lines_fit_and_nothing_is_cut(
    daemon: DaemonStub,
    home: Path,
    columns: int,
    words: str,
    path: str,
    answer: dict[str, object],
    whole: str,
) -> None:
    """However narrow, no line is longer than the terminal, and each word of the prose is there."""
    daemon.says(f"GET {path}", Said(answer))
    daemon.says("GET /api/v1/targets/status", Said(listed(RUNNING, UNKNOWN)))
    lines = seen(daemon, home, columns, *words.split())
    assert max(map(len, lines)) <= columns
    assert "".join(whole.split()) in "".join("".join(lines).split())


def test_detail_stands_below_where_there_is_no_room(daemon: DaemonStub, home: Path) -> None:
    """A row stays one line of columns that line up; its prose has the next line for itself."""
    rows = listed({**DEPLOYMENT, "error": ERROR}, {**DEPLOYMENT, "id": 7})
    daemon.says("GET /api/v1/deployments", Said(rows))
    heading, first, detail, second, other = seen(daemon, home, 80, "deployments")
    assert heading.split() == [
        "ID",
        "PROJECT",
        "HOST",
        "STATUS",
        "COMMIT",
        "TRIGGER",
        "TOOK",
        "STARTED",
    ]
    assert detail == f"  {ERROR['message']}"
    assert other == "  web was not healthy"
    assert first.index("rolled-back") == second.index("rolled-back") == heading.index("STATUS")
    assert seen(daemon, home, 50, "deployments")[2].startswith("  took 8.5 s  started ")


def test_a_release_shows_its_stages(daemon: DaemonStub, home: Path) -> None:
    """Below the lines: which ran, which goes on beside its usual time, which is still to come."""
    begun = {"stage": "apply", "started_at": "2026-01-01T00:00:00Z", "usual_seconds": 5.0}
    prepared = {**begun, "stage": "prepare", "seconds": 1.5, "usual_seconds": 2.0, "outcome": "ok"}
    body = {
        "id": 12, "project": "shop", "status": "running", "revision": {"commit": "a" * 40},
        "stages": [prepared, begun], "ahead": [{"stage": "verify", "usual_seconds": 25.0}],
    }  # fmt: skip
    daemon.says("POST /api/v1/projects/shop/deployments", Said(body))

    def slow() -> Said:
        time.sleep(0.5)  # the stage takes its time
        return events((1, "apply", "web started"))

    daemon.says("GET /api/v1/deployments/12/log", slow)
    ended = {
        **body, "status": "deployed", "finished_at": "2026-01-01T00:00:00Z", "ahead": [],
        "targets": [{"host": "local", "status": "verified"}],
    }  # fmt: skip
    daemon.says("GET /api/v1/deployments/12", Said(ended))
    shown = "\n".join(seen(daemon, home, 80, "release", "shop"))
    for part in (
        *("deployment 12 of shop", "✓", "1.5 s", "(usually 2.0 s)", "(usually 25.0 s)"),
        *("apply     web started", "deployed: deployment 12 of shop"),
    ):
        assert part in shown
