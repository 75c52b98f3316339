"""Sends one message by apprise, in a process of its own that can do nothing else.

``python -I -m reconciler.adapters.notify.messenger`` reads one JSON object: ``url``, ``title``,
``text``, ``kind``, and ``send``, which is false where the URL is only tried. It prints another:
``usable``, ``sent``, ``said``, ``refused`` (an address that was not connected to) and what the
service answered last: ``status`` and ``retry_after``.

It is a process because a plugin that hangs can be ended with it, and because what it may reach is
then decided where it connects: whatever a name resolves to, a redirect says, or a URL's option
names. Who starts it sets the time limit.
"""

import json
import logging
import os
import resource
import sys
import sysconfig
from typing import TYPE_CHECKING, Any

from reconciler.adapters.addresses import may_be_server

if TYPE_CHECKING:
    from apprise import NotifyBase

_MEMORY_BYTES = 1 << 30
_LONGEST_SAID = 2000
#: Source: Python's audit events table.
_NEVER = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"}
)
_READABLE = ("/etc/mime.types", "/etc/localtime", "/etc/ssl", "/usr")


class Guard:
    """An audit hook: connections to servers alone, no processes, no files but Python's own."""

    def __init__(self) -> None:
        self.refused = ""
        paths = (*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, *_READABLE)
        self._readable = tuple({f"{path}/" for path in paths if path != "/"})

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        """Let pass what ``event`` is about, or raise ``PermissionError``."""
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            self._check_address(given[1])
        elif event == "open" and isinstance(given[0], str | bytes):
            self._check_file(given[0], given[2])
        elif event in _NEVER:
            raise PermissionError(f"{event} is not for messengers")

    def _check_address(self, address: object) -> None:
        host = str(address[0]) if isinstance(address, tuple) else ""
        try:
            fits = may_be_server(host)
        except ValueError:  # no address: the name of a socket's file, or one to be looked up
            fits = False
        if not fits:
            self.refused = host or "a socket of this machine"
            raise PermissionError(f"nothing is sent to {self.refused}")

    def _check_file(self, name: str | bytes, flags: int) -> None:
        path = os.path.normpath(os.fsdecode(name))
        reads = flags & os.O_ACCMODE == os.O_RDONLY
        if not (reads and f"{path}/".startswith(self._readable)):
            raise PermissionError(f"{path} is not for messengers")


class _Said(logging.Handler):
    """Keeps what apprise warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def bound_sessions() -> dict[str, Any]:
    """Follow no redirect, for the secret is for one server alone; return what was answered."""
    import requests

    last: dict[str, Any] = {"status": None, "retry_after": None}

    class Session(requests.Session):
        def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
            answer = super().send(request, **{**given, "allow_redirects": False})
            last["status"] = answer.status_code
            last["retry_after"] = answer.headers.get("Retry-After")
            return answer

    # Plugins call `requests.post`, which opens a session of this name.
    requests.Session = requests.sessions.Session = Session  # type: ignore[misc]
    return last


def open_plugin(url: str) -> "NotifyBase | None":
    """Return what sends to ``url``; the one URL that it is, though commas may be in it."""
    import apprise

    asset = apprise.AppriseAsset(
        async_mode=False, plugin_paths=[], storage_mode="memory", secure_logging=True
    )
    found: NotifyBase | None = apprise.Apprise.instantiate(url, asset=asset)
    return found


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def main() -> None:
    """Do what standard input asks for."""
    _limit()
    asked = json.load(sys.stdin)
    said, guard = _Said(), Guard()
    logger = logging.getLogger("apprise")
    logger.addHandler(said)
    logger.propagate = False
    answered = bound_sessions()
    sys.addaudithook(guard)  # before the URL is looked at: what it names may be looked up at once
    sent, plugin = False, open_plugin(asked["url"])
    if plugin is not None and asked["send"]:
        try:
            sent = bool(
                plugin.notify(title=asked["title"], body=asked["text"], notify_type=asked["kind"])
            )
        except Exception as error:  # noqa: BLE001  hundreds of plugins: none of theirs is ours
            said.lines.append(f"{type(error).__name__}: {error}")
    text = " ".join(said.lines)[:_LONGEST_SAID]
    told = {"usable": plugin is not None, "sent": sent, "said": text, "refused": guard.refused}
    sys.stdout.write(json.dumps({**told, **answered}))


if __name__ == "__main__":
    main()
