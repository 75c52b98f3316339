"""By which name the network knows a host."""

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.adapters.hosts.operator_config import OperatorConfig
from reconciler.domain.host import Host, HostName


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """Finds the address of a declared host."""

    get: Callable[[HostName], Host]  #: raises ``NotFound``
    operator: OperatorConfig

    def __call__(self, name: HostName) -> str:
        """Return a name or an IP address; of an alias, what the SSH configuration says.

        Raises:
            NotFound: no such host.
            PreconditionFailed: the operator's configuration can't be read.
        """
        host = self.get(name)
        if not host.alias:
            return host.address
        return dict(self.operator.resolve(host.alias))["hostname"]
