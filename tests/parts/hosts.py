"""Machines as the daemon has them, on hosts that a test declares."""

import subprocess
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from reconciler.adapters.engine import DEFAULT_HOST, DockerEngine
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.hosts.machines import DeclaredHosts, SshMachines
from reconciler.adapters.hosts.operator_config import OperatorConfig
from reconciler.adapters.process import LocalRunner
from reconciler.adapters.system_clock import SystemClock
from reconciler.domain.errors import NotFound
from reconciler.domain.host import Host, HostName
from reconciler.domain.secret import Secret
from reconciler.ports import Machine
from tests.parts.sshd import Sshd

CREATED_AT = datetime(2030, 1, 1, tzinfo=UTC)


class Hosts:
    """``Machines`` with what they are declared by; all connections end with the block."""

    def __init__(self, folder: Path, docker_host: str = DEFAULT_HOST) -> None:
        """Keep all files below ``folder``, the operator's SSH configuration included.

        ``docker_host`` is where the engine of the daemon's own machine is.
        """
        self._docker_host = docker_host
        self.folder = folder / "run" / "hosts"
        self.operator_path = folder / "ssh_config"
        folder.mkdir(parents=True, exist_ok=True)
        self.operator_path.touch()
        self.declared: dict[HostName, Host] = {}
        self.keys: dict[HostName, Secret] = {}
        self.runner = LocalRunner(f"test-{folder}")
        self.operator = OperatorConfig(self.runner, self.operator_path)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.machines = self.start()
        self._stack.callback(self.machines.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(self) -> SshMachines:
        """Return the machines as a start of the daemon makes them."""
        engine = DockerEngine(self._docker_host)
        self._stack.callback(engine.close)
        clock = SystemClock()
        return SshMachines(
            self.folder,
            LocalMachine(self.runner, engine, clock),
            DeclaredHosts(self.get, self.keys.get),
            self.operator,
            clock,
        )

    def master(self, name: str = "web") -> int:
        """Return the process id of the ssh that keeps the connection to a host open."""
        argv = ["ssh", "-F", str(self.folder / name / "config"), "-O", "check", "--", name]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=True).stderr
        return int(said.partition("pid=")[2].partition(")")[0])

    def declare(self, sshd: Sshd, name: str = "web", *, port: int = 0) -> Machine:
        """Declare ``sshd`` as a host with a stored key, reached at ``port`` if it has another."""
        host = Host(
            HostName(name),
            CREATED_AT,
            address="127.0.0.1",
            user=sshd.user,
            port=port or sshd.port,
            host_keys=(sshd.host_key,),
        )
        self.keys[host.name] = Secret.of(sshd.key_path.read_text())
        return self.put(host)

    def declare_alias(self, sshd: Sshd, alias: str, name: str = "web") -> Machine:
        """Declare the host behind an alias of the operator's configuration."""
        host = Host(HostName(name), CREATED_AT, alias=alias, host_keys=(sshd.host_key,))
        return self.put(host)

    def change(self, name: str, **changes: object) -> Machine:
        """Declare a host anew."""
        return self.put(replace(self.declared[HostName(name)], **changes))  # type: ignore[arg-type]

    def get(self, name: HostName) -> Host:
        """Return what is declared of a host. Raises ``NotFound``."""
        if name not in self.declared:
            raise NotFound(f"there is no host {name}")
        return self.declared[name]

    def put(self, host: Host) -> Machine:
        """Declare ``host``."""
        self.declared[host.name] = host
        return self.machines.get(host.name)
