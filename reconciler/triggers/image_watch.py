"""Digests behind tags: each distinct image is looked up once a tick, whoever follows it."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from reconciler.domain.errors import ReconcilerError
from reconciler.domain.failure import Failure
from reconciler.domain.project import ExternalSource, Project
from reconciler.domain.references import Digest, ImageReference, ProjectName
from reconciler.domain.state import ProjectState, WatchedImage
from reconciler.ports import Clock, ImageRegistry, Store
from reconciler.triggers.compose_images import ComposeImages
from reconciler.triggers.git_poll import OnBug
from reconciler.triggers.lanes import Lanes

#: Told what a tick saw of one project: all images it follows, and the digests that were found.
OnImages = Callable[[ProjectName, Collection[str], Mapping[str, Digest]], object]

#: One look-up: the image, and the project whose own registry credentials it needs, if any.
_Key = tuple[str, ProjectName | None]
#: Per project: each image to look up, and how it is asked for.
_Wanted = Mapping[ProjectName, Sequence[tuple[_Key, WatchedImage]]]
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
            self._record(seen)
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
        own: dict[tuple[ProjectName, str], bool] = {}
        wanted: dict[ProjectName, list[tuple[_Key, WatchedImage]]] = defaultdict(list)
        for project in projects:
            for image in every.get(project.name, ()):
                if image.unwatched_because:
                    continue
                host = ImageReference.parse(image.image).registry
                if host in silent:
                    continue
                if (project.name, host) not in own:
                    own[project.name, host] = self.store.has_registry_credentials(
                        host, project.name
                    )
                owner = project.name if own[project.name, host] else None
                wanted[project.name].append(((image.image, owner), image))
        return wanted

    def _look_up(self, wanted: _Wanted) -> Mapping[_Key, Digest | Failure]:
        """Ask once per distinct image; what is not answered when the tick must end is unknown."""
        found: dict[_Key, Digest | Failure] = {}
        for image, owner in dict.fromkeys(key for pairs in wanted.values() for key, _ in pairs):
            reference = ImageReference.parse(image)

            def ask(key: _Key = (image, owner), reference: ImageReference = reference) -> None:
                try:
                    found[key] = self.registry.digest(reference, key[1])
                except ReconcilerError as error:
                    found[key] = Failure.of(error)
                except Exception as bug:  # noqa: BLE001  one image's bug must not stop the others
                    self.on_bug(f"looking up {key[0]}", bug)

            self.lanes.submit(reference.registry, ask)
        self.lanes.join(_LONGEST_TICK.total_seconds())
        return dict(found)

    def _compare(
        self,
        state: ProjectState,
        pairs: Sequence[tuple[_Key, WatchedImage]],
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
        return self._guarded(state.name, partial(self.on_images, state.name, followed, digests))

    def _record(self, seen: Mapping[ProjectName, Sequence[WatchedImage]]) -> None:
        """Record the looks, many in one transaction, none of which holds up others for long."""
        names = list(seen)
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            self.store.record_lookups({name: seen[name] for name in batch})

    def _looked(
        self, pairs: Iterable[tuple[_Key, WatchedImage]], results: Mapping[str, Digest | Failure]
    ) -> list[WatchedImage]:
        now = self.clock.now()
        looked = []
        for _, image in pairs:
            match results.get(image.image):
                case Digest() as digest:
                    since = image.first_seen_at if digest == image.digest else now
                    looked.append(
                        replace(
                            image, digest=digest, first_seen_at=since, looked_at=now, error=None
                        )
                    )
                case Failure() as failure:
                    looked.append(replace(image, looked_at=now, error=failure))
                case None:
                    looked.append(image)
        return looked

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
    return project.auto_deploy and project.kind.runs_containers and project.name in states
