"""A Docker engine beside the shared one, with nothing in it: another machine's, as it were."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

from tests.parts.child import Child
from tests.parts.docker_engine import docker_answers
from tests.parts.scratch import short_folder

#: It builds and keeps images; it has no network to give to a container.
_WITHOUT_NETWORK = (
    *("--bridge=none", "--iptables=false", "--ip6tables=false"),
    *("--ip-forward=false", "--ip-masq=false"),
)
#: In a network of its own: told to have no bridge, it removes that of the shared engine.
_APART = ("unshare", "--net", "--")


class SecondEngine:
    """An engine of a test's own, gone when the block ends."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            # A unix socket's path has 107 bytes, so not below pytest's own folders.
            folder = Path(mkdtemp(prefix="rcl-engine-", dir=short_folder()))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self.address = f"unix://{folder / 'docker.sock'}"
            own = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
            options = [f"--{name}={folder / path}" for name, path in own.items()]
            stack.enter_context(
                Child(
                    [*_APART, "dockerd", *options, f"--host={self.address}", *_WITHOUT_NETWORK],
                    log=folder / "dockerd.log",
                    ready=lambda: docker_answers("--host", self.address, "version"),
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
