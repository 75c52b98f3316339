"""What looking through the audit log gave last: pages show that, for a look takes seconds."""

from dataclasses import dataclass
from datetime import datetime

from reconciler.app import Application
from reconciler.domain.audit import AuditCheck, Head


@dataclass(frozen=True, slots=True)
class Checked:
    """One look through all of it."""

    check: AuditCheck
    at: datetime


class AuditChecks:
    """Looks through the log, and remembers how that went until the daemon ends."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self.last: Checked | None = None

    def check(self, noted: Head | None = None) -> AuditCheck:
        """Look through the whole log; ``noted`` was written down elsewhere earlier."""
        found = self._application.store.check_audit(noted)
        if noted is None:  # what somebody wrote down may be of another daemon
            self.last = Checked(found, self._application.clock.now())
        return found
