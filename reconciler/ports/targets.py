"""What changes and observes a target."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from reconciler.domain.deployment import PreparedTarget
from reconciler.domain.failure import Failure
from reconciler.domain.probing import Reading
from reconciler.domain.references import (
    CommitSha,
    Digest,
    ImageReference,
    ProjectName,
)
from reconciler.domain.stack import ComposeContainer
from reconciler.domain.target import Target
from reconciler.domain.verification import Sample
from reconciler.domain.version_check import VersionCheck
from reconciler.ports.processes import LineSink
from reconciler.ports.work import Work


@dataclass(frozen=True, slots=True)
class OwnContainer:
    """The container that this very process runs in."""

    id: str
    project: str  #: of compose; empty where compose did not make it
    service: str
    image: str  #: its id
    user: str  #: as it was declared; empty: the image's own
    groups: tuple[str, ...]  #: that it was given beside the user's
    mounts: frozenset[str]  #: paths of the machine that are mounted into it


@dataclass(frozen=True, slots=True)
class Image:
    """An image that an engine has."""

    id: Digest
    labels: Mapping[str, str]
    tags: tuple[str, ...]  #: full names, as short as the engine prints them
    digests: frozenset[Digest]  #: of the manifests by which it was pulled or pushed
    platform: str  #: e.g. ``linux/amd64``


class Engine(Protocol):
    """A container engine: looked at, and told names. All else goes through its command line."""

    def address(self) -> str:
        """Return where a client on this machine reaches it now, as ``DOCKER_HOST`` says it.

        Raises:
            TargetUnreachable: there is no way to it.
        """
        ...

    def platform(self) -> str:
        """Return what it runs on, e.g. ``linux/amd64``.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def ping(self) -> str | Failure:
        """Return the engine's version, or why it can't be used. Never raises."""
        ...

    def containers(self, project: ProjectName) -> Sequence[Sample]:
        """Return the containers of a compose project, stopped ones included, by service.

        Those of `docker compose run` are left out.

        Raises:
            TargetUnreachable: the engine did not answer, or not as an engine does.
        """
        ...

    def compose_containers(self) -> Sequence[ComposeContainer]:
        """Return the containers of every compose project, by their labels.

        Those of `docker compose run` are left out.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def find_one_off(self, project: ProjectName, name: str) -> Sample | None:
        """Return a project's container of `docker compose run` by its name or id.

        None if there is none: a service, or another project, may have a container of that name.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def has_image(self, image: ImageReference) -> bool:
        """Tell whether the image is there; one with a digest only counts at that digest.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def find_image(self, name: str) -> Image | None:
        """Return the image of that name or id; None if it is not there.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def images(self, labels: Mapping[str, str]) -> Sequence[Image]:
        """Return the images that have all of ``labels``, newest first; "" stands for any value.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def give_name(self, image: Digest, name: str) -> None:
        """Have ``name`` mean ``image``, whatever it meant before. Safe to repeat.

        Raises:
            TargetUnreachable: as ``containers``, also where there is no such image.
        """
        ...

    def drop_name(self, name: str) -> None:
        """Let ``name`` mean nothing, and drop what no other name or container needs.

        A name that is the last one of what a container needs stays. Safe to repeat.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def own_container(self) -> OwnContainer | None:
        """Return the container that we run in; None where this engine runs none that we are in.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...

    def last_lines(self, container: str, count: int) -> Sequence[str]:
        """Return the newest lines that a container wrote, oldest first.

        Raises:
            TargetUnreachable: as ``containers``.
        """
        ...


class Prober(Protocol):
    """Asks whether a target is well, as its checks say, and which version it is."""

    def probe(self, target: Target, commit: CommitSha | None, *, ready: bool = False) -> Reading:
        """Ask its health check once, or the one for readiness, within the check's own time limit.

        Raises:
            TargetUnreachable: the host that should have asked could not be reached.
        """
        ...

    def probe_version(
        self, target: Target, address: str, check: VersionCheck, commit: CommitSha
    ) -> Reading:
        """Ask one container once whether it is ``commit``, past all caches and proxies.

        Args:
            target: which it belongs to, and whose host asks.
            address: its own there; see ``Sample``.
            check: where it tells; its port is known.
            commit: that it has to tell.

        Raises:
            TargetUnreachable: as ``probe``.
        """
        ...


@dataclass(frozen=True, slots=True)
class TargetReport:
    """What runs on a host now, read there."""

    state: str  #: in systemd's or compose's own word, e.g. ``active (running)``
    commit: CommitSha | None  #: of what runs; None where nothing does, or nobody knows
    release: str  #: name of the release, or the digests that run; empty where nothing does
    since: str  #: since when, by the host's clock, in ISO 8601; empty where nobody knows
    detail: tuple[tuple[str, str], ...] = ()  #: more facts, each with its name


class Strategy(Protocol):
    """How one kind of target changes. Only ``apply`` and ``set_up`` change anything on it.

    Every method may raise what ``Machine`` raises.
    """

    def prepare(self, work: Work) -> PreparedTarget:
        """Make ready all that ``apply`` needs: checkout, build, digests, files on the host.

        Safe to repeat; what runs is left untouched.

        Raises:
            ReconcilerError: nothing was changed; ``recovery`` says what helps.
        """
        ...

    def apply(self, work: Work, prepared: PreparedTarget) -> None:
        """Make the target run ``prepared``. Safe to repeat, also after a kill in its middle.

        Where the target confirms or reverts, the host's own timer is started before the change.

        Raises:
            RolloutError: the target may be half changed.
        """
        ...

    def confirm(self, work: Work, prepared: PreparedTarget) -> None:
        """Make permanent what was verified: stop the host's timer, over a new connection.

        Safe to repeat; without effect where no timer was started.

        Raises:
            RolloutError: the host went back already, or can't be told.
        """
        ...

    def observe(self, target: Target) -> Sequence[Sample]:
        """Return what runs there now, stopped containers included.

        Raises:
            TargetUnreachable: the engine or the host did not answer.
        """
        ...

    def diagnose(self, target: Target, log: LineSink) -> None:
        """Write the last lines of what is in trouble there into ``log``. Never raises."""
        ...

    def forget(
        self, target: Target, prepared: PreparedTarget, kept: Collection[PreparedTarget]
    ) -> None:
        """Drop what was kept for a deployment that nobody can roll back to any more.

        A host that can't be reached keeps it; the next one that is dropped takes it along.

        Args:
            target: where.
            prepared: what it had made ready there.
            kept: what others made ready there, that one can still go back to.
        """
        ...

    def set_up(self, work: Work) -> None:
        """Make a fresh machine ready for the target: folders, user, unit. Safe to repeat.

        Says in the log of ``work`` what it did, and what was there already.
        """
        ...

    def report(self, target: Target) -> TargetReport:
        """Return what runs there now, in the words of the host."""
        ...
