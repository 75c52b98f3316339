"""``Notifier``: whichever way an address asks for."""

import threading
from datetime import timedelta
from pathlib import Path

from reconciler.adapters.notify.services import Services
from reconciler.adapters.notify.signed_webhook import SignedWebhooks
from reconciler.domain.channel import WEBHOOKS, Address, secrets_of
from reconciler.log import Redactor
from reconciler.ports import Clock, CommandRunner, Letter

#: For one message, whatever it takes.
LIMIT = timedelta(seconds=15)


class ServiceNotifier:
    """Sends by our own signed webhook, or through apprise. Threads may share it."""

    def __init__(
        self,
        runner: CommandRunner,
        clock: Clock,
        redactor: Redactor,
        *,
        ca_file: Path | None = None,
        limit: timedelta = LIMIT,
    ) -> None:
        self._redactor = redactor
        self._services = Services(runner, clock, limit)
        self._webhooks = SignedWebhooks(clock, limit, ca_file)

    def check(self, address: Address) -> None:
        """Look whether the address is one; see ``Notifier``."""
        self._redactor.register(*secrets_of(address))
        if address.service not in WEBHOOKS:
            self._services.check(address)

    def send(self, address: Address, letter: Letter, cancel: threading.Event | None = None) -> None:
        """Send one message; see ``Notifier``."""
        self._redactor.register(*secrets_of(address))
        if address.service in WEBHOOKS:
            self._webhooks.send(address, letter)
        else:
            self._services.send(address, letter, cancel)
