"""What was held for a time is looked at again as soon as that is over, whatever its interval."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.domain.errors import NotFound, ReconcilerError, StoreError
from reconciler.domain.references import ProjectName
from reconciler.ports import Clock, Store
from reconciler.triggers.git_poll import OnBug

#: So long the images wait for what the look at the source led to.
_WAITS_FOR_THE_SOURCE = timedelta(minutes=1)


@dataclass(slots=True)
class SecondLooks:
    """Looks at sources, and then at images: what moved of both becomes one deployment.

    What is due is recorded, and forgotten after the look: one that a crash cut short is made again,
    and several replicas may make the same one.
    """

    store: Store
    clock: Clock
    look_at_source: Callable[[ProjectName], object]  #: now, or in the background
    look_at_images: Callable[[Collection[ProjectName]], object]  #: may take long
    on_bug: OnBug
    _seen: Mapping[ProjectName, datetime] = field(default_factory=dict, init=False)

    def tick_sources(self) -> None:
        """Look once at the source of each project that is due."""
        due = self.store.list_looks_due(self.clock.now())
        for name in [name for name, at in due.items() if self._seen.get(name) != at]:
            self._look(name)
        self._seen = due

    def tick_images(self) -> None:
        """Look at the images of those whose source was dealt with; then they are due no more."""
        now = self.clock.now()
        ready = {
            name: at
            for name, at in self.store.list_looks_due(now).items()
            if self._seen.get(name) == at and self._is_dealt_with(name, at, now)
        }
        if not ready:
            return
        self.look_at_images(ready.keys())
        for name, at in ready.items():
            self.store.looked_again(name, at)

    def _look(self, name: ProjectName) -> None:
        """Look at one; what is wrong with its source keeps no other from being seen."""
        try:
            self.look_at_source(name)
        except StoreError:
            raise
        except ReconcilerError as error:
            self.on_bug(f"looking again at {name}", error)

    def _is_dealt_with(self, name: ProjectName, at: datetime, now: datetime) -> bool:
        """Tell whether it is known which digests the newest commit, if it moved, is deployed with.

        Looked at before that, an image that moved as well would be deployed once more.
        """
        if now - at > _WAITS_FOR_THE_SOURCE:
            return True
        try:
            project, state = self.store.get_project(name), self.store.get_state(name)
            looked_at = self.store.get_health(name).looked_at
        except NotFound:  # it was removed meanwhile
            return False
        if project.source is not None and (looked_at is None or looked_at < at):
            return False
        return state.queued is None and (
            state.running is None or state.running.prepared is not None
        )
