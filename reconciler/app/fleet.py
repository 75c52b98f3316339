"""Fleet files: those that people hand in, and the one that is followed."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta

from reconciler.config import Config
from reconciler.domain.document import DocumentForm
from reconciler.domain.project import ExternalSource, HostedSource
from reconciler.domain.references import GitUrl, ProjectName
from reconciler.domain.settings import POLL_INTERVAL
from reconciler.pipeline.declaring.fleet import Action, Applied, Fleets
from reconciler.ports import Clock, GitRemote, Repositories
from reconciler.scheduling import LoopSpec
from reconciler.triggers.fleet_sources import FleetFile, FleetInGit, FleetSource
from reconciler.triggers.fleet_watch import FleetStanding, FleetWatch

_LOOK_EVERY = timedelta(seconds=1)
#: What has to look at once where something new was declared.
_LOOKS = ("polls", "hosted", "images", "hosts")
_ACTOR = "fleet file"


class FleetFiles:
    """Plans and applies fleet files, and follows the one that the configuration names."""

    def __init__(
        self,
        config: Config,
        fleets: Fleets,
        remote: GitRemote,
        repositories: Repositories,
        clock: Clock,
    ) -> None:
        self.fleets = fleets
        #: Runs a pass of a loop now.
        self.wake: Callable[[str], object] = lambda _: None
        self._hosted = config.fleet_repository if isinstance(config.fleet_repository, str) else None
        self._follows = POLL_INTERVAL if config.fleet_repository else ""
        source = _source_of(config, remote, repositories)
        self._watch = FleetWatch(source, self._apply_followed, clock) if source else None

    def apply(
        self, content: bytes, form: DocumentForm, *, actor: str, prune: bool = False
    ) -> Applied:
        """Make it so, and have what is new looked at; see ``Fleets.apply``."""
        applied = self.fleets.apply(content, form, actor=actor, prune=prune)
        if not applied.difference.empty:
            for loop in _LOOKS:
                self.wake(loop)
        return applied

    def standing(self) -> FleetStanding | None:
        """Return how the file stands that is followed; None where none is."""
        return self._watch.standing() if self._watch else None

    def loops(self) -> Sequence[LoopSpec]:
        """Return the loop that follows a file, if one is followed."""
        if self._watch is None:
            return ()
        return (LoopSpec("fleet", self._watch.tick, _LOOK_EVERY, self._follows),)

    def pushed(self, repository: ProjectName) -> bool:
        """Have the file looked at if it is in ``repository``, which got a push; tell whether."""
        if repository != self._hosted:
            return False
        self.wake("fleet")
        return True

    def _apply_followed(self, content: bytes, form: DocumentForm) -> str:
        difference = self.apply(content, form, actor=_ACTOR).difference
        counts = Counter(entry.action for entry in difference.entries())
        added, changed = counts[Action.ADD], counts[Action.CHANGE]
        return f"{added} added, {changed} changed, {difference.unchanged} as they were"


def _source_of(config: Config, remote: GitRemote, repositories: Repositories) -> FleetSource | None:
    if config.fleet_file is not None:
        return FleetFile(config.fleet_file)
    name = config.fleet_repository
    if name is None:
        return None
    branch = config.fleet_branch
    return FleetInGit(
        ExternalSource(name, branch) if isinstance(name, GitUrl) else HostedSource(name, branch),
        config.fleet_path,
        remote,
        repositories,
        config.fleet_user,
        config.fleet_token if config.fleet_token.reveal() else None,
        config.fleet_key_file,
    )
