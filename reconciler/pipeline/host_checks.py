"""How each host answers, asked now and then, each on its own so that one that hangs delays none."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.domain.errors import HostKeyUnconfirmed, ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.host import LOCAL, Host, HostHealth, HostName
from reconciler.log import fields
from reconciler.pipeline.checks_begun import ChecksBegun, Submit
from reconciler.ports import HostFacts, HostStore, Machines

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HostStanding:
    """What is known of a host."""

    health: HostHealth = field(default_factory=HostHealth)
    facts: HostFacts | None = None  #: of the last good check


class HostChecks:
    """Checks hosts, and remembers what they said until the daemon ends. Threads may share it."""

    def __init__(self, store: HostStore, machines: Machines, submit: Submit) -> None:
        self._store = store
        self._machines = machines
        self._checks = ChecksBegun(submit, self.check)
        self._lock = threading.Lock()
        self._facts: dict[HostName, HostFacts] = {}

    def tick(self) -> None:
        """Begin a check of this machine and of every confirmed host, but those that go on."""
        self._checks.begin(LOCAL, suspect=False)
        for host in self._store.list_hosts():
            if host.confirmed:
                suspect = self.standing(host.name).health.reachable is False
                self._checks.begin(host.name, suspect=suspect)

    def check(self, name: HostName) -> HostStanding:
        """Check one host now, and return what is known of it. Raises ``NotFound``."""
        machine = self._machines.get(name)
        before = machine.health
        try:
            facts = machine.check()
        except ReconcilerError as error:
            if before.error is None or before.error.code != error.code:
                log.warning("%s", error.message, extra=fields(host=name, code=error.code))
        else:
            with self._lock:
                self._facts[name] = facts
            if before.reachable is False:
                log.info("host %s answers again", name)
        return self.standing(name)

    def standing(self, name: HostName) -> HostStanding:
        """Return what is known of it. Raises ``NotFound``."""
        health = self._machines.get(name).health
        with self._lock:
            # A host that was declared anew under the name is another one.
            return HostStanding(health, self._facts.get(name) if health.checked_at else None)

    def troubles(self) -> Mapping[HostName, HostHealth]:
        """Return the hosts on which nothing can be done now, as far as is known, and why."""
        found = {host.name: self._trouble(host) for host in self._store.list_hosts()}
        return {name: health for name, health in found.items() if health.error is not None}

    def _trouble(self, host: Host) -> HostHealth:
        if host.confirmed:
            return self.standing(host.name).health
        # Nobody asks it before that.
        unconfirmed = HostKeyUnconfirmed(host.name, "nobody confirmed its key yet")
        return HostHealth(error=Failure.of(unconfirmed))
