"""Sends to many addresses by one messenger, as the daemon's own would, and tells what it did.

``python -m tests.parts.messenger_trial`` reads a JSON list of URLs, and prints for each which
address was refused. What is connected to all the same it prints as ``connected``.
"""

import json
import sys
from typing import Any

from reconciler.adapters.notify.messenger import Guard, bound_sessions, open_plugin


def main() -> None:
    """Try them all."""
    bound_sessions()
    plugins = {url: open_plugin(url) for url in json.load(sys.stdin)}
    guard, connected = Guard(), list[str]()

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if event == "socket.connect":
            connected.append(str(given[1][0]))

    # In the order in which they are added: this one is told what the first let pass.
    sys.addaudithook(guard)
    sys.addaudithook(watch)
    seen = {}
    for url, plugin in plugins.items():
        guard.refused = ""
        sent = plugin.notify(title="t", body="b", notify_type="failure") if plugin else None
        seen[url] = {"sent": sent, "refused": guard.refused}
    sys.stdout.write(json.dumps({"seen": seen, "connected": connected}))


if __name__ == "__main__":
    main()
