"""Digests behind tags: each distinct image is looked up once a tick, whoever follows it."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from reconciler.domain.failure import Failure
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import Digest, ProjectName
from reconciler.domain.state import ImageLook, ProjectState, WatchedImage
from reconciler.log import correlated
from reconciler.ports import Clock, ImageRegistry, Store
from reconciler.triggers.compose_images import ComposeImages
from reconciler.triggers.git_poll import OnBug
from reconciler.triggers.image_lookups import Lookup, first_seen, looked, lookups_for
from reconciler.triggers.lanes import Lanes

#: Told what a tick saw of one project.
OnImages = Callable[[ImageLook], object]

#: Per project: each image to look up, and how it is asked for.
_Wanted = Mapping[ProjectName, Sequence[tuple[Lookup, WatchedImage]]]
_LONGEST_TICK = timedelta(minutes=5)
_BATCH = 200  #: projects whose looks are recorded in one transaction


@dataclass(slots=True)
class ImageWatch:
    """Looks at every watched image, compares per project."""

    store: Store
    registry: ImageRegistry
    images: ComposeImages
    clock: Clock
    lanes: Lanes
    on_images: OnImages
    on_bug: OnBug
    #: Registries that are known not to answer; asking them would only take time.
    unreachable: Callable[[], Collection[str]] = set
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, init=False)

    def tick(self, only: Collection[ProjectName] | None = None) -> int:
        """Look at the images of all auto-deploying projects (or of ``only`` these).

        Returns how many look-ups were made.
        """
        with self._one_at_a_time:
            began = self.clock.now()
            states = self.store.list_states()
            projects = [
                project
                for project in self.store.list_projects()
                if _watched(project, states) and (only is None or project.name in only)
            ]
            self._refresh(projects, states)
            wanted = self._wanted(projects)
            found = self._look_up(wanted)
            seen = {}
            for project in projects:
                pairs = wanted.get(project.name, ())
                results = {image.image: found[key] for key, image in pairs if key in found}
                if self._compare(states[project.name], pairs, results):
                    seen[project.name] = self._looked(pairs, results)
            self._record(seen, began)
            return len(found)

    def _refresh(
        self, projects: Sequence[Project], states: Mapping[ProjectName, ProjectState]
    ) -> None:
        """Read the compose files that changed, side by side."""
        for project in projects:
            refresh = partial(self.images.refresh, project, states[project.name].tracked_commit)
            self.lanes.submit(_source_host(project), partial(self._guarded, project.name, refresh))
        self.lanes.join(_LONGEST_TICK.total_seconds())

    def _wanted(self, projects: Sequence[Project]) -> _Wanted:
        every, silent = self.store.list_images(), self.unreachable()
        lookup_for = lookups_for(self.store)
        wanted: dict[ProjectName, list[tuple[Lookup, WatchedImage]]] = defaultdict(list)
        for project in projects:
            for image in every.get(project.name, ()):
                if image.unwatched_because:
                    continue
                lookup = lookup_for(project.name, image)
                if lookup.image.registry not in silent:
                    wanted[project.name].append((lookup, image))
        return wanted

    def _look_up(self, wanted: _Wanted) -> Mapping[Lookup, Digest | Failure]:
        """Ask once per distinct image; what is not answered when the tick must end is unknown."""
        found: dict[Lookup, Digest | Failure] = {}

        def ask(lookup: Lookup) -> None:
            result = lookup.ask(self.registry, self.on_bug)
            if result is not None:
                found[lookup] = result

        for lookup in dict.fromkeys(key for pairs in wanted.values() for key, _ in pairs):
            self.lanes.submit(lookup.image.registry, partial(ask, lookup))
        self.lanes.join(_LONGEST_TICK.total_seconds())
        return dict(found)

    def _compare(
        self,
        state: ProjectState,
        pairs: Sequence[tuple[Lookup, WatchedImage]],
        results: Mapping[str, Digest | Failure],
    ) -> bool:
        """Pass on what was seen of one project; False if that failed.

        Where each image has the digest that was acted on, there is nothing to pass on. A state
        that changed during the tick is compared by the next one.
        """
        digests = {image: result for image, result in results.items() if isinstance(result, Digest)}
        if state.images_seeded and len(digests) == len(pairs) and digests == state.tracked_images:
            return True
        followed = [image.image for _, image in pairs]
        known = first_seen(self._looked(pairs, results))
        look = ImageLook(state.name, followed, digests, state.tracked_images, known)
        with correlated():
            return self._guarded(state.name, partial(self.on_images, look))

    def _record(self, seen: Mapping[ProjectName, Sequence[WatchedImage]], began: datetime) -> None:
        """Record the looks, many in one transaction, none of which holds up others for long."""
        names = list(seen)
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            self.store.record_lookups({name: seen[name] for name in batch}, began)

    def _looked(
        self, pairs: Iterable[tuple[Lookup, WatchedImage]], results: Mapping[str, Digest | Failure]
    ) -> list[WatchedImage]:
        now = self.clock.now()
        return [looked(image, results.get(image.image), now) for _, image in pairs]

    def _guarded(self, name: ProjectName, work: Callable[[], object]) -> bool:
        """Do ``work`` so that its failure is this project's alone; return whether it went well."""
        try:
            work()
        except Exception as bug:  # noqa: BLE001  one project's trouble must not stop the others
            self.on_bug(f"watching the images of {name}", bug)
            return False
        return True


def _source_host(project: Project) -> str:
    """Return the server that reading the project's compose file asks; empty for this machine."""
    return project.source.url.origin if isinstance(project.source, ExternalSource) else ""


def _watched(project: Project, states: Mapping[ProjectName, ProjectState]) -> bool:
    follows = project.auto_deploy and project.follows_its_source and project.kind.runs_containers
    return follows and project.name in states
