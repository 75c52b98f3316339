"""What was refused to somebody whom we know, for the audit log."""

from collections import OrderedDict

from anyio import to_thread
from fastapi import Request

from reconciler.app import Application
from reconciler.log import plain

_AGAIN_AFTER_SECONDS = 60.0
_MOST_REMEMBERED = 1024
_LONGEST_PATH = 200


class Denials:
    """Notes each refusal, and the same one again only after a while: the log is kept for ever."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._noted: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def note(self, who: str, request: Request) -> None:
        """Note that ``who`` may not do what the request asks for."""
        asked = f"{request.method} {plain(request.url.path[:_LONGEST_PATH])}"
        route = getattr(request.scope.get("route"), "path", "")
        key, now = (who, f"{request.method} {route}"), self._application.clock.monotonic()
        if now - self._noted.get(key, -_AGAIN_AFTER_SECONDS) < _AGAIN_AFTER_SECONDS:
            return
        self._noted[key] = now
        self._noted.move_to_end(key)
        if len(self._noted) > _MOST_REMEMBERED:
            self._noted.popitem(last=False)
        await to_thread.run_sync(self._application.store.note, "access.denied", asked)
