"""What the process that sends messages may reach: whatever a channel's URL names."""

import os
import sysconfig

import pytest

from reconciler.adapters.notify.messenger import Guard


@pytest.mark.parametrize(
    ("event", "given"),
    [
        ("open", ("/etc/shadow", "r", os.O_RDONLY)),
        ("open", ("/usr/../etc/shadow", "r", os.O_RDONLY)),
        ("open", (b"/usr-of-ours/key", "rb", os.O_RDONLY)),
        ("open", ("usr/key", "r", os.O_RDONLY)),
        ("open", (f"{sysconfig.get_path('stdlib')}/x.py", None, os.O_WRONLY | os.O_CREAT)),
        ("socket.connect", (None, ("169.254.169.254", 80))),
        ("socket.sendmsg", (None, ("169.254.169.254", 80))),
        ("socket.connect", (None, "/run/docker.sock")),
        ("subprocess.Popen", ("sh", ["sh"], None, None)),
    ],
)
def test_nothing_but_servers_and_python_itself(event: str, given: tuple[object, ...]) -> None:
    with pytest.raises(PermissionError):
        Guard()(event, given)


def test_what_sending_needs_is_let_pass() -> None:
    guard = Guard()
    guard("open", (f"{sysconfig.get_path('stdlib')}/json/__init__.py", "rb", os.O_RDONLY))
    guard("open", (3, "r", os.O_RDONLY))
    guard("socket.connect", (None, ("10.0.0.1", 443)))
