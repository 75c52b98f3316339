"""What systemd is told of the daemon that it started.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

import logging
import os
import socket
from collections.abc import Mapping
from datetime import timedelta

log = logging.getLogger(__name__)

#: A manager that is busy reads late; none is waited for longer.
_SEND_SECONDS = 1.0


class ServiceManager:
    """The other end of ``NOTIFY_SOCKET``. Without it nobody is told, and nothing happens.

    No call raises: whoever started us is no reason to stop working.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Take the variables that the daemon was started with."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        #: Time after which it ends a daemon that was not heard of; None: it watches nothing.
        self.patience = _patience(environment) if self._address else None

    def ready(self, status: str) -> None:
        """Tell that requests are taken and the loops run, which ends the start."""
        self._tell("READY=1", _status(status))

    def alive(self, status: str) -> None:
        """Tell that work is done, so that `patience` begins anew."""
        self._tell("WATCHDOG=1", _status(status))

    def troubled(self, status: str) -> None:
        """Tell what is wrong, and leave the watchdog to its patience."""
        self._tell(_status(status))

    def stopping(self, status: str, *, at_most: timedelta) -> None:
        """Tell that the end has begun, and how long it may take; the watchdog is off from then."""
        self._tell("STOPPING=1", f"EXTEND_TIMEOUT_USEC={_microseconds(at_most)}", _status(status))

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = f"\0{address[1:]}"  # in the abstract namespace
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SEND_SECONDS)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("the service manager can't be told: %s", error.strerror or error)


def _patience(environment: Mapping[str, str]) -> timedelta | None:
    """Return the watchdog's time, if it is meant for this process."""
    given = environment.get("WATCHDOG_USEC", "")
    if not given.isdecimal() or not int(given):
        return None
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return timedelta(microseconds=int(given))


def _microseconds(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def _status(text: str) -> str:
    # A line's end would begin another message.
    return f"STATUS={' '.join(text.split())}"
