"""A real git server in a process of its own, so that its cost is not the clients'.

``python -m tests.benchmarks.git_host FOLDER REFS…`` serves over TLS a repository ``rN.git`` for
each number of branches N, and writes ``addresses.json`` into the folder once it does.
"""

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tests.parts.git_server import GitServer
from tests.parts.http_server import Answer, Request


class OldGitServer(GitServer):
    """One that knows nothing of protocol v2: it lists all refs to everybody."""

    def _cgi_environment(self, request: Request) -> dict[str, str]:
        return {**super()._cgi_environment(request), "GIT_PROTOCOL": ""}

    def _answer(self, request: Request) -> Answer:
        answer = super()._answer(request)
        self.requests.clear()
        return answer


def main(folder: Path, counts: list[int]) -> None:
    """Serve until a signal comes."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with GitServer(tls=True) as new, OldGitServer(tls=True) as old:
        found = {"new": {}, "old": {}, "new_ca": str(new.ca_path), "old_ca": str(old.ca_path)}
        for name, server in (("new", new), ("old", old)):
            for count in counts:
                repository = server.repository(f"r{count}.git")
                repository.commit({"compose.yaml": "services: {}\n"})
                repository.add_refs(count - 1)
                found[name][str(count)] = server.url(f"r{count}.git")  # type: ignore[index]
        unfinished = folder / "addresses.new"
        unfinished.write_text(json.dumps(found))
        unfinished.replace(folder / "addresses.json")
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(count) for count in sys.argv[2:]])
