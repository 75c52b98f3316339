"""A project of a real daemon that runs as a systemd unit on real hosts."""

import itertools
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.parts.daemon import FINAL, Daemon, Json
from tests.parts.git_repository import Repository, environment
from tests.parts.sshd import Sshd
from tests.parts.systemd_host import SystemdHost
from tests.parts.waiting import eventually

#: A program in nothing but what the smallest Debian has: it answers each request with its version,
#: and with the commit that it is told it was built of.
_SERVER = """\
#!/usr/bin/perl
use IO::Socket::INET;
my $server = IO::Socket::INET->new(
    LocalAddr => '0.0.0.0', LocalPort => $ENV{PORT}, Listen => 10, ReuseAddr => 1) or die $!;
while (my $client = $server->accept) {
    while (my $line = <$client>) { last if $line =~ /^\\r?\\n?$/ }
    print $client "HTTP/1.0 STATUS\\r\\nContent-Type: text/plain\\r\\n\\r\\nversion NAME\\n";
    print $client "commit $ENV{RECONCILER_BUILD_COMMIT}\\n";
    close $client;
}
"""
#: What builds it, on whichever machine: it notes in the home folder that it ran.
BUILD = '#!/bin/sh\nset -e\necho built >>"$HOME/builds"\necho building\ncp server.pl app\n'
#: Waits in its middle until somebody lets it go on.
PATIENT_BUILD = f'{BUILD}echo waiting\nwhile [ ! -e "$HOME/go" ]; do sleep 0.1; done\n'
#: Takes a while to send.
LARGE_BUILD = f"{BUILD}head -c 200000000 /dev/urandom >large\n"
_ports = itertools.count(8100)
_numbers = itertools.count(1)


def server(name: str, status: str = "200 OK") -> str:
    """Return a program that says ``version NAME`` to whoever asks it over HTTP."""
    return _SERVER.replace("NAME", name).replace("STATUS", status)


def crashing(name: str) -> str:
    """Return a program that ends at once."""
    return f"#!/bin/sh\necho version {name}\nexit 3\n"


def join(daemon: Daemon, host: SystemdHost | Sshd, name: str, **declared: object) -> str:
    """Declare ``host`` to the daemon and confirm its key; return its name there."""
    at = host.address if isinstance(host, SystemdHost) else "127.0.0.1"
    address = {"address": at, "port": host.port, "user": host.user}
    daemon.post("hosts", {"name": name, **address, **declared})
    daemon.put(f"hosts/{name}/key", {"value": host.key_path.read_text()})
    (offered,) = daemon.get(f"hosts/{name}/offered-keys")["items"]
    assert offered["key"] == host.host_key
    daemon.post(f"hosts/{name}/trust", {"fingerprint": offered["fingerprint"]})
    return name


@dataclass
class UnitShop:
    """One project of kind ``unit`` with its repository, kept by the daemon."""

    daemon: Daemon
    name: str
    repository: Repository
    remote: str
    port: int
    hosts: dict[str, SystemdHost] = field(default_factory=dict)

    def commit(self, program: str, **files: str) -> str:
        """Commit a version of the program; nobody is told."""
        named = {name.replace("_", "."): content for name, content in files.items()}
        return self.repository.commit({"server.pl": program, "build.sh": BUILD, **named})

    def push(self, program: str, **files: str) -> str:
        """Commit a version of the program and push it; return the commit."""
        commit = self.commit(program, **files)
        self.publish()
        return commit

    def publish(self) -> None:
        """Push what was committed."""
        subprocess.run(
            ["git", "--git-dir", str(self.repository.path), "push", "-q", self.remote, "main"],
            check=True,
            capture_output=True,
            timeout=60,
            env=environment(),
        )

    def settled(self, count: int = 1, *, within: float = 60) -> Json:
        """Wait until ``count`` deployments have ended and return the newest."""
        return self.daemon.settled(self.name, count=count, within=within)

    def deployed(self, count: int = 1, *, commit: str = "", within: float = 60) -> Json:
        """As `settled`; the newest must be deployed, and of ``commit`` if that is given."""
        return self.daemon.deployed(self.name, count=count, commit=commit, within=within)

    def answers(self, host: str) -> str:
        """Return what the program says on one of its hosts; nothing where it does not run."""
        ask = f"curl -s --max-time 2 http://127.0.0.1:{self.port}/ || true"
        return self.hosts[host].run("sh", "-c", ask).partition("\n")[0]

    def runs(self, version: str, *hosts: str) -> None:
        """See that ``version`` answers on each of the hosts, or on all."""
        for host in hosts or tuple(self.hosts):
            assert self.answers(host) == f"version {version}", host

    def builds(self, host: str) -> int:
        """Return how often it was built on a host."""
        return self.hosts[host].read(f"/opt/apps/{self.name}/home/builds").count("built")


def target(host: str, port: int, **changes: object) -> Json:
    """Return what declares a target there, with a health check."""
    return {
        "host": host,
        "build": ["sh", "build.sh"],
        "binary": "app",
        "port": port,
        "health": {
            "kind": "http",
            "path": "/",
            "text": "version",
            "start_period_seconds": 2,
            "interval_seconds": 0.2,
            "successes": 2,
            "retries": 2,
        },
        **changes,
    }


@contextmanager
def unit_shop(
    daemon: Daemon,
    folder: Path,
    hosts: dict[str, SystemdHost],
    targets: Sequence[Json] = (),
    **declared: object,
) -> Iterator[UnitShop]:
    """Give a project with a target on each of ``hosts``; its units are gone when the block ends.

    ``targets`` are changes of the hosts' targets, in their order.
    """
    name, port = f"unit{next(_numbers)}", next(_ports)
    source = {"repository": name, "create_repository": True}
    daemon.post("projects", {"name": name, "kind": "unit", **source, **declared})
    made = daemon.post(f"repositories/{name}/tokens", {"name": f"push-{name}"})
    address = daemon.url.removeprefix("http://")
    remote = f"http://git:{made['token']}@{address}/git/{name}.git"
    shop = UnitShop(daemon, name, Repository(folder / f"{name}.git"), remote, port, hosts)
    for number, host in enumerate(hosts):
        changes = targets[number] if number < len(targets) else {}
        daemon.post(f"projects/{name}/targets", target(host, port, **changes))
    daemon.patch(f"projects/{name}", {"auto_deploy": True})
    try:
        yield shop
    finally:
        _remove(shop)


def _remove(shop: UnitShop) -> None:
    if shop.daemon.is_ready():
        shop.daemon.patch(f"projects/{shop.name}", {"auto_deploy": False})
        eventually(
            lambda: all(one["status"] in FINAL for one in shop.daemon.deployments(shop.name)),
            within=60,
            what=f"nothing of {shop.name} is under way",
        )
        shop.daemon.delete(f"projects/{shop.name}")
    for host in shop.hosts.values():
        host.run(
            "sh",
            "-c",
            f"systemctl disable --now {shop.name}.service; rm -rf /opt/apps/{shop.name}; true",
        )
