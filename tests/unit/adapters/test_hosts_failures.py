"""What it means that a connection did not come about."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.adapters.hosts.access import Access, Way
from reconciler.adapters.hosts.failures import connection_failure, last_useful_line
from reconciler.adapters.hosts.files import HostFiles
from reconciler.adapters.hosts.operator_config import OperatorConfig
from reconciler.domain.errors import (
    HostKeyMismatch,
    HostRefused,
    ReconcilerError,
    TargetUnreachable,
)
from reconciler.domain.host import Host, HostName
from reconciler.ports import CommandResult
from reconciler.testing import RecordingRunner

HOST = Host(
    HostName("web"), datetime(2030, 1, 1, tzinfo=UTC), alias="prod", host_keys=("ssh-ed25519 AAAA",)
)
SHOWN = "SHA256:" + "A" * 43
CHANGED = f"""@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@
The fingerprint for the ED25519 key sent by the remote host is
{SHOWN}.
Host key for {{}} has changed and you have requested strict checking.
Host key verification failed.
"""


def failure(said: str, status: int = 255, *, timed_out: bool = False) -> ReconcilerError:
    runner = RecordingRunner()
    files = HostFiles(Path("/f"), Path("/s"), Path("/e"))
    access = Access(HOST, lambda: None, files, OperatorConfig(runner), runner)
    took = timedelta(seconds=30)
    result = CommandResult(("ssh",), status, "", said, took, timed_out=timed_out)
    return connection_failure(access, Way("prod", is_direct=True), result)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ("ssh: connect to host h port 22: Connection refused", TargetUnreachable, "refused"),
        ("ssh: connect to host h port 22: No route to host", TargetUnreachable, "No route"),
        ("Connection timed out during banner exchange", TargetUnreachable, "banner"),
        ("ssh: Could not resolve hostname prod: x", TargetUnreachable, "has no alias prod"),
        ("", TargetUnreachable, "ssh failed"),
        ("ada@h: Permission denied (publickey).", HostRefused, "Permission denied"),
        ('Load key "/k": error in libcrypto', HostRefused, "Load key"),
        (CHANGED.format("reconciler-web"), HostKeyMismatch, SHOWN),
        (CHANGED.format("hop"), HostKeyMismatch, "a hop on the way"),
        ("hop is not known.\nHost key verification failed.", HostKeyMismatch, "a hop on the way"),
    ],
)
def test_each_is_what_helps(said: str, error: type[ReconcilerError], words: str) -> None:
    """Time, another key, or a person who looks at the host; and the host is named."""
    found = failure(said)
    assert type(found) is error
    assert words in found.message
    assert "web" in found.message


def test_a_login_that_ends_at_once_lets_nobody_in() -> None:
    """The ssh itself ends with 255, so this is what the host ran."""
    found = failure("This account is currently not available.", 1)
    assert type(found) is HostRefused
    assert "not available" in found.message


def test_silence_is_said_to_be_that() -> None:
    """With how long it was waited for."""
    found = failure("", -15, timed_out=True)
    assert type(found) is TargetUnreachable
    assert "no answer within 30 s" in found.message


def test_the_line_with_the_reason_is_shown() -> None:
    """What follows from it comes last."""
    said = "ssh: connect to host hop: Connection refused\nConnection closed by UNKNOWN port 65535\n"
    assert last_useful_line(said) == "ssh: connect to host hop: Connection refused"
    assert last_useful_line("Connection closed by UNKNOWN port 65535\r\n").startswith("Connection")
    assert not last_useful_line("\n")
