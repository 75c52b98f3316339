"""A real OpenSSH server on an unprivileged port, with keys of its own."""

import os
import pwd
import subprocess
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.parts.child import Child, accepts_connections, free_port
from tests.parts.git_repository import Repository


class Sshd:
    """Lets one key in, as the user who runs the tests, and serves git repositories and commands."""

    def __init__(self) -> None:
        """Take a free port; nothing starts before the block is entered."""
        self.port = free_port()
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.directory = Path(stack.enter_context(TemporaryDirectory(prefix="sshd-")))
            self.root = self.directory / "repositories"
            self.root.mkdir()
            #: The private key that is let in.
            self.key_path = _make_key(self.directory / "user_key")
            self.known_hosts_path = self.directory / "known_hosts"
            (self.directory / "authorized_keys").write_text(_public(self.key_path))
            self._use_new_host_key()
            if os.getuid() == 0:
                # Where sshd separates privileges; a service unit would have made it.
                Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
            self._child = stack.enter_context(self._server())
            stack.callback(self._end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def child(self) -> Child:
        """The process itself; its output is sshd's verbose log."""
        return self._child

    @property
    def host_key(self) -> str:
        """The host's public key, as ``ssh-ed25519 AAAA…``."""
        return " ".join(_public(self._host_key_path).split()[:2])

    def repository(self, name: str) -> Repository:
        """Make the bare repository ``name``, e.g. ``team/web.git``, or take the one there."""
        return Repository(self.root / name)

    def url(self, name: str) -> str:
        """Return the ``ssh://`` address that ``name`` is cloned from."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.root / name}"

    def client_options(self) -> list[str]:
        """Return what the ssh client needs to come in, trusting this host's key alone."""
        return [
            *("-F", "/dev/null", "-i", str(self.key_path), "-p", str(self.port)),
            *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
            *("-o", f"UserKnownHostsFile={self.known_hosts_path}"),
            *("-o", "StrictHostKeyChecking=yes", "-l", self.user),
        ]

    def change_host_key(self) -> None:
        """Start again, on the same port, as another machine; known_hosts still names the first."""
        known = self.known_hosts_path.read_text()
        self._child.end()
        self._use_new_host_key()
        self.known_hosts_path.write_text(known)
        self._child = self._server().__enter__()

    def _end(self) -> None:
        self._child.end()

    def _use_new_host_key(self) -> None:
        number = len(list(self.directory.glob("host_key_*.pub")))
        self._host_key_path = _make_key(self.directory / f"host_key_{number}")
        self.known_hosts_path.write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")

    def _server(self) -> Child:
        config_path = self.directory / "sshd_config"
        config_path.write_text(
            f"Port {self.port}\n"
            "ListenAddress 127.0.0.1\n"
            f"HostKey {self._host_key_path}\n"
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}\n"
            "AuthenticationMethods publickey\n"
            "PermitRootLogin prohibit-password\n"
            # The keys lie below a folder that everyone may write to.
            "StrictModes no\n"
            "UsePAM no\n"
            "PidFile none\n"
            "LogLevel VERBOSE\n"
            "MaxStartups 100\n"
            "Subsystem sftp internal-sftp\n"
        )
        return Child(
            # sshd starts itself anew for each connection and insists on its whole path.
            ["/usr/sbin/sshd", "-D", "-e", "-f", config_path],
            log=self.directory / "sshd.log",
            ready=lambda: accepts_connections(self.port),
        )


def _make_key(path: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", path],
        check=True,
        timeout=20,
    )
    return path


def _public(key_path: Path) -> str:
    return key_path.with_name(f"{key_path.name}.pub").read_text()
