"""A real OpenSSH server on an unprivileged port, with keys of its own."""

import os
import pwd
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.parts.child import Child, accepts_connections, free_port
from tests.parts.git_repository import Repository
from tests.parts.ssh_keys import fingerprint, make_key, public_key


class Sshd:
    """Lets one key in, as the user who runs the tests, and serves git repositories and commands."""

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        key_kinds: Sequence[str] = ("ed25519",),
    ) -> None:
        """Take a free port; ``settings`` of sshd_config win over ours. Nothing starts yet."""
        self._key_kinds = key_kinds
        self.port = free_port()
        self._settings = settings or {}
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.directory = Path(stack.enter_context(TemporaryDirectory(prefix="sshd-")))
            self.root = self.directory / "repositories"
            self.root.mkdir()
            #: The private key that is let in.
            self.key_path = make_key(self.directory / "user_key")
            self.known_hosts_path = self.directory / "known_hosts"
            (self.directory / "authorized_keys").write_text(public_key(self.key_path) + "\n")
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
        return self.host_keys[0]

    @property
    def host_fingerprint(self) -> str:
        """Its fingerprint, for a person to compare."""
        return fingerprint(self._host_key_paths[0])

    @property
    def host_keys(self) -> list[str]:
        """All of them, in the order of their kinds."""
        return [public_key(path) for path in self._host_key_paths]

    def repository(self, name: str) -> Repository:
        """Make the bare repository ``name``, e.g. ``team/web.git``, or take the one there."""
        return Repository(self.root / name)

    def url(self, name: str) -> str:
        """Return the ``ssh://`` address that ``name`` is cloned from."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}{self.root / name}"

    def handshakes(self) -> int:
        """Return how many connections were let in so far."""
        return self._child.output().count("Accepted publickey")

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

    def stop(self) -> None:
        """Let nobody in any more; who is in already stays."""
        self._child.end()

    def start(self) -> None:
        """Go on after ``stop``, with the same key on the same port."""
        self._child = self._server().__enter__()

    def _end(self) -> None:
        self._child.end()

    def _use_new_host_key(self) -> None:
        number = len(list(self.directory.glob("host_key_*.pub")))
        self._host_key_paths = [
            make_key(self.directory / f"host_key_{number}_{kind}", kind) for kind in self._key_kinds
        ]
        known = [f"[127.0.0.1]:{self.port} {key}\n" for key in self.host_keys]
        self.known_hosts_path.write_text("".join(known))

    def _server(self) -> Child:
        config_path = self.directory / "sshd_config"
        own = "".join(f"{name} {value}\n" for name, value in self._settings.items())
        keys = "".join(f"HostKey {path}\n" for path in self._host_key_paths)
        config_path.write_text(
            f"{own}Port {self.port}\n"
            "ListenAddress 127.0.0.1\n"
            f"{keys}"
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}\n"
            # A login shell would read whatever the tests' user has there.
            f"SetEnv HOME={self.directory / 'home'}\n"
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
