"""A real small server: a container that boots systemd and runs sshd, at an address of its own."""

import io
import secrets
import socket
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.parts.child import Child
from tests.parts.docker_engine import RUN_LABEL, DockerEngine, DockerFailed
from tests.parts.ssh_keys import fingerprint, make_key, public_key
from tests.parts.systemd_image import DEPLOY_UID, DEPLOY_USER, systemd_image
from tests.parts.waiting import eventually

#: What systemd needs of a container that is not privileged.
_FLAGS = (
    *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"),
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns", "host"),
    *("--env", "container=docker", "--stop-signal", "SIGRTMIN+3"),
)


class SystemdHost:
    """Lets one key in, as root and as ``deploy``, who may run systemctl as root through sudo.

    It keeps its address, its keys and its files for as long as the block lasts, restarts included.
    It starts in a second. Tests may share one: each takes folders and units of its own.
    """

    port = 22
    deploy_user = DEPLOY_USER

    def __init__(
        self, engine: DockerEngine, *, user: str = "root", options: Sequence[str] = ()
    ) -> None:
        """Name it; ``options`` are more of `docker create`'s, ``user`` is who comes in."""
        self.name = engine.unique("host")
        self.user = user
        self._engine = engine
        self._options = options
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.directory = Path(stack.enter_context(TemporaryDirectory(prefix="systemd-host-")))
            #: The private key that is let in.
            self.key_path = make_key(self.directory / "user_key")
            self._host_key_path = make_key(self.directory / "host_key")
            image = systemd_image(self._engine)
            self.address = self._make_network(stack)
            self.known_hosts_path = self.directory / "known_hosts"
            self.known_hosts_path.write_text(f"{self.address} {self.host_key}\n")
            self._engine.docker(
                *("create", "--name", self.name, "--label", f"{RUN_LABEL}={self._engine.run_id}"),
                *("--network", self.name, "--ip", self.address, *_FLAGS, *self._options),
                *(image, "/sbin/boot"),
            )
            stack.callback(self._engine.docker, "rm", "--force", "--volumes", self.name)
            self._engine.docker("cp", "-", f"{self.name}:/", stdin=self._keys())
            self.power_on()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    # ── Ways in ───────────────────────────────────────────────────────────────────────────────

    @property
    def host_key(self) -> str:
        """The host's public key, as ``ssh-ed25519 AAAA…``; it has no other."""
        return public_key(self._host_key_path)

    def client_options(self) -> list[str]:
        """Return what the ssh client needs to come in, trusting this host's key alone."""
        return [
            *("-F", "/dev/null", "-i", str(self.key_path), "-p", str(self.port)),
            *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self.known_hosts_path}"),
            *("-o", "StrictHostKeyChecking=yes", "-l", self.user),
        ]

    def run(self, *argv: str | Path, stdin: bytes | None = None, user: str = "root") -> str:
        """Run ``argv`` on it, past sshd; return what it printed, without the last line break.

        Raises:
            DockerFailed: it did not end with 0; the message holds its standard error.
        """
        return self._engine.docker(
            "exec", "--interactive", "--user", user, self.name, *argv, stdin=stdin or b""
        )

    def read(self, path: str | Path) -> str:
        """Return what a file on it holds."""
        return self.run("cat", "--", path)

    def write(self, path: str | Path, content: str | bytes, *, mode: int = 0o644) -> None:
        """Make a file on it, as root, with the folders that it needs."""
        data = content.encode() if isinstance(content, str) else content
        self.run("install", "-D", f"--mode={mode:o}", "/dev/stdin", path, stdin=data)

    def unit(self, name: str) -> dict[str, str]:
        """Return the properties of a systemd unit, e.g. ``ActiveState``, ``Result``, ``MainPID``.

        Source: systemctl(1), show; a unit that is not there has the ``LoadState`` ``not-found``.
        """
        return dict(line.split("=", 1) for line in self.run("systemctl", "show", name).splitlines())

    def journal(self, unit: str) -> str:
        """Return the messages of a unit, and systemd's about it, without their times."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")

    def boot_id(self) -> str:
        """Return what tells this start of it from any other."""
        return self.read("/proc/sys/kernel/random/boot_id")

    @contextmanager
    def reaching(self, port: int) -> Iterator[None]:
        """Let it reach a loopback port of this machine, as its own of the same number."""

        def reached() -> bool:
            try:
                self.run("bash", "-c", f"</dev/tcp/127.0.0.1/{port}")
            except DockerFailed:
                return False
            return True

        way = f"127.0.0.1:{port}:127.0.0.1:{port}"
        with Child(
            ["ssh", *self.client_options(), "-N", "-R", way, self.address],
            log=self.directory / "tunnel.log",
            ready=reached,
        ):
            yield

    # ── Its power and its cable ───────────────────────────────────────────────────────────────

    def reboot(self) -> None:
        """Restart it in order, units stopped one by one, and wait until it is up again."""
        self._engine.docker("stop", "--time", "20", self.name)
        self.power_on()

    def kill_power(self) -> None:
        """Cut its power, and start it again: nothing was told of the end."""
        self.power_off()
        self.power_on()

    def power_off(self) -> None:
        """Cut its power. Nobody answers at its address from now on."""
        self._engine.docker("kill", self.name)

    def power_on(self) -> None:
        """Start it, and wait until all its units did and sshd answers."""
        self._engine.docker("start", self.name)
        eventually(self._is_up, within=30, what=f"{self.name} is up")
        eventually(self._answers, within=10, what=f"sshd of {self.name} answers")

    @contextmanager
    def stop_answering(self) -> Iterator[None]:
        """Let no packet of it arrive here within the block, as if a cable were cut.

        It runs on, and does not notice; connections stay open until one side gives up.
        """
        gateway = self.gateway
        self.run("ip", "route", "add", "blackhole", gateway)
        try:
            yield
        finally:
            self.run("ip", "route", "delete", "blackhole", gateway)

    @contextmanager
    def freeze(self) -> Iterator[None]:
        """Stop all its processes within the block: connections are made, and nobody answers."""
        self._engine.docker("pause", self.name)
        try:
            yield
        finally:
            self._engine.docker("unpause", self.name)

    @contextmanager
    def other_host_key(self) -> Iterator[str]:
        """Be another machine at the same address within the block; give its key's fingerprint."""
        own = self._host_key_path
        other = self.directory / "other_host_key"
        if not other.exists():
            make_key(other)
        try:
            self._take_host_key(other)
            yield fingerprint(other)
        finally:
            self._take_host_key(own)

    def _take_host_key(self, path: Path) -> None:
        self._host_key_path = path
        self._engine.docker("cp", "-", f"{self.name}:/", stdin=self._keys())
        self.reboot()

    # ── How it is made ────────────────────────────────────────────────────────────────────────

    def _make_network(self, stack: ExitStack) -> str:
        """Make a network with this host alone in it; return the address that it has there.

        Only in a network that was made for it does a container keep its address.
        """

        def create() -> str:
            subnet = f"10.{200 + secrets.randbelow(55)}.{secrets.randbelow(256)}"
            try:
                self._engine.docker(
                    *("network", "create", "--subnet", f"{subnet}.0/29"),
                    *("--label", f"{RUN_LABEL}={self._engine.run_id}", self.name),
                )
            except DockerFailed as failure:
                if "overlap" not in str(failure):
                    raise
                return ""
            return f"{subnet}.2"

        address = eventually(create, what="a subnet is free")
        stack.callback(self._engine.docker, "network", "rm", self.name)
        return address

    @property
    def gateway(self) -> str:
        """This machine's address in the host's network."""
        return f"{self.address.rpartition('.')[0]}.1"

    def _keys(self) -> bytes:
        """Return a tar of the host's key, and of those who are let in."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            host_key = "etc/ssh/ssh_host_ed25519_key"
            _add(tar, host_key, self._host_key_path.read_text())
            _add(tar, f"{host_key}.pub", public_key(self._host_key_path) + "\n")
            for home, uid in (("root", 0), (f"home/{DEPLOY_USER}", DEPLOY_UID)):
                _add(tar, f"{home}/.ssh", None, uid=uid)
                _add(tar, f"{home}/.ssh/authorized_keys", public_key(self.key_path) + "\n", uid=uid)
        return archive.getvalue()

    def _is_up(self) -> bool:
        """Tell whether systemd started all there is; a unit that failed is a test's business."""
        try:
            # It ends with 1 when a unit failed, and when systemd can't be asked yet.
            state = self.run("sh", "-c", "systemctl is-system-running --wait || true")
        except DockerFailed:
            return False
        return state in {"running", "degraded"}

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((self.address, self.port)) == 0


def _add(tar: tarfile.TarFile, path: str, content: str | None, *, uid: int = 0) -> None:
    """Add a file that is its owner's alone, or a folder in place of ``content``."""
    entry = tarfile.TarInfo(path)
    entry.uid = entry.gid = uid
    data = (content or "").encode()
    if content is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o700
    else:
        entry.mode, entry.size = 0o600, len(data)
    tar.addfile(entry, io.BytesIO(data))
