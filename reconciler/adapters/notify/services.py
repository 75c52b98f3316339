"""The services that apprise knows, each message by a process that is ended in time."""

import json
import sys
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from reconciler.adapters.retry_after import parse_retry_after
from reconciler.domain.channel import Address, secrets_of
from reconciler.domain.errors import (
    InvalidInput,
    NotifyError,
    NotifyRefused,
    NotifyThrottled,
    NotifyUnreachable,
    ReconcilerError,
)
from reconciler.domain.notice import NoticeEvent
from reconciler.domain.secret import Secret
from reconciler.log import Redactor, plain, shorten
from reconciler.ports import Clock, Command, CommandRunner, Letter

#: Reads nothing of the environment, and nothing from where it is started.
_MESSENGER = (sys.executable, "-I", "-m", "reconciler.adapters.notify.messenger")
_LONGEST_SAID = 300
#: Event → what apprise calls it, from which services take a colour or priority.
_KINDS: Mapping[NoticeEvent, str] = {
    NoticeEvent.FAILURE: "failure",
    NoticeEvent.ROLLBACK: "warning",
    NoticeEvent.NEEDS_PERSON: "failure",
    NoticeEvent.RECOVERY: "success",
    NoticeEvent.SUCCESS: "success",
}


class Services:
    """Sends through them. Threads may share it."""

    def __init__(self, runner: CommandRunner, clock: Clock, limit: timedelta) -> None:
        self._runner = runner
        self._clock = clock
        self._limit = limit

    def check(self, address: Address) -> None:
        """Have the URL read, without sending. Raises ``InvalidInput``."""
        asked = {"url": address.url.reveal(), "send": False}
        if not self._ask(address, asked, None)["usable"]:
            problem = (
                f"is not what {address.service} needs; docs/notifications.md shows how it looks"
            )
            raise InvalidInput("url", f"{address.service}://…", problem)

    def send(self, address: Address, letter: Letter, cancel: threading.Event | None) -> None:
        """Send one message; see ``Notifier``."""
        asked = {
            "url": address.url.reveal(),
            "send": True,
            "title": letter.title,
            "text": letter.text,
            "kind": _KINDS[letter.event],
        }
        told = self._ask(address, asked, cancel)
        if not told["sent"]:
            raise self._error_of(address, told)

    def _ask(
        self, address: Address, asked: Mapping[str, object], cancel: threading.Event | None
    ) -> Mapping[str, Any]:
        command = Command(_MESSENGER, stdin=Secret.of(json.dumps(asked)), timeout=self._limit)
        result = self._runner.run(command, cancel=cancel)
        if result.timed_out:
            limit = self._limit.total_seconds()
            raise NotifyUnreachable(f"{address.service} did not take it within {limit:g} s")
        try:
            told: Mapping[str, Any] = json.loads(result.stdout)
        except ValueError:
            # What it wrote instead may show the address.
            raise NotifyError(
                f"what sends to {address.service} ended with exit status {result.exit_status}"
            ) from None
        return told

    def _error_of(self, address: Address, told: Mapping[str, Any]) -> ReconcilerError:
        service, status = address.service, told["status"]
        if told["refused"]:
            return NotifyRefused(f"{service} is at {told['refused']}, where we send nothing")
        redactor = Redactor()
        redactor.register(*secrets_of(address))
        said = shorten(redactor.redact(plain(told["said"])), _LONGEST_SAID)
        text = f"{service} did not take it" + (f" ({status})" if status else "")
        text += f": {said}" if said else ""
        if status in {429, 503}:
            pause = parse_retry_after(told["retry_after"], self._clock.now())
            return NotifyThrottled(text, pause)
        if not told["usable"] or (status is not None and 300 <= status < 500):
            return NotifyRefused(text)
        return NotifyError(text)
