"""All machines: this one, and each that was declared."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.adapters.hosts.access import Access
from reconciler.adapters.hosts.files import HostFiles, HostsFolder
from reconciler.adapters.hosts.offered import offered_keys
from reconciler.adapters.hosts.operator_config import OperatorConfig
from reconciler.adapters.hosts.remote import RemoteMachine
from reconciler.domain.errors import NotFound
from reconciler.domain.host import LOCAL, Host, HostName
from reconciler.domain.secret import Secret
from reconciler.ports import Clock, Machine, OfferedKey


@dataclass(frozen=True, slots=True)
class DeclaredHosts:
    """Where declarations and private keys are found."""

    get: Callable[[HostName], Host]  #: raises ``NotFound``
    find_key: Callable[[HostName], Secret | None]  #: an OpenSSH private key


class SshMachines:
    """``Machines``. Threads may share it.

    Keys and configurations lie in ``folder`` while a host is in use, readable by nobody else; what
    a killed daemon left there, connections included, goes when the next one begins.
    """

    def __init__(
        self,
        folder: Path,
        local: Machine,
        declared: DeclaredHosts,
        operator: OperatorConfig,
        clock: Clock,
    ) -> None:
        """Use ``folder`` alone, which is made private; ``operator`` is read for aliases."""
        self._folder = HostsFolder(folder)
        self._local = local
        self._declared = declared
        self._operator = operator
        self._clock = clock
        self._lock = threading.Lock()
        self._machines: dict[HostName, RemoteMachine] = {}

    def get(self, name: HostName) -> Machine:
        """Return a machine, made anew if its declaration has changed; see ``Machines``."""
        if name == LOCAL:
            return self._local
        try:
            host = self._declared.get(name)
        except NotFound:
            self.forget(name)
            raise
        with self._lock:
            known = self._machines.get(name)
            if known is not None and known.access.host == host:
                return known
            if known is not None:
                known.close()
            made = RemoteMachine(self._access(host, self._folder.of(name)), self._clock)
            self._machines[name] = made
            return made

    def offered_keys(self, host: Host) -> Sequence[OfferedKey]:
        """Return the keys that ``host`` shows to anybody; see ``Machines``."""
        with self._folder.throw_away() as files:
            return offered_keys(self._access(host, files))

    def forget(self, name: HostName) -> None:
        """Let go of the connection; see ``Machines``. Safe to repeat."""
        with self._lock:
            known = self._machines.pop(name, None)
        if known is not None:
            known.close()

    def close(self) -> None:
        """End all connections, and leave nothing in the folder."""
        for name in list(self._machines):
            self.forget(name)
        self._folder.close()

    def _access(self, host: Host, files: HostFiles) -> Access:
        return Access(
            host=host,
            find_key=lambda: self._declared.find_key(host.name),
            files=files,
            operator=self._operator,
            runner=self._operator.runner,
        )
