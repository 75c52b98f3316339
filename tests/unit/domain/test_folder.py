"""Folders on hosts: a project gets one of its own, never the system's."""

import pytest

from reconciler.domain.errors import InvalidReference
from reconciler.domain.folder import parse_folder


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("/opt/apps/shop", "/opt/apps/shop"),
        ("/opt/apps/shop/", "/opt/apps/shop"),
        ("/opt/shop", "/opt/shop"),
        ("/srv/a-b_c.d@1+2", "/srv/a-b_c.d@1+2"),
        ("/app", "/app"),
        ("/usr/local/shop", "/usr/local/shop"),
        ("/var/lib/shop", "/var/lib/shop"),
        ("/home/deploy/shop", "/home/deploy/shop"),
        ("/tmp/shop", "/tmp/shop"),
        ("/etcetera", "/etcetera"),
    ],
)
def test_own_folder(text: str, folder: str) -> None:
    """A slash at its end is dropped; all else stays as it was written."""
    assert parse_folder(text) == folder


@pytest.mark.parametrize(
    "text",
    [
        *("/", "//", "/etc", "/etc/", "/etc/shop", "/usr", "/usr/", "/usr/local", "/usr/local/"),
        *("/usr/bin", "/usr/share/shop", "/bin", "/boot/x", "/dev/shm/shop", "/lib64/x", "/proc/1"),
        *("/run/shop", "/sbin", "/sys", "/var", "/var/lib", "/var/run/x", "/var/lib/docker/x"),
        *("/home", "/root", "/opt", "/opt/apps", "/opt/apps/", "/srv", "/tmp", "/var/tmp"),
    ],
)
def test_systems_folder(text: str) -> None:
    """Nothing is put where the system lives, nor right into what everybody shares."""
    with pytest.raises(InvalidReference, match="belongs to the system"):
        parse_folder(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "opt/shop", "./shop", "~/shop", "/opt//shop", "/opt/./shop", "/opt/apps/../../etc"),
        *("/opt/a b", "/opt/$HOME", "/opt/a;b", "/opt/a\n", "/opt/%i", "/opt/ä", "/opt/a'b"),
        "/opt/" + "a" * 256,
        "/opt" + "/a" * 300,
    ],
)
def test_no_folder(text: str) -> None:
    """What is not absolute and normal, or what something would read otherwise, is refused."""
    with pytest.raises(InvalidReference, match="must be an absolute path"):
        parse_folder(text)
