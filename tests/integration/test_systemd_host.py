"""The servers that other tests deploy to do what their methods say."""

import subprocess

import pytest

from tests.parts.docker_engine import DockerFailed
from tests.parts.systemd_host import SystemdHost

pytestmark = pytest.mark.needs_systemd


def test_systemd_host_lets_its_users_in_and_runs_units(systemd_host: SystemdHost) -> None:
    """Root and deploy come in over SSH, and deploy may use systemctl as root, but nothing else."""
    systemd_host.write("/etc/systemd/system/part.service", "[Service]\nExecStart=sleep infinity\n")
    start = "sudo -n systemctl start part && ! sudo -n true 2>/dev/null && id -un"
    assert _ssh(systemd_host, start, user="deploy").stdout == "deploy\n"
    assert _ssh(systemd_host, "id -un", user="root").stdout == "root\n"
    unit = systemd_host.unit("part")
    assert (unit["ActiveState"], unit["SubState"]) == ("active", "running")
    assert "Started part.service" in systemd_host.journal("part")
    systemd_host.run("systemctl", "stop", "part")
    assert systemd_host.unit("part")["ActiveState"] == "inactive"


def test_systemd_host_is_itself_again_after_a_restart(systemd_host: SystemdHost) -> None:
    """In order or by a power cut: files, address and key stay, and the boot id is another."""
    boots = [systemd_host.boot_id()]
    systemd_host.write("/var/lib/kept", "here")
    for restart in (systemd_host.reboot, systemd_host.kill_power):
        restart()
        assert _ssh(systemd_host, "cat /var/lib/kept", user="root").stdout == "here"
        boots.append(systemd_host.boot_id())
    assert len(set(boots)) == 3


def test_systemd_host_can_be_silent_frozen_and_gone(systemd_host: SystemdHost) -> None:
    """No packet, no banner, no machine: three faults that a client sees as different ones."""
    with systemd_host.stop_answering():
        assert "Connection timed out" in _ssh(systemd_host, "true", user="root").stderr
    with systemd_host.freeze():
        assert "during banner exchange" in _ssh(systemd_host, "true", user="root").stderr
    systemd_host.power_off()
    assert _ssh(systemd_host, "true", user="root").returncode == 255
    systemd_host.power_on()
    assert _ssh(systemd_host, "true", user="root").returncode == 0


def test_systemd_hosts_are_two_machines(
    systemd_host: SystemdHost, second_systemd_host: SystemdHost
) -> None:
    """Each has its own address, key and files."""
    systemd_host.write("/etc/first", "")
    hosts = (systemd_host, second_systemd_host)
    for fact in ("address", "host_key", "key_path"):
        assert len({getattr(host, fact) for host in hosts}) == 2
    with pytest.raises(DockerFailed, match="/etc/first"):
        second_systemd_host.read("/etc/first")


def _ssh(host: SystemdHost, command: str, *, user: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "ssh",
            "-l",
            user,
            "-o",
            "ConnectTimeout=1",
            *host.client_options(),
            host.address,
            command,
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
