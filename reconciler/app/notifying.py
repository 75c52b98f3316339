"""How notifications are wired."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from reconciler.adapters.notify.notifier import ServiceNotifier
from reconciler.adapters.notify.templates import JinjaLetters
from reconciler.config import Config
from reconciler.domain.deployment import DeploymentId
from reconciler.domain.host import HostHealth, HostName
from reconciler.domain.references import CommitSha, ProjectName
from reconciler.log import Redactor
from reconciler.pipeline.declaring.channels import Channels
from reconciler.pipeline.notices import NoticeParts, Notices
from reconciler.pipeline.sources import Sources
from reconciler.ports import Clock, CommandRunner, Store
from reconciler.scheduling import Daemon, Deployments, LoopSpec, Sending

_EVERY = timedelta(seconds=10)
#: For messages that are being sent at the end; the others are sent by the next life.
_GRACE = timedelta(seconds=5)
#: As git writes a commit that there is none of: everything leads from it.
_NONE = CommitSha("0" * 40)


@dataclass(frozen=True, slots=True)
class NotifyingParts:
    """What notifications stand on."""

    config: Config
    store: Store
    clock: Clock
    runner: CommandRunner
    redactor: Redactor
    sources: Sources
    hosts: Callable[[], dict[HostName, HostHealth]]  #: those that were asked since the start


class Notifying:
    """Channels, messages to them, and the loop that sends these."""

    def __init__(self, parts: NotifyingParts, owner: str) -> None:
        self._parts = parts
        notifier = ServiceNotifier(
            parts.runner, parts.clock, parts.redactor, ca_file=parts.config.git_ca_file
        )
        writer = JinjaLetters()
        self.channels = Channels(parts.store, notifier, writer)
        self.notices = Notices(
            NoticeParts(
                store=parts.store,
                clock=parts.clock,
                notifier=notifier,
                writer=writer,
                redactor=parts.redactor,
                subject_of=self._subject_of,
                hosts=parts.hosts,
                public_url=str(parts.config.public_url or ""),
            )
        )
        self.sending = Sending(parts.store, self.notices, owner)

    def loop(self) -> LoopSpec:
        """Return the loop that sends them."""
        return LoopSpec("notices", self.sending.tick, _EVERY)

    def join(self, daemon: Daemon, deployments: Deployments) -> None:
        """Send at once what a deployment's end gives to tell; end with the daemon."""
        ended, end = deployments.on_ended, daemon.on_end

        def on_ended(deployment: DeploymentId) -> None:
            ended(deployment)
            daemon.wake("notices")

        def on_end() -> None:
            self.sending.drain(_GRACE)
            end()

        self.sending.on_free = lambda: daemon.wake("notices")
        deployments.on_ended, daemon.on_end = on_ended, on_end

    def _subject_of(self, name: ProjectName, commit: CommitSha, before: CommitSha | None) -> str:
        project = self._parts.store.get_project(name)
        history = self._parts.sources.history(project, commit, before or _NONE)
        return history.commits[0].subject if history.commits else ""
