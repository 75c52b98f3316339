"""The Docker engine of a host, through the connection that is there already."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TypeVar

from reconciler.adapters.engine import DockerEngine
from reconciler.adapters.hosts.access import Access
from reconciler.adapters.hosts.connection import ConnectionId, SharedConnection, listener
from reconciler.adapters.hosts.failures import evidence_of, last_useful_line
from reconciler.domain.errors import PreconditionFailed, ReconcilerError, TargetUnreachable
from reconciler.domain.failure import Failure
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.stack import ComposeContainer
from reconciler.domain.verification import Sample
from reconciler.ports import Command, CommandResult, Image, OwnContainer

Answer = TypeVar("Answer")

_SOCKET = "/var/run/docker.sock"
_TIMEOUT = timedelta(seconds=10)
_LOOK = f"test -S {_SOCKET} || echo absent; test -w {_SOCKET} || echo denied"


class ForwardedEngine:
    """``Engine`` of one host, on a unix socket that ssh forwards. Threads may share it."""

    def __init__(
        self, connection: SharedConnection, run: Callable[[Command], CommandResult]
    ) -> None:
        """Open nothing yet; ``run`` runs a command on the host."""
        self._connection = connection
        self._run = run
        self._name = connection.access.host.name
        self._engine = DockerEngine(
            f"unix://{connection.access.files.engine}", name=f"host {self._name}"
        )
        self._forwarding = threading.Lock()
        self._forwarded: ConnectionId | None = None

    def close(self) -> None:
        """Let go of the connections to the engine."""
        self._engine.close()

    def ping(self) -> str | Failure:
        """Return the engine's version, or why it can't be used; see ``Engine``."""
        try:
            return self._ask(self._ping)
        except ReconcilerError as error:
            return Failure.of(error)

    def address(self) -> str:
        """Return where a client reaches it; see ``Engine``."""
        self._forward()
        return self._engine.address()

    def platform(self) -> str:
        """Return what it runs on; see ``Engine``."""
        return self._ask(self._engine.platform)

    def containers(self, project: ProjectName) -> Sequence[Sample]:
        """Return the containers of a compose project; see ``Engine``."""
        return self._ask(lambda: self._engine.containers(project))

    def compose_containers(self) -> Sequence[ComposeContainer]:
        """Return the containers of every compose project; see ``Engine``."""
        return self._ask(self._engine.compose_containers)

    def find_one_off(self, project: ProjectName, name: str) -> Sample | None:
        """Return one container of `docker compose run`; see ``Engine``."""
        return self._ask(lambda: self._engine.find_one_off(project, name))

    def has_image(self, image: ImageReference) -> bool:
        """Tell whether the image is there; see ``Engine``."""
        return self._ask(lambda: self._engine.has_image(image))

    def find_image(self, name: str) -> Image | None:
        """Return the image of that name or id; see ``Engine``."""
        return self._ask(lambda: self._engine.find_image(name))

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        """Return the images that have all of ``labels``; see ``Engine``."""
        return self._ask(lambda: self._engine.images(labels))

    def give_name(self, image: Digest, name: str) -> None:
        """Have ``name`` mean ``image``; see ``Engine``."""
        self._ask(lambda: self._engine.give_name(image, name))

    def drop_name(self, name: str) -> None:
        """Let ``name`` mean nothing; see ``Engine``."""
        self._ask(lambda: self._engine.drop_name(name))

    def own_container(self) -> OwnContainer | None:
        """Return None: we run on another machine; see ``Engine``."""
        return None

    def last_lines(self, container: str, count: int) -> Sequence[str]:
        """Return the newest lines that a container wrote; see ``Engine``."""
        return self._ask(lambda: self._engine.last_lines(container, count))

    def _ping(self) -> str | Failure:
        found = self._engine.ping()
        if isinstance(found, Failure) and found.code == TargetUnreachable.code:
            raise TargetUnreachable(found.message, **found.evidence)
        return found

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Ask, once more over a new connection if the old one was lost; it is safe to repeat."""
        connection = self._forward()
        try:
            return question()
        except TargetUnreachable as error:
            if not self._connection.is_lost(connection):
                raise self._explained(error) from error
        self._forward()
        return question()

    def _forward(self) -> ConnectionId:
        """Have the open connection listen for us, if it does not yet."""
        access = self._connection.access
        connection = self._connection.open()
        with self._forwarding:
            # Somebody listens: a refused connect would be left to the garbage collector.
            if self._forwarded != connection or listener(access.files.engine) is None:
                self._request(access)
                self._forwarded = connection
        return connection

    def _request(self, access: Access) -> None:
        access.files.engine.unlink(missing_ok=True)
        argv = access.master_argv("forward", "-L", f"{access.files.engine}:{_SOCKET}")
        result = access.runner.run(Command(argv, env=access.environment, timeout=_TIMEOUT))
        if not result.ok:
            line = last_useful_line(result.stderr_tail)
            evidence = evidence_of(self._name, result.stderr_tail)
            raise TargetUnreachable(
                f"host {self._name}: its engine can't be reached: {line}", **evidence
            )

    def _explained(self, error: TargetUnreachable) -> ReconcilerError:
        """Return why the engine behind the socket does not answer: to us ssh shows a closed one."""
        seen = self._run(Command(("sh", "-c", _LOOK), timeout=_TIMEOUT)).stdout.split()
        if "absent" in seen:
            problem = f"there is no Docker engine at {_SOCKET}"
        elif "denied" in seen:
            problem = "our user there may not use the Docker engine: is it in the group `docker`?"
        else:
            return error
        return PreconditionFailed(f"host {self._name}: {problem}", host=self._name)
