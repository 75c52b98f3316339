"""How hosts are reached, and how each is looked after."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.local import LocalMachine
from reconciler.adapters.hosts.machines import DeclaredHosts, SshMachines
from reconciler.adapters.hosts.operator_config import OperatorConfig
from reconciler.adapters.probes.address import HostAddresses
from reconciler.adapters.probes.prober import HealthProber
from reconciler.domain.host import HostName
from reconciler.domain.secret import Secret
from reconciler.log import Redactor
from reconciler.pipeline.declaring.hosts import Hosts
from reconciler.pipeline.host_checks import HostChecks
from reconciler.ports import Clock, CommandRunner, HostStore
from reconciler.scheduling import LoopSpec
from reconciler.triggers.lanes import Lanes

_CHECK_EVERY = timedelta(minutes=1)
#: Checks of hosts that answered last time, side by side; as many of those that did not.
_CHECKS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class HostingParts:
    """What hosts are reached with."""

    store: HostStore
    runner: CommandRunner
    engine: DockerEngine
    clock: Clock
    redactor: Redactor


class Hosting:
    """Every host: its declaration, the way to it, and its checks."""

    def __init__(self, parts: HostingParts, folder: Path) -> None:
        """Use ``folder`` alone for keys and connections; it is swept."""
        self._parts = parts
        operator = OperatorConfig(parts.runner)
        self.machines = SshMachines(
            folder,
            LocalMachine(parts.runner, parts.engine, parts.clock),
            DeclaredHosts(parts.store.get_host, self._find_key),
            operator,
            parts.clock,
        )
        self.prober = HealthProber(self.machines, HostAddresses(parts.store.get_host, operator))
        self._lanes = Lanes(
            "host", at_once=_CHECKS_AT_ONCE, per_host=1, suspects_at_once=_CHECKS_AT_ONCE
        )
        self.hosts = Hosts(parts.store, self.machines, parts.clock)
        self.checks = HostChecks(
            parts.store,
            self.machines,
            lambda host, task, suspect: self._lanes.submit(host, task, suspect=suspect),
        )

    def loop(self) -> LoopSpec:
        """Return the loop that checks every host."""
        return LoopSpec("hosts", self.checks.tick, _CHECK_EVERY)

    def close(self) -> None:
        """Begin no further check, and end all connections."""
        self._lanes.close()
        self.machines.close()

    def _find_key(self, name: HostName) -> Secret | None:
        """Return our private key for a host, which no log then shows."""
        key = self._parts.store.find_host_secret(name)
        if key is not None:
            self._parts.redactor.register(key)
        return key
